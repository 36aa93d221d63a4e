"""One seed, many independent named streams.

A stream is keyed by what it is for, never by the order of creation, so adding a job or a failure class leaves
every other stream alone, and two scenarios with one seed share their random numbers as far as they can.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np


def stream(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of the stream with this name.

    Parameters
    ----------
    seed : int
        Root seed, not negative.
    *names : str
        What the stream is for, e.g. ``("failure", "colossus_2", "gb200", "gpu")``.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=_key(names))))


@functools.lru_cache(maxsize=4096)
def _key(names: tuple[str, ...]) -> tuple[int, ...]:
    digest = hashlib.blake2b("\x1f".join(names).encode(), digest_size=16).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
