"""The first domain of a place, without a search of all domains."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt


class Lowest:
    """Lowest-numbered domains by place: free ones, spares, the reserve.

    A heap of a place is made when it is first asked for, and may hold domains that have left since.
    """

    def __init__(self, owner: npt.NDArray[np.int64]) -> None:
        self._owner = owner
        self._heaps: dict[int, list[int]] = {}

    def entered(self, place: int, domain: int) -> None:
        """Note that a domain has come to a place."""
        heap = self._heaps.get(place)
        if heap is None:
            return
        if len(heap) > 2 * len(self._owner):  # mostly domains that came and left
            del self._heaps[place]
        else:
            heappush(heap, domain)

    def first(self, place: int) -> int:
        """Return the first domain of a place.

        Raises
        ------
        ValueError
            If none is there.
        """
        heap = self._heaps.get(place)
        if heap is None:
            heap = self._heaps[place] = np.flatnonzero(self._owner == place).tolist()
        while heap and self._owner[heap[0]] != place:
            heappop(heap)
        if not heap:
            raise ValueError("no domain is there")
        return heap[0]
