"""Flows that are alike: classes whose members have the same rate at every instant.

Flows and links are coloured and the colours refined until every two flows of one colour cross links of the same
colours, and every two links of one colour carry as many flows of each colour (an equitable partition; Grohe 2017,
Descriptive Complexity, section 3.5, calls it colour refinement). Max-min rates depend on nothing else, so one
flow of each class, counted as often as its class is on a link, stands for all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
HashArray = npt.NDArray[np.uint64]

WORTH_IT = 4
"""Classes must have so many members on average to be worth finding."""


class FlowClasses(NamedTuple):
    """A smaller network with the same rates."""

    flow_class: IntArray
    """Class of each flow."""
    members: IntArray
    """One flow of each class."""
    capacity: FloatArray
    """Per class of links: capacity of one. [B/s]"""
    ptr: IntArray
    idx: IntArray
    weight: FloatArray
    """Link classes that each flow class crosses, and how many of its flows are on one link of it."""


def flow_classes(
    capacity: FloatArray, ptr: IntArray, idx: IntArray, marks: npt.NDArray[np.float64]
) -> FlowClasses | None:
    """Return the classes of flows, or None where there are too few alike to be worth it.

    Parameters
    ----------
    capacity : array of float
        Per link. [B/s]
    ptr, idx : array of int
        Links of each flow, compressed rows; every flow crosses a link.
    marks : array of float, flows x any
        What else tells flows apart: size, start.
    """
    flows = len(ptr) - 1
    flow_colour = _colours(marks)
    used, links = used_links(idx, len(capacity))
    link_colour = _colours(capacity[used][:, np.newaxis])
    if WORTH_IT * _least_classes(flow_colour, link_colour, ptr, links) > flows:
        return None
    owner = np.repeat(np.arange(flows), np.diff(ptr))
    found = 0
    while True:
        count = int(flow_colour.max()) + 1 + int(link_colour.max()) + 1
        if WORTH_IT * (int(flow_colour.max()) + 1) > flows:
            return None
        if count == found:
            break
        found = count
        link_colour = _refined(link_colour, links, flow_colour[owner])
        flow_colour = _refined(flow_colour, owner, link_colour[links])
    return _quotient(capacity[used], ptr, links, flow_colour, link_colour)


def used_links(idx: IntArray, num_links: int) -> tuple[IntArray, IntArray]:
    """Return the links that are crossed, rising, and for each hop the place of its link among them."""
    crossed = np.zeros(num_links, dtype=np.bool_)
    crossed[idx] = True
    return np.flatnonzero(crossed), (np.cumsum(crossed) - 1)[idx]


def _colours(marks: FloatArray) -> IntArray:
    """Number rows of marks, equal rows alike."""
    colour = np.zeros(len(marks), dtype=np.int64)
    for column in marks.T:
        values, code = np.unique(column, return_inverse=True)
        _, colour = np.unique(colour * len(values) + code.reshape(-1), return_inverse=True)
        colour = colour.reshape(-1)
    return colour


def _least_classes(flow_colour: IntArray, link_colour: IntArray, ptr: IntArray, links: IntArray) -> int:
    """Return how many classes of flows there are at least: those of two refinements, as hashes without order."""
    lengths = np.diff(ptr)
    flow, link = _hash(flow_colour, 1), _hash(link_colour, 1)
    for _ in range(2):
        met = np.zeros(len(link), dtype=np.uint64)
        np.add.at(met, links, np.repeat(flow, lengths))
        link = _hash(link + met, 1)
        flow = _hash(flow + np.add.reduceat(link[links], ptr[:-1]), 2)
    return len(np.unique(flow))


def _refined(colour: IntArray, rows: IntArray, neighbours: IntArray) -> IntArray:
    """Split colours by the multiset of the colours that each row meets."""
    # Sums of two independent 64-bit hashes tell multisets apart; sums of integers do not depend on the order.
    keys = [colour.astype(np.uint64)]
    for salt in (1, 2):
        sums = np.zeros(len(colour), dtype=np.uint64)
        np.add.at(sums, rows, _hash(neighbours, salt))
        keys.append(sums)
    table = np.column_stack(keys)
    order = np.lexsort(table.T)
    steps = np.any(table[order][1:] != table[order][:-1], axis=1)
    refined = np.empty(len(colour), dtype=np.int64)
    refined[order] = np.concatenate(([0], np.cumsum(steps)))
    return refined


def _hash(values: IntArray | HashArray, salt: int) -> HashArray:
    """Scatter integers over 64 bits (splitmix64; Steele et al. 2014, doi:10.1145/2660193.2660195)."""
    mixed = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed += np.uint64(salt * 0xD1B54A32D192ED03 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scattered: HashArray = mixed ^ (mixed >> np.uint64(31))
    return scattered


def _quotient(
    capacity: FloatArray, ptr: IntArray, links: IntArray, flow_colour: IntArray, link_colour: IntArray
) -> FlowClasses:
    """Count, on one link of each class, the flows of each class."""
    _, members = np.unique(flow_colour, return_index=True)
    _, examples = np.unique(link_colour, return_index=True)
    owner = np.repeat(flow_colour, np.diff(ptr))
    seen = np.isin(links, examples)
    pairs = owner[seen] * len(examples) + link_colour[links[seen]]
    keys, weight = np.unique(pairs, return_counts=True)
    flow_of, link_of = np.divmod(keys, len(examples))
    rows = np.bincount(flow_of, minlength=len(members))
    return FlowClasses(
        flow_class=flow_colour,
        members=members,
        capacity=capacity[examples],
        ptr=np.concatenate(([0], np.cumsum(rows))),
        idx=link_of,
        weight=weight.astype(np.float64),
    )
