"""Write the pages that are made from the code, and the numbers in README.md.

    python docs/generate.py              the pages of PAGES and what is not modelled (seconds)
    python docs/generate.py --numbers    also the blocks of README.md that hold results (minutes)

A test checks that the pages are current; the README's numbers are checked against the golden summaries.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTICE = "<!-- Made by docs/generate.py; change the source, not this file. -->\n\n"
ROOT_SECTIONS = (
    "Scenario", "Cluster", "Site", "Partition", "CapacityStep", "Maintenance", "Job", "ParallelPlan", "Phase",
    "Rollouts", "DataPlan", "DataRelease", "Target", "Observation", "Published", "Faults", "FaultClass", "Lifetime",
    "HazardPart", "Group", "Lemons", "Eviction", "Repair", "Restart", "RestartPart",
    "CheckpointPolicy", "CheckpointTier", "Policies",
)  # fmt: skip
"""Sections of a scenario in reading order; the catalog entries that it may name follow by alphabet."""

_KINDS = {
    "s": "duration",
    "B/s": "bandwidth",
    "B": "bytes",
    "W": "power",
    "FLOP/s": "FLOP rate",
    "1/s": "frequency",
    "m": "length",
    "tokens": "tokens",
}
"""Words for SI units in the tables."""


def cell(text: str) -> str:
    """Return text for one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def kind_of(field: Mapping[str, Any]) -> str:
    """Return in words what may be written for a field of a JSON schema."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in field:
        return " / ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "x-si-unit" in field and field.get("examples"):
        unit = _KINDS.get(field["x-si-unit"], "")
        return f"{unit + ', ' if unit else ''}e.g. `{field['examples'][0]}`"
    for key in ("anyOf", "oneOf"):
        if key in field:
            kinds = [kind_of(choice) for choice in field[key] if choice.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if field.get("type") == "array":
        return f"list of {kind_of(field.get('items', {'type': 'values'}))}"
    named = [field.get("additionalProperties"), *field.get("patternProperties", {}).values()]
    for inner in named:
        if isinstance(inner, dict):
            return f"mapping from a name to {kind_of(inner)}"
    return {"string": "text", "boolean": "true / false", "object": "mapping"}.get(
        field.get("type", ""), str(field.get("type", "value"))
    )


def default_of(name: str, model: Mapping[str, Any]) -> str:
    """Return the default of a field in words."""
    field = model["properties"][name]
    if name == "calibration":
        return "the shipped one"
    if name in model.get("required", ()):
        return "required"
    value = field.get("default")
    if value is None or isinstance(value, dict):
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value != "" else "-"


def scenario_page() -> str:
    """Return docs/scenario.md: every key of a scenario file."""
    from colossus_sim.specs.scenario import Scenario

    schema = Scenario.model_json_schema()
    models = {**schema["$defs"], "Scenario": {k: v for k, v in schema.items() if k != "$defs"}}
    rest = sorted(name for name in models if name not in ROOT_SECTIONS)
    parts = [NOTICE, "# Every key of a scenario file\n\n", SCENARIO_RULES]
    parts += [key_table(name, models[name]) for name in (*ROOT_SECTIONS, *rest)]
    return "".join(parts)


def key_table(name: str, model: Mapping[str, Any]) -> str:
    """Return the section of one record of a file: a row for each key."""
    rows = [
        (f"`{key}`", kind_of(field), default_of(key, model), cell(field.get("description", "")))
        for key, field in model["properties"].items()
    ]
    keys = table(("key", "value", "default", "meaning"), rows)
    return f"\n## {name}\n\n{cell(model.get('description', ''))}\n\n{keys}"


def sweeps_page() -> str:
    """Return docs/sweeps.md: every key of a sweep file, and the shipped ones."""
    from colossus_sim.sweeps.read import read_sweep
    from colossus_sim.sweeps.spec import SweepSpec

    schema = SweepSpec.model_json_schema()
    models = {"Sweep": {k: v for k, v in schema.items() if k != "$defs"}, **schema["$defs"]}
    parts = [NOTICE, "# Sweep files\n\n", SWEEP_RULES]
    parts += [key_table(name, models[name]) for name in ("Sweep", "Vary", "Sample", "Range", "Tornado")]
    shipped = [read_sweep(path.stem) for path in sorted((ROOT / "sweeps").glob("*.yaml"))]
    rows = [(f"`{made.name}`", cell(made.spec.title), cell(made.spec.question)) for made in shipped]
    parts.append(f"\n## Shipped sweeps\n\n{table(('name', 'what', 'question'), rows)}")
    return "".join(parts)


SWEEP_RULES = """\
A sweep file names a scenario, says what differs between points, and how often each point is run:

