"""Training jobs: what to train, on what, in which phases, by when."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.base import AsTuple, Spec, default
from colossus_sim.specs.checkpoint import CheckpointPolicy
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.units import Bytes, Count, Duration, Instant, Ratio, Tokens


class DataRelease(Spec):
    """From this moment on, pre-training may have consumed so many tokens."""

    ready: Instant
    """When the data is ready."""
    tokens: Tokens
    """Unique tokens available from then on (cumulative)."""
    note: str = ""
    """What arrives."""


class DataPlan(Spec):
    """Data readiness of the pre-training phases."""

    releases: Annotated[tuple[DataRelease, ...], AsTuple] = Field(())
    """Releases in order of date; empty = everything is there from the start."""
    max_epochs: Annotated[Ratio, Field(ge=1, le=16)] = Field(1.0)
    """How often the same tokens may be used (up to about 4 costs little: arXiv:2305.16264)."""
    bytes_per_token: Bytes = default("0 B")
    """What is read from the storage for each token of training, images and video as they are stored; text 2 to 4 B.
    A step takes at least as long as reading its data at the storage's `read_bandwidth` and `bandwidth_per_gpu`,
    other readers left out; where the site's `topology.storage_network` is shared, reads load the network too."""
    when_starved: Literal["wait", "yield"] = Field("wait")
    """At the gate: hold the GPUs idle, or give them back and queue again."""


