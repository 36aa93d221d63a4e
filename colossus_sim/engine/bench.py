"""Small worlds with fixed unit times: for replays of job logs, and to hold the engine against closed forms.

No architecture, no network: a unit of work takes a stated time whatever GPUs it gets. Everything else (queue, pool,
failures, recovery, saves) is the engine that plays whole scenarios.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from colossus_sim.engine.runner import DeskBuilder, simulate
from colossus_sim.engine.storage_desk import StorageDesk
from colossus_sim.parallelism.placement import Placement
from colossus_sim.records import RunResult
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.base import Provenance, Spec
from colossus_sim.specs.checkpoint import CheckpointPolicy, CheckpointTier
from colossus_sim.specs.cluster import CapacityStep, Cluster, Partition, Site
from colossus_sim.specs.faults import FaultClass, Faults, Restart
from colossus_sim.specs.hardware import Calibration, Gpu, Storage
from colossus_sim.specs.job import Job, Phase, Target
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.specs.policies import Policies
from colossus_sim.specs.scenario import Scenario
from colossus_sim.specs.topology import Topology
from colossus_sim.training.phases import ModelBuilder

_SOURCE = Provenance(kind="assumption", reference="a bench, not a real device", checked="2026-11")
_NOWHERE = 1e18
"""A bandwidth at which loading and writing take no time. [B/s]"""


_S = TypeVar("_S", bound=Spec)


def _bare(kind: type[_S], **fields: Any) -> _S:
    """Return a record with only the fields that a bench looks at."""
    make: Any = kind.model_construct
    made: _S = make(**fields)
    return made


@dataclass(frozen=True, slots=True)
class FixedUnit:
    """A unit of work that takes a stated time and no network."""

    time: float
    traffic: tuple[float, ...] = ()
    flatness: tuple[float, ...] = ()


class FixedModel:
    """Work of a stated number of units of a stated time (see ``engine.holding.PhaseModel``)."""

    tokens_per_unit = 0.0
    model_flops_per_unit = 0.0
    reference = None
    peak = 0.0
    precision = "bf16"

    def __init__(self, units: int, unit_time: float, gpus: int, state_bytes: float) -> None:
        self.units = units
        self.reference_time = self.planned_unit_time = unit_time
        self.gpus_wanted = gpus
        self.state_bytes = state_bytes
        self._unit = FixedUnit(unit_time)

    def unit(self, gpus: int, placement: Placement, bandwidths: Any = None) -> FixedUnit:
        """Return the stated time."""
        return self._unit

    def usable_gpus(self, gpus: int) -> int:
        """Return the wanted GPUs if there are so many, else none."""
        return self.gpus_wanted if gpus >= self.gpus_wanted else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchJob:
    """One job of a bench.

    Attributes
    ----------
    units, unit_time : int, float
        Its work; seconds of one unit.
    gpus : int
        GPUs of the gang.
    submit : float
        When it enters the queue. [s]
    walltime : float or None
        Announced run time. [s]
    account : str
        Who pays.
    priority : int
        Larger goes first.
    state_bytes : float
        Size of a checkpoint; 0 = it never saves. [B]
    input_bytes, output_bytes : float
        Read before its first unit and written after its last one. [B]
    checkpoint : CheckpointPolicy, optional
        Its own saves; default: those of the bench.
    reserved : bool
        Whether its GPUs are kept for it from `submit` on.
    due : float or None
        Target date. [s]
    spare_domains : int
        Scale-up domains that it keeps as spares of its own.
    """

    units: int
    unit_time: float
    gpus: int = 1
    submit: float = 0.0
    walltime: float | None = None
    account: str = ""
    priority: int = 0
    state_bytes: float = 0.0
    input_bytes: float = 0.0
    output_bytes: float = 0.0
    checkpoint: CheckpointPolicy | None = None
    reserved: bool = False
    due: float | None = None
    spare_domains: int = 0


def no_saves() -> CheckpointPolicy:
    """Return a policy that saves at no cost at most."""
    return saves(1e9, 0.0)


def saves(interval: float, stall: float) -> CheckpointPolicy:
    """Return synchronous saves to shared storage with this working time between them and this stall. [s]"""
    tier = CheckpointTier.model_construct(
        name="storage", mode="sync", interval=interval, snapshot_bandwidth=_NOWHERE, write_bandwidth=None,
        read_bandwidth=None, coordination=stall, survives="site",
    )  # fmt: skip
    return CheckpointPolicy.model_construct(tiers=(tier,), bytes_per_parameter=1.0)


def no_faults() -> Faults:
    """Return faults that never happen, and restarts that take no time."""
    return Faults.model_construct(enabled=False, classes={}, restart=restart(0.0), watchdog=0.0)


def restart(seconds: float) -> Restart:
    """Return restarts of a fixed time. [s]"""
    return Restart.model_construct(
        base=seconds,
        per_doubling=0.0,
        manual_fraction=0.0,
        manual_time=0.0,
        swap_time=0.0,
        selection_time=0.0,
        reshard_time=0.0,
    )


def fault_class(per: str, rate: float, removes: str = "nothing", **more: object) -> FaultClass:
    """Return a failure class that is noticed at once. `rate` in 1/s."""
    provenance = {"kind": "assumption", "reference": "a bench, not a real device", "checked": "2026-11"}
    return FaultClass.model_validate(
        {"per": per, "rate": f"{rate!r} /s", "removes": removes, "detection": "0 s", "provenance": provenance}
        | more
    )


def faults(recovery: float, **classes: FaultClass) -> Faults:
    """Return failures after which a restart takes so long. [s]"""
    return Faults.model_construct(
        enabled=True,
        classes=classes,
        restart=restart(recovery),
        watchdog=0.0,
        max_restarts_without_progress=100_000,
    )


def a_gpu(domain: int = 1) -> Gpu:
    """Return a device of unit cost, in scale-up domains (and nodes) of this size."""
    return Gpu.model_construct(
        name="bench", title="bench", vendor="none", year=2026, peak={"bf16": 1e15}, hbm_capacity=8e10,
        hbm_bandwidth=3e12, multiprocessors=132, scale_up_bandwidth=4e11, scale_up_domain=domain,
        gpus_per_node=domain, nic_bandwidth=5e10, power_max=700.0, power_idle=100.0, host_power_per_gpu=300.0,
        provenance=_SOURCE,
    )  # fmt: skip


def a_site(
    gpus: int, *, domain: int = 1, spare_domains: int = 0, storage_bandwidth: float = _NOWHERE, **more: Any
) -> Site:
    """Return a site of one partition behind one switch level. `storage_bandwidth` in B/s."""
    fabric = {
        "kind": "clos",
        "switch_radix": 1_000_000_000,
        "rails": 1,
        "tiers": [{"name": "leaf", "group_gpus": 0}],
    }
    topology = Topology.model_validate(
        {"title": "one switch", "gpu": "bench", "gpus": gpus, "fabric": fabric, "provenance": _SOURCE}
    )
    storage = Storage.model_construct(
        write_bandwidth=storage_bandwidth,
        read_bandwidth=storage_bandwidth,
        bandwidth_per_gpu=_NOWHERE,
        provenance=_SOURCE,
    )
    partition = Partition.model_construct(
        gpu=a_gpu(domain),
        capacity=(CapacityStep.model_construct(at=0.0, gpus=gpus),),
        spare_domains=spare_domains,
        reserve_time=0.0,
    )
    return Site.model_construct(
        topology=topology,
        partitions={"all": partition},
        storage=storage,
        part_lead_time=more.pop("part_lead_time", 0.0),
        **more,
    )


def play_bench(
    jobs: Mapping[str, BenchJob],
    *,
    site: Site,
    faults: Faults | None = None,
    checkpoint: CheckpointPolicy | None = None,
    policies: Policies | None = None,
    horizon: float = 1e12,
    seed: int = 1,
    build_desk: DeskBuilder = StorageDesk,
) -> RunResult:
    """Play jobs of fixed unit times on one site.

    Parameters
    ----------
    jobs : mapping of BenchJob
        By name.
    site : Site
        See `a_site`.
    faults, checkpoint, policies : optional
        Default: none, no saves, first come first served.
    horizon : float
        When to stop at the latest. [s]
    build_desk : callable, optional
        See `simulate`.
    """
    scenario, build = bench_world(
        jobs, site=site, faults=faults, checkpoint=checkpoint, policies=policies, horizon=horizon, seed=seed
    )
    return simulate(scenario, build_model=build, build_desk=build_desk)


def bench_world(
    jobs: Mapping[str, BenchJob],
    *,
    site: Site,
    faults: Faults | None = None,
    checkpoint: CheckpointPolicy | None = None,
    policies: Policies | None = None,
    horizon: float = 1e12,
    seed: int = 1,
) -> tuple[Scenario, ModelBuilder]:
    """Return the scenario of a bench and what builds its models; the parameters are those of `play_bench`."""
    scenario = Scenario.model_construct(
        version=1, name="bench", start=0.0, horizon=horizon, seed=seed,
        cluster=Cluster.model_construct(sites={"site": site}),
        jobs={name: _job(job) for name, job in jobs.items()}, faults=faults or no_faults(),
        checkpoint=checkpoint or no_saves(), calibration=_bare(Calibration, name="none", kernels=()),
        policies=policies or Policies(scheduler="fifo", contention="none"),
    )  # fmt: skip

    def build(*, job_name: str, **_: Any) -> Any:
        job = jobs[job_name]
        return FixedModel(job.units, job.unit_time, job.gpus, job.state_bytes)

    return scenario, build


_MODEL = _bare(Architecture, name="none")
_PLAN = _bare(ParallelPlan)
_PHASES = {"run": Phase.model_validate({"kind": "compute", "gpu_hours": 1})}


def _job(job: BenchJob) -> Job:
    return Job.model_construct(
        model=_MODEL, site="site", partition="all", gpus=job.gpus, submit=job.submit, parallel=_PLAN,
        phases=_PHASES, priority=job.priority, walltime=job.walltime, account=job.account,
        checkpoint=job.checkpoint, reserved=job.reserved, input_bytes=job.input_bytes,
        output_bytes=job.output_bytes, spare_domains=job.spare_domains,
        target=None if job.due is None else Target.model_construct(date=job.due),
    )  # fmt: skip