```yaml
version: 1
scenario: tiny
replicas: 20
vary:
  grid:                                      # every combination: 2 x 2 points
    faults.restart.base: [5 min, 1 h]
    "checkpoint.tiers[0].interval": [10 min, 1 h]
measures: [jobs.large.slip_days]
```

`colossus-sim sweep FILE` (or the name of a shipped one) plays it. The file is strict YAML like a scenario; field
paths are those of `--set`, values are written as in a scenario. For the common cases `--set-grid`, `--set-zip` and
`--tornado` need no file.

- **`vary`** has `grid`, `zip` and `list`, alone or together (every combination of the three), or one of `sample`,
  `tornado` and `changes` alone. No two points may be the same (`60 min` is
  `1 h`), no field may be varied twice or within another that varies, and none may be set as well.
- **`sample`** spreads points over ranges: each `n`-th of a range holds one of `n` points (Latin hypercube, McKay,
  Beckman and Conover 1979), or a scrambled Sobol sequence (Owen 1998) with a power of two of points. A range has a
  law: `uniform`, `loguniform` (the logarithm is uniform: for rates and times over decades), `triangular` (with
  `mode`), `normal` (`low` and `high` are its 5 % and 95 % quantiles, so a tenth of the points lies outside;
  refused where it would reach values that the scenario refuses with a chance of more than one in a million, as wide
  ends of a rate or time do). Laws are independent. GPUs of a job
  (`jobs.X.gpus`) are rounded to the nearest count that its plan in the scenario can use, as `solve` searches them,
  other counts of GPUs to the common divisor of the ends (whole racks), and other fields of whole numbers to the
  nearest; uniformly, each of these has the same chance. The same seed gives the same points.
- **`tornado`** moves the assumptions of the scenario (`{low, central, high}` beside a value) one at a time, from
  the central case alone.
- **`changes`** plays the scenario as it is, then each named change alone.
- **Seeds**: run `k` of a point has the root seed plus `k`. With `common_random_numbers` (the default) that is the
  same seed at every point, so that differences between points are paired and far more certain than the means;
  without, all runs are independent. `seed` itself cannot be varied: that is what `replicas` is for.
- **`measures`** are columns of `results.csv`, e.g. `jobs.large.slip_days` ([metrics](metrics.md)).
- **Runs that the horizon cuts off** are counted per point and measure in `unfinished` of `points.csv`. They enter
  with their projected end and with what was spent until then, so that a mean is a lower bound (>=) and a difference
  rests on incomplete values (~); pictures draw such points hollow, bars hatched. A job that never ends, because its
  GPUs are gone for good, has no end: its cells are empty, conditions take it for later than any date, and a mean
  over such a run is never. `cluster.complete` is the share of runs in which all jobs ended.
- `colossus-sim schema --kind sweep > sweep.schema.json` is for editors.
"""


SCENARIO_RULES = """\
The file is strict YAML: an unknown or repeated key is an error, and every error names file, line and column.

- **Quantities** are texts with their unit: `"400 Gbit/s"`, `80 GB`, `30 min`, `60 days`, `2026-04-08`, `15T`, `5%`.
  `GB` is 1e9 bytes and `GiB` 2**30; `b` or `bit` is a bit, `B` a byte. A bare number where a unit is needed is an
  error. Dates are UTC.
