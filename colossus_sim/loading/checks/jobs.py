"""Rules about jobs, their phases, dates and data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from colossus_sim.errors import Problem
from colossus_sim.loading.checks.walk import (
    busy_at_once,
    gpus_path,
    job_partitions,
    needs,
    phase_gpus,
    rooms,
)
from colossus_sim.loading.suggest import nearest_hint
from colossus_sim.specs.job import Job
from colossus_sim.specs.scenario import Scenario
from colossus_sim.units import format_instant, format_instants, format_tokens

_WORK = ("tokens", "gpu_time_share", "gpu_hours", "updates")
_ALLOWED = {
    "train": ("tokens", "gpu_time_share", "gpu_hours"),
    "rl": ("updates", "gpu_time_share", "gpu_hours"),
    "compute": ("gpu_time_share", "gpu_hours"),
}


def names_known(scenario: Scenario) -> Iterator[Problem]:
    """Sites, partitions and phases that are named exist."""
    sites = scenario.cluster.sites
    for name, job in scenario.jobs.items():
        path = f"jobs.{name}"
        if job.site not in sites:
            yield _unknown(f"{path}.site", "site", job.site, sites)
        elif job.partition is not None and job.partition not in sites[job.site].partitions:
            noun = f"partition of site {job.site!r}"
            yield _unknown(f"{path}.partition", noun, job.partition, sites[job.site].partitions)
        if job.target is not None and job.target.phase and job.target.phase not in job.phases:
            yield _unknown(f"{path}.target.phase", "phase of this job", job.target.phase, job.phases)
        for index, seen in enumerate(job.observed):
            if seen.phase and seen.phase not in job.phases:
                yield _unknown(f"{path}.observed[{index}].phase", "phase of this job", seen.phase, job.phases)
        for phase_name, phase in job.phases.items():
            for index, before in enumerate(phase.after or ()):
                if before not in job.phases:
                    here = f"{path}.phases.{phase_name}.after[{index}]"
                    yield _unknown(here, "phase of this job", before, job.phases)


def _unknown(path: str, noun: str, name: str, known: Iterable[str]) -> Problem:
    return Problem(path=path, message=f"there is no {noun} called {name!r}", hint=nearest_hint(name, known))


def dates_in_order(scenario: Scenario) -> Iterator[Problem]:
    """Nothing is due before it can begin."""
    for name, job in scenario.jobs.items():
        path = f"jobs.{name}"
        if job.submit < scenario.start:
            submit, start = format_instants(job.submit, scenario.start)
            yield Problem(
                path=f"{path}.submit",
                message=f"{submit} is before the scenario's start ({start})",
                hint="move start back, or submit the job at the start",
            )
        if job.target is not None and job.target.date < job.submit:
            target, submit = format_instants(job.target.date, job.submit)
            yield Problem(
                path=f"{path}.target.date",
                message=f"the target {target} is before the job is submitted ({submit})",
            )
        for index, seen in enumerate(job.observed):
            if seen.latest is not None and seen.latest < seen.earliest:
                latest, earliest = format_instants(seen.latest, seen.earliest)
                yield Problem(
                    path=f"{path}.observed[{index}].latest",
                    message=f"{latest} is before earliest ({earliest})",
                )


def one_kind_of_work(scenario: Scenario) -> Iterator[Problem]:
    """Each phase says in exactly one way how much work it is, in a way that its kind has."""
    for name, job in scenario.jobs.items():
        for phase_name, phase in job.phases.items():
            path = f"jobs.{name}.phases.{phase_name}"
            given = [field for field in _WORK if getattr(phase, field) is not None]
            allowed = _ALLOWED[phase.kind]
            if len(given) != 1:
                said = f"{' and '.join(given)} are given" if given else "none is given"
                yield Problem(
                    path=path,
                    message=f"the work of a phase is given by exactly one of {', '.join(allowed)}; {said}",
                )
            elif given[0] not in allowed:
                yield Problem(
                    path=f"{path}.{given[0]}",
                    message=f"the work of a phase of kind {phase.kind} cannot be given by {given[0]}",
                    hint=f"use one of {', '.join(allowed)}",
                )
            elif phase.tokens == 0.0 and phase.min_duration == 0.0:
                yield Problem(
                    path=f"{path}.tokens", message="a phase needs more than 0 tokens, or a min_duration"
                )
        yield from _shares(f"jobs.{name}", job)


def _shares(path: str, job: Job) -> Iterator[Problem]:
    if any(phase.tokens is not None for phase in job.phases.values()):
        return
    for name, phase in job.phases.items():
        if phase.gpu_time_share is not None:
            yield Problem(
                path=f"{path}.phases.{name}.gpu_time_share",
                message="a share of the GPU-time of the phases with tokens, but this job has no such phase",
                hint="give gpu_hours, or tokens to an earlier phase",
            )


def phase_order(scenario: Scenario) -> Iterator[Problem]:
    """Phases do not wait for each other in a circle."""
    for name, job in scenario.jobs.items():
        before = _predecessors(job)
        done: set[str] = set()
        while True:
            ready = [phase for phase in before if phase not in done and before[phase] <= done]
            if not ready:
                break
            done.update(ready)
        for phase in before:
            if phase not in done:
                yield Problem(
                    path=f"jobs.{name}.phases.{phase}.after",
                    message=f"phase {phase!r} waits, directly or not, for itself",
                )


def _predecessors(job: Job) -> dict[str, set[str]]:
    before: dict[str, set[str]] = {}
    last: str | None = None
    for name, phase in job.phases.items():
        if phase.after is not None:
            before[name] = {other for other in phase.after if other in job.phases}
        else:
            before[name] = {last} if last is not None else set()
        last = name
    return before


def gpus_given_once(scenario: Scenario) -> Iterator[Problem]:
    """A phase has some GPUs, given in one way."""
    for name, job in scenario.jobs.items():
        for phase_name, phase in job.phases.items():
            path = f"jobs.{name}.phases.{phase_name}"
            if phase.gpus is not None and phase.gpu_share is not None:
                yield Problem(path=f"{path}.gpu_share", message="gpus and gpu_share are both given; give one")
            elif phase_gpus(job, phase) < 1:
                field = "gpus" if phase.gpus is not None else "gpu_share"
                yield Problem(path=f"{path}.{field}", message="a phase needs at least 1 GPU")


def elastic_range(scenario: Scenario) -> Iterator[Problem]:
    """min_gpus <= gpus <= max_gpus."""
    for name, job in scenario.jobs.items():
        if job.min_gpus is not None and job.min_gpus > job.gpus:
            yield Problem(
                path=f"jobs.{name}.min_gpus", message=f"{job.min_gpus} is more than gpus ({job.gpus})"
            )
        if job.max_gpus is not None and job.max_gpus < job.gpus:
            yield Problem(
                path=f"jobs.{name}.max_gpus", message=f"{job.max_gpus} is less than gpus ({job.gpus})"
            )


def data_releases(scenario: Scenario) -> Iterator[Problem]:
    """Releases are cumulative, in order of date, and enough for the phases that they gate."""
    for name, job in scenario.jobs.items():
        releases = job.data.releases
        path = f"jobs.{name}.data.releases"
        for index, (before, after) in enumerate(pairwise(releases), start=1):
            if after.ready <= before.ready:
                own, last = format_instants(after.ready, before.ready)
                yield Problem(
                    path=f"{path}[{index}].ready",
                    message=f"{own} is not after the release before it ({last})",
                    hint="list the releases in order of date",
                )
            if after.tokens < before.tokens:
                yield Problem(
                    path=f"{path}[{index}].tokens",
                    message=f"{format_tokens(after.tokens)} is less than the release before it "
                    f"({format_tokens(before.tokens)})",
                    hint="tokens are cumulative: all that are ready from then on",
                )
        wanted = sum(p.tokens or 0.0 for p in job.phases.values() if p.data_gated)
        if releases and wanted > releases[-1].tokens * job.data.max_epochs * (1 + 1e-9):
            yield Problem(
                path=f"{path}[{len(releases) - 1}].tokens",
                message=f"the gated phases need {format_tokens(wanted)} tokens, but only "
                f"{format_tokens(releases[-1].tokens)} unique ones times {job.data.max_epochs:g} epochs ever come",
                hint="release more, raise max_epochs, or train on fewer tokens",
            )


def fits_its_site(scenario: Scenario) -> Iterator[Problem]:
    """Some partition of its site can hold the job at some time; that the horizon ends before is advice."""
    for name, job in scenario.jobs.items():
        found = max(rooms(scenario, job), key=lambda room: room[0], default=None)
        if found is None:
            continue
        most, part, step = found
        own = f" beside its {job.spare_domains} spare domains" if job.spare_domains else ""
        for path, need in needs(name, job):
            if need > most:
                yield Problem(
                    path=path,
                    message=f"wants {need} GPUs, but {job.site}/{part} never has more than {most} that jobs "
                    f"can use{own} (from {format_instant(step.at)} on): {need - most} too few",
                    hint="ask for fewer, add capacity, or move the job to another site or partition",
                )


def full_size_fits(scenario: Scenario) -> Iterator[Problem]:
    """An elastic job, which starts with fewer GPUs, is planned on all that it wants: its domains exist."""
    for name, job in scenario.jobs.items():
        choices = job_partitions(scenario, job)
        if job.min_gpus is None or not choices:
            continue
        domains = {part: item.most_gpus // max(1, item.gpu.scale_up_domain) for part, item in choices.items()}
        part = max(choices, key=lambda one: domains[one] * choices[one].used_per_domain)
        used, have = choices[part].used_per_domain, domains[part]
        if job.min_gpus > have * used or used < 1:
            continue
        wanted = {f"jobs.{name}.gpus": job.gpus} | {
            gpus_path(f"jobs.{name}.phases.{phase_name}", f"jobs.{name}", phase): phase_gpus(job, phase)
            for phase_name, phase in job.phases.items()
        }
        for path, gpus in wanted.items():
            if gpus > have * used:
                yield Problem(
                    path=path,
                    message=f"{gpus} GPUs fill {-(-gpus // used)} scale-up domains with {used} GPUs used of each, "
                    f"but {job.site}/{part} never has more than {have}: min_gpus lets the job start smaller, not "
                    "want more than there is",
                    hint=f"at most {have * used}, or add capacity",
                )


def placed_in_its_partition(scenario: Scenario) -> Iterator[Problem]:
    """A job that names its first domain names one that is there."""
    for name, job in scenario.jobs.items():
        choices = job_partitions(scenario, job).values()
        count = max((part.most_gpus // max(1, part.gpu.scale_up_domain) for part in choices), default=0)
        if count and job.first_domain is not None and job.first_domain >= count:
            yield Problem(
                path=f"jobs.{name}.first_domain",
                message=f"there is no domain {job.first_domain}: the partition never has more than {count} domains",
                hint=f"they count from 0 to {count - 1}",
            )


def power_for_each_job(scenario: Scenario) -> Iterator[Problem]:
    """Where jobs wait for power, each could run alone at some time."""
    for name, job in scenario.jobs.items():
        site = scenario.cluster.sites.get(job.site)
        if site is None or site.power_limit is None or site.power_control != "queue":
            continue
        choices = job_partitions(scenario, job)
        most = max((busy_at_once(site, part) for part in choices.values()), default=None)
        for path, need in needs(name, job) if most is not None else ():
            if most is not None and need > most:
                yield Problem(
                    path=path,
                    message=f"wants {need} GPUs, but the power limit of site {job.site!r} lets at most {most} run",
                    hint="ask for fewer, raise power_limit, or set power_control to throttle",
                )
