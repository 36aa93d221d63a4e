"""Our flow simulation against SimGrid's on the same flows: every finish time, and CPU seconds.

    python benchmarks/vs_simgrid.py [--quick] [--large] [--no-jit] [--repeat N]

SimGrid's Python binding is looked for in this interpreter and in the system's (Debian, Ubuntu: apt-get install
python3-simgrid). Compared is what both do: fluid flows with max-min fair rates. SimGrid can do much more
(latency, TCP effects, programs); that is not measured here. Times are CPU seconds of the run alone, best of N
for us, one run for SimGrid; loading and compiling our kernel is printed once. Ends with status 1 if a finish time
differs by more than 5 ns (SimGrid's own precision is 1 ns).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from flow_cases import Case, Floats, FlowSet, make_flows, summary  # noqa: E402

from colossus_sim.compiling import jit_available  # noqa: E402
from colossus_sim.network import max_min_rates, simulate_flows  # noqa: E402

TOLERANCE = 5e-9
QUICK = (
    Case(name="permutation 1,024", hosts=1024, workload="perm"),
    Case(name="all-to-all 2 flows/host 1,024", hosts=1024, workload="a2a", degree=2),
    Case(name="jobs of 64, 1,024", hosts=1024, workload="jobs"),
    Case(name="poisson 4 flows/host 1,024", hosts=1024, workload="poisson"),
)
FULL = (
    Case(name="permutation 16,384", hosts=16384, workload="perm"),
    Case(name="jobs of 64, 16,384", hosts=16384, workload="jobs"),
    Case(name="all-to-all 4 flows/host 1,024", hosts=1024, workload="a2a"),
)
LARGE = (
    Case(name="all-to-all 16 flows/host 1,024, equal", hosts=1024, workload="a2a", degree=16, sizes="fixed"),
)
ALONE = Case(name="permutation 131,072", hosts=131072, workload="perm")


def simgrid_python() -> str | None:
    """Return an interpreter that can import SimGrid, or None."""
    candidates = [sys.executable, shutil.which("python3"), "/usr/bin/python3", "/usr/bin/python3.11"]
    for python in dict.fromkeys(found for found in candidates if found and Path(found).exists()):
        probe = subprocess.run([python, "-c", "import simgrid"], capture_output=True, check=False)
        if probe.returncode == 0:
            return python
    return None


def run_simgrid(python: str, flows: FlowSet, limit: float) -> dict[str, Any] | None:
    """Return SimGrid's finish times and CPU seconds; None if it took longer than `limit` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        case, result = Path(folder) / "case.json", Path(folder) / "result.json"
        arrays = {name: getattr(flows, name).tolist() for name in ("capacity", "ptr", "idx", "size", "start")}
        case.write_text(json.dumps(arrays), encoding="ascii")
        script = str(HERE / "simgrid_flows.py")
        try:
            subprocess.run(
                [python, script, str(case), str(result)], check=True, timeout=limit, capture_output=True
            )
        except subprocess.TimeoutExpired:
            return None
        found: dict[str, Any] = json.loads(result.read_text(encoding="ascii"))
        return found


def run_ours(flows: FlowSet, jit: bool | None, repeat: int) -> tuple[Floats, float]:
    """Return our finish times and the least CPU seconds."""
    best = np.inf
    for _ in range(repeat):
        before = time.process_time()
        finish = simulate_flows(flows.capacity, (flows.ptr, flows.idx), flows.size, flows.start, jit=jit)
        best = min(best, time.process_time() - before)
    return finish, float(best)


def residual(flows: FlowSet) -> float:
    """Return by how much the rates of all flows at once miss max-min optimality (relative)."""
    rates = max_min_rates(flows.capacity, (flows.ptr, flows.idx))
    spread = np.repeat(rates, np.diff(flows.ptr))
    load = np.bincount(flows.idx, weights=spread, minlength=flows.capacity.size)
    fastest = np.zeros(flows.capacity.size)
    np.maximum.at(fastest, flows.idx, spread)
    free = (flows.capacity - load) / flows.capacity
    gaps = np.maximum(free[flows.idx], (fastest[flows.idx] - spread) / fastest[flows.idx])
    return float(max(np.minimum.reduceat(gaps, flows.ptr[:-1]).max(), -free.min()))


def compare(python: str, case: Case, options: argparse.Namespace) -> bool:
    """Run one case with both and print a line; return whether all finish times agree."""
    flows = make_flows(case)
    ours, cpu = run_ours(flows, options.jit, options.repeat)
    other = run_simgrid(python, flows, options.limit)
    label = f"{case.name:40s} {summary(flows)['flows']:8,d} {cpu:10.4f}"
    if other is None:
        print(f"{label}   SimGrid stopped after {options.limit:.0f} s")
        return True
    worst = float(np.max(np.abs(ours - np.array(other["finish"]))))
    print(
        f"{label} {other['cpu']:10.3f} {other['cpu'] / cpu:8.1f}x {worst * 1e9:10.2f} {residual(flows):10.1e}",
        flush=True,
    )
    return worst <= TOLERANCE


def alone(options: argparse.Namespace) -> None:
    """Run the largest case with ours only."""
    flows = make_flows(ALONE)
    _, cpu = run_ours(flows, options.jit, 1)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{ALONE.name:40s} {flows.size.size:8,d} {cpu:10.4f}   peak memory of this process {memory:.0f} MiB"
    )


def main() -> int:
    """Compare on all cases; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only the four small cases")
    parser.add_argument("--large", action="store_true", help="also cases that take SimGrid minutes")
    parser.add_argument("--no-jit", action="store_true", help="run our kernel interpreted")
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours; the best counts")
    parser.add_argument("--limit", type=float, default=600.0, help="longest SimGrid run in seconds")
    options = parser.parse_args()
    options.jit = not (options.no_jit or not jit_available())
    warm = make_flows(Case(name="warm", hosts=64, workload="perm"))
    _, cpu = run_ours(warm, options.jit, 1)
    kind = "compiled by numba" if options.jit else "interpreted"
    print(f"Our kernel: {kind}; loading it took {cpu:.2f} CPU s (much less once it is cached)")
    python = simgrid_python()
    if python is None:
        print("SimGrid is not installed, nothing to compare with (Debian: apt-get install python3-simgrid)")
        alone(options)
        return 0
    print(f"SimGrid in {python}")
    print(
        f"{'case':40s} {'flows':>8s} {'ours CPU s':>10s} {'SimGrid':>10s} {'ratio':>9s} {'diff ns':>10s} KKT"
    )
    cases = (*QUICK, *(() if options.quick else FULL), *(LARGE if options.large else ()))
    agree = [compare(python, case, options) for case in cases]
    if not options.quick:
        alone(options)
    print("All finish times agree within 5 ns" if all(agree) else "FINISH TIMES DIFFER")
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
