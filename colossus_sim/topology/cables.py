"""Networks as lists of cables: GraphML, CSV tables, and the output of ibnetdiscover and nvidia-smi.

Each reader returns a graph whose nodes carry `host` (bool) and `gpus` (0 = not said), and whose edges carry
`bandwidth` (one direction, all parallel cables [B/s]) and `links` (cables). What is wrong raises `CableError`
with the line.
"""

from __future__ import annotations

import csv
import fnmatch
import io
import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from xml.etree.ElementTree import ParseError

import networkx as nx

from colossus_sim.specs.topology import Custom
from colossus_sim.units import BANDWIDTH

SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".graphml": "graphml", ".csv": "csv", ".ibnet": "ibnetdiscover", ".topo": "nvidia-smi"}
)
"""Ending of a file -> what is in it."""

LANE_RATES: Mapping[str, float] = MappingProxyType(
    {
        "SDR": 2.5e9,
        "DDR": 5e9,
        "QDR": 10e9,
        "FDR10": 10e9,
        "FDR": 14e9,
        "EDR": 25e9,
        "HDR": 50e9,
        "NDR": 100e9,
        "XDR": 200e9,
    }
)
"""InfiniBand speed of one lane. [bit/s] InfiniBand Architecture Specification, volume 1, release 1.8."""


class CableError(ValueError):
    """A list of cables that cannot be used."""


def read_cables(spec: Custom) -> nx.Graph:
    """Return the graph of a custom network.

    Raises
    ------
    CableError
        If the contents are not what the format says.
    """
    kind = file_format(spec)
    if kind is None:
        raise CableError(
            f"cannot tell what is in {spec.file!r}; write format: graphml, csv, ibnetdiscover or nvidia-smi"
        )
    return READERS[kind](spec)


def file_format(spec: Custom) -> str | None:
    """Return what is in the file: as the network says, or by the ending of its name; None = cannot be told."""
    return spec.format or SUFFIXES.get("." + spec.file.rsplit(".", 1)[-1].lower())


def add_cable(graph: nx.Graph, first: str, second: str, bandwidth: float, links: int) -> None:
    """Add cables between two nodes to those that are there already."""
    if graph.has_edge(first, second):
        edge = graph.edges[first, second]
        edge["bandwidth"] += bandwidth
        edge["links"] += links
    else:
        graph.add_edge(first, second, bandwidth=bandwidth, links=links)


def merge_alike(
    graph: nx.Graph, hosts: Sequence[str], apart: Mapping[Hashable, int]
) -> tuple[nx.Graph, dict[str, str]]:
    """Return the network with hosts of equal cabling as one, and which node stands for each host.

    Parameters
    ----------
    graph : networkx.Graph
        Its cables.
    hosts : sequence of str
        The hosts in question.
    apart : mapping
        Number of a host; those of different numbers are not joined.
    """
    first: dict[object, str] = {}
    name: dict[str, str] = {}
    for host in hosts:
        cabling = sorted((str(other), one["bandwidth"], one["links"]) for other, one in graph[host].items())
        name[host] = first.setdefault((apart.get(host), *cabling), host)
    return joined_nodes(graph, name), name


def joined_nodes(graph: nx.Graph, name: Mapping[str, str]) -> nx.Graph:
    """Return the network in which each node has become the one that it is named after, itself if it has no name."""
    joined = nx.Graph()
    joined.add_nodes_from(name.get(node, node) for node in graph)
    for one, two, fields in graph.edges(data=True):
        add_cable(joined, name.get(one, one), name.get(two, two), fields["bandwidth"], fields["links"])
    return joined


def _rate(text: object, where: str) -> float:
    try:
        found = float(BANDWIDTH.parse(text))
    except ValueError as error:
        raise CableError(f"{where}: {error}") from None
    if found <= 0:
        raise CableError(f"{where}: a bandwidth must be above 0")
    return found


def _count(text: object, where: str, least: int) -> int:
    try:
        found = int(str(text))
    except ValueError:
        raise CableError(f"{where}: expected a whole number, got {text!r}") from None
    if found < least:
        raise CableError(f"{where}: must be at least {least}, got {found}")
    return found


# -- GraphML -----------------------------------------------------------------------------------------


