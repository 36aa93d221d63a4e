"""``colossus-sim catalog``: what can be named in a scenario, with sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli.common import Settings, echo, echo_json, output_options, text_table

if TYPE_CHECKING:
    from pydantic import BaseModel

SCHEMA_VERSION = 1


@click.command("catalog")
@click.argument("kind", metavar="KIND")
@click.argument("name", required=False, metavar="[NAME]")
@output_options
def catalog(kind: str, name: str | None, settings: Settings) -> None:
    """List the entries of a KIND, or show one entry with all its fields.

    KIND is one of gpus, models, topologies, storage, collectives, stacks, calibrations, faults,
    parts, scenarios.
    """
    from colossus_sim.loading.listing import check_kind, entry_names, written_entry

    check_kind(kind)
    if name is not None:
        _one(kind, name, settings)
    elif settings.json:
        entries = {entry: written_entry(kind, entry) for entry in entry_names(kind)}
        echo_json({"schema_version": SCHEMA_VERSION, "kind": kind, "entries": entries})
    elif kind == "scenarios":
        rows = [_scenario_row(entry, written_entry(kind, entry)) for entry in entry_names(kind)]
        echo(text_table(["name", "title", "question"], rows))
    else:
        _table(kind)


def _one(kind: str, name: str, settings: Settings) -> None:
    from colossus_sim.loading.listing import written_entry

    entry = written_entry(kind, name)
    if settings.json:
        echo_json({"schema_version": SCHEMA_VERSION, "kind": kind, "name": name, "entry": entry})
        return
    rows = [[path, str(value)] for path, value in _flat(entry, "")]
    echo(text_table([f"{kind}: {name}", ""], rows))


def _flat(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [pair for key, item in value.items() for pair in _flat(item, f"{path}.{key}" if path else key)]
    if isinstance(value, tuple) and value:
        return [pair for index, item in enumerate(value) for pair in _flat(item, f"{path}[{index}]")]
    return [(path, value)]


def _scenario_row(name: str, entry: Mapping[str, Any]) -> list[str]:
    return [name, str(entry.get("title", "")), " ".join(str(entry.get("question", "")).split())]


def _table(kind: str) -> None:
    from colossus_sim.loading.listing import load_entries

    columns = _COLUMNS[kind]
    rows = []
    for name, record in load_entries(kind).items():
        source: Any = getattr(record, "provenance", None)
        rows.append([name, *(show(record) for show in columns.values()), *_source(source)])
    right = [index for index, title in enumerate(("", *columns), start=0) if title in _RIGHT]
    echo(text_table(["name", *columns, "kind of source", "source"], rows, right=right))


def _source(provenance: Any) -> list[str]:
    if provenance is None:
        return ["", ""]
    return [provenance.kind, " ".join(provenance.reference.split())]


def _si(field: str, unit: str) -> Callable[[Any], str]:
    def show(record: Any) -> str:
        from colossus_sim.units import format_si

        value = getattr(record, field)
        return "-" if value is None else format_si(value, unit)

    return show


def _text(field: str) -> Callable[[Any], str]:
    def show(record: BaseModel) -> str:
        value = getattr(record, field)
        return f"{value:,}" if isinstance(value, int) and field != "year" else str(value)

    return show


def _peak(precision: str) -> Callable[[Any], str]:
    def show(record: Any) -> str:
        from colossus_sim.units import format_si

        return format_si(record.peak[precision], "FLOP/s", 4) if precision in record.peak else "-"

    return show


def _parameters(active: bool) -> Callable[[Any], str]:
    def show(record: Any) -> str:
        from colossus_sim.formulas.transformer import count_parameters

        count = count_parameters(record)
        number = count.active if active else count.total
        return f"{number / 1e9:,.1f} B"

    return show


def _fabric(record: Any) -> str:
    fabric = record.fabric
    if fabric.kind == "clos":
        worst = max(tier.oversubscription for tier in fabric.tiers)
        rails = f", {fabric.rails} rails" if fabric.rails > 1 else ""
        return f"clos, {len(fabric.tiers)} tiers, {worst:g}:1{rails}"
    if fabric.kind == "torus":
        return f"torus {'x'.join(str(size) for size in fabric.dims)}"
    return str(fabric.kind)


def _fault_classes(record: Any) -> str:
    names = list(record.classes)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _experts(record: Any) -> str:
    return "dense" if record.moe is None else f"{record.moe.num_experts_per_tok} of {record.moe.num_experts}"


_COLUMNS: dict[str, dict[str, Callable[[Any], str]]] = {
    "gpus": {
        "title": _text("title"),
        "year": _text("year"),
        "bf16 dense": _peak("bf16"),
        "fp8 dense": _peak("fp8"),
        "memory": _si("hbm_capacity", "B"),
        "memory bandwidth": _si("hbm_bandwidth", "B/s"),
        "scale-up": _si("scale_up_bandwidth", "B/s"),
        "domain": _text("scale_up_domain"),
        "NIC": _si("nic_bandwidth", "B/s"),
        "power": _si("power_max", "W"),
    },
    "models": {
        "title": _text("title"),
        "parameters": _parameters(active=False),
        "active": _parameters(active=True),
        "layers": _text("num_hidden_layers"),
        "hidden": _text("hidden_size"),
        "heads": _text("num_attention_heads"),
        "experts": _experts,
    },
    "topologies": {
        "title": _text("title"),
        "gpu": _text("gpu"),
        "GPUs": _text("gpus"),
        "fabric": _fabric,
    },
    "collectives": {
        "protocols": lambda record: ", ".join(protocol.name for protocol in record.protocols),
        "in-network reduction": lambda record: "no" if record.in_network is None else "yes",
    },
    "storage": {
        "title": _text("title"),
        "write": _si("write_bandwidth", "B/s"),
        "read": _si("read_bandwidth", "B/s"),
        "per GPU": _si("bandwidth_per_gpu", "B/s"),
    },
    "stacks": {
        "title": _text("title"),
        "tensor overlap": _text("tensor_overlap"),
        "data overlap": _text("data_overlap"),
        "expert overlap": _text("expert_overlap"),
    },
    "calibrations": {"kernels": lambda record: str(len(record.kernels))},
    "faults": {"classes": _fault_classes},
    "parts": {"title": _text("title"), "rates": lambda record: str(len(record.rates))},
}
_RIGHT = frozenset(
    (
        "year", "bf16 dense", "fp8 dense", "memory", "memory bandwidth", "scale-up", "domain", "NIC", "power",
        "parameters", "active", "layers", "hidden", "heads", "GPUs", "write", "read", "per GPU",
    )
)  # fmt: skip
