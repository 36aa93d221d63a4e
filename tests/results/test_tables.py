"""Tables: columns, units, types, and agreement with the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pytest

from colossus_sim.records import CAUSES, GPU_STATES, RunResult
from colossus_sim.results.columns import CAUSE_MEANING, COLUMNS, STATE_MEANING
from colossus_sim.results.slip import SLIP_CAUSES
from colossus_sim.results.tables import build_tables, changed_levels, typed
from colossus_sim.units import DAY

SUFFIX_UNITS = {
    "_s": "s", "_days": "days", "_date": "date", "_MWh": "MWh", "_MW": "MW", "_GBps": "GB/s", "_MB": "MB",
    "_ms": "ms", "_TFLOPs": "TFLOP/s", "_GB": "GB", "_gpu_days": "GPU-days", "_gpu_s": "GPU-s",
    "_gpu_hours": "GPU-h",
}  # fmt: skip


@pytest.fixture(scope="module")
def tables(hand_run: RunResult) -> Mapping[str, pd.DataFrame]:
    """All tables of the hand-made run."""
    return build_tables(hand_run)


def test_every_column_is_in_the_dictionary(tables: Mapping[str, pd.DataFrame]) -> None:
    """Each table has exactly the columns of the dictionary, in order, with units and meanings attached."""
    assert list(tables) == list(COLUMNS)
    for name, frame in tables.items():
        assert list(frame.columns) == [column.name for column in COLUMNS[name]]
        assert frame.attrs["table"] == name
        assert set(frame.attrs["units"]) == set(frame.columns)
        assert all(frame.attrs["meanings"].values())


def test_unit_suffixes_agree_with_units() -> None:
    """A column whose name ends in a unit has that unit."""
    for columns in COLUMNS.values():
        for column in columns:
            suffixes = [suffix for suffix in SUFFIX_UNITS if f"_{column.name}".endswith(suffix)]
            if suffixes:
                assert column.unit == SUFFIX_UNITS[max(suffixes, key=len)], column.name


def test_causes_and_states_are_explained() -> None:
    """Every cause and every GPU state has a meaning in words."""
    assert set(CAUSE_MEANING) == {*CAUSES, *SLIP_CAUSES}
    assert set(STATE_MEANING) == set(GPU_STATES)


def test_dates_follow_seconds(tables: Mapping[str, pd.DataFrame]) -> None:
    """Dates are ISO 8601 in UTC, and empty where there is no moment."""
    jobs = tables["jobs"].set_index("job")
    assert jobs.loc["alpha", "finish_date"] == "2026-01-08T00:00:00Z"
    assert jobs.loc["beta", "finish_date"] == ""
    assert math.isnan(jobs.loc["beta", "finish_s"])
    assert jobs.loc["beta", "projected_finish_date"] == "2026-01-15T00:00:00Z"
    assert pd.to_datetime(tables["events"]["time_date"]).dt.tz is not None


def test_slip_table_adds_up(tables: Mapping[str, pd.DataFrame]) -> None:
    """The causes of each job add up to the slip in the table of jobs."""
    sums = tables["slip"].groupby("job")["slip_days"].sum()
    slips = tables["jobs"].set_index("job")["slip_days"]
    assert (sums - slips).abs().max() < 1e-9


def test_accounting_adds_up_to_capacity(tables: Mapping[str, pd.DataFrame]) -> None:
    """The shares of a partition add up to one."""
    shares = tables["accounting"].groupby(["site", "partition"])["share_of_capacity"].sum()
    assert shares.tolist() == pytest.approx([1.0], rel=1e-12)


def test_interval_causes_add_up_to_their_length(tables: Mapping[str, pd.DataFrame]) -> None:
    """In each interval the seconds by cause add up to its length."""
    frame = tables["intervals"]
    total = frame[[f"{cause}_s" for cause in CAUSES]].sum(axis=1)
    assert (total - (frame["end_s"] - frame["start_s"])).abs().max() < 1e-6


def test_estimates_become_tables(tables: Mapping[str, pd.DataFrame]) -> None:
    """Step time, memory and communication are in the units of their names."""
    assert tables["step_time"]["time_ms"].tolist() == [1500.0, 500.0]
    assert tables["memory"]["total_GB"].tolist() == [11.0]
    row = tables["communication"].iloc[0]
    assert (row["busbw_GBps"], row["message_MB"], row["time_ms"]) == (40.0, 2.0, 100.0)


def test_counts_are_whole_numbers(tables: Mapping[str, pd.DataFrame]) -> None:
    """Counts are integers where all of them are whole."""
    assert tables["jobs"]["gpus"].dtype == "int64"
    assert tables["phases"]["interruptions"].tolist() == [1, 0, 1, 0]


def test_power_is_in_megawatts(tables: Mapping[str, pd.DataFrame]) -> None:
    """Levels keep their step times and give power in MW."""
    assert tables["utilization"]["power_MW"].tolist() == [1.0, 2.0]
    assert tables["utilization"]["time_s"].tolist() == [0.0, 5 * DAY]


def test_levels_that_say_nothing_new_are_left_out(hand_run: RunResult) -> None:
    """Repeated levels and levels that lasted no time go; the step function is the same."""
    first, second = hand_run.levels
    between = second._replace(power=3e6)
    levels = [first, first._replace(time=DAY), between, second, second._replace(time=6 * DAY)]
    assert changed_levels(levels) == [first, second]


@pytest.mark.filterwarnings("error")
def test_counts_are_integers_only_where_these_hold_them() -> None:
    """Whole numbers below 2**63 are integers; larger ones, fractions and gaps stay floats, without a warning."""
    column = next(column for columns in COLUMNS.values() for column in columns if column.unit == "count")
    assert typed([1, 2.0], column).dtype == "int64"
    for values in ([1e40, 1.0], [-1e40], [1.5], [None, 1], [math.inf]):
        assert typed(values, column).dtype == "float64"
