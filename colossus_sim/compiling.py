"""Whether and how loops are compiled by numba (the optional extra ``fast``), which is imported only then."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

SWITCH = "COLOSSUS_SIM_NO_JIT"
"""Environment variable: anything but empty or 0 keeps numba out."""


def jit_available() -> bool:
    """Say whether numba is installed and nobody switched it off."""
    return not switched_off() and importlib.util.find_spec("numba") is not None


def switched_off() -> bool:
    """Say whether somebody switched numba off."""
    return os.environ.get(SWITCH, "0") not in ("", "0")


def machine_code(function: Callable[..., Any]) -> Any:
    """Return a function compiled; its code is kept on disk between runs where the folder is writable.

    Raises
    ------
    ImportError
        If numba is not installed.
    """
    import numba

    # Python owns the arrays for as long as the function runs, so nothing has to count references to them.
    options: dict[str, Any] = {"_nrt": False}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep machine code
        return numba.njit(**options)(function)
