"""Rules that tie fields together: each violation is one problem that says what to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colossus_sim.errors import ScenarioError
from colossus_sim.loading.checks import ADVICE, RULES
from colossus_sim.loading.load import load_scenario
from colossus_sim.loading.nodes import plain
from colossus_sim.loading.yaml_source import parse_yaml
from colossus_sim.units import TOKENS, format_tokens
from tests.loading.conftest import SCENARIO

Writer = Callable[..., Path]

MOE = "{num_experts: 64, num_experts_per_tok: 4, moe_intermediate_size: 2048}"
SITE = "cluster.sites.lab"
MAIN = f"{SITE}.partitions.main"
JOB = "jobs.small"
DIFFUSION = f"{JOB}.model.kind=diffusion_transformer"


def problems(path: Path, *overrides: str) -> list[str]:
    try:
        load_scenario(path, overrides=overrides)
    except ScenarioError as error:
        return [f"{problem.path}: {problem.message}; {problem.hint}" for problem in error.problems]
    return []


def warnings(path: Path, *overrides: str) -> list[str]:
    loaded = load_scenario(path, overrides=overrides).loaded
    return [f"{problem.path}: {problem.message}" for problem in loaded.warnings]


def test_the_plain_scenario_has_neither_problems_nor_warnings(tiny: str, write: Writer) -> None:
    """The fixture is clean, so that each test below sees only its own change."""
    assert problems(write(tiny)) == []
    assert warnings(write(tiny)) == []


VIOLATIONS = [
    ([f"{JOB}.parallel.data_parallel=64"],
     "or give the phase its own plan: parallel: {data_parallel: 32}"),
    # plans
    ([f"{JOB}.gpus=500", f"{JOB}.parallel.pipeline_parallel=8"],
     f"{JOB}.gpus: 500 GPUs do not divide by the plan: tp 4 x pp 8 x cp 1 = 32 GPUs per replica, so 20 of 500 "
     "would stay idle (4.0%); ask for 480 or 512 GPUs"),
    ([f"{JOB}.parallel.data_parallel=60", f"{JOB}.phases.sft.gpus=512"],
     f"{JOB}.parallel.data_parallel: tp 4 x pp 2 x cp 1 x dp 60 = 480, but {JOB}.gpus is 512; "
     "leave data_parallel out, or set it to 64"),
    ([f"{JOB}.model.moe={MOE}", f"{JOB}.parallel.expert_parallel=64", f"{JOB}.gpus=992"],
     f"{JOB}.gpus: 992 GPUs do not divide by the plan: tp 4 x pp 2 x cp 1 = 128 GPUs per replica with ep 64 x etp"),
    ([f"{JOB}.model.moe={MOE}", f"{JOB}.parallel.expert_parallel=48"],
     f"{JOB}.parallel.expert_parallel: 48 does not divide the model's 64 experts; use one of 1, 2, 4"),
    ([f"{JOB}.model.moe={MOE}", f"{JOB}.parallel.expert_parallel=64", f"{JOB}.parallel.data_parallel=60",
      f"{JOB}.gpus=480", f"{JOB}.phases.sft.gpus=480"],
     "ep 64 x etp 1 = 64 does not divide the 240 GPUs of a pipeline stage"),
    ([f"{JOB}.parallel.tensor_parallel=6"],
     f"{JOB}.parallel.tensor_parallel: 6 does not divide the model's 32 attention heads; use one of 1, 2, 4, 8"),
    ([f"{JOB}.model.num_key_value_heads=2", f"{JOB}.model.num_attention_heads=30",
      f"{JOB}.model.head_dim=128", f"{JOB}.parallel.tensor_parallel=3", f"{JOB}.gpus=510",
      f"{JOB}.phases.sft.gpus=252"],
     "3 neither divides the model's 2 key/value heads nor is a multiple"),
    ([f"{JOB}.parallel.pipeline_parallel=64"], "= 64 chunks, but the model has only 32 layers, and 2 ends"),
    ([f"{JOB}.parallel.context_parallel=3", f"{JOB}.gpus=504", f"{JOB}.phases.sft.gpus=240"],
     "3 does not divide sequence_length 8192"),
    ([f"{JOB}.parallel.sequence_length=8196", f"{JOB}.parallel.context_parallel=2"],
     f"{JOB}.parallel.tensor_parallel: tp 4 x cp 2 = 8 does not divide sequence_length 8196, of which sequence "
     "parallelism gives each rank a whole number of tokens; sequence_length 8192 or 8200, or sequence_parallel: "
     "false"),
    ([f"{JOB}.parallel.schedule=interleaved_1f1b"], "the interleaved schedule needs virtual_pipeline"),
    ([f"{JOB}.parallel.virtual_pipeline=2"], "schedule 1f1b has no virtual stages"),
    ([f"{JOB}.parallel.virtual_pipeline=2", f"{JOB}.parallel.schedule=zero_bubble"],
     "schedule zero_bubble has no virtual stages"),
    ([f"{JOB}.parallel.schedule=dualpipe", f"{JOB}.parallel.pipeline_parallel=1"],
     f"{JOB}.parallel.pipeline_parallel: each device of schedule dualpipe holds a stage and its mirror image, so "
     "their number must be even, got 1"),
    ([f"{JOB}.parallel.schedule=dualpipe", f"{JOB}.parallel.pipeline_parallel=5"], "must be even, got 5"),
    ([f"{JOB}.parallel.expert_parallel=2"],
     f"{JOB}.parallel.expert_parallel: ep 2 x etp 1, but the model has no experts"),
    ([f"{JOB}.parallel.global_batch_size=32"], "32 sequences are too few for 64 replicas with micro-batches of 1"),
    ([f"{JOB}.parallel.precision=nvfp4"], "Toy GPU has no peak rate for nvfp4; it has bf16, fp8"),
    ([f"{JOB}.parallel.precision=mxfp8"], "Toy GPU has no peak rate for mxfp8; it has bf16, fp8"),
    ([f"{JOB}.parallel.precision=tf32"], f"{JOB}.parallel.precision: training in tf32 is not modelled"),
    (["calibration.kernels[0].gpu=other"], "calibration: has no entry for toy at bf16"),
    # jobs
    ([f"{JOB}.gpus=2048", f"{JOB}.parallel.global_batch_size=4096"],
     f"{JOB}.gpus: wants 2048 GPUs, but lab/main never has more than 1024 that jobs can use (from 2026-01-01 on): "
     "1024 too few"),
    ([f"{SITE}.power_limit=800 kW", f"{SITE}.power_control=queue"],
     f"{JOB}.gpus: wants 512 GPUs, but the power limit of site 'lab' lets at most 384 run; ask for fewer"),
    ([f"{JOB}.phases.sft.gpus=2048", f"{JOB}.parallel.global_batch_size=4096"],
     f"{JOB}.phases.sft.gpus: wants 2048 GPUs"),
    ([f"{MAIN}.spare_domains=65", f"{JOB}.gpus=512"], f"{JOB}.gpus: wants 512 GPUs, but lab/main never has more"),
    ([f"{MAIN}.capacity=[{{at: 2026-01-01, gpus: 512}}, {{at: 2027-01-01, gpus: 1024}}]", f"{JOB}.gpus=2048",
      f"{JOB}.parallel.global_batch_size=4096", f"{JOB}.phases.sft.gpus=512"],
     f"{JOB}.gpus: wants 2048 GPUs, but lab/main never has more than 1024 that jobs can use (from 2027-01-01 on)"),
    ([f"{JOB}.min_gpus=256", f"{JOB}.gpus=1024", f"{MAIN}.gpus_used_per_domain=7",
      f"{JOB}.parallel.global_batch_size=1024"],
     f"{JOB}.gpus: 1024 GPUs fill 147 scale-up domains with 7 GPUs used of each, but lab/main never has more than "
     "128: min_gpus lets the job start smaller, not want more than there is; at most 896, or add capacity"),
    ([f"{JOB}.min_gpus=256", f"{JOB}.phases.sft.gpus=1032", f"{JOB}.parallel.global_batch_size=1032"],
     f"{JOB}.phases.sft.gpus: 1032 GPUs fill 129 scale-up domains"),
    ([f"{JOB}.site=lap"], f"{JOB}.site: there is no site called 'lap'; did you mean 'lab'?"),
    ([f"{JOB}.partition=mian"], "there is no partition of site 'lab' called 'mian'; did you mean 'main'?"),
    ([f"{JOB}.target.phase=sfd"], f"{JOB}.target.phase: there is no phase of this job called 'sfd'; did"),
    ([f"{JOB}.phases.sft.after=[pretain]"], f"{JOB}.phases.sft.after[0]: there is no phase of this job called"),
    ([f"{JOB}.phases.pretrain.after=[sft]"], f"{JOB}.phases.pretrain.after: phase 'pretrain' waits"),
    ([f"{JOB}.target.date=2026-01-01"], f"{JOB}.target.date: the target 2026-01-01 is before the job is submitted"),
    ([f"{JOB}.submit=2025-06-01"], f"{JOB}.submit: 2025-06-01 is before the scenario's start (2026-01-01)"),
    ([f"{JOB}.observed=[{{earliest: 2026-03-01, latest: 2026-02-01}}]"], "2026-02-01 is before earliest"),
    ([f"{JOB}.phases.sft.tokens=1T"], "is given by exactly one of tokens, gpu_time_share, gpu_hours; tokens and"),
    ([f"{JOB}.phases.sft.gpu_time_share=null"], "gpu_hours; none is given"),
    ([f"{JOB}.phases.pretrain={{updates: 5}}"], "a phase of kind train cannot be given by updates"),
    ([f"{JOB}.phases.pretrain={{gpu_hours: 5}}"], "but this job has no such phase"),
    ([f"{JOB}.phases.sft.gpu_share=0.5"], "gpus and gpu_share are both given"),
    ([f"{JOB}.phases.sft.gpus=0"], "a phase needs at least 1 GPU"),
    ([f"{JOB}.phases.sft={{kind: rl, updates: 9, rollouts: {{weight_bytes: 0.0001}}}}"],
     "rollouts.weight_bytes: must be at least 0.25, got 0.0001"),
    ([f"{JOB}.min_gpus=768"], f"{JOB}.min_gpus: 768 is more than gpus (512)"),
    ([f"{JOB}.max_gpus=256"], f"{JOB}.max_gpus: 256 is less than gpus (512)"),
    ([f"{JOB}.data.releases=[{{ready: 2026-02-01, tokens: 1T}}, {{ready: 2026-01-01, tokens: 2T}}]"],
     f"{JOB}.data.releases[1].ready: 2026-01-01 is not after"),
    ([f"{JOB}.data.releases=[{{ready: 2026-01-01, tokens: 2T}}, {{ready: 2026-02-01, tokens: 1T}}]"],
     f"{JOB}.data.releases[1].tokens: 1T is less than the release before it (2T)"),
    ([f"{JOB}.phases.pretrain.data_gated=true", f"{JOB}.data.releases=[{{ready: 2026-01-01, tokens: 0.5T}}]"],
     "the gated phases need 1T tokens, but only 500B unique ones times 1 epochs ever come"),
    # models
    ([f"{JOB}.model.num_attention_heads=36"], "hidden_size 4096 is not divisible by 36 heads; give head_dim"),
    ([f"{JOB}.model.mla={{q_lora_rank: 0, kv_lora_rank: 8, qk_nope_head_dim: 8, qk_rope_head_dim: 8, "
      "v_head_dim: 0}"],
     f"{JOB}.model.mla.v_head_dim: must be at least 1, got 0"),
    ([f"{JOB}.model.num_key_value_heads=5"], "32 query heads cannot share 5 key/value heads"),
    ([f"{JOB}.model.declared_params=9B"],
     f"{JOB}.model.declared_params: 9e+09 is declared, but the fields give 8.03e+09 parameters (-10.8%"),
    ([f"{JOB}.model.declared_active_params=9B"], f"{JOB}.model.declared_active_params: 9e+09"),
    ([f"{JOB}.model.intermediate_size=0"], "needed by the 32 dense layers"),
    ([f"{JOB}.model.kind=diffusion_transformer"], "a diffusion transformer needs 'video'"),
    ([DIFFUSION, f"{JOB}.model.video={{tokens_per_sample: 5000}}"],
     f"{JOB}.parallel.sequence_length: 8192 is not a whole number of samples of model.video.tokens_per_sample "
     "5000; 5000 for one sample per sequence, or a multiple"),
    ([DIFFUSION, f"{JOB}.model.video={{tokens_per_sample: 8704}}"], "8192 is not a whole number of samples of"),
    ([f"{JOB}.model.video={{tokens_per_sample: 8192}}"],
     f"{JOB}.model.video: a model of kind transformer attends to its whole sequence, not to samples; kind: diff"),
    ([DIFFUSION, f"{JOB}.model.video={{tokens_per_sample: 8192, text_tokens: 0}}"],
     f"{JOB}.model.video.text_tokens: cross-attention needs a text to attend to; cross_attention: false"),
    ([DIFFUSION, f"{JOB}.model.video={{tokens_per_sample: 0.5}}"],
     f"{JOB}.model.video.tokens_per_sample: must be at least 1"),
    ([f"{JOB}.model.sliding_window_fraction=0.5"], "some layers use a sliding window, but sliding_window is 0"),
    ([f"{JOB}.model.sliding_window=512"],
     f"{JOB}.model.sliding_window: no layer uses the window of 512 tokens: sliding_window_fraction is not given"),
    ([f"{JOB}.model.moe={{num_experts: 8, num_experts_per_tok: 2, moe_intermediate_size: 8, "
      "moe_layer_frequency: 33}"], f"{JOB}.model.moe.moe_layer_frequency: leaves no layer of 32 for the experts"),
    ([f"{JOB}.model.moe={{num_experts: 4, num_experts_per_tok: 8, moe_intermediate_size: 8}}"],
     "8 is more than the 4 experts"),
    ([f"{JOB}.model.moe={{num_experts: 8, num_experts_per_tok: 2, moe_intermediate_size: 8, n_group: 3}}"],
     "moe.n_group: 1 of 3 groups of 8 experts"),
    ([f"{JOB}.model.moe={{num_experts: 8, num_experts_per_tok: 2, moe_intermediate_size: 8, first_k_dense: 32}}"],
     "leaves no layer of 32"),
    # cluster
    (["horizon=0 s"], "horizon: must be more than zero"),
    ([f"{SITE}.storage.write_bandwidth=0 GB/s"], f"{SITE}.storage.write_bandwidth: must be more than zero"),
    ([f"{MAIN}.gpu.peak.bf16=0 FLOP/s"], f"{MAIN}.gpu.peak: must be more than zero"),
    ([f"{MAIN}.gpu.gpus_per_node=0"], f"{MAIN}.gpu.gpus_per_node: must be more than zero"),
    ([f"{SITE}.power_limit=100 kW"],
     f"{SITE}.power_limit: 0.1 MW is no more than the "),
    ([f"{SITE}.power_limit=0 W"], f"{SITE}.power_limit: must be more than zero"),
    ([f"{MAIN}.capacity=[{{at: 2026-02-01, gpus: 1024}}, {{at: 2026-01-01, gpus: 1024}}]"],
     f"{MAIN}.capacity[1].at: 2026-01-01 is not after the step before it (2026-02-01)"),
    ([f"{JOB}.first_domain=128"], f"{JOB}.first_domain: there is no domain 128: the partition never"),
    ([f"{SITE}.topology.gpu=toys"], f"{SITE}.topology.gpu: there is no GPU called 'toys'; did you mean 'toy'?"),
    ([f"{JOB}.phases.pretrain.tokens=0"], f"{JOB}.phases.pretrain.tokens: a phase needs more than 0 tokens"),
    ([f"{MAIN}.gpus_used_per_domain=9"], "must be between 1 and the domain's 8 GPUs, got 9"),
    ([f"{MAIN}.gpus_used_per_domain=0"], "must be between 1 and the domain's 8 GPUs, got 0"),
    ([f"{MAIN}.spare_domains=128"], "128 spare domains of 8 GPUs leave nothing of 1024 GPUs; at most 127"),
    ([f"{SITE}.topology.gpus=512"], f"{SITE}.topology: the network joins 512 GPUs, but 1024 are installed"),
    ([f"{MAIN}.gpu.gpus_per_node=3"], f"{MAIN}.gpu.scale_up_domain: 8 GPUs are not a whole number of nodes of 3"),
    # faults
    (["faults.classes.gpu={per: switch, rate: 1 /year, removes: nothing, interrupts: false, provenance: "
      "{kind: assumption, reference: test, checked: 2026-08}}"], "a rate per switch needs to know which switches"),
    (["faults.classes.gpu.repair=null"], "faults.classes.gpu.repair: the class removes a node, so it needs"),
    (["checkpoint.tiers[0].survives=software"],
     "checkpoint.tiers[0].survives: the last tier 'storage' survives 'software' only, but fault class 'gpu'"),
    (["checkpoint.tiers[0].interval=0 s"], "checkpoint.tiers[0].interval: must be more than zero"),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "said"), VIOLATIONS)
def test_each_violation_is_reported(tiny: str, write: Writer, overrides: list[str], said: str) -> None:
    """The field, what is wrong with it, and what would be right are named."""
    found = problems(write(tiny), *overrides)
    assert [line for line in found if said in line], found


CROWDED = (
    f"{JOB}.phases.sft={{kind: rl, updates: 9, rollouts: {{gpus_per_replica: 1, prompts_per_update: 8200, "
    "concurrency_per_replica: 4096}}"
)

ADVISED = [
    ([f"{JOB}.parallel.data_parallel=64", f"{JOB}.phases.sft.gpus=512", f"{JOB}.max_gpus=1024"],
     f"{JOB}.max_gpus: has no effect: {JOB}.parallel.data_parallel fixes the number of GPUs"),
    ([f"{JOB}.parallel.virtual_pipeline=2", f"{JOB}.parallel.schedule=interleaved_1f1b",
      f"{JOB}.parallel.pipeline_parallel=1"], "virtual_pipeline: has no effect: pipeline_parallel is 1"),
    ([f"{SITE}.power_control=queue"], f"{SITE}.power_control: has no effect: the site has no power_limit"),
    ([f"{SITE}.power_exponent=3"], f"{SITE}.power_exponent: has no effect: the site has no power_limit"),
    ([f"{SITE}.part_lead_time=3 days"], f"{SITE}.part_lead_time: has no effect: the site has no repair_parts"),
    ([f"{JOB}.parallel.recomputed_share=0.5", f"{JOB}.parallel.activation_recomputation=selective"],
     f"{JOB}.parallel.recomputed_share: has no effect: activation_recomputation is selective"),
    ([f"{JOB}.phases.pretrain.data_gated=true"], "has no effect: the job has no data releases"),
    ([f"{JOB}.data.releases=[{{ready: 2026-01-01, tokens: 2T}}]"], "have no effect: no phase has data_gated: true"),
    ([f"{JOB}.phases.pretrain.overlap=0.2"], f"{JOB}.phases.pretrain.overlap: has no effect: nothing comes before"),
    ([f"{JOB}.phases.sft.rollouts={{}}"], "has no effect in a phase of kind train"),
    (["faults.classes.gpu.shape=0.7"], "faults.classes.gpu.shape: has no effect: the distribution is exponential"),
    (["faults.classes.gpu.slowdown=2"], "has no effect: the class interrupts jobs"),
    (["faults.classes.gpu.removes=nothing"], "faults.classes.gpu.repair: has no effect: the class removes nothing"),
    (["faults.classes.gpu={per: gpu, rate: 1 /year, removes: nothing, interrupts: false, provenance: "
      "{kind: assumption, reference: x, checked: 2026-01}}"], "it neither interrupts, slows nor removes anything"),
    (["faults.classes.gpu.rate=1 /day"], f"{JOB}.gpus: an interruption every 2.81 min against a restart of"),
    ([f"{JOB}.parallel.pipeline_parallel=7", f"{JOB}.gpus=504", f"{JOB}.phases.sft.gpus=252"],
     "32 layers over 7 chunks: the largest has 5, the mean is 4.57"),
    ([f"{JOB}.parallel.data_parallel=60", f"{JOB}.gpus=480", f"{JOB}.phases.sft.gpus=480"],
     "512 is not a multiple of dp x micro_batch_size = 60"),
    ([f"{JOB}.parallel.global_batch_size=65", f"{JOB}.phases.sft.gpus=512"],
     f"{JOB}.parallel.global_batch_size: 65 is not a multiple of dp x micro_batch_size = 64; some of the 64 "
     "replicas wait for the others: a step takes as long as one of 128 sequences"),
    ([f"{JOB}.parallel.micro_batch_size=2", f"{JOB}.parallel.global_batch_size=192"],
     f"{JOB}.parallel.global_batch_size: 192 is not a multiple of dp x micro_batch_size = 128;"),
    ([f"{JOB}.parallel.schedule=interleaved_1f1b", f"{JOB}.parallel.virtual_pipeline=2",
      f"{JOB}.parallel.pipeline_parallel=4", f"{JOB}.parallel.global_batch_size=192"],
     f"{JOB}.parallel.global_batch_size: the interleaved schedule needs a multiple of pipeline_parallel 4, but a "
     "replica has 6 micro-batches: Megatron-LM refuses the plan; its step time is interpolated"),
    ([f"{JOB}.parallel.schedule=dualpipe", f"{JOB}.parallel.pipeline_parallel=8",
      f"{JOB}.parallel.global_batch_size=128"],
     "dualpipe is made for at least two micro-batches per stage, 16, but a replica has 8: the step time is a"),
    ([f"{MAIN}.capacity[0].gpus=1020"], "1020 is not a whole number of domains of 8 GPUs; 4 are never used"),
    ([f"{JOB}.submit=2027-01-01", f"{JOB}.target=null"], f"{JOB}.submit: the job never starts"),
    ([f"{JOB}.target={{date: 2027-01-01}}"], f"{JOB}.target.date: lies after the horizon, which ends"),
    ([f"{MAIN}.capacity=[{{at: 2026-01-01, gpus: 256}}, {{at: 2027-01-01, gpus: 1024}}]"],
     f"{JOB}.gpus: the job waits to the end: jobs at lab can have 256 of these 512 GPUs before the horizon, "
     "2026-04-01, and all of them from 2027-01-01 on"),
    ([f"{MAIN}.capacity=[{{at: 2026-05-01, gpus: 256}}, {{at: 2027-01-01, gpus: 1024}}]"],
     f"{JOB}.gpus: the job waits to the end: jobs at lab can have 0 of these 512 GPUs"),
    ([f"{JOB}.phases.sft.data_ready=2027-01-01"], f"{JOB}.phases.sft.data_ready: the phase never starts"),
    ([f"{JOB}.phases.pretrain.data_gated=true", f"{JOB}.data.releases=[{{ready: 2026-01-01, tokens: 0.4T}}, "
      "{ready: 2026-04-01, tokens: 0.9T}, {ready: 2028-01-18, tokens: 1T}]"],
     f"{JOB}.data.releases[1].ready: phase pretrain waits to the end: up to it 1T tokens are needed, and 400B "
     "unique ones are ready before the horizon, 2026-04-01"),
    ([CROWDED], f"{JOB}.phases.sft.rollouts.concurrency_per_replica: of 367 responses at once 57 fit beside the "
     "weights in 1 GPUs, at a mean context of 8,448 tokens; the others wait"),
    ([f"{JOB}.phases.sft={{kind: rl, updates: 9, gpus: 512, rollouts: {{gpus_per_replica: 24}}}}"],
     f"{JOB}.phases.sft.rollouts: 24 of 512 GPUs stay idle: 22 of the 358 that generate, 24 for each copy of the "
     "model; 2 of the 154 that train, 8 for each replica"),
    ([f"{JOB}.phases.sft={{kind: rl, updates: 9, gpus: 512, rollouts: {{gpus_per_replica: 24, "
      "mode: synchronous}}"],
     "8 of 512 GPUs stay idle: 8 of the 512 that generate, 24 for each copy of the model"),
    (["checkpoint.tiers[0].interval=1 s"], "checkpoint.tiers[0].interval: a save of small takes 1.12 s, longer"),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "said"), ADVISED)
def test_each_oddity_is_a_warning(tiny: str, write: Writer, overrides: list[str], said: str) -> None:
    """Settings without effect do not stop the run, but are mentioned."""
    found = warnings(write(tiny), *overrides)
    assert [line for line in found if said in line], found


def test_pools_of_whole_copies_and_whole_replicas_are_fine(tiny: str, write: Writer) -> None:
    """The share that the advice names leaves nothing idle."""
    phase = f"{JOB}.phases.sft={{kind: rl, updates: 9, gpus: 512, rollouts: {{gpus_per_replica: 24"
    (advice,) = [
        problem.hint
        for problem in load_scenario(write(tiny), overrides=[f"{phase}}}}}"]).loaded.warnings
        if "stay idle" in problem.message
    ]
    share = advice.removeprefix("generation_share ").split()[0]
    filled = warnings(write(tiny), f"{phase}, generation_share: {share}}}}}")
    assert not [line for line in filled if "stay idle" in line]


def test_samples_that_fill_a_sequence_and_responses_that_fit_are_fine(tiny: str, write: Writer) -> None:
    """Whole samples are no problem, nor are replicas with room for all that they decode at once."""
    assert not [line for line in warnings(write(tiny), CROWDED.replace("4096", "57")) if "wait" in line]
    assert not [line for line in warnings(write(tiny), CROWDED.replace("8200", "1200")) if "wait" in line]
    for tokens in (8192, 4096, 2048):
        found = problems(write(tiny), DIFFUSION, f"{JOB}.model.video={{tokens_per_sample: {tokens}}}")
        assert not [line for line in found if "samples" in line]


def test_the_batch_of_an_rl_update_is_not_looked_at(tiny: str, write: Writer) -> None:
    """It follows from the responses: only the phase that trains on 64 replicas is told that 65 do not divide."""
    found = warnings(write(tiny), CROWDED, f"{JOB}.parallel.global_batch_size=65")
    assert [line.split(" = ")[1] for line in found if "multiple of dp" in line] == [
        "64; some of the 64 replicas wait for the others: a step takes as long as one of 128 sequences"
    ]


@pytest.mark.parametrize("fields", [{"sequence_parallel": "false"}, {"tensor_parallel": 1}])
def test_only_sequence_parallelism_deals_out_tokens(
    tiny: str, write: Writer, fields: dict[str, object]
) -> None:
    """Without it, or without tensor parallelism, a sequence need not divide by anything but context parallelism."""
    overrides = [f"{JOB}.parallel.{name}={value}" for name, value in fields.items()]
    assert problems(write(tiny), f"{JOB}.parallel.sequence_length=8191", *overrides) == []


@pytest.mark.parametrize("name", ["network_parts", "network_flaps", "llama3_h100_network"])
def test_broken_networks_have_an_effect(tiny: str, write: Writer, name: str) -> None:
    """A class that takes bandwidth is not called idle."""
    assert not [line for line in warnings(write(tiny), f"faults={name}") if "has no effect" in line]


def test_a_cable_without_a_name_is_refused(tiny: str, write: Writer) -> None:
    """The words are those of the rule, without the library's prefix."""
    broken = (
        "{per: gpu, rate: 1 /year, removes: nothing, interrupts: false, degrades: {part: cable}, repair: {}, "
    )
    provenance = "provenance: {kind: assumption, reference: test, checked: 2026-08}}"
    with pytest.raises(ScenarioError, match=r"degrades: name is missing: the two ends of the cable"):
        load_scenario(write(tiny), overrides=[f"faults.classes.x={broken}{provenance}"])


