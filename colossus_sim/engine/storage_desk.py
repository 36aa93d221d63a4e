"""Who may use a site's shared storage: all at once, or one at a time in an order that a strategy chooses.

The strategies are those of Herault, Robert, Bouteiller, Arnold, Ferreira, Bosilca, Dongarra 2019, Checkpointing
strategies for shared high-performance computing platforms (INRIA research report 9109).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from colossus_sim.engine.agenda import Agenda, Order

_DONE = 1e-9
"""Part of a transfer that counts as rounding."""


class Transfer:
    """One write or read of the shared storage by one job.

    Attributes
    ----------
    seconds : float
        What is left of it, with the storage to itself. [s]
    most : float
        Share of the storage that the job can use at most. [1]
    gpus : int
        GPUs of the job: its weight among those that share, and what waits or is at risk.
    stops : bool
        Whether the job stands still until it is done.
    at_risk_since : float
        When its last copy was made, or when the job began to stand still. [s]
    failure_rate : float
        Failures of the job. [1/s]
    restore : float
        Time to load its copy. [s]
    granted, done : bool
        Whether it has the storage, and whether it is over.
    """

    def __init__(
        self,
        *,
        seconds: float,
        most: float,
        gpus: int,
        stops: bool,
        at_risk_since: float,
        failure_rate: float,
        restore: float,
        changed: Callable[[], None],
    ) -> None:
        self.seconds = seconds
        self.most = most
        self.gpus = gpus
        self.stops = stops
        self.at_risk_since = at_risk_since
        self.failure_rate = failure_rate
        self.restore = restore
        self.changed = changed
        """Called when it gets the storage and when it is over."""
        self.granted = False
        self.running = False
        self.done = False
        self.share = 0.0


class StorageDesk:
    """The queue at one shared storage system."""

    counts_from_start = False
    """Whether work is safe when its save begins; else when it is over, as it should be."""

    def __init__(self, agenda: Agenda, strategy: str) -> None:
        self._agenda = agenda
        self._strategy = strategy
        self.waiting: list[Transfer] = []
        self._active: list[Transfer] = []
        self._since = 0.0
        self._version = 0

    @property
    def now(self) -> float:
        """Seconds since the scenario's start."""
        return self._agenda.now

    @property
    def keeps_order(self) -> bool:
        """Whether transfers are served one at a time in the order of asking."""
        return self._strategy in ("blocking", "first_come")

    @property
    def jobs_compute_on(self) -> bool:
        """Whether a job goes on with its work until it is its turn to save."""
        return self._strategy in ("first_come", "least_waste")

    def last(self) -> Transfer | None:
        """Return the transfer with nobody behind it: of those that wait, else of those that have the storage."""
        queue = self.waiting or self._active
        return queue[-1] if queue else None

    def ask(self, transfer: Transfer) -> None:
        """Queue a transfer; it is told when it gets the storage."""
        self.waiting.append(transfer)
        self._admit()

    def begin(self, transfer: Transfer) -> None:
        """Start to move bytes; until then a granted transfer keeps others waiting."""
        self._progress()
        transfer.running = True
        self._plan()

    def cancel(self, transfer: Transfer) -> None:
        """Give up a transfer that waits or is under way."""
        if transfer in self.waiting:
            self.waiting.remove(transfer)
        elif transfer in self._active:
            self._progress()
            self._active.remove(transfer)
            self._plan()
            self._admit()

    def _admit(self) -> None:
        at_once = self._strategy in ("alone", "shared")
        while self.waiting and (at_once or not self._active):
            transfer = self.waiting.pop(0 if self._strategy != "least_waste" else self._best())
            self._progress()
            self._active.append(transfer)
            transfer.granted = True
            transfer.changed()

    def _best(self) -> int:
        """Return which waiting transfer costs the others least while it runs."""
        return min(range(len(self.waiting)), key=lambda index: (self.cost_of(index), index))

    def cost_of(self, index: int) -> float:
        """Return what it costs the others to serve this waiting transfer first [GPU-s]."""
        return waste(self.waiting, index, self.now)

    def _progress(self) -> None:
        now = self._agenda.now
        for transfer in self._active:
            transfer.seconds -= (now - self._since) * transfer.share
        self._since = now

    def _plan(self) -> None:
        """Share the storage anew and look ahead to the next end."""
        self._version += 1
        version = self._version
        running = [transfer for transfer in self._active if transfer.running]
        for transfer, share in zip(running, self._shares(running), strict=True):
            transfer.share = share / transfer.most  # `seconds` are at the most that the job can use
        if running:
            left = min(max(transfer.seconds, 0.0) / transfer.share for transfer in running)
            self._agenda.at(self._agenda.now + left, Order.COMPLETION, lambda: self._ended(version))

    def _shares(self, running: Sequence[Transfer]) -> list[float]:
        if self._strategy != "shared":
            return [transfer.most for transfer in running]
        return weighted_shares([float(t.gpus) for t in running], [t.most for t in running])

    def _ended(self, version: int) -> None:
        if version != self._version:
            return
        self._progress()
        slack = _DONE * max(1.0, self._agenda.now)
        ended = [transfer for transfer in self._active if transfer.running and transfer.seconds <= slack]
        for transfer in ended:
            self._active.remove(transfer)
            transfer.done = True
        self._plan()
        for transfer in ended:
            transfer.changed()
        self._admit()


def weighted_shares(weights: Sequence[float], most: Sequence[float]) -> list[float]:
    """Return the shares of one resource by max-min fairness with weights and caps; they add up to at most 1."""
    shares = [0.0] * len(weights)
    left, open_ones = 1.0, list(range(len(weights)))
    while open_ones:
        total = math.fsum(weights[index] for index in open_ones)
        capped = [index for index in open_ones if most[index] <= left * weights[index] / total]
        for index in capped or open_ones:
            shares[index] = most[index] if capped else left * weights[index] / total
        if not capped:
            break
        left = max(0.0, left - math.fsum(most[index] for index in capped))
        open_ones = [index for index in open_ones if index not in capped]
    return shares


def lost_standing(other: Transfer, run: float, now: float) -> float:
    """Return what a job that stands still loses until a transfer of another is over [GPU-s]."""
    return other.gpus * (now - other.at_risk_since + run)


def lost_at_risk(other: Transfer, run: float, now: float) -> float:
    """Return what a job that computes on is expected to lose by a failure during it [GPU-s]."""
    at_risk = other.restore + now - other.at_risk_since + run / 2.0
    return other.gpus * other.failure_rate * run * at_risk


Loss = Callable[[Transfer, float, float], float]
"""What a waiting job loses while another transfer of so many seconds runs, from now on. [GPU-s]"""


def waste(
    waiting: Sequence[Transfer],
    chosen: int,
    now: float,
    *,
    standing: Loss = lost_standing,
    risked: Loss = lost_at_risk,
) -> float:
    """Return the GPU-seconds that the others are expected to lose while one transfer runs [GPU-s].

    A job that stands still loses its GPUs for the whole transfer and has lost them since it asked; one that
    computes on may fail meanwhile and lose everything since its last copy and the time to load it (INRIA RR-9109,
    sec. 3.5).
    """
    run = waiting[chosen].seconds
    others = (other for index, other in enumerate(waiting) if index != chosen)
    return math.fsum(
        standing(other, run, now) if other.stops else risked(other, run, now) for other in others
    )
