"""From files, overrides and cases to a Scenario that knows where each value is from."""

from __future__ import annotations

import io
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from colossus_sim.errors import ScenarioError, UsageError
from colossus_sim.loading import files
from colossus_sim.loading.explain import effective_values
from colossus_sim.loading.load import load_scenario
from colossus_sim.units import parse_instant

Writer = Callable[..., Path]


def refusal(path: Path | str, **options: object) -> str:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_valid_scenario_is_read_in_si_units(tiny: str, write: Writer) -> None:
    """Quantities become plain SI numbers, dates POSIX seconds."""
    scenario = load_scenario(write(tiny))
    gpu = scenario.cluster.sites["lab"].partitions["main"].gpu
    assert scenario.horizon == 90 * 86400
    assert scenario.start == parse_instant("2026-01-01")
    assert gpu.nic_bandwidth == 50e9
    assert gpu.peak == {"bf16": 1e15, "fp8": 2e15}
    assert scenario.jobs["small"].phases["pretrain"].tokens == 1e12
    assert scenario.jobs["small"].parallel.stack.memory_fragmentation == 0.05


def test_the_same_text_gives_an_equal_scenario(tiny: str, write: Writer) -> None:
    """Loading is a function of the text."""
    first, second = load_scenario(write(tiny)), load_scenario(write(tiny))
    assert first.model_dump() == second.model_dump()
    assert pickle.loads(pickle.dumps(first)).model_dump() == first.model_dump()


def test_every_value_knows_its_origin(tiny: str, write: Writer) -> None:
    """A value from the file names its line, one from --set the option, the others say default."""
    path = write(tiny)
    scenario = load_scenario(path, overrides=["jobs.small.gpus=256"])
    origins = {item.path: item.origin for item in effective_values(scenario)}
    assert origins["horizon"] == f"{path}:5:10"
    assert origins["jobs.small.gpus"] == "--set #1"
    assert origins["policies.scheduler"] == "default"
    assert origins["cluster.sites.lab.topology.fabric.tiers[0].oversubscription"] == f"{path}:17:63"


def test_effective_values_show_unit_and_number(tiny: str, write: Writer) -> None:
    """The table for people has SI units and dates."""
    shown = {item.path: (item.shown, item.unit) for item in effective_values(load_scenario(write(tiny)))}
    assert shown["horizon"] == ("90 d", "s")
    assert shown["faults.restart.base"] == ("350 s", "s")
    assert shown["jobs.small.parallel.stack.step_overhead"] == ("50 ms", "s")
    assert shown["jobs.small.model.provenance"] == ("assumption: made up for tests", "")
    assert shown["cluster.sites.lab.partitions.main.gpu.year"] == ("2024", "")
    assert shown["start"] == ("2026-01-01", "date")
    assert shown["cluster.sites.lab.storage.write_bandwidth"] == ("100 GB/s", "B/s")
    assert shown["jobs.small.gpus"] == ("512", "1")
    assert shown["jobs.small.target.means"] == ("released", "")
    assert shown["checkpoint.tiers[0].interval"] == ("30 min", "s")


def test_the_files_read_are_listed_with_their_hash(tiny: str, write: Writer) -> None:
    """The facts name every file, so that a run can be traced to its inputs."""
    path = write(tiny)
    (fact,) = load_scenario(path).loaded.files
    assert fact.path == str(path)
    assert len(fact.sha256) == 64


