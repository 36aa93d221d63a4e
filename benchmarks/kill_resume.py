"""Kill a sweep again and again at random moments: every point exactly once, same bytes as without.

    python benchmarks/kill_resume.py --kills 200 [--minutes 15]

Exits with 1 if anything is lost, doubled or different, or the kills were fewer. A life of the sweep is mostly
start-up, a second or two; it is killed up to `--longest` after its first result, so there must be runs enough.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from colossus_sim.sweeps.journal import read_journals  # noqa: E402

GRID = "faults.restart.base=5 min,1 h,4 h"


def main() -> int:
    """Run the undisturbed sweep, then the disturbed one, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--replicas", type=int, default=600)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=0.1, help="longest life after the first result [s]")
    parser.add_argument("--minutes", type=float, default=60.0, help="kill no more after this time [min]")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        command = [
            sys.executable, "-m", "colossus_sim", "sweep", "tiny", "--set-grid", GRID,
            "--replicas", str(asked.replicas), "--jobs", str(asked.jobs), "--no-plots", "-q",
        ]  # fmt: skip
        subprocess.run([*command, "--out", str(root / "whole")], cwd=ROOT, check=True)
        kills, starts = disturb([*command, "--out", str(root / "killed"), "--resume"], root / "killed", asked)
        return max(report(root, kills, starts, 3 * asked.replicas), int(kills < asked.kills))


def disturb(command: list[str], folder: Path, asked: argparse.Namespace) -> tuple[int, int]:
    """Start the sweep and kill it at random moments; then let it end. Return kills and starts."""
    rng = random.Random(asked.seed)
    kills = starts = 0
    began = time.monotonic()
    while kills < asked.kills and time.monotonic() - began < 60.0 * asked.minutes:
        driver = subprocess.Popen(command, cwd=ROOT)
        starts += 1
        before = size(folder)
        while driver.poll() is None and size(folder) == before and rng.random() < 0.999:
            time.sleep(0.005)
        time.sleep(rng.random() * asked.longest)
        if driver.poll() is not None:
            break
        driver.kill()
        driver.wait()
        kills += 1
        if rng.random() < 0.2:
            tear(folder, rng)
        if kills % 20 == 0:
            print(
                f"{kills} kills, {(time.monotonic() - began) / kills:.1f} s each", file=sys.stderr, flush=True
            )
    subprocess.run(command, cwd=ROOT, check=True)
    return kills, starts + 1


def size(folder: Path) -> int:
    """Return the length of the journal. [B]"""
    path = folder / "journal.jsonl"
    return path.stat().st_size if path.exists() else 0


def tear(folder: Path, rng: random.Random) -> None:
    """Cut the last line of the journal somewhere, as a power cut may."""
    path = folder / "journal.jsonl"
    if size(folder) > 5_000:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - rng.randrange(1, 200)])


def report(root: Path, kills: int, starts: int, wanted: int) -> int:
    """Compare both folders and say what was found."""
    ((_, contents),) = read_journals([root / "killed" / "journal.jsonl"])
    same = all(
        (root / "killed" / name).read_bytes() == (root / "whole" / name).read_bytes()
        for name in ("results.csv", "points.csv")
    )
    complete = sorted(contents.outcomes) == list(range(wanted))
    print(f"{kills} kills in {starts} starts, {len(contents.damaged)} damaged lines found and done again")
    print(f"points: {len(contents.outcomes)} of {wanted}; tables {'equal' if same else 'DIFFERENT'}")
    return 0 if same and complete else 1


if __name__ == "__main__":
    sys.exit(main())
