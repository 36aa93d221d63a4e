"""Error statistics against numbers worked out by hand."""

from __future__ import annotations

import pytest

from colossus_sim.training.estimate import StageMemory
from colossus_sim.validation.collectives import (
    CollectivePrediction,
    CollectiveRow,
    canonical_collective,
    collective_groups,
)
from colossus_sim.validation.metrics import (
    Prediction,
    best_constant_efficiency,
    constant_efficiencies,
    error_stats,
    groups,
    naive_errors,
    quantile,
    worst,
)
from colossus_sim.validation.predict import comparable_memory, source_of
from colossus_sim.validation.report import assumptions_text, training_markdown
from colossus_sim.validation.tables import MemoryMeasure


def prediction(name: str, predicted: float, published: float | None, **changes: object) -> Prediction:
    values: dict[str, object] = {
        "id": name, "source": source_of(name), "gpu": "H100", "kind": "dense", "precision": "bf16", "n_gpus": 64,
        "specified": "Y", "predicted_s": predicted, "published_s": published, "ideal_s": 1.0, "predicted_mem": 40.0,
        "published_mem": None, "mem_unit": "GB", "predicted_peak_mem": 40.0, "capacity_mem": 80.0, "fits": True,
        "oom": False,
    }  # fmt: skip
    return Prediction(**(values | changes))  # type: ignore[arg-type]


def test_quantiles_interpolate_like_numpy() -> None:
    """The 90th percentile of 0, 1, 2, 3 is 2.7."""
    assert quantile([3.0, 0.0, 2.0, 1.0], 0.9) == pytest.approx(2.7)
    assert quantile([5.0], 0.5) == 5.0


def test_statistics_of_four_errors() -> None:
    """Median, mean and 90th percentile are of absolute errors, the bias is signed."""
    stats = error_stats([0.1, -0.2, 0.3, -0.4])
    assert stats is not None
    assert (stats.count, stats.median, stats.mean) == (4, pytest.approx(0.25), pytest.approx(0.25))
    assert stats.p90 == pytest.approx(0.37)
    assert stats.bias == pytest.approx(-0.05)
    assert stats.median_bias == pytest.approx(-0.05)


def test_no_errors_have_no_statistics() -> None:
    """An empty group is None, not zero."""
    assert error_stats([]) is None


def test_the_best_constant_efficiency_minimises_the_mean_error() -> None:
    """No efficiency on a fine grid beats the weighted median."""
    sample = [0.2, 0.35, 0.4, 0.41, 0.55]
    best = best_constant_efficiency(sample)

    def mean_error(efficiency: float) -> float:
        return sum(abs(value / efficiency - 1) for value in sample) / len(sample)

    assert mean_error(best) <= min(mean_error(0.1 + 0.001 * step) for step in range(900)) + 1e-12


def test_the_naive_line_is_per_gpu_and_precision() -> None:
    """A single row of its GPU is predicted exactly; of two rows one is."""
    rows = [
        prediction("a-1", 1.0, 2.0),
        prediction("a-2", 1.0, 4.0),
        prediction("a-3", 1.0, 5.0, precision="fp8"),
    ]
    errors = naive_errors(rows, constant_efficiencies(rows))
    assert errors["a-3"] == pytest.approx(0.0)
    assert sorted(errors[key] for key in ("a-1", "a-2")) == [pytest.approx(-0.5), pytest.approx(0.0)]


def test_the_naive_line_may_be_fitted_on_other_rows() -> None:
    """An efficiency of 0.5 predicts a run of half that efficiency as twice too fast; a GPU that the other rows lack
    has no naive prediction."""
    known = constant_efficiencies([prediction("a-1", 1.0, 2.0)])
    new = [prediction("b-1", 1.0, 4.0), prediction("b-2", 1.0, 4.0, gpu="H200")]
    assert naive_errors(new, known) == {"b-1": pytest.approx(-0.5)}


def test_a_published_time_of_nothing_has_no_error() -> None:
    """A time of 0 s cannot be compared with."""
    assert prediction("a-1", 1.0, 0.0).error is None


def test_frequent_assumptions_are_counted() -> None:
    """Each assumption counts once per row, the most frequent first; beyond the limit only their number is told."""
    rows = [
        prediction("a-1", 1.0, 1.0, assumptions=("x assumed", "x assumed", "y assumed")),
        prediction("a-2", 1.0, 1.0, assumptions=("x assumed",)),
        prediction("a-3", 1.0, 1.0),
    ]
    assert assumptions_text(rows, limit=1).splitlines() == [
        "2 of 3 predictions rest on assumptions (--json names each):",
        "     2  x assumed",
        "        and 1 others",
    ]


def test_sweeps_are_reported_apart() -> None:
    """The dense group holds neither the Ultrascale nor the vTrain rows."""
    rows = [
        prediction("dgxc-0001", 1.1, 1.0),
        prediction("hf-0001", 3.0, 1.0),
        prediction("vtrain-multi-0001", 2.0, 1.0),
    ]
    found = {group.name: group for group in groups(rows, (), constant_efficiencies(rows))}
    dense = found["dense, sweeps apart"].time
    assert dense is not None
    assert (dense.count, dense.median) == (1, pytest.approx(0.1))
    sweep = found["hf"].time
    assert sweep is not None
    assert sweep.median == pytest.approx(2.0)


