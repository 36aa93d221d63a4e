"""Folders and files written whole or not at all; every failure of the system is an OutputError."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator, Set
from pathlib import Path

from colossus_sim.errors import OutputError, UsageError


@contextlib.contextmanager
def output_errors(what: str) -> Iterator[None]:
    """Turn errors of the operating system into an OutputError that names `what`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {what}: {error.strerror or error}") from error


def check_parquet() -> None:
    """Check that Parquet can be written.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow: install colossus-sim[parquet], or leave it out of --formats")


def check_writable(folder: Path) -> None:
    """Check that `folder` can be made or replaced, without leaving anything behind.

    Raises
    ------
    OutputError
        If it is a file, a symbolic link, or lies where nothing can be written.
    """
    if folder.is_symlink():
        raise OutputError(f"{folder} is a symbolic link; name the folder itself")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; --out needs a folder")
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise OutputError(f"{parent} is a file; no folder can be made in it")
    with output_errors(str(folder)):
        Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=parent)).rmdir()


@contextlib.contextmanager
def staged_folder(folder: Path, *, merge: bool, ours: Set[str]) -> Iterator[Path]:
    """Give a temporary sibling to write into; on success it takes the place of `folder`.

    Parameters
    ----------
    merge : bool
        Move the files one by one into an existing folder, so that foreign files in it stay.
    ours : set of str
        Names of files in an existing folder that may go; checked again at the end.

    Raises
    ------
    OutputError
        If something cannot be written; then `folder` is as before.
    """
    with output_errors(str(folder)):
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
    try:
        with output_errors(str(folder)):
            yield stage
            for path in stage.iterdir():
                _flush(path)
            # mkdtemp makes private folders; a run folder has the ordinary permissions.
            stage.chmod(0o777 & ~_umask())
            _put_in_place(stage, folder, merge=merge, ours=ours)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _put_in_place(stage: Path, folder: Path, *, merge: bool, ours: Set[str]) -> None:
    if merge and folder.is_dir():
        for path in sorted(stage.iterdir()):
            path.replace(folder / path.name)
        return
    if not folder.exists():
        stage.rename(folder)
        return
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in ours)
    if foreign:
        raise OutputError(f"{folder} got a new file meanwhile: {foreign[0]}")
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.absolute().parent))
    try:
        folder.rename(old / "run")
        try:
            stage.rename(folder)
        except OSError:
            (old / "run").rename(folder)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends into a new file."""
    with path.open("x", encoding="utf-8", newline="\n") as handle:
        handle.write(text)
