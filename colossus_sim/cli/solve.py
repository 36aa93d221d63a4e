"""``colossus-sim solve``: the value of a field with which a condition holds often enough."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli.common import Settings, echo, echo_json, note, scenario_options
from colossus_sim.cli.many import executor, stopping, worker_options

if TYPE_CHECKING:
    from colossus_sim.sweeps.candidates import Question
    from colossus_sim.sweeps.solve import Answer, Span, Trial

NOT_FOUND = 3


@click.command("solve")
@click.argument("file")
@scenario_options
@click.option("--find", "path", required=True, metavar="PATH", help="The field, e.g. jobs.a.gpus.")
@click.option("--so-that", "condition", required=True, metavar="CONDITION", help="E.g. jobs.a.slip_days<=0.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=0.8,
    show_default=True,
    help="In which share of the runs, at least.",
)
@click.option(
    "--between", metavar="LOW,HIGH", help="Where to look; default: a quarter of to four times the value."
)
@click.option(
    "--replicas", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Runs per value."
)
@worker_options
def solve(file: str, settings: Settings, **options: Any) -> int:
    """Find the smallest (or largest) value of a field with which a condition holds.

    The search halves the range; every value is run with the same seeds. Where both ends of it agree, 7 values
    between them are tried too. GPUs of a job are searched among the counts that its parallel plan can use; of
    counts, the next ones beyond the value found are tried until 4 in a row fail. Quantities are searched in steps
    of one per cent, dates in days (hours, minutes where the range is short).

    \b
    Examples:
      colossus-sim solve tiny --find jobs.small.gpus --so-that "jobs.small.slip_days<=0"
      colossus-sim solve quickstart --find jobs.llama_70b.gpus --so-that "jobs.llama_70b.finish<=2026-03-01"

    A run that the horizon cuts off before it is clear whether the condition holds is no answer: where too many of
    them are, the search stops and asks for a longer horizon.

    \b
    Exit codes: 0 found, 3 no value in the range meets it, or the horizon is too short to say.
    """  # fmt: skip
    from colossus_sim.sweeps.solve import solve as search

    question = _question(file, settings, options)
    with (
        executor(options) as workers,
        stopping(None, settings, lambda: (0, 0)),
    ):
        answer = search(question, workers, lambda trial: note(trial_line(trial), settings))
    if settings.json:
        echo_json(_document(question, answer))
    else:
        echo(answer_text(question, answer))
    return 0 if answer.found is not None else NOT_FOUND


def _question(file: str, settings: Settings, options: dict[str, Any]) -> Question:
    from colossus_sim.errors import UsageError
    from colossus_sim.loading.load import load_scenario
    from colossus_sim.sweeps.candidates import Question, default_range
    from colossus_sim.sweeps.condition import parse_condition
    from colossus_sim.sweeps.points import SEED_HINT, is_seed

    if file == "-":
        raise UsageError("every worker reads the scenario itself: save it to a file first")
    if is_seed(options["path"]):
        raise UsageError(f"--find: the seed cannot be searched: {SEED_HINT}")
    if options["path"].strip() == "horizon":
        raise UsageError(
            "--find: the horizon cannot be searched: it is where the simulation stops, and changes nothing before; "
            "search a field that moves the measure, with a horizon that is long enough (--set 'horizon=60 days')"
        )
    if not Path(file).suffix and options["path"].count(".") == 0:
        raise UsageError(f"--find: {options['path']!r} is no field path, e.g. jobs.my_job.gpus")
    scenario = load_scenario(file, overrides=settings.overrides, case=settings.case)  # type: ignore[arg-type]
    if options["between"] is None:
        low, high = default_range(scenario, options["path"])
    else:
        low, comma, high = options["between"].partition(",")
        if not comma or not low.strip() or not high.strip():
            raise UsageError(f"--between: expected LOW,HIGH, got {options['between']!r}")
    return Question(
        source=file,
        path=options["path"],
        condition=parse_condition(options["condition"], start=scenario.start),
        confidence=options["confidence"],
        low=low.strip(),
        high=high.strip(),
        replicas=options["replicas"],
        overrides=settings.overrides,
        case=settings.case,  # type: ignore[arg-type]
        seed=settings.seed,
    )


def trial_line(trial: Trial) -> str:
    """Return one line on a value that was tried."""
    if trial.error:
        return f"  {trial.text}: cannot be run: {trial.error.splitlines()[0]}"
    low, high = trial.interval
    cut = f"; of {trial.unknown} it is not known: cut off at the horizon" if trial.unknown else ""
    return f"  {trial.text}: {trial.met} of {trial.runs} runs ({low:.0%} to {high:.0%}){cut}"


def _mean(trial: Trial) -> str:
    return f"{trial.mean:.4g} on average" if math.isfinite(trial.mean) else "without end in some runs"


def answer_text(question: Question, answer: Answer) -> str:
    """Return the answer in words."""
    wish = f"{question.condition.text} in at least {question.confidence:.0%} of the runs"
    if answer.unknown is not None:
        trial = answer.unknown
        return (
            f"not known: with {question.path} = {trial.text} it holds in {trial.met} of {trial.runs} runs, and "
            f"{trial.unknown} stopped at the horizon before it was clear whether {question.condition.text}\n"
            "simulate longer, e.g. --set 'horizon=60 days', beyond the bound of the condition"
        )
    if answer.found is None:
        best = answer.nearest(question.condition.bound)
        near = "" if best is None else f" (nearest: {best.text}, {question.condition.measure} {_mean(best)})"
        text = (
            f"no solution: {question.path} between {question.low} and {question.high} has no value for {wish} "
            f"among the {len(answer.trials)} that were tried; at its ends it holds in {_ends(answer)}{near}"
        )
        return f"{text}\n{answer.limit or 'look farther with --between, or change something else'}"
    if answer.smallest is None:
        return _span_text(question, answer, wish)
    low, high = answer.found.interval
    text = (
        f"{question.path} = {answer.found.text}: {question.condition.text} in {answer.found.met} of "
        f"{answer.found.runs} runs ({answer.found.share:.0%}; 95 % interval {low:.0%} to {high:.0%})"
    )
    side = "smallest" if answer.smallest else "largest"
    beside = "" if answer.neighbour is None else f"; next to it, {_verdict(answer.neighbour)}"
    return "\n".join(
        filter(None, (f"{text}\nthe {side} value found{beside}", answer.limit, _warning(answer)))
    )


def _span_text(question: Question, answer: Answer, wish: str) -> str:
    """Return between which values it holds, where no single one is known to be the smallest or the largest."""
    spans = " and ".join(_span(answer, span) for span in answer.holds)
    lines = [f"{question.path}: {wish} holds {spans}"]
    for trial in dict.fromkeys(trial for span in answer.holds for trial in span):
        lines.append(f"  {_verdict(trial)}")
    count = f"{'all ' if answer.complete else ''}{len(answer.trials)} values"
    failed = [trial for trial in answer.trials if trial.share < question.confidence]
    if failed:
        worst = min(failed, key=lambda trial: trial.share)
        lines.append(f"tried at {count}; it fails at {len(failed)} of them, most at {_verdict(worst)}")
    else:
        lines.append(
            f"it holds at each of the {len(answer.trials)} values that were tried; the smallest and the largest "
            "that hold may lie beyond"
        )
    lines += [answer.limit] if answer.limit else [] if failed else ["look farther with --between"]
    return "\n".join(lines)


def _span(answer: Answer, span: Span) -> str:
    """Return one row of values, e.g. ``from 100B to 297.1B, the largest value that can be run``."""
    low, high = span
    marks = {
        "low": ", the smallest value that can be run," if low == answer.trials[0] else "",
        "high": ", the largest value that can be run" if high == answer.trials[-1] else "",
    }
    mark = {answer.cut: marks.get(answer.cut, "")}
    if low == high:
        return f"at {low.text}{mark.get('low', mark.get('high', ''))}"
    return f"from {low.text}{mark.get('low', '')} to {high.text}{mark.get('high', '')}"


def _warning(answer: Answer) -> str:
    """Return where the share of runs is not monotone; empty if it is."""
    if not answer.jagged:
        return ""
    falls = "; ".join(f"{low.text}: {low.met} of {low.runs}, {high.text}: {high.met} of {high.runs}"
                      for low, high in answer.jagged[:3])  # fmt: skip
    return (
        "warning: the share of runs does not move in one direction only "
        f"({falls}): values that were not tried may differ from their neighbours"
    )


def _verdict(trial: Trial) -> str:
    why = (
        f"cannot be run: {trial.error.splitlines()[0]}"
        if trial.error
        else f"{trial.met} of {trial.runs} runs"
    )
    return f"{trial.text}: {why}"


def _ends(answer: Answer) -> str:
    return " and ".join(f"{trial.met} of {trial.runs} runs" if not trial.error else "none (it cannot be run)"
                        for trial in (answer.trials[0], answer.trials[-1]))  # fmt: skip


def _document(question: Question, answer: Answer) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "path": question.path,
        "condition": question.condition.text,
        "confidence": question.confidence,
        "between": [question.low, question.high],
        "found": None if answer.found is None else answer.found.text,
        "smallest": answer.smallest,
        "holds": [[low.text, high.text] for low, high in answer.holds],
        "monotone": not answer.jagged,
        "cannot_be_run": answer.limit,
        "not_known_at": None if answer.unknown is None else answer.unknown.text,
        "trials": [
            {
                "value": trial.text,
                "met": trial.met,
                "not_known": trial.unknown,
                "runs": trial.runs,
                "share": trial.share,
                "interval": list(trial.interval),
                "error": trial.error,
            }
            for trial in answer.trials
        ],
    }
