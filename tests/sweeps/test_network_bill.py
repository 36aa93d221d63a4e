"""Cost and power of networks as columns of a sweep."""

from __future__ import annotations

import pytest

from colossus_sim.loading.load import load_scenario
from colossus_sim.sweeps.measure import describe_measure
from colossus_sim.sweeps.network_bill import MEASURES, network_bill

OVER = "cluster.sites.colossus_2.topology.fabric.tiers[1].oversubscription={}"


def test_a_thinner_core_costs_less() -> None:
    """Money, power and switches fall as the core is thinned, and halving it saves more than quartering it again."""
    bills = [network_bill(load_scenario("contention_1to1", overrides=(OVER.format(n),))) for n in (1, 2, 4)]
    for name in MEASURES:
        full, half, quarter = (bill[f"cluster.{name}"] for bill in bills)
        assert full > half > quarter > 0
        assert full - half == pytest.approx(2 * (half - quarter), rel=0.05)


def test_prices_are_a_field() -> None:
    """With copper that reaches every port there are no optics: less money and power, the same switches."""
    plain = network_bill(load_scenario("quickstart"))
    dear = "cluster.sites.lab.topology.parts={use: network_2024, copper_reach: 1000 m}"
    copper = network_bill(load_scenario("quickstart", overrides=(dear,)))
    assert copper["cluster.network_cost_MUSD"] < plain["cluster.network_cost_MUSD"]
    assert copper["cluster.network_power_MW"] < plain["cluster.network_power_MW"]
    assert copper["cluster.network_switches"] == plain["cluster.network_switches"]


def test_columns_have_units() -> None:
    """The dictionary of columns knows the measures."""
    assert describe_measure("cluster.network_cost_MUSD")[0] == "million USD"
    assert describe_measure("cluster.network_power_MW")[0] == "MW"
