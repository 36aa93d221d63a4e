"""Runs that the horizon cut off: which measures have their last value, and what the others come to at least."""

from __future__ import annotations

import math
from collections.abc import Mapping

from colossus_sim.results.slip import GROUPS
from colossus_sim.sweeps.measure import COMPLETE, SIMULATED, group_measure
from colossus_sim.sweeps.network_bill import MEASURES as BILL_MEASURES

Values = Mapping[str, float]

_UP_AND_DOWN = ("slower step than planned", "scattered placement")
"""Groups of causes that may win time too, so that they may shrink while a job goes on."""

_OF_TARGET = frozenset({"finish_days", "slip_days", *map(group_measure, GROUPS)})
"""Measures of a job that rest on the end of what its target means; the others rest on that of the whole job."""

_SETTLED = frozenset({"finished", COMPLETE, SIMULATED.rpartition(".")[2], *BILL_MEASURES})
"""Measures that are as they are, whenever the simulation stops."""

_GROWING = frozenset(
    {
        "finish_days", "slip_days", "wall_clock_days", "queue_wait_days", "gpu_days", "interruptions",
        "lost_work_gpu_days", "energy_MWh", "capacity_gpu_days", "failures", "mean_queue_wait_days",
        "mean_slip_days", *(group_measure(group) for group in GROUPS if group not in _UP_AND_DOWN),
    }
)  # fmt: skip
"""Measures that only grow while a job goes on; what is left are ratios, which may move both ways."""


def grows(measure: str) -> bool:
    """Say whether a measure can only grow while a job goes on."""
    return measure.rpartition(".")[2] in _GROWING


def is_cut_off(measure: str, values: Values) -> bool:
    """Say whether the simulation of a run stopped before what a measure rests on had ended."""
    where, _, key = measure.rpartition(".")
    if key in _SETTLED:
        return False
    if measure == "cluster.mean_slip_days":
        return any(is_cut_off(name, values) for name in _slips(values))
    if key in _OF_TARGET:
        return not values.get(f"{where}.finished", 1.0)
    return not values.get(f"{where}.{COMPLETE}", 1.0)


def least(measure: str, values: Values) -> float:
    """Return the least last value that a growing measure of a run can have; NaN where that is not known.

    Of an end that did not come it is the end of the simulated time, not the projected end; of one that never comes,
    for want of GPUs, it is infinite.
    """
    if not is_cut_off(measure, values):
        return values.get(measure, math.nan)
    where, _, key = measure.rpartition(".")
    if key in ("finish_days", "slip_days") and math.isinf(values.get(measure, math.nan)):
        return math.inf
    if measure == "cluster.mean_slip_days":
        slips = [slip for slip in (least(name, values) for name in _slips(values)) if not math.isnan(slip)]
        return math.fsum(slips) / len(slips) if slips else math.nan
    if key == "finish_days":
        return values.get(SIMULATED, math.nan)
    if key == "slip_days":
        target = values.get(f"{where}.finish_days", math.nan) - values.get(measure, math.nan)
        return values.get(SIMULATED, math.nan) - target
    return values.get(measure, math.nan)


def _slips(values: Values) -> list[str]:
    return [name for name in values if name.startswith("jobs.") and name.endswith(".slip_days")]
