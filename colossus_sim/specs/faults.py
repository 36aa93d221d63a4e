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


class Degradation(Spec):
    """A part of the network that is lost until it is repaired: NIC, cable, switch, rail, plane."""

    part: Literal["nic", "switch", "rail", "plane"] | None = Field(None)
    """What is lost; the share follows from the topology, and traffic takes the ways that are left. nic: one GPU's
    NIC or its cable, the other NICs of the scale-up domain carry its traffic; switch: one of those of a group of
    `level` (a leaf switch of a rail-optimised network = that rail for the leaf group); rail, plane: of the groups
    of `level`, or of the whole network. A group that loses its only switch is cut off: its jobs stop, and its GPUs
    are out of service until the repair."""
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
        if not self.level and self.part in (None, "switch"):
            raise ValueError("level is missing: which level loses bandwidth, e.g. leaf")
        return self


def _or_a_path(schema: dict[str, Any]) -> None:
    """A file may name a CSV file instead; loading reads it."""
    schema["anyOf"] = [*schema["anyOf"], {"type": "string", "description": "Path of a CSV file."}]


class FaultClass(Spec):
    """One kind of failure."""

    title: str = ""
    """Name for people."""
    per: Literal["gpu", "node", "domain", "site", "job"]
    """What the rate counts: each installed GPU, node or domain of each partition, each site, each running job."""
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
    removes: Literal["nothing", "node", "domain", "site"]
    """Blast radius: what leaves service until repaired. ``nothing`` = the job restarts in place."""
    interrupts: bool = Field(True)
    """Whether a job that uses the unit stops; False = it is slowed instead (straggler, degraded link)."""
    slowdown: Annotated[Ratio, Field(ge=1, le=100)] = Field(1.0)
    """Step-time factor while the unit is degraded, where it does not interrupt."""
    degrades: Degradation | None = Field(None)
    """Network bandwidth that is lost meanwhile, where it does not interrupt; needs `repair`, which mends it in
    place. Every job with GPUs in the group is touched."""
    detection: Duration = default("5 min")
    """From the fault to the decision to restart (hangs wait for the watchdog); for a slow unit, until it is
    found and replaced."""
    planned: bool = Field(False)
    """Maintenance that is announced: the job saves first, so nothing is lost."""
    needs_storage_checkpoint: bool = Field(False)
    """Whether copies in memory are not trusted after it (silent data corruption)."""
    repair: Repair | None = Field(None)
    """How the unit comes back; needed when something is removed."""
    provenance: Provenance
    """Source."""


class Restart(Spec):
    """From the decision to restart to the first step, without loading and lost work."""

    base: Duration = default("350 s")
    """Requeue, container start, communicator set-up and warm-up at 1,024 GPUs."""
    per_doubling: Duration = default("105 s")
    """Added for each doubling of the GPUs beyond 1,024 (ByteRobust, arXiv:2509.16293, Table 7: 454 s at
    2,048 and 768 s at 16,384)."""
    manual_fraction: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.007)
    """Share of restarts that a person must untangle (Llama 3, arXiv:2407.21783: 3 of 419)."""
    manual_time: Duration = default("2 h")
    """Extra mean time of those; exponential."""
    swap_time: Duration = default("2 min")
    """Extra time to bring in a spare."""


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
    max_restarts_without_progress: Annotated[Count, Field(ge=1)] = Field(200)
    """A job that restarts so often without completing a step stops the run with an error."""
