"""The engine's operations (failures, saves, repair, queue) against closed forms and published figures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.resources import as_file, files

from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, play_bench, saves
from colossus_sim.engine.replay import replay
from colossus_sim.formulas import reliability
from colossus_sim.formulas.restart_sampling import finish_times
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.faults import Faults
from colossus_sim.traces.jobs import TraceJob, read_trace
from colossus_sim.validation.operations_pipeline import pipeline_cases
from colossus_sim.validation.operations_queues import queue_cases, repair_cases, spare_cases
from colossus_sim.validation.operations_runs import llama_cases
from colossus_sim.validation.operations_stats import Case, mean_and_error, ratio_and_error
from colossus_sim.validation.operations_storage import PUBLISHED, storage_cases

_DAY = 86400.0
_HPC2N_WAIT, _HPC2N_MAKESPAN, _PHILLY_WAIT = 5814.473186119873, 5309576.0, 46.51495
"""From a separate program that plays first come, first served with a heap. [s]"""


def run_cases(*, quick: bool = False, seed: int = 1, jobs: int = 1) -> tuple[Case, ...]:
    """Play all built-in cases; `quick` takes a tenth of the failures and leaves the long logs out.

    Parameters
    ----------
    jobs : int
        Processes that share the groups of cases; the answer does not depend on it.
    """
    groups = _groups(quick, seed)
    if jobs == 1:
        return tuple(itertools.chain.from_iterable(map(_cases, groups)))
    with ProcessPoolExecutor(jobs) as pool:
        return tuple(itertools.chain.from_iterable(pool.map(_cases, groups)))


def _cases(group: Callable[[], Iterator[Case]]) -> tuple[Case, ...]:
    return tuple(group())


def _groups(quick: bool, seed: int) -> list[Callable[[], Iterator[Case]]]:
    failures = 1000 if quick else 10_000
    return [
        partial(renewal_cases, 5 * failures // 2, seed),
        partial(interval_cases, failures // 4, seed),
        aupy_cases,
        partial(arrival_cases, 9 * failures, seed),
        partial(size_cases, 5 * failures, seed),
        partial(large_job_cases, 3 * failures, seed),
        partial(repair_cases, 4 * failures, seed),
        partial(spare_cases, 2 * failures, seed),
        partial(pipeline_cases, 2 if quick else 12, seed),
        partial(queue_cases, failures // 2, seed),
        partial(trace_cases, quick),
        *([] if quick else [partial(storage_cases, bandwidth, 6, seed) for bandwidth in PUBLISHED]),
        partial(llama_cases, 4 if quick else 20, seed),
    ]


# -- work, saves, failures -------------------------------------------------------------------------------


def efficiency_of(
    *, mtbf: float, interval: float, save: float, recovery: float, failures: int, seed: int, unit: float = 1.0
) -> tuple[float, float, RunResult]:
    """Play one job under memoryless failures; return (kept work over time, standard error, run).

    The load of the copy takes as long as the save (they share the fixed stall), so the restart is shorter by it.
    """
    units = max(1, round(interval / unit))
    result = play_bench(
        {"one": BenchJob(units=10**9, unit_time=interval / units, state_bytes=1.0)},
        site=a_site(1),
        faults=faults(recovery - save, any=fault_class("site", 1.0 / mtbf)),
        checkpoint=saves(interval, save),
        horizon=failures * mtbf,
        seed=seed,
    )
    planned = CAUSES.index("planned")
    pairs = [(row.causes[planned], row.end - row.start) for row in result.intervals]
    share, error = ratio_and_error(pairs)
    return share, error, result


_RENEWAL = "exact renewal efficiency, Bougeret et al. 2011, doi:10.1145/2063384.2063428"


def renewal_cases(failures: int, seed: int) -> Iterator[Case]:
    """Segments with exponential failures that also strike saves and restarts, from rare to very frequent."""
    rsc1 = _DAY / (2048 * 6.5e-3)
    for name, mtbf, interval, save, recovery in (
        ("H1: 16,384 GPUs, 6.5/1000 node-days, hourly saves of 60 s, restart 900 s", rsc1, 3600, 60, 900),
        ("rare failures: MTBF 1 day, saves of 60 s every hour, restart 600 s", _DAY, 3600, 60, 600),
        ("segments as long as the MTBF: MTBF 1 h, hourly saves of 30 s, restart 300 s", 3600, 3600, 30, 300),
    ):
        exact = reliability.efficiency(interval, save_time=save, mtbf=mtbf, recovery=recovery)
        share, error, _ = efficiency_of(
            mtbf=mtbf,
            interval=interval,
            save=save,
            recovery=recovery,
            failures=failures,
            seed=seed,
            unit=10.0,
        )
        yield Case(
            name=name, source=_RENEWAL, kind="theory", simulated=share, expected=exact, error=error,
            note=f"{failures} failures",
        )  # fmt: skip
    yield _drawn_case(mtbf=rsc1, interval=3600, save=60, recovery=900, runs=failures, seed=seed)


def _drawn_case(*, mtbf: float, interval: float, save: float, recovery: float, runs: int, seed: int) -> Case:
    segments = 720
    exact = reliability.efficiency(interval, save_time=save, mtbf=mtbf, recovery=recovery)
    times = finish_times(
        segments, interval, save_time=save, mtbf=mtbf, recovery=recovery, replicas=runs, seed=seed
    )
    mean, error = mean_and_error(times.tolist())
    share = segments * interval / mean
    return Case(
        name="H1, whole runs drawn as arrays", source=_RENEWAL, kind="theory", simulated=share, expected=exact,
        error=share * error / mean, note=f"{runs} runs of {segments} saves",
    )  # fmt: skip


def interval_cases(failures: int, seed: int) -> Iterator[Case]:
    """Half and twice the optimal interval are worse, on the same failures."""
    mtbf, save = 7200.0, 30.0
    best = reliability.optimal_interval(save, mtbf)
    shares = [
        efficiency_of(
            mtbf=mtbf, interval=best * factor, save=save, recovery=300.0, failures=failures, seed=seed
        )[0]
        for factor in (0.5, 1.0, 2.0)
    ]
    for index, name in ((0, "half"), (2, "twice")):
        yield Case(
            name=f"gain of the optimal interval over {name} of it", kind="bound",
            source="Daly 2006, doi:10.1016/j.future.2004.11.016", simulated=shares[1] - shares[index], expected=0.0,
            note="common random numbers",
        )  # fmt: skip


_AUPY_SAVE, _AUPY_DOWN = 600.0, 60.0
"""Save and recovery time, and downtime, of the platforms in the table. [s]"""
_AUPY_TABLE = (
    (3849609, 68567, 68573, 68240),
    (1924805, 48660, 48668, 48320),
    (962402, 34584, 34595, 34189),
    (481201, 24630, 24646, 24231),
    (240601, 17592, 17615, 17194),
    (120300, 12615, 12648, 12218),
    (60150, 9096, 9142, 8701),
    (30075, 6608, 6673, 6214),
    (15038, 4848, 4940, 4458),
    (7519, 3604, 3733, 3218),
)
"""Mean time between failures, and the period by Young, by Daly and of least waste, save included. [s]

