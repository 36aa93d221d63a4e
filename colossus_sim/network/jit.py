"""The kernel compiled by numba, where that is installed (the optional extra ``fast``)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

from colossus_sim.compiling import machine_code
from colossus_sim.network import ends, filling, kernel, whole

_MODULES = (ends, filling, whole, kernel)
"""Each after those that it calls, as are the functions in them."""


@functools.cache
def compiled_play() -> Callable[..., None]:
    """Return ``kernel.play`` compiled; machine code is kept on disk between runs where the folder is writable.

    Raises
    ------
    ImportError
        If numba is not installed.
    """
    known: dict[str, Any] = {}
    for module in _MODULES:
        for name, plain in vars(module).items():
            if isinstance(plain, FunctionType) and plain.__module__ == module.__name__:
                # Each function sees the compiled ones before it; the module itself stays plain Python.
                bound = FunctionType(plain.__code__, {**vars(module), **known}, name)
                bound.__module__, bound.__qualname__ = module.__name__, name
                known[name] = machine_code(bound)
    play: Callable[..., None] = known["play"]
    return play