def test_standard_input_is_read(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single dash means standard input."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(tiny.encode())))
    scenario = load_scenario("-")
    assert scenario.loaded.origins["version"] == "<stdin>:1:10"


# -- cases ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "share"), [("low", 0.01), ("central", 0.02), ("high", 0.05)])
def test_a_range_is_resolved_by_case(tiny: str, write: Writer, case: str, share: float) -> None:
    """--case picks one end of every assumption and lists them all."""
    scenario = load_scenario(write(tiny), case=case)  # type: ignore[arg-type]
    (assumption,) = scenario.loaded.assumptions
    assert scenario.jobs["small"].phases["sft"].gpu_time_share == share
    assert (assumption.path, assumption.chosen) == ("jobs.small.phases.sft.gpu_time_share", case)
    assert (assumption.low, assumption.central, assumption.high) == (0.01, 0.02, 0.05)
    assert assumption.source == "a guess"


def test_a_missing_end_falls_back_to_central(tiny: str, write: Writer) -> None:
    """low and high may be left out, and value means all three."""
    path = write(tiny.replace("gpus: 512", "gpus: {value: 512, source: here}"))
    assert load_scenario(path, case="low").jobs["small"].gpus == 512
    path = write(tiny.replace("gpus: 512", "gpus: {central: 512, high: 256}"))
    assert load_scenario(path, case="low").jobs["small"].gpus == 512
    assert load_scenario(path, case="high").jobs["small"].gpus == 256


def test_a_range_may_hold_mappings_and_lists(tiny: str, write: Writer) -> None:
    """Whole structures can depend on the case."""
    ranged = "{central: [{at: 2026-01-01, gpus: 1024}], low: [{at: 2026-01-01, gpus: 512}]}"
    path = write(tiny.replace("capacity:\n            - {at: 2026-01-01, gpus: 1024}", f"capacity: {ranged}"))
    capacity = load_scenario(path, case="low").cluster.sites["lab"].partitions["main"].capacity
    assert [step.gpus for step in capacity] == [512]


def test_a_wrong_value_in_a_range_is_reported_at_that_value(tiny: str, write: Writer) -> None:
    """The place of an error inside a range is the value that was picked."""
    text = tiny.replace("horizon: 90 days", "horizon: {low: 1 day, central: 90}")
    assert "scenario.yaml:5:32: horizon: duration needs a unit" in refusal(write(text))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("horizon: 90 days", "horizon: {low: abc, central: 90 days}", r"yaml:5:16: horizon: .*'abc' \(the low end"),
        ("horizon: 90 days", "horizon: {central: 90 days, high: 9 GB}", r"unit 'GB'.* \(the high end of a range"),
        ("gpus: 512", "gpus: {low: -8, central: 512}", r"jobs\.small\.gpus: .*negative.* \(the low end"),
        ("site: lab\n    gpus", "site: lab\n    step_time_factor: {low: 0, central: 1}\n    gpus", "at least 0.2"),
        ("capacity:\n            - {at: 2026-01-01, gpus: 1024}",
         "capacity: {central: [{at: 2026-01-01, gpus: 1024}], low: [{at: soon, gpus: 8}]}", "expected a date"),
        ("site: lab\n    gpus: 512", "site: {low: 7, central: lab}\n    gpus: 512", "expected a text"),
        ("gpus: 1024}", "gpus: {low: many, central: 1024}}", r"capacity\[0\]\.gpus: .*'many'"),
    ],
)  # fmt: skip
def test_every_end_of_a_range_is_a_value_of_its_field(
    tiny: str, write: Writer, old: str, new: str, said: str
) -> None:
    """An end that no case has picked yet is refused where it stands, whatever kind of field it is."""
    assert old in tiny
    assert re.search(said, refusal(write(tiny.replace(old, new, 1))))


def test_the_ends_of_a_reference_are_names_of_entries() -> None:
    """A range of catalog names is looked up whole, and legal where all of them exist."""
    names = "jobs.small.model={low: %s, central: llama2_7b}"
    assert load_scenario("tiny", overrides=[names % "llama3_8b"]).jobs["small"].model.name == "llama2_7b"
    with pytest.raises(ScenarioError, match="no model called 'llama99'"):
        load_scenario("tiny", overrides=[names % "llama99"])


def test_ends_may_stand_in_any_order(tiny: str, write: Writer) -> None:
    """The low case is the modest one, which may have the larger number."""
    path = write(tiny.replace("horizon: 90 days", "horizon: {low: 99 days, central: 90 days, high: 80 days}"))
    assert load_scenario(path).horizon == 90 * 86400.0


def test_an_unknown_case_is_refused(tiny: str, write: Writer) -> None:
    """Only low, central and high exist."""
    with pytest.raises(UsageError, match="low, central, high"):
        load_scenario(write(tiny), case="best")  # type: ignore[arg-type]


# -- extends -------------------------------------------------------------------------------------------------


