"""How long `colossus-sim --help` takes, and what it imports.

python benchmarks/startup.py
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = 7
CASES = (["--help"], ["schema"], ["catalog", "gpus"], ["check", "scenarios/quickstart.yaml"])
HEAVY = ("click", "numpy", "pydantic", "yaml", "scipy", "pandas", "networkx", "simpy", "matplotlib", "rich")


def measure(arguments: list[str]) -> tuple[float, float]:
    """Return the median wall and CPU time of a command. [s]"""
    walls, cpus = [], []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        command = [sys.executable, "-m", "colossus_sim", *arguments]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(walls), statistics.median(cpus)


def imported(arguments: list[str]) -> list[str]:
    """Return which of the larger libraries a command imports."""
    script = (
        "import sys\nfrom colossus_sim.cli.main import run_command_line\n"
        f"run_command_line({arguments!r})\nsys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    return [name for name in HEAVY if name in loaded]


def main() -> None:
    """Print a table."""
    print(f"{'command':<34} {'wall s':>7} {'CPU s':>7}  imports")
    for arguments in CASES:
        wall, cpu = measure(list(arguments))
        print(f"{' '.join(arguments):<34} {wall:7.3f} {cpu:7.3f}  {', '.join(imported(list(arguments)))}")


if __name__ == "__main__":
    main()
