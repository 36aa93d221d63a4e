"""Which of the known plans stands for a whole training: that of its model, on its GPUs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from colossus_sim.validation.rows import TrainingRow, csv_records, read_number, read_training_rows, shipped
from colossus_sim.validation.tables import Tables

_NO_PLAN = "architecture or cluster is not published in enough detail"
_TOLERANCE = 0.05
"""Relative difference of counts up to which a plan stands for a row: sources round, and leave spares out."""
_BEFORE_A_COUNT = re.compile(r"^(?:up to|about|around)\s+", re.IGNORECASE)
_BETWEEN_COUNTS = re.compile(r"\s*(?:->|\bthen\b)\s*", re.IGNORECASE)


class CampaignPlans:
    """The plans of ``campaign_plans.csv`` and the names of their models."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._models = {record["id"]: record["model"] for record in csv_records(shipped("campaigns.csv"))}
        self._plans = read_training_rows(shipped("campaign_plans.csv"))

    def plan(self, row_id: str, model: str, said: Mapping[str, str]) -> tuple[TrainingRow | None, str]:
        """Return the plan of a training, or None and why there is none.

        Several plans may be of one model: that with the row's id comes first, then the later ones. An id alone is
        no reason to take a plan, since own files number their rows as they like.

        Parameters
        ----------
        said : mapping of str to str
            What the row states of gpu, n_gpus and seq_len; empty cells say nothing.
        """
        of_model = [plan for plan in reversed(self._plans) if _words(model) in self._names(plan)]
        if not of_model:
            other = self._models.get(row_id)
            same = other is None or _words(other) == _words(model)
            return None, _NO_PLAN if same else f"no plan of {model!r} is known; {row_id} is that of {other}"
        of_model.sort(key=lambda plan: plan.id != row_id)
        for plan in of_model:
            if not self._differences(plan, said):
                return plan, ""
        nearest = of_model[0]
        differences = ", ".join(self._differences(nearest, said))
        return None, (
            f"the plan of {nearest.model} is for {nearest.n_gpus} {nearest.gpu} and sequences of "
            f"{nearest.seq_len} tokens; the row says {differences}"
        )

    def _names(self, plan: TrainingRow) -> tuple[tuple[str, ...], ...]:
        return _words(plan.model), _words(self._models.get(plan.id, plan.model))

    def _differences(self, plan: TrainingRow, said: Mapping[str, str]) -> list[str]:
        found = []
        if said.get("gpu") and not self._same_gpu(plan, said["gpu"]):
            found.append(f"gpu {said['gpu']!r}")
        for column, planned in (("n_gpus", plan.n_gpus), ("seq_len", plan.seq_len)):
            counts, _ = stated_counts(said.get(column, ""))
            if counts and not any(abs(count - (planned or 0)) <= _TOLERANCE * count for count in counts):
                found.append(f"{column} {said[column]!r}")
        return found

    def _same_gpu(self, plan: TrainingRow, name: str) -> bool:
        """Whether a name stands for the plan's GPU; one that leaves the memory open stands for either."""
        ours, theirs = self._tables.device(plan.gpu, plan.id), self._tables.device(name)
        if ours is None or theirs is None or not theirs.catalog:
            return name == plan.gpu
        parts = [ours.catalog, theirs.catalog]
        if theirs.assumed:
            parts = [part.split("_")[0] for part in parts]
        links = (ours.scale_up_bandwidth, ours.scale_up_domain, ours.hbm_capacity)
        return parts[0] == parts[1] and links == (
            theirs.scale_up_bandwidth,
            theirs.scale_up_domain,
            theirs.hbm_capacity,
        )


def stated_counts(text: str) -> tuple[tuple[float, ...], str]:
    """Return the counts of a cell such as ``up to 4096`` or ``768 -> 2304``, and what is wrong with it."""
    counts = []
    for part in _BETWEEN_COUNTS.split(_BEFORE_A_COUNT.sub("", text)):
        number, wrong = read_number(part, whole=True)
        if wrong or number == 0:
            return (), wrong or "0 is no count"
        if number is not None:
            counts.append(number)
    return tuple(counts), ""


def _words(model: str) -> tuple[str, ...]:
    """Return a name's words and numbers, by which ``Llama2-7B`` is ``Llama 2 7B`` but not ``Llama 27B``."""
    return tuple(re.findall(r"[a-z]+|\d+(?:\.\d+)?", model.lower()))
