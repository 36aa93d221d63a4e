"""The column dictionary: name, unit and meaning of every column of every table.

Names carry their unit as a suffix (``_s``, ``_days``, ``_MWh``, ``_GBps``); columns without one are text, counts
or ratios between 0 and 1. ``*_s`` times count from the scenario's start; ``*_date`` are ISO 8601 in UTC.
"""

from __future__ import annotations

from typing import NamedTuple

from colossus_sim.records import CAUSES, GPU_STATES


class Column(NamedTuple):
    """One column of a table."""

    name: str
    unit: str
    """SI or the unit in the name; ``text``, ``date``, ``count``, ``ratio``, ``bool`` where there is none."""
    meaning: str


CAUSE_MEANING = {
    "planned": "useful work at the planned rate",
    "slower_step": "the same work taking longer because the modelled step is slower than planned (minus: faster)",
    "contention": "links shared with other jobs",
    "degraded": "stragglers, degraded links, power throttling",
    "fewer_gpus": "fewer GPUs than wanted",
    "placement": "GPUs farther apart than when packed (minus: more bandwidth than when packed)",
    "lost_work": "work done again after a failure",
    "checkpoint": "stalls for saving",
    "restart": "detection, requeue, loading, warm-up",
    "repair_wait": "stopped until failed GPUs are replaced",
    "data_wait": "at a data gate",
    "gpu_wait": "queued or preempted",
    "capacity_wait": "stopped or queued because installed capacity shrank or had not arrived",
    "calendar_floor": "the work is done but people are not",
    "plan": "planned work on the critical path minus the time from submission to target",
}
"""What each cause of slip means, in words."""

STATE_MEANING = {
    "productive": "computing steps that were kept",
    "contention": "extra time because links are shared with other jobs",
    "degraded": "extra time because of stragglers, degraded links, power throttling",
    "checkpoint": "stalled while saving",
    "lost_work": "computing steps that were lost",
    "restart": "detecting a failure, restarting, loading",
    "repair_wait": "held by a job that waits for a replacement",
    "data_wait": "held by a job at a data gate",
    "stranded": "in a domain given to a job but not used by its plan, or whole but in a domain out of service, "
    "in which too few others are whole",
    "idle": "in service, not given to any job",
    "spare": "kept aside",
    "down": "under repair itself, whoever has its domain, or in no job while its whole site is out",
}
"""What each state of a GPU means, in words."""


def _moments(name: str, meaning: str) -> tuple[Column, Column]:
    return (
        Column(f"{name}_s", "s", f"{meaning}, counted from the scenario's start"),
        Column(f"{name}_date", "date", f"{meaning}, ISO 8601 in UTC"),
    )


_JOB = Column("job", "text", "job name in the scenario")
_PHASE = Column("phase", "text", "phase name in the job")
_SITE = Column("site", "text", "site name")
_PARTITION = Column("partition", "text", "partition name")

_JOBS = (
    _JOB,
    Column("title", "text", "name for people"),
    Column("model", "text", "architecture"),
    Column("site", "text", "site the job runs at"),
    Column("gpus", "count", "GPUs wanted"),
    Column("priority", "count", "larger goes first"),
    *_moments("submit", "when the job enters the queue"),
    *_moments("start", "first second with GPUs"),
    *_moments("finish", "end of the last phase; empty if it did not end before the horizon"),
    Column("finished", "bool", "whether every phase ended before the horizon"),
    *_moments("target", "date to compare with"),
    Column("target_means", "text", "what the target date means"),
    Column("slip_days", "days", "end of what the target means minus target; a lower bound if it did not end"),
    Column("slip_is_lower_bound", "bool", "what the target means did not end before the horizon"),
    Column(
        "projected_finish_date",
        "date",
        "projection, not simulated: horizon + remaining units x unit_time, "
        "counted while GPUs enough for it are installed; empty if it ended, or never will",
    ),
    Column("projected_slip_days", "days", "projected end of what the target means minus target"),
    Column(
        "gpus_gone_date",
        "date",
        "of a job that never ends: from then on no partition that it may use has GPUs "
        "enough for it; empty otherwise",
    ),
    Column("wall_clock_days", "days", "submission to the last phase's end, or to the horizon"),
    Column("queue_wait_days", "days", "gpu_wait + capacity_wait over all phases"),
    Column("gpu_days", "GPU-days", "GPU-time given to the job, stranded GPUs included"),
    Column("tokens", "tokens", "training tokens kept"),
    Column("tokens_planned", "tokens", "training tokens of all phases"),
    Column("steps", "count", "steps and updates kept"),
    Column("mfu", "ratio", "model FLOPs kept / (productive GPU-time x dense peak)"),
    Column("mfu_overall", "ratio", "model FLOPs kept / (all GPU-time of the computing plan x dense peak)"),
    Column(
        "mfu_modelled",
        "ratio",
        "model FLOPs utilization of a step of the first phase of kind train, alone and healthy",
    ),
    Column("mfu_peak_TFLOPs", "TFLOP/s", "dense peak of one GPU that the MFU refers to"),
    Column("mfu_precision", "text", "number format of that peak"),
    Column("goodput", "ratio", "productive / allocated GPU-time"),
    Column("ettr", "ratio", "productive runtime / available wall clock (Kokolis et al., arXiv:2410.21680)"),
    Column("interruptions", "count", "stops by failures or preemption"),
    Column("saves", "count", "checkpoints completed"),
    Column("lost_work_days", "days", "wall time of work done again after failures"),
    Column("lost_work_gpu_days", "GPU-days", "GPU-time of work done again after failures"),
    Column("energy_MWh", "MWh", "energy of the GPUs given to the job, hosts and cooling included"),
    Column("predicted_loss_low", "nats/token", "pre-training loss, lower end"),
    Column("predicted_loss", "nats/token", "predicted pre-training loss, central"),
    Column("predicted_loss_high", "nats/token", "pre-training loss, upper end"),
    Column("predicted_loss_law", "text", "scaling law of the predicted loss"),
)