def test_every_rule_has_a_sentence() -> None:
    """A rule's docstring says what holds."""
    assert all(rule.__doc__ and rule.__doc__.strip().endswith(".") for rule in (*RULES, *ADVICE))


def test_all_problems_are_reported_at_once(tiny: str, write: Writer) -> None:
    """Independent mistakes are all in one error."""
    found = problems(write(tiny), f"{JOB}.site=x", f"{MAIN}.spare_domains=500", "horizon=0 s")
    assert [line.split(":")[0] for line in found] == ["horizon", f"{MAIN}.spare_domains", f"{JOB}.site"]


def test_what_is_read_is_no_oddity(tiny: str, write: Writer) -> None:
    """The last domain, a catalog GPU, and settings beside what reads them are neither refused nor warned about."""
    path = write(tiny)
    assert problems(path, f"{JOB}.first_domain=127", f"{SITE}.topology.gpu=h100") == []
    assert problems(path, f"{SITE}.topology.gpu=our_own_design") == []
    read = [f"{SITE}.power_limit=100 MW", f"{SITE}.power_exponent=3", f"{SITE}.repair_parts=2",
            f"{SITE}.part_lead_time=3 days", f"{JOB}.parallel.activation_recomputation=full",
            f"{JOB}.parallel.recomputed_share=0.5"]  # fmt: skip
    assert not [line for line in warnings(path, *read) if "has no effect" in line]


