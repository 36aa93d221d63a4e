"""Where the kernel's machine code is kept; imports nothing that takes time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

SOURCES = (
    "agenda", "draws", "faults", "holding", "jit", "life", "loop", "pools", "recovery", "scheduler", "state",
    "steps", "stretches", "tally", "waiting", "workshop",
)  # fmt: skip
"""Modules of the kernel that decide about the machine code."""
_BESIDE = ("engine/agenda", "engine/recorder", "records")
"""Modules beside it whose constants and functions are compiled into it."""


def _folder() -> Path:
    """Return where machine code would be kept.

    It is named after all that decides about it, because numba itself looks only at the file of each function and
    would go on using old code of the functions that it calls.
    """
    here = Path(__file__).parent
    digest = hashlib.blake2b(digest_size=8)
    package = here.parents[1]
    for path in [*(here / name for name in SOURCES), *(package / name for name in _BESIDE)]:
        digest.update(path.with_suffix(".py").read_bytes())
    return here / "__pycache__" / f"kernel-{digest.hexdigest()}"


def code_folder() -> Path | None:
    """Return where machine code is kept, made if it is not there; None if it cannot be written."""
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def machine_code_kept() -> bool:
    """Say whether the compiled kernel is on disk, so that no process has to compile it; makes no folder."""
    folder = _folder()
    return os.access(folder, os.W_OK) and any(folder.rglob("loop.play-*.nbc"))
