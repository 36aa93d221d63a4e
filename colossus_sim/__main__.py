"""``python -m colossus_sim`` is the same as ``colossus-sim``."""

from __future__ import annotations

from colossus_sim.cli.main import main

if __name__ == "__main__":
    main()
