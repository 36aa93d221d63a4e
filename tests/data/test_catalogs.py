"""The shipped catalogs: complete, sourced, and in line with published figures."""

from __future__ import annotations

from typing import TypeVar

import pytest

from colossus_sim.formulas.transformer import count_parameters, token_flops
from colossus_sim.loading.cases import CASES, resolve_cases
from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.files import Files
from colossus_sim.loading.nodes import Node, Origin, plain
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.base import Spec
from colossus_sim.specs.faults import FaultClass, Faults
from colossus_sim.specs.hardware import Gpu, Storage
from colossus_sim.units import DAY, HOUR

CATALOG = Catalog(Files())
GPUS = (
    "a100_40gb", "a100_80gb", "b200", "b300", "gb200_nvl72", "gb300_nvl72", "h100", "h200", "h800", "mi300x",
    "mi325x", "mi355x", "tpu_v4", "tpu_v5p", "tpu_v6e", "tpu_v7x", "trainium2", "v100_32gb", "v100_dgx2h",
    "vr200_nvl72",
)  # fmt: skip
PUBLISHED_MODELS = (
    "deepseek_v3", "gpt3_175b", "grok_1", "grok_2", "kimi_k2", "llama2_13b", "llama2_70b", "llama2_7b",
    "llama3_405b", "llama3_70b", "llama3_8b", "megatron_1t", "megatron_530b", "mixtral_8x22b", "mixtral_8x7b",
    "movie_gen_30b", "qwen3_235b", "wan_14b",
)  # fmt: skip
ASSUMED_MODELS = ("grok_0p5t", "grok_1t", "grok_1p5t", "grok_6t", "grok_10t", "grok_10t_dense", "imagine_v2")
Kind = TypeVar("Kind", bound=Spec)


def entry(catalog: str, name: str, spec: type[Kind], case: str = "central") -> Kind:
    """Read one entry as a scenario would."""
    reference = Node(name, Origin("test"), Origin("test"))
    node, _ = resolve_cases(CATALOG.resolve(catalog, reference, catalog), case)
    return spec.model_validate(plain(node))


def test_catalogs_hold_what_they_should() -> None:
    """Nothing is lost, nothing is there without a test."""
    assert sorted(GPUS) == CATALOG.names("gpus")
    assert sorted(PUBLISHED_MODELS + ASSUMED_MODELS) == CATALOG.names("models")
    assert CATALOG.names("storage") == ["colossus_flash", "small_nvme", "tectonic_meta"]
    faults = ["colossus_gb200", "colossus_gb200_parts", "llama3_h100", "llama3_h100_network", "network_flaps",
              "network_parts", "none", "rsc1_a100"]  # fmt: skip
    assert CATALOG.names("faults") == faults


@pytest.mark.parametrize("name", GPUS)
def test_devices_stay_within_physical_bounds(name: str) -> None:
    """Ridge point, power and capacity are those of real accelerators."""
    gpu = entry("gpus", name, Gpu)
    sixteen_bit = gpu.peak.get("bf16") or gpu.peak["fp16"]

    assert 80.0 < sixteen_bit / gpu.hbm_bandwidth < 600.0
    assert 0.05 < gpu.power_idle / gpu.power_max < 0.5
    assert 16e9 < gpu.hbm_capacity < 400e9
    assert gpu.scale_up_domain % gpu.gpus_per_node == 0
    assert gpu.nic_bandwidth < gpu.scale_up_bandwidth


@pytest.mark.parametrize("name", GPUS)
def test_narrower_formats_are_never_slower(name: str) -> None:
    """Peaks grow from fp32 to fp4, and 8-bit is at most about twice bf16 (four times on Rubin)."""
    peak = entry("gpus", name, Gpu).peak
    order = [peak[name] for name in ("fp32", "tf32", "bf16", "fp8", "nvfp4") if name in peak]

    assert order == sorted(order)
    if "fp8" in peak:
        assert peak["fp8"] / peak["bf16"] < (4.5 if name == "vr200_nvl72" else 2.01)


@pytest.mark.parametrize(
    ("name", "both_directions"),
    [
        ("v100_32gb", 300e9), ("v100_dgx2h", 300e9), ("a100_80gb", 600e9), ("h800", 400e9), ("h100", 900e9),
        ("h200", 900e9), ("b200", 1800e9), ("gb200_nvl72", 1800e9), ("gb300_nvl72", 1800e9),
        ("vr200_nvl72", 3600e9),
        ("mi300x", 896e9), ("tpu_v5p", 1200e9), ("tpu_v7x", 1200e9),
    ],
)  # fmt: skip
def test_scale_up_rates_are_per_direction(name: str, both_directions: float) -> None:
    """Half of the figure that data sheets print."""
    assert entry("gpus", name, Gpu).scale_up_bandwidth == pytest.approx(both_directions / 2.0)


