"""The scale-up domains of one partition: who has which, what is broken, what is kept aside.

Every installed domain is in exactly one place: free, spare, spare of one job, in the reserve, out of service, or
owned. All counts are kept up to date at each change, so that nothing is ever recounted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from colossus_sim.engine.lowest import Lowest
from colossus_sim.engine.own_spares import OwnSpares
from colossus_sim.engine.placers import PLACERS, fragmentation, from_domain
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.cluster import Partition

ABSENT, FREE, SPARE, OUT, RESERVE = -4, -1, -2, -3, -5
"""Owners of a domain that no job has; owners of the others are numbers from 0 up."""

IntArray = npt.NDArray[np.int64]


class BrokenGpus:
    """How many GPUs are under repair in the domains of a partition, by who has the domain."""

    def __init__(self) -> None:
        self.total = 0
        self.free = 0
        """In domains that are free to jobs."""
        self.out = 0
        """In domains that are out of service."""

    def move(self, gpus: int, old: int, new: int) -> None:
        """Note that a domain with so many of them changes hands."""
        if gpus:
            self.add(old, -gpus)
            self.add(new, gpus)

    def add(self, place: int, gpus: int) -> None:
        """Count so many more (negative = fewer) in the domains of an owner or a place."""
        if place == ABSENT:
            return
        self.total += gpus
        if place == FREE:
            self.free += gpus
        elif place == OUT:
            self.out += gpus


class PartitionPool:
    """Domains of one partition."""

    def __init__(self, site: str, name: str, spec: Partition, level_domains: tuple[int, ...]) -> None:
        self.site = site
        self.name = name
        self.spec = spec
        self.domain_gpus = spec.gpu.scale_up_domain
        self.node_gpus = min(spec.gpu.gpus_per_node, self.domain_gpus)
        self.used_per_domain = spec.used_per_domain
        self.level_domains = level_domains
        """Domains below one group of each scale-out level that has more than one group; at least one entry."""
        most = spec.most_gpus // self.domain_gpus
        self.owner = np.full(most, ABSENT, dtype=np.int64)
        self._lowest = Lowest(self.owner)
        self.broken: dict[int, int] = {}
        """GPUs under repair of each domain that has any."""
        self.installed_gpus = 0
        self.installed_ids: IntArray = np.empty(0, dtype=np.int64)
        self._ids: list[int] = []
        self.counts = {FREE: 0, SPARE: 0, OUT: 0, RESERVE: 0}
        self.own = OwnSpares(self.counts)
        """Spares of one job alone."""
        self._won = 0
        """Domains of the reserve that have been won."""
        self.owned_domains = 0
        """Domains in use."""
        self.owned: dict[int, int] = {}
        """Number of domains of each owner."""
        self._under_repair = BrokenGpus()
        self.fragmentation = 0.0
        """Share of the free domains that is not in their longest run, as of the last start, end or resize."""

    # -- what there is -------------------------------------------------------------------------------

    @property
    def nodes_per_domain(self) -> int:
        """Replaceable units of one domain."""
        return self.domain_gpus // self.node_gpus

    def domains_for(self, gpus: int) -> int:
        """Return how many domains hold `gpus` ranks."""
        return -(-gpus // self.used_per_domain)

    def gpus_by_state(self) -> tuple[int, int, int, int, int]:
        """Return installed GPUs that are (owned and usable, idle, spare, stranded, down): all that are installed.

        Hot spares inside a domain in use count as spare; healthy GPUs of a domain out of service as stranded.
        """
        broken, used = self._under_repair, self.owned_domains * self.used_per_domain
        idle = self.counts[FREE] * self.domain_gpus + self.installed_gpus % self.domain_gpus - broken.free
        stranded = self.counts[OUT] * self.domain_gpus - broken.out
        return used, idle, self.installed_gpus - used - idle - stranded - broken.total, stranded, broken.total

    def has_hot_spare(self, domain: int) -> bool:
        """Whether a node of this domain could fail and leave enough GPUs for a job."""
        return self.domain_gpus - self.broken.get(domain, 0) - self.node_gpus >= self.used_per_domain

    def _look_at_gaps(self) -> None:
        """Bring `fragmentation` up to date; costs time in proportion to the domains, so not at every failure."""
        self.fragmentation = fragmentation(np.flatnonzero(self.owner == FREE))

    def available(self) -> int:
        """Domains that a job could get now."""
        return self.counts[FREE]

    def held(self, owner: int) -> int:
        """Domains that come free when an owner goes: those in use, and its own spares that lie ready."""
        return self.owned.get(owner, 0) + self.own.count(owner)

    # -- moves ---------------------------------------------------------------------------------------

    def _move(self, domain: int, owner: int) -> None:
        old = int(self.owner[domain])
        if old == owner:
            return
        self._under_repair.move(self.broken.get(domain, 0), old, owner)
        if old >= 0:
            self.owned[old] -= 1
            self.owned_domains -= 1
            if not self.owned[old]:
                del self.owned[old]
        elif old in self.counts:
            self.counts[old] -= 1
        if owner >= 0:
            self.owned[owner] = self.owned.get(owner, 0) + 1
            self.owned_domains += 1
            self.own.used(domain)
        elif owner in self.counts:
            self.counts[owner] += 1
            self._lowest.entered(owner, domain)
        self.owner[domain] = owner

    def _home(self, domain: int) -> int:
        """Where a domain goes that nobody uses: out of service, spare (of who lost it), reserve, or free."""
        if self.domain_gpus - self.broken.get(domain, 0) < self.used_per_domain:
            return OUT
        back = self.own.home(domain)
        if back is not None:
            return back
        if self.counts[SPARE] < self.spec.spare_domains:
            return SPARE
        return RESERVE if self.reserve_missing > 0 else FREE

    @property
    def reserve_missing(self) -> int:
        """Domains that broke in the reserve and have not come back to it."""
        return self.spec.reserve_domains - self._won - self.counts[RESERVE]

    @property
    def spares_missing(self) -> int:
        """Spares that are in use or under repair."""
        return max(0, self.spec.spare_domains - self.counts[SPARE])

    @property
    def kept_missing(self) -> int:
        """Domains that go to spares and reserve before any that come free are free to jobs."""
        return self.spares_missing + max(0, self.reserve_missing)

    def allocate(
        self, owner: int, count: int, policy: str, rng: np.random.Generator, *, first: int | None = None,
        spares: int = 0,
    ) -> list[int]:  # fmt: skip
        """Give `count` free domains to `owner` and return them in rank order: from `first` on if it is given.

        So many more become spares of its own, the first free ones.

        Raises
        ------
        ValueError
            If there are not so many.
        """
        free = np.flatnonzero(self.owner == FREE)
        if len(free) < count + spares:
            raise ValueError(f"{count + spares} domains asked, {len(free)} free")
        if first is not None:
            found = from_domain(free, count, first)
        else:
            found = PLACERS[policy](free, count, self.level_domains, rng)
        chosen: list[int] = found.tolist()
        for domain in chosen:
            self._move(domain, owner)
        if spares:
            place = self.own.open(owner, spares)
            for _ in range(spares):
                self._move(self._lowest.first(FREE), place)
        self._look_at_gaps()
        return chosen

    def release(self, owner: int) -> None:
        """Take all domains back from `owner`, and its spares."""
        domains = np.flatnonzero((self.owner == owner) | (self.owner == self.own.place(owner)))
        self.own.close(owner)
        for domain in domains.tolist():
            self._move(domain, ABSENT)
            self._move(domain, self._home(domain))
        self._look_at_gaps()

    def replace(self, owner: int) -> int | None:
        """Give `owner` one of its own spares, or else one that is spare or free; return it, or None."""
        for source in (self.own.place(owner), SPARE, FREE):
            if self.counts.get(source):
                domain = self._lowest.first(source)
                self._move(domain, owner)
                return domain
        return None

    def refill_spares(self) -> None:
        """Make free domains spares, until none is missing or free."""
        while self.counts[FREE] and self.spares_missing:
            self._move(self._lowest.first(FREE), SPARE)

    def win(self) -> int:
        """Take one domain from the reserve for good, and return it.

        Raises
        ------
        ValueError
            If nothing is left there.
        """
        domain = self._lowest.first(RESERVE)
        self._won += 1
        self._move(domain, ABSENT)
        self._move(domain, self._home(domain))
        return domain

    # -- failures and repairs ------------------------------------------------------------------------

    def locate(self, fraction: float, per: str) -> tuple[int, int] | None:
        """Return (domain, node) that a failure at this place (0 <= fraction < 1) of the partition hits.

        None if nothing is installed there, or if the unit is under repair already.
        """
        total = len(self._ids)
        if not total:
            return None
        place = fraction * total
        index = min(int(place), total - 1)
        domain = self._ids[index]
        node = min(int((place - index) * self.nodes_per_domain), self.nodes_per_domain - 1)
        if self.owner[domain] == OUT and per == "domain":
            return None
        alive = 1.0 - self.broken.get(domain, 0) / self.domain_gpus
        offset = (place - index) * self.domain_gpus % 1.0
        return None if offset >= alive else (domain, node)

    def gpus_left(self, domain: int) -> int:
        """Return the GPUs of a domain that are not under repair; 0 if it is not installed."""
        return 0 if self.owner[domain] == ABSENT else self.domain_gpus - self.broken.get(domain, 0)

    def fail(self, domain: int, gpus: int) -> bool:
        """Take `gpus` GPUs of a domain out for repair; return whether the domain had to leave its owner."""
        before = self.broken.get(domain, 0)
        after = before + min(gpus, self.domain_gpus - before)
        owner = int(self.owner[domain])
        if owner in self.counts:
            self._settle(domain, owner, after)
            return False
        self._move(domain, ABSENT)
        self.broken[domain] = after
        home = self._home(domain)
        if owner >= 0 and home != OUT:
            self._move(domain, owner)
            return False
        self._move(domain, home)
        if owner >= 0:
            self.own.lost(domain, owner)
        return owner >= 0

    def _settle(self, domain: int, place: int, broken: int) -> None:
        """Note that so many GPUs of a domain that nobody uses are under repair, and put it where it belongs."""
        self.counts[place] -= 1
        self._under_repair.add(place, -self.broken.get(domain, 0))
        if broken > 0:
            self.broken[domain] = broken
        else:
            del self.broken[domain]
        home = self._home(domain)
        if self.own.is_place(place):
            if home == OUT:
                self.own.lost(domain, place)
            else:
                home = place
        self.counts[home] += 1
        self._under_repair.add(home, self.broken.get(domain, 0))
        if home != place:
            self.owner[domain] = home
            self._lowest.entered(home, domain)

    def repair(self, domain: int, gpus: int) -> None:
        """Bring repaired GPUs back (nothing happens if the domain has left meanwhile)."""
        if domain not in self.broken:
            return
        owner = int(self.owner[domain])
        left = self.broken[domain] - gpus
        if owner in self.counts:
            self._settle(domain, owner, left)
            return
        self._move(domain, ABSENT)
        if left > 0:
            self.broken[domain] = left
        else:
            del self.broken[domain]
        self._move(domain, owner if owner >= 0 else self._home(domain))

    # -- capacity ------------------------------------------------------------------------------------

    def resize(self, gpus: int, victims: Sequence[int]) -> list[int]:
        """Set the installed GPUs; return the domains in use that have to leave first.

        Domains leave in this order: out of service, free, spare, in the reserve, spares of jobs, then those of the
        owners in `victims`, first owner first. If the result is not empty nothing has been changed: empty those
        domains, then call again.
        """
        wanted = gpus // self.domain_gpus
        present = len(self.installed_ids)
        if wanted < present:
            leaving = _leaving(self, present - wanted, victims)
            in_use = [domain for domain in leaving if self.owner[domain] >= 0]
            if in_use:
                return in_use
            for domain in leaving:
                self._move(domain, ABSENT)
                self.broken.pop(domain, None)
        else:
            for domain in np.flatnonzero(self.owner == ABSENT)[: wanted - present].tolist():
                self._move(domain, self._home(domain))
        self.installed_gpus = gpus
        self.installed_ids = np.flatnonzero(self.owner != ABSENT)
        self._ids = self.installed_ids.tolist()
        self._look_at_gaps()
        return []

    def placement(self, domains: Sequence[int] | IntArray) -> Placement:
        """Return the placement of ranks on these domains, in this order."""
        ids = np.array(domains, dtype=np.int64)
        begins = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 2) != 1)
        lengths = np.diff(begins, append=len(ids))
        runs = zip(ids[begins].tolist(), lengths.tolist(), strict=True)
        return Placement(self.domain_gpus, self.used_per_domain, tuple(runs))


def _leaving(pool: PartitionPool, count: int, victims: Sequence[int]) -> list[int]:
    """Return the domains that leave when capacity shrinks by so many."""
    chosen: list[int] = []
    for owner in (OUT, FREE, SPARE, RESERVE, *pool.own.places(), *victims):
        if len(chosen) >= count:
            break
        chosen += np.flatnonzero(pool.owner == owner)[::-1].tolist()
    return chosen[:count]