_PHASES = (
    _JOB,
    _PHASE,
    Column("title", "text", "name for people"),
    Column("kind", "text", "train, rl or compute"),
    *_moments("ready", "when its predecessors let it start"),
    *_moments("start", "first second with GPUs"),
    *_moments("end", "end of the phase; empty if it did not end"),
    Column("finished", "bool", "whether the phase ended before the horizon"),
    Column("trigger", "text", "predecessor phase that came last"),
    Column("on_critical_path", "bool", "whether it is on the path to what the target means"),
    Column("gpus_wanted", "count", "GPUs of the phase"),
    Column("units", "count", "steps, updates or work units of the whole phase"),
    Column("units_done", "count", "of them kept"),
    Column("unit_time_s", "s", "modelled time of one unit on the wanted GPUs, alone and healthy"),
    Column("planned_unit_time_s", "s", "the same at the planned MFU"),
    Column("tokens", "tokens", "training tokens of the whole phase"),
    Column("tokens_done", "tokens", "of them kept"),
    Column("mfu_modelled", "ratio", "modelled MFU of the step, alone and healthy"),
    Column("peak_TFLOPs", "TFLOP/s", "dense peak of one GPU at the phase's precision"),
    Column("precision", "text", "number format of that peak"),
    Column("interruptions", "count", "stops by failures or preemption"),
    Column("wall_clock_days", "days", "start to end, or to the horizon"),
)

_INTERVALS = (
    _JOB,
    _PHASE,
    Column("state", "text", "what the job does: running, detecting, restarting, ..."),
    *_moments("start", "start of the interval"),
    *_moments("end", "end of the interval"),
    Column("gpus", "count", "GPUs computing (the plan's world size); 0 while queued"),
    Column("units", "count", "steps, updates or work units kept"),
    Column("tokens", "tokens", "training tokens kept"),
    Column("model_flops", "FLOP", "model FLOPs kept"),
    *(Column(f"{cause}_s", "s", CAUSE_MEANING[cause]) for cause in CAUSES),
    Column("saves", "count", "checkpoints completed"),
    Column("note", "text", "what else to know"),
)

_GPU_TIME = (
    _SITE,
    _PARTITION,
    Column("job", "text", "job name; empty where the GPUs belong to none"),
    *_moments("start", "start of the stretch"),
    *_moments("end", "end of the stretch"),
    *(Column(f"{state}_gpu_s", "GPU-s", STATE_MEANING[state]) for state in GPU_STATES),
    Column(
        "full_power_gpu_s",
        "GPU-s",
        "GPU-time computing x clock^power_exponent: time at full power that takes the same dynamic energy",
    ),
)

_UTILIZATION = (
    *_moments("time", "from when the row holds (a step function)"),
    _SITE,
    _PARTITION,
    Column("installed", "count", "GPUs present"),
    Column("allocated", "count", "GPUs given to jobs"),
    Column("running", "count", "GPUs in jobs that compute"),
    Column("idle", "count", "GPUs in service, not given to any job"),
    Column("spare", "count", "GPUs kept aside"),
    Column("stranded", "count", "GPUs that are whole, in domains out of service"),
    Column("down", "count", "GPUs under repair, and during an outage of the site all that are in no job"),
    Column("queued_jobs", "count", "jobs that wait for GPUs"),
    Column("power_MW", "MW", "IT power of the partition times PUE"),
    Column(
        "fragmentation", "ratio", "share of the free domains that is not in the longest run of neighbours"
    ),
)

