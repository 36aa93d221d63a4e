"""Fits a network to nccl-tests of its own: efficiencies, latencies and pipeline overheads."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

from colossus_sim.errors import UsageError
from colossus_sim.parallelism.collective_time import group_collective_time
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import CollectiveConstants, Protocol, Topology
from colossus_sim.topology.builders import build_fabric
from colossus_sim.validation.collective_model import packed_span
from colossus_sim.validation.nccl_tests import NcclRun

NOISE, SPREAD = 0.1, 1.0
"""Relative scatter of one timing; how far (logarithm) a constant may go from its value before."""
LEAST_OVERHEAD = 20e-6
"""Unit in which a smaller pipeline overhead across domains grows. [s]"""
SLOWER = (1.0, 0.5, 0.25, 0.1, 0.05)
"""Shares of an efficiency before that the search starts from. Where NVLink, not the NICs, sets the pace (NVLS
between two hosts), no small change of the link efficiency changes a time, so that one start would keep it."""
LARGEST, FAR_OFF = 0.25, 0.15
"""Sizes from this share of a log's largest on show the bandwidth; their mean error that is worth a warning."""

_INSIDE = ("base_latency", "ring_hop_scale_up", "tree_hop_scale_up")
_ACROSS = ("ring_hop_scale_out", "tree_hop_scale_out")

Change = Callable[[Topology, float], Topology]


