"""Calculon and this model on the same published rows: error and CPU time of each.

    python benchmarks/vs_calculon.py --calculon CHECKOUT

CHECKOUT is a clone of https://github.com/calculon-ai/calculon (Isaev et al., SC23,
doi:10.1145/3581784.3607102). The package called calculon on PyPI is another program and is never used. Compared
are Calculon's own eight timed validation cases (Korthikanti et al. 2022, arXiv:2205.05198, table 5) with its own
input files, and every shipped row that both can express: plain GPT blocks on A100-80GB or H100 in 16 bits, no
context or expert parallelism, ZeRO-1 at most. Calculon is told what a row's software stack overlaps, and gets a
second try without kept attention scores where fused attention keeps none. Each configuration runs twice; of
colossus-sim the first run also builds the network of the row.
"""

from __future__ import annotations

import argparse
import copy
import inspect
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from colossus_sim.errors import ColossusError  # noqa: E402
from colossus_sim.validation.cases import Case, LeftOut  # noqa: E402
from colossus_sim.validation.inputs import shipped_inputs  # noqa: E402
from colossus_sim.validation.metrics import error_stats  # noqa: E402
from colossus_sim.validation.predict import Predictor, source_of  # noqa: E402
from colossus_sim.validation.rows import read_training_rows, shipped  # noqa: E402

_SYSTEMS = {"A100-80GB": "a100_80g", "H100": "h100_80g_nvl8"}
_RECOMPUTE = {"none": "none", "selective": "attn_only", "full": "full"}
_MOSTLY = 0.5
"""Overlap is on or off in Calculon: on for stacks that hide more than this share."""
_OWN_CASES = {
    "megatron-22B": {"full": 1.42, "seqsel": 1.10},
    "gpt3-175B": {"full": 18.13, "seqsel": 13.75},
    "turing-530B": {"full": 49.05, "seqsel": 37.83},
    "megatron-1T": {"full": 94.42, "seqsel": 71.49},
}
"""Published iteration times, Korthikanti et al. 2022, table 5. [s]"""


