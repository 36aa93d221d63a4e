"""Quantities with units: text in files, plain SI floats inside.

``"400 Gbit/s"`` becomes ``5e10`` (B/s). Decimal prefixes are powers of ten, binary ones (Ki, Mi, Gi, Ti, Pi)
powers of 1024; ``b`` and ``bit`` are bits, ``B`` is a byte. A dimensional field given as a bare number is
refused with two correct spellings.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

_DECIMAL = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60}
_UNSIGNED = r"(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER = re.compile(rf"\s*([+-]?{_UNSIGNED})\s*(.*?)\s*$")
_BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
"""Limit of a field, as pydantic hands it on -> keyword of JSON Schema."""
_ISO_DATE = (
    r"^\s*\d{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])|(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])|-?W\d{2}(-?[1-7])?)"
    r"(.\d{2}.*)?\s*$"
)
"""What `datetime.fromisoformat` reads, but for days that a month does not have."""

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0
YEAR = 365.25 * DAY

_TIME = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "min": MINUTE, "minute": MINUTE, "minutes": MINUTE, "h": HOUR, "hour": HOUR, "hours": HOUR,
    "d": DAY, "day": DAY, "days": DAY, "week": 7 * DAY, "weeks": 7 * DAY, "year": YEAR, "years": YEAR,
    "kh": 1e3 * HOUR, "Mh": 1e6 * HOUR,
}  # fmt: skip


def _prefixed(stems: dict[str, float], *, binary: bool = False) -> dict[str, float]:
    table: dict[str, float] = {}
    for stem, factor in stems.items():
        for prefix, scale in _DECIMAL.items():
            table[prefix + stem] = scale * factor
        if binary:
            for prefix, scale in _BINARY.items():
                table[prefix + stem] = scale * factor
    return table


_BYTES = _prefixed({"B": 1.0, "b": 0.125, "bit": 0.125}, binary=True)
_RATE = {f"{name}/s": scale for name, scale in _BYTES.items()}
_RATE.update({f"{prefix}bps": 0.125 * scale for prefix, scale in _DECIMAL.items()})
_FLOP = _prefixed({"FLOP": 1.0, "FLOPs": 1.0})
_FLOP_RATE = _prefixed({"FLOP/s": 1.0, "FLOPS": 1.0})
_POWER = _prefixed({"W": 1.0})
_ENERGY = _prefixed({"J": 1.0, "Wh": HOUR})
_LENGTH = {"m": 1.0, "km": 1e3, "cm": 1e-2, "mm": 1e-3}
_RATE_PER_TIME = {f"/{name}": 1.0 / scale for name, scale in _TIME.items()}
_COUNT = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
_TOKENS = {
    f"{prefix}{tail}".strip(): scale for prefix, scale in _COUNT.items() for tail in ("", " tokens", " token")
}
_RATIO = {"": 1.0, "%": 0.01}
_MONEY = _prefixed({"USD": 1.0})


@dataclass(frozen=True, eq=False)
class Quantity:
    """A kind of quantity: how it is spelled in a file and which SI unit it has inside.

    Attributes
    ----------
    unit : str
        SI unit of the stored float; ``1`` for pure numbers.
    table : dict of str to float
        Accepted unit spellings and their factor to SI.
    examples : tuple of str
        Two correct spellings, shown in errors and in the JSON Schema.
    bare : bool
        Whether a number without unit is accepted.
    negative : bool
        Whether values below zero are accepted.
    """

    unit: str
    table: dict[str, float]
    examples: tuple[str, str]
    bare: bool = False
    negative: bool = False
    integer: bool = False
    noun: str = "quantity"

    def parse(self, value: object) -> float | int:
        """Return the SI value of a text such as ``"80 GB"``.

        Raises
        ------
        ValueError
            If the text is not a number followed by a unit of this kind, or the value is not finite,
            negative where that makes no sense, or not whole where a whole number is needed.
        """
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"expected a {self.noun} such as {self._spellings()}, got {describe(value)}")
        if isinstance(value, (int, float)):
            if not self.bare:
                raise ValueError(
                    f"{self.noun} needs a unit, e.g. {self._spellings()}; got the bare number {value}"
                )
            return self._checked(float(value), str(value))
        match = _NUMBER.match(value)
        if match is None:
            raise ValueError(f"expected a {self.noun} such as {self._spellings()}, got {value!r}")
        number, unit = match.groups()
        if unit not in self.table:
            raise ValueError(self._unit_problem(value, unit))
        return self._checked(float(number.replace("_", "")) * self.table[unit], value)

    @property
    def text_schema(self) -> JsonSchemaValue:
        """JSON Schema of the texts that are a number with a unit of this kind."""
        units = "|".join(re.escape(name).replace("\\ ", " ") for name in sorted(self.table))
        sign = "[+-]?" if self.negative else r"\+?"
        return {
            "type": "string",
            "pattern": rf"^\s*{sign}{_UNSIGNED}\s*({units})\s*$",
            "examples": list(self.examples),
            "x-si-unit": self.unit,
        }

    def _spellings(self) -> str:
        return " or ".join(repr(example) for example in self.examples)

    def _unit_problem(self, value: str, unit: str) -> str:
        if not unit:
            return f"{self.noun} needs a unit, e.g. {self._spellings()}; got the bare number {value!r}"
        if unit in ("m", "M") and self.unit == "s":
            return f"{value!r} is ambiguous: write 'min' for minutes"
        return f"unit {unit!r} is not one of a {self.noun}; write e.g. {self._spellings()}"

    def _checked(self, number: float, text: str) -> float | int:
        if not math.isfinite(number):
            raise ValueError(f"{self.noun} must be finite, got {text}")
        if number < 0 and not self.negative:
            raise ValueError(f"{self.noun} must not be negative, got {text}")
        if self.integer:
            if abs(number - round(number)) > 1e-9 * max(1.0, abs(number)):
                raise ValueError(f"{self.noun} must be a whole number, got {text}")
            return round(number)
        return number

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        text = self.text_schema
        if not self.bare:
            return text
        limits = handler(schema)
        number: JsonSchemaValue = {"type": "integer" if self.integer else "number"}
        number |= {} if self.negative or "gt" in limits else {"minimum": 0}
        number |= {keyword: limits[limit] for limit, keyword in _BOUNDS.items() if limit in limits}
        return {"anyOf": [number, text], "examples": list(self.examples), "x-si-unit": self.unit}


def describe(value: object) -> str:
    """Say in words what kind of YAML value this is, for error messages."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return repr(value)


