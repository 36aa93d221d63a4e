"""The scale-out rate per GPU that a source's words about its network state."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RATE = r"(\d+(?:\.\d+)?)\s*-?\s*(Gb/s|GB/s|Tb/s|TB/s|Gbps|Gbit/s|Tbps|Tbit/s|GbE|Gb|G)(?![A-Za-z])"
_GBPS = {"G": 1.0, "T": 1e3}
_GENERATION = r"(?:InfiniBand\s*)?(?:[NHXE]DR)?\s*"
_ADAPTER = r"(?:ConnectX-\d+\s*|CX-\d+\s*)?"
_COUNT = r"(\d+)\s*(?:x|\N{MULTIPLICATION SIGN}|(?:links|NICs|ports|rails|HCAs) of)\s*"
_LINKS = re.compile(_COUNT + _ADAPTER + _GENERATION + _RATE, re.IGNORECASE)
_BARE_LINKS = re.compile(_COUNT + _ADAPTER + _GENERATION + r"(\d{2,4})\b", re.IGNORECASE)
_LINKS_AFTER = re.compile(_RATE + r"[^,;+]*?\s*x\s*(\d+)\b", re.IGNORECASE)
_NAMED_LINKS = re.compile(_COUNT + _ADAPTER + r"([NHXE]DR)\b(?!\s*\d)", re.IGNORECASE)
_PER_GPU = re.compile(_RATE + r"[^,;+]*?(?:\bper GPU|/GPU)", re.IGNORECASE)
_PER_NODE = re.compile(_RATE + r"[^,;+]*?(?:\bper (?:node|server|host)|/(?:node|server|host))", re.IGNORECASE)
_ETHERNET = re.compile(r"(\d{2,4})\s*GbE\b", re.IGNORECASE)
_TRAY = re.compile(r"per (\d+)-GPU tray", re.IGNORECASE)
_SCALE_UP = re.compile(
    r"(?:NVLink|NVSwitch|xGMI|Infinity Fabric)[^;,+]*?\d\s*[GT]B/s[^;,+]*|\d\s*[GT]B/s[^;,+]*(?:NVLink|NVSwitch)"
)
_INFINIBAND = {"EDR": 100.0, "HDR": 200.0, "NDR": 400.0, "XDR": 800.0}
"""Signalling rate of a port of four lanes by its generation (InfiniBand Trade Association roadmap). [Gbit/s]"""
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

    A count of links is per node, whose GPUs share them; bits and bytes are told apart by their b.
    """
    reference = f"as stated by the source: {interconnect}"
    text = _SCALE_UP.sub("", interconnect)
    tray = _TRAY.search(text)
    sharers = int(tray[1]) if tray else min(gpus_per_node, _SHARERS)
    links, each = _links(text)
    per_gpu = _PER_GPU.search(text)
    if per_gpu and links < sharers:
        return Network(nic_gbps=max(links, 1) * _gbps(per_gpu[1], per_gpu[2]), reference=reference)
    if links:
        return Network(nic_gbps=links * each / sharers, reference=reference)
    if match := _PER_NODE.search(text):
        return Network(nic_gbps=_gbps(match[1], match[2]) / gpus_per_node, reference=reference)
    if match := _ETHERNET.search(text):
        words = f"{interconnect}: one link per node is assumed"
        return Network(nic_gbps=float(match[1]) / sharers, reference=words, assumed=True)
    stated = re.search(r"\d\s*[GT]b|\d\s*[GT]bit|[NHXE]DR\b", text, re.IGNORECASE)
    words = f"{interconnect!r} is not understood; {_USUAL}" if stated else f"not stated; {_USUAL}"
    return Network(nic_gbps=None, reference=words, assumed=True)


def _links(text: str) -> tuple[int, float]:
    """Return the number of links and the rate of each; 0 where the text does not count them. [Gbit/s]"""
    if match := _LINKS.search(text):
        return int(match[1]), _gbps(match[2], match[3])
    if match := _BARE_LINKS.search(text):
        return int(match[1]), float(match[2])
    if match := _LINKS_AFTER.search(text):
        return int(match[3]), _gbps(match[1], match[2])
    if match := _NAMED_LINKS.search(text):
        return int(match[1]), _INFINIBAND[match[2].upper()]
    return 0, 0.0


def _gbps(number: str, unit: str) -> float:
    """Return a rate in Gbit/s: a capital B stands for bytes, unless the unit is written ``Gbps`` or the like."""
    byte = 8.0 if unit[1:2] == "B" and unit.lower() in ("gb/s", "tb/s") else 1.0
    return float(number) * _GBPS[unit[0].upper()] * byte
