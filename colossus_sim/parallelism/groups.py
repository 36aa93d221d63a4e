"""Where the groups of an axis lie on the fabric, from the rank -> GPU map (never from group sizes).

Two published simulators price a data-parallel group on NVLink because its size is under 8; what counts is
which GPUs its ranks sit on. Regular cases are solved by dividing strides; the rest with numpy on domains.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from colossus_sim.parallelism.counting import COUNTS, compiled_count
from colossus_sim.parallelism.mesh import AXES, Mesh, MeshAxis
from colossus_sim.parallelism.placement import Placement
from colossus_sim.topology.fabric import Fabric

_Ids = npt.NDArray[np.int64]


class Filling(NamedTuple):
    """How all groups of an axis together fill the groups of one fabric level.

    What leaves a group shares its uplinks, and what these carry is told per rank of the fullest one (see
    `network.sharing`), so volumes are as well; of all groups that counts whose uplinks carry most.

    Attributes
    ----------
    carriers : float
        Ranks that carry one stream over a whole communication group out of a group: those in the fullest group over
        the most streams out of any; in a domain the fewest members, each with a NIC of its own.
    leaving : float
        What leaves a group in an all-to-all, for each of these ranks, as a share of a rank's message; in a domain
        for each of the fewest members.
    staying : float
        Share of its communication group, itself included, that a mean rank has in its own group.
    touched : float
        Groups that a mean communication group touches.
    """

    carriers: float
    leaving: float
    staying: float
    touched: float

    def flatness(self, operation: str, size: int) -> float:
        """Return how many times more all groups send out, for what the busiest one does, than by their ranks.

        Parameters
        ----------
        operation : str
            See `collective_time.group_collective_time`.
        size : int
            Ranks of one communication group.
        """
        if operation == "all_to_all":
            return (1.0 - self.staying) / self.leaving
        return self.touched * self.carriers / size


class GroupSpan(NamedTuple):
    """The worst of all groups of one axis, level by level.

    Attributes
    ----------
    size : int
        Ranks of one group.
    level : int
        Highest fabric level that any of the groups crosses (0 = all stay in their scale-up domain).
    groups : tuple of int
        For each fabric level, most groups of that level that one communication group touches; 1 from
        `level` on.
    members : tuple of int
        For each fabric level, fewest members that a communication group has in any group of that level it
        touches; `size` from `level` on.
    uneven : tuple of Filling
        For each fabric level, how its groups are filled; empty if every communication group has equally many
        members in all groups it touches.
    """

    size: int
    level: int
    groups: tuple[int, ...]
    members: tuple[int, ...]
    uneven: tuple[Filling, ...] = ()

    @property
    def filling(self) -> tuple[Filling, ...]:
        """How the groups of each fabric level are filled."""
        return self.uneven or tuple(
            [_evenly(self.size, count, few) for count, few in zip(self.groups, self.members, strict=True)]
        )


def _evenly(size: int, count: int, members: int) -> Filling:
    return Filling(float(members), (size - members) / size, 1.0 / count, float(count))


class _Count(NamedTuple):
    """Most groups touched and fewest members at one level, and how its groups are filled unless evenly."""

    most: int
    fewest: int
    uneven: Filling | None = None


class _Units(NamedTuple):
    """An axis counted in larger units (domains, leaf groups) with so many of its ranks in each."""

    axis: MeshAxis
    weight: int

    def coarser(self, factor: int) -> _Units | None:
        """Return the same groups in units `factor` times larger, or None if they do not fit evenly."""
        axis = self.axis
        neighbours = math.gcd(axis.stride, axis.inner) % factor == 0
        if neighbours and (axis.outer == 1 or axis.block % factor == 0):
            inner, block = axis.inner // factor, axis.block // factor
            coarse = axis._replace(stride=axis.stride // factor, inner=inner, block=block)
            return _Units(coarse, self.weight)
        extent = axis.stride * axis.size
        if axis.block != extent or axis.inner != axis.stride:
            return None
        if factor % extent == 0:
            outer = -(-axis.outer * extent // factor)
            whole = axis._replace(size=1, stride=1, inner=1, outer=outer, block=1)
            return _Units(whole, self.weight * axis.size)
        if factor % axis.stride == 0 and extent % factor == 0:
            size = extent // factor
            coarse = axis._replace(size=size, stride=1, inner=1, block=size)
            return _Units(coarse, self.weight * (factor // axis.stride))
        return None


def group_span(axis: MeshAxis, placement: Placement, fabric: Fabric) -> GroupSpan:
    """Return the worst span of an axis for a job placed on a fabric.

    Raises
    ------
    ValueError
        If the placement has no room for all ranks, or does not belong to this fabric.
    """
    return Ground(placement, fabric).span(axis)


class Ground:
    """The domains of a job on a fabric, which the groups of all its axes have in common.

    Raises
    ------
    ValueError
        If the placement does not belong to this fabric.
    """

    def __init__(self, placement: Placement, fabric: Fabric) -> None:
        self._placement, self._capacity = placement, placement.capacity
        self._known: dict[tuple[int, ...], GroupSpan] = {}
        # Scale-up domains in one group of each level.
        self._sizes = [-(-level.group_gpus // fabric.gpus_per_domain) for level in fabric.levels]
        self._check(fabric)

    @functools.cached_property
    def _domains(self) -> _Ids:
        """Domain index of each domain of the job, in rank order."""
        return np.concatenate([np.arange(first, first + count) for first, count in self._placement.runs])

    def _check(self, fabric: Fabric) -> None:
        placement, room = self._placement, self._sizes[-1]
        if placement.domain_gpus != fabric.gpus_per_domain:
            raise ValueError(
                f"the placement has domains of {placement.domain_gpus} GPUs, "
                f"fabric {fabric.name!r} has {fabric.gpus_per_domain}"
            )
        last = max([start + count for start, count in placement.runs])
        if last > room:
            raise ValueError(f"domain {last - 1} is outside fabric {fabric.name!r}, which has {room}")

    def span(self, axis: MeshAxis) -> GroupSpan:
        """Return the worst span of an axis; axes of the same ranks (dp and dp_cp, say) are looked at once.

        Raises
        ------
        ValueError
            If the placement has no room for all ranks.
        """
        ranks = axis[1:]
        if ranks not in self._known:
            self._known[ranks] = self._span(axis)
        return self._known[ranks]

    def _span(self, axis: MeshAxis) -> GroupSpan:
        if axis.last_rank >= self._capacity:
            raise ValueError(
                f"{axis.last_rank + 1} ranks do not fit into {self._placement.num_domains} domains of "
                f"{self._placement.ranks_per_domain}"
            )
        counts: list[_Count] = []
        units = _Units(axis, 1)
        for index in range(len(self._sizes) - 1):
            coarse = self._next(units, index)
            if coarse is None:
                counts.extend(self._by_numbers(units, index))
                break
            units = coarse
            counts.append(_Count(units.axis.size, units.weight))
        counts.append(_Count(1, axis.size))
        groups, members, found = zip(*counts, strict=True)
        uneven: tuple[Filling, ...] = ()
        if any(found):
            uneven = tuple([one.uneven or _evenly(axis.size, one.most, one.fewest) for one in counts])
        return GroupSpan(axis.size, groups.index(1), groups, members, uneven)

    def _next(self, units: _Units, index: int) -> _Units | None:
        """Go from level ``index - 1`` to `index` by arithmetic, if the job is one run that starts on a boundary."""
        placement, sizes = self._placement, self._sizes
        if index == 0:
            return units.coarser(placement.ranks_per_domain)
        if units.axis.size == 1:
            return units
        (first, _), size, below = placement.runs[0], sizes[index], sizes[index - 1]
        if len(placement.runs) > 1 or first % size or size % below:
            return None
        return units.coarser(size // below)

    def _by_numbers(self, units: _Units, index: int) -> list[_Count]:
        """Look at every group, by level from `index` to the last but one.

        `units` are ranks if `index` is 0, else the groups of level ``index - 1``.
        """
        if index == 0:
            # Neighbouring ranks that always share a domain behave alike: one stands for all of them.
            per_domain = self._placement.ranks_per_domain
            chunk = math.gcd(units.axis.stride, units.axis.inner, per_domain)
            units = units.coarser(chunk) or units
            ordinals = _ordinals(units.axis[1:], per_domain // chunk, 1)
        else:
            ordinals = _ordinals(units.axis[1:], 1, self._sizes[index - 1])
        counted = self._counted(ordinals, index)
        if counted is None:
            domains = self._domains[ordinals]
            ordered = bool((domains[:, 1:] >= domains[:, :-1]).all())
            counted = [_count_runs(domains // size, ordered) for size in self._sizes[index:-1]]
        return [
            _filled(counts, ordinals.shape, units.weight, domains=level == 0)
            for level, counts in enumerate(counted, start=index)
        ]

    def _counted(self, ordinals: _Ids, index: int) -> list[list[int]] | None:
        """Count in machine code, if it is at hand and every row ascends."""
        count = compiled_count()
        if count is None:
            return None
        groups = self._groups[index:]
        counts = np.empty((len(groups), COUNTS), dtype=np.int64)
        tally = np.empty((3, int(groups[0].max()) + 1), dtype=np.int64)
        if not count(groups, ordinals, counts, tally):
            return None
        found: list[list[int]] = counts.tolist()
        return found

    @functools.cached_property
    def _groups(self) -> _Ids:
        """Group of each domain of the job, by level up to the last but one."""
        return self._domains // np.array(self._sizes[:-1], dtype=np.int64)[:, None]


@functools.lru_cache(maxsize=64)
def _ordinals(ranks: tuple[int, ...], per_domain: int, domains: int) -> _Ids:
    """Return the domain of each unit by its place in rank order: a row for each group, a column for each member.

    Parameters
    ----------
    ranks : tuple of int
        Size, stride, inner, outer and block of the axis, in units.
    per_domain, domains : int
        Units in one domain, or domains in one unit; the other is 1.
    """
    size, stride, inner, outer, block = ranks
    first = (np.arange(outer, dtype=np.int64) * block)[:, None] + np.arange(inner, dtype=np.int64)
    units = first.reshape(-1)[:, None] + np.arange(size, dtype=np.int64) * stride
    ordinals: _Ids = units // per_domain * domains
    ordinals.setflags(write=False)
    return ordinals


def _count_runs(ids: _Ids, ordered: bool) -> list[int]:
    """Return what `counting.count_touched` counts at one level, given the group of each member of each row."""
    if not ordered:
        ids = np.sort(ids, axis=1)
    members = ids.shape[1]
    ends = np.ones(ids.shape, dtype=np.bool_)
    np.not_equal(ids[:, 1:], ids[:, :-1], out=ends[:, :-1])
    last = np.flatnonzero(ends)
    lengths = np.diff(last, prepend=-1)
    groups = ids.reshape(-1)[last]
    parts = lengths < members
    pairs = lengths * (members - lengths)
    # Sums of whole numbers below 2**53 are exact.
    held, leaving = (np.bincount(groups, weights=each).max() for each in (lengths, pairs))
    streams = np.bincount(groups[parts]).max(initial=0)
    found = (np.count_nonzero(ends, axis=1).max(), lengths.min(), len(last), (lengths * lengths).sum())
    return [int(each) for each in (*found, held, streams, leaving)]


def _filled(counts: Sequence[int], shape: tuple[int, int], weight: int, *, domains: bool) -> _Count:
    """Return what was counted in rows of members (`shape`), each of which stands for `weight` ranks."""
    most, fewest, touched, together, held, streams, leaving = counts
    rows, members = shape
    if most * rows == touched and most * fewest == members:
        return _Count(most, fewest * weight)
    staying = together / (rows * members * members)
    if domains:
        carriers, share = float(fewest * weight), (members - fewest) / members
    else:
        carriers, share = held * weight / streams, leaving / (held * members)
    return _Count(most, fewest * weight, Filling(carriers, share, staying, touched / rows))


def group_spans(mesh: Mesh, placement: Placement, fabric: Fabric) -> dict[str, GroupSpan]:
    """Return the spans of all axes (tp, cp, dp, pp, etp, ep, edp, dp_cp, embedding)."""
    ground = Ground(placement, fabric)
    return {name: ground.span(mesh.axis(name)) for name in AXES}