def _validator(quantity: Quantity) -> BeforeValidator:
    def parse(value: Any) -> float | int:
        try:
            return quantity.parse(value)
        except ValueError as error:
            raise PydanticCustomError("quantity", "{text}", {"text": str(error)}) from None

    return BeforeValidator(parse)


DURATION = Quantity("s", _TIME, ("30 min", "60 days"), noun="duration")
BYTES = Quantity("B", _BYTES, ("80 GB", "2 TiB"), noun="data size")
BANDWIDTH = Quantity("B/s", _RATE, ("400 Gbit/s", "50 GB/s"), noun="bandwidth")
FLOPS = Quantity("FLOP", _FLOP, ("1.2e25 FLOP", "360 EFLOP"), noun="amount of FLOPs")
FLOP_RATE = Quantity("FLOP/s", _FLOP_RATE, ("989 TFLOP/s", "2.5 PFLOP/s"), noun="FLOP rate")
POWER = Quantity("W", _POWER, ("700 W", "1.2 GW"), noun="power")
ENERGY = Quantity("J", _ENERGY, ("10 MWh", "3.6 GJ"), noun="energy")
LENGTH = Quantity("m", _LENGTH, ("3 m", "16 km"), noun="length")
FREQUENCY = Quantity("1/s", _RATE_PER_TIME, ("2e-5 /h", "0.5 /day"), noun="rate per time")
COUNT = Quantity("1", _COUNT, ("100k", "1024"), bare=True, integer=True, noun="count")
TOKENS = Quantity("tokens", _TOKENS, ("15T", "3e12"), bare=True, noun="number of tokens")
RATIO = Quantity("1", _RATIO, ("0.9", "90%"), bare=True, noun="ratio")
PROPORTION = Quantity("1", _RATIO | {":1": 1.0}, ("4", "4:1"), bare=True, noun="ratio to 1")
MONEY = Quantity("USD", _MONEY, ("2 USD", "40 kUSD"), noun="amount of money")

