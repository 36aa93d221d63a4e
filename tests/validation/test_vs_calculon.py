"""The comparison with Calculon, on a stand-in of a checkout with the interface of its commit 0384d1e."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from colossus_sim.validation.cases import Case

ROOT = Path(__file__).resolve().parent.parent.parent
MODULE = """
class Llm:
    class Error(Exception):
        pass

    class Application:
        def __init__(self, cfg):
            self.hidden, self.blocks = cfg["hidden"], cfg["num_blocks"]

    class Execution:
        @classmethod
        def from_json(cls, cfg):
            if cfg["pipeline_par"] > 1 and cfg["pipeline_interleaving"] > 1:
                raise Llm.Error("no interleaving here")
            assert not cfg.get("seq_par_ag_redo") or cfg["activation_recompute"] != "full"
            self = cls()
            self.cfg = cfg
            return self

    def __init__(self, app, log):
        self.app = app

    def compile(self, syst, exe):
        self.exe = exe

    def run(self, syst):
        if self.exe.cfg.get("activation_recompute") == "none":
            raise Llm.Error("the scores do not fit")

    def get_stats_json(self, include_layers):
        return {"total_time": 2.0 * self.exe.cfg["published"] if "published" in self.exe.cfg else 1.0}
"""


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script."""
    spec = importlib.util.spec_from_file_location("vs_calculon", ROOT / "benchmarks" / "vs_calculon.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose Calculon takes twice the published time on its own cases and 1 s on every other."""
    (tmp_path / "calculon" / "llm").mkdir(parents=True)
    for name in ("__init__.py", "llm/__init__.py"):
        (tmp_path / "calculon" / name).write_text("", encoding="utf-8")
    system = "class System:\n    def __init__(self, cfg):\n        self.cfg = cfg\n"
    (tmp_path / "calculon" / "system.py").write_text(system, encoding="utf-8")
    (tmp_path / "calculon" / "llm" / "llm.py").write_text(MODULE, encoding="utf-8")
    files: dict[str, object] = {
        f"systems/{name}.json": {"networks": [{"bandwidth": 300}, {"bandwidth": 25}]}
        for name in ("a100_80g", "h100_80g_nvl8")
    }
    for model, modes in benchmark._OWN_CASES.items():
        files[f"models/{model}.json"] = {"hidden": 1, "num_blocks": 1}
        for mode, seconds in modes.items():
            plan = {"published": seconds, "pipeline_par": 1, "pipeline_interleaving": 1}
            files[f"validation/seqsel/tab5/{model}_{mode}.json"] = plan
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "calculon"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def test_both_run_on_the_same_rows(
    benchmark: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Own cases and expressible rows are run by both, with the error and CPU time of each; refusals are counted."""
    every = benchmark.read_training_rows(benchmark.shipped("training_rows.csv"))
    wanted = [row for row in every if row.id.startswith(("kort22", "mlm20"))]
    monkeypatch.setattr(benchmark, "read_training_rows", lambda path: wanted)
    try:
        benchmark.main(["--calculon", str(checkout)])
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "calculon"]:
            del sys.modules[name]
    out = capsys.readouterr().out
    assert "Calculon's own cases: Calculon: 8 rows, mean 100.00%" in out
    assert "largest 100.00%, bias +100.00%" in out
    for program in ("Calculon", "colossus-sim"):
        assert f"kort22: {program}: " in out
        assert re.search(rf"^all: {program}: \d+ rows, .* \d\.\d\d ms at first$", out, re.MULTILINE)
    assert re.search(r"rows refused: [1-9]\d* by Calculon, 0 by colossus-sim", out)


def case_of(benchmark: ModuleType, row_id: str) -> Case:
    """One shipped row."""
    every = benchmark.read_training_rows(benchmark.shipped("training_rows.csv"))
    row = next(row for row in every if row.id == row_id)
    case = benchmark.Predictor(benchmark.shipped_inputs()).case(row)
    assert isinstance(case, Case)
    return case


@pytest.mark.parametrize(
    ("row_id", "tensor", "data"),
    [
        ("mlmh100-0004", "pipe", True),
        ("mlmh100-0001", "none", True),  # one GPU per matrix
        ("kort22-0001", "none", False),  # one replica, nothing overlaps
        ("megascale-0001", "none", False),  # hides 0.3 of the gradients
    ],
)
def test_calculon_is_told_what_the_stack_overlaps(
    benchmark: ModuleType, row_id: str, tensor: str, data: bool
) -> None:
    """Overlap is on where the stack hides most of the communication and there is some."""
    words = benchmark.calculon_input(case_of(benchmark, row_id))[1]
    assert (words["tensor_par_overlap"], words["data_par_overlap"]) == (tensor, data)


def test_scores_that_fused_attention_does_not_keep_are_dropped_where_they_do_not_fit(
    benchmark: ModuleType, checkout: Path
) -> None:
    """Fused attention gets a second try that computes the scores again, unfused attention is refused."""
    calculon = benchmark.Calculon(checkout)
    case = case_of(benchmark, "mlmh100-0004")
    assert calculon.words(case)[2]["activation_recompute"] == "attn_only"
    unfused = case.plan.stack.model_copy(update={"fused_attention": False})
    case = dataclasses.replace(case, plan=case.plan.model_copy(update={"stack": unfused}))
    with pytest.raises(calculon.refusal, match="do not fit"):
        calculon.words(case)


def test_gathered_inputs_are_dropped_where_calculon_can_say_so(benchmark: ModuleType) -> None:
    """Sequence parallelism gathers again in the backward pass, as in its own cases, but with full recompute."""
    predictor = benchmark.Predictor(benchmark.shipped_inputs())
    seen = set()
    for row in benchmark.read_training_rows(benchmark.shipped("training_rows.csv")):
        case = predictor.case(row)
        if isinstance(case, benchmark.LeftOut) or not benchmark.expressible(case):
            continue
        words = benchmark.calculon_input(case)[1]
        wanted = words["tensor_par_comm_type"] == "rs_ag" and words["activation_recompute"] != "full"
        assert words["seq_par_ag_redo"] is wanted
        seen.add(wanted)
    assert seen == {True, False}


def test_calculon_gets_the_network_of_the_row(benchmark: ModuleType, checkout: Path) -> None:
    """The scale-out rate is the row's in GB/s, the stock one where the row has none; NVLink stays."""
    calculon = benchmark.Calculon(checkout)
    rates = [calculon.system("A100-80GB", gbps).cfg["networks"] for gbps in (100.0, None)]
    assert [[tier["bandwidth"] for tier in tiers] for tiers in rates] == [[300, 12.5], [300, 25]]


def test_a_missing_or_partial_checkout_is_one_clear_line(
    benchmark: ModuleType, checkout: Path, tmp_path: Path
) -> None:
    """Without Calculon the script says where to get it; with a part of it, which file is missing."""
    with pytest.raises(SystemExit, match=r"git clone https://github\.com/calculon-ai/calculon"):
        benchmark.main(["--calculon", str(tmp_path / "nothing")])
    (checkout / "systems" / "a100_80g.json").unlink()
    with pytest.raises(SystemExit, match=r"a100_80g\.json is missing"):
        benchmark.main(["--calculon", str(checkout)])
