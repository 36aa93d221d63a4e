"""Which run a folder holds: the same run again may replace it, another one may not."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from colossus_sim.loading.written import resolved_tree
from colossus_sim.results.assumptions import facts_of
from colossus_sim.specs.scenario import Scenario

RESOLVED_FILE = "scenario.resolved.yaml"
"""Written as JSON, which is YAML; the loader reads it."""
MOST_SHOWN = 32
"""Characters of the overrides that the name of a folder shows."""


class RunIdentity(NamedTuple):
    """What makes two runs the same: all that a person chose."""

    scenario: str
    source: str
    """Name of the file or shipped scenario, without folder and suffix; of the run folder, if it is from one; empty
    if made in Python."""
    case: str
    seed: int
    overrides: tuple[str, ...]
    content: str
    """SHA-256 of the resolved scenario, if it was made or changed in Python."""

    def __str__(self) -> str:
        """Say in words which run it is."""
        name = self.source or f"{self.scenario}, changed in Python,"
        changes = f" with {' '.join(self.overrides)}" if self.overrides else ""
        return f"{name}{changes} (case {self.case}, seed {self.seed})"


def identity_of(manifest: Mapping[str, Any], content: str | None = None) -> RunIdentity:
    """Return which run a manifest or run.json tells of.

    Parameters
    ----------
    content : str, optional
        Text of the resolved scenario; default: the checksum that run.json has of it.
    """
    source = Path(str(manifest.get("source", "")))
    found = manifest.get("files", {}).get(RESOLVED_FILE, "") if content is None else _digest(content)
    return RunIdentity(
        scenario=str(manifest.get("scenario", "")),
        source=source.parent.name if source.name == RESOLVED_FILE else source.stem,
        case=str(manifest.get("case", "")),
        seed=int(manifest.get("seed", 0)),
        overrides=tuple(str(text) for text in manifest.get("overrides", ())),
        content="" if source.name else found,
    )


def planned_identity(scenario: Scenario) -> RunIdentity:
    """Return which run a loaded scenario will be."""
    facts = facts_of(scenario)
    manifest = {"scenario": scenario.name, "case": scenario.case, "seed": scenario.seed}
    if facts is not None:
        manifest |= {"source": facts.source, "overrides": facts.overrides}
    return identity_of(manifest, resolved_text(scenario))


def resolved_text(scenario: Any) -> str:
    """Return the file that says all that went in; empty if no file can."""
    facts = facts_of(scenario)
    tree = resolved_tree(scenario) if facts is None else facts.tree
    return "" if tree is None else json.dumps(_jsonable(tree), indent=2, ensure_ascii=False) + "\n"


def overrides_suffix(overrides: Sequence[str]) -> str:
    """Return the end of a folder's name for overrides: the fields changed, and six digits that tell them apart.

    ``jobs.llama_70b.gpus=480`` gives ``-gpus-480-`` and the digits; nothing gives nothing.
    """
    if not overrides:
        return ""
    words = []
    for text in overrides:
        path, _, value = text.partition("=")
        words.append(re.sub(r"[^A-Za-z0-9.]+", "-", f"{path.rpartition('.')[2]} {value}").strip("-"))
    return f"-{'-'.join(words)[:MOST_SHOWN].strip('-.')}-{_digest(json.dumps(list(overrides)))[:6]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return value