Duration = Annotated[float, _validator(DURATION), DURATION]
Bytes = Annotated[float, _validator(BYTES), BYTES]
Bandwidth = Annotated[float, _validator(BANDWIDTH), BANDWIDTH]
FlopRate = Annotated[float, _validator(FLOP_RATE), FLOP_RATE]
Power = Annotated[float, _validator(POWER), POWER]
Length = Annotated[float, _validator(LENGTH), LENGTH]
Frequency = Annotated[float, _validator(FREQUENCY), FREQUENCY]
Count = Annotated[int, _validator(COUNT), COUNT]
Tokens = Annotated[float, _validator(TOKENS), TOKENS]
Ratio = Annotated[float, _validator(RATIO), RATIO]
Proportion = Annotated[float, _validator(PROPORTION), PROPORTION]
Money = Annotated[float, _validator(MONEY), MONEY]


def parse_instant(value: object) -> float:
    """Return POSIX seconds of an ISO 8601 date or date-time; UTC where no zone is given.

    Raises
    ------
    ValueError
        If the value is not such a text.
    """
    if not isinstance(value, str):
        raise ValueError(f"expected a date such as '2026-04-08', got {describe(value)}")
    try:
        moment = dt.datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(
            f"expected a date such as '2026-04-08' or '2026-04-08T12:00', got {value!r}"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return moment.timestamp()


class _InstantSchema:
    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "string",
            "pattern": _ISO_DATE,
            "examples": ["2026-04-08"],
            "x-si-unit": "date (UTC)",
        }


def _instant(value: Any) -> float:
    try:
        return parse_instant(value)
    except ValueError as error:
        raise PydanticCustomError("instant", "{text}", {"text": str(error)}) from None


Instant = Annotated[float, BeforeValidator(_instant), _InstantSchema()]
"""A moment, written as an ISO 8601 date, kept as POSIX seconds (UTC)."""


def format_instant(posix_seconds: float, *, seconds: bool = False) -> str:
    """Return ``2026-04-08`` or, with `seconds`, ``2026-04-08T12:00:00Z``."""
    moment = dt.datetime.fromtimestamp(round(posix_seconds), tz=dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else moment.strftime("%Y-%m-%d")


def format_instants(first: float, second: float) -> tuple[str, str]:
    """Return two moments as days, or with the time where the days are the same."""
    days = format_instant(first), format_instant(second)
    same = days[0] == days[1]
    return (format_instant(first, seconds=True), format_instant(second, seconds=True)) if same else days


def format_tokens(count: float) -> str:
    """Return a number of tokens as files have it: ``15T``, ``600B``, ``1.25M``, ``800``."""
    for prefix, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= scale * 0.99995:
            return f"{count / scale:.4g}{prefix}"
    return f"{count:.4g}"


def format_si(value: float, unit: str, digits: int = 3) -> str:
    """Return a short text such as ``1.2 GW``, with a decimal prefix and `digits` significant digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    for prefix, scale in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= scale * 0.9995:
            return f"{value / scale:.{digits}g} {prefix}{unit}"
    return f"{value:.{digits}g} {unit}"


def format_duration(seconds: float) -> str:
    """Return a short text for people: ``0.6 us``, ``850 ms``, ``12.3 s``, ``42 min``, ``7.5 h``, ``33.4 d``."""
    size = abs(seconds)
    if 0.0 < size < 1e-3:
        return f"{seconds * 1e6:.3g} us"
    if size < 1.0:
        return f"{seconds * 1e3:.3g} ms"
    if size < 2 * MINUTE:
        return f"{seconds:.3g} s"
    if size < 2 * HOUR:
        return f"{seconds / MINUTE:.3g} min"
    if size < 2 * DAY:
        return f"{seconds / HOUR:.3g} h"
    return f"{seconds / DAY:.1f} d"


def format_usd(amount: float) -> str:
    """Return an amount of money: ``1.24 billion USD``, ``628 million USD``, ``6,283 USD``."""
    for scale, name in ((1e9, "billion"), (1e6, "million")):
        if abs(amount) >= scale:
            return f"{amount / scale:.3g} {name} USD"
    return f"{amount:,.0f} USD"
