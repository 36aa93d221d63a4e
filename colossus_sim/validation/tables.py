"""Sourced look-up tables: which network, device, model detail and software stack a row's words stand for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from colossus_sim.validation.interconnects import Network, stated_network
from colossus_sim.validation.rows import TrainingRow, csv_records, shipped

_MAKERS = re.compile(r"^(?:(?:NVIDIA|AMD|AWS|Google|Instinct|Tesla|DGX|HGX|Ascend)[\s_-]+)+", re.IGNORECASE)

_HOW_MANY = re.compile(
    r"^\d+\s*[x*\N{MULTIPLICATION SIGN}]\s*|(?<!NVL36)\s+[x*\N{MULTIPLICATION SIGN}]\s*\d+\b"
    r"|[\s,;]*\(?(?<![\w.-])\d+\s*[x*\N{MULTIPLICATION SIGN}]?\s*"
    r"(?:GPUs?|nodes?|cards?|devices?|servers?|hosts?)\b\)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Which catalog GPU a row's name stands for, the constants of its collectives, and what differs from it.

    `catalog` is empty for a part that has no entry of its own; `reference` then says why, else what is `assumed`.
    """

    catalog: str
    reference: str = ""
    assumed: bool = False
    collectives: str = ""
    variant: str = ""
    hbm_capacity: float | None = None
    hbm_bandwidth: float | None = None
    scale_up_bandwidth: float | None = None
    scale_up_domain: int | None = None
    power_max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryMeasure:
    """What a source's peak memory means.

    Attributes
    ----------
    unit : str
        GB or GiB.
    scope : str
        states: weights, gradients and optimizer; allocated: all tensors; device: with context and allocator.
    """

    unit: str
    scope: str

    @property
    def bytes_per_unit(self) -> float:
        """Bytes of one unit."""
        return 2.0**30 if self.unit == "GiB" else 1e9


class Tables:
    """The tables of ``data/validation``, read once and asked row by row."""

    def __init__(self) -> None:
        self._networks = tuple(csv_records(shipped("networks.csv")))
        self._models = tuple(csv_records(shipped("models.csv")))
        self._stacks = tuple(csv_records(shipped("stacks.csv")))
        self._memory = tuple(csv_records(shipped("memory.csv")))
        self._gpus = tuple(csv_records(shipped("gpus.csv")))

    def network(self, row: TrainingRow) -> Network:
        """Return the network of a row: a table entry, else what the text states, else unknown."""
        for record in self._networks:
            if _found(record["source_pattern"], row.id) and _found(
                record["interconnect_pattern"], row.interconnect
            ):
                return Network(
                    nic_gbps=float(record["nic_gbps_per_gpu"]),
                    pod_gpus=int(record["pod_gpus"]),
                    pod_oversubscription=float(record["pod_oversubscription"]),
                    reference=record["reference"],
                    assumed=record["kind"] == "assumption",
                )
        return stated_network(row.interconnect, row.gpus_per_node or 8)

    def device(self, name: str, row_id: str = "") -> Device | None:
        """Return the device that a row's GPU name stands for; None if no line of ``gpus.csv`` has that name."""
        plain = plain_gpu(name)
        for record in self._gpus:
            pattern = re.compile(record["row_name"], re.IGNORECASE)
            if pattern.fullmatch(plain) and _found(record["source_pattern"], row_id):
                return Device(
                    catalog=record["catalog"],
                    reference=record["reference"],
                    assumed=record["kind"] == "assumption",
                    collectives=record["collectives"],
                    variant=record["variant"],
                    hbm_capacity=_scaled(record["hbm_capacity_gb"], 1e9),
                    hbm_bandwidth=_scaled(record["hbm_bandwidth_gbps"], 1e9),
                    scale_up_bandwidth=_scaled(record["scale_up_gbps"], 1e9),
                    scale_up_domain=int(record["scale_up_domain"]) if record["scale_up_domain"] else None,
                    power_max=_scaled(record["power_w"], 1.0),
                )
        return None

    def model(self, name: str) -> Mapping[str, str]:
        """Return what the rows do not say about a model: tied embeddings, windows, latent widths, MTP."""
        plain = re.sub(r"^[\w.-]+/", "", name)
        return next(
            record
            for record in self._models
            if re.search(record["model_pattern"], plain, re.IGNORECASE) is not None
        )

    def memory(self, row: TrainingRow) -> MemoryMeasure:
        """Return the unit and scope of a row's measured memory."""
        record = next(record for record in self._memory if _found(record["id_pattern"], row.id))
        return MemoryMeasure(unit=record["unit"], scope=record["scope"])

    def stack(self, row: TrainingRow) -> str:
        """Return the catalog name of the software stack, by source and release."""
        return self._stack_record(row)["stack"]

    def recognised(self, row: TrainingRow) -> bool:
        """Whether the stack follows from words alone, the source being one that no entry knows."""
        return not self._stack_record(row)["id_pattern"]

    def _stack_record(self, row: TrainingRow) -> Mapping[str, str]:
        # As the patterns spell it, whatever the row does: `mxfp8 on GB200 for DeepSeek-V3`.
        part = _PART.search(plain_gpu(row.gpu).upper())
        model = row.model.rpartition("/")[2]
        run = f"{row.precision.lower()} on {part[0] if part else row.gpu} for {model}"
        text = f"{row.source} | {row.notes} | {row.zero_stage_or_fsdp} | {run}"
        return next(
            record
            for record in self._stacks
            if _found(record["id_pattern"], row.id) and _found(record["text_pattern"], text)
        )


_PART = re.compile(r"(?:GB|GH|MI|[A-Z])\d{3}")


def collectives_name(device: Device, fabric: str, known: Collection[str]) -> str:
    """Return the entry of the constants of collectives: that of the device's NVLink generation, with the
    fabric's own variant where the catalog has one (AWS EFA has far larger latencies than InfiniBand)."""
    special = f"{device.collectives}_efa"
    return special if "EFA" in fabric and special in known else device.collectives


def plain_gpu(name: str) -> str:
    """Return a GPU's name without its maker's and without how many there are: ``A100`` of ``8x NVIDIA A100``."""
    return _MAKERS.sub("", _HOW_MANY.sub("", name).strip())


def _found(pattern: str, text: str) -> bool:
    return not pattern or re.search(pattern, text) is not None


def _scaled(text: str, factor: float) -> float | None:
    return float(text) * factor if text else None
