"""Writes fitted constants into the catalogs, entry by entry, leaving everything else as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

_DURATIONS = (
    "host_launch",
    "collective_host_time",
    "overhead",
    "_per_rank",
    "sync_time",
    "expert_launch",
    "expert_host_time",
)


class Fitted(Protocol):
    """A fitted constant."""

    kind: str
    field: str
    targets: tuple[str, ...]
    formats: tuple[str, ...]


def write_constants(
    values: Sequence[tuple[Fitted, float]], scores: dict[str, str], date: str, data: Path
) -> None:
    """Write constants and their provenance.

    Parameters
    ----------
    values : sequence of (Fitted, float)
        Constants in SI units.
    scores : dict of str to str
        Text on rows and error, by stack or by ``device/format``.
    date : str
        When they were fitted.
    data : Path
        Folder of the catalogs.
    """
    _write_stacks([v for v in values if v[0].kind == "stacks"], scores, date, data / "stacks.yaml")
    _write_kernels([v for v in values if v[0].kind == "kernels"], scores, date, data / "calibrations.yaml")


def _write_stacks(
    values: Sequence[tuple[Fitted, float]], scores: dict[str, str], date: str, path: Path
) -> None:
    text = path.read_text(encoding="utf-8")
    fitted: dict[str, dict[str, str]] = {}
    for parameter, value in values:
        for name in parameter.targets:
            fitted.setdefault(name, {})[parameter.field] = shown(parameter.field, value)
    for name, fields in fitted.items():
        match = re.search(rf"(?ms)^{name}:\n.*?(?=^\S|\Z)", text)
        if match is None:
            raise KeyError(f"stack {name} is not in {path}")
        entry = match[0]
        for field, value in fields.items():
            entry = _set(entry, field, value, "  ")
        note = f"Fitted: {', '.join(sorted(fields))}; {scores.get(name, 'no row of its own')}; {date}."
        text = text.replace(match[0], _noted(entry, note, "    ", date))
    path.write_text(text, encoding="utf-8")


def _write_kernels(
    values: Sequence[tuple[Fitted, float]], scores: dict[str, str], date: str, path: Path
) -> None:
    text = path.read_text(encoding="utf-8")
    head, *entries = re.split(r"(?m)^(?=    - gpu:)", text)
    for index, entry in enumerate(entries):
        gpu = re.search(r'gpu: "(.*?)"', entry)
        form = re.search(r'precision: "(.*?)"', entry)
        if gpu is None or form is None:
            raise KeyError(f"entry {index} of {path} names no device")
        fields = {}
        for parameter, value in values:
            if gpu[1] in parameter.targets and form[1] in parameter.formats:
                fields[parameter.field] = value
        if not fields:
            continue
        for field, value in fields.items():
            if field == "attention_fraction":
                ratio = _number(entry, "attention_backward_fraction") / _number(entry, field)
                entry = _set(entry, "attention_backward_fraction", f"{value * ratio:.3g}", "      ")
            entry = _set(entry, field, shown(field, value), "      ")
        score = scores.get(f"{gpu[1]}/{form[1]}", "no row of its own")
        note = f"Fitted: {', '.join(sorted(fields))}; {score}; {date}."
        entries[index] = _noted(entry, note, "        ", date)
    path.write_text(head + "".join(entries), encoding="utf-8")


def shown(field: str, value: float) -> str:
    """Return a constant as the catalogs write it."""
    if field == "gemm_half_k":
        return str(round(value))
    if any(field.endswith(name) for name in _DURATIONS):
        return f"{value * 1e6:.3g} us" if value < 1e-3 else f"{value * 1e3:.3g} ms"
    return f"{value:.3g}"


def _number(entry: str, field: str) -> float:
    match = re.search(rf"(?m)^ +{field}: ([\d.]+)$", entry)
    if match is None:
        raise KeyError(f"{field} is missing")
    return float(match[1])


def _set(entry: str, field: str, value: str, indent: str) -> str:
    line = f"{indent}{field}: {value}\n"
    pattern = rf"(?m)^{indent}{field}:.*\n"
    if re.search(pattern, entry):
        return re.sub(pattern, line, entry, count=1)
    return entry.replace(f"{indent}provenance:\n", f"{line}{indent}provenance:\n", 1)


def _noted(entry: str, note: str, indent: str, date: str) -> str:
    """Replace an older sentence of a fit by the new one, and the words that the values are unfitted."""
    entry = re.sub(r"(?m)^ *Fitted: .*\n", "", entry)
    entry = re.sub(r"( shares and fixed times are round assumptions) until fitted\.", r" other\1.", entry)
    entry = re.sub(rf"(?m)^({indent})kind: .*$", r"\g<1>kind: fit", entry, count=1)
    entry = re.sub(rf"(?m)^({indent})checked: .*$", rf"\g<1>checked: {date}", entry, count=1)
    match = re.search(rf"(?m)^{indent}note: >-\n(?:{indent}  .*\n)*", entry)
    if match is None:
        return entry.rstrip("\n") + f"\n{indent}note: >-\n{indent}  {note}\n"
    return entry.replace(match[0], f"{match[0]}{indent}  {note}\n", 1)
