"""Max-min fair sharing of links by flows (progressive filling), exact.

Model: fluid flows of equal weight; at every instant no flow can get more without another that is no faster
getting less (Bertsekas and Gallager 1992, Data Networks, section 6.5.2). No latency, no protocol overhead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from colossus_sim.compiling import jit_available
from colossus_sim.network.classes import flow_classes
from colossus_sim.network.course import run_kernel

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Routes = Sequence[Sequence[int]] | tuple[IntArray, IntArray]
"""Links of each flow: a list of lists, or compressed rows (ptr, idx) as in scipy.sparse.csr_array."""

_TIE = 1e-12
"""Relative difference below which two shares, or two moments, count as equal."""

_DENSE = 4
"""Flows per link from which, without compiled code, whole solutions by numpy beat local ones in plain Python."""


class _Csr(NamedTuple):
    ptr: IntArray
    idx: IntArray

    @property
    def num_flows(self) -> int:
        return len(self.ptr) - 1

    def select(self, keep: npt.NDArray[np.bool_]) -> _Csr:
        """Return the rows with a True in `keep`."""
        lengths = np.diff(self.ptr)
        ptr = np.concatenate(([0], np.cumsum(lengths[keep])))
        return _Csr(ptr, self.idx[np.repeat(keep, lengths)])


def max_min_rates(capacities: npt.ArrayLike, routes: Routes) -> FloatArray:
    """Return the max-min fair rate of each flow. [B/s]

    Parameters
    ----------
    capacities : array of float
        Capacity of each (directed) link. [B/s]
    routes : list of lists of int, or (ptr, idx)
        Links that each flow crosses; a link named twice counts twice. A flow without links is not limited
        (infinite rate).

    Raises
    ------
    ValueError
        If a capacity is not above 0 and finite, or a route names a link that is not there.

    Notes
    -----
    A link whose fair share is the least of all links that its flows cross is a bottleneck for good: shares of
    the others can only grow. All such links are filled in one round, so there are as many rounds as
    bottlenecks depend on one another, not as many as there are bottlenecks.

    Examples
    --------
    >>> max_min_rates([10.0, 4.0], [[0], [0, 1], [1]]).tolist()
    [8.0, 2.0, 2.0]
    """
    capacity = _capacities(capacities)
    return _fill(capacity, _csr(routes, len(capacity)))


def read_routes(capacities: npt.ArrayLike, routes: Routes) -> tuple[FloatArray, IntArray, IntArray]:
    """Return capacities and routes as arrays, the routes in compressed rows (ptr, idx).

    Raises
    ------
    ValueError
        As `max_min_rates`.
    """
    capacity = _capacities(capacities)
    table = _csr(routes, len(capacity))
    return capacity, table.ptr, table.idx


def _capacities(capacities: npt.ArrayLike) -> FloatArray:
    capacity = np.asarray(capacities, dtype=np.float64)
    if capacity.ndim != 1 or not bool(np.all((capacity > 0) & np.isfinite(capacity))):
        raise ValueError("capacities must be a list of finite numbers above 0")
    return capacity


def _csr(routes: Routes, num_links: int) -> _Csr:
    if isinstance(routes, tuple) and len(routes) == 2 and isinstance(routes[0], np.ndarray):
        ptr, idx = (np.asarray(part, dtype=np.int64) for part in routes)
    else:
        ptr = np.concatenate(([0], np.cumsum([len(route) for route in routes], dtype=np.int64)))
        idx = np.array([link for route in routes for link in route], dtype=np.int64)
    if len(ptr) == 0 or ptr[0] != 0 or ptr[-1] != len(idx) or bool(np.any(np.diff(ptr) < 0)):
        raise ValueError("routes: ptr must rise from 0 to the number of entries in idx")
    if len(idx) and (idx.min() < 0 or idx.max() >= num_links):
        raise ValueError(f"routes name links outside 0 .. {num_links - 1}")
    return _Csr(ptr, idx)


def _fill(capacity: FloatArray, routes: _Csr) -> FloatArray:
    """Fill bottlenecks round by round until every flow has its rate."""
    rates = np.full(routes.num_flows, np.inf)
    flows = np.flatnonzero(np.diff(routes.ptr) > 0)
    active = routes.select(np.diff(routes.ptr) > 0)
    left = capacity.copy()
    while len(flows):
        counts = np.bincount(active.idx, minlength=len(capacity))
        share = np.divide(left, counts, out=np.full(len(capacity), np.inf), where=counts > 0)
        lowest = np.minimum.reduceat(share[active.idx], active.ptr[:-1])
        done = _at_bottleneck(share, lowest, active)
        rates[flows[done]] = lowest[done]
        frozen = active.select(done)
        used = np.repeat(lowest[done], np.diff(frozen.ptr))
        left = np.maximum(left - np.bincount(frozen.idx, weights=used, minlength=len(capacity)), 0.0)
        flows = flows[~done]
        active = active.select(~done)
    return rates


def _at_bottleneck(share: FloatArray, lowest: FloatArray, active: _Csr) -> npt.NDArray[np.bool_]:
    """Say which flows cross a link whose share is the least of all links that its flows cross."""
    lengths = np.diff(active.ptr)
    worst = np.full(len(share), np.inf)
    np.minimum.at(worst, active.idx, np.repeat(lowest, lengths))
    # One of them always is: the link with the least share of all.
    bottleneck = share <= worst * (1 + _TIE)
    return np.logical_or.reduceat(bottleneck[active.idx], active.ptr[:-1])


def simulate_flows(
    capacities: npt.ArrayLike,
    routes: Routes,
    sizes: npt.ArrayLike,
    start_times: npt.ArrayLike,
    *,
    jit: bool | None = None,
) -> FloatArray:
    """Return when each flow ends, with max-min fair rates at every instant. [s]

    Parameters
    ----------
    capacities, routes
        As for `max_min_rates`.
    sizes : array of float
        Bytes of each flow. [B]
    start_times : array of float
        When each flow starts. [s]
    jit : bool, optional
        Whether to run the compiled kernel; default: where numba is installed, `COLOSSUS_SIM_NO_JIT` is not set,
        and there is enough to do. Both give the same answer.

    Raises
    ------
    ValueError
        If a number makes no sense or lengths differ.
    ImportError
        If `jit` is True and numba is not installed.

    Notes
    -----
    Flows of one size that start together need one solution: a flow is among the fastest on its bottleneck
    link, so nothing that it depends on changes before it ends. Flows that are alike (see `classes`) share one
    course. Anything else goes from event to event, and only what an event disturbs is solved again (see
    `kernel`).
    """
    capacity = _capacities(capacities)
    table = _csr(routes, len(capacity))
    size = np.asarray(sizes, dtype=np.float64)
    start = np.asarray(start_times, dtype=np.float64)
    _check_flows(table.num_flows, size, start)
    moving = (size > 0) & (np.diff(table.ptr) > 0)
    finish = start.copy()
    if not moving.any():
        return finish
    table, size, start = table.select(moving), size[moving], start[moving]
    if bool(np.all(size == size[0])) and bool(np.all(start == start[0])):
        finish[moving] = start + size / _fill(capacity, table)
        return finish
    merged = flow_classes(capacity, table.ptr, table.idx, np.column_stack((size, start)))
    if merged is None and jit is None and not jit_available() and _dense(table):
        finish[moving] = _replay(capacity, table, size, start)
        return finish
    if merged is None:
        finish[moving] = run_kernel(capacity, table.ptr, table.idx, None, size, start, jit=jit)
        return finish
    one = merged.members
    ends = run_kernel(merged.capacity, merged.ptr, merged.idx, merged.weight, size[one], start[one], jit=jit)
    finish[moving] = ends[merged.flow_class]
    return finish


def _dense(routes: _Csr) -> bool:
    """Say whether so many flows share each link that an event disturbs most of them."""
    return len(routes.idx) > _DENSE * len(np.unique(routes.idx))


def _check_flows(num_flows: int, size: FloatArray, start: FloatArray) -> None:
    if size.shape != (num_flows,) or start.shape != (num_flows,):
        raise ValueError(
            f"{num_flows} routes need as many sizes and start times, got {size.size} and {start.size}"
        )
    if not bool(np.all(np.isfinite(size) & (size >= 0) & np.isfinite(start))):
        raise ValueError("sizes must be finite and not negative, start times finite")


def _replay(capacity: FloatArray, routes: _Csr, size: FloatArray, start: FloatArray) -> FloatArray:
    """Go from one start or end of a flow to the next, with a whole solution at each."""
    moving = (size > 0) & (np.diff(routes.ptr) > 0)
    finish = np.where(moving, np.inf, start)
    left = size.copy()
    waiting = np.flatnonzero(moving)
    waiting = waiting[np.argsort(start[waiting], kind="stable")]
    running = np.zeros(routes.num_flows, dtype=np.bool_)
    now, arrived = 0.0, 0
    while arrived < len(waiting) or running.any():
        if not running.any():
            now = start[waiting[arrived]]
        while arrived < len(waiting) and start[waiting[arrived]] <= now:
            running[waiting[arrived]] = True
            arrived += 1
        ids = np.flatnonzero(running)
        rates = _fill(capacity, routes.select(running))
        needs = left[ids] / rates
        following = start[waiting[arrived]] - now if arrived < len(waiting) else np.inf
        span = min(float(needs.min()), float(following))
        ended = needs <= span * (1 + _TIE)
        left[ids] -= np.where(ended, left[ids], rates * span)
        now = float(start[waiting[arrived]]) if span == following else now + span
        finish[ids[ended]] = now
        running[ids[ended]] = False
    return finish
