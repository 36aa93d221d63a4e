"""What every builder needs to know about the GPUs that it joins."""

from __future__ import annotations

from dataclasses import dataclass

from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Topology
from colossus_sim.topology.fabric import Level

PROPAGATION = 4.9e-9
"""Signal time in glass fibre, refractive index 1.47. [s/m]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """GPUs of one kind on one network.

    Attributes
    ----------
    topology : Topology
        The network.
    gpus : int
        How many there are.
    domain : int
        GPUs of one scale-up domain.
    nic : float
        Wire rate of one GPU's share of the NICs, per direction. [B/s]
    scale_up : float
        Scale-up rate of one GPU, per direction, as the catalog says. [B/s]
    own_gpu : bool
        Whether they are of the kind that the network was drawn for; groups of others are rounded to their domains.
    """

    topology: Topology
    gpus: int
    domain: int
    nic: float
    scale_up: float
    own_gpu: bool = True

    @classmethod
    def of(cls, topology: Topology, gpu: Gpu, gpus: int | None) -> Endpoints:
        """Take the NIC from the topology if it says one, else from the GPU."""
        nic = gpu.nic_bandwidth if topology.nic_bandwidth is None else topology.nic_bandwidth
        return cls(
            topology=topology,
            gpus=topology.gpus if gpus is None else gpus,
            domain=gpu.scale_up_domain,
            nic=nic,
            scale_up=gpu.scale_up_bandwidth,
            own_gpu=gpu.name == topology.gpu,
        )

    @property
    def injection(self) -> float:
        """What one GPU can send into the network. [B/s]"""
        return self.nic * self.topology.link_efficiency

    @property
    def num_domains(self) -> int:
        """Scale-up domains; the last may be partly there."""
        return -(-self.gpus // self.domain)

    def domain_level(self) -> Level:
        """Return level 0."""
        return Level(
            name="scale_up",
            group_gpus=self.domain,
            bandwidth=self.scale_up * self.topology.scale_up_efficiency,
            latency=self.topology.scale_up_latency,
        )

    def latency(self, switches: int) -> float:
        """Return the one-way latency of a path through so many switches. [s]"""
        top = self.topology
        return top.base_latency + switches * top.hop_latency + (switches + 1) * top.cable_length * PROPAGATION

    def whole(self, group_gpus: int, below: int) -> int:
        """Round a group size down to a whole number of groups of `below` GPUs."""
        return max(group_gpus // below, 1) * below

    def everything(self, below: int) -> int:
        """Return the smallest multiple of `below` that holds every GPU."""
        return -(-self.gpus // below) * below
