"""Write the golden summaries anew, with a reason that is kept.

python -m tests.golden.repin "why the numbers changed" [SCENARIO ...]
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

from colossus_sim.version import MODEL_VERSION
from tests.golden.play import HERE, SCENARIOS, differences, essentials, played

LEAST_WORDS = 3


def main(arguments: list[str]) -> None:
    """Pin the named scenarios (default: all that changed) and note the reason."""
    reason, *names = arguments or [""]
    if len(reason.split()) < LEAST_WORDS or "\n" in reason:
        raise SystemExit(
            f'say why in one line of at least {LEAST_WORDS} words: repin "why the numbers changed"'
        )
    unknown = sorted(set(names) - set(SCENARIOS))
    if unknown:
        raise SystemExit(f"no shipped scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    changed = []
    for name in names or SCENARIOS:
        path = HERE / f"{name}.json"
        new = essentials(played(name))
        old = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if differences(old, new):
            path.write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8", newline="\n")
            changed.append(name)
    print(f"pinned anew: {', '.join(changed) or 'nothing, all as before'}")
    if changed:
        today = datetime.now(tz=UTC).date().isoformat()
        with (HERE / "REASONS.md").open("a", encoding="utf-8", newline="\n") as log:
            log.write(f"- {today}, model version {MODEL_VERSION}: {reason} ({', '.join(changed)})\n")


if __name__ == "__main__":
    main(sys.argv[1:])