def test_a_file_is_laid_over_its_base(tiny: str, write: Writer) -> None:
    """Mappings merge by key, scalars are replaced, null deletes, origins stay."""
    base = write(tiny, "base.yaml")
    top = write(
        "extends: base.yaml\nname: top\njobs:\n  small:\n    gpus: 256\n    target: null\n", "top.yaml"
    )
    scenario = load_scenario(top)
    assert (scenario.name, scenario.jobs["small"].gpus, scenario.jobs["small"].target) == ("top", 256, None)
    assert scenario.loaded.origins["jobs.small.gpus"] == f"{top}:5:11"
    assert scenario.loaded.origins["jobs.small.site"].startswith(f"{base}:")
    assert [Path(fact.path).name for fact in scenario.loaded.files] == ["base.yaml", "top.yaml"]


def test_later_bases_win(tiny: str, write: Writer) -> None:
    """A list of bases is laid on in order."""
    write(tiny, "base.yaml")
    write("name: one\nseed: 5\n", "more/one.yaml")
    top = write("extends: [base.yaml, more/one.yaml]\n", "top.yaml")
    scenario = load_scenario(top)
    assert (scenario.name, scenario.seed) == ("one", 5)


def test_a_range_replaces_a_range(tiny: str, write: Writer) -> None:
    """Two ranges are not mixed."""
    write(tiny, "base.yaml")
    share = "jobs: {small: {phases: {sft: {gpu_time_share: {central: 0.5}}}}}"
    scenario = load_scenario(write(f"extends: base.yaml\n{share}\n", "top.yaml"), case="high")
    assert scenario.jobs["small"].phases["sft"].gpu_time_share == 0.5


def test_circles_of_files_are_refused(write: Writer) -> None:
    """The chain is shown."""
    write("extends: b.yaml\n", "a.yaml")
    write("extends: a.yaml\n", "b.yaml")
    said = refusal(write("extends: b.yaml\n", "a.yaml"))
    assert "extend each other in a circle" in said
    assert "a.yaml -> " in said


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/etc/passwd", "absolute paths are not allowed"),
        ("~/x.yaml", "absolute paths are not allowed"),
        ("secret.txt", "is not a file of type .yaml or .yml"),
        ("link.yaml", "is not a file of type .yaml or .yml"),
        ("nothing.yaml", "no such file"),
        ("folder.yaml", "is not an ordinary file"),
        ("5", "is not a file of type"),
    ],
)
def test_other_files_are_not_read(tmp_path: Path, write: Writer, target: str, said: str) -> None:
    """Only YAML files at relative paths can be named; no content of another file is ever shown."""
    secret = write("password: hunter2\n", "secret.txt")
    (tmp_path / "link.yaml").symlink_to(secret)
    (tmp_path / "folder.yaml").mkdir()
    message = refusal(write(f'extends: "{target}"\n', "top.yaml"))
    assert said in message
    assert "top.yaml:1:10: extends:" in message
    assert "hunter2" not in message


def test_a_missing_file_suggests_its_neighbour(write: Writer) -> None:
    """The nearest file name in the folder is named."""
    path = write("a: 1\n", "roadmap.yaml")
    assert "did you mean 'roadmap.yaml'?" in refusal(path.with_name("roadmpa.yaml"))


# -- overrides -----------------------------------------------------------------------------------------------


def test_overrides_are_typed_like_the_file(tiny: str, write: Writer) -> None:
    """Numbers, units, lists, dates and null work as in YAML."""
    scenario = load_scenario(
        write(tiny),
        overrides=[
            "jobs.small.gpus=256",
            "horizon=30 days",
            "jobs.small.target=null",
            "cluster.sites.lab.partitions.main.capacity[0].gpus=512",
            "cluster.sites.lab.topology.fabric.tiers.0.oversubscription=4",
            "jobs.small.model.num_hidden_layers=16",
            "policies.scheduler=fifo",
            "jobs.small.phases.sft.gpu_time_share={low: 0.1, central: 0.2}",
        ],
    )
    job = scenario.jobs["small"]
    assert (job.gpus, scenario.horizon, job.target) == (256, 30 * 86400, None)
    assert scenario.cluster.sites["lab"].partitions["main"].capacity[0].gpus == 512
    assert scenario.cluster.sites["lab"].topology.fabric.tiers[0].oversubscription == 4  # type: ignore[union-attr]
    assert (job.model.num_hidden_layers, scenario.policies.scheduler) == (16, "fifo")
    assert job.phases["sft"].gpu_time_share == 0.2