- **Ranges**: any value may be `{low: 1, central: 2, high: 3, source: "..."}`; `--case low|central|high` picks one.
  `{value: 2, source: "..."}` is a value with a source. Sources are listed in the report.
- **Catalog entries** (GPU, model, topology, storage, stack, faults, calibration, collectives) are given by name
  (`colossus-sim catalog gpus`), by the path of a YAML file, by all their fields, or as `{use: name, field: value}`:
  the entry with some fields changed; `null` removes an item. A model may also be `{hf_config: path/config.json}`.
- **`extends: other.yaml`** lays a file over another; later wins, `null` deletes.
- **`--set jobs.my_job.gpus=4096`** changes any field on the command line and is checked like the file. A new
  job, phase or other entry is given whole: `--set jobs.my_job.phases.more={tokens: 1B}`.
- **Links** count per direction, peaks are dense.
- Editors complete and check with `colossus-sim schema > scenario.schema.json` and, as the first line of a
  scenario, `# yaml-language-server: $schema=scenario.schema.json`.
"""


def metrics_page() -> str:
    """Return docs/metrics.md: one formula for each metric, GPU state and cause of slip."""
    from colossus_sim.results.columns import CAUSE_MEANING, STATE_MEANING
    from colossus_sim.results.metrics import CLUSTER_METRICS, METRICS

    parts = [NOTICE, "# Metrics: one formula each\n\n", METRIC_RULES]
    for title, metrics in (("Of a job", METRICS), ("Of the cluster", CLUSTER_METRICS)):
        rows = [(f"`{m.name}`", m.unit, cell(m.formula)) for m in metrics.values()]
        parts.append(f"\n## {title}\n\n{table(('metric', 'unit', 'formula'), rows)}")
    states = [(f"`{name}`", cell(text)) for name, text in STATE_MEANING.items()]
    parts.append(
        "\n## States of a GPU-second\n\nEach GPU-second of installed capacity is in exactly one.\n\n"
    )
    parts.append(table(("state", "meaning"), states))
    causes = [(f"`{name}`", cell(text)) for name, text in CAUSE_MEANING.items()]
    parts.append("\n## Causes of slip\n\nThe causes of a job add up exactly to its slip.\n\n")
    parts.append(table(("cause", "meaning"), causes))
    return "".join(parts)


METRIC_RULES = """\
Papers use the same words for different ratios. What is computed here is what the formula says. All metrics come
from one ledger in which every GPU-second of capacity has exactly one state and every second of a phase exactly one
cause; each run checks that states add up to capacity and causes to the slip. A metric that is not defined for a run
is empty (`null` in `summary.json`), never zero.
"""


def commands_page() -> str:
    """Return docs/commands.md: what every command does, its arguments and options."""
    from colossus_sim.cli.main import cli

    parts = [NOTICE, "# Commands\n\n`python -m colossus_sim` is the same as `colossus-sim`.\n"]
    for words, command in commands(cli, ("colossus-sim",)):
        parts.append(command_section(" ".join(words), command))
    return "".join(parts)


def command_section(name: str, command: Any) -> str:
    """Return the section of one command, from its declaration alone: click's own layout varies with its version."""
    import click

    given = [argument_word(param) for param in command.params if isinstance(param, click.Argument)]
    text = inspect.cleandoc((command.help or "").replace("\b\n", "\n"))
    text = re.sub(r"\n\s*\n+", "\n\n", text)
    options = [
        (
            f"`{', '.join((*param.opts, *param.secondary_opts))}`",
            cell((param.help or "") + option_default(param)),
        )
        for param in command.params
        if isinstance(param, click.Option)
    ]
    shown = f"\n```\n{text}\n```\n"
    if options:
        shown += f"\n{table(('option', 'meaning'), options)}"
    return f"\n## {' '.join((name, *given))}\n{shown}"


