"""Collisions of hashed paths: what the busiest cable of a tier leaves to the flows on it."""

from __future__ import annotations

from colossus_sim.randomness import stream


def hashed_share(name: str, *, flows: int, uplinks: int, switches: int, seed: int) -> float:
    """Return the rate of the slowest flow over the uplinks of a tier, relative to evenly spread traffic.

    Every switch sends each flow to an uplink that a hash picks (RFC 2992), up and, at the far end, down. The first
    cable to fill up is the one with the most flows, and what it leaves to each is the lowest max-min fair rate; a
    collective waits for it.

    Parameters
    ----------
    name : str
        Tier, for its stream of random numbers.
    flows, uplinks : int
        Flows of one switch, all alike, and the uplinks that they meet on.
    switches : int
        Switches of the tier.
    seed : int
        Of the hash.
    """
    if uplinks < 2:
        return 1.0
    drawn = stream(seed, "ecmp", name).multinomial(flows, [1.0 / uplinks] * uplinks, size=2 * switches)
    return flows / uplinks / float(drawn.max())