def test_job_names_with_dots_can_be_overridden(tiny: str, write: Writer) -> None:
    """The path is matched with the names in the file."""
    path = write(tiny.replace("  small:\n", "  grok-5.10t:\n"))
    assert load_scenario(path, overrides=["jobs.grok-5.10t.gpus=256"]).jobs["grok-5.10t"].gpus == 256


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("jobs.small.gpus=abc", "--set #1: jobs.small.gpus: expected a count"),
        ("jobs.small.gpsu=5", "--set #1: jobs.small.gpsu: unknown key 'gpsu'; did you mean 'gpus'?"),
        ("jobs.smal.gpus=5", "--set #1: jobs.smal"),
        ("jobs.small.gpus", "--set #1: expected path=value"),
        ("=5", "--set #1: expected path=value"),
        (".jobs=5", "--set #1: '.jobs' is not a field path"),
        ("jobs..x=5", "--set #1: 'jobs..x' is not a field path"),
        ("jobs.small.gpus.x=5", "--set #1: jobs.small.gpus.x: jobs.small.gpus is a single value"),
        ("checkpoint.tiers[7].mode=sync", "--set #1: checkpoint.tiers[7]: checkpoint.tiers is a list of 1"),
        ("checkpoint.tiers.first.mode=sync", "has no item 'first'"),
        (
            "jobs.small.checkpoint.tiers[0].mode=sync",
            "jobs.small.checkpoint.tiers is not given, it has no item [0]",
        ),
        ("jobs.small.gpus=[1", "--set #1: jobs.small.gpus: not valid YAML"),
        ("jobs.small.gpus=!x 5", "--set #1: jobs.small.gpus: YAML tags are not allowed"),
        ("horizon=.nan", "--set #1: horizon: must be a finite number, got nan"),
        ("seed=1.5", "--set #1: seed: expected a whole number, got 1.5"),
        ("seed=true", "--set #1: seed: expected a whole number, got the truth value true"),
        ("seed=-1", "--set #1: seed: must be at least 0, got -1"),
    ],
)
def test_a_wrong_override_names_the_option(tiny: str, write: Writer, override: str, said: str) -> None:
    """Errors of --set name the option and its number, not a file line."""
    assert said in refusal(write(tiny), overrides=[override])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("jobs.smal.gpus=64", "jobs.smal: there is no 'smal' in jobs; did you mean 'small'?"),
        (
            "jobs.smal.parallel.tensor_parallel=2",
            "jobs.smal: there is no 'smal' in jobs; did you mean 'small'?",
        ),
        ("jobs.other.gpus=64", "jobs.other: there is no 'other' in jobs; known here: small"),
        ("faults.classes.gpus.rate=1 /day", "there is no 'gpus' in faults.classes; did you mean 'gpu'?"),
        (
            "jobs.small.phases.typo.tokens=1",
            "jobs.small.phases.typo: there is no 'typo' in jobs.small.phases; known here: pretrain, sft; a new one "
            "is given whole: jobs.small.phases.typo={...}",
        ),
        ("jobs.small.phases.pretrian.gpu_hours=1", "in jobs.small.phases; did you mean 'pretrain'?"),
        ("jobs.small.phases.pretrian.parallel.tensor_parallel=2", "did you mean 'pretrain'?"),
        ("jobs.small.phases.pretrian=null", "in jobs.small.phases; did you mean 'pretrain'?"),
        ("cluster.sites.lap.power_limit=1 MW", "there is no 'lap' in cluster.sites; did you mean 'lab'?"),
        ("cluster.sites.lap.partitions.main.spare_domains=1", "in cluster.sites; did you mean 'lab'?"),
        ("cluster.sites.lab.partitions.mian.spare_domains=1", "did you mean 'main'?"),
        (
            "faults.restart.parts.load.time=5 min",
            "there is no 'load' in faults.restart.parts; a new one is given",
        ),
    ],
)
def test_an_override_of_a_misspelt_entry_names_the_nearest(
    tiny: str, write: Writer, override: str, said: str
) -> None:
    """A field of an entry that is not there is one mistake in its name, not many missing fields."""
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write(tiny), overrides=[override])
    (problem,) = caught.value.problems
    assert said in str(caught.value)
    assert problem.where == "--set #1"


