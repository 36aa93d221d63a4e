"""From a failure, or a controlled stop, back to work."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import simpy

from colossus_sim.engine.copies import Copies
from colossus_sim.engine.pool import RESERVE
from colossus_sim.engine.progress import SaveTier
from colossus_sim.engine.signals import Failure, Signal, Stop
from colossus_sim.engine.storage_traffic import transfer_time
from colossus_sim.errors import SimulationError
from colossus_sim.formulas.reliability import restart_time
from colossus_sim.randomness import stream
from colossus_sim.specs.faults import Restart

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun

Steps = Generator[simpy.Event, Any, None]
Failures = Generator[simpy.Event, Any, list[Failure]]


def own_time(spec: Restart, gpus: int) -> tuple[float, str]:
    """Return the time of a restart without swap, hands and loading [s], and its parts in words if there are any."""
    times = {
        name: restart_time(gpus, base=base, per_doubling=per_doubling, exponent=exponent)
        for name, (base, per_doubling, exponent) in spec.laws.items()
    }
    note = ", ".join(f"{name} {time:.0f} s" for name, time in times.items()) if spec.parts else ""
    return math.fsum(times.values()), note


def launch_time(spec: Restart, gpus: int) -> float:
    """Return the mean time from GPUs to the first step, without loading. [s]"""
    return own_time(spec, gpus)[0] + spec.selection_time + spec.manual_fraction * spec.manual_time


class Recovery:
    """Detection, rollback, replacement, restart of one phase."""

    def __init__(self, phase: PhaseRun) -> None:
        self._phase = phase
        self._rng = stream(phase.world.seed, "restart", phase.job_name, phase.name)
        if any(tier.unreadable for tier in phase.policy.tiers):
            reads = stream(phase.world.seed, "unreadable", phase.job_name, phase.name)
            phase.work.saved.copies = Copies(phase.policy, reads)
        self._gpus = 0
        """GPUs that the phase worked on last; 0 before it did."""
        self._own_times: dict[int, tuple[float, str]] = {}
        self._attempts = 0
        self._safe = 0
        self.stopped = False
        """Whether the phase has been told to give its GPUs back."""
        self.evicted = False
        """Whether they are gone already."""

    # -- controlled stops ----------------------------------------------------------------------------

    def save(self) -> Failures:
        """Save to the safest tier before a controlled stop; return failures that spoilt it.

        Whoever is told to leave meanwhile ends the save first, unless the GPUs go now.
        """
        phase = self._phase
        phase.leave()
        end = phase.now + phase.work.final_save_time
        while phase.now < end:
            failures = yield from self._spend("running", "checkpoint", end)
            if self.evicted:
                break
            if any(not failure.planned for failure in failures):
                return failures
        phase.work.save_all()
        return []

    def stop(self, signal: Stop) -> Steps:
        """Save (unless that was done before), and note that the GPUs go back."""
        phase = self._phase
        phase.leave()
        if signal.at_once:
            phase.work.save_all()
        else:
            yield from self.save_or_roll_back()
        self._note_stop(signal)

    def save_or_roll_back(self) -> Steps:
        """Save before the GPUs go back; a failure meanwhile spoils the save, and older copies must do."""
        self._roll_back((yield from self.save()))

    def _roll_back(self, failures: list[Failure]) -> None:
        if failures:
            self._phase.work.roll_back(max(failure.rank for failure in failures), self._phase.now)

    def _note_stop(self, signal: Stop) -> None:
        phase = self._phase
        self.stopped = True
        self.evicted |= signal.at_once
        phase.queue_cause = signal.cause
        phase.interruptions += 1
        phase.world.recorder.event(phase.now, "preempt", *phase.where(), subject=signal.cause)

    def grow(self) -> Steps:
        """Save, take all the free domains that are of use, and start again."""
        phase = self._phase
        pool = phase.held_partition().pool
        failures = yield from self.save()
        phase.growing = False
        if self.stopped:
            self._roll_back(failures)
            return
        if failures:
            yield from self.recover(failures)
            return
        room = pool.domains_for(phase.most_gpus) - len(phase.domains)
        more = min(room, phase.world.scheduler.room(phase.site, phase.held_partition()))
        if more > 0:
            policy = phase.world.scenario.policies.placement
            added = pool.allocate(phase.number, more, policy, phase.world.placement_rng)
            phase.domains = dict.fromkeys(sorted([*phase.domains, *added]))
            phase.resized()
            phase.world.recorder.event(phase.now, "resize", *phase.where(), value=phase.gpus)
        yield from self.launch()

    # -- failures ------------------------------------------------------------------------------------

    def launch(self) -> Steps:
        """Start (or start again) on the GPUs at hand, loading the newest copy if there is one."""
        phase = self._phase
        failures = yield from self._restart(0 if phase.work.units else None, replaced=False)
        if failures:
            yield from self.recover(failures)

    def recover(self, failures: list[Failure]) -> Steps:
        """Go from one or more failures to the moment when training goes on; more may come on the way."""
        phase = self._phase
        phase.leave()
        rank, in_vain = 0, phase.now
        first, standing = True, False
        while failures and not self.stopped:
            phase.interruptions += 1
            if not standing:  # a job that only waits for repairs is not stuck
                self._check_progress()
            planned = all(failure.planned for failure in failures)
            if planned and first:
                spoilt = yield from self.save()
                if spoilt:
                    failures, first = spoilt, False
                    continue
            elif not planned:
                rank = max(rank, *(failure.rank for failure in failures))
                phase.work.roll_back(rank, phase.now)
            first = False
            in_vain = max(in_vain, phase.now + max(failure.undetected for failure in failures))
            failed, failures = failures, (yield from self._compute_in_vain(in_vain))
            if failures or self.stopped:
                continue
            wait = 0.0 if planned else max(failure.detection for failure in failed)
            failures = yield from self._spend("detecting", "restart", phase.now + wait)
            if failures or self.stopped:
                continue
            replaced = len(phase.domains) < phase.wanted_domains
            failures = yield from self._refill()
            standing = bool(failures)
            if failures or self.stopped:
                continue
            failures = yield from self._restart(rank, replaced=replaced)

    def _compute_in_vain(self, until: float) -> Failures:
        """Compute on what is lost until somebody notices, under full power; return failures meanwhile."""
        phase = self._phase
        if phase.now >= until:
            return []
        gpus, _ = phase.computing_and_held()
        phase.load(gpus)
        failures = yield from self._spend("running", "lost_work", until)
        phase.load(-gpus)
        return failures

    def excuse(self) -> None:
        """Forget restarts so far: the phase makes no progress because it waits for data."""
        self._attempts = 0

    def _check_progress(self) -> None:
        phase = self._phase
        safe = phase.work.safe_units
        self._attempts = 0 if safe > self._safe else self._attempts + 1
        self._safe = safe  # after a long way back, each step forward is progress again
        most = phase.world.scenario.faults.max_restarts_without_progress
        if self._attempts > most:
            raise SimulationError(
                f"{phase.job_name}/{phase.name}: no progress after {most} restarts in a row (day "
                f"{phase.now / 86400:.1f}, {phase.work.units:.0f} of {phase.work.total} units): failures come "
                "faster than work can be saved; check faults, checkpoint and restart times"
            )

    def _refill(self) -> Failures:
        """Get replacements, shrink, or wait for them; return failures that came meanwhile."""
        phase = self._phase
        if phase.take_replacements():
            return []
        if phase.can_shrink and phase.now >= phase.site.outage_until:
            phase.domains = dict.fromkeys(sorted(phase.domains))
            phase.resized()
            phase.world.recorder.event(phase.now, "resize", *phase.where(), value=phase.gpus)
            return []
        phase.chosen_anew = True
        failures = yield from self._win_reserve()
        if failures or self.stopped or phase.take_replacements():
            return failures
        broken = phase.world.scheduler.broken
        broken.append(phase)
        while phase in broken and not failures and not self.stopped:
            failures = yield from self._spend("repair_wait", "repair_wait", math.inf)
            if phase in broken and phase.take_replacements():
                break
        if phase in broken:
            broken.remove(phase)
        return failures

    def _win_reserve(self) -> Failures:
        """Win domains of the reserve one after another until neither the phase nor the spares lack one."""
        phase = self._phase
        pool = phase.held_partition().pool
        while pool.counts[RESERVE] and (len(phase.domains) < phase.wanted_domains or pool.spares_missing):
            until = phase.now + pool.spec.reserve_time
            while phase.now < until:
                failures = yield from self._spend("repair_wait", "repair_wait", until)
                if failures or self.stopped:
                    return failures
            if pool.counts[RESERVE]:
                domain = pool.win()
                phase.world.recorder.event(phase.now, "reserve", *phase.where(), value=domain)
            phase.take_replacements()
        return []

    def _restart(self, rank: int | None, *, replaced: bool) -> Failures:
        """Requeue, start processes, load (unless `rank` is None: from scratch); return failures meanwhile."""
        phase = self._phase
        spec = phase.world.scenario.faults.restart
        if phase.gpus not in self._own_times:
            self._own_times[phase.gpus] = own_time(spec, phase.gpus)
        seconds, note = self._own_times[phase.gpus]
        if replaced:
            seconds += spec.swap_time
        if self._gpus not in (0, phase.gpus):
            seconds += spec.reshard_time
        if phase.chosen_anew and spec.selection_time:
            seconds += spec.selection_time
            phase.world.recorder.event(phase.now, "selection", *phase.where(), value=phase.gpus)
        phase.chosen_anew = False
        by_hand, exponential = float(self._rng.random()), float(self._rng.standard_exponential())
        if by_hand < spec.manual_fraction:
            seconds += spec.manual_time * exponential
        if phase.work.saved.copies is not None:
            seconds += phase.work.saved.copies.wasted
            phase.work.saved.copies.wasted = 0.0
        phase.site.readers += 1
        phase.refresh_tiers()
        tier: SaveTier | None = None
        if rank is not None:
            tier = phase.work.saved.restore_point(phase.work.tiers, rank, phase.now)[1]
        queue = phase.shared_saves
        first = transfer_time(phase, phase.job.input_bytes, read=True) if not phase.work.units else 0.0
        queued = tier is not None and tier.name == phase.work.by_event
        if queue is not None and (queued or first):
            failures = yield from self._spend("restarting", "restart", phase.now + seconds, note)
            if not failures and not self.stopped:
                moved = queue.load() if queued else queue.move(first, "restarting", "restart")
                failures = self._heed((yield from moved))
        else:
            seconds += first + (tier.restore if tier is not None else 0.0)
            failures = yield from self._spend("restarting", "restart", phase.now + seconds, note)
        phase.site.readers -= 1
        if not failures and not self.stopped:
            self._gpus = phase.gpus
            if phase.world.scheduler.elastic:  # GPUs may have come free, or back, while it could not grow
                phase.world.reschedule()
        return failures

    def deliver(self) -> Steps:
        """Write the output; a failure meanwhile rolls the phase back to its newest copy."""
        phase = self._phase
        seconds = transfer_time(phase, phase.job.output_bytes, read=False)
        if not seconds:
            return
        phase.leave()
        queue, end = phase.shared_saves, phase.now + seconds
        failures: list[Failure] = []
        done = False
        while not done and not failures:
            if queue is not None:
                signals = yield from queue.move(seconds, "running", "checkpoint", read=False)
                done = not signals
            else:
                signals = yield from phase.spend("running", "checkpoint", end)
                done = phase.now >= end
            failures = self._heed(signals)
        if failures:
            yield from self.recover(failures)

    def _heed(self, signals: list[Signal]) -> list[Failure]:
        """Note a request to stop; return the failures."""
        for signal in signals:
            if isinstance(signal, Stop):
                self._note_stop(signal)
        return [signal for signal in signals if isinstance(signal, Failure)]

    def _spend(self, state: str, cause: str, until: float, note: str = "") -> Failures:
        """Spend time in a state; return the failures that cut it short, and note a request to stop."""
        phase = self._phase
        while phase.now < until:
            failures = self._heed((yield from phase.spend(state, cause, until, note)))
            if failures or self.stopped:
                return failures
            if cause == "repair_wait":
                return []
        return []
