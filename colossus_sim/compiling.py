"""Whether loops may be compiled by numba (the optional extra ``fast``); imports nothing that takes time."""

from __future__ import annotations

import importlib.util
import os

SWITCH = "COLOSSUS_SIM_NO_JIT"
"""Environment variable: anything but empty or 0 keeps numba out."""


def jit_available() -> bool:
    """Say whether numba is installed and nobody switched it off."""
    return not switched_off() and importlib.util.find_spec("numba") is not None


def switched_off() -> bool:
    """Say whether somebody switched numba off."""
    return os.environ.get(SWITCH, "0") not in ("", "0")