Table 2 of arXiv:1302.3752, without its column RFO. Compared in November 2026, number by number, with a public
transcription that was made from the text of the paper's PDF: all forty are equal.
"""
_AUPY_TOLERANCE = 0.002


def aupy_cases() -> Iterator[Case]:
    """Thirty published periods of platforms of 1,024 to 524,288 processors."""
    save, down = _AUPY_SAVE, _AUPY_DOWN
    formulas: tuple[tuple[str, Callable[[float], float]], ...] = (
        ("Young", lambda mtbf: reliability.young_interval(save, mtbf)),
        ("Daly, first order", lambda mtbf: reliability.young_interval(save, mtbf + save + down)),
        ("least waste by the exact efficiency", lambda mtbf: reliability.optimal_interval(save, mtbf)),
    )
    for column, (name, interval) in enumerate(formulas, start=1):
        errors = [abs((interval(row[0]) + save) / row[column] - 1.0) for row in _AUPY_TABLE]
        yield Case(
            name=f"period by {name}, ten platforms: largest relative difference", kind="range",
            source="Aupy et al. 2013, doi:10.1016/j.jpdc.2013.10.010, arXiv:1302.3752, table 2",
            simulated=max(errors), expected=0.0, upper=_AUPY_TOLERANCE,
            note="formulas alone: 30 published values in three rows; saves and recoveries 600 s, downtime 60 s",
        )  # fmt: skip


# -- when failures come ----------------------------------------------------------------------------------


def arrival_cases(failures: int, seed: int) -> Iterator[Case]:
    """Weibull renewals and the superposition of populations: how many failures in a long time."""
    for shape in (0.7, 2.0):
        spec = fault_class("site", 1e-3, distribution="weibull", shape=shape)
        count = _count(faults(0.0, one=spec), failures * 1e3, seed)
        square = math.gamma(1 + 2 / shape) / math.gamma(1 + 1 / shape) ** 2 - 1.0
        yield Case(
            name=f"renewals of a Weibull law of shape {shape:g}", kind="theory",
            source="renewal theory, Cox 1962: mean t/m + (c^2 - 1)/2, variance c^2 t/m", simulated=count,
            expected=failures + (square - 1) / 2, error=math.sqrt(square * failures), unit="failures",
        )  # fmt: skip
    classes = {
        "gpu": fault_class("gpu", 5e-6),
        "node": fault_class("node", 2e-5),
        "domain": fault_class("domain", 3e-5),
        "site": fault_class("site", 1e-4),
    }
    rate = 64 * 5e-6 + 8 * 5e-5 + 1e-4
    count = _count(faults(0.0, **classes), failures / rate, seed)
    yield Case(
        name="superposition: 64 GPUs, 8 nodes, 8 domains, one site", kind="theory",
        source="superposed Poisson processes, Trivedi 2002, sec. 3.6", simulated=count, expected=failures,
        error=math.sqrt(failures), unit="failures",
    )  # fmt: skip


def _count(specs: Faults, horizon: float, seed: int) -> int:
    result = play_bench({}, site=a_site(64, domain=8), faults=specs, horizon=horizon, seed=seed)
    return sum(1 for row in result.events if row.kind == "failure")


def size_cases(failures: int, seed: int) -> Iterator[Case]:
    """Mean time to failure of jobs of several sizes on nodes that fail 6.5 times in 1,000 days (RSC-1)."""
    source = "Kokolis et al. 2024, arXiv:2410.21680 (measured at 8 and 1,024 GPUs, projected beyond)"
    node, user = 6.5e-3 / _DAY, 1.95e-3 / _DAY
    sizes = ((8, 47.7 * 24, True), (1024, 7.9, True), (16384, 1.8, False), (131072, 0.23, False))
    for index, (gpus, published, software) in enumerate(sizes):
        classes = {"node": fault_class("node", node)}
        rate = gpus / 8 * node
        if software:
            classes["user"] = fault_class("gpu", user)
            rate += gpus * user
        result = play_bench(
            {"one": BenchJob(units=10**9, unit_time=3600.0, gpus=gpus, state_bytes=1.0)},
            site=a_site(gpus, domain=8), faults=faults(0.0, **classes), checkpoint=saves(600.0, 0.0),
            horizon=failures / rate, seed=seed + index,
        )  # fmt: skip
        count = sum(1 for row in result.events if row.kind == "failure" and row.job)
        hours = result.end_time / count / 3600
        yield Case(
            name=f"mean time to failure of a {gpus:,}-GPU job against its rate", source="1 / (N r)", kind="theory",
            simulated=hours, expected=1 / rate / 3600, error=1 / rate / 3600 / math.sqrt(failures), unit="h",
        )  # fmt: skip
        yield Case(
            name=f"mean time to failure of a {gpus:,}-GPU job", source=source, kind="published", simulated=hours,
            expected=published, error=hours / math.sqrt(count), unit="h",
            note="with 1.95 user and software failures per 1,000 GPU-days, one figure for both measured sizes"
            if software else "node failures alone, as in the projection",
        )  # fmt: skip


def large_job_cases(failures: int, seed: int) -> Iterator[Case]:
    """Effective training time of the largest jobs that papers speak of."""
    mtbf = _DAY / (2048 * 6.5e-3)
    estimate = reliability.kokolis_ettr(
        nodes=2048, node_rate=6.5e-3 / _DAY, restart=300.0, interval=300.0, save_time=0.0
    )
    source = "Kokolis et al. 2024, arXiv:2410.21680"
    yield Case(
        name="ETTR estimator at 16,384 GPUs, saves every 5 min", source=source, kind="exact", simulated=estimate,
        expected=0.93, tolerance=0.005, note="published with two digits",
    )  # fmt: skip
    share, error, _ = efficiency_of(
        mtbf=mtbf, interval=300.0, save=0.0, recovery=300.0, failures=failures, seed=seed
    )
    yield Case(
        name="the same, simulated",
        source=source,
        kind="published",
        simulated=share,
        expected=0.93,
        error=error,
    )
    for stall, name in ((600.0, "synchronous, 10 min"), (180.0, "fault tolerant, 3 min")):
        share, error, _ = efficiency_of(
            mtbf=1080.0, interval=300.0, save=1.0, recovery=stall, failures=failures, seed=seed
        )
        yield Case(
            name=f"effective time at 100,000 GPUs, a failure every 18 min, stall {name}", kind="range",
            source="FT-HSDP, arXiv:2602.00277: 0.44 to 0.80", simulated=share, expected=0.44, upper=0.80,
            error=error,
            note="saves every 5 min assumed; a failure during a restart begins it anew",
        )  # fmt: skip


# -- logs ------------------------------------------------------------------------------------------------


def trace_cases(quick: bool) -> Iterator[Case]:
    """Logs of real clusters under first come, first served and EASY backfill."""
    jobs = _shipped("hpc2n.swf.gz")
    source = "HPC2N, Parallel Workloads Archive; separate program"
    fcfs = replay(jobs, gpus=240)
    for name, simulated, expected in (
        ("mean wait", fcfs.mean_wait, _HPC2N_WAIT),
        ("makespan", fcfs.makespan, _HPC2N_MAKESPAN),
    ):
        yield Case(
            name=f"HPC2N, first come first served: {name}", kind="exact", source=source, simulated=simulated,
            expected=expected, unit="s",
        )  # fmt: skip
    if quick:
        return
    easy = replay(jobs, gpus=240, scheduler="easy_backfill")
    yield Case(
        name="HPC2N, EASY backfill: mean wait", kind="range", source="CQSim 3,236, AccaSim 3,456, reference 3,657",
        simulated=easy.mean_wait, expected=3200.0, upper=3700.0, unit="s",
    )  # fmt: skip
    philly = replay(_shipped("philly_20000.csv.gz"), gpus=1000)
    yield Case(
        name="Philly, 20,000 jobs on 1,000 GPUs: mean wait", kind="exact", source="AccaSim 46.52; separate program",
        simulated=philly.mean_wait, expected=_PHILLY_WAIT, unit="s", tolerance=1e-6,
    )  # fmt: skip


def _shipped(name: str) -> tuple[TraceJob, ...]:
    with as_file(files("colossus_sim") / "data" / "traces" / name) as path:
        return read_trace(path)
