"""The steps of a phase's life, and the numbers of states and causes."""

from __future__ import annotations

from enum import IntEnum, auto

from colossus_sim.records import CAUSES, STATES


class Step(IntEnum):
    """Where a phase is in its life; a step after a wait ends with DONE or SPENT."""

    START = 0
    GATE = auto()
    GATE_SPENT = auto()
    QUEUE = auto()
    QUEUED = auto()
    QUEUE_SPENT = auto()
    LAUNCH = auto()
    LAUNCHED = auto()
    WORK = auto()
    WORK_DONE = auto()
    REACT = auto()
    REACT_STOPS = auto()
    REACTED = auto()
    STARVE = auto()
    STARVE_SAVED = auto()
    STARVE_YIELD = auto()
    STARVE_YIELD_SPENT = auto()
    STARVE_SPENT = auto()
    DELIVER = auto()
    DELIVERING = auto()
    DELIVERED = auto()
    LEAVE = auto()
    FLOOR = auto()
    FLOOR_SPENT = auto()
    END = auto()
    ENDED = auto()
    # recovery
    SPEND = auto()
    SPEND_DONE = auto()
    RESTART = auto()
    RESTARTED = auto()
    RECOVER = auto()
    RECOVERING = auto()
    RECOVER_SAVED = auto()
    RECOVER_NOTICED = auto()
    RECOVER_DETECTED = auto()
    REFILL = auto()
    WIN = auto()
    WIN_SPENT = auto()
    REFILLING = auto()
    REFILL_SPENT = auto()
    REFILLED = auto()
    SAVE = auto()
    SAVING = auto()
    SAVE_SPENT = auto()


STATE = {name: index for index, name in enumerate(STATES)}
CAUSE = {name: index for index, name in enumerate(CAUSES)}