@pytest.mark.parametrize(
    "changes",
    [
        (f"{JOB}.data.max_epochs=2",),
        (f"{JOB}.phases.pretrain.tokens=0.5T",),
        (f"{JOB}.phases.pretrain.data_gated=false", f"{JOB}.phases.sft.data_gated=true"),
        ("horizon=3 years",),
    ],
)
def test_data_after_the_horizon_that_nobody_waits_for_is_fine(
    tiny: str, write: Writer, changes: tuple[str, ...]
) -> None:
    """Enough is ready before, again and again if need be, or no gated phase counts tokens."""
    releases = f"{JOB}.data.releases=[{{ready: 2026-01-01, tokens: 0.5T}}, {{ready: 2028-01-18, tokens: 1T}}]"
    said = warnings(write(tiny), f"{JOB}.phases.pretrain.data_gated=true", releases, *changes)
    assert not [text for text in said if "waits to the end" in text]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("start=2026-01-02T12:00",),
         "submit: 2026-01-02T00:00:00Z is before the scenario's start (2026-01-02T12:00:00Z)"),
        ((f"{JOB}.target={{date: 2026-01-02}}", f"{JOB}.submit=2026-01-02T06:00"),
         "the target 2026-01-02T00:00:00Z is before the job is submitted (2026-01-02T06:00:00Z)"),
        (("start=2026-01-03",), "submit: 2026-01-02 is before the scenario's start (2026-01-03)"),
    ],
)  # fmt: skip
def test_moments_of_one_day_are_told_with_the_time(
    tiny: str, write: Writer, changes: tuple[str, ...], said: str
) -> None:
    """Days alone would look the same; two days are told as days."""
    assert any(said in text for text in problems(write(tiny), *changes))


