"""What the Gantt chart shows of each job, read from the tables and the scenario."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from colossus_sim.formulas.transformer import count_parameters
from colossus_sim.plots.series import Floats, moments, start_of, words
from colossus_sim.plots.style import SHORT_WORDS, WAIT_HATCHES, Theme, phase_family
from colossus_sim.results.targets import Verdict, verdict
from colossus_sim.specs.architecture import Architecture
from colossus_sim.units import DAY

NAN = float("nan")

SLOWED = 0.01
"""Share of its time that a phase must lose to traffic of other jobs before the chart marks the episode."""

SAME_EPISODE = 0.25
"""Episodes nearer to each other than this are drawn as one; restarts would tear them into shreds. [days]"""

STRETCH = 0.12
"""How much of its length the chart may grow to show what lies beyond the simulated time and the targets."""


Wait = tuple[str, float, float]
"""State, start and end. [days since 1970]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseBar:
    """One phase of a job; moments in days since 1970.

    Attributes
    ----------
    name : str
        Name of the phase in the scenario.
    labels, family : tuple of str, str
        Names from long to short, and family that gives the colour.
    start, end : float
        First moment with GPUs (NaN if it never had any), and end (NaN if it did not end).
    lane : int
        Sub-row of the job, so that overlapping phases lie under each other.
    waits : tuple of (state, start, end)
        Waits long enough to be seen, before or inside the phase.
    slowed : tuple of (start, end, share)
        Episodes in which other jobs on the same links slowed it, and the share of the time that went there.
    """

    name: str
    labels: tuple[str, ...]
    family: str
    start: float
    end: float
    lane: int
    waits: tuple[tuple[str, float, float], ...]
    slowed: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job of the chart; moments in days since 1970, NaN where there is none.

    Attributes
    ----------
    title, caption : str
        Name for people, and a line on GPUs and model.
    phases : tuple of PhaseBar
        Its phases.
    failures, gates : array
        Moments of failures that stopped it, and of its data gates.
    submit, finish, projected : float
        Enters the queue, end of the last phase, projected end if it did not end.
    gone : float
        When the last GPUs leave that are enough for it, if it never ends.
    target, target_end, slip_days : float
        Target date, end (or projected end) of what it means, and the difference.
    slip_is_lower_bound : bool
        Whether that end lies beyond the horizon.
    least_slip_days : float
        The slip, or the horizon minus the target where the end lies beyond the horizon.
    observed : tuple of (earliest, latest)
        Reported outcomes; latest is infinite where it had not happened by `earliest`.
    """

    name: str
    title: str
    caption: str
    phases: tuple[PhaseBar, ...]
    failures: Floats
    gates: Floats
    submit: float
    finish: float
    projected: float
    gone: float
    target: float
    target_end: float
    slip_days: float
    slip_is_lower_bound: bool
    least_slip_days: float
    observed: tuple[tuple[float, float], ...]

    @property
    def lanes(self) -> int:
        """Sub-rows that the job needs."""
        return 1 + max((phase.lane for phase in self.phases), default=0)

    @property
    def verdict(self) -> Verdict:
        """What became of its target."""
        never = not math.isnan(self.gone) and not math.isnan(self.least_slip_days)
        return verdict(math.inf if never else self.least_slip_days, ended=not self.slip_is_lower_bound)

    @property
    def latest_slip_days(self) -> float:
        """Slip by which jobs are ordered: one that never ends is later than any other."""
        return self.slip_days if math.isnan(self.gone) else math.inf

    @property
    def late(self) -> bool:
        """Whether it missed its target."""
        return self.verdict == "missed"

    def slip_colour(self, look: Theme) -> str:
        """Return the colour of its slip: muted where nobody knows whether the target is met."""
        return look.of_verdict(self.verdict)


def job_rows(result: Any, *, horizon: float) -> tuple[JobRow, ...]:
    """Return one row per job in the order of the scenario.

    `horizon` is where the simulation stopped. [days since 1970]
    """
    tables = result.tables
    start = start_of(tables)
    phases = dict(tuple(tables["phases"].groupby("job", sort=False)))
    waits = _waits(tables["intervals"], start)
    slowed = slow_episodes(tables["intervals"], start)
    failures = _moments_of(tables["events"], "failure", "time_s", start)
    passed = _moments_of(tables["events"], "gate", "value", start)
    scenario = getattr(result, "scenario", None)
    rows = []
    for job in tables["jobs"].to_dict("records"):
        name = str(job["job"])
        spec = scenario.jobs.get(name) if scenario is not None else None
        bars = _bars(phases.get(name), waits.get(name, {}), start, horizon)
        bars = tuple(replace(bar, slowed=slowed.get((name, bar.name), ())) for bar in bars)
        gates = _gates(spec) if spec is not None else passed.get(name, np.zeros(0))
        rows.append(_row(job, spec, bars, (failures.get(name, np.zeros(0)), gates), start))
    return tuple(rows)


def without_short_waits(jobs: Sequence[JobRow], shortest: float) -> tuple[JobRow, ...]:
    """Return the jobs without the waits that are too short to be seen; failure marks stand for them. [days]

    A wait that failures and restarts cut into pieces is one wait: its pieces are joined before short ones go.
    """

    def visible(phase: PhaseBar) -> PhaseBar:
        waits = tuple(wait for wait in joined_waits(phase.waits, shortest) if wait[2] - wait[1] >= shortest)
        return replace(phase, waits=waits)

    return tuple(replace(job, phases=tuple(map(visible, job.phases))) for job in jobs)


def joined_waits(waits: Sequence[Wait], gap: float) -> tuple[Wait, ...]:
    """Join waits of one state where the time between them is below `gap` [days] and less than the waiting."""
    joined: list[Wait] = []
    waited = 0.0
    for state, begin, end in sorted(waits, key=lambda wait: wait[1]):
        if joined and joined[-1][0] == state and begin - joined[-1][2] < gap:
            first = joined[-1][1]
            if 2.0 * (waited + end - begin) >= end - first:
                joined[-1] = (state, first, end)
                waited += end - begin
                continue
        joined.append((state, begin, end))
        waited = end - begin
    return tuple(joined)


def _row(
    job: Mapping[str, Any], spec: Any, bars: tuple[PhaseBar, ...], marks: tuple[Floats, Floats], start: float
) -> JobRow:
    def moment(key: str) -> float:
        value = job.get(key)
        return NAN if value is None or pd.isna(value) else (start + float(value)) / DAY

    bound = bool(job.get("slip_is_lower_bound") or False)
    target = moment("target_s")
    slip = _number(job.get("projected_slip_days" if bound else "slip_days"))
    if bound and math.isnan(slip):
        slip = _number(job.get("slip_days"))
    return JobRow(
        name=str(job["job"]),
        title=_text(job.get("title")) or str(job["job"]),
        caption=_caption(job, spec),
        phases=bars,
        failures=marks[0],
        gates=np.unique(marks[1]),
        submit=moment("submit_s"),
        finish=moment("finish_s"),
        projected=_date(job.get("projected_finish_date")),
        gone=_date(job.get("gpus_gone_date")),
        target=target,
        target_end=target + slip,
        slip_days=slip,
        slip_is_lower_bound=bound,
        least_slip_days=_number(job.get("slip_days")),
        observed=_observed(spec),
    )


def _number(value: Any) -> float:
    return NAN if value is None or pd.isna(value) else float(value)


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value).strip()


def _date(value: Any) -> float:
    if not _text(value):
        return NAN
    moment = pd.Timestamp(value)
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment
    return float(moment.timestamp()) / DAY


def _caption(job: Mapping[str, Any], spec: Any) -> str:
    parts = [f"{int(job['gpus']):,} GPUs"]
    if spec is not None and isinstance(spec.model, Architecture):
        parts.append(model_size(spec.model))
    else:
        parts.append(_text(job.get("model")))
    parts.append(_text(job.get("site")))
    return " \u00b7 ".join(part for part in parts if part)


def model_size(model: Architecture) -> str:
    """Return the parameters of a model in words: ``405B``, or ``1T (102B active)`` for a mixture of experts."""
    count = count_parameters(model)
    total, active = _parameters(count.total), _parameters(count.active)
    return total if model.moe is None else f"{total} ({active} active)"


def _parameters(count: float) -> str:
    scale, unit = (1e12, "T") if count >= 0.9995e12 else (1e9, "B") if count >= 0.9995e9 else (1e6, "M")
    return f"{count / scale:.3g}{unit}"


def _gates(spec: Any) -> Floats:
    ready = {release.ready for release in spec.data.releases}
    ready |= {phase.data_ready for phase in spec.phases.values() if phase.data_ready is not None}
    return np.array(sorted(ready), dtype=np.float64) / DAY


def _observed(spec: Any) -> tuple[tuple[float, float], ...]:
    if spec is None:
        return ()
    return tuple(
        (seen.earliest / DAY, math.inf if seen.latest is None else seen.latest / DAY)
        for seen in spec.observed
    )


def _moments_of(events: pd.DataFrame, kind: str, name: str, start: float) -> dict[str, Floats]:
    """Moments of the events of one kind, by job; those that hit no job are left out."""
    chosen = events[(events["kind"] == kind) & (events["job"].fillna("") != "")]
    return {str(job): moments(part, name, start) for job, part in chosen.groupby("job", sort=False)}


def _waits(intervals: pd.DataFrame, start: float) -> dict[str, dict[str, list[Wait]]]:
    """Waits by job and phase; touching intervals of one state are joined."""
    waiting = intervals[intervals["state"].isin(list(WAIT_HATCHES))]
    found: dict[str, dict[str, list[Wait]]] = {}
    rows = zip(
        words(waiting, "job"),
        words(waiting, "phase"),
        words(waiting, "state"),
        moments(waiting, "start_s", start).tolist(),
        moments(waiting, "end_s", start).tolist(),
        strict=True,
    )
    for job, phase, state, begin, end in sorted(rows, key=lambda row: (row[0], row[1], row[3], row[4])):
        waits = found.setdefault(job, {}).setdefault(phase, [])
        if waits and waits[-1][0] == state and begin - waits[-1][2] <= 1.0 / DAY:
            waits[-1] = (state, waits[-1][1], end)
        else:
            waits.append((state, begin, end))
    return found


Episode = tuple[float, float, float]


def slow_episodes(intervals: pd.DataFrame, start: float) -> dict[tuple[str, str], tuple[Episode, ...]]:
    """Return when traffic of other jobs slowed a phase, by job and phase: start, end, share of the time lost.

    `start` is that of the scenario [s]; moments are days since 1970.
    """
    length = intervals["end_s"] - intervals["start_s"]
    slow = intervals[intervals["contention_s"] > SLOWED * length]
    rows = zip(
        words(slow, "job"),
        words(slow, "phase"),
        moments(slow, "start_s", start).tolist(),
        moments(slow, "end_s", start).tolist(),
        (slow["contention_s"] / DAY).tolist(),
        strict=True,
    )
    found: dict[tuple[str, str], list[Episode]] = {}
    for job, phase, begin, end, lost in sorted(rows):
        episodes = found.setdefault((job, phase), [])
        if episodes and begin - episodes[-1][1] <= SAME_EPISODE:
            episodes[-1] = (episodes[-1][0], max(end, episodes[-1][1]), episodes[-1][2] + lost)
        else:
            episodes.append((begin, end, lost))
    return {
        key: tuple((begin, end, lost / (end - begin)) for begin, end, lost in episodes)
        for key, episodes in found.items()
    }


def _bars(
    phases: pd.DataFrame | None, waits: Mapping[str, Sequence[Wait]], start: float, horizon: float
) -> tuple[PhaseBar, ...]:
    if phases is None:
        return ()
    bars: list[PhaseBar] = []
    free: list[float] = []
    begins, ends = moments(phases, "start_s", start), moments(phases, "end_s", start)
    titles = words(phases, "title")
    rows = list(
        zip(
            words(phases, "phase"), words(phases, "kind"), titles, begins.tolist(), ends.tolist(), strict=True
        )
    )
    for name, kind, label, begin, end in rows:
        own = tuple(waits.get(name, ()))
        left = min([begin] * (not math.isnan(begin)) + [wait[1] for wait in own], default=NAN)
        if math.isnan(left):
            continue
        right = horizon if math.isnan(end) else end
        lane = next((i for i, until in enumerate(free) if until <= left + 1e-6), len(free))
        free[lane : lane + 1] = [right]
        bars.append(
            PhaseBar(
                name=name,
                labels=phase_labels(name, kind, label),
                family=phase_family(name, kind),
                start=begin,
                end=end,
                lane=lane,
                waits=own,
            )
        )
    return tuple(bars)


def phase_labels(name: str, kind: str, title: str) -> tuple[str, ...]:
    """Return the names of a phase from long to short: its title, its family, the short word of the family."""
    family = phase_family(name, kind)
    first = title or (name.replace("_", " ") if family == "other work" else family.capitalize())
    names = (first, *(() if family == "other work" else (family.capitalize(), SHORT_WORDS[family])))
    return tuple(dict.fromkeys(names))


def span(rows: Sequence[JobRow], *, begin: float, horizon: float) -> tuple[float, float]:
    """Return first and last moment that the chart should show, with room for labels at the right.

    Projections, and reported outcomes that end far in the future, stretch the chart only a little; those
    without an end do not stretch it. Their lines run off its edge.
    """
    unfinished = any(math.isnan(row.finish) for row in rows)
    points = [horizon] if unfinished or not rows else []
    later: list[float] = []
    for row in rows:
        points += [
            row.submit,
            row.finish,
            row.target,
            *row.gates.tolist(),
            *(first for first, _ in row.observed),
        ]
        later += [row.target_end, row.projected, *(last for _, last in row.observed if math.isfinite(last))]
    known = [point for point in points if not math.isnan(point)]
    first = min([begin, *known])
    last = max([horizon if not known else first + 1.0, *known])
    far = max([last, *(point for point in later if not math.isnan(point))])
    last = min(far, last + STRETCH * (last - first))
    room = 0.02 * (last - first)
    return first - 0.5 * room, last + (6.0 if unfinished else 3.5) * room
