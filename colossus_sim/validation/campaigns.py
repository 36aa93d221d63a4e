"""Whole published trainings: GPU-hours from architecture, tokens, cluster and the failures of their scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from colossus_sim.errors import ColossusError
from colossus_sim.formulas.reliability import efficiency, optimal_interval
from colossus_sim.units import HOUR
from colossus_sim.validation.cases import LeftOut
from colossus_sim.validation.predict import Inputs, Predictor
from colossus_sim.validation.rows import TrainingRow, csv_records, read_training_rows, shipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One published training.

    Attributes
    ----------
    tokens : float or None
        Training tokens.
    gpu_hours : float or None
        Published GPU-hours.
    """

    id: str
    model: str
    tokens: float | None
    gpu_hours: float | None
    notes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignOutcome:
    """A campaign with its prediction, or the reason why there is none.

    Attributes
    ----------
    step_hours : float or None
        GPU-hours without any failure.
    ettr : float or None
        Effective training time ratio at the failure rate of the scale.
    """

    id: str
    model: str
    gpu_hours: float
    predicted: float | None = None
    step_hours: float | None = None
    ettr: float | None = None
    reason: str = ""

    @property
    def error(self) -> float | None:
        """Relative error of the GPU-hours; positive = predicted too many."""
        return None if self.predicted is None else self.predicted / self.gpu_hours - 1.0


def read_campaigns(path: Path) -> tuple[Campaign, ...]:
    """Read a file with the columns of ``campaigns.csv``.

    Raises
    ------
    UsageError
        If the file cannot be read or lacks a column that every row needs.
    """
    return tuple(
        Campaign(
            id=record["id"],
            model=record["model"],
            tokens=_scaled(record["tokens_b"], 1e9),
            gpu_hours=_scaled(record["gpu_hours"], 1.0),
            notes=record.get("notes", ""),
        )
        for record in csv_records(path, ("id", "model", "tokens_b", "gpu_hours"))
    )


def predict_campaigns(campaigns: tuple[Campaign, ...], inputs: Inputs) -> tuple[CampaignOutcome, ...]:
    """Predict every campaign for which tokens, GPU-hours and a plan are known."""
    plans = {row.id: row for row in read_training_rows(shipped("campaign_plans.csv"))}
    by_model = {row.model: row for row in plans.values()}
    predictor = Predictor(inputs)
    outcomes = []
    for campaign in campaigns:
        plan = plans.get(campaign.id) or by_model.get(campaign.model.replace(" ", "-"))
        outcomes.append(_outcome(campaign, plan, predictor))
    return tuple(outcomes)


def _outcome(campaign: Campaign, plan: TrainingRow | None, predictor: Predictor) -> CampaignOutcome:
    hours = campaign.gpu_hours or 0.0
    reason = ""
    needed = {"tokens": campaign.tokens, "GPU-hours": campaign.gpu_hours}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        reason = f"{' and '.join(missing)} are not published"
    elif plan is None:
        reason = "architecture or cluster is not published in enough detail"
    if reason or plan is None:
        return CampaignOutcome(id=campaign.id, model=campaign.model, gpu_hours=hours, reason=reason)
    case = predictor.case(plan)
    if isinstance(case, LeftOut):
        return CampaignOutcome(id=campaign.id, model=campaign.model, gpu_hours=hours, reason=case.reason)
    try:
        estimate = predictor.estimate(case)
    except (ColossusError, ValueError) as error:
        return CampaignOutcome(id=campaign.id, model=campaign.model, gpu_hours=hours, reason=str(error))
    step_hours = (campaign.tokens or 0.0) / estimate.tokens_per_second * case.gpus / HOUR
    ettr = expected_ettr(case.gpus)
    return CampaignOutcome(
        id=campaign.id,
        model=campaign.model,
        gpu_hours=hours,
        predicted=step_hours / ettr,
        step_hours=step_hours,
        ettr=ettr,
    )


def expected_ettr(gpus: int) -> float:
    """Return the share of time kept as work at the published failure rate, with the best save interval."""
    values = {r["name"]: float(r["value"]) for r in csv_records(shipped("campaign_assumptions.csv"))}
    mtbf = HOUR / (values["interruptions_per_gpu_hour"] * gpus)
    save = values["save_s"]
    return efficiency(optimal_interval(save, mtbf), save_time=save, mtbf=mtbf, downtime=values["downtime_s"])


def _scaled(text: str, factor: float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number * factor if number > 0 else None