class Calculon:
    """Calculon from a checkout."""

    def __init__(self, checkout: Path) -> None:
        if not (checkout / "calculon" / "llm" / "llm.py").is_file():
            raise SystemExit(
                f"{checkout} is no Calculon checkout (calculon/llm/llm.py is missing): "
                "git clone https://github.com/calculon-ai/calculon, then pass its folder with --calculon"
            )
        sys.path.insert(0, str(checkout))
        try:
            from calculon.llm.llm import Llm  # type: ignore[import-not-found]
            from calculon.system import System  # type: ignore[import-not-found]
        except ImportError as error:
            raise SystemExit(f"Calculon in {checkout} cannot be imported: {error}") from error

        self.refusal = (AssertionError, getattr(Llm, "Error", ValueError))
        self._checkout, self._llm, self._log = checkout, Llm, logging.getLogger("calculon")
        self._log.setLevel(logging.ERROR)
        self._system = System
        self._extra = (self._log,) if len(inspect.signature(System.__init__).parameters) > 2 else ()
        self._words = {name: self._read("systems", f"{file}.json") for name, file in _SYSTEMS.items()}

    def _read(self, *parts: str) -> Any:
        try:
            return json.loads(self._checkout.joinpath(*parts).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise SystemExit(f"{error.filename} is missing: take a whole checkout of Calculon") from error

    def own_cases(self) -> Iterator[tuple[float, Callable[[], float]]]:
        """Yield published time and prediction of its own validation cases."""
        for model, published in _OWN_CASES.items():
            application = self._read("models", f"{model}.json")
            for mode, seconds in published.items():
                plan = self._read("validation", "seqsel", "tab5", f"{model}_{mode}.json")
                system = self.system("A100-80GB")
                yield seconds, lambda s=system, a=application, p=plan: self.run(s, a, p)

    def system(self, gpu: str, nic_gbps: float | None = None) -> Any:
        """Return its description of a GPU, with the scale-out rate of a row where one is known. [Gbit/s]"""
        words = copy.deepcopy(self._words[gpu])
        if nic_gbps is not None:
            words["networks"][-1]["bandwidth"] = nic_gbps / 8.0
        return self._system(words, *self._extra)

    def words(self, case: Case) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """Return system, application and execution of a row, or raise one of `refusal`.

        Calculon has no fused attention, which keeps no scores: where they do not fit into memory, it computes them
        again.
        """
        system = self.system(case.row.gpu, case.network.nic_gbps)
        application, execution = calculon_input(case)
        try:
            self.run(system, application, execution)
        except self.refusal:
            if not case.plan.stack.fused_attention or execution["activation_recompute"] != "none":
                raise
            execution["activation_recompute"] = "attn_only"
            self.run(system, application, execution)
        return system, application, execution

    def run(self, system: Any, application: dict[str, Any], plan: dict[str, Any]) -> float:
        """Return the time of one batch. [s]"""
        model = self._llm(self._llm.Application(application), self._log)
        model.compile(system, self._llm.Execution.from_json(plan))
        model.run(system)
        return float(model.get_stats_json(False)["total_time"])


def expressible(case: Case) -> bool:
    """Whether Calculon has words for this row."""
    row, arch, plan = case.row, case.architecture, case.plan
    plain = arch.moe is None and arch.mla is None and not arch.mlp_gated and not arch.sliding_window
    plain = plain and arch.kv_heads == arch.num_attention_heads
    degrees = plan.context_parallel == 1 and plan.zero_stage <= 1 and plan.tensor_parallel <= 8
    return row.gpu in _SYSTEMS and plain and degrees and plan.precision in ("bf16", "fp16")


def calculon_input(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the application and the execution of a row in Calculon's words."""
    arch, plan = case.architecture, case.plan
    inside, stack = 8, plan.stack
    application = {
        "hidden": arch.hidden_size,
        "feedforward": arch.intermediate_size,
        "seq_size": plan.sequence_length,
        "attn_heads": arch.num_attention_heads,
        "attn_size": arch.head_size,
        "num_blocks": arch.num_hidden_layers,
    }
    tensor, stages = plan.tensor_parallel, plan.pipeline_parallel
    data = case.gpus // (tensor * stages)
    execution = {
        "num_procs": case.gpus,
        "tensor_par": tensor,
        "pipeline_par": stages,
        "data_par": data,
        "tensor_par_net": 0,
        "pipeline_par_net": 0 if case.gpus <= inside else 1,
        "data_par_net": 0 if tensor * data <= inside else 1,
        "batch_size": plan.global_batch_size,
        "microbatch_size": plan.micro_batch_size,
        "datatype": "float16",
        "fused_activation": False,
        "attention_type": "multihead",
        "activation_recompute": _RECOMPUTE[plan.activation_recomputation],
        "pipeline_interleaving": plan.virtual_pipeline,
        "optimizer_sharding": plan.zero_stage == 1 and data > 1,
        "tensor_par_comm_type": "rs_ag" if plan.sequence_parallel else "ar",
        "tensor_par_overlap": "pipe" if tensor > 1 and stack.tensor_overlap > _MOSTLY else "none",
        "seq_par_ag_redo": plan.sequence_parallel and plan.activation_recomputation != "full",
        "data_par_overlap": data > 1 and stack.data_overlap > _MOSTLY,
        "weight_offload": False,
        "activations_offload": False,
        "optimizer_offload": False,
        "training": True,
    }
    return application, execution


@dataclass(slots=True)
class Score:
    """What one program said of a group of rows."""

    name: str
    errors: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    """CPU time of the first run of each row. [s]"""
    again: list[float] = field(default_factory=list)
    """CPU time of the second run. [s]"""
    refused: int = 0

    def add(self, run: Callable[[], float], published: float) -> None:
        """Run one row twice."""
        for times in (self.first, self.again):
            started = time.process_time()
            predicted = run()
            times.append(time.process_time() - started)
        self.errors.append(predicted / published - 1.0)

    def report(self, title: str) -> None:
        """Print one line."""
        stats = error_stats(self.errors)
        if stats is None:
            print(f"{title}: {self.name}: no row")
            return
        first, again = (1e3 * sum(times) / stats.count for times in (self.first, self.again))
        print(
            f"{title}: {self.name}: {stats.count} rows, mean {stats.mean:.2%}, median {stats.median:.2%}, "
            f"p90 {stats.p90:.2%}, largest {max(map(abs, self.errors)):.2%}, bias {stats.bias:+.2%}; "
            f"{again:.2f} ms of CPU per configuration, {first:.2f} ms at first"
        )


def rows_of_both(predictor: Predictor) -> dict[str, list[tuple[Case, float]]]:
    """Return the shipped rows that Calculon has words for and their published step times [s], by source."""
    groups: dict[str, list[tuple[Case, float]]] = {}
    for row in read_training_rows(shipped("training_rows.csv")):
        case = predictor.case(row)
        if not isinstance(case, LeftOut) and row.published_step and not row.is_oom and expressible(case):
            groups.setdefault(source_of(row.id), []).append((case, row.published_step))
    return groups


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both and print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--calculon", type=Path, required=True, help="clone of github.com/calculon-ai/calculon"
    )
    calculon = Calculon(parser.parse_args(arguments).calculon)
    inputs = shipped_inputs()
    groups = rows_of_both(Predictor(inputs))
    own = Score("Calculon")
    for published, run in calculon.own_cases():
        own.add(run, published)
    own.report("Calculon's own cases")
    everything = Score("Calculon"), Score("colossus-sim")
    for source, members in groups.items():
        scores = Score("Calculon"), Score("colossus-sim")
        for case, published in members:
            compare(calculon, Predictor(inputs), case, published, *scores)
        for score, total in zip(scores, everything, strict=True):
            score.report(source)
            total.errors += score.errors
            total.first += score.first
            total.again += score.again
            total.refused += score.refused
    for total in everything:
        total.report("all")
    print("rows refused: " + ", ".join(f"{total.refused} by {total.name}" for total in everything))


def compare(
    calculon: Calculon, predictor: Predictor, case: Case, published: float, theirs: Score, ours: Score
) -> None:
    """Run a row in both; a row that either refuses counts for neither."""
    try:
        words = calculon.words(case)
    except calculon.refusal:
        theirs.refused += 1
        return
    try:
        ours.add(lambda: predictor.estimate(case).step_time, published)
    except ColossusError:
        ours.refused += 1
        return
    theirs.add(lambda: calculon.run(*words), published)


if __name__ == "__main__":
    main()
