"""What fails, how often, and what it takes to go on."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from colossus_sim.specs.base import AsTuple, Provenance, Spec, default
from colossus_sim.specs.lifetimes import Lifetime
from colossus_sim.units import Count, Duration, Frequency, Ratio


class Repair(Spec):
    """Time until a removed unit is back: a reset does for some, the others need hands."""

    auto_fraction: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """Share repaired automatically (reset, reboot)."""
    auto_time: Duration = default("15 min")
    """Mean time of an automatic repair."""
    manual_time: Duration = default("24 h")
    """Mean time of a repair by hand, waiting for a technician included."""
    distribution: Literal["fixed", "exponential", "lognormal"] = Field("lognormal")
    """Law of both times around their means."""
    sigma: Annotated[Ratio, Field(gt=0, le=3)] = Field(0.8)
    """Shape of the lognormal law."""
    auto_first: bool = Field(False)
    """Two stages: every unit gets the automatic repair, and those that it does not do for (all but `auto_fraction`)
    go on to the repair by hand after it. False = either the one or the other."""
    auto_unmended: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """Share of the units that come back from the automatic repair although it has not mended them."""
    manual_unmended: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """The same of repairs by hand. AIReSim (arXiv:2603.07041, Table 1) takes 0.4 and 0.2."""
    recurs_after: Annotated[Duration, Field(gt=0)] | None = Field(None)
    """Mean time (exponential) until a unit that was not mended, or whose failure was put down to something else,
    fails in the same way again; a repair that mends it ends that. Left out = it is as likely to fail as before."""


class Group(Spec):
    """Neighbouring scale-up domains behind one thing that fails them together."""

    domains: Annotated[Count, Field(ge=2)]
    """Domains of one group, neighbours by number: the racks behind a cooling unit or a power feed, a pod."""
    share: Annotated[Ratio, Field(gt=0, le=1)] = Field(1.0)
    """Chance of each domain of the group to be hit by one event (a bad roll-out that reaches some of them)."""


class Degradation(Spec):
    """A part of the network that is lost until it is repaired: NIC, cable, switch, rail, plane."""

    part: Literal["nic", "switch", "cable", "rail", "plane"] | None = Field(None)
    """What is lost; the share follows from the topology, and traffic takes the ways that are left. nic: one GPU's
    NIC or its cable, the other NICs of the scale-up domain carry its traffic; switch: one of those of a group of
    `level` (a leaf switch of a rail-optimised network = that rail for the leaf group); rail, plane: of the groups
    of `level`, or of the whole network. A group that loses its only switch is cut off: its jobs stop, and its GPUs
    are out of service until the repair."""
    name: str = Field("")
    """Custom networks: which switch is lost, or with `part: cable` the cables between which two nodes, e.g. leaf0 -
    spine1. Shortest paths are worked out anew on what is left, however much longer or narrower they are, and the
    share is what they carry less when all hosts send to each other; hosts that none reaches are cut off."""
    level: str = Field("")
    """Fabric level whose group loses bandwidth: scale_up for a NIC or a cable of a domain, leaf, spine, core, ...
    Whatever crosses the fabric from a group of that level is slowed. Needed without `part` and for a switch."""
    fraction: Annotated[Ratio, Field(gt=0, lt=1)] | None = Field(None)
    """In place of `part`: share of that bandwidth that is lost: one of 8 NICs or rails 1/8, one of 4 planes 1/4,
    one spine of 32 1/32."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        """Ask for a part or for a share, and for the level where there is no other way to know it."""
        if (self.part is None) == (self.fraction is None):
            raise ValueError("give part (nic, switch, rail, plane) or level and fraction")
        if self.name and self.part not in ("switch", "cable"):
            raise ValueError("name goes with part: switch or part: cable")
        if self.part == "cable" and not self.name:
            raise ValueError("name is missing: the two ends of the cable, e.g. leaf0 - spine1")
        if not self.level and not self.name and self.part in (None, "switch"):
            raise ValueError("level is missing: which level loses bandwidth, e.g. leaf")
        return self


def _or_a_path(schema: dict[str, Any]) -> None:
    """A file may name a CSV file instead; loading reads it."""
    schema["anyOf"] = [*schema["anyOf"], {"type": "string", "description": "Path of a CSV file."}]


class FaultClass(Spec):
    """One kind of failure."""

    title: str = ""
    """Name for people."""
    per: Literal["gpu", "node", "domain", "group", "switch", "site", "job"]
    """What the rate counts: each installed GPU, node, domain or `group` of domains of each partition, each switch
    of the level that it `degrades` (as many as the installed share of the network has), each site, each running
    job."""
    rate: Frequency
    """Failures per unit and time."""
    distribution: Literal["exponential", "weibull", "empirical"] = Field("exponential")
    """Law of the times between failures of the whole population."""
    shape: Annotated[Ratio, Field(ge=0.1, le=10)] = Field(1.0)
    """Weibull shape; the stated rate stays the mean rate."""
    gaps: Annotated[tuple[Duration, ...], AsTuple, Field(min_length=1)] | None = Field(
        None, json_schema_extra=_or_a_path
    )
    """Measured times between failures for the empirical law, drawn again at random with replacement and scaled
    so that the stated rate stays the mean rate: a list, or the path of a CSV file with a column gap_s or gap_h."""
    lifetime: Lifetime | None = Field(None)
    """Hazard by the age of each unit (infant mortality, wear-out, bathtub); instead of `distribution`, for a
    rate per gpu, node or domain. `rate` is its constant part."""
    group: Group | None = Field(None)
    """Domains that fail together, for a rate per group: a cooling unit, a power feed, a pod, a bad roll-out."""
    removes: Literal["nothing", "node", "domain", "group", "site"]
    """Blast radius: what is broken until repaired. ``nothing`` = the job restarts in place; ``node`` = one node,
    and the rest of its scale-up domain is out of service with it where `gpus_used_per_domain` leaves no slack;
    ``group`` = the domains of the group that are hit, until one common repair is done."""
    interrupts: bool = Field(True)
    """Whether a job that uses the unit stops; False = it is slowed instead (straggler, degraded link)."""
    slowdown: Annotated[Ratio, Field(ge=1, le=100)] = Field(1.0)
    """Step-time factor while the unit is degraded, where it does not interrupt."""
    degrades: Degradation | None = Field(None)
    """Network bandwidth that is lost meanwhile, where it does not interrupt; needs `repair`, which mends it in
    place. Every job with GPUs in the group is touched."""
    detection: Duration = default("5 min")
    """From the fault to the decision to restart; for a slow unit, until it is found and replaced."""
    undetected: Duration = default("0 s")
    """Time before `detection` for which nobody notices (silent data corruption): the job computes and saves on, but
    all that it does since the fault is lost, and no other failure ends that earlier. Booked as lost work. A wait
    for `detection`, in which the job stands still, ends with the next failure that stops the job."""
    hang_fraction: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """Share of these failures that raise no error: the ranks wait for each other, and it takes the `watchdog`
    of the faults, instead of `detection`, to notice."""
    planned: bool = Field(False)
    """Maintenance that is announced: the job saves first, so nothing is lost."""
    under_load: bool = Field(False)
    """Whether units fail only while a job computes on them: neither idle ones and spares nor those of a job that
    stands still. For rates that were counted per unit and computing time."""
    needs_storage_checkpoint: bool = Field(False)
    """Whether copies in memory are not trusted after it (silent data corruption)."""
    repair: Repair | None = Field(None)
    """How the unit comes back; needed when something is removed."""
    provenance: Provenance
    """Source."""


class Lemons(Spec):
    """Nodes that fail again and again although they are repaired."""

    share: Annotated[Ratio, Field(gt=0, lt=1)] = Field(0.013)
    """Share of the nodes as installed (arXiv:2410.21680, sec. IV-A: 24 found among 2,000 nodes, 1.2 %, and 16 among
    1,000; those of the first took part in 13 % of the daily jobs)."""
    factor: Annotated[Ratio, Field(gt=1)] = Field(200.0)
    """How many times likelier than on the other nodes each failure per gpu or node is there. The default is
    derived: with 1.3 % lemons it makes jobs on 512 GPUs fail in 14 % of cases with them and 4 % without
    (arXiv:2410.21680). The classes' rates stay the means over all nodes as installed. Classes with a `lifetime`
    are left out: they have ages instead."""
    mended_by_repair: bool = Field(False)
    """Whether a repair that mends (see `repair.auto_unmended`, `manual_unmended`) makes a lemon a node like any
    other, as in AIReSim (arXiv:2603.07041). False = only an `eviction` rids of it."""


class Eviction(Spec):
    """When a node that keeps failing is exchanged for another, instead of being repaired once more."""

    failures: Annotated[Count, Field(ge=1)] = Field(3)
    """Removals of one node ..."""
    window: Duration = default("28 days")
    """... within so long a time. The paper's detector sets thresholds on seven signals of 28 days (fig. 11); three
    removals as the only signal is an assumption."""
    exchange: Repair = Field(default_factory=lambda: Repair.model_validate({"manual_time": "7 days"}))
    """How long the exchange takes, in place of the class's repair; the new node is no lemon."""


