"""Fits the constants of collectives inside one NVLink domain, per NVLink generation, on the shipped measurements.

    python benchmarks/calibrate_collectives.py [--write]

Fitted are the fixed and per-hop latencies of each protocol, the bus bandwidth at which LL stops, the overhead of
filling pipelines, the latency of in-network reduction (its rate is a measured plateau), the weights of a rank's
own share and the constants of all-to-alls. Priors are the present values of data/collectives.yaml; each may move
by about a third. A system of n measurements counts as sqrt(n) (one vendor's tables are most of the rows);
published plateaus of 8 GiB hold the far end. Measurements of another library than NCCL, and small messages of
systems that time their host, are left out of the fit, not of the scores.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from colossus_sim.formulas.collectives import bus_factor  # noqa: E402
from colossus_sim.specs.topology import CollectiveConstants  # noqa: E402
from colossus_sim.validation.collective_model import CollectivePredictor  # noqa: E402
from colossus_sim.validation.collectives import CollectiveRow, read_collective_rows  # noqa: E402
from colossus_sim.validation.inputs import shipped_inputs  # noqa: E402
from colossus_sim.validation.rows import shipped  # noqa: E402

CATALOG = ROOT / "colossus_sim" / "data" / "collectives.yaml"
NOISE, SPREAD = 0.08, 0.35
WIDE_SPREAD = {"own_copy_weight": 0.7, "reduced_copy_weight": 0.5, "exchange_copy_weight": 0.7}
"""Constants of which little is known beforehand."""
PLATEAUS = (
    ("nccl_nvlink3", "A100-80GB", 8, "all_reduce", 227e9),
    ("nccl_nvlink4", "H100", 8, "all_gather", 364e9),
    ("nccl_nvlink4", "H100", 8, "all_reduce", 478e9),
    ("nccl_nvlink5", "B200", 8, "all_gather", 678e9),
    ("nccl_nvlink5", "GB200", 72, "all_reduce", 841e9),
)
"""Bus bandwidths published for messages of 8 GiB: generation, GPU, ranks, operation, B/s."""
PLATEAU_WEIGHT = 4.0
GENERATIONS = {"nccl_nvlink3": "A100", "nccl_nvlink4": "H[12]00", "nccl_nvlink5": "G?B[23]00"}
OTHER_LIBRARIES = ("azure-ndm-a100v4", "aic-h100-deepep")
LAUNCH_BOUND = ("azure-nda100v4-1n", "azure-ndh100v5-1n", "aws-p6b200-1n")
"""Systems where one host thread launches all GPUs, or Python does: below LAUNCH_BOUND_SIZE they time the host."""
LAUNCH_BOUND_SIZE = 16 * 2**20
PROTOCOL_FIELDS = (
    "base_latency",
    "ring_hop_scale_up",
    "tree_hop_scale_up",
    "pipeline_overhead",
    "busbw_limit_scale_up",
)
EXCHANGE_FIELDS = (
    "exchange_hop_scale_up",
    "exchange_bandwidth_fraction",
    "own_copy_weight",
    "reduced_copy_weight",
    "exchange_copy_weight",
)
NETWORK_FIELDS = ("latency",)

Place = tuple[str, str]
"""Protocol (or ``in_network``, or ``entry`` for all-to-all) and field."""


def places(constants: CollectiveConstants) -> list[Place]:
    """Return the fitted constants of an entry."""
    found = [
        (protocol.name, field)
        for protocol in constants.protocols
        for field in PROTOCOL_FIELDS
        if getattr(protocol, field)
    ]
    if constants.in_network is not None:
        found += [("in_network", field) for field in NETWORK_FIELDS]
    return found + [("entry", field) for field in EXCHANGE_FIELDS]


def value(constants: CollectiveConstants, place: Place) -> float:
    """Return one constant."""
    name, field = place
    if name == "entry":
        return float(getattr(constants, field))
    if name == "in_network":
        return float(getattr(constants.in_network, field))
    return float(next(getattr(p, field) for p in constants.protocols if p.name == name))


def changed(constants: CollectiveConstants, values: dict[Place, float]) -> CollectiveConstants:
    """Return an entry with other constants."""
    protocols = tuple(
        protocol.model_copy(update={f: v for (n, f), v in values.items() if n == protocol.name})
        for protocol in constants.protocols
    )
    update: dict[str, object] = {"protocols": protocols}
    update |= {field: number for (name, field), number in values.items() if name == "entry"}
    if constants.in_network is not None:
        own = {f: v for (n, f), v in values.items() if n == "in_network"}
        update["in_network"] = constants.in_network.model_copy(update=own)
    return constants.model_copy(update=update)


def plateaus(name: str) -> list[CollectiveRow]:
    """Return the published plateaus of a generation as measurements."""
    size = float(8 * 2**30)
    return [
        CollectiveRow(
            line=0,
            source="plateau",
            system="plateau",
            gpu=gpu,
            gpus_per_node=8,
            n_gpus=ranks,
            collective=operation,
            algorithm="",
            message_bytes=size,
            time=bus_factor(operation, ranks) * size / busbw,
            fabric="NVL72" if ranks > 8 else "",
            nic_gbps=None,
            grade="A",
            notes="",
        )
        for generation, gpu, ranks, operation, busbw in PLATEAUS
        if generation == name
    ]


def fit(name: str, rows: Sequence[CollectiveRow]) -> tuple[dict[Place, float], float, float]:
    """Return fitted constants of a generation, and the mean error before and after."""
    inputs = shipped_inputs()
    base = inputs.collectives[name]
    where = places(base)
    prior = np.array([value(base, place) for place in where])
    spread = np.array([WIDE_SPREAD.get(field, SPREAD) for _, field in where])
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.system] = counts.get(row.system, 0) + 1
    anchors = plateaus(name)
    weights = np.array([counts[row.system] ** -0.25 for row in rows] + [PLATEAU_WEIGHT] * len(anchors))

    def values_at(x: np.ndarray) -> dict[Place, float]:
        found = prior * np.exp(spread * x)
        return {p: min(v, 1.0) if p[1].endswith("weight") else v for p, v in zip(where, found, strict=True)}

    def errors(x: np.ndarray) -> np.ndarray:
        values = values_at(x)
        known = {**inputs.collectives, name: changed(base, values)}
        predictions, _ = CollectivePredictor(inputs.gpus, known).predict([*rows, *anchors])
        return np.array([math.log(p.predicted / p.row.time) for p in predictions])

    def residuals(x: np.ndarray) -> np.ndarray:
        scaled = errors(x) / NOISE
        robust = np.sign(scaled) * 2.0 * np.sqrt(2.0 * (np.sqrt(1.0 + (scaled / 2.0) ** 2) - 1.0))
        return np.concatenate([robust * weights, x])

    start = np.zeros(len(where))
    before = float(np.abs(np.expm1(errors(start)))[: len(rows)].mean())
    result = least_squares(residuals, start, diff_step=0.05, max_nfev=12)
    after = float(np.abs(np.expm1(errors(result.x)))[: len(rows)].mean())
    return values_at(result.x), before, after


def write(name: str, values: dict[Place, float]) -> None:
    """Write fitted constants into the catalog: into the entry and into its variant for another fabric."""
    text = CATALOG.read_text(encoding="utf-8")
    for entry_name in (name, f"{name}_efa"):
        match = re.search(rf"(?ms)^{entry_name}:\n.*?(?=^\S|\Z)", text)
        if match is None:
            continue
        entry = match[0]
        for (part, field), number in values.items():
            head = "  in_network:\n" if part == "in_network" else f"    - name: {part}\n"
            start = 0 if part == "entry" else entry.index(head)
            pattern = re.compile(rf"(?m)^( +){field}: .*$")
            entry = entry[:start] + pattern.sub(
                rf"\g<1>{field}: {shown(field, number)}", entry[start:], count=1
            )
        text = text.replace(match[0], entry)
    CATALOG.write_text(text, encoding="utf-8")


def shown(field: str, number: float) -> str:
    """Return a constant with its unit."""
    if field.startswith("busbw_limit"):
        return f"{number / 1e9:.3g} GB/s"
    return f"{number:.3g}" if field.endswith(("_fraction", "_weight")) else f"{number * 1e6:.3g} us"


def main() -> None:
    """Fit every generation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write data/collectives.yaml")
    options = parser.parse_args()
    measured = read_collective_rows(shipped("nccl_rows.csv"))
    for name, pattern in GENERATIONS.items():
        rows = [
            row
            for row in measured
            if row.grade != "C"
            and not row.unreadable
            and re.fullmatch(f"(?:{pattern}).*", row.gpu)
            and (row.n_gpus <= row.gpus_per_node or row.gpu.startswith("GB"))
            and row.system not in OTHER_LIBRARIES
            and not (row.system in LAUNCH_BOUND and row.message_bytes < LAUNCH_BOUND_SIZE)
        ]
        values, before, after = fit(name, rows)
        print(f"{name}: {len(rows)} rows, mean error {before:.1%} before, {after:.1%} after")
        for (part, field), number in values.items():
            print(f"    {part} {field}: {shown(field, number)}")
        if options.write:
            write(name, values)


if __name__ == "__main__":
    main()