def test_capacity_after_the_horizon_does_not_refuse_a_job(tiny: str, write: Writer) -> None:
    """A job that is too large until the horizon waits; one that is submitted after it, or fits, is left alone."""
    late = f"{MAIN}.capacity=[{{at: 2026-01-01, gpus: 256}}, {{at: 2027-01-01, gpus: 1024}}]"
    path = write(tiny)
    assert problems(path, late) == []
    assert problems(path, late, f"{SITE}.power_limit=10 MW", f"{SITE}.power_control=queue") == []
    after = warnings(path, late, f"{JOB}.submit=2027-02-01", f"{JOB}.target=null")
    assert [line.split(":")[0] for line in after] == [f"{JOB}.submit"]
    assert not [line for line in warnings(path, late, f"{JOB}.min_gpus=128") if "waits" in line]


def test_an_elastic_job_may_want_all_domains(tiny: str, write: Writer) -> None:
    """128 domains of 7 used GPUs are 896: so many are fine, and refused is where the file says how many."""
    path = write(tiny.replace("gpus: 512\n", "gpus: 1024\n    min_gpus: 256\n"))
    batch = f"{JOB}.parallel.global_batch_size=896"
    assert problems(path, f"{MAIN}.gpus_used_per_domain=7", f"{JOB}.gpus=896", batch) == []
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, overrides=[f"{MAIN}.gpus_used_per_domain=7"])
    assert [problem.source_line for problem in caught.value.problems] == ["    gpus: 1024"]