def argument_word(argument: Any) -> str:
    """Return how an argument is called in the usage of a command."""
    word = argument.metavar or argument.name.upper()
    if not word.isidentifier():
        return str(word)
    return f"{word}..." if argument.nargs == -1 else word if argument.required else f"[{word}]"


def option_default(option: Any) -> str:
    """Return in words the choices and the default that the help of an option shows."""
    choices = getattr(option.type, "choices", None)
    text = f" One of {', '.join(choices)}." if choices else ""
    default = option.default
    shown = ", ".join(default) if isinstance(default, tuple) else default
    return text + (f" Default: {shown}." if option.show_default and default is not None else "")


def commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every command below one, with the words that call it."""
    import click

    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from commands(found, (*words, name))


def scenarios_page() -> str:
    """Return scenarios/README.md."""
    from colossus_sim import load_scenario

    rows = []
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        scenario = load_scenario(str(path))
        rows.append((f"[{path.stem}]({path.name})", cell(scenario.title), cell(scenario.question)))
    return NOTICE + SCENARIOS_ABOUT + table(("name", "what", "question"), rows)


SCENARIOS_ABOUT = """\
# Shipped scenarios

`colossus-sim run NAME` finds them by name from anywhere, `colossus-sim run scenarios/NAME.yaml` by path.
Each number that is not public is an assumption with its range and source beside it;
`colossus-sim check NAME --explain` lists all. What they give is pinned in `tests/golden/`.

"""


def topologies_page() -> str:
    """Return topologies/README.md."""
    from colossus_sim.loading.listing import load_entries

    rows = []
    for name, entry in load_entries("topologies").items():
        source = f"{entry.provenance.kind}: {entry.provenance.reference}"  # type: ignore[attr-defined]
        gpus = f"{entry.gpus:,}"  # type: ignore[attr-defined]
        rows.append((f"[{name}]({name}.yaml)", gpus, cell(entry.title), cell(source)))  # type: ignore[attr-defined]
    return NOTICE + TOPOLOGIES_ABOUT + table(("name", "GPUs", "what", "source"), rows)


TOPOLOGIES_ABOUT = """\
# Shipped networks

Parameters for the builders `clos`, `dragonfly` and `torus`; a scenario names one in
`cluster.sites.SITE.topology`, or changes it: `{use: colossus_2, link_efficiency: 0.9}`. Bandwidths are per
direction. The GPU named in a file is the one that the network was drawn for; a partition may hold another.

"""

PAGES = {
    "docs/scenario.md": scenario_page,
    "docs/sweeps.md": sweeps_page,
    "docs/metrics.md": metrics_page,
    "docs/commands.md": commands_page,
    "scenarios/README.md": scenarios_page,
    "topologies/README.md": topologies_page,
}
"""Generated pages, by path."""


def limits_block() -> str:
    """Return what the simulator leaves out, as the report says it."""
    from colossus_sim.results.report import not_modelled

    return "".join(f"- {line}\n" for line in not_modelled())


def replace_block(text: str, name: str, content: str) -> str:
    """Return `text` with what stands between the marks of a block replaced."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"README.md has no block {name}")
    return before + begin + content + end + after


def block(text: str, name: str) -> str:
    """Return what stands between the marks of a block."""
    return text.partition(f"<!-- {name}:begin -->\n")[2].partition(f"<!-- {name}:end -->")[0]


def main(arguments: list[str] | None = None) -> None:
    """Write the pages, and with --numbers the README's results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--numbers", action="store_true", help="also simulate and fill README.md")
    given = parser.parse_args(arguments)
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8", newline="\n")
    readme = ROOT / "README.md"
    blocks = {"limits": limits_block()}
    if given.numbers:
        from readme_numbers import number_blocks

        blocks |= number_blocks()
    text = readme.read_text("utf-8")
    for name, content in blocks.items():
        text = replace_block(text, name, content)
    readme.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
