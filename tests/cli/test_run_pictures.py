"""``run --plots`` chooses the pictures."""

from __future__ import annotations

import pytest

from colossus_sim.cli.plot import KINDS, USUAL
from colossus_sim.cli.run import parse_plots
from colossus_sim.errors import UsageError


@pytest.mark.parametrize(("text", "expected"), [
    ("usual", USUAL), ("all", KINDS), ("none", ()), ("gantt", ("gantt",)), (" Slip, gantt,slip", ("slip", "gantt")),
])  # fmt: skip
def test_pictures_are_named_or_grouped(text: str, expected: tuple[str, ...]) -> None:
    """Names, in any case and order, each once; or one word for a group."""
    assert parse_plots(text) == expected


@pytest.mark.parametrize("text", ["gannt", "", "gantt,none", "gantt;slip"])
def test_unknown_pictures_are_wrong_usage(text: str) -> None:
    """The message lists what there is."""
    with pytest.raises(UsageError, match="is not one of gantt, utilization"):
        parse_plots(text)
