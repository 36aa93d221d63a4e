"""Shipped networks, as in the tests of topologies."""

from tests.topology.conftest import catalog, load_topology

__all__ = ["catalog", "load_topology"]
