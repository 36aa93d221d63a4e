"""What the pictures of sweeps and forecasts show: plain numbers, made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measure at every point of a sweep; NaN where there are no runs.

    Attributes
    ----------
    name, label, unit : str
        Name, words for the axis, unit.
    mean, half_width : tuple of float
        Mean and half of its 95 % interval.
    low, high : tuple of float
        P10 and P90 of the runs.
    more_is_better : bool or None
        Whether more of it is welcome; None where that depends.
    unfinished : tuple of int
        Runs that the horizon cut off before what is measured had ended; empty: none at any point.
    grows : bool
        Whether such runs make the mean a lower bound.
    """

    name: str
    label: str
    unit: str
    mean: tuple[float, ...]
    half_width: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    more_is_better: bool | None = None
    unfinished: tuple[int, ...] = ()
    grows: bool = False

    def is_open(self, point: int) -> bool:
        """Say whether runs of a point were cut off."""
        return bool(self.unfinished) and self.unfinished[point] > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that differs between points.

    Attributes
    ----------
    name : str
        Field path.
    texts : tuple of str
        Value at each point as written.
    numbers : tuple of float or None
        The same as numbers in the unit of the first; None if they are none.
    unit : str
        That unit.
    """

    name: str
    texts: tuple[str, ...]
    numbers: tuple[float, ...] | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One unknown of a tornado: how much a measure changes at its low and at its high end.

    Attributes
    ----------
    low_open, high_open : bool
        Whether the change rests on runs that the horizon cut off.
    """

    label: str
    low: float
    high: float
    low_half_width: float
    high_half_width: float
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one named change does to the mean of a measure, run by run with the same seeds."""

    label: str
    mean: float
    half_width: float
    open: bool = False
    """Whether it rests on runs that the horizon cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepView:
    """A sweep.

    Attributes
    ----------
    tornado : tuple of (Measured, tuple of Bar)
        Filled for a tornado; then `parameters` are not drawn.
    changes : tuple of (Measured, tuple of Change)
        Filled for named changes; then `parameters` are not drawn.
    cost : Measured or None
        What the points cost.
    sampled : bool
        Whether the points are spread over ranges, so that all fields differ from point to point.
    replicated : bool
        Whether points have several runs, so that there are bands to draw.
    """

    title: str
    note: str
    parameters: tuple[Parameter, ...]
    measures: tuple[Measured, ...]
    cost: Measured | None
    tornado: tuple[tuple[Measured, tuple[Bar, ...]], ...] = ()
    changes: tuple[tuple[Measured, tuple[Change, ...]], ...] = ()
    sampled: bool = False
    replicated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseBand:
    """When a phase starts and ends. Days since 1970-01-01; infinite where it does not come to that.

    Attributes
    ----------
    start, end : (float, float, float)
        P10, P50, P90.
    """

    name: str
    kind: str
    start: tuple[float, float, float]
    end: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBand:
    """A job of a forecast. Days since 1970-01-01; NaN where there is none.

    Attributes
    ----------
    finish : (float, float, float)
        P10, P50, P90 of the end of what the target means; infinite where it never ends.
    probability : float
        Share of runs that meet the target; NaN without one, or if it lies after the horizon of open runs.
    projected : bool
        Whether the median end rests on runs that were not done at the horizon.
    """

    title: str
    target: float
    finish: tuple[float, float, float]
    probability: float
    phases: tuple[PhaseBand, ...]
    projected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastView:
    """A forecast.

    Attributes
    ----------
    horizon : float
        End of the simulated time. Days since 1970-01-01.
    drivers : tuple of (str, tuple of (str, float))
        Per job the shares of variance of what drives its end, the largest first.
    chance : float
        Share of variance that an assumption without any effect may seem to have.
    """

    title: str
    note: str
    start: float
    horizon: float
    jobs: tuple[JobBand, ...]
    drivers: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]
    chance: float = 0.0
