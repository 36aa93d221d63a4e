"""What a phase asks of the shared storage, and of the network where storage shares that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from colossus_sim.engine.progress import SaveTier
from colossus_sim.specs.checkpoint import CheckpointPolicy

if TYPE_CHECKING:
    from colossus_sim.engine.holding import Holding, PhaseModel


def writing_rate(policy: CheckpointPolicy, tiers: Sequence[SaveTier], model: PhaseModel) -> float:
    """Return the mean rate at which saves by a policy are written to the shared storage. [B/s]"""
    rate = 0.0
    for spec, tier in zip(policy.tiers, tiers, strict=True):
        if spec.write_bandwidth is None:
            rate += model.state_bytes / (tier.period * model.reference_time)
    return rate


def storage_demand(holding: Holding) -> float:
    """Return the mean rate at which a phase writes to the shared storage. [B/s]"""
    return writing_rate(holding.policy, holding.work.tiers, holding.model)


def storage_traffic(holding: Holding) -> tuple[float, float]:
    """Return mean and peak rate of a GPU's storage traffic on the network; 0 if storage has one of its own. [B/s]

    The mean is training data and saves over time; the peak is training data while a save drains.
    """
    if holding.site.spec.topology.storage_network == "separate" or not holding.gpus:
        return 0.0, 0.0
    storage, model = holding.site.spec.storage, holding.model
    reads = model.tokens_per_unit * holding.job.data.bytes_per_token / model.reference_time
    saves = storage_demand(holding) if holding.work.tiers else 0.0
    burst = min(storage.write_bandwidth, storage.bandwidth_per_gpu * holding.gpus) if saves else 0.0
    return (reads + saves) / holding.gpus, (reads + max(burst, saves)) / holding.gpus


def transfer_time(phase: Holding, size: float, *, read: bool) -> float:
    """Return how long a phase takes to move so many bytes; alone at the storage, where jobs queue for it. [s]"""
    site = phase.site
    storage = site.spec.storage
    share = 1.0
    if site.desk is None:
        share = 1.0 / max(1, site.readers) if read else site.storage_share(phase.number)
    bandwidth = (storage.read_bandwidth if read else storage.write_bandwidth) * share
    return size / min(bandwidth, storage.bandwidth_per_gpu * phase.gpus) if size else 0.0
