"""Draws from the assumptions of a scenario: values that its files give with a low, a central and a high end.

What belongs together is drawn together, with one quantile for the whole group, because a group is one unknown:
the token counts of a job (its data releases hold what its phases consume), the capacity steps of a site with
the GPUs that its jobs ask for, the shape of a job's model with the plan that fits it, and fields of one name that
rest on one source.

Numbers move continuously between low, central and high, except those that a plan is made for (GPUs of jobs,
shapes of models, parallel plans): of these, like of words, one of the three is taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colossus_sim.loading.facts import Assumption
from colossus_sim.randomness import stream
from colossus_sim.sweeps.kinds import field_kind
from colossus_sim.sweeps.quantities import numbers

_JOB = re.compile(
    r"jobs\.(?P<job>.+?)\.(?:model|parallel|data|phases|gpus|min_gpus|max_gpus|submit|[a-z_]+$)"
)
_CAPACITY = re.compile(r"cluster\.sites\.(?P<site>.+?)\.partitions\..+\.capacity\[\d+\]")
_STRUCTURE = re.compile(r"jobs\..+?\.(?:model|parallel|phases\..+\.parallel)\.")
_PLANNED = ("gpus", "min_gpus", "max_gpus")
_PLANNED_PATH = re.compile(r"jobs\..+\.(?:gpus|min_gpus|max_gpus)$")
_ROUNDING = 1e-8
"""Added to released tokens, so that rounding never leaves a phase a token short of data."""
SWITCH = (0.25, 0.75)
"""Quantiles at which a choice that is no number goes from low to central and from central to high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Assumptions that are one unknown.

    Attributes
    ----------
    name : str
        What is unknown.
    members : tuple of Assumption
        The values that move together.
    """

    name: str
    members: tuple[Assumption, ...]

    def overrides(self, quantile: float) -> tuple[str, ...]:
        """Return ``path=value`` for every member at a quantile (0 = low, 1 = high)."""
        return tuple(f"{item.path}={_value(item, quantile)}" for item in self.members)

    def ends(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the overrides of the low and of the high end."""
        return (
            tuple(f"{item.path}={_text(item.low)}" for item in self.members),
            tuple(f"{item.path}={_text(item.high)}" for item in self.members),
        )


def groups(assumptions: Sequence[Assumption], sites: Mapping[str, str] | None = None) -> tuple[Group, ...]:
    """Return the groups of assumptions that have a range, in order of name.

    Parameters
    ----------
    sites : mapping of str to str, optional
        Site of each job; its GPUs move with the capacity there.
    """
    found: dict[str, list[Assumption]] = {}
    for item in assumptions:
        if item.low != item.high or item.low != item.central:
            found.setdefault(_key(item, sites or {}), []).append(item)
    made = []
    for name, members in sorted(found.items()):
        shown = members[0].path if len(members) == 1 else name
        made.append(Group(name=shown, members=tuple(members)))
    return tuple(made)


def _key(item: Assumption, sites: Mapping[str, str]) -> str:
    job = _JOB.match(item.path)
    site = _CAPACITY.match(item.path)
    field = item.path.rpartition(".")[2]
    if site is not None:
        return f"{site['site']} capacity"
    if job is not None and _STRUCTURE.match(item.path):
        return f"{job['job']} shape"
    if job is not None and field in _PLANNED and job["job"] in sites:
        return f"{sites[job['job']]} capacity"
    if job is not None and field == "tokens":
        return f"{job['job']} tokens"
    return f"{field}: {' '.join(item.source.split()) or item.path}"


def _text(value: Any) -> str:
    """Return a value in the YAML flow style that an override is written in."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_text(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_text(entry) for entry in value) + "]"
    return "null" if value is None else str(value)


def _value(item: Assumption, quantile: float) -> str:
    fixed = _STRUCTURE.match(item.path) or _PLANNED_PATH.match(item.path)
    found = None if fixed else numbers([item.low, item.central, item.high], field_kind(item.path))
    if found is None:
        first, second = SWITCH
        return _text(item.low if quantile < first else item.central if quantile < second else item.high)
    (low, central, high), scale = found
    number = triangular(quantile, low, central, high)
    if ".data.releases[" in item.path:
        number *= 1.0 + _ROUNDING
    return scale.text(number)


def triangular(quantile: float, low: float, mode: float, high: float) -> float:
    """Return a quantile of the triangular law; `low` may be the larger end, then it falls.

    The law of least information for a minimum, a most likely value and a maximum: Kotz and van Dorp, Beyond Beta,
    World Scientific 2004, chapter 1 (doi:10.1142/5720). A mode outside of the range counts as the nearer end.
    """
    if low == high:
        return low
    share = min(1.0, max(0.0, (mode - low) / (high - low)))
    if quantile < share:
        return low + (high - low) * math.sqrt(quantile * share)
    return high - (high - low) * math.sqrt((1.0 - quantile) * (1.0 - share))


def draw_quantiles(found: Sequence[Group], seed: int, count: int) -> NDArray[np.float64]:
    """Return uniform quantiles, a row per replica and a column per group.

    Every group has its own stream, named by what is unknown: the first rows stay when `count` grows, and a new
    assumption moves no other.
    """
    columns = [stream(seed, "assumption", group.name).random(count) for group in found]
    return np.column_stack(columns) if columns else np.empty((count, 0))
