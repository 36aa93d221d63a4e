"""The scale-out rate per GPU that a source's words about its network state."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RATE = (
    r"(\d+(?:\.\d+)?)\s*-?\s*(?!(?-i:[GT]B)(?![/p]))"
    r"(Gb/s|GB/s|Tb/s|TB/s|Gbps|Gbit/s|Tbps|Tbit/s|GbE|Gb|G)(?![A-Za-z])"
)
_GBPS = {"G": 1.0, "T": 1e3}
_MAKER = r"(?:(?:NVIDIA|Mellanox|AWS|Broadcom|Intel|Cornelis|AMD|HPE)\s+)*"
_ADAPTER = r"(?:(?:ConnectX|CX)[- ]?(\d)|BlueField[- ]?(\d)|BF[- ]?(\d))"
_WORDS_BETWEEN = (
    r"(?:(?:InfiniBand|IB|RoCE(?:v?2)?|Ethernet|EFA(?:v\d)?|Slingshot(?:[- ]?\d+)?|Omni-?Path|NICs?|ports?|links?"
    r"|HCAs?|adapters?|cards?|rails?)[\s,]*)*(?:[NHXE]DR[-\s]*)?"
)
_PART = rf"{_MAKER}(?:{_ADAPTER}[\s,]*)?{_WORDS_BETWEEN}"
_COUNT = (
    r"(?<![\d.])(\d{1,2})(?:\s*(?:x|\*|\N{MULTIPLICATION SIGN})|[- ](?:(?:links|NICs|ports|rails?|HCAs|adapters)"
    r"(?: per node)?(?: of|[,:] )?))\s*"
)
_LINKS = re.compile(rf"{_COUNT}{_PART}{_RATE}", re.IGNORECASE)
_BARE_LINKS = re.compile(rf"{_COUNT}{_PART}(\d{{2,4}})\b(?!\s*[x*.])", re.IGNORECASE)
_LINKS_AFTER = re.compile(rf"{_RATE}[^,;+]*?\s*[x*\N{{MULTIPLICATION SIGN}}]\s*(\d{{1,2}})\b", re.IGNORECASE)
_LINKS_APART = re.compile(
    rf"{_RATE}[^;+]*?(?:per|/) ?(?:NIC|port|link|rail|HCA)\b[^;+]*?(\d+) (?:NICs|ports|links|rails|HCAs)",
    re.IGNORECASE,
)
_NAMED_LINKS = re.compile(rf"{_COUNT}{_PART}(?<![A-Za-z])([NHXE]DR)\b(?!\s*\d)", re.IGNORECASE)
_ADAPTERS = re.compile(rf"{_COUNT}{_MAKER}{_ADAPTER}", re.IGNORECASE)
_PER_GPU = re.compile(rf"{_RATE}[^,;+]*?(?:\bper GPU|/ ?GPU)", re.IGNORECASE)
_PER_NODE = re.compile(
    rf"{_RATE}[^,;+]*?(?:\bper (?:node|server|host)|/ ?(?:node|server|host))", re.IGNORECASE
)
_NAMED_PER_GPU = re.compile(r"\b([NHXE]DR)\b[^,;+\d]*(?:\bper GPU|/ ?GPU)", re.IGNORECASE)
_ALONE = re.compile(
    r"(\d+(?:\.\d+)?)\s*-?\s*(Gb/s|Tb/s|Gbps|Gbit/s|Tbps|Tbit/s)(?![^;,+]*(?:switch|bisection|aggregate|total|cluster))"
)
_NUMERALS = {"one": 1, "two": 2, "four": 4, "eight": 8, "sixteen": 16}
_SPELT = re.compile(
    rf"(\b(?:{'|'.join(_NUMERALS)})|(?:^|[;,+]\s*)\d{{1,2}})\s+(?=\d{{2,4}}\s*-?\s*G)", re.IGNORECASE
)
_ETHERNET = re.compile(r"(\d{2,4})\s*GbE\b", re.IGNORECASE)
_TRAY = re.compile(r"per (\d+)-GPU tray", re.IGNORECASE)
_INSIDE = r"(?:NVLink|NVSwitch|NVL[- ]?\d+|xGMI|Infinity[- ]Fabric)"
_OUTSIDE = r"(?:InfiniBand|\bIB\b|RoCE|EFA|NIC|Ethernet|[NHXE]DR|ConnectX|CX-?\d|RDMA|Slingshot|per node)"
_BETWEEN = rf"(?:(?![;,+&]|\band\b|\bwith\b|\bplus\b|(?i:{_OUTSIDE})).)*?"
_BYTES = r"\d+(?:\.\d+)?\s*[GT]B(?:/s|ps)"
_SCALE_UP = re.compile(
    rf"(?:\d+\s*x\s*)?\b(?i:{_INSIDE}){_BETWEEN}{_BYTES}(?:[\s(]*(?i:per GPU|/ ?GPU|per direction|bi-?directional"
    rf"|total|aggregate|each way)\)?)*|{_BYTES}{_BETWEEN}(?i:{_INSIDE})"
)
"""A rate between GPUs, whose unit is bytes, with the words around it."""
_INFINIBAND = {"EDR": 100.0, "HDR": 200.0, "NDR": 400.0, "XDR": 800.0}
"""Signalling rate of a port of four lanes by its generation (InfiniBand Trade Association roadmap). [Gbit/s]"""
_GENERATION = {"ConnectX-4": 100.0, "ConnectX-5": 100.0, "ConnectX-6": 200.0, "ConnectX-7": 400.0,
               "ConnectX-8": 800.0, "BlueField-2": 200.0, "BlueField-3": 400.0}  # fmt: skip
"""The most that an adapter carries in both ports together (NVIDIA's data sheets). [Gbit/s]"""
_LARGEST_PORT = max(_INFINIBAND.values())
"""More than the fastest port that there is can only be several links, so those of a node. [Gbit/s]"""
_MOST_PER_GPU = 2 * _LARGEST_PORT
"""Two of the fastest ports: what a GPU at most has of the scale-out network (two ConnectX-8). [Gbit/s]"""
_USUAL = "the device's usual rate is assumed"
_SHARERS = 16
"""The most GPUs that share the links of one node; an NVLink rack is no node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The scale-out network of a row.

    Attributes
    ----------
    nic_gbps : float or None
        Per GPU and direction; None = what the device's catalog entry says. [Gbit/s]
    pod_gpus, pod_oversubscription : int, float
        GPUs of a pod (0 = no pods) and oversubscription between pods.
    reference : str
        Where the rate is from, or that it is assumed.
    assumed : bool
        Whether the source does not state it.
    """

    nic_gbps: float | None
    pod_gpus: int = 0
    pod_oversubscription: float = 1.0
    reference: str = ""
    assumed: bool = False


def stated_network(interconnect: str, gpus_per_node: int) -> Network:
    """Read the rate per GPU off a text such as ``8x NDR 400 Gb/s per node`` or ``3.2 Tb/s per node``.

    A count of links is per node, whose GPUs share them; bits and bytes are told apart by their b. Rates of NVLink
    and its like are passed over. What takes an assumption says so; a rate that no GPU has is not understood.
    """
    text = _SPELT.sub(_counted, _SCALE_UP.sub(" ", interconnect))
    tray = _TRAY.search(text)
    rate, assumption = _rate(text, int(tray[1]) if tray else 0, gpus_per_node)
    if rate is None or rate > _MOST_PER_GPU:
        stated = re.search(r"\d\s*[GT]b|\d\s*[GT]bit|[NHXE]DR\b|\b(?:CX|ConnectX)", text, re.IGNORECASE)
        words = f"{interconnect!r} is not understood; {_USUAL}" if stated else f"not stated; {_USUAL}"
        return Network(nic_gbps=None, reference=words, assumed=True)
    if assumption:
        return Network(nic_gbps=rate, reference=f"{interconnect}: {assumption} is assumed", assumed=True)
    return Network(nic_gbps=rate, reference=f"as stated by the source: {interconnect}")


def _rate(text: str, tray: int, gpus_per_node: int) -> tuple[float | None, str]:
    """Return the rate per GPU, None where the text does not say, and what has to be assumed for it. [Gbit/s]"""
    sharers = tray or min(gpus_per_node, _SHARERS)
    links, each = _links(text)
    rates = [_gbps(match[1], match[2]) for match in _PER_GPU.finditer(text)]
    rates += [_INFINIBAND[match[1].upper()] for match in _NAMED_PER_GPU.finditer(text)]
    per_gpu = next((rate for rate in rates if rate <= _MOST_PER_GPU), None)
    if per_gpu and links < sharers:
        return max(links, 1) * per_gpu, ""
    if links:
        return links * each / sharers, ""
    if match := _PER_NODE.search(text):
        return _gbps(match[1], match[2]) / gpus_per_node, ""
    if match := _ADAPTERS.search(text):
        name = f"ConnectX-{match[2]}" if match[2] else f"BlueField-{match[3] or match[4]}"
        if name in _GENERATION:
            full = _GENERATION[name]
            return int(match[1]) * full / sharers, f"{full:g} Gb/s, the full rate, of each {name}"
    if match := _ETHERNET.search(text):
        return float(match[1]) / sharers, "one link per node"
    alone = (_gbps(match[1], match[2]) for match in _ALONE.finditer(text))
    of_node = next((rate for rate in alone if _LARGEST_PORT < rate <= _LARGEST_PORT * sharers), None)
    return (of_node / sharers, "a rate per node") if of_node else (None, "")


def _counted(found: re.Match[str]) -> str:
    """Return a number of links before their rate as the patterns have it: ``8 x`` of ``eight``."""
    return f"{_NUMERALS.get(found[1].lower(), found[1])} x "


def _links(text: str) -> tuple[int, float]:
    """Return the number of links and the rate of each; 0 where the text does not count them. [Gbit/s]"""
    if match := _LINKS.search(text):
        return int(match[1]), _gbps(match[5], match[6])
    if match := _BARE_LINKS.search(text):
        return int(match[1]), float(match[5])
    if match := _LINKS_APART.search(text) or _LINKS_AFTER.search(text):
        return int(match[3]), _gbps(match[1], match[2])
    if match := _NAMED_LINKS.search(text):
        return int(match[1]), _INFINIBAND[match[5].upper()]
    return 0, 0.0


def _gbps(number: str, unit: str) -> float:
    """Return a rate in Gbit/s: a capital B stands for bytes, unless the unit is written ``Gbps`` or the like."""
    byte = 8.0 if unit[1:2] == "B" and unit.lower() in ("gb/s", "tb/s") else 1.0
    return float(number) * _GBPS[unit[0].upper()] * byte
