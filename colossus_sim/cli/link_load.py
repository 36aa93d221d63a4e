"""``colossus-sim topology load``: what the jobs of a run put on the cables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli.common import Settings, echo, echo_json, note, output_options, text_table
from colossus_sim.units import DAY, format_instant, format_si

if TYPE_CHECKING:
    from colossus_sim.network.links import Links
    from colossus_sim.network.run_load import RunLoad, Sending
    from colossus_sim.results.result import Result
    from colossus_sim.specs.hardware import Gpu
    from colossus_sim.specs.topology import Topology
    from colossus_sim.topology.fabric import Fabric

SCHEMA_VERSION = 1
REPLAY_TOLERANCE = 1e-9
"""Relative difference of the end of a run played again; run.json holds it rounded to 15 digits."""
MOST_JOBS = 12
"""Rows of the table of jobs; the others are added up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """One partition of a run, and the load of its network."""

    place: str
    topology: Topology
    gpu: Gpu
    fabric: Fabric
    links: Links
    load: RunLoad


@click.command("load")
@click.argument("run_folder", type=click.Path())
@click.option(
    "--at", metavar="DATE", help="At this moment (2026-03-01 or 2026-03-01T12:00) instead of on average."
)
@click.option("--partition", metavar="SITE/NAME", help="This partition only.  [default: all]")
@click.option(
    "--png", type=click.Path(dir_okay=False), metavar="FILE", help="Draw the loads into FILE (.png, .svg)."
)
@click.option("--dark", is_flag=True, help="Light on dark.")
@output_options
def load(
    run_folder: str, *, at: str | None, partition: str | None, png: str | None, dark: bool, settings: Settings
) -> None:
    """Print how full the cables of each tier were in a run, and because of which jobs.

    The run is played again with its seed for where the jobs sat and what they sent; this takes as long as the run
    did. A load is the share of the wire rate of all cables of a link: of the NICs of a scale-up domain, of the
    uplinks of a leaf group or pod, of the cables between two groups of a dragonfly. It is an average over training
    steps; while a job communicates its links are fuller.

    \b
    Examples:
      colossus-sim topology load out/contention_4to1-central-seed20260408
      colossus-sim topology load out/quickstart-central-seed1 --at 2026-02-01 --png load.png
    """
    from colossus_sim.errors import UsageError

    if png is None and dark:
        raise UsageError("--dark changes the picture: name its file with --png FILE")
    result = _load_run(run_folder)
    moment = None if at is None else _moment(at, result)
    found = _loads(result, moment, partition)
    if png is not None:
        note(f"wrote {_draw(found, result, moment, png, dark=dark)}", settings)
    if settings.json:
        echo_json({"schema_version": SCHEMA_VERSION, "partitions": [_document(one, result) for one in found]})
        return
    echo("\n\n".join(_text(one, result, moment) for one in found))


def _load_run(run_folder: str) -> Result:
    from colossus_sim.errors import OutputError
    from colossus_sim.results.store import load_run

    result = load_run(run_folder)
    if result.scenario is None:
        raise OutputError("the run folder holds no scenario that this version reads; loads need it")
    return result


def _moment(text: str, result: Result) -> float:
    """Return a date as seconds since the start of the run."""
    from colossus_sim.errors import UsageError
    from colossus_sim.units import parse_instant

    try:
        moment: float = parse_instant(text) - result.scenario.start
    except ValueError as error:
        raise UsageError(f"--at: {error}") from error
    end = float(result.manifest["end_time_s"])
    if not 0.0 <= moment < end:
        first, last = (format_instant(result.scenario.start + time) for time in (0.0, end))
        raise UsageError(f"--at: {text} is not within the run, {first} to {last}")
    return moment


def _loads(result: Result, moment: float | None, partition: str | None) -> list[_Loaded]:
    from colossus_sim.errors import UsageError
    from colossus_sim.network.links import links_of
    from colossus_sim.network.run_load import load_at, run_load
    from colossus_sim.topology.builders import build_fabric

    places = {
        f"{site}/{name}": (spec.topology, part)
        for site, spec in result.scenario.cluster.sites.items()
        for name, part in spec.partitions.items()
    }
    if partition is not None and partition not in places:
        raise UsageError(f"--partition: there is no {partition!r}; partitions: {', '.join(places)}")
    sendings, end = _replay(result)
    found = []
    for place, (topology, part) in places.items():
        if partition not in (None, place):
            continue
        fabric = build_fabric(topology, part.gpu, part.most_gpus)
        links, sent = links_of(topology, part.gpu, fabric), sendings.get(place, [])
        loads = run_load(links, sent, 0.0, end) if moment is None else load_at(links, sent, moment)
        found.append(
            _Loaded(place=place, topology=topology, gpu=part.gpu, fabric=fabric, links=links, load=loads)
        )
    return found