class Rollouts(Spec):
    """Reinforcement learning with generation-bound rollouts."""

    prompts_per_update: Count = Field(512)
    """Prompts of one update."""
    samples_per_prompt: Count = Field(16)
    """Responses drawn for each prompt."""
    prompt_tokens: Tokens = Field(1024)
    """Mean prompt length."""
    response_tokens: Tokens = Field(8000)
    """Mean response length (lognormal)."""
    response_sigma: Annotated[Ratio, Field(gt=0, le=3)] = Field(1.0)
    """Shape of the lognormal law of response lengths."""
    max_response_tokens: Tokens = Field(32768)
    """Truncation."""
    mode: Literal["synchronous", "asynchronous"] = Field("asynchronous")
    """Synchronous: the update waits for the longest response. Asynchronous: a stale policy generates on."""
    generation_share: Annotated[Ratio, Field(gt=0, lt=1)] = Field(0.7)
    """Share of the phase's GPUs that generate (asynchronous); synchronous runs use all for both."""
    weight_bytes: Annotated[Ratio, Field(ge=0.25, le=4)] = Field(1.0)
    """Bytes per parameter while generating (fp8 = 1, fp4 = 0.5)."""
    bandwidth_fraction: Annotated[Ratio, Field(gt=0, le=1)] = Field(0.6)
    """Share of HBM bandwidth that decoding reaches."""
    gpus_per_replica: Count = Field(8)
    """GPUs that hold one copy of the model while generating."""
    concurrency_per_replica: Count = Field(256)
    """Sequences decoded at once by one replica (vLLM's ``max_num_seqs``); what does not fit in memory waits."""
    hbm_fraction: Annotated[Ratio, Field(gt=0, le=1)] = Field(0.9)
    """Share of HBM that weights and key-value cache may fill while generating; 0.9 is the default of vLLM's
    ``gpu_memory_utilization`` (docs.vllm.ai, engine arguments)."""
    reward_time: Duration = default("20 s")
    """Scoring of one batch that is not hidden."""

    @property
    def responses(self) -> int:
        """Responses of one update."""
        return self.prompts_per_update * self.samples_per_prompt

    @property
    def length_law(self) -> dict[str, float]:
        """Mean, sigma and maximum of response lengths, as the formulas of `formulas.rollout` name them."""
        return {
            "mean_tokens": self.response_tokens,
            "sigma": self.response_sigma,
            "maximum": self.max_response_tokens,
        }

    def generating_gpus(self, gpus: int) -> int:
        """Return how many of a phase's GPUs generate."""
        return gpus if self.mode == "synchronous" else round(self.generation_share * gpus)

    def replicas(self, gpus: int) -> int:
        """Return the copies of the model on so many generating GPUs."""
        return max(1, gpus // self.gpus_per_replica)

    def responses_at_once(self, gpus: int) -> int:
        """Return what a replica on so many generating GPUs would decode at once if memory were no matter."""
        return min(self.concurrency_per_replica, math.ceil(self.responses / self.replicas(gpus)))


class Phase(Spec):
    """One stage of a job. Its work is given by exactly one of tokens, gpu_time_share, gpu_hours, updates."""

    kind: Literal["train", "rl", "compute"] = Field("train")
    """train: optimizer steps; rl: rollouts and updates; compute: any GPU work that is neither."""
    title: str = ""
    """Name for people."""
    tokens: Tokens | None = Field(None)
    """Training tokens."""
    gpu_time_share: Annotated[Ratio, Field(ge=0, le=10)] | None = Field(None)
    """GPU-time as a share of what the first phases with tokens need by the model (no losses counted)."""
    gpu_hours: Annotated[float, Field(ge=0)] | None = Field(None)
    """GPU-hours of work, no losses counted."""
    updates: Count | None = Field(None)
    """RL updates."""
    unit_time: Annotated[Duration, Field(gt=0)] = default("60 s")
    """Length of one unit of plain compute (kind compute) on the wanted GPUs: saves come after whole units."""
    gpus: Count | None = Field(None)
    """GPUs of this phase; left out = those of the job."""
    gpu_share: Annotated[Ratio, Field(gt=0, le=1)] | None = Field(None)
    """GPUs of this phase as a share of those of the job."""
    min_duration: Duration = default("0 s")
    """Calendar floor: people-bound work that GPUs do not shorten."""
    data_ready: Instant | None = Field(None)
    """The phase cannot start before this moment."""
    data_gated: bool = Field(False)
    """Whether the job's data releases limit the tokens of this phase."""
    after: Annotated[tuple[str, ...], AsTuple] | None = Field(None)
    """Phases that must be done first; left out = the one before in the file."""
    overlap: Annotated[Ratio, Field(ge=0, lt=1)] = Field(0.0)
    """The phase may start when its predecessors lack only this share of their work."""
    parallel: ParallelPlan | None = Field(None)
    """Plan of this phase; left out = that of the job."""
    rollouts: Rollouts = Field(default_factory=Rollouts)
    """Rollout model, for kind rl."""
    flop_multiplier: Annotated[Ratio, Field(gt=0, le=20)] = Field(1.0)
    """Multiplies the FLOPs of each token, and the time that they take, but no communication; e.g. for stages on
    high-resolution video. It counts as model FLOPs."""


class Target(Spec):
    """The announced or wanted date."""

    date: Instant
    """The date; met by what ends at or before it. Without a time: 00:00 UTC, the first instant of that day."""
    phase: str = ""
    """Phase whose end is meant; empty = the whole job."""
    means: str = ""
    """In words: end of pre-training, release, ..."""
    source: str = ""
    """Who said so."""


class Observation(Spec):
    """What really happened, for back-tests. Never used by the simulation."""

    earliest: Instant
    """Earliest date reported."""
    latest: Instant | None = Field(None)
    """Latest date reported; left out = not yet happened at ``earliest`` ("not released by ...")."""
    phase: str = ""
    """Phase that ended then; empty = the whole job."""
    note: str = ""
    """In words."""
    source: str = ""
    """Where it was reported."""


class Published(Spec):
    """A published figure of the real run, to compare with. Never used by the simulation."""

    metric: Annotated[str, Field(min_length=1)]
    """Name of a metric of the summary: interruptions, ettr, mfu, wall_clock_days, ..."""
    value: float
    """The figure, in the metric's unit."""
    relation: Literal["equals", "at_least", "at_most"] = Field("equals")
    """Whether it was published as a value or as a bound."""
    note: str = ""
    """What it counts."""
    source: Annotated[str, Field(min_length=1)]
    """Where it was published."""


class Job(Spec):
    """One model of the roadmap."""

    title: str = ""
    """Name for people."""
    model: Architecture
    """Architecture (catalog name, fields, or ``hf_config: path``)."""
    site: str
    """Site it runs at."""
    partition: str | None = Field(None)
    """Partition it runs in; left out = the first one of the site that has room."""
    gpus: Annotated[Count, Field(ge=1)]
    """GPUs wanted."""
    min_gpus: Annotated[Count, Field(ge=1)] | None = Field(None)
    """Elastic jobs: start or go on with as few as this."""
    max_gpus: Annotated[Count, Field(ge=1)] | None = Field(None)
    """Elastic jobs: grow up to this when GPUs are free."""
    spare_domains: Count = Field(0)
    """Scale-up domains of its own as warm spares: every phase takes them when it starts, beside the GPUs that it
    computes on, and does not start without them. No other job may use them; they replace what fails before the
    partition's spares do, what it lost comes back to them after the repair, and they are handed back with its GPUs.
    They count as spare in the ledger, and as held for fair share."""
    first_domain: Count | None = Field(None)
    """Explicit placement: the first free scale-up domains from this one on, whatever the policy; left out = as the
    policy says."""
    walltime: Duration | None = Field(None)
    """Run time announced to the scheduler, which backfill reckons with; left out = the modelled time of the work
    left. A job is not stopped when it runs longer."""
    account: str = ""
    """Who pays, for fair share; empty = the job itself."""
    priority: int = 0
    """Larger goes first (as in Slurm and Kubernetes)."""
    submit: Instant
    """When the job enters the queue."""
    reserved: bool = Field(False)
    """Advance reservation: the GPUs that its first phase wants are kept for it from `submit` on. The scheduler
    knows of it from the start: whatever its policy, nobody starts who would still hold them then by the announced
    run time, and from then on the job goes before everybody else. A job that runs longer than announced, or a
    failure, can still delay it. It holds in `partition`, or in the site's first one."""
    parallel: ParallelPlan
    """Parallel plan."""
    phases: Annotated[dict[str, Phase], Field(min_length=1)]
    """Stages, in order."""
    data: DataPlan = Field(default_factory=DataPlan)
    """Data readiness."""
    target: Target | None = Field(None)
    """Date to compare with."""
    observed: Annotated[tuple[Observation, ...], AsTuple] = Field(())
    """Reported outcomes, for the back-test."""
    published: Annotated[tuple[Published, ...], AsTuple] = Field(())
    """Published figures of the real run, for the reality check."""
    checkpoint: CheckpointPolicy | None = Field(None)
    """Own saving policy; left out = the scenario's."""
    input_bytes: Bytes = default("0 B")
    """Read from the site's shared storage before the first step of each phase, and again after a failure that
    leaves no copy to go on from; the GPUs wait for it."""
    output_bytes: Bytes = default("0 B")
    """Written to the shared storage after the last step of each phase, while the GPUs wait; a failure meanwhile
    rolls the phase back to its newest copy. How jobs share the storage: `policies.storage_access`."""
    planned_mfu: Annotated[Ratio, Field(ge=1e-4, le=1)] | None = Field(None)
    """MFU that the plan counted on (of the dense peak at the plan's precision); slower steps show as slip."""
    step_time_factor: Annotated[Ratio, Field(ge=0.2, le=20)] = Field(1.0)
    """Real over modelled step time: an immature stack, a shared site, anything the model does not know."""
