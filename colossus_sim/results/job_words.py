"""What became of one job, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colossus_sim.results.targets import verdict
from colossus_sim.results.words import SMALL_DAYS, day, length, never, number, signed

Data = Mapping[str, Any]


def job_sentence(job: Data) -> str:
    """Return finish against target and the largest causes, in words."""
    name = job["title"] if job["title"] == job["name"] else f"{job['title']} ({job['name']})"
    if job["start_date"] is None:
        return f"{name}: never got GPUs before the simulation ended.{_target_words(job)}{_never_words(job)}"
    end = (
        f"finished {day(job['finish_date'])}" if job["finished"] else "not finished when the simulation ended"
    )
    words = f"{_target_words(job)}{_never_words(job)}{_cause_words(job)}"
    return f"{name}: {end} after {number(job['wall_clock_days'], 1)} days.{words}"


def finish_text(job: Data) -> str:
    """Return when a job ended, or that it did not, or never will."""
    return day(job["finish_date"]) if job["finished"] else never(job["gpus_gone_date"]) or "not finished"


def _never_words(job: Data) -> str:
    gone = job["gpus_gone_date"]
    if gone is None:
        return ""
    return f" It never ends on this capacity: {job['site']} has not enough GPUs for it after {day(gone)}."


def _target_words(job: Data) -> str:
    if job["target_date"] is None:
        return " It has no target."
    target = f"the target of {day(job['target_date'])} ({job['target_means']})"
    slip = job["slip_days"]
    if job["slip_is_lower_bound"]:
        if job["gpus_gone_date"] is not None:
            return f" It does not reach {target}."
        if verdict(slip, ended=False) == "unknown":
            text = (
                f" Whether it meets {target} is not known: the simulation stopped {length(slip)} before that"
            )
        else:
            text = f" It did not reach {target}: slip is at least {number(slip, 1)} days"
        if job["projected_finish_date"] is not None:
            text += (
                f"; with the remaining work at its healthy rate and no further losses it would be "
                f"{day(job['projected_finish_date'])}, {signed(job['projected_slip_days'])} "
                "(a projection, not simulated)"
            )
        return text + "."
    return f" It ended {length(slip)} {'after' if slip > 0.0 else 'before'} {target}."


def _cause_words(job: Data) -> str:
    groups = dict(job["slip_groups"])
    if not groups:
        return ""
    plan = groups.pop("plan against target")
    ordered = sorted(groups.items(), key=lambda item: (-abs(item[1]), item[0]))
    named = [f"{name} {signed(days)}" for name, days in ordered if abs(days) >= SMALL_DAYS][:4]
    causes = f" Largest causes: {', '.join(named)}." if named else ""
    if plan > 0:
        return f"{causes} The target was {number(plan, 1)} days tighter than the plan's own work."
    return f"{causes} The target left {number(-plan, 1)} days more than the plan's own work."


def slip_text(job: Data) -> str:
    """Return the slip of a job; at least (>=) if it did not end."""
    text = signed(job["slip_days"])
    return f">= {text}" if job["slip_is_lower_bound"] else text
