"""What the kernel keeps of flows, links and events."""

from __future__ import annotations

from typing import Any, NamedTuple

CHOSEN, TOUCHED, EPOCH, WAITING, LINKS, ROUND = range(6)
"""Places in ``Work.counter``: flows being solved, links they touch, number of this solve, flows in the event
heap, links in the heap of one solve, number of this round."""


class Work(NamedTuple):
    """Everything that the kernel reads and writes: arrays, or lists of the same contents."""

    capacity: Any
    """Per link. [B/s]"""
    ptr: Any
    idx: Any
    """Links of each flow, compressed rows; an entry is a hop."""
    first: Any
    on_link: Any
    """Where the slots of a link begin, and how many are taken: the flows now on it."""
    slot: Any
    """Per hop: its slot on the link."""
    slot_flow: Any
    slot_hop: Any
    slot_weight: Any
    """Per slot: the flow, its hop, and how often the flow counts on the link."""
    weight: Any
    """Per hop: how often the flow counts on the link."""
    left: Any
    since: Any
    rate: Any
    bottleneck: Any
    """Per flow: bytes left at `since`, that moment, its rate since then, and its bottleneck link."""
    due: Any
    heap: Any
    place: Any
    """Per flow when it ends; flows in heap order; and the place of each flow in it (-1 = not there)."""
    flow_epoch: Any
    fresh: Any
    chosen: Any
    ended: Any
    """Per flow: last solve that it was in, its rate there (below 0: not yet known); flows of this solve; flows
    that end now."""
    link_epoch: Any
    touch: Any
    touched: Any
    """Per link: last solve that touched it, its place in `touched`; links of this solve."""
    frozen: Any
    others: Any
    taken: Any
    spare: Any
    open: Any
    level: Any
    """Per touched link: rate and number of flows that keep theirs, weight of the solved ones; while filling:
    capacity left, weight not yet filled, share at which it became a bottleneck (infinite: it did not)."""
    least: Any
    passed: Any
    """Per flow: least share of its links in this round; per link: last round in which it held back nobody."""
    link_heap: Any
    link_key: Any
    """Heap of links by fair share."""
    counter: Any
