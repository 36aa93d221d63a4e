"""``colossus-sim calibrate``: a network file from measurements of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli.common import Settings, output_options

if TYPE_CHECKING:
    from colossus_sim.validation.fabric_fit import FabricFit

SCHEMA_VERSION = 1


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--topology", "base", required=True, help="Network to start from: a shipped one or a YAML file."
)
@click.option("--operation", help="What was timed, where the logs do not say: all_reduce, all_to_all, ...")
@click.option(
    "--out", "-o", "target", required=True, type=click.Path(path_type=Path), help="Topology file to write."
)
@output_options
def calibrate(
    logs: tuple[Path, ...], base: str, operation: str | None, target: Path, settings: Settings
) -> None:
    """Fit a network to the LOGS of nccl-tests on it and write it as a topology file.

    \b
    Logs of one host fit NVLink, logs of several hosts fit the network; one run per file:
      all_reduce_perf -b 8 -e 8G -f 2 -g 8 > one_host.log
      mpirun -np 16 ... all_reduce_perf -b 8 -e 8G -f 2 -g 1 > two_hosts.log
      colossus-sim calibrate one_host.log two_hosts.log --topology hgx_h100_1k -o mine.yaml
    """
    from colossus_sim.cli.common import echo, echo_json, note
    from colossus_sim.cli.topology import named_topology
    from colossus_sim.errors import OutputError, UsageError
    from colossus_sim.validation.fabric_fit import fabric_text, fit_fabric
    from colossus_sim.validation.nccl_tests import OPERATIONS, read_nccl_tests

    if operation is not None and operation not in OPERATIONS.values():
        raise UsageError(f"--operation: unknown {operation!r}; known: {', '.join(OPERATIONS.values())}")
    if target.exists():
        raise OutputError(f"{target} exists already; name another file")
    files = [path.resolve() for path in logs]
    for number, path in enumerate(logs):
        if files[number] in files[:number]:
            raise UsageError(f"{path} is given twice; it would count twice")
    runs = [read_nccl_tests(path, operation) for path in logs]
    topology, gpu = named_topology(base)
    fit = fit_fabric(topology, gpu, runs)
    try:
        target.write_text(fabric_text(fit, _seen_from(target, base), runs), encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from error
    if settings.json:
        echo_json(_document(fit))
        return
    count = sum(len(run.timings) for run in runs)
    echo(f"{count} timings: mean error {fit.before:.1%} with {base}, {fit.after:.1%} fitted")
    if fit.after >= fit.before:
        echo(f"no constants fit these timings better, so those of {base} are kept")
    for name, factor in fit.factors.items():
        echo(f"  {name}: x {factor:.3g}")
    if fit.overheads is not None:
        before, after = (1e6 * overhead for overhead in fit.overheads)
        echo(f"  pipeline overhead across domains: {before:.3g} us -> {after:.3g} us")
    for log, short in fit.far_off.items():
        echo(
            f"warning: the fit misses the largest sizes of {log} by {short:.0%}, so the file does not describe "
            "their bandwidth"
        )
    note(f"wrote {target}", settings)


def _seen_from(target: Path, base: str) -> str:
    """Return the network as a file at `target` names it: files relative to it, shipped networks by name."""
    if not base.lower().endswith((".yaml", ".yml")):
        return base
    return Path(os.path.relpath(Path(base).resolve(), target.resolve().parent)).as_posix()


def _document(fit: FabricFit) -> dict[str, Any]:
    before, after = fit.overheads or (None, None)
    return {
        "schema_version": SCHEMA_VERSION,
        "error_before": fit.before,
        "error_after": fit.after,
        "factors": dict(fit.factors),
        "pipeline_overhead_across_before_s": before,
        "pipeline_overhead_across_after_s": after,
        "far_off": dict(fit.far_off),
    }
