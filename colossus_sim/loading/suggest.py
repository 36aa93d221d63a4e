"""The nearest name to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the name most like `word`, or None if none is alike."""
    by_folded = {name.lower().replace("-", "_"): name for name in sorted(names)}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def nearest_hint(word: str, names: Iterable[str], *, shown: int = 12) -> str:
    """Return ``did you mean 'x'?`` or, where nothing is alike, the list of what there is."""
    known = sorted(names)
    best = nearest(word, known)
    if best is not None:
        return f"did you mean {best!r}?"
    if not known:
        return ""
    listed = ", ".join(known[:shown]) + (", ..." if len(known) > shown else "")
    return f"known here: {listed}"
