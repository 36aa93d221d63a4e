"""Predicted times of the measured collectives, with the model's constants per generation only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from colossus_sim.errors import ColossusError
from colossus_sim.parallelism.collective_time import group_collective_time
from colossus_sim.parallelism.groups import GroupSpan, group_span
from colossus_sim.parallelism.mesh import Mesh
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import CollectiveConstants
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.communication import distinct_targets
from colossus_sim.validation.collectives import GRADES, CollectivePrediction, CollectiveRow
from colossus_sim.validation.interconnects import Network, stated_network
from colossus_sim.validation.predict import device_gpu, topology_of
from colossus_sim.validation.tables import Device, Tables, collectives_name

DEEPEP_TOP_K = 8
"""Experts per token of the DeepEP measurements (7168 wide, top-8 of 256)."""


class CollectivePredictor:
    """Predicts collective rows; keeps the systems that it built."""

    def __init__(self, gpus: Mapping[str, Gpu], constants: Mapping[str, CollectiveConstants]) -> None:
        self._gpus, self._constants = gpus, constants
        self._tables = Tables()
        self._built: dict[tuple[str, int, float, float, int, str], Fabric] = {}

    def predict(
        self, rows: Sequence[CollectiveRow]
    ) -> tuple[tuple[CollectivePrediction, ...], tuple[tuple[CollectiveRow, str], ...]]:
        """Return a prediction for every row that the model knows, and the reason for every other."""
        predictions = []
        left_out = []
        for row in rows:
            reason = _not_scored(row)
            if reason:
                left_out.append((row, reason))
                continue
            device = self._tables.device(row.gpu)
            if device is None or device.catalog not in self._gpus:
                why = device.reference if device else "no line of gpus.csv has that name"
                left_out.append((row, f"gpu {row.gpu!r}: {why}"))
                continue
            try:
                predictions.append(self._prediction(row, device))
            except (ColossusError, ValueError) as error:
                left_out.append((row, f"the model refuses it: {error}"))
        return tuple(predictions), tuple(left_out)

    def _prediction(self, row: CollectiveRow, device: Device) -> CollectivePrediction:
        network = _network(row)
        gpu = device_gpu(
            self._gpus[device.catalog],
            device,
            nic_gbps=network.nic_gbps,
            gpus_per_node=row.gpus_per_node,
        )
        fabric = self._fabric(row, gpu, network, collectives_name(device, row.fabric, self._constants))
        per_domain = min(gpu.scale_up_domain, row.n_gpus)
        if row.collective in ("ep_dispatch", "ep_combine"):
            time = _expert_exchange_time(row, fabric, per_domain)
        else:
            span = packed_span(row.n_gpus, per_domain, fabric)
            time = group_collective_time(row.collective, row.message_bytes, span, fabric).time
        return CollectivePrediction(row=row, predicted=time, domain=gpu.scale_up_domain)

    def _fabric(self, row: CollectiveRow, gpu: Gpu, network: Network, constants: str) -> Fabric:
        domain = gpu.scale_up_domain
        endpoints = -(-row.n_gpus // domain) * domain
        key = (gpu.name, domain, gpu.scale_up_bandwidth, gpu.nic_bandwidth, endpoints, constants)
        if key not in self._built:
            topology = topology_of(gpu, network, endpoints, self._constants.get(constants))
            self._built[key] = build_fabric(topology, gpu, endpoints)
        return self._built[key]


def _network(row: CollectiveRow) -> Network:
    """Return the network that a row's own column states, else what the words on its fabric state."""
    rate = row.nic_gbps or stated_network(row.fabric, row.gpus_per_node).nic_gbps
    return Network(nic_gbps=rate, reference=row.source)


def _not_scored(row: CollectiveRow) -> str:
    """Return why a row cannot be scored, whatever the model; empty if it can."""
    if row.unreadable:
        return "; ".join(row.unreadable)
    if row.grade == "C":
        return "grade C: misconfigured or degraded, never scored"
    if row.grade not in GRADES:
        return f"grade {row.grade!r} is none of {', '.join(GRADES)}"
    return ""


def packed_span(ranks: int, per_domain: int, fabric: Fabric) -> GroupSpan:
    """Return where a group of all ranks lies that fills whole domains with so many each."""
    placement = Placement(
        domain_gpus=fabric.gpus_per_domain,
        ranks_per_domain=per_domain,
        runs=((0, -(-ranks // per_domain)),),
    )
    return group_span(Mesh(tp=1, cp=1, dp=ranks, pp=1).axis("dp"), placement, fabric)


def _expert_exchange_time(row: CollectiveRow, fabric: Fabric, per_domain: int) -> float:
    """Return the time of a token exchange that sends each token once to a node and once to a rank.

    Tokens cross the scale-out network once per target node (between GPUs of equal rank in their nodes) and
    are handed on inside the node at the same time; the slower of both sets the pace.
    """
    nodes = max(row.n_gpus // per_domain, 1)
    inner_bytes = row.message_bytes * distinct_targets(row.n_gpus, DEEPEP_TOP_K)
    inner = group_collective_time(
        "all_to_all", inner_bytes, packed_span(per_domain, per_domain, fabric), fabric
    ).time
    constants = fabric.collectives
    latency = constants.token_exchange_latency if constants else 0.0
    fraction = constants.token_exchange_fraction if constants else 1.0
    if nodes == 1:
        return latency + inner / fraction
    placement = Placement(domain_gpus=fabric.gpus_per_domain, ranks_per_domain=1, runs=((0, nodes),))
    rail = group_span(Mesh(tp=1, cp=1, dp=nodes, pp=1).axis("dp"), placement, fabric)
    outer_bytes = row.message_bytes * distinct_targets(nodes, DEEPEP_TOP_K)
    outer = group_collective_time("all_to_all", outer_bytes, rail, fabric).time
    return latency + max(inner, outer) / fraction
