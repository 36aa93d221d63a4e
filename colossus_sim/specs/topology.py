"""Fabrics as parameters for builders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from colossus_sim.specs.base import AsTuple, Provenance, Spec, default
from colossus_sim.specs.parts import Parts
from colossus_sim.units import Bandwidth, Bytes, Count, Duration, Length, Proportion, Ratio


class ClosTier(Spec):
    """One tier of a Clos network, seen from below."""

    name: str
    """leaf, spine, core."""
    group_gpus: Count
    """GPUs below one group of this tier (leaf group, pod, cluster): whole groups of the tier below, or scale-up
    domains (rounded down for a GPU that the network was not drawn for); 0 means all."""
    oversubscription: Annotated[Proportion, Field(ge=0.5, le=64)] = Field(1.0)
    """Bandwidth into this tier's group from below over bandwidth out of it upwards: 4, or "4:1". Cables are whole:
    where fewer than 100 go up from a leaf switch (or a group, per rail), they are rounded up, and bandwidth with
    them."""
    switch_radix: Annotated[Count, Field(ge=2)] | None = Field(None)
    """Ports of one switch of this tier at the NIC's rate; left out = the network's."""
    switches: Annotated[Count, Field(ge=1)] | None = Field(None)
    """Switches of one group of this tier, all rails and planes together, as a published design counts them; left
    out = the fewest that have the ports."""
    per_rail: bool = Field(False)
    """Whether each of its switches joins the leaf switches of one rail only; rails then meet in the tier above, or
    where there is none in the scale-up domain (a hop over NVLink that is not charged). Leaf switches of a network
    with rails are always so."""


class Clos(Spec):
    """Fat tree or leaf-spine network of one to four tiers, optionally rail-optimised or multi-plane."""

    kind: Literal["clos"]
    """Discriminator."""
    tiers: Annotated[tuple[ClosTier, ...], AsTuple, Field(min_length=1, max_length=4)]
    """From the leaf upwards; the last one joins everything."""
    switch_radix: Annotated[Count, Field(ge=2)]
    """Ports of one switch at the NIC's rate; a NIC's port of a fraction of it takes that fraction."""
    rails: Annotated[Count, Field(ge=1)] = Field(1)
    """NICs of a node that go to separate leaf switches (1 = all to one)."""
    planes: Annotated[Count, Field(ge=1)] = Field(1)
    """Parallel networks over which each NIC is split: a port of 1/planes of its rate, with a cable of its own, into
    each (Alibaba HPN). Where each NIC lies in one plane (DeepSeek-V3: one per GPU of a node), planes are `rails`
    with `rail_only`. Cables between switches have the NIC's whole rate."""
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
    block: Count = Field(0)
    """Side of the blocks that are wired by copper inside (TPU v4: cubes of 4 x 4 x 4). Links that leave a block go
    through optical circuit switches, one for each pair of opposite places on the faces of all blocks; 0 = none."""
    circuit_switch_ports: Count = Field(136)
    """Ports of one of these, in and out counted once (Palomar; Liu et al. 2023, Lightwave Fabrics: At-Scale Optical
    Circuit Switching, doi:10.1145/3603269.3604836)."""


class Custom(Spec):
    """Network given as a list of cables, e.g. what a fabric manager has discovered."""

    kind: Literal["custom"]
    """Discriminator."""
    file: str
    """File beside this one: GraphML, a table of cables (CSV with a header: from, to, bandwidth, links), or what
    ``ibnetdiscover`` or ``nvidia-smi topo -m`` print."""
    format: Literal["graphml", "csv", "ibnetdiscover", "nvidia-smi"] | None = Field(None)
    """What is in it; left out = by its ending (.graphml, .csv, .ibnet, .topo)."""
    hosts: str = Field("host*")
    """Which names are hosts in a table of cables (``*`` and ``?`` stand for anything). Hosts forward nothing
    where there are switches."""
    nvlink_bandwidth: Bandwidth = default("25 GB/s")
    """One direction of one NVLink, for ``nvidia-smi topo -m`` (NVLink 3 and 4: 25 GB/s; NVLink 5: 50 GB/s)."""
    switch_radix: Annotated[Count, Field(ge=1)] = Field(64)
    """Ports of one switch, for the bill of materials (assumption: 64, as of NVIDIA's Quantum-2); a list of cables
    does not show free ports. A switch with more cables has as many ports as these."""
    pcie_bandwidth: Bandwidth = default("50 GB/s")
    """One direction of a PCIe path, for pairs without NVLink there (assumption: Gen5 x16 at about 80 %)."""
    text: str = ""
    """Contents of the file; filled in on loading."""