def read_graphml(spec: Custom) -> nx.Graph:
    """Read GraphML: nodes with `kind` (host, switch), `gpus` and `domain`; edges with `bandwidth` and `links`.

    Hosts of one `domain` are one host with the cables of all: their GPUs reach each other by scale-up links. Of a
    directed graph the two edges between two nodes are one cable, the wider of both if they differ.
    """
    if "<!DOCTYPE" in spec.text or "<!ENTITY" in spec.text:
        raise CableError("document types and entities are not allowed in GraphML")
    try:
        raw = nx.parse_graphml(spec.text)
    except (ParseError, nx.NetworkXError, ValueError, KeyError) as error:
        raise CableError(f"this is no GraphML: {error}") from None
    graph = nx.Graph()
    name = {node: str(fields.get("domain", node)) for node, fields in raw.nodes(data=True)}
    for node, fields in raw.nodes(data=True):
        kind = str(fields.get("kind", "host" if fnmatch.fnmatch(str(node), spec.hosts) else "switch"))
        if kind not in ("host", "switch"):
            raise CableError(f"node {node!r}: kind must be host or switch, got {kind!r}")
        gpus = _count(fields.get("gpus", 0), f"node {node!r}: gpus", 0)
        if "domain" in fields and (kind != "host" or not gpus):
            raise CableError(f"node {node!r}: only hosts that say their gpus belong to a domain")
        gpus += graph.nodes[name[node]]["gpus"] if name[node] in graph else 0
        graph.add_node(name[node], host=kind == "host", gpus=gpus)
    ways: dict[tuple[str, str], tuple[float, int]] = {}
    for first, second, fields in raw.edges(data=True):
        bandwidth, links = _graphml_cables(f"edge {first!r} - {second!r}", fields)
        way = name[first], name[second]
        sofar = ways.get(way, (0.0, 0))
        ways[way] = sofar[0] + bandwidth, sofar[1] + links
    for (one, two), found in ways.items():
        if raw.is_directed():
            # A cable carries both directions; each may be an edge of its own.
            if graph.has_edge(one, two):
                continue
            found = max(found, ways.get((two, one), found))
        add_cable(graph, one, two, *found)
    return graph


def _graphml_cables(where: str, fields: Mapping[str, object]) -> tuple[float, int]:
    """Return the bandwidth of the cables of one edge, and how many they are."""
    if "bandwidth" not in fields:
        raise CableError(f"{where}: has no bandwidth, e.g. '400 Gbit/s'")
    given = fields["bandwidth"]
    bandwidth = float(given) if isinstance(given, (int, float)) else _rate(given, where)
    if not (bandwidth > 0 and math.isfinite(bandwidth)):
        raise CableError(f"{where}: a bandwidth must be finite and above 0 B/s, got {given}")
    links = _count(fields.get("links", 1), f"{where}: links", 1)
    return bandwidth * links, links


# -- CSV ---------------------------------------------------------------------------------------------


def read_csv(spec: Custom) -> nx.Graph:
    """Read a table with the columns from, to, bandwidth (of one cable, one direction) and optionally links.

    Capitals in the header and blanks around commas do not matter.
    """
    rows = csv.DictReader(io.StringIO(spec.text), skipinitialspace=True)
    rows.fieldnames = names = [name.strip().lower() for name in rows.fieldnames or ()]
    missing = {"from", "to", "bandwidth"} - set(names)
    if missing:
        raise CableError(
            f"line 1: the header needs from, to, bandwidth (and may have links); "
            f"missing: {', '.join(sorted(missing))}"
        )
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise CableError(f"line 1: two columns have the same name: {', '.join(twice)}")
    graph = nx.Graph()
    for row in rows:
        where = f"line {rows.line_num}"
        if None in row:
            raise CableError(f"{where}: has more columns than the header: {', '.join(names)}")
        ends = [(row[name] or "").strip() for name in ("from", "to")]
        if not all(ends):
            raise CableError(f"{where}: both ends of a cable need a name")
        if ends[0] == ends[1]:
            raise CableError(f"{where}: a cable from {ends[0]!r} to itself")
        links = _count((row.get("links") or "").strip() or 1, f"{where}, links", 1)
        for end in ends:
            graph.add_node(end, host=fnmatch.fnmatch(end, spec.hosts), gpus=0)
        add_cable(graph, ends[0], ends[1], _rate((row["bandwidth"] or "").strip(), where) * links, links)
    return graph


# -- ibnetdiscover -----------------------------------------------------------------------------------

_NODE = re.compile(r'^(Switch|Ca|Rt)\s+\d+\s+"([^"]+)"\s*(?:#\s*"([^"]*)")?')
_PORT = re.compile(r'^\[\d+\](?:\[ext \d+\])?\S*\s+"([^"]+)"\[\d+\]')
_AGGREGATION = re.compile(r"Aggregation Node")
"""In the description of what a switch shows of itself for SHARP: no host."""
_UNNAMED = re.compile(r"MT\d+|Mellanox|NVIDIA", re.IGNORECASE)
"""Start of a maker's description of an adapter whose host has not given it a name."""
_SPEED = re.compile(r"\b(\d+)x(SDR|DDR|QDR|FDR10|FDR|EDR|HDR|NDR|XDR)\b")


