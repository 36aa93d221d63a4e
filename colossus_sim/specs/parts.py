"""What networks are made of: price and power of switch ports, optics and cables, by line rate."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from colossus_sim.specs.base import AsTuple, Provenance, Spec
from colossus_sim.units import Bandwidth, Length, Money, Power


class RateParts(Spec):
    """Parts for links of one rate."""

    rate: Bandwidth
    """Line rate, one direction."""
    switch_port_price: Money
    """Price of a switch over its ports at this rate."""
    switch_port_power: Power
    """Power of a switch without optics over its ports at this rate."""
    optic_price: Money
    """Optical transceiver for one end of a link."""
    optic_power: Power
    """Power of one transceiver."""
    copper_price: Money
    """Passive copper cable of a short link."""
    fibre_price_per_metre: Money
    """Fibre of one link, per metre."""


class Parts(Spec):
    """A price list; links of other rates are reckoned from the nearest rate, in proportion."""

    name: str = ""
    """Catalog name; filled in on loading."""
    title: str
    """Name for people."""
    copper_reach: Length
    """Longest link that passive copper spans."""
    rates: Annotated[tuple[RateParts, ...], AsTuple, Field(min_length=1)]
    """Parts by line rate."""
    provenance: Provenance
    """Source."""