FabricSpec = Annotated[Clos | Dragonfly | Torus | Custom, Field(discriminator="kind")]


class Protocol(Spec):
    """One protocol of a collective library: cheap small messages or full bandwidth, never both."""

    name: str
    """LL, LL128, Simple."""
    base_latency: Duration
    """Launch and synchronisation of one call."""
    ring_hop_scale_up: Duration
    """Latency of one ring step inside the scale-up domain."""
    ring_hop_scale_out: Duration
    """Latency of one ring step across the fabric, beyond the fabric's own latency."""
    tree_hop_scale_up: Duration
    """The same for one hop of a tree."""
    tree_hop_scale_out: Duration
    """The same for one hop of a tree."""
    fabric_latency_multiple: Annotated[Ratio, Field(ge=0, le=4)] = Field(1.0)
    """How often the fabric's one-way latency counts in each step across it (2 where a handshake is needed)."""
    bandwidth_fraction: Annotated[Ratio, Field(gt=0, le=1)]
    """Share of the bandwidth that carries payload."""
    tree_bandwidth_fraction: Annotated[Ratio, Field(gt=0, le=1)]
    """The same for trees."""
    pipeline_overhead: Duration = default("0 s")
    """Overhead x of filling the pipeline of chunks, shared by the steps of the algorithm: a transfer of duration
    t takes t + 2 sqrt(t x / steps), the optimum over chunk sizes. It is why medium messages are slow."""
    pipeline_overhead_scale_out: Duration = default("0 s")
    """Added to it where the group spans several domains."""
    point_to_point_limit: Bytes | None = Field(None)
    """Largest message to one peer that all_to_all and send_recv send with it; left out = any, 0 = never used."""
    busbw_limit_scale_up: Bandwidth | None = Field(None)
    """Most bus bandwidth inside one domain; left out = no limit of its own."""
    busbw_limit_scale_out: Bandwidth | None = Field(None)
    """Most bus bandwidth across domains; left out = no limit of its own."""


class InNetworkReduction(Spec):
    """Switches of the scale-up domain that add up (NVLink SHARP)."""

    latency: Duration
    """Latency of one call."""
    pipeline_overhead: Duration = default("0 s")
    """Overhead of filling the pipeline of chunks, as for a protocol with one step."""
    busbw_fraction: Annotated[Ratio, Field(gt=0, le=2)]
    """Bus bandwidth of an all-reduce over the scale-up bandwidth per direction; may exceed 1, since every
    rank sends its message once instead of twice."""
    min_group: Annotated[Count, Field(ge=2)]
    """Smallest group for which the library picks it."""


class FabricReduction(Spec):
    """Switches of the scale-out network that add up (InfiniBand SHARP): each NIC sends its part up once."""

    latency: Duration
    """Latency of one call, beyond the way to the top of the tree and back."""
    bandwidth_fraction: Annotated[Ratio, Field(gt=0, le=1)]
    """Share of the NIC's rate at which the switches take in data. CoreWeave's nccl-tests of 96 H100 with CollNet
    and SHARP (README of coreweave/nccl-tests) reach 195 GB/s, 24.4 of 50 GB/s per NIC: 0.515 of 95 %."""


