"""What a step knows of where it runs: placements that look alike to it are timed once."""

from __future__ import annotations

import numpy as np

from colossus_sim.parallelism.placement import Placement
from colossus_sim.training.phases import PhaseModel
from tests.training.test_phase_models import TRAIN, model_of, scenario_with


def packed_from(model: PhaseModel, domain: int, first: int) -> Placement:
    """Return a run of whole domains from `first` on."""
    return Placement(domain, domain, ((first, -(-model.gpus_wanted // domain)),))


def test_equal_seats_are_timed_once() -> None:
    """A run moved by a whole leaf group is the same unit; the fabric's own bandwidths are those left out."""
    model, fabric = model_of(scenario_with({"pretrain": TRAIN}), "pretrain")
    domain = fabric.gpus_per_domain
    leaf = fabric.levels[1].group_gpus // domain
    here = model.unit(model.gpus_wanted, packed_from(model, domain, 0))
    there = packed_from(model, domain, leaf)
    assert model.unit(model.gpus_wanted, there) is here
    assert model.unit(model.gpus_wanted, there, fabric.bandwidths) is here
    slow = tuple(rate / 1000 for rate in fabric.bandwidths)
    assert model.unit(model.gpus_wanted, there, slow).time > here.time


def test_what_is_remembered_is_what_would_be_worked_out() -> None:
    """On scattered domains a model that has seen many placements says the same, to the last bit, as a new one."""
    scenario = scenario_with({"pretrain": TRAIN})
    seasoned, fabric = model_of(scenario, "pretrain")
    domain = fabric.gpus_per_domain
    rng = np.random.default_rng(5)
    wanted, room = -(-seasoned.gpus_wanted // domain), fabric.gpus // domain
    for _ in range(12):
        chosen = np.sort(rng.choice(room, wanted, replace=False)).tolist()
        placement = Placement(domain, domain, tuple((one, 1) for one in chosen))
        rates = tuple(rate / rng.choice([1, 2]) for rate in fabric.bandwidths)
        fresh, _ = model_of(scenario, "pretrain")
        expected = fresh.unit(fresh.gpus_wanted, placement, rates)
        assert seasoned.unit(seasoned.gpus_wanted, placement, rates) == expected
