"""Seeds of replicas: the same for every point of a sweep, so that differences between points are paired."""

from __future__ import annotations

SEED_LIMIT = 2**63


def replica_seed(root: int, replica: int) -> int:
    """Return the seed of a replica: the scenario's own for the first, and so on upwards.

    Streams are made by hashing seed and name (see `colossus_sim.randomness`), so neighbouring seeds are
    independent; and a replica is repeated by ``run --seed``.
    """
    return (root + replica) % SEED_LIMIT