@pytest.mark.parametrize("written", ["2e12 tokens", "2T tokens", "2T", "2_000_000_000_000"])
def test_tokens_may_be_called_tokens(tiny: str, write: Writer, written: str) -> None:
    """With a prefix or without one, as a number or with the word after it."""
    scenario = load_scenario(write(tiny), overrides=[f"jobs.small.phases.pretrain.tokens={written}"])
    assert scenario.jobs["small"].phases["pretrain"].tokens == 2e12


def test_a_new_entry_is_given_whole(tiny: str, write: Writer) -> None:
    """A phase, or part of a restart, that an override gives as a mapping is new; another override may change it."""
    more = ["jobs.small.phases.extra={tokens: 1B}", "jobs.small.phases.extra.gpus=256"]
    scenario = load_scenario(write(tiny), overrides=[*more, "faults.restart.parts.load={time: 5 min}"])
    assert scenario.jobs["small"].phases["extra"].gpus == 256
    assert scenario.faults.restart.parts["load"].time == 300.0


def test_the_seed_option_replaces_the_seed(tiny: str, write: Writer) -> None:
    """--seed is checked like the field."""
    assert load_scenario(write(tiny), seed=42).seed == 42
    assert "--seed: seed: must be less than" in refusal(write(tiny), seed=2**200)


# -- references ----------------------------------------------------------------------------------------------


def test_an_entry_can_be_named_changed_or_read_from_a_file(tiny: str, write: Writer) -> None:
    """A name, ``use`` with changes, and a path all give full fields; the name is filled in."""
    path = write(
        tiny.replace("          gpu:\n            name: toy\n", "          gpu:\n            use: h100\n")
    )
    gpu = load_scenario(path).cluster.sites["lab"].partitions["main"].gpu
    assert (gpu.name, gpu.title, gpu.multiprocessors) == ("h100", "Toy GPU", 132)
    begin = tiny.index("      storage:\n")
    end = tiny.index("jobs:\n")
    write("write_bandwidth: 7 GB/s\nread_bandwidth: 7 GB/s\nbandwidth_per_gpu: 1 GB/s\n"
          "provenance: {kind: assumption, reference: none, checked: 2026-01}\n", "disks/mine.yaml")  # fmt: skip
    path = write(tiny[:begin] + "      storage: disks/mine.yaml\n" + tiny[end:])
    storage = load_scenario(path).cluster.sites["lab"].storage
    assert (storage.name, storage.write_bandwidth) == ("mine", 7e9)


def test_an_unknown_entry_suggests_the_nearest(tiny: str, write: Writer) -> None:
    """A misspelt catalog name is one error with its place."""
    begin, end = tiny.index("          gpu:\n"), tiny.index("          capacity:\n")
    said = refusal(write(tiny[:begin] + "          gpu: h1000\n" + tiny[end:]))
    assert "there is no GPU called 'h1000'; did you mean 'h100'?" in said
    assert said.count("error:") == 1


def test_fields_over_a_name_change_that_entry(tiny: str, write: Writer) -> None:
    """In an extending file, fields laid over a catalog name change the entry."""
    begin, end = tiny.index("          gpu:\n"), tiny.index("          capacity:\n")
    write(tiny[:begin] + "          gpu: h100\n" + tiny[end:], "base.yaml")
    change = "cluster: {sites: {lab: {partitions: {main: {gpu: {hbm_capacity: 99 GB}}}}}}"
    gpu = load_scenario(write(f"extends: base.yaml\n{change}\n")).cluster.sites["lab"].partitions["main"].gpu
    assert (gpu.name, gpu.hbm_capacity) == ("h100", 99e9)
    deeper = "cluster.sites.lab.partitions.main.gpu.peak.bf16=900 TFLOP/s"
    again = load_scenario(write("extends: base.yaml\n"), overrides=[deeper])
    assert again.cluster.sites["lab"].partitions["main"].gpu.peak["bf16"] == 9e14