_DAILY = (
    *_moments("day", "start of the day"),
    Column("capacity_gpu_hours", "GPU-h", "installed GPU-time of the day, all sites"),
    Column("allocated", "ratio", "share of capacity given to jobs"),
    Column("busy", "ratio", "share of capacity that computes (kept or lost work, contention, degraded)"),
    Column("productive", "ratio", "share of capacity that computes steps that were kept"),
    Column(
        "fragmentation",
        "ratio",
        "share of the free domains not in the longest run of neighbours, by capacity",
    ),
)

_EVENTS = (
    *_moments("time", "when it happened"),
    Column("kind", "text", "failure, repair, capacity, start, finish, preempt, resize, gate, save, ..."),
    _SITE,
    _PARTITION,
    _JOB,
    _PHASE,
    Column("subject", "text", "failure class, unit, or the like"),
    Column("value", "1", "what the kind says: GPUs removed, GPUs installed, seconds, ..."),
    Column("note", "text", "what else to know"),
)

_SLIP = (
    _JOB,
    Column("cause", "text", "where the time on the critical path went"),
    Column("group", "text", "the cause in the words of the report"),
    Column("slip_s", "s", "contribution; the sum over all causes of a job is its slip"),
    Column("slip_days", "days", "the same in days"),
)

_PATH = (
    _JOB,
    _PHASE,
    *_moments("start", "from when this phase is critical"),
    *_moments("end", "until when"),
)

_ACCOUNTING = (
    _SITE,
    _PARTITION,
    Column("job", "text", "job name; empty where the GPUs belong to none"),
    Column("state", "text", "the one state of each GPU-second"),
    Column("gpu_hours", "GPU-h", "GPU-time in the state"),
    Column("share_of_capacity", "ratio", "of the partition's installed GPU-time; adds up to 1 per partition"),
)

_ASSUMPTIONS = (
    Column("path", "text", "field of the scenario, or catalog entry"),
    Column("value", "text", "value used"),
    Column("low", "text", "low end, where there is one"),
    Column("central", "text", "central value, where there is a range"),
    Column("high", "text", "high end, where there is one"),
    Column("kind", "text", "data sheet, paper, measurement, press, assumption, or scenario"),
    Column("source", "text", "where it comes from"),
    Column("note", "text", "what to know before using it"),
)

_COMMUNICATION = (
    _JOB,
    _PHASE,
    Column("axis", "text", "parallel axis: tp, cp, ep, dp, pp, embedding"),
    Column("operation", "text", "all_reduce, reduce_scatter, all_gather, all_to_all, send_recv"),
    Column("algorithm", "text", "which algorithm the time is for"),
    Column("group_size", "count", "ranks of one group"),
    Column("level", "text", "highest fabric level that the group crosses"),
    Column("message_MB", "MB", "nccl-tests' size of one call"),
    Column("calls_per_step", "count", "calls per training step"),
    Column("time_ms", "ms", "time of all calls of one training step"),
    Column("exposed_ms", "ms", "part of it that computation does not hide"),
    Column("busbw_GBps", "GB/s", "bus bandwidth as nccl-tests defines it"),
)

_STEP_TIME = (
    _JOB,
    _PHASE,
    Column("part", "text", "part of the training step, on the critical path"),
    Column("time_ms", "ms", "time of the part, alone and healthy; the parts add up to the step time"),
    Column("share", "ratio", "of the step time"),
)

_MEMORY = (
    _JOB,
    _PHASE,
    Column("stage", "count", "pipeline stage"),
    Column("weights_GB", "GB", "weights on one GPU"),
    Column("gradients_GB", "GB", "gradients on one GPU"),
    Column("optimizer_GB", "GB", "optimizer state on one GPU"),
    Column("activations_GB", "GB", "activations on one GPU"),
    Column("buffers_GB", "GB", "communication and gathering buffers on one GPU"),
    Column("overhead_GB", "GB", "context, workspace, fragmentation on one GPU"),
    Column("total_GB", "GB", "sum of the parts"),
    Column("capacity_GB", "GB", "usable memory of one GPU"),
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "jobs": _JOBS,
    "phases": _PHASES,
    "intervals": _INTERVALS,
    "gpu_time": _GPU_TIME,
    "utilization": _UTILIZATION,
    "utilization_daily": _DAILY,
    "events": _EVENTS,
    "slip": _SLIP,
    "critical_path": _PATH,
    "accounting": _ACCOUNTING,
    "assumptions": _ASSUMPTIONS,
    "step_time": _STEP_TIME,
    "memory": _MEMORY,
    "communication": _COMMUNICATION,
}
"""Tables by name, columns in order."""
