"""Draws from assumptions with a low, a central and a high end."""

from __future__ import annotations

import math

import numpy as np
import pytest

from colossus_sim.errors import ScenarioError
from colossus_sim.loading.facts import Assumption
from colossus_sim.loading.load import load_scenario
from colossus_sim.sweeps.assumptions import draw_quantiles, groups, triangular
from colossus_sim.sweeps.forecast import make_forecast


def assumption(path: str, low: object, central: object, high: object, source: str = "s") -> Assumption:
    """Return an assumption."""
    return Assumption(path=path, low=low, central=central, high=high, chosen="central", source=source)


def test_triangular_has_its_mean_and_variance() -> None:
    """Mean (a + b + c) / 3 and variance (a2 + b2 + c2 - ab - ac - bc) / 18 of the triangular law."""
    a, c, b = 2.0, 3.0, 7.0
    values = [triangular((k + 0.5) / 100_000, a, c, b) for k in range(100_000)]
    mean = math.fsum(values) / len(values)
    assert mean == pytest.approx((a + b + c) / 3, abs=1e-6)
    variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
    assert variance == pytest.approx((a * a + b * b + c * c - a * b - a * c - b * c) / 18, abs=1e-4)


def test_triangular_falls_where_low_is_the_larger_end() -> None:
    """Quantile 0 is the low case and 1 the high case, whichever number is larger; a mode at an end is fine."""
    assert triangular(0.0, 384.0, 128.0, 64.0) == 384.0
    assert triangular(1.0, 384.0, 128.0, 64.0) == 64.0
    assert triangular(0.0, 1.0, 1.0, 2.4) == 1.0
    assert triangular(1.0, 1.0, 1.0, 2.4) == 2.4


def test_what_belongs_together_is_one_unknown() -> None:
    """Tokens of a job with its releases; GPUs with the capacity of the site; one field with one source."""
    found = groups(
        [
            assumption("jobs.a.phases.p.tokens", "1T", "2T", "4T", "x"),
            assumption("jobs.a.data.releases[0].tokens", "1T", "2T", "4T", "y"),
            assumption("jobs.a.gpus", 10, 20, 40),
            assumption("cluster.sites.s.partitions.q.capacity[0].gpus", 72, 144, 14400),
            assumption("jobs.a.step_time_factor", 1.0, 1.0, 2.4, "memo"),
            assumption("jobs.b.step_time_factor", 1.0, 1.0, 2.4, "memo"),
            assumption("jobs.a.planned_mfu", 0.2, 0.2, 0.2),
        ],
        {"a": "s", "b": "s"},
    )
    assert {group.name: len(group.members) for group in found} == {
        "a tokens": 2,
        "s capacity": 2,
        "step_time_factor: memo": 2,
    }


def test_values_are_written_in_their_units() -> None:
    """A quantity keeps its unit; what a plan is made for and words are one of the three."""
    (tokens,) = groups([assumption("jobs.a.phases.p.tokens", "15T", "30T", "60T")])
    assert tokens.overrides(0.0) == ("jobs.a.phases.p.tokens=15T",)
    assert tokens.overrides(1.0) == ("jobs.a.phases.p.tokens=60T",)
    (shape,) = groups([assumption("jobs.a.parallel.activation_recomputation", "none", "selective", "full")])
    assert [shape.overrides(u)[0].partition("=")[2] for u in (0.1, 0.5, 0.9)] == ["none", "selective", "full"]
    (planned,) = groups([assumption("jobs.a.gpus", 1024, 2048, 4096)])
    assert planned.overrides(0.4) == ("jobs.a.gpus=2048",)


def test_draws_of_a_group_do_not_depend_on_the_others() -> None:
    """More replicas keep the first ones; a new group moves no other."""
    one = groups([assumption("x.a", 1, 2, 3, "p")])
    two = groups([assumption("x.a", 1, 2, 3, "p"), assumption("x.b", 1, 2, 3, "q")])
    short, long = draw_quantiles(one, 4, 5), draw_quantiles(two, 4, 50)
    column = [group.name for group in two].index("x.a")
    assert np.array_equal(short[:, 0], long[:5, column])


def test_draws_of_the_roadmap_can_be_loaded() -> None:
    """8 draws of all assumptions of the roadmap are scenarios without contradictions."""
    forecast = make_forecast("colossus_roadmap", 8, sample_assumptions=True)
    for task in forecast.plan.tasks():
        try:
            load_scenario(task.source, overrides=task.overrides)
        except ScenarioError as error:
            pytest.fail(f"draw {task.index}: {error}")


def test_fields_set_by_hand_are_not_drawn(fast_scenario: str) -> None:
    """--set wins over the assumption of the same field."""
    free = make_forecast(fast_scenario, 3, sample_assumptions=True)
    fixed = make_forecast(
        fast_scenario, 3, overrides=["jobs.large.phases.pretrain.tokens=50B"], sample_assumptions=True
    )
    assert any("jobs.large.phases.pretrain.tokens" in text for text in free.plan.points[0].overrides)
    assert not any("jobs.large.phases.pretrain.tokens" in text for text in fixed.plan.points[0].overrides)
