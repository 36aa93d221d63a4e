"""Phases as units of work."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from colossus_sim.errors import InfeasibleError
from colossus_sim.formulas import rollout
from colossus_sim.formulas.decoding import cache_bytes
from colossus_sim.formulas.transformer import count_parameters, token_flops
from colossus_sim.loading.load import load_scenario
from colossus_sim.parallelism.collective_time import group_collective_time
from colossus_sim.parallelism.groups import GroupSpan
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.architecture import Architecture, MixtureOfExperts
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.job import Job, Phase, Rollouts
from colossus_sim.specs.scenario import Scenario
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.memory import peak_memory
from colossus_sim.training.phases import PhaseModel, build_phase_model
from colossus_sim.training.sizes import resolve_sizes
from colossus_sim.units import format_si


def scenario_with(phases: dict[str, Phase], **job_changes: Any) -> Scenario:
    """Return the shipped tiny scenario with other phases in its first job."""
    scenario = load_scenario("tiny")
    name, job = next(iter(scenario.jobs.items()))
    changed = job.model_copy(update={"phases": phases, **job_changes})
    return scenario.model_copy(update={"jobs": {name: changed}})


def model_of(scenario: Scenario, phase: str) -> tuple[PhaseModel, Fabric]:
    """Return the model of a phase of the first job, and the fabric."""
    name, job = next(iter(scenario.jobs.items()))
    site = scenario.cluster.sites[job.site]
    partition_name, partition = next(iter(site.partitions.items()))
    fabric = build_fabric(site.topology, partition.gpu)
    model = build_phase_model(
        scenario=scenario,
        job_name=name,
        phase_name=phase,
        site=job.site,
        partition_name=partition_name,
        fabric=fabric,
    )
    return model, fabric


TRAIN = Phase(kind="train", tokens=1e9)


def test_no_step_does_more_than_the_peak() -> None:
    """A `step_time_factor` that would need more than the peak of the GPUs is refused, recomputation counted."""
    model, _ = model_of(scenario_with({"pretrain": TRAIN}), "pretrain")
    assert model.reference is not None
    assert model.reference.mfu < model.reference.hfu < 1.0
    for least in (model.reference.mfu, model.reference.hfu):
        refused = scenario_with({"pretrain": TRAIN}, step_time_factor=0.999 * least)
        with pytest.raises(InfeasibleError, match=r"step_time_factor: at .* would do .*, but its peak"):
            model_of(refused, "pretrain")
    model_of(scenario_with({"pretrain": TRAIN}, step_time_factor=1.001 * model.reference.hfu), "pretrain")


def test_tokens_become_whole_steps() -> None:
    """Steps are tokens over tokens per step, rounded up."""
    scenario = scenario_with({"pretrain": TRAIN})
    plan = next(iter(scenario.jobs.values())).parallel
    model, _ = model_of(scenario, "pretrain")
    assert model.tokens_per_unit == plan.global_batch_size * plan.sequence_length
    assert model.units == math.ceil(1e9 / model.tokens_per_unit)
    assert model.reference is not None
    assert model.reference_time == model.reference.step_time


def test_planned_mfu_sets_the_planned_time() -> None:
    """The planned time is that of the model FLOPs at the planned share of the peak."""
    model, _ = model_of(scenario_with({"pretrain": TRAIN}, planned_mfu=0.4), "pretrain")
    rate = model.model_flops_per_unit / (model.planned_unit_time * model.gpus_wanted)
    assert rate == pytest.approx(0.4 * model.peak)


def test_units_on_reference_gpus_take_the_reference_time() -> None:
    """The packed placement gives the reference time; fewer GPUs take longer; answers are remembered."""
    model, fabric = model_of(scenario_with({"pretrain": TRAIN}), "pretrain")
    domain = fabric.gpus_per_domain
    placement = Placement(
        domain_gpus=domain, ranks_per_domain=domain, runs=((0, -(-model.gpus_wanted // domain)),)
    )
    first = model.unit(model.gpus_wanted, placement)
    assert first.time == model.reference_time
    assert model.unit(model.gpus_wanted, placement) is first
    fewer = model.usable_gpus(model.gpus_wanted // 2)
    assert model.unit(fewer, placement).time > first.time


def test_gpu_time_share_is_a_share_of_the_token_phases() -> None:
    """A phase with a share of 10 % costs a tenth of the GPU-time of the phases with tokens."""
    share = Phase(kind="train", gpu_time_share=0.1)
    scenario = scenario_with({"pretrain": Phase(kind="train", tokens=1e11), "sft": share})
    main, _ = model_of(scenario, "pretrain")
    sft, _ = model_of(scenario, "sft")
    spent = main.units * main.reference_time * main.gpus_wanted
    assert sft.units * sft.reference_time * sft.gpus_wanted == pytest.approx(0.1 * spent, rel=1e-3)


def test_compute_phase_scales_inversely_with_gpus() -> None:
    """10 GPU-hours on 10 GPUs are 60 units of a minute; half the GPUs take twice as long."""
    model, fabric = model_of(scenario_with({"x": Phase(kind="compute", gpu_hours=10.0, gpus=10)}), "x")
    placement = Placement(domain_gpus=fabric.gpus_per_domain, ranks_per_domain=8, runs=((0, 2),))
    assert model.units == 60
    assert model.reference is None
    assert model.unit(10, placement).time == 60.0
    assert model.unit(5, placement).time == 120.0


@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_rl_update_contains_generation(mode: Any) -> None:
    """An update takes at least its training step, and longer responses make it longer."""
    times = []
    for tokens in (500, 4000):
        rollouts = Rollouts(mode=mode, response_tokens=tokens, max_response_tokens=16 * tokens)
        model, _ = model_of(scenario_with({"rl": Phase(kind="rl", updates=5, rollouts=rollouts)}), "rl")
        assert model.units == 5
        assert model.reference is not None
        assert model.reference_time > model.reference.step_time
        times.append(model.reference_time)
    assert times[1] > times[0]


def rl_model(**changes: Any) -> PhaseModel:
    """Return the model of an RL phase of the tiny scenario."""
    rollouts = Rollouts(response_tokens=2000, max_response_tokens=8000, **changes)
    model, _ = model_of(scenario_with({"rl": Phase(kind="rl", updates=5, rollouts=rollouts)}), "rl")
    return model


def tiny_job_and_gpu() -> tuple[Job, Gpu]:
    """Return the job of the tiny scenario and its device."""
    scenario = load_scenario("tiny")
    job = next(iter(scenario.jobs.values()))
    return job, next(iter(scenario.cluster.sites[job.site].partitions.values())).gpu


@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_memory_bounds_the_responses_decoded_at_once(mode: Any) -> None:
    """More slots than memory holds change nothing; with less memory fewer fit, and it takes longer."""
    asked = {"mode": mode, "gpus_per_replica": 1, "samples_per_prompt": 256}
    crowded = rl_model(concurrency_per_replica=100_000, **asked).reference_unit
    less = rl_model(concurrency_per_replica=100_000, hbm_fraction=0.5, **asked).reference_unit
    same = rl_model(concurrency_per_replica=crowded.slots, **asked).reference_unit

    assert 0 < less.slots < crowded.slots < crowded.slots_wanted
    assert crowded.slots == same.slots == same.slots_wanted
    assert crowded.parts == same.parts
    assert dict(less.parts)["decode"] > dict(crowded.parts)["decode"]


def test_weights_and_caches_fill_the_share_of_memory() -> None:
    """One response more at its mean context would not fit."""
    model = rl_model(concurrency_per_replica=100_000, gpus_per_replica=1, samples_per_prompt=256)
    job, gpu = tiny_job_and_gpu()
    law = {"mean_tokens": 2000.0, "sigma": 1.0, "maximum": 8000.0}
    cache = rollout.running_cache_bytes(job.model, prompt_tokens=1024.0, **law)
    memory = 0.9 * gpu.hbm_capacity - count_parameters(job.model).total

    assert model.reference_unit.slots * cache <= memory < (model.reference_unit.slots + 1) * cache


def test_a_replica_without_room_for_one_response_is_refused() -> None:
    """The weights, the cache of one response, what there is, and how many GPUs would do are named."""
    with pytest.raises(InfeasibleError) as refused:
        rl_model(gpus_per_replica=1, hbm_fraction=0.01)
    problem = refused.value.problems[0]
    assert problem.path.endswith("phases.rl.rollouts.gpus_per_replica")
    assert "the cache of one response" in problem.message
    fewest = int(re.findall(r"at least (\d+) GPUs", problem.hint)[0])
    assert rl_model(gpus_per_replica=fewest, hbm_fraction=0.01).reference_unit.slots == 1
    with pytest.raises(InfeasibleError):
        rl_model(gpus_per_replica=fewest - 1, hbm_fraction=0.01)


def test_asynchronous_slots_are_refilled_at_once() -> None:
    """Played: the time in which slots that are always full give as many responses as an update needs."""
    rng = np.random.default_rng(2)
    unit = rl_model(gpus_per_replica=1, concurrency_per_replica=16).reference_unit
    job, gpu = tiny_job_and_gpu()
    weights, cache = count_parameters(job.model).total, cache_bytes(job.model, 1.0)
    bandwidth = 0.6 * gpu.hbm_bandwidth

    def lengths(number: int) -> Any:
        return np.minimum(rng.lognormal(math.log(2000.0) - 0.5, 1.0, number), 8000.0)

    left, had, time, ended = lengths(16), np.zeros(16), 0.0, 0
    while ended < 20_000:
        step = left.min()
        time += step * (weights + cache * (16 * 1024.0 + (had + 0.5 * step).sum())) / bandwidth
        left, had = left - step, had + step
        done = left <= 1e-9
        left[done], had[done] = lengths(int(done.sum())), 0.0
        ended += int(done.sum())
    replicas = round(0.7 * job.gpus)

    assert dict(unit.parts)["decode"] == pytest.approx(512 * 16 / replicas / ended * time, rel=0.02)


def rl_scenario(model: Architecture | None = None, **changes: Any) -> Scenario:
    """Return the tiny scenario with one RL phase, of another model if one is given."""
    rollouts = Rollouts(response_tokens=2000, max_response_tokens=8000, **changes)
    job = {} if model is None else {"model": model}
    return scenario_with({"rl": Phase(kind="rl", updates=5, rollouts=rollouts)}, **job)


def decode_time(model: Architecture | None = None, **changes: Any) -> float:
    """Return the decoding of an update of the tiny scenario. [s]"""
    return dict(model_of(rl_scenario(model, **changes), "rl")[0].reference_unit.parts)["decode"]


def test_a_token_step_adds_up_the_hidden_states_twice_per_layer() -> None:
    """Asynchronous: reads of eight GPUs, and 64 all-reduces over them of 16 hidden states in 16 bits."""
    job, gpu = tiny_job_and_gpu()
    phase, fabric = model_of(rl_scenario(gpus_per_replica=8, concurrency_per_replica=16), "rl")
    law = {"mean_tokens": 2000.0, "sigma": 1.0, "maximum": 8000.0}
    cache = rollout.running_cache_bytes(job.model, prompt_tokens=1024.0, **law)
    reads = (count_parameters(job.model).total + 16 * cache) / (8 * 0.6 * gpu.hbm_bandwidth)
    one = GroupSpan(size=8, level=0, groups=(1,) * len(fabric.levels), members=(8,) * len(fabric.levels))
    message = 16 * job.model.hidden_size * 2.0
    sums = 2 * job.model.num_hidden_layers * group_collective_time("all_reduce", message, one, fabric).time
    steps = 512 / (round(0.7 * job.gpus) // 8) * rollout.response_moment(**law)

    assert dict(phase.reference_unit.parts)["decode"] == pytest.approx(steps * (reads + sums), rel=1e-9)
    assert sums > 0.2 * reads


def test_replicas_across_domains_wait_for_the_network() -> None:
    """Few sequences on 64 GPUs take longer than on 8; what they send loads the network, and slows with it."""
    few = {"mode": "synchronous", "prompts_per_update": 2, "samples_per_prompt": 1}
    inside, across = (decode_time(gpus_per_replica=size, **few) for size in (8, 64))
    assert across > inside

    many = {"gpus_per_replica": 64, "generation_share": 0.5, "concurrency_per_replica": 1024}
    phase, fabric = model_of(rl_scenario(**many), "rl")
    placement = Placement(domain_gpus=8, ranks_per_domain=8, runs=((0, 16),))
    slow = [fabric.bandwidths[0], *(0.01 * rate for rate in fabric.bandwidths[1:])]
    job = tiny_job_and_gpu()[0]
    unit = phase.unit(phase.gpus_wanted, placement)
    assert dict(phase.unit(phase.gpus_wanted, placement, slow).parts)["decode"] > dict(unit.parts)["decode"]
    tokens = 512 * 16 * (1024 + rollout.response_moment(mean_tokens=2000.0, sigma=1.0, maximum=8000.0))
    sent = tokens * 2 * job.model.num_hidden_layers * job.model.hidden_size * 2.0 * 2 * 63 / 64
    assert phase.reference is not None
    trained = math.fsum(phase.reference.traffic) * phase.reference.gpus / phase.gpus_wanted
    assert math.fsum(unit.traffic) - trained == pytest.approx(sent * 64 / phase.gpus_wanted, rel=1e-9)


@pytest.mark.parametrize(("mode", "waits"), [("synchronous", True), ("asynchronous", False)])
def test_only_a_synchronous_update_waits_for_the_copy_that_lies_worst(mode: Any, waits: bool) -> None:
    """Domains 28 to 43: one copy of eight domains lies on both sides of the end of a leaf group."""
    phase, _ = model_of(rl_scenario(mode=mode, gpus_per_replica=64, concurrency_per_replica=16), "rl")
    decode = [
        dict(phase.unit(phase.gpus_wanted, Placement(domain_gpus=8, ranks_per_domain=8, runs=runs)).parts)[
            "decode"
        ]
        for runs in (((0, 16),), ((28, 16),))
    ]
    assert decode[1] > 1.01 * decode[0] if waits else decode[1] == decode[0]


def test_few_sequences_read_few_experts() -> None:
    """One sequence reads the active parameters; more sequences more of them, up to all."""
    job, gpu = tiny_job_and_gpu()
    moe = MixtureOfExperts(num_experts=64, num_experts_per_tok=2, moe_intermediate_size=128)
    model = job.model.model_copy(update={"moe": moe})
    count = count_parameters(model)
    asked = {"gpus_per_replica": 1, "prompts_per_update": 90, "samples_per_prompt": 1, "response_sigma": 1e-4}
    cache = cache_bytes(model, 1024.0 + 1000.0)

    one = decode_time(model, concurrency_per_replica=1, mode="asynchronous", **asked)
    many = decode_time(
        model, concurrency_per_replica=200, mode="asynchronous", **{**asked, "prompts_per_update": 18_000}
    )

    rate = 0.6 * gpu.hbm_bandwidth
    assert one == pytest.approx(2000 * (count.active + cache) / rate, rel=1e-3)
    assert many == pytest.approx(2000 * (count.total + 200 * cache) / rate, rel=2e-3)


@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_windows_leave_room_for_more_responses(mode: Any) -> None:
    """Layers that keep no more than 512 tokens: more slots, less to read."""
    job = tiny_job_and_gpu()[0]
    windowed = job.model.model_copy(update={"sliding_window": 512, "sliding_window_fraction": 0.75})
    asked = {
        "mode": mode,
        "gpus_per_replica": 1,
        "samples_per_prompt": 256,
        "concurrency_per_replica": 100_000,
    }
    slots = [
        model_of(rl_scenario(model, **asked), "rl")[0].reference_unit.slots for model in (None, windowed)
    ]
    same = {**asked, "concurrency_per_replica": 64}

    assert slots[1] > 1.5 * slots[0]
    assert decode_time(windowed, **same) < 0.9 * decode_time(**same)


def test_prompts_cost_attention_too() -> None:
    """Long prompts take more than in proportion, by the share of their attention."""
    short, long = (
        dict(rl_model(prompt_tokens=tokens, gpus_per_replica=1).reference_unit.parts)["prefill"]
        for tokens in (1024, 32 * 1024)
    )
    assert long > 1.3 * 32 * short


@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_no_prompt_costs_nothing(mode: Any) -> None:
    """Without a prompt nothing is read or added up; the rest is as with a prompt of nearly nothing."""
    none, little = (
        rl_model(mode=mode, prompt_tokens=tokens, gpus_per_replica=1).reference_unit for tokens in (0, 1e-6)
    )
    assert dict(none.parts)["prefill"] == 0.0
    assert none.time == pytest.approx(little.time, rel=1e-6)


@pytest.mark.parametrize("length", [2048, 16_384])
def test_updates_attend_within_responses(length: int) -> None:
    """However long the packed sequences are, a token attends to its own response, long ones having more tokens."""
    job = tiny_job_and_gpu()[0]
    plan = job.parallel.model_copy(update={"sequence_length": length})
    phase = Phase(
        kind="rl", updates=5, parallel=plan, rollouts=Rollouts(response_tokens=2000, max_response_tokens=8000)
    )
    model, _ = model_of(scenario_with({"rl": phase}), "rl")
    rng = np.random.default_rng(3)
    lengths = 1024.0 + np.minimum(rng.lognormal(math.log(2000.0) - 0.5, 1.0, 400_000), 8000.0)
    attended = (lengths**2).mean() / lengths.mean()

    per_token = token_flops(job.model, attended).training
    assert model.model_flops_per_unit == pytest.approx(model.tokens_per_unit * per_token, rel=1e-3)
    assert model.reference is not None
    trained = model.reference.model_flops / model.reference.tokens_per_step
    assert trained == pytest.approx(per_token, rel=1e-3)


def test_a_response_longer_than_the_sequences_is_told() -> None:
    """With what its update would need on the GPUs that train; nothing where the sequences hold it."""
    job, gpu = tiny_job_and_gpu()
    rollouts = Rollouts(response_tokens=8000, max_response_tokens=100_000)
    for length, told in ((101_008, True), (101_024, False)):
        plan = job.parallel.model_copy(update={"sequence_length": length, "context_parallel": 8})
        phase = Phase(kind="rl", updates=5, rollouts=rollouts, parallel=plan)
        model, _ = model_of(scenario_with({"rl": phase}), "rl")
        assert bool(model.warnings) == told
        if told:
            problem = model.warnings[0]
            whole = plan.model_copy(update={"sequence_length": 101_024, "micro_batch_size": 1})
            need = peak_memory(job.model, whole, resolve_sizes(job.model, whole, round(0.3 * job.gpus)))
            assert problem.path == "jobs.large.phases.rl.rollouts.max_response_tokens"
            assert f"101,024 tokens with its prompt, needs {format_si(need, 'B')} per GPU" in problem.message
            assert f"of {format_si(gpu.hbm_capacity, 'B')}; the estimate packs sequences of 101,008" in (
                problem.message
            )


def test_too_few_gpus_for_the_plan() -> None:
    """A phase with fewer GPUs than one replica is refused with the number that is needed."""
    scenario = scenario_with({"x": Phase(kind="train", tokens=1e9, gpus=1)})
    with pytest.raises(InfeasibleError, match=r"phases\.x\.gpus: 1 GPUs are too few.*one replica needs"):
        model_of(scenario, "x")


def test_too_few_gpus_to_generate_or_beside_it() -> None:
    """The pool that is too small is named, with its size and the field that asks for more."""
    with pytest.raises(InfeasibleError) as refused:
        rl_model(gpus_per_replica=400, mode="asynchronous", generation_share=0.5)
    problem, asked = refused.value.problems[0], tiny_job_and_gpu()[0].gpus
    assert problem.path.endswith("phases.rl.rollouts.gpus_per_replica")
    assert (
        f"needs 400 GPUs to generate, but only {asked // 2} of the phase's {asked} generate"
        in problem.message
    )
    with pytest.raises(
        InfeasibleError, match=rf"0 of {asked} GPUs train: they are too few for the parallel plan"
    ):
        rl_model(gpus_per_replica=8, mode="asynchronous", generation_share=0.9999)


def test_state_bytes_follow_the_checkpoint_policy() -> None:
    """A checkpoint holds bytes_per_parameter of every parameter."""
    scenario = scenario_with({"pretrain": TRAIN})
    model, _ = model_of(scenario, "pretrain")
    job = next(iter(scenario.jobs.values()))
    policy = job.checkpoint or scenario.checkpoint
    declared = job.model.declared_params
    assert declared is not None
    assert model.state_bytes == pytest.approx(declared * policy.bytes_per_parameter, rel=0.03)


@pytest.mark.parametrize("bandwidth", ["read_bandwidth", "bandwidth_per_gpu"])
def test_a_step_waits_for_its_training_data(bandwidth: str) -> None:
    """A storage that delivers a step's data slower than the step takes sets the pace; a faster one does not."""
    plain = scenario_with({"pretrain": TRAIN})
    job = next(iter(plain.jobs.values()))
    free, _ = model_of(plain, "pretrain")
    data = job.data.model_copy(update={"bytes_per_token": 1000.0})
    read = free.tokens_per_unit * 1000.0
    for slower in (4.0, 0.5):
        scenario = scenario_with({"pretrain": TRAIN}, data=data)
        site = scenario.cluster.sites[job.site]
        rate = read / (slower * free.reference_time)
        rates = {"read_bandwidth": 1e18, "bandwidth_per_gpu": 1e18}
        rates[bandwidth] = rate / free.gpus_wanted if bandwidth == "bandwidth_per_gpu" else rate
        storage = site.storage.model_copy(update=rates)
        cluster = scenario.cluster.model_copy(
            update={"sites": {job.site: site.model_copy(update={"storage": storage})}}
        )
        model, _ = model_of(scenario.model_copy(update={"cluster": cluster}), "pretrain")
        assert model.reference_time == pytest.approx(max(slower, 1.0) * free.reference_time, rel=1e-12)
