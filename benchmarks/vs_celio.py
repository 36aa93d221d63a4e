"""The Cielo workload (H4) on its published program and on this engine: same jobs; useful work and CPU time of each.

    python benchmarks/vs_celio.py --celio PROGRAM [--bandwidth 40] [--seeds 3]

PROGRAM is ``celio``, built with ``make`` in ``src`` of a clone of github.com/SMURFSorg/InterferingCheckpoints
(INRIA research report 9109). For each of its seeds both play the run without failures and the five ways to share
the storage on the list of jobs that the program draws; the failures are each program's own.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from colossus_sim.validation.cielo import STRATEGIES, SYSTEM_MTBF  # noqa: E402
from colossus_sim.validation.cielo_program import program_shares  # noqa: E402

_TITLES = {
    "baseline nofaultnoint": "without failures",
    "No Interference": "ideal",
    "FCFS Interference": "first come",
    "Coop Interference": "cooperative",
    "BLOCKING_FCFS Interference": "blocking",
    "Simple Interference": "uncoordinated",
}
"""How the program calls its six runs."""
_RESULT = ": WORK/IO/CKPT/WASTED/TOTAL (s.node) "


def run_program(program: Path, seed: int, bandwidth: float) -> tuple[dict[str, float], float]:
    """Return the useful work of each strategy over that without failures, and the CPU time. [s]"""
    options = ["-s", str(seed), "-b", f"{bandwidth:g}e9", "-m", f"{SYSTEM_MTBF:g}", "-BB", "-BBN"]
    command = [str(program), *options]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SystemExit(f"{program} cannot be run: {error.strerror}") from error
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    works = parse(made.stdout)
    if len(works) < len(_TITLES):
        raise SystemExit(
            f"{' '.join(command)} gave {len(works)} of {len(_TITLES)} results (exit {made.returncode})"
        )
    whole = works.pop("without failures")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {name: work / whole for name, work in works.items()}, cpu


def parse(text: str) -> dict[str, float]:
    """Return the node-seconds of useful work of each run that the program tells of."""
    works = {}
    for line in text.splitlines():
        title, found, numbers = line.lstrip("#").partition(_RESULT)
        if found and title in _TITLES:
            works[_TITLES[title]] = float(numbers.split()[0])
    return works


def error_of(values: Sequence[float]) -> float:
    """Return the standard error of a mean; NaN for a single value."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def main() -> None:
    """Play, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--celio", type=Path, required=True, metavar="PROGRAM", help="the built program")
    parser.add_argument("--bandwidth", type=float, default=40.0, help="of the storage [GB/s]")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the program, from 0 on")
    arguments = parser.parse_args()
    theirs, ours, times = [], [], []
    for seed in range(arguments.seeds):
        shares, cpu = run_program(arguments.celio.resolve(), seed, arguments.bandwidth)
        begun = time.process_time()
        ours.append(program_shares(arguments.bandwidth * 1e9, seed, seed))
        times.append((cpu, time.process_time() - begun))
        theirs.append(shares)
    print(f"useful work at {arguments.bandwidth:g} GB/s, {arguments.seeds} lists of jobs")
    print(f"{'strategy':16}{'program':>10}{'here':>10}{'difference [points]':>24}")
    for name in STRATEGIES:
        pairs = [(one[name], other[name]) for one, other in zip(theirs, ours, strict=True)]
        gaps = [100.0 * (mine - other) for other, mine in pairs]
        means = [statistics.fmean(column) for column in zip(*pairs, strict=True)]
        print(
            f"{name:16}{means[0]:10.4f}{means[1]:10.4f}{statistics.fmean(gaps):+14.1f} +- {error_of(gaps):.1f}"
        )
    their_time, our_time = (statistics.fmean(column) for column in zip(*times, strict=True))
    print(f"CPU time of the six runs: program {their_time:.1f} s, this engine {our_time:.1f} s, "
          f"ratio {their_time / our_time:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
