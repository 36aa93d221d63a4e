"""Whole published trainings: GPU-hours from architecture, tokens, cluster and the failures of their scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from colossus_sim.errors import ColossusError
from colossus_sim.formulas.reliability import efficiency, optimal_interval
from colossus_sim.units import HOUR
from colossus_sim.validation.campaign_plans import CampaignPlans, stated_counts
from colossus_sim.validation.cases import LeftOut
from colossus_sim.validation.predict import Inputs, Predictor
from colossus_sim.validation.rows import bounded_number, csv_records, numbered_records, shipped

_REQUIRED = ("id", "model", "tokens_b", "gpu_hours")
_RANGES = {"tokens_b": (1e-6, 1e9), "gpu_hours": (1e-3, 1e12)}
"""Columns of numbers with their bounds, wider than any training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One published training.

    Attributes
    ----------
    tokens : float or None
        Training tokens.
    gpu_hours : float or None
        Published GPU-hours.
    said : mapping of str to str
        What the row states of its gpu, n_gpus and seq_len, as texts.
    unreadable : tuple of str
        Cells that hold something other than what they should, each with what would be right.
    """

    id: str
    model: str
    tokens: float | None
    gpu_hours: float | None
    notes: str
    line: int = 0
    said: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()


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
    return tuple(_campaign(*numbered) for numbered in numbered_records(path, _REQUIRED))


def _campaign(line: int, record: Mapping[str, str], wrong: tuple[str, ...]) -> Campaign:
    numbers: dict[str, float | None] = {}
    unreadable = []
    for column, (least, most) in _RANGES.items():
        numbers[column], words = bounded_number(record[column], whole=False, least=least, most=most)
        if words:
            unreadable.append(f"{column}: {words}")
    for column in ("n_gpus", "seq_len"):
        _, words = stated_counts(record.get(column, ""))
        if words:
            unreadable.append(f"{column}: {words}; a whole number above 0 is needed")
    tokens = numbers["tokens_b"]
    return Campaign(
        id=record["id"],
        model=record["model"],
        tokens=None if tokens is None else tokens * 1e9,
        gpu_hours=numbers["gpu_hours"],
        notes=record.get("notes", ""),
        line=line,
        said={column: record.get(column, "") for column in ("gpu", "n_gpus", "seq_len")},
        unreadable=wrong or tuple(unreadable),
    )


def predict_campaigns(campaigns: tuple[Campaign, ...], inputs: Inputs) -> tuple[CampaignOutcome, ...]:
    """Predict every campaign for which tokens, GPU-hours and a plan are known."""
    plans = CampaignPlans()
    predictor = Predictor(inputs)
    return tuple(_outcome(campaign, plans, predictor) for campaign in campaigns)


def _outcome(campaign: Campaign, plans: CampaignPlans, predictor: Predictor) -> CampaignOutcome:
    hours = campaign.gpu_hours or 0.0
    plan, reason = plans.plan(campaign.id, campaign.model, campaign.said)
    needed = {"tokens": campaign.tokens, "GPU-hours": campaign.gpu_hours}
    missing = [name for name, value in needed.items() if not value]
    if campaign.unreadable:
        reason = f"line {campaign.line}: {'; '.join(campaign.unreadable)}"
    elif missing:
        reason = f"{' and '.join(missing)} are not published"
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
