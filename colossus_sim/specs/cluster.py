"""Sites, the GPUs in them, and how both change over time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from colossus_sim.specs.base import AsTuple, Spec, default
from colossus_sim.specs.hardware import Gpu, Storage
from colossus_sim.specs.maintenance import Maintenance
from colossus_sim.specs.topology import Topology
from colossus_sim.units import Count, Duration, Instant, Power, Ratio


class CapacityStep(Spec):
    """From this moment on, so many GPUs are installed."""

    at: Instant
    """When the change takes effect."""
    gpus: Count
    """GPUs present from then on (not the difference)."""
    note: str = ""
    """Why."""


class Partition(Spec):
    """GPUs of one kind inside a site."""

    gpu: Gpu
    """The device (catalog name or fields)."""
    capacity: Annotated[tuple[CapacityStep, ...], AsTuple, Field(min_length=1)]
    """Installed GPUs over time, in order of date; before the first step there are none."""
    gpus_used_per_domain: Count | None = Field(None)
    """GPUs of each scale-up domain that jobs may use; the rest are hot spares inside the domain.
    Left out = all of them. Example: 64 of the 72 of an NVL72 rack. A domain with fewer healthy GPUs than that is
    out of service as a whole until enough come back: where all are used, one broken node takes the others along."""
    spare_domains: Count = Field(0)
    """Scale-up domains kept aside as warm spares; they replace failed ones and run nothing else."""
    refill_spares: bool = Field(False)
    """Whether free domains fill up the spares when a job that lacked a domain found none among them. False = only
    domains that come back from repair do."""
    reserve_domains: Count = Field(0)
    """Installed domains that do other, preemptible work outside the scenario, and are not free to the queue. When a
    job lacks domains and there is neither a spare nor a free one, they are won one after another, until the job is
    complete and the spares are, too; they are not given back."""
    reserve_time: Duration = default("20 min")
    """Time to win one of them, by preemption of what runs there (AIReSim, arXiv:2603.07041, Table 1)."""

    @property
    def most_gpus(self) -> int:
        """GPUs at the largest step of its capacity, what its network is built for."""
        return max(step.gpus for step in self.capacity)

    @property
    def used_per_domain(self) -> int:
        """GPUs of each scale-up domain that jobs may use."""
        used = self.gpus_used_per_domain
        return max(1, self.gpu.scale_up_domain) if used is None else used

    @property
    def kept_domains(self) -> int:
        """Domains that are not for jobs in the queue: spares and reserve."""
        return self.spare_domains + self.reserve_domains


class Site(Spec):
    """One network and failure domain: each job runs at one site."""

    title: str = ""
    """Name for people."""
    topology: Topology
    """The scale-out network (catalog name, path, or fields)."""
    partitions: Annotated[dict[str, Partition], Field(min_length=1)]
    """The GPUs, by partition name."""
    storage: Storage
    """Shared storage (catalog name or fields)."""
    power_limit: Power | None = Field(None)
    """Most that the site may draw, cooling included."""
    power_control: Literal["throttle", "queue"] = Field("throttle")
    """How jobs stay below the limit. throttle: all run, at lower clocks; queue: at full clocks, and a job waits in
    the queue while its GPUs would take the site above the limit. Clocks are lowered then only if capacity that
    arrives draws power while too many run."""
    power_exponent: Annotated[Ratio, Field(ge=1, le=4)] = Field(2.0)
    """Dynamic power rises with the step rate to this power, when clocks are lowered to stay below the limit."""
    pue: Annotated[Ratio, Field(ge=1, le=3)] = Field(1.25)
    """Power usage effectiveness: site power over IT power."""
    repair_crew: Annotated[Count, Field(ge=1)] | None = Field(None)
    """Technicians: so many repairs by hand at once, first come first served; left out = no limit. State
    `faults.*.repair.manual_time` without the wait for a technician then."""
    repair_parts: Annotated[Count, Field(ge=1)] | None = Field(None)
    """Parts in stock; each repair by hand uses one, which is ordered again at once; left out = no limit."""
    part_lead_time: Duration = default("14 days")
    """From the order of a part to its delivery."""
    maintenance: Annotated[tuple[Maintenance, ...], AsTuple] = ()
    """Planned work that takes domains out of service: windows and rolling updates."""


class Cluster(Spec):
    """All sites."""

    sites: Annotated[dict[str, Site], Field(min_length=1)]
    """The sites, by name."""