def test_a_domain_of_which_nothing_is_used_is_one_problem(tiny: str, write: Writer) -> None:
    """Neither spares nor jobs are blamed for it."""
    (problem,) = problems(write(tiny), f"{MAIN}.gpus_used_per_domain=0", f"{MAIN}.spare_domains=8")
    assert "must be between 1 and the domain's 8 GPUs" in problem


def test_a_one_percent_loss_is_accepted(tiny: str, write: Writer) -> None:
    """With automatic data parallelism up to 1 % of the GPUs may stay unused."""
    assert problems(write(tiny), f"{JOB}.gpus=1017", f"{JOB}.parallel.global_batch_size=1024") == []
    assert problems(write(tiny), f"{JOB}.gpus=103") != []


def test_a_problem_found_by_a_rule_has_its_place(tiny: str, write: Writer) -> None:
    """Rules name fields; the file, line and caret are added."""
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write(tiny.replace("site: lab", "site: lap")))
    (problem,) = caught.value.problems
    assert problem.where.endswith("scenario.yaml:56:11")
    assert problem.source_line == "    site: lap"
    assert problem.column == 11


def _paths(value: object, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [p for key, item in value.items() for p in _paths(item, f"{path}.{key}" if path else str(key))]
    if isinstance(value, (list, tuple)):
        return [p for index, item in enumerate(value) for p in _paths(item, f"{path}[{index}]")]
    return [path]


PATHS = _paths(plain(parse_yaml(SCENARIO.encode(), "tiny.yaml")))
ODD = (
    "0",
    "1",
    "-1",
    "3",
    "1e30",
    "null",
    "text",
    "''",
    "true",
    ".nan",
    "[]",
    "{}",
    "0 s",
    "0 GB",
    "2030-01-01",
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), value=st.sampled_from(ODD))
def test_any_odd_value_anywhere_is_accepted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, path: str, value: str
) -> None:
    """No value of any field makes loading fail in another way than with a ScenarioError."""
    file = tmp_path_factory.getbasetemp() / "odd.yaml"
    file.write_text(SCENARIO)
    for line in problems(file, f"{path}={value}"):
        assert "pydantic" not in line
        assert "Traceback" not in line


def test_a_few_unused_gpus_are_a_warning() -> None:
    """Less than one per cent left over runs, but is said aloud."""
    scenario = load_scenario("quickstart", overrides=["jobs.llama_70b.gpus=961"])

    (warning,) = scenario.loaded.warnings
    assert warning.path == "jobs.llama_70b.gpus"
    assert "1 of 961 GPUs stay idle: tp 8 x pp 4 x cp 1 = 32" in warning.message


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0.0, "0"), (800.0, "800"), (1.25e6, "1.25M"), (99_999_999.9, "100M"), (1e11, "100B"), (15e12, "15T")],
)
def test_tokens_are_shown_as_files_have_them(count: float, shown: str) -> None:
    """A number of tokens is written with the letter that its field reads."""
    assert format_tokens(count) == shown
    assert TOKENS.parse(shown) == pytest.approx(count, rel=1e-3)
