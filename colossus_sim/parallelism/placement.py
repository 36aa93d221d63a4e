"""Where the ranks of a job sit."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Placement:
    """Ranks fill scale-up domains in order, `ranks_per_domain` in each (the last may be partly filled).

    Attributes
    ----------
    domain_gpus : int
        GPUs of one scale-up domain (8 for HGX, 72 for NVL72); GPU index = domain * domain_gpus + offset.
    ranks_per_domain : int
        Ranks that the job puts into one domain; at most `domain_gpus`.
    runs : tuple of (int, int)
        Runs of neighbouring domains, (first domain, number of domains), in rank order.
    """

    domain_gpus: int
    ranks_per_domain: int
    runs: tuple[tuple[int, int], ...]
    _hash: int = field(init=False, repr=False, compare=False)
    """Asked for again and again, of hundreds of runs."""

    def __post_init__(self) -> None:
        """Work out the hash once."""
        object.__setattr__(self, "_hash", hash((self.domain_gpus, self.ranks_per_domain, self.runs)))

    def __hash__(self) -> int:
        """Return the hash of the three fields."""
        return self._hash

    @property
    def num_domains(self) -> int:
        """Scale-up domains used."""
        return sum(count for _, count in self.runs)

    @property
    def capacity(self) -> int:
        """Ranks that fit."""
        return self.num_domains * self.ranks_per_domain
