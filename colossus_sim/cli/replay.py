"""``colossus-sim replay``: a job log under a scheduling policy."""

from __future__ import annotations

from pathlib import Path

import click

from colossus_sim.cli.common import Settings, output_options

SCHEMA_VERSION = 1


@click.command()
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--gpus", required=True, type=click.IntRange(min=1), help="GPUs (or processors) of the pool.")
@click.option("--policy", default="fifo", show_default=True, help="Policies to compare, by commas.")
@click.option("--first", type=click.IntRange(min=1), help="Play only so many jobs.")
@output_options
def replay(trace: Path, gpus: int, policy: str, first: int | None, settings: Settings) -> None:
    """Replay TRACE (.swf or .csv, also .gz) on one pool of GPUs and print waits and makespan."""
    from colossus_sim.cli.common import echo, echo_json, text_table
    from colossus_sim.engine.replay import replay as play
    from colossus_sim.errors import UsageError
    from colossus_sim.policies import known
    from colossus_sim.traces.jobs import read_trace

    names = [name.strip() for name in policy.split(",") if name.strip()]
    choices = known()
    unknown = [name for name in names if name not in choices]
    if unknown or not names:
        raise UsageError(f"--policy: unknown {', '.join(unknown)}; known: {', '.join(choices)}")
    jobs = read_trace(trace)[:first]
    found = {name: play(jobs, gpus=gpus, scheduler=name) for name in names}
    if settings.json:
        fields = ("jobs", "mean_wait", "max_wait", "mean_slowdown", "makespan", "utilization")
        figures = {
            name: {field: getattr(result, field) for field in fields} for name, result in found.items()
        }
        echo_json({"schema_version": SCHEMA_VERSION, "policies": figures})
        return
    header = ["policy", "jobs", "mean wait s", "max wait s", "slowdown", "makespan s", "utilization"]
    rows = [
        [
            name,
            f"{result.jobs:,}",
            f"{result.mean_wait:,.2f}",
            f"{result.max_wait:,.0f}",
            f"{result.mean_slowdown:.2f}",
            f"{result.makespan:,.0f}",
            f"{result.utilization:.1%}",
        ]
        for name, result in found.items()
    ]
    echo(text_table(header, rows, right=(1, 2, 3, 4, 5, 6)))
