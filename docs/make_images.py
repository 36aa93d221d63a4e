"""Draw the pictures of README.md from a run of the flagship scenario.

python docs/make_images.py [RUN_FOLDER]      default: simulates scenarios/colossus_roadmap.yaml
python docs/make_images.py --oversubscription [SWEEP_FOLDER]
    default: runs sweeps/oversubscription.yaml (about a minute)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 400_000
"""Largest picture that is committed. [B]"""


def main(arguments: list[str]) -> None:
    """Write docs/images/gantt.png, or the picture of a sweep."""
    if arguments[:1] == ["--oversubscription"]:
        oversubscription(Path(arguments[1]) if arguments[1:] else None)
        return
    from colossus_sim import load_run, load_scenario, simulate

    if arguments:
        result = load_run(arguments[0])
    else:
        result = simulate(load_scenario(str(ROOT / "scenarios" / "colossus_roadmap.yaml")))
    target = ROOT / "docs" / "images" / "gantt.png"
    target.parent.mkdir(exist_ok=True)
    result.plot_gantt(target)
    report(target)


def oversubscription(folder: Path | None) -> None:
    """Write docs/images/oversubscription.png, the picture that the shipped sweep draws."""
    target = ROOT / "docs" / "images" / "oversubscription.png"
    with tempfile.TemporaryDirectory() as place:
        if folder is None:
            folder = Path(place) / "sweep"
            sweep = str(ROOT / "sweeps" / "oversubscription.yaml")
            command = [sys.executable, "-m", "colossus_sim", "sweep", sweep, "--out", str(folder), "--quiet"]
            subprocess.run(command, check=True, cwd=ROOT)
        shutil.copyfile(folder / "network_tradeoff.png", target)
    report(target)


def report(target: Path) -> None:
    """Refuse a picture that is too large to commit."""
    size = target.stat().st_size
    if size > LIMIT:
        raise SystemExit(f"{target} has {size} bytes, more than {LIMIT}")
    print(f"{target.relative_to(ROOT)}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])