def _replay(result: Result) -> tuple[dict[str, list[Sending]], float]:
    """Play the run again; return what was sent per partition, and when the run ended. [s]"""
    from colossus_sim.engine.runner import simulate
    from colossus_sim.engine.traffic_log import TrafficLog
    from colossus_sim.errors import OutputError

    log = TrafficLog()
    again = simulate(result.scenario, seed=int(result.manifest["seed"]), watch=log)
    recorded = float(result.manifest["end_time_s"])
    if not math.isclose(again.end_time, recorded, rel_tol=REPLAY_TOLERANCE):
        raise OutputError(
            f"played again, the run ends on day {again.end_time / DAY:.3f} instead of {recorded / DAY:.3f}: it was "
            "made by another version; run the scenario once more"
        )
    return {"/".join(place): sent for place, sent in log.sendings.items()}, again.end_time


def _when(result: Result, moment: float | None) -> str:
    start, end = result.scenario.start, float(result.manifest["end_time_s"])
    if moment is not None:
        return f"at {format_instant(start + moment)}"
    return f"mean from {format_instant(start)} to {format_instant(start + end)}"


def _draw(found: list[_Loaded], result: Result, moment: float | None, target: str, *, dark: bool) -> str:
    from colossus_sim.errors import UsageError
    from colossus_sim.network.run_load import edge_loads
    from colossus_sim.plots.draw import save_figure
    from colossus_sim.plots.loads import LoadScale
    from colossus_sim.plots.topology import draw_topology
    from colossus_sim.topology.quotient import quotient_graph

    busy = [one for one in found if one.load.peak.max() > 0] or found
    if len(busy) > 1:
        places = ", ".join(one.place for one in busy)
        raise UsageError(f"--png draws one partition: choose with --partition one of {places}")
    one, when = busy[0], _when(result, moment)
    graph = quotient_graph(one.topology, one.gpu, one.fabric.gpus)
    loads = edge_loads(graph, one.links, one.load.mean)
    figure = draw_topology(
        one.fabric,
        graph,
        load=loads,
        scale=LoadScale(words=f"load by the jobs of the run, {when}", own_range=True),
        title=f"{one.place} in {result.manifest['scenario']}: load of the cables",
        dark=dark,
    )
    return str(save_figure(figure, target, dark=dark))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _text(one: _Loaded, result: Result, moment: float | None) -> str:
    head = f"{one.place}, {one.fabric.gpus:,} GPUs on {one.fabric.name}: load {_when(result, moment)}"
    if not any(tier.jobs for tier in one.load.tiers):
        return f"{head}\n\nNo job computes here{'' if moment is None else ' then'}: every load is 0."
    rows = []
    for tier, slots in zip(one.load.tiers, one.links.slots, strict=True):
        row = [
            tier.name,
            f"{slots.stop - slots.start:,}",
            format_si(tier.capacity, "B/s"),
            _percent(tier.mean),
        ]
        row.append(_percent(tier.busiest))
        if moment is None:
            row += [_percent(tier.peak), format_instant(result.scenario.start + tier.peak_time)]
        rows.append(row)
    header = ["cables", "links", "capacity", "mean load", "busiest link"]
    header += ["highest ever", "on"] if moment is None else []
    return f"{head}\n\n{text_table(header, rows, right=(1, 2, 3, 4, 5))}\n\n{_jobs(one)}"


def _jobs(one: _Loaded) -> str:
    """Return what each job sends over each tier, the heaviest on the last tier first."""
    tiers = one.load.tiers
    names = sorted(tiers[-1].jobs, key=lambda job: (-tiers[-1].jobs[job], job))
    rows = [[name, *(format_si(tier.jobs[name], "B/s") for tier in tiers)] for name in names[:MOST_JOBS]]
    if len(names) > MOST_JOBS:
        rest = names[MOST_JOBS:]
        sums = [math.fsum(tier.jobs[name] for name in rest) for tier in tiers]
        rows.append([f"{len(rest)} others", *(format_si(value, "B/s") for value in sums)])
    header = ("job, one direction", *(f"over {tier.name}" for tier in tiers))
    return text_table(header, rows, right=tuple(range(1, len(header))))


def _document(one: _Loaded, result: Result) -> dict[str, Any]:
    return {
        "partition": one.place,
        "topology": one.fabric.name,
        "gpus": one.fabric.gpus,
        "tiers": [
            {
                "name": tier.name,
                "links": slots.stop - slots.start,
                "capacity_B_per_s": tier.capacity,
                "mean_load": tier.mean,
                "busiest_link_load": tier.busiest,
                "peak_load": tier.peak,
                "peak_date": format_instant(result.scenario.start + tier.peak_time),
                "jobs_B_per_s": tier.jobs,
            }
            for tier, slots in zip(one.load.tiers, one.links.slots, strict=True)
        ],
    }