def read_ibnetdiscover(spec: Custom) -> nx.Graph:
    """Read the output of ``ibnetdiscover``; channel adapters of one host (same node description) are joined."""
    names, hosts, cables = _ib_records(spec.text)
    unnamed = {guid for guid, name in names.items() if not name}
    names = {guid: name for guid, name in names.items() if name}
    if not names:
        raise CableError("found no line 'Switch ...' or 'Ca ...'; is this the output of ibnetdiscover?")
    graph = nx.Graph()
    for guid, name in names.items():
        graph.add_node(name, host=guid in hosts, gpus=0)
    for (first, second), speeds in cables.items():
        if first in unnamed or second in unnamed:
            continue
        unknown = next((guid for guid in (first, second) if guid not in names), None)
        if unknown is not None:
            raise CableError(f"a cable leads to {unknown!r}, which is not listed")
        # Every cable between listed nodes appears at both ends.
        add_cable(graph, names[first], names[second], sum(speeds) / 2, max(1, len(speeds) // 2))
    return graph


def _host_name(guid: str, described: str) -> str:
    """Return the host of an adapter; empty for a switch's own port for SHARP, the GUID where nothing names a host.

    The description is "host HCA-1" or "host mlx5_0": adapters of one host share its first word.
    """
    if _AGGREGATION.search(described):
        return ""
    words = described.split()
    return words[0] if words and not _UNNAMED.match(words[0]) else guid


def _ib_records(text: str) -> tuple[dict[str, str], set[str], dict[tuple[str, str], list[float]]]:
    names: dict[str, str] = {}
    hosts: set[str] = set()
    cables: dict[tuple[str, str], list[float]] = {}
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        node = _NODE.match(line)
        if node:
            kind, current, described = node.groups()
            names[current] = current
            if kind == "Ca":
                hosts.add(current)
                names[current] = _host_name(current, described or "")
            continue
        port = _PORT.match(line)
        if port is None or not current:
            continue
        speed = _SPEED.search(line)
        if speed is None:
            raise CableError(f"line {number}: no speed such as 4xNDR at the end of the line")
        rate = int(speed.group(1)) * LANE_RATES[speed.group(2)] / 8
        pair = (min(current, port.group(1)), max(current, port.group(1)))
        cables.setdefault(pair, []).append(rate)
    return names, hosts, cables


# -- nvidia-smi --------------------------------------------------------------------------------------


_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
"""What underlines the header on a terminal, and stays in a redirected file."""


def read_nvidia_smi(spec: Custom) -> nx.Graph:
    """Read the matrix of ``nvidia-smi topo -m``: GPUs joined by NVLinks (NV#), or else through PCIe."""
    lines = [line.split() for line in _ESCAPES.sub("", spec.text).splitlines() if line.strip()]
    header = next((line for line in lines if line[0].startswith("GPU0") and "GPU1" in line), None)
    if header is None:
        raise CableError("found no header line 'GPU0 GPU1 ...'; is this the output of nvidia-smi topo -m?")
    devices = [word for word in header if re.fullmatch(r"GPU\d+", word)]
    graph = nx.Graph()
    for name in devices:
        graph.add_node(name, host=True, gpus=1)
    for line in lines:
        if line is header or line[0] not in devices:
            continue
        if len(line) <= len(devices):
            raise CableError(f"the row of {line[0]} has {len(line) - 1} columns, expected {len(devices)}")
        for other, word in zip(devices, line[1:], strict=False):
            if word == "X" or graph.has_edge(line[0], other):
                continue
            count = re.fullmatch(r"NV(\d+)", word)
            if count is None and word not in ("PIX", "PXB", "PHB", "NODE", "SYS"):
                raise CableError(f"unknown word {word!r} between {line[0]} and {other}")
            links = int(count.group(1)) if count else 1
            rate = spec.nvlink_bandwidth if count else spec.pcie_bandwidth
            add_cable(graph, line[0], other, links * rate, links)
    return graph


READERS: Mapping[str, Callable[[Custom], nx.Graph]] = MappingProxyType(
    {
        "graphml": read_graphml,
        "csv": read_csv,
        "ibnetdiscover": read_ibnetdiscover,
        "nvidia-smi": read_nvidia_smi,
    }
)
"""Format -> reader."""
