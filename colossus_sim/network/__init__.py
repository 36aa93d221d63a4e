"""Floor 4: flows that share links, and jobs that share tiers."""

from colossus_sim.network.lockstep import simulate_collectives
from colossus_sim.network.maxmin import max_min_rates, simulate_flows

__all__ = ["max_min_rates", "simulate_collectives", "simulate_flows"]
