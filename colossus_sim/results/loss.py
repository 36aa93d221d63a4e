"""Predicted pre-training loss of a job: an interval, never a point, and no capability score."""

from __future__ import annotations

import math
from collections.abc import Mapping

from colossus_sim.formulas.scaling_laws import (
    BESIROGLU_2024,
    LossInterval,
    effective_tokens,
    loss_interval,
)
from colossus_sim.formulas.transformer import count_parameters
from colossus_sim.records import PhaseRow
from colossus_sim.specs.job import Job

LAW = BESIROGLU_2024


def predicted_loss(job: Job, phases: Mapping[str, PhaseRow]) -> LossInterval | None:
    """Return the loss that the scaling law gives for the tokens kept in the phases that train on tokens.

    None for models that are not causal language models (the law was fitted on text) and before the first
    token. Repeated tokens count at a discount (Muennighoff et al. 2023, arXiv:2305.16264).
    """
    if job.model.kind != "transformer":
        return None
    tokens = math.fsum(
        phases[name].tokens_done
        for name, phase in job.phases.items()
        if phase.kind == "train" and phase.tokens is not None and name in phases
    )
    if tokens <= 0.0:
        return None
    unique = max((release.tokens for release in job.data.releases), default=math.inf)
    count = count_parameters(job.model)
    if math.isfinite(unique) and unique > 0.0:
        tokens = effective_tokens(tokens, unique)
    return loss_interval(active=count.active, total=count.total, tokens=tokens, law=LAW)
