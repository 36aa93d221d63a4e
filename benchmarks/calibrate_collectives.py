"""Fits the constants of collectives inside one NVLink domain, per NVLink generation, on the shipped measurements.

    python benchmarks/calibrate_collectives.py [--write]

Fitted are the fixed and per-hop latencies of each protocol, the bus bandwidth at which LL stops, the overhead of
filling pipelines, and the latency and overhead of in-network reduction (its rate is a measured plateau). Priors
are the present values of data/collectives.yaml; each may move by about a third. A system of n measurements counts
as sqrt(n) (one vendor's tables are most of the rows); measurements of another library than NCCL are left out of
the fit, not of the scores.
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

from colossus_sim.specs.topology import CollectiveConstants  # noqa: E402
from colossus_sim.validation.collective_model import CollectivePredictor  # noqa: E402
from colossus_sim.validation.collectives import CollectiveRow, read_collective_rows  # noqa: E402
from colossus_sim.validation.inputs import shipped_inputs  # noqa: E402
from colossus_sim.validation.rows import shipped  # noqa: E402

CATALOG = ROOT / "colossus_sim" / "data" / "collectives.yaml"
NOISE, SPREAD = 0.08, 0.35
GENERATIONS = {"nccl_nvlink3": "A100", "nccl_nvlink4": "H[12]00", "nccl_nvlink5": "G?B[23]00"}
OTHER_LIBRARIES = ("azure-ndm-a100v4", "aic-h100-deepep")
PROTOCOL_FIELDS = (
    "base_latency",
    "ring_hop_scale_up",
    "tree_hop_scale_up",
    "pipeline_overhead",
    "busbw_limit_scale_up",
)
EXCHANGE_FIELDS = ("exchange_hop_scale_up", "exchange_bandwidth_fraction", "own_copy_weight")
NETWORK_FIELDS = ("latency", "pipeline_overhead")

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


def fit(name: str, rows: Sequence[CollectiveRow]) -> tuple[dict[Place, float], float, float]:
    """Return fitted constants of a generation, and the mean error before and after."""
    inputs = shipped_inputs()
    base = inputs.collectives[name]
    where = places(base)
    prior = np.array([value(base, place) for place in where])
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.system] = counts.get(row.system, 0) + 1
    weights = np.array([counts[row.system] ** -0.25 for row in rows])

    def errors(x: np.ndarray) -> np.ndarray:
        values = dict(zip(where, prior * np.exp(SPREAD * x), strict=True))
        known = {**inputs.collectives, name: changed(base, values)}
        predictions, _ = CollectivePredictor(inputs.gpus, known).predict(rows)
        return np.array([math.log(p.predicted / p.row.time) for p in predictions])

    def residuals(x: np.ndarray) -> np.ndarray:
        scaled = errors(x) / NOISE
        robust = np.sign(scaled) * 2.0 * np.sqrt(2.0 * (np.sqrt(1.0 + (scaled / 2.0) ** 2) - 1.0))
        return np.concatenate([robust * weights, x])

    start = np.zeros(len(where))
    before = float(np.abs(np.expm1(errors(start))).mean())
    result = least_squares(residuals, start, diff_step=0.05, max_nfev=12)
    after = float(np.abs(np.expm1(errors(result.x))).mean())
    return dict(zip(where, prior * np.exp(SPREAD * result.x), strict=True)), before, after


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
            and re.fullmatch(f"(?:{pattern}).*", row.gpu)
            and (row.n_gpus <= row.gpus_per_node or row.gpu.startswith("GB"))
            and row.system not in OTHER_LIBRARIES
        ]
        values, before, after = fit(name, rows)
        print(f"{name}: {len(rows)} rows, mean error {before:.1%} before, {after:.1%} after")
        for (part, field), number in values.items():
            print(f"    {part} {field}: {shown(field, number)}")
        if options.write:
            write(name, values)


if __name__ == "__main__":
    main()
