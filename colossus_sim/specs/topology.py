"""Fabrics as parameters for builders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from colossus_sim.specs.base import AsTuple, Provenance, Spec, default
from colossus_sim.units import Bandwidth, Count, Duration, Length, Ratio


class ClosTier(Spec):
    """One tier of a Clos network, seen from below."""

    name: str
    """leaf, spine, core."""
    group_gpus: Count
    """GPUs below one group of this tier (leaf group, pod, cluster); 0 means all."""
    oversubscription: Annotated[Ratio, Field(ge=0.5, le=64)] = Field(1.0)
    """Bandwidth into this tier's group from below over bandwidth out of it upwards."""


class Clos(Spec):
    """Fat tree or leaf-spine network of two or three tiers, optionally rail-optimised or multi-plane."""

    kind: Literal["clos"]
    """Discriminator."""
    tiers: Annotated[tuple[ClosTier, ...], AsTuple, Field(min_length=1, max_length=4)]
    """From the leaf upwards; the last one joins everything."""
    switch_radix: Count
    """Ports of one switch at the NIC's rate."""
    rails: Count = Field(1)
    """NICs of a node that go to separate leaf switches (1 = all to one)."""
    planes: Count = Field(1)
    """Parallel networks that each carry a share of the traffic."""
    rail_only: bool = Field(False)
    """Whether different rails are joined only inside the scale-up domain."""


class Dragonfly(Spec):
    """Groups of routers, all-to-all inside and between groups (Kim et al. 2008, doi:10.1109/ISCA.2008.19)."""

    kind: Literal["dragonfly"]
    """Discriminator."""
    endpoints_per_router: Count
    """p: GPUs per router."""
    routers_per_group: Count
    """a: routers per group."""
    global_links_per_router: Count
    """h: global links per router."""
    local_link_bandwidth: Bandwidth
    """Bandwidth of a router-to-router link inside a group, per direction."""
    global_link_bandwidth: Bandwidth
    """Bandwidth of a global link, per direction."""
    switch_radix: Count
    """Ports of one router."""


class Torus(Spec):
    """Direct network of k-ary n-cubes, e.g. a TPU pod."""

    kind: Literal["torus"]
    """Discriminator."""
    dims: Annotated[tuple[Count, ...], AsTuple, Field(min_length=1, max_length=6)]
    """Size of each dimension."""
    link_bandwidth: Bandwidth
    """Bandwidth of one link, per direction."""


FabricSpec = Annotated[Clos | Dragonfly | Torus, Field(discriminator="kind")]


class Topology(Spec):
    """A scale-out network: what joins the scale-up domains of one site."""

    name: str = ""
    """Catalog name; filled in on loading."""
    title: str
    """Name for people."""
    gpu: str
    """Catalog name of the GPU that this network was drawn for (a partition may name another)."""
    gpus: Count
    """Endpoints at full size."""
    fabric: FabricSpec
    """The network and its parameters."""
    nic_bandwidth: Bandwidth | None = Field(None)
    """Per GPU and direction; left out = the GPU's own."""
    link_efficiency: Annotated[Ratio, Field(gt=0, le=1)] = Field(0.95)
    """Share of the wire rate that large transfers reach after protocol and congestion control."""
    routing: Literal["adaptive", "ecmp", "static"] = Field("adaptive")
    """How flows are spread; `link_efficiency` is what it achieves."""
    hop_latency: Duration = default("0.6 us")
    """Latency of one switch hop."""
    base_latency: Duration = default("1.6 us")
    """NIC to NIC latency without switches."""
    cable_length: Length = default("30 m")
    """Mean cable length per tier, for propagation time and the bill of materials."""
    provenance: Provenance
    """Source."""
