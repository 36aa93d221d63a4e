"""A fabric as the upper floors see it: nested groups of GPUs, each with bandwidth and latency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from colossus_sim.specs.topology import CollectiveConstants


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of the hierarchy: GPUs of the same group can talk without leaving it.

    Attributes
    ----------
    name : str
        scale_up, leaf, spine, core, router, group, global, torus ...
    group_gpus : int
        GPUs in one group of this level; the last level's group holds every GPU.
    bandwidth : float
        What each GPU gets, per direction, when all GPUs of all groups send to peers that share this
        level's group but no lower one. [B/s]
    latency : float
        One-way latency between two such peers. [s]
    ring_bandwidth : float
        What each GPU gets when it sends only to its neighbours in a ring over the group; 0 = `bandwidth`.
        Larger on a torus, where uniform traffic crosses many links and a ring just one. [B/s]
    """

    name: str
    group_gpus: int
    bandwidth: float
    latency: float
    ring_bandwidth: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """A built network: levels from the scale-up domain outwards, and what it is made of.

    Attributes
    ----------
    levels : tuple of Level
        Level 0 is the scale-up domain; group sizes increase and each divides into the next as far as the
        hardware does.
    injection_bandwidth : float
        What one GPU can put on the scale-out network at most, efficiency included, per direction. [B/s]
    gpus : int
        Endpoints.
    gpus_per_domain : int
        Size of the scale-up domain (equals ``levels[0].group_gpus``).
    switches : mapping of str to int
        Switches per tier.
    links : mapping of str to int
        Cables per tier (one cable carries both directions).
    bisection_bandwidth : float
        Over the worst cut into two halves, one direction. [B/s]
    bisection_exact : bool
        Whether no other cut has less; else `bisection_bandwidth` is an upper bound.
    diameter : int
        Most switch (torus: node) hops between two endpoints.
    collectives : CollectiveConstants, optional
        Constants of the collective library; None = ideal.
    circuit_switches : int
        Optical circuit switches, which set up cables and forward nothing.
    """

    name: str
    kind: str
    levels: tuple[Level, ...]
    injection_bandwidth: float
    gpus: int
    gpus_per_domain: int
    switches: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, int] = field(default_factory=dict)
    bisection_bandwidth: float = 0.0
    bisection_exact: bool = True
    diameter: int = 0
    collectives: CollectiveConstants | None = None
    circuit_switches: int = 0

    @property
    def bandwidths(self) -> tuple[float, ...]:
        """Per-GPU bandwidth of each level, uncontended. [B/s]"""
        return tuple(level.bandwidth for level in self.levels)