class CollectiveConstants(Spec):
    """Constants of the collective library on one generation of scale-up network."""

    name: str = ""
    """Catalog name; filled in on loading."""
    protocols: Annotated[tuple[Protocol, ...], AsTuple, Field(min_length=1)]
    """The fastest one is used for each call."""
    in_network: InNetworkReduction | None = Field(None)
    """In-network reduction inside the scale-up domain."""
    fabric_reduction: FabricReduction | None = Field(None)
    """In-network reduction across domains, for all-reduce (SHARP, Graham et al. 2016, doi:10.1109/COMHPC.2016.006);
    taken where it is the fastest. Left out = the switches only forward."""
    logarithmic_per_rank: Duration | None = Field(None)
    """Cost per rank of the logarithmic all-gather and reduce-scatter (PAT), for groups with one rank per
    domain; left out = not available."""
    logarithmic_bandwidth_fraction: Annotated[Ratio, Field(gt=0, le=1)] = Field(0.75)
    """Its share of the bandwidth."""
    exchange_hop_scale_up: Duration = default("0 s")
    """Time that an all-to-all takes for each peer of the same scale-up domain, besides its bytes."""
    exchange_bandwidth_fraction: Annotated[Ratio, Field(gt=0, le=1.2)] = Field(1.0)
    """Bandwidth of large all-to-alls inside a scale-up domain relative to what rings reach there."""
    own_copy_weight: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """Time that a rank's own share of an all-gather or reduce-scatter takes inside a domain, relative to a share
    of the same size from a peer (it is copied or added, not sent)."""
    reduced_copy_weight: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """The same for an all-reduce by rings or trees, in which the own share counts once for two passes."""
    exchange_copy_weight: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """The same for an all-to-all."""
    send_overhead: Duration = default("1 us")
    """Time to post one message to another domain, for all-to-all."""
    token_exchange_latency: Duration = default("0 s")
    """Fixed time of one exchange of tokens by kernels of their own (DeepEP: counts, layout, barrier)."""
    token_exchange_fraction: Annotated[Ratio, Field(gt=0, le=1)] = Field(1.0)
    """Share of the bandwidth that such an exchange reaches (tokens are copied in and out of buffers)."""
    fastest_tree: bool = Field(False)
    """Whether trees are taken wherever they are the fastest. NCCL's own estimate gives a tree half of the links'
    rate over any number of domains (src/graph/tuning.cc), though over two it sends half of a ring's bytes, so that
    it keeps to rings for large messages; the tuner of AWS's plug-in does not."""
    hierarchical: bool = Field(False)
    """Whether the library splits groups level by level (BlueConnect, process groups inside process groups)."""
    provenance: Provenance
    """Source."""


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
    """How flows are spread. adaptive, static (paths planned so that they do not meet): `link_efficiency` is what
    that achieves. ecmp, in networks of kind clos: each flow keeps to the path that a hash picks, and the tiers
    above the leaf lose what collisions take, on top of it."""
    flows_per_nic: Annotated[Count, Field(ge=1)] = Field(16)
    """With `routing: ecmp`: flows into which the traffic of a NIC is split, each with a hash of its own (16 queue
    pairs per connection at Meta, Gangidi et al. 2024, doi:10.1145/3651890.3672233, section 4; 1 = plain ECMP)."""
    ecmp_seed: Count = Field(1)
    """With `routing: ecmp`: seed of the hash."""
    hop_latency: Duration = default("0.6 us")
    """Latency of one switch hop."""
    base_latency: Duration = default("1.6 us")
    """NIC to NIC latency without switches."""
    scale_up_efficiency: Annotated[Ratio, Field(gt=0, le=1)] = Field(0.82)
    """Share of the scale-up rate that collectives reach: 20.6 of 25 GB/s per NVLink 4 link (NCCL's own constant;
    measured ring plateau 361-367 of 450 GB/s on H100)."""
    scale_up_latency: Duration = default("0.6 us")
    """Latency between two GPUs of a scale-up domain (NCCL's NVLink hop)."""
    collectives: CollectiveConstants | None = Field(None)
    """Constants of the collective library (catalog name or fields); left out = ideal, only the latencies and
    bandwidths above."""
    cable_length: Length = default("30 m")
    """Mean cable length per tier, for propagation time and the bill of materials."""
    storage_network: Literal["separate", "shared"] = Field("separate")
    """shared: checkpoints and training data cross this network's tiers above the leaf, and take bandwidth from the
    collectives where `policies.contention` is not none; separate: storage has a network of its own."""
    parts: Parts | None = Field(None)
    """Prices and powers of switches, optics and cables (catalog name or fields), for the bill of materials; left
    out = the catalog's `network_2024`."""
    provenance: Provenance
    """Source."""
