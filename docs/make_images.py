"""Draw the pictures of README.md with the commands that it prints.

python docs/make_images.py [NAME[=FOLDER] ...]      default: all; with a folder, take its picture and run nothing

Names: see PICTURES. All of them take about ten minutes on two cores.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
LIMIT = 400_000
"""Largest picture that is committed. [B]"""

PICTURES = {
    "gantt": ("run colossus_roadmap", "gantt.png"),
    "forecast": ("forecast colossus_roadmap --replicas 100", "gantt_bands.png"),
    "oversubscription": ("sweep oversubscription", "network_tradeoff.png"),
    "operations": ("sweep ten_trillion_operations", "changes.png"),
}
"""What is run for each picture, and which file of its folder it is."""


def main(arguments: list[str]) -> None:
    """Write docs/images/NAME.png for the names asked for."""
    for argument in arguments or PICTURES:
        name, _, folder = argument.partition("=")
        if name not in PICTURES:
            raise SystemExit(f"no picture {name!r}; there are: {', '.join(PICTURES)}")
        command, picture = PICTURES[name]
        with tempfile.TemporaryDirectory() as place:
            source = Path(folder) if folder else played(command, Path(place) / "out")
            shutil.copyfile(source / picture, IMAGES / f"{name}.png")
        report(IMAGES / f"{name}.png")


def played(command: str, folder: Path) -> Path:
    """Run a command of the tool into a folder and return it."""
    words = [sys.executable, "-m", "colossus_sim", *command.split(), "--out", str(folder), "--quiet"]
    subprocess.run(words, check=True, cwd=ROOT)
    return folder


def report(target: Path) -> None:
    """Refuse a picture that is too large to commit."""
    size = target.stat().st_size
    if size > LIMIT:
        raise SystemExit(f"{target} has {size} bytes, more than {LIMIT}")
    print(f"{target.relative_to(ROOT)}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