@pytest.mark.parametrize(
    ("name", "bf16", "fp8"),
    [("a100_80gb", 312e12, None), ("h100", 989e12, 1979e12), ("b200", 2250e12, 4500e12),
     ("gb200_nvl72", 2500e12, 5000e12), ("gb300_nvl72", 2500e12, 5000e12)],
)  # fmt: skip
def test_peaks_are_dense(name: str, bf16: float, fp8: float | None) -> None:
    """Not the figures with 2:4 sparsity, which are twice as high."""
    peak = entry("gpus", name, Gpu).peak

    assert peak["bf16"] == bf16
    assert peak.get("fp8") == fp8


def test_power_per_gpu_meets_the_sites() -> None:
    """110,000 GB200 need 200 MW and 100,000 H100 about 145 MW at PUE 1.25."""
    gb200, h100 = entry("gpus", "gb200_nvl72", Gpu), entry("gpus", "h100", Gpu)

    assert 110_000 * (gb200.power_max + gb200.host_power_per_gpu) * 1.25 == pytest.approx(200e6, rel=0.005)
    assert 100_000 * (h100.power_max + h100.host_power_per_gpu) * 1.25 == pytest.approx(145e6, rel=0.03)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", PUBLISHED_MODELS + ASSUMED_MODELS)
def test_parameters_meet_the_published_counts(name: str, case: str) -> None:
    """Total within 3 %, active within 3 % of what is published or assumed, in every case."""
    model = entry("models", name, Architecture, case)
    count = count_parameters(model)

    assert model.declared_params is not None
    assert count.total == pytest.approx(model.declared_params, rel=0.03)
    if model.moe is not None:
        assert model.declared_active_params is not None
        assert count.active == pytest.approx(model.declared_active_params, rel=0.03)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ASSUMED_MODELS)
def test_assumed_models_can_be_shared_out(name: str, case: str) -> None:
    """Experts divide by 64, heads by 8 and layers by 4, so that sensible plans fit."""
    model = entry("models", name, Architecture, case)

    assert model.num_attention_heads % 8 == 0
    assert model.num_hidden_layers % 4 == 0
    assert model.moe is None or model.moe.num_experts % 64 == 0


@pytest.mark.parametrize(
    ("name", "shares"),
    [("grok_1t", (0.032, 0.10, 0.27)), ("grok_1p5t", (0.032, 0.10, 0.27)), ("grok_6t", (0.03, 0.10, 0.20)),
     ("grok_10t", (0.03, 0.10, 0.20))],
)  # fmt: skip
def test_active_share_spans_the_published_range(name: str, shares: tuple[float, float, float]) -> None:
    """From DeepSeek-V4 and Kimi K2 (3 %) to Grok-1 (27 %)."""
    counts = [count_parameters(entry("models", name, Architecture, case)) for case in CASES]

    assert [count.active / count.total for count in counts] == pytest.approx(shares, rel=0.04)


@pytest.mark.parametrize(("case", "multiplier"), [("low", 2.4), ("central", 1.8), ("high", 2.0)])
def test_video_model_pays_for_attention(case: str, multiplier: float) -> None:
    """Training FLOPs per latent token over 6 N."""
    model = entry("models", "imagine_v2", Architecture, case)
    assert model.video is not None
    flops = token_flops(model, model.video.tokens_per_sample).training

    assert flops / (6.0 * count_parameters(model).total) == pytest.approx(multiplier, rel=0.03)


def test_storage_of_colossus_spans_its_range() -> None:
    """2 TB/s read and 1 TB/s write, with 0.2 to 10 TB/s as the ends."""
    low, central, high = (entry("storage", "colossus_flash", Storage, case) for case in CASES)

    assert (central.read_bandwidth, central.write_bandwidth) == (2e12, 1e12)
    assert low.write_bandwidth == 0.2e12
    assert high.read_bandwidth == 10e12


def _per_gpu(fault: FaultClass, gpus_per_node: int) -> float:
    return fault.rate / {"gpu": 1, "node": gpus_per_node}[fault.per]