def test_feasibility_counts_right_verdicts() -> None:
    """A run that ran must fit, a run out of memory must not."""
    rows = [
        prediction("a-1", 1.0, 1.0),
        prediction("a-2", 1.0, 1.0, fits=False),
        prediction("a-3", 1.0, None, oom=True, fits=False),
        prediction("a-4", 1.0, None, oom=True),
    ]
    verdicts = groups(rows, (), constant_efficiencies(rows))[0].feasibility
    assert verdicts is not None
    assert (verdicts.ran, verdicts.ran_right, verdicts.oom, verdicts.oom_right) == (2, 1, 2, 1)
    assert verdicts.share_right == 0.5
    assert verdicts.shares == ("1/2", "1/2")


def test_worst_rows_come_first() -> None:
    """Rows are ordered by the size of their error, whatever its sign."""
    rows = [prediction("a-1", 1.1, 1.0), prediction("a-2", 0.5, 1.0), prediction("a-3", 1.3, 1.0)]
    assert [row.id for row in worst(rows, 2)] == ["a-2", "a-3"]


def test_memory_is_compared_in_the_unit_and_scope_of_the_source() -> None:
    """States leave out activations, allocated leaves out the context, device counts all; peak over stages."""
    gib = 2.0**30
    stages = [
        StageMemory(
            stage=0, weights=gib, gradients=gib, optimizer=gib, activations=4 * gib, buffers=gib, overhead=gib
        ),
        StageMemory(
            stage=1,
            weights=gib,
            gradients=gib,
            optimizer=gib,
            activations=0.0,
            buffers=gib,
            overhead=gib,
            update=gib,
        ),
    ]
    values = [
        comparable_memory(stages, MemoryMeasure(unit="GiB", scope=scope))
        for scope in ("states", "allocated", "device")
    ]
    assert values == [4.0, 8.0, 9.0]
    assert comparable_memory(stages, MemoryMeasure(unit="GB", scope="device")) == pytest.approx(9.66367642)


def test_the_source_is_the_prefix_of_the_id() -> None:
    """Prefixes with hyphens stay whole."""
    assert [source_of(text) for text in ("vtrain-multi-0003", "hf-0001", "mlmh100-0002")] == [
        "vtrain-multi", "hf", "mlmh100",
    ]  # fmt: skip


def test_the_markdown_table_has_the_naive_line_and_the_worst_rows() -> None:
    """Each group shows its errors and those of a constant efficiency; rows are named with both times."""
    rows = [prediction("a-1", 1.1, 1.0), prediction("a-2", 0.5, 1.0)]
    text = training_markdown(groups(rows, (), constant_efficiencies(rows)), worst(rows, 1))
    assert "| all | 2 | 30.0 % | 30.0 % | 46.0 % | -20.0 % | 0.0 % | 0.0 % |  |  | 2/2 |  |" in text
    assert "| a-2 | 64 H100 | 1 s | 0.5 s | -50 % |" in text
    assert "a-1" not in text


def collective(system: str, error: float, *, domain: int = 8, **changes: object) -> CollectivePrediction:
    values: dict[str, object] = {
        "line": 2, "source": "s", "system": system, "gpu": "H100", "gpus_per_node": 8, "n_gpus": 8,
        "collective": "all_reduce", "algorithm": "auto", "message_bytes": 1e6, "time": 1.0, "fabric": "NVLink",
        "nic_gbps": None, "grade": "A", "notes": "",
    }  # fmt: skip
    row = CollectiveRow(**(values | changes))  # type: ignore[arg-type]
    return CollectivePrediction(row=row, predicted=1.0 + error, domain=domain)


def test_collectives_are_averaged_per_system_and_grade_c_is_not_scored() -> None:
    """Two systems with mean errors 0.1 and 0.5 give 0.3, whatever their number of rows."""
    items = [
        collective("a", 0.1),
        collective("a", -0.1),
        collective("b", 0.5),
        collective("c", 9.0, grade="C"),
    ]
    everything = collective_groups(items)[0]
    assert (everything.systems, everything.count) == (2, 3)
    assert everything.mean_of_systems == pytest.approx(0.3)
    assert everything.mean == pytest.approx(0.7 / 3)


def test_collective_groups_split_by_domain_and_size() -> None:
    """Sixteen GPUs of eight-GPU nodes are across nodes; 72 of one rack are not; 64 MB bounds large messages."""
    items = [
        collective("a", 0.1),
        collective("a", 0.2, n_gpus=16, message_bytes=1e9),
        collective("g", 0.3, n_gpus=72, gpus_per_node=4, domain=72),
    ]
    found = {group.name: group.count for group in collective_groups(items)}
    assert found["one NVLink domain"] == 2
    assert found["across nodes"] == 1
    assert found["over 64 MB"] == 1


def test_spellings_of_collectives_become_one() -> None:
    """nccl-tests' spellings map to the project's names."""
    spellings = (
        "alltoall",
        "all_reduce_perf",
        "reduce_scatter",
        "allgather",
        "sendrecv_perf",
        "ReduceScatter",
    )
    assert [canonical_collective(text) for text in spellings] == [
        "all_to_all", "all_reduce", "reduce_scatter", "all_gather", "send_recv", "reduce_scatter",
    ]  # fmt: skip