class _Knob(NamedTuple):
    """A group of constants that is fitted."""

    change: Change
    """Return the network with it changed by a factor."""
    limit: float = 6.0
    """Largest logarithm of the factor, over `SPREAD`."""
    starts: tuple[float, ...] = (1.0,)
    """Factors to start from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricFit:
    """A fitted network."""

    topology: Topology
    before: float
    """Mean absolute error of the timings with the constants before. [-]"""
    after: float
    factors: Mapping[str, float]
    """What each group of constants was multiplied by, one for the pipeline overhead across domains left out."""
    overheads: tuple[float, float] | None
    """That overhead before and after, of the protocol with most of it; None = no run crosses domains. [s]"""
    far_off: Mapping[str, float]
    """Logs whose largest sizes the fit does not reach, and their mean absolute error there. [-]"""


def fit_fabric(topology: Topology, gpu: Gpu, runs: Sequence[NcclRun]) -> FabricFit:
    """Return the network with the constants that these runs can tell, or as it was where none fit better.

    Runs inside one domain fit the scale-up efficiency, latencies and pipeline overheads; runs across domains the
    link efficiency, the latency of steps across, and the pipeline overhead there. Least squares of relative errors
    with the present values as priors, the best from several starts.

    Raises
    ------
    UsageError
        If the network has no collective constants, or a run does not fit on it.
    """
    if topology.collectives is None:
        raise UsageError(f"topology {topology.name!r} has no collectives to start from; name some")
    for run in runs:
        _check(run, topology, gpu)
    knobs = _knobs(topology, gpu, runs)
    before = _mean_error(topology, gpu, runs)
    found = _search(topology, gpu, runs, knobs)
    fitted = _changed(topology, knobs, found)
    after = _mean_error(fitted, gpu, runs)
    if after >= before:
        fitted, after, found = topology, before, np.zeros(len(knobs))
    factors = {name: math.exp(SPREAD * value) for name, value in zip(knobs, found, strict=True)}
    across = factors.pop(_OVERHEAD_ACROSS, None) is not None
    return FabricFit(
        topology=fitted,
        before=before,
        after=after,
        factors=factors,
        overheads=(_most_overhead(topology), _most_overhead(fitted)) if across else None,
        far_off=_far_off(fitted, gpu, runs),
    )


def _search(
    topology: Topology, gpu: Gpu, runs: Sequence[NcclRun], knobs: Mapping[str, _Knob]
) -> NDArray[np.float64]:
    """Return the logarithms of the best factors, over `SPREAD`."""

    def residuals(x: NDArray[np.float64]) -> NDArray[np.float64]:
        errors = _log_errors(_changed(topology, knobs, x), gpu, runs)
        return np.concatenate([np.array(errors) / NOISE, x])

    upper = np.array([knob.limit for knob in knobs.values()])

    def best_from(factors: tuple[float, ...]) -> OptimizeResult:
        start = np.log(factors) / SPREAD
        return least_squares(
            residuals, start, bounds=(-6.0, upper), diff_step=0.05, loss="soft_l1", f_scale=2.0
        )

    ends = map(best_from, itertools.product(*(knob.starts for knob in knobs.values())))
    best: NDArray[np.float64] = min(ends, key=lambda end: float(end.cost)).x
    return best


def _changed(topology: Topology, knobs: Mapping[str, _Knob], x: NDArray[np.float64]) -> Topology:
    for knob, value in zip(knobs.values(), x, strict=True):
        topology = knob.change(topology, math.exp(SPREAD * value))
    return topology


def _mean_error(topology: Topology, gpu: Gpu, runs: Sequence[NcclRun]) -> float:
    return float(np.abs(np.expm1(_log_errors(topology, gpu, runs))).mean())


def _far_off(topology: Topology, gpu: Gpu, runs: Sequence[NcclRun]) -> dict[str, float]:
    found = {}
    for run in runs:
        largest = max(size for size, _ in run.timings)
        few = tuple((size, time) for size, time in run.timings if size >= LARGEST * largest)
        error = _mean_error(topology, gpu, [replace(run, timings=few)])
        if error > FAR_OFF:
            found[str(run.path)] = error
    return found


def _check(run: NcclRun, topology: Topology, gpu: Gpu) -> None:
    if run.ranks > topology.gpus:
        raise UsageError(
            f"{run.path}: {run.ranks} ranks, but topology {topology.name!r} has {topology.gpus} GPUs"
        )
    if run.nodes > 1 and run.ranks // run.nodes > gpu.scale_up_domain:
        raise UsageError(
            f"{run.path}: {run.ranks // run.nodes} ranks per host, but a domain of {gpu.name} has "
            f"{gpu.scale_up_domain}"
        )


def _inside(run: NcclRun, gpu: Gpu) -> bool:
    return run.ranks <= gpu.scale_up_domain and (run.nodes == 1 or gpu.scale_up_domain > gpu.gpus_per_node)


def _log_errors(topology: Topology, gpu: Gpu, runs: Sequence[NcclRun]) -> list[float]:
    found = []
    for run in runs:
        per_domain = min(run.ranks, gpu.scale_up_domain)
        if not _inside(run, gpu) and gpu.scale_up_domain <= gpu.gpus_per_node:
            per_domain = run.ranks // run.nodes
        domains = -(-run.ranks // per_domain)
        fabric = build_fabric(topology, gpu, domains * gpu.scale_up_domain)
        span = packed_span(run.ranks, per_domain, fabric)
        for size, measured in run.timings:
            predicted = group_collective_time(run.operation, size, span, fabric).time
            found.append(math.log(predicted / measured))
    return found


_OVERHEAD_ACROSS = "pipeline overhead across domains"


def _knobs(topology: Topology, gpu: Gpu, runs: Sequence[NcclRun]) -> dict[str, _Knob]:
    """Return the groups of constants that the runs can tell, by name."""
    found = {}
    if any(_inside(run, gpu) for run in runs):
        found["scale_up_efficiency"] = _efficiency("scale_up_efficiency", topology.scale_up_efficiency)
        found["latencies inside a domain"] = _Knob(lambda t, f: _scaled(t, f, _INSIDE))
        found["pipeline overhead inside a domain"] = _Knob(lambda t, f: _scaled(t, f, ("pipeline_overhead",)))
    if any(not _inside(run, gpu) for run in runs):
        found["link_efficiency"] = _efficiency("link_efficiency", topology.link_efficiency)
        found["latencies across domains"] = _Knob(lambda t, f: _scaled(t, f, _ACROSS))
        # Times grow with the root of an overhead, infinitely fast from zero: one start is away from it.
        starts = (1.0, 2.0) if _most_overhead(topology) < LEAST_OVERHEAD else (1.0,)
        found[_OVERHEAD_ACROSS] = _Knob(_overhead_across, starts=starts)
    return found


def _efficiency(field: str, value: float) -> _Knob:
    def change(topology: Topology, factor: float) -> Topology:
        return topology.model_copy(update={field: min(1.0, getattr(topology, field) * factor)})

    return _Knob(change, max(-math.log(value) / SPREAD, 1e-6), SLOWER)


def _scaled(topology: Topology, factor: float, fields: Sequence[str]) -> Topology:
    def protocol(old: Protocol) -> Protocol:
        return old.model_copy(update={field: getattr(old, field) * factor for field in fields})

    changed = _with_protocols(topology, protocol)
    constants = changed.collectives
    if constants is None or constants.in_network is None:
        return changed
    name = {"base_latency": "latency", "pipeline_overhead": "pipeline_overhead"}.get(fields[0])
    if name is None:
        return changed
    own = constants.in_network.model_copy(update={name: getattr(constants.in_network, name) * factor})
    return changed.model_copy(update={"collectives": constants.model_copy(update={"in_network": own})})


def _overhead_across(topology: Topology, factor: float) -> Topology:
    def protocol(old: Protocol) -> Protocol:
        before = old.pipeline_overhead_scale_out
        grown = max(0.0, before + max(before, LEAST_OVERHEAD) * (factor - 1.0))
        return old.model_copy(update={"pipeline_overhead_scale_out": grown})

    return _with_protocols(topology, protocol)


def _most_overhead(topology: Topology) -> float:
    protocols = topology.collectives.protocols if topology.collectives else ()
    return max((one.pipeline_overhead_scale_out for one in protocols), default=0.0)


def _with_protocols(topology: Topology, change: Callable[[Protocol], Protocol]) -> Topology:
    constants = topology.collectives
    if constants is None:
        return topology
    protocols = tuple(change(protocol) for protocol in constants.protocols)
    return topology.model_copy(update={"collectives": constants.model_copy(update={"protocols": protocols})})


def fabric_text(fit: FabricFit, base: str, runs: Sequence[NcclRun]) -> str:
    """Return the fitted network as a topology file that builds on the one it started from."""
    topology, constants = fit.topology, fit.topology.collectives
    lines = ["# Written by colossus-sim calibrate. Use it as `topology: THIS_FILE` of a site."]
    for run in runs:
        lines.append(
            f"#   {run.path.name}: {len(run.timings)} sizes of {run.operation} on {run.ranks} GPUs "
            f"of {run.nodes} host(s)"
        )
    lines += [
        f"# Mean absolute error of these timings: {fit.before:.1%} before, {fit.after:.1%} after.",
        f"use: {base}",
        f"scale_up_efficiency: {topology.scale_up_efficiency:.4g}",
        f"link_efficiency: {topology.link_efficiency:.4g}",
    ]
    if constants is not None:
        lines += [
            "collectives:",
            *_constants_lines(constants),
            f"    checked: {max(run.month for run in runs)}",
        ]
    return "\n".join(lines) + "\n"


def _constants_lines(constants: CollectiveConstants) -> list[str]:
    lines = ["  protocols:"]
    for protocol in constants.protocols:
        fields = protocol.model_dump(exclude_defaults=True, exclude={"name"})
        lines.append(f"    - name: {protocol.name}")
        lines += [f"      {name}: {_shown(name, value)}" for name, value in fields.items()]
    blocks = {"in_network": constants.in_network, "fabric_reduction": constants.fabric_reduction}
    for block, switches in blocks.items():
        if switches is not None:
            lines.append(f"  {block}:")
            fields = switches.model_dump(exclude_defaults=True)
            lines += [f"    {name}: {_shown(name, value)}" for name, value in fields.items()]
    rest = constants.model_dump(
        exclude_defaults=True, exclude={"name", "protocols", *blocks, "provenance", "hierarchical"}
    )
    lines += [f"  {name}: {_shown(name, value)}" for name, value in rest.items()]
    lines.append(f"  hierarchical: {str(constants.hierarchical).lower()}")
    lines += ["  provenance:", "    kind: measurement", "    reference: own nccl-tests, named above"]
    return lines


def _shown(name: str, value: float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if name.startswith("busbw_limit"):
        return f"{value / 1e9:.4g} GB/s"
    if name == "point_to_point_limit":
        return f"{value:.0f} B"
    if name.endswith(("_fraction", "_weight", "_multiple")) or name == "min_group":
        return f"{value:.4g}"
    return f"{value * 1e6:.4g} us"
