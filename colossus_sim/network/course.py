"""Arrays for the kernel, and the choice between its compiled and its interpreted form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from colossus_sim.compiling import jit_available
from colossus_sim.network.classes import used_links
from colossus_sim.network.jit import compiled_play
from colossus_sim.network.kernel import play
from colossus_sim.network.state import Work

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

COMPILE_FROM = 4000
"""Hops from which the compiled kernel pays for loading it (about a second)."""


def run_kernel(
    capacity: FloatArray,
    ptr: IntArray,
    idx: IntArray,
    weight: FloatArray | None,
    size: FloatArray,
    start: FloatArray,
    *,
    jit: bool | None = None,
) -> FloatArray:
    """Return when each flow ends. [s]

    Parameters
    ----------
    capacity : array of float
        Per link. [B/s]
    ptr, idx : array of int
        Links of each flow, compressed rows; every flow crosses a link.
    weight : array of float, optional
        How often the flow counts on each of its links; default: once.
    size, start : array of float
        Bytes above 0 and start time of each flow. [B], [s]
    jit : bool, optional
        Compiled or not; default: by what is installed and how much there is to do.
    """
    used, links = used_links(idx, len(capacity))
    work = _work(capacity[used], ptr, links, weight, size)
    order = np.argsort(start, kind="stable").astype(np.int32)
    finish = np.zeros(len(size))
    fast = jit_available() and len(idx) >= COMPILE_FROM if jit is None else jit
    if fast:
        compiled_play()(work, order, start, finish)
        return finish
    ends = finish.tolist()
    play(Work(*(part.tolist() for part in work)), order.tolist(), start.tolist(), ends)
    return np.array(ends)


def _work(
    capacity: FloatArray, ptr: IntArray, links: IntArray, weight: FloatArray | None, size: FloatArray
) -> Work:
    flows, num_links, hops = len(size), len(capacity), len(links)

    def ints(count: int, value: int = 0) -> npt.NDArray[np.int32]:
        return np.full(count, value, dtype=np.int32)

    first = np.concatenate(([0], np.cumsum(np.bincount(links, minlength=num_links))))[:-1]
    return Work(
        capacity=capacity,
        ptr=ptr.astype(np.int32),
        idx=links.astype(np.int32),
        first=first.astype(np.int32),
        on_link=ints(num_links),
        slot=ints(hops),
        slot_flow=ints(hops),
        slot_hop=ints(hops),
        slot_weight=np.zeros(hops),
        weight=np.ones(hops) if weight is None else weight,
        left=size.copy(),
        since=np.zeros(flows),
        rate=np.zeros(flows),
        bottleneck=ints(flows, -1),
        due=np.zeros(flows),
        heap=ints(flows),
        place=ints(flows, -1),
        flow_epoch=ints(flows),
        fresh=np.zeros(flows),
        chosen=ints(flows),
        ended=ints(flows),
        link_epoch=ints(num_links),
        touch=ints(num_links),
        touched=ints(num_links),
        frozen=np.zeros(num_links),
        others=ints(num_links),
        taken=np.zeros(num_links),
        spare=np.zeros(num_links),
        open=np.zeros(num_links),
        level=np.zeros(num_links),
        least=np.zeros(flows),
        passed=ints(num_links),
        link_heap=ints(num_links),
        link_key=np.zeros(num_links),
        counter=np.zeros(6, dtype=np.int64),
    )