def test_llama_3_classes_give_back_the_published_counts() -> None:
    """419 unexpected and 47 planned interruptions in 54 days on 16,384 GPUs."""
    faults = entry("faults", "llama3_h100", Faults)
    units = {"gpu": 16384, "node": 2048, "job": 1}
    expected = {name: c.rate * units[c.per] * 54 * DAY for name, c in faults.classes.items()}
    planned = expected.pop("planned_maintenance")

    assert planned == pytest.approx(47.0, rel=1e-3)
    assert sum(expected.values()) == pytest.approx(419.0, rel=1e-3)
    assert len(expected) == 18
    assert expected["faulty_gpu"] == pytest.approx(148.0, rel=1e-3)
    assert expected["silent_data_corruption"] == pytest.approx(6.0, rel=1e-3)


def _expected(faults: Faults, gpus: int, switches: dict[str, int], days: float) -> dict[str, float]:
    """Return how often each class of network parts is expected to fail."""
    found = {}
    for name in ("nic", "link", "leaf_switch", "spine_switch"):
        fault = faults.classes[name]
        level = fault.degrades.level if fault.degrades is not None else ""
        count = switches[level] if fault.per == "switch" else gpus
        found[name] = count * fault.rate * days * DAY
    return found


@pytest.mark.parametrize("gpus", [2048, 3072])
def test_network_parts_stop_a_job_once_or_twice_a_month(gpus: int) -> None:
    """Alibaba HPN (section 2.3) met 1 to 2 crashes a month per job, of up to some 3,000 GPUs, by links and ToRs."""
    faults = entry("faults", "network_parts", Faults)
    expected = _expected(faults, gpus, {"leaf": gpus // 32, "spine": gpus // 64}, 365.25 / 12)
    assert 1.0 <= expected["link"] + expected["leaf_switch"] <= 2.0
    assert expected["link"] / gpus == pytest.approx(0.00057, rel=0.01)
    assert expected["leaf_switch"] / (gpus // 32) == pytest.approx(0.00051, rel=0.01)


def test_network_parts_against_the_network_share_of_llama_3() -> None:
    """Of 419 interruptions 42 were network or NIC; Alibaba's rate of links gives 6 %, the high case all of it."""
    expected = {}
    for case in CASES:
        faults = entry("faults", "llama3_h100_network", Faults, case)
        assert "network" not in faults.classes
        expected[case] = sum(_expected(faults, 16384, {"leaf": 1024, "spine": 42}, 54.0).values())
    assert 0.5 * 42 < expected["central"] < 42 < expected["high"] < 2 * 42
    assert _expected(entry("faults", "network_parts", Faults), 16384, {"leaf": 0, "spine": 0}, 54.0)[
        "nic"
    ] == pytest.approx(7.0, rel=0.01)


@pytest.mark.parametrize(("case", "rate"), [("low", 1e-5), ("central", 2e-5), ("high", 5e-5)])
def test_colossus_rates_add_up_to_the_assumed_level(case: str, rate: float) -> None:
    """GPU 35 %, HBM 17 %, network 8 %, host and software 40 % of one rate per GPU-hour."""
    classes = entry("faults", "colossus_gb200", Faults, case).classes
    per_gpu = {name: _per_gpu(classes[name], 4) for name in ("gpu", "hbm", "network", "host", "software")}

    assert sum(per_gpu.values()) * HOUR == pytest.approx(rate, rel=0.01)
    assert per_gpu["gpu"] * HOUR == pytest.approx(0.35 * rate, rel=0.01)
    assert per_gpu["network"] * HOUR == pytest.approx(0.08 * rate, rel=0.01)


def test_rsc_1_classes_meet_both_measured_points() -> None:
    """Mean time to failure 7.9 h at 1,024 GPUs and 47.7 days at 8 (arXiv:2410.21680)."""
    rate = sum(_per_gpu(fault, 8) for fault in entry("faults", "rsc1_a100", Faults).classes.values())

    assert 1.0 / (1024 * rate) / HOUR == pytest.approx(7.9, rel=0.06)
    assert 1.0 / (8 * rate) / DAY == pytest.approx(47.7, rel=0.08)


@pytest.mark.parametrize(("gpus_doublings", "seconds"), [(1, 454.0), (4, 768.0)])
def test_restart_times_are_those_of_byterobust(gpus_doublings: int, seconds: float) -> None:
    """454 s at 2,048 and 768 s at 16,384 GPUs (arXiv:2509.16293, Table 7)."""
    restart = entry("faults", "rsc1_a100", Faults).restart

    assert restart.base + gpus_doublings * restart.per_doubling == pytest.approx(seconds, rel=0.005)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["colossus_gb200", "colossus_gb200_parts", "llama3_h100", "rsc1_a100"])
def test_what_is_removed_comes_back(name: str, case: str) -> None:
    """A class that removes a unit says how it is repaired; the others say nothing about repair."""
    for fault in entry("faults", name, Faults, case).classes.values():
        assert (fault.repair is not None) == (fault.removes != "nothing")
