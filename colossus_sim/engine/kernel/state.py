"""Everything that a run of the kernel knows, as arrays of records.

Numbers of phases, partitions, sites, classes and sources are places in these arrays; -1 means none. The names are
those of the attributes of the SimPy engine wherever there is one.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

FREE, SPARE, OUT, ABSENT, RESERVED = -1, -2, -3, -4, -5
"""Owners of a domain that no job has, as in `engine.pool`."""
TIERS = 4
"""Most tiers of saves."""
RESERVE = 8
"""Draws of each stream that must be left when an event is over."""
KNOWN = 32
"""Save tiers remembered per phase."""


class Kind(IntEnum):
    """What an event is."""

    SLEEP = 0
    WAKE = 1
    BEGIN = 2
    FIRE = 3
    REPAIR = 4
    BACK_UP = 5
    FOUND = 6
    CAPACITY = 7
    SUBMIT = 8
    SCHEDULE = 9
    HALT = 10
    STOP = 11
    UNMENDED = 12
    RECUR = 13
    RETURNED = 14
    BY_HAND = 15
    WORKED = 16
    DELIVERED = 17


class Ask(IntEnum):
    """What the kernel asks of Python."""

    PLACE = 0
    SAVES = 1
    SHARES = 2
    COST = 3
    RECUR_AFTER = 4
    RECUR = 5
    BLAME = 6


class Error(IntEnum):
    """Why a run ended early."""

    NONE = 0
    STUCK = 1
    ASKED = 2


def _record(text: str) -> np.dtype[Any]:
    """Return a record from ``name:type`` words; numbers without a type are floats."""
    fields = [tuple(word.split(":")) if ":" in word else (word, "f8") for word in text.split()]
    return np.dtype(fields, align=True)


WORLD = _record(
    "now instant horizon reschedule_at changed_at sequence:i8 pending:i8 unfinished:i8 halted:i8 finished:i8 "
    "failures:i8 slow_units:i8 entries:i8 levels:i8 queued:i8 broken:i8 holders:i8 changed:i8 error:i8 "
    "refill:i8 neumaier:i8 share most_restarts:i8 by_priority:i8 strict:i8 passes:i8 "
    "manual_fraction manual_time swap_time selection_time lemon_factor lemons_mended:i8 "
    "watchdog joined:i8 diagnosis:i8 defects:i8 open_defects:i8 works:i8 members:i8 "
    "at_once:i8 most_at_once:i8 keep_levels:i8 share_links:i8"
)
EVENT = _record("time order:i8 sequence:i8 kind:i8 a:i8 b:i8 c:i8")
PHASE = _record(
    "units total:i8 reference planned gpus:i8 domains:i8 wanted:i8 part:i8 site:i8 priority:i8 "
    "computing:i8 leaving:i8 layout:i8 held_since tiers:i8 demand stall_left "
    "ready start end trigger:i8 queued_since queue_cause:i8 interruptions:i8 waiting:i8 "
    "gate min_duration yields:i8 first_gate:i8 gates:i8 release "
    "hazard:i8 hazards:i8 restart_draw:i8 restart_limit:i8 restart_base "
    "inbox:i8 in_failures:i8 in_unplanned:i8 in_rank:i8 in_detection in_undetected in_stops:i8 in_others:i8 "
    "failures:i8 unplanned:i8 rank:i8 detection undetected stops:i8 "
    "wake:i8 version:i8 spending:i8 entry_state:i8 entry_cause:i8 entry_start entry_gpus:i8 entry_held:i8 "
    "entry_power working:i8 begun s_start s_units s_time s_stall s_tiers:i8 packed alone shared "
    "attempts:i8 safe:i8 react_stops:i8 stopped:i8 in_broken:i8 evicted:i8 "
    "step:i8 after_recover:i8 after_restart:i8 after_save:i8 after_spend:i8 "
    "spend_state:i8 spend_cause:i8 spend_until save_end load_rank:i8 replaced:i8 "
    "chosen_anew:i8 recover_rank:i8 first:i8 standing:i8 unnoticed in_vain loaded:i8 to_detect "
    "input_bytes output_bytes unsettled:i8 known:i8 known_next:i8 saver_rate saving:i8"
)
PART = _record(
    "site:i8 domain_gpus:i8 node_gpus:i8 used:i8 spares:i8 most:i8 installed:i8 present:i8 free:i8 spare:i8 out:i8 "
    "owned:i8 broken:i8 broken_free:i8 broken_out:i8 computing_gpus:i8 fragmentation node:i8 "
    "pending:i8 changed:i8 slow:i8 idle_power busy_power pue "
    "level_time level_idle:i8 level_spare:i8 level_stranded:i8 level_down:i8 has_level:i8 "
    "idle_seconds spare_seconds stranded_seconds down_seconds first_source:i8 sources:i8 block:i8 "
    "reserve:i8 reserves:i8 won:i8 refills:i8 reserve_time lemons:i8 lemons_here:i8"
)
SITE = _record(
    "outage_until readers:i8 savers:i8 write_bandwidth read_bandwidth bandwidth_per_gpu "
    "power power_exponent speed queues:i8 limited:i8 crew:i8 stock:i8 lead_time first_work:i8 last_work:i8 "
    "first_part:i8 parts:i8 blocked_in:i8"
)
SOURCE = _record(
    "site:i8 part:i8 per:i8 removes:i8 rank:i8 interrupts:i8 planned:i8 mends:i8 rate detection undetected "
    "slowdown units left since version:i8 drawn:i8 limit:i8 under_load:i8 lemons:i8 imperfect:i8 auto_first:i8 "
    "course:i8 course_limit:i8 auto_unmended manual_unmended "
    "seconds by_hand hang mended:i8 second recurs:i8 wait blamed:i8"
)
HAZARD = _record("rate left rank:i8 detection undetected planned:i8 drawn:i8 limit:i8")
CHOICE = _record("gpus:i8 domains:i8 candidate:i8 reference planned")
LINK = _record("units phase:i8 successor:i8 done:i8")
GATE = _record("time limit:i8")
SAVED = _record("units:i8 pending:i8 ready")
TIER = _record("period:i8 stall drain restore survives:i8")
KNOWN_TIERS = _record("layout:i8 domains:i8 readers:i8 tiers:i8 share demand")
COST = _record("domains:i8 packed alone shared")
SLOW = _record("source:i8 domain:i8 node:i8 active:i8 factor seconds by_hand hang")
DEFECT = _record("source:i8 unit:i8 active:i8 now:i8")
WORK = _record("source:i8 unit:i8 gpus:i8 kind:i8 seconds next:i8")
STRIKE = _record("place seconds gap by_hand hang")
COURSE = _record("lot second")
GAP = _record("gap hang")
LEMON = _record("node:i8 here:i8 place:i8 exchanged:i8")
RESTART = _record("by_hand exponential")
ENTRY = _record(
    "start end begun done kept stalled saves planned reference packed alone shared actual power "
    "phase:i8 state:i8 cause:i8 gpus:i8 held:i8 part:i8 older:i8"
)
LEVEL = _record(
    "time power fragmentation part:i8 installed:i8 allocated:i8 running:i8 idle:i8 spare:i8 stranded:i8 down:i8 "
    "queued:i8"
)


class State(NamedTuple):
    """The arrays of one run."""

    world: Any
    events: Any
    plan: Any
    """What the scenario plans."""
    phases: Any
    parts: Any
    sites: Any
    sources: Any
    strikes: Any
    """Draws of each source (row): place, time of the (first) repair, next gap, by hand?, a hang?"""
    courses: Any
    """Draws of the repairs of each source (row): whether it mends, time of a second stage."""
    hazards: Any
    gaps: Any
    """Draws of each hazard (row)."""
    restarts: Any
    """Draws of the restarts of each phase (row)."""
    choices: Any
    """What each phase (row) takes at each partition (column)."""
    links: Any
    """What the progress of a phase sets off, in the order of the SimPy engine's callbacks."""
    gates: Any
    saved: Any
    """What each phase (row) could restore from each tier (column)."""
    tiers: Any
    """Sets of tiers (rows), each known by one number."""
    tier_count: Any
    """Tiers of each set."""
    known: Any
    """Tiers that each phase (row) had before, by what they follow from."""
    owner: Any
    joined: Any
    """In which order the domains in use came to their owners."""
    blocks: Any
    """Domains of each partition (first axis) that are free, spare or in the reserve (second), block by block."""
    lemons: Any
    """Lemons of each partition (row) by node; `here` lists the places in this row of those that are installed."""
    broken: Any
    installed: Any
    """Installed domains of each partition (row), in order."""
    owned: Any
    """Domains of each phase."""
    queue: Any
    waiting: Any
    """Phases that wait for replacements."""
    in_turn: Any
    """Room for phases in the order in which the scheduler serves them."""
    holders: Any
    changed: Any
    """Partitions whose level is to be written."""
    savers: Any
    """Phases that save at each site (row), in order of arrival."""
    defects: Any
    """Failures that will come back; `now` lists the numbers of those that are open, in no order."""
    works: Any
    """Repairs by hand where hands or parts are limited; `next` is the one behind in the queue of the site."""
    slow: Any
    slow_now: Any
    """Numbers of the slow units of each partition (row)."""
    shares: Any
    """Number of the bandwidths of each phase (column) while a set of phases (row) computes.

    The first sets are the empty ones, one for each partition: the only ones where links are not shared.
    """
    members: Any
    """Number and layout of each phase (row) that computes on the partition that is asked about."""
    next_set: Any
    """Set that results when a phase (column) joins or leaves a set (row)."""
    next_layout: Any
    """Layout of the phase for which `next_set` holds."""
    costs: Any
    """Unit times of each phase (column) in each set (row)."""
    entries: Any
    levels: Any
