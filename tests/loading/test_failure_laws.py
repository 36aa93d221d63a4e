"""Laws of failure as a file states them: measured gaps from a CSV file, lifetimes of units."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from colossus_sim.errors import ScenarioError
from colossus_sim.loading.load import load_scenario

Writer = Callable[..., Path]

CLASS = (
    "{per: site, rate: 1 /day, removes: nothing, detection: 0 s, "
    "provenance: {kind: assumption, reference: made up, checked: 2026-01}"
)


def load(tiny: str, write: Writer, more: str) -> object:
    """Load the small scenario with one class of failures more."""
    return load_scenario(write(tiny), overrides=[f"faults.classes.extra={CLASS}, {more}}}"])


def refused(tiny: str, write: Writer, more: str) -> str:
    """Return what is said about it."""
    with pytest.raises(ScenarioError) as caught:
        load(tiny, write, more)
    return str(caught.value)


def with_gaps(tiny: str, tmp_path: Path, table: str) -> Path:
    """Write the small scenario whose only class of failures names a table of gaps beside it."""
    (tmp_path / "log.csv").write_text(table, "utf-8")
    file = tmp_path / "measured.yaml"
    base = tmp_path / "base.yaml"
    base.write_text(tiny, "utf-8")
    entry = f"{CLASS}, distribution: empirical, gaps: log.csv}}"
    file.write_text(f"extends: base.yaml\nfaults: {{classes: {{extra: {entry}}}}}\n", "utf-8")
    return file


def test_gaps_are_read_from_a_csv_file(tiny: str, tmp_path: Path) -> None:
    """Hours of the named column become seconds; comments and other columns do not matter."""
    table = "# one month\nwhen,gap_h\n2026-01-01,3\n2026-01-02,0.5\n"
    scenario = load_scenario(with_gaps(tiny, tmp_path, table))
    assert scenario.faults.classes["extra"].gaps == (10800.0, 1800.0)
    assert any(fact.path.endswith("log.csv") for fact in scenario.loaded.files)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("hours\n3\n", "has no column gap_s or gap_h"),
        ("gap_s\n3\nsoon\n", "row 3: 'soon' is not a number from 0 up"),
        ("gap_s\n-3\n", "row 2: '-3' is not a number from 0 up"),
    ],
)
def test_a_table_without_gaps_is_refused(tiny: str, tmp_path: Path, table: str, said: str) -> None:
    """The message names the file, the row and what is wrong."""
    with pytest.raises(ScenarioError, match=said):
        load_scenario(with_gaps(tiny, tmp_path, table))


def test_rules_of_the_laws(tiny: str, write: Writer) -> None:
    """An empirical law needs gaps; only hardware has an age, and one law at a time."""
    assert "needs measured gaps" in refused(tiny, write, "distribution: empirical")
    life = "lifetime: {parts: [{shape: 2, life: 900 days}]}"
    assert "but the rate counts a site" in refused(tiny, write, life)
    both = f"{life}, distribution: weibull"
    assert "no distribution of its own" in refused(tiny, write, both)


def test_rules_of_planned_work(tiny: str, write: Writer) -> None:
    """Planned work names a partition that there is, begins in time, and its rounds do not overlap."""
    work = "{first: 2025-12-01, duration: 10 h, fraction: 0.1, every: 2 days, partition: mian}"
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write(tiny), overrides=[f"cluster.sites.lab.maintenance=[{work}]"])
    said = str(caught.value)
    assert "no partition 'mian'" in said
    assert "before the start" in said
    assert "a round of 10 batches takes" in said


def test_rules_of_groups(tiny: str, write: Writer) -> None:
    """A rate per group needs the size of the group, and a group is removed at such a rate only."""
    group = "per: group, group: {domains: 4}"

    def said(text: str) -> str:
        with pytest.raises(ScenarioError) as caught:
            load_scenario(write(tiny), overrides=[f"faults.classes.extra={text}}}"])
        return str(caught.value)

    assert "go together" in said(CLASS.replace("per: site", "per: group"))
    assert "go together" in said(f"{CLASS}, group: {{domains: 4}}")
    repair = "repair: {manual_time: 6 h}"
    assert "not per site" in said(f"{CLASS.replace('removes: nothing', 'removes: group')}, {repair}")
    grouped = CLASS.replace("per: site", group)
    assert "stops the jobs" in said(f"{grouped}, planned: true")
    whole = grouped.replace("removes: nothing", "removes: group")
    assert "needs 'repair'" in said(whole)
    load_scenario(write(tiny), overrides=[f"faults.classes.extra={whole}, {repair}}}"])


def test_rules_of_loads_and_defects(tiny: str, write: Writer) -> None:
    """Only single units of constant rate fail under load only, and only what is removed can come back."""
    assert "can fail under load only" in refused(tiny, write, "under_load: true")
    assert "come back" in refused(tiny, write, "repair: {recurs_after: 1 h}")
    node = CLASS.replace("per: site", "per: node").replace("removes: nothing", "removes: node")
    rest = "under_load: true, repair: {auto_first: true, recurs_after: 1 h}}"
    load_scenario(write(tiny), overrides=[f"faults.classes.extra={node}, {rest}"])
