"""Draw the pictures of README.md from a run of the flagship scenario.

python docs/make_images.py [RUN_FOLDER]      default: simulates scenarios/colossus_roadmap.yaml
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 400_000
"""Largest picture that is committed. [B]"""


def main(arguments: list[str]) -> None:
    """Write docs/images/gantt.png."""
    from colossus_sim import load_run, load_scenario, simulate

    if arguments:
        result = load_run(arguments[0])
    else:
        result = simulate(load_scenario(str(ROOT / "scenarios" / "colossus_roadmap.yaml")))
    target = ROOT / "docs" / "images" / "gantt.png"
    target.parent.mkdir(exist_ok=True)
    result.plot_gantt(target)
    size = target.stat().st_size
    if size > LIMIT:
        raise SystemExit(f"{target} has {size} bytes, more than {LIMIT}")
    print(f"{target.relative_to(ROOT)}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])