def test_a_phase_plan_is_laid_over_the_plan_of_the_job(tiny: str, write: Writer) -> None:
    """A phase only says what differs."""
    own = "a guess}, gpus: 256, parallel: {global_batch_size: 128, tensor_parallel: 8}}"
    text = tiny.replace("a guess}, gpus: 256}", own)
    job = load_scenario(write(text)).jobs["small"]
    plan = job.phases["sft"].parallel
    assert plan is not None
    assert (plan.global_batch_size, plan.tensor_parallel, plan.pipeline_parallel) == (128, 8, 2)
    assert (plan.sequence_length, plan.stack) == (8192, job.parallel.stack)


def test_a_nested_reference_can_be_overridden(tiny: str, write: Writer) -> None:
    """An override may name an entry inside an entry: the collective constants of a topology."""
    path = write(tiny)
    override = "cluster.sites.lab.topology.collectives=nccl_nvlink4"
    constants = load_scenario(path, overrides=[override]).cluster.sites["lab"].topology.collectives
    assert constants is not None
    assert constants.name == "nccl_nvlink4"


def test_shipped_scenarios_are_found_by_name(
    tiny: str, write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an installed package the shipped files lie inside it; a name is enough to find them."""
    write(tiny, "package/shipped/scenarios/mine.yaml")
    monkeypatch.setattr(files, "package_folder", lambda: tmp_path / "package")
    assert load_scenario("mine").name == "tiny"
    assert "no shipped scenario of that name: mien; did you mean 'mine'?" in refusal("mien")


MODEL = "    model:\n"


def with_config(tiny: str, write: Writer, config: object) -> Path:
    write(json.dumps(config), "config.json")
    begin, end = tiny.index(MODEL), tiny.index("    site: lab\n")
    return write(tiny[:begin] + "    model: {hf_config: config.json, title: From HF}\n" + tiny[end:])


def test_a_llama_config_json_gives_the_architecture(tiny: str, write: Writer) -> None:
    """The published config.json of Llama 3 8B has 8.03 G parameters."""
    from colossus_sim.formulas.transformer import count_parameters

    config = {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
    }  # fmt: skip
    model = load_scenario(with_config(tiny, write, config)).jobs["small"].model
    assert model.title == "From HF"
    assert count_parameters(model).total == pytest.approx(8.03e9, rel=1e-3)


def test_a_deepseek_config_json_gives_experts_and_latent_attention(tiny: str, write: Writer) -> None:
    """The published config.json of DeepSeek-V3 has 671 G parameters, 37 G active."""
    from colossus_sim.formulas.transformer import count_parameters

    config = {
        "model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432,
        "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 128,
        "num_key_value_heads": 128, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
        "first_k_dense_replace": 3, "moe_layer_freq": 1, "n_group": 8, "topk_group": 4,
        "q_lora_rank": 1536, "kv_lora_rank": 512,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280,
        "tie_word_embeddings": False, "num_nextn_predict_layers": 1,
    }  # fmt: skip
    model = load_scenario(with_config(tiny, write, config)).jobs["small"].model
    count = count_parameters(model)
    assert model.moe is not None
    assert count.prediction_modules == 1
    assert (model.moe.n_group, model.moe.topk_group) == (8, 4)
    assert count.total == pytest.approx(671e9, rel=0.01)
    assert count.active == pytest.approx(37.6e9, rel=0.02)


FOUR_LAYERS = {
    "model_type": "qwen3_moe", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 4,
    "num_attention_heads": 16, "num_key_value_heads": 16, "num_experts": 8, "num_experts_per_tok": 2,
    "moe_intermediate_size": 512, "vocab_size": 32000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "first"),
    [({"moe_layer_freq": [0, 1, 1, 1]}, 1), ({"mlp_only_layers": [0, 1]}, 2), ({"mlp_only_layers": []}, 0)],
)
def test_dense_layers_told_one_by_one_are_counted(
    tiny: str, write: Writer, told: dict[str, Any], first: int
) -> None:
    """A list of routed layers, or of dense ones, as long as the dense ones come first."""
    model = load_scenario(with_config(tiny, write, FOUR_LAYERS | told)).jobs["small"].model
    assert model.moe is not None
    assert (model.moe.first_k_dense, model.moe.moe_layer_frequency) == (first, 1)


def test_dense_layers_among_routed_ones_are_refused(tiny: str, write: Writer) -> None:
    """They cannot be expressed unless every n-th layer is routed."""
    with pytest.raises(ScenarioError, match="dense layers among the routed ones"):
        load_scenario(with_config(tiny, write, FOUR_LAYERS | {"mlp_only_layers": [2]}))


def test_nested_and_old_spellings_are_understood(tiny: str, write: Writer) -> None:
    """text_config is followed; GPT-2 spellings and num_local_experts are known."""
    gpt2 = {"model_type": "gpt2", "n_embd": 1024, "n_layer": 24, "n_head": 16, "vocab_size": 50257}
    model = load_scenario(with_config(tiny, write, gpt2)).jobs["small"].model
    assert (model.hidden_size, model.intermediate_size, model.mlp_gated) == (1024, 4096, False)
    assert model.tie_word_embeddings
    mixtral = {
        "text_config": {
            "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 8,
            "num_experts_per_tok": 2, "vocab_size": 32000,
        }
    }  # fmt: skip
    moe = load_scenario(with_config(tiny, write, mixtral)).jobs["small"].model.moe
    assert moe is not None
    assert (moe.num_experts, moe.num_experts_per_tok, moe.moe_intermediate_size) == (8, 2, 14336)


SHAPE = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 26, "num_attention_heads": 16,
    "vocab_size": 32000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "window", "share"),
    [
        ({"model_type": "gpt_oss", "sliding_window": 128,
          "layer_types": ["sliding_attention", "full_attention"] * 13}, 128, 13 / 26),
        ({"model_type": "gemma2", "sliding_window": 4096}, 4096, 13 / 26),
        ({"model_type": "gemma3_text", "sliding_window": 512, "sliding_window_pattern": 6}, 512, 22 / 26),
        ({"model_type": "gemma3", "text_config": {**SHAPE, "sliding_window": 1024}}, 1024, 22 / 26),
        ({"model_type": "exaone4", "sliding_window": 4096, "sliding_window_pattern": "LLLG"}, 4096, 3 / 4),
        ({"model_type": "mistral", "sliding_window": 4096}, 4096, 1.0),
        ({"model_type": "mistral", "sliding_window": None}, 0, 0.0),
        ({"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": False, "max_window_layers": 13},
         0, 0.0),
        ({"model_type": "qwen2", "sliding_window": 4096}, 0, 0.0),
        ({"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 13},
         4096, 13 / 26),
        ({"model_type": "llama4_text", "attention_chunk_size": 8192}, 8192, 20 / 26),
        ({"model_type": "minimax_m2", "attn_type_list": [1] * 26}, 0, 0.0),
    ],
)  # fmt: skip
def test_the_windows_of_a_config_json_are_read(
    tiny: str, write: Writer, config: dict[str, object], window: int, share: float
) -> None:
    """Listed layers count; else the pattern of the file or of its family says which layers slide."""
    model = load_scenario(with_config(tiny, write, {**SHAPE, **config})).jobs["small"].model
    assert model.sliding_window == window
    assert model.sliding_window_fraction == pytest.approx(share)
    assert ("chunks" in model.provenance.note) == ("attention_chunk_size" in config)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "qwen3_next", "full_attention_interval": 4}, "gives full_attention_interval: only full"),
        ({"model_type": "qwen3_next", "layer_types": ["linear_attention", "full_attention"]},
         "has layers of kind linear_attention: only full and sliding-window attention are modelled"),
        ({"model_type": "minimax_text_01", "attn_type_list": [0, 0, 1]}, "has layers of kind linear_attention"),
        ({"model_type": "odd", "layer_types": [{"kind": "odd"}]}, "has layers of kind {'kind': 'odd'}"),
        ({"model_type": "nemotron_h", "hybrid_override_pattern": "M-M*"}, "gives hybrid_override_pattern"),
        ({"model_type": "novel", "sliding_window": 128}, "does not give sliding_window_fraction; write these"),
    ],
)  # fmt: skip
def test_attention_that_cannot_be_expressed_is_refused(
    tiny: str, write: Writer, config: dict[str, object], said: str
) -> None:
    """Other mixers of tokens are no full attention, and a window of unknown layers is not guessed."""
    assert said in refusal(with_config(tiny, write, {**SHAPE, **config}))


def test_gpt_oss_clamps_its_experts(tiny: str, write: Writer) -> None:
    """Its experts add biases and clamp their activation, which other families do not."""
    for kind in ("gpt_oss", "mixtral"):
        config = {**SHAPE, "model_type": kind, "num_local_experts": 8, "num_experts_per_tok": 2}
        moe = load_scenario(with_config(tiny, write, config)).jobs["small"].model.moe
        assert moe is not None
        assert moe.clamped_bias == (kind == "gpt_oss")


def test_fields_beside_a_config_json_complete_it(tiny: str, write: Writer) -> None:
    """What the message asks for helps."""
    path = with_config(
        tiny, write, {**SHAPE, "vocab_size": None, "model_type": "novel", "sliding_window": 128}
    )
    assert "does not give vocab_size, sliding_window_fraction" in refusal(path)
    beside = "title: From HF, vocab_size: 1000, sliding_window_fraction: 0.25"
    text = path.read_text().replace("title: From HF", beside)
    model = load_scenario(write(text)).jobs["small"].model
    assert (model.vocab_size, model.sliding_window, model.sliding_window_fraction) == (1000, 128, 0.25)


def test_plain_feed_forward_blocks_have_two_matrices(tiny: str, write: Writer) -> None:
    """The config.json of Nemotron-4 340B has 340 G parameters; relu2 of a gated family changes nothing."""
    from colossus_sim.formulas.transformer import count_parameters

    config = {
        "model_type": "nemotron", "hidden_act": "relu2", "hidden_size": 18432, "intermediate_size": 73728,
        "num_hidden_layers": 96, "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 192,
        "vocab_size": 256000, "tie_word_embeddings": False,
    }  # fmt: skip
    for kind, plain in (("nemotron", True), ("its_successor", True), ("bitnet", False)):
        model = load_scenario(with_config(tiny, write, {**config, "model_type": kind})).jobs["small"].model
        assert model.mlp_gated != plain
        assert not plain or count_parameters(model).total == pytest.approx(340e9, rel=0.01)


def test_an_unknown_architecture_lists_what_is_missing(tiny: str, write: Writer) -> None:
    """All missing fields are named at once."""
    said = refusal(with_config(tiny, write, {"model_type": "mamba", "hidden_size": 64}))
    assert "does not give num_hidden_layers, num_attention_heads, vocab_size, intermediate_size" in said
    assert said.count("error:") == 1


@pytest.mark.parametrize("content", ["not json", "[1]", '"x"', "[" * 100_000])
def test_a_broken_config_json_is_refused(tiny: str, write: Writer, content: str) -> None:
    """Anything but a JSON object is one clear error, and its content is not shown."""
    path = with_config(tiny, write, {})
    write(content, "config.json")
    assert "config.json" in refusal(path)


def test_a_folder_does_not_hide_the_shipped_scenario_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run folder called tiny lies in the working directory; the name still means the scenario."""
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)

    assert load_scenario("tiny").name == "tiny"


def test_files_that_are_as_they_were_are_not_parsed_again(
    tiny: str, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second load with what was parsed before gives the same scenario; an edited file is parsed anew."""
    path, seen, parsed = write(tiny), [], {}
    parse = files.parse_yaml

    def noted(data: bytes, shown: str) -> object:
        seen.append(shown)
        return parse(data, shown)

    monkeypatch.setattr(files, "parse_yaml", noted)
    changed = ["horizon=9 days", "faults.restart.base=7 min"]
    first = load_scenario(path, overrides=changed, parsed=parsed)
    count = len(seen)
    assert count
    again = load_scenario(path, parsed=parsed)
    assert len(seen) == count
    fresh = load_scenario(path)
    assert again == fresh != first
    assert (again.loaded.tree, again.loaded.files) == (fresh.loaded.tree, fresh.loaded.files)
    assert write(tiny + "\nseed: 2\n") == path
    del seen[:]
    assert load_scenario(path, parsed=parsed).seed == 2
    assert len(seen) == 1
