"""The kernel compiled by numba, where that is installed (the optional extra ``fast``)."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from types import FunctionType
from typing import Any

from colossus_sim.network import kernel

SWITCH = "COLOSSUS_SIM_NO_JIT"
"""Environment variable: anything but empty or 0 keeps the kernel interpreted."""

_ORDER = (
    "rise",
    "sink",
    "reorder",
    "pop",
    "join_links",
    "leave_links",
    "add_up",
    "choose",
    "choose_bottlenecked",
    "choose_all",
    "push_link",
    "lower_top",
    "drop_top",
    "fix",
    "fill",
    "verify_link",
    "verify",
    "settle",
    "solve",
    "change",
    "end_flows",
    "play",
)
"""Functions of the kernel, each after those that it calls."""


def jit_available() -> bool:
    """Say whether the kernel can be compiled here and nobody switched that off."""
    if os.environ.get(SWITCH, "0") not in ("", "0"):
        return False
    return importlib.util.find_spec("numba") is not None


@functools.cache
def compiled_play() -> Callable[..., None]:
    """Return ``kernel.play`` compiled; machine code is kept on disk between runs where the folder is writable.

    Raises
    ------
    ImportError
        If numba is not installed.
    """
    import numba

    known: dict[str, Any] = dict(vars(kernel))
    for name in _ORDER:
        plain = getattr(kernel, name)
        # Each function sees the compiled ones below it; the module itself stays plain Python.
        bound = FunctionType(plain.__code__, dict(known), name)
        bound.__module__, bound.__qualname__ = kernel.__name__, name
        try:
            known[name] = numba.njit(cache=True)(bound)
        except RuntimeError:  # nowhere to keep machine code
            known[name] = numba.njit(bound)
    play: Callable[..., None] = known["play"]
    return play