class Diagnosis(Spec):
    """How often a failure that removes a node or a domain is put down to the wrong unit. Left out = never."""

    missed: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """Share of these failures that no unit is blamed for: the job restarts where it was."""
    wrong: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """Share of the others for which another unit of the same job, drawn at random, goes for repair, and the one
    that failed stays."""


class RestartPart(Spec):
    """One thing that a restart has to do, and how its time grows with the GPUs of the job."""

    time: Duration
    """At 1,024 GPUs."""
    exponent: Annotated[Ratio, Field(ge=0, le=2)] = Field(0.0)
    """Grows with the GPUs to this power: 0 = the same at any size, 1 = in proportion."""
    per_doubling: Duration = default("0 s")
    """Added for each doubling of the GPUs beyond 1,024 (logarithmic laws)."""


class Restart(Spec):
    """From the decision to restart to the first step, without loading and lost work."""

    base: Duration = default("350 s")
    """Requeue, container start, communicator set-up and warm-up at 1,024 GPUs."""
    per_doubling: Duration = default("105 s")
    """Added for each doubling of the GPUs beyond 1,024 (ByteRobust, arXiv:2509.16293, Table 7: 454 s at
    2,048 and 768 s at 16,384)."""
    parts: dict[str, RestartPart] = Field(default_factory=dict)
    """In place of `base` and `per_doubling`, one after the other: requeue, container start, communicator set-up,
    compilation and warm-up, ... Detection is stated per failure class, loading follows from the checkpoint and
    the storage, recomputation from the interval."""
    manual_fraction: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.007)
    """Share of restarts that a person must untangle (Llama 3, arXiv:2407.21783: 3 of 419)."""
    manual_time: Duration = default("2 h")
    """Extra mean time of those; exponential."""
    swap_time: Duration = default("2 min")
    """Extra time to bring in a spare."""
    reshard_time: Duration = default("0 s")
    """Extra time of a restart on another number of GPUs than before (an elastic job that shrinks or grows): to cut
    the copy anew for the ranks that there are now. Loading it is reckoned apart."""
    selection_time: Duration = default("0 s")
    """Extra time to choose units: at a start, and when no warm spare is left and free units take their place."""

    @property
    def laws(self) -> dict[str, tuple[float, float, float]]:
        """Time at 1,024 GPUs [s], time per doubling [s] and exponent of each part; a single one is unnamed."""
        if not self.parts:
            return {"": (self.base, self.per_doubling, 0.0)}
        return {name: (part.time, part.per_doubling, part.exponent) for name, part in self.parts.items()}


class Faults(Spec):
    """All failure classes of a scenario."""

    name: str = ""
    """Catalog name; filled in on loading."""
    enabled: bool = Field(True)
    """False switches every failure off."""
    classes: dict[str, FaultClass]
    """Failure classes, by name."""
    restart: Restart = Field(default_factory=Restart)
    """Restart times."""
    watchdog: Duration = default("10 min")
    """Time-out after which a hang is noticed (`hang_fraction`): PyTorch's default for NCCL process groups, and
    the "framework timeout" of ByteRobust (arXiv:2509.16293, Table 3: about 600 s)."""
    diagnosis: Diagnosis | None = Field(None)
    """Failures put down to the wrong unit, or to none; left out = each is found."""
    lemons: Lemons | None = Field(None)
    """Nodes that fail more often than others; left out = all alike."""
    eviction: Eviction | None = Field(None)
    """Exchange of nodes that keep failing; left out = they are always repaired."""
    max_restarts_without_progress: Annotated[Count, Field(ge=1)] = Field(200)
    """A job that restarts so often without completing a step stops the run with an error."""
