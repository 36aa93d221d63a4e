"""Fits the constants of the training-step model on the shipped published rows, and cross-validates the fit.

    python benchmarks/calibrate.py            # fit, print errors, leave the catalogs alone
    python benchmarks/calibrate.py --folds 5  # before that, leave whole families out, five times
    python benchmarks/calibrate.py --write    # fit and write data/calibrations.yaml and data/stacks.yaml
    python benchmarks/calibrate.py --warm     # start at the constants of the catalogs: fewer evaluations
    python benchmarks/calibrate.py --only megatron_2020 v100_dgx2h  # fit these stacks and devices, keep the others

What is fitted, from which prior and within which limits, is `calibration_plan.yaml`. The residual of a row is the
logarithm of predicted over published step time in units of the 6 % that published times scatter by, with the
weight of an outlier growing linearly beyond two of them (pseudo-Huber). A family of n near-duplicate rows counts
as sqrt(n) observations, so that sweeps do not dominate. Each constant is pulled to its prior with its spread.
Nothing is random: a second run gives the same numbers.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import yaml
from scipy.optimize import least_squares

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from calibration_files import write_constants  # noqa: E402
from calibration_tables import scores, table  # noqa: E402

from colossus_sim.errors import ColossusError  # noqa: E402
from colossus_sim.specs.hardware import Calibration, Gpu, Stack  # noqa: E402
from colossus_sim.training.communication import Network  # noqa: E402
from colossus_sim.training.sizes import Sizes, resolve_sizes  # noqa: E402
from colossus_sim.training.step import step_time  # noqa: E402
from colossus_sim.validation.cases import Case, LeftOut, stated_stack  # noqa: E402
from colossus_sim.validation.inputs import shipped_inputs  # noqa: E402
from colossus_sim.validation.predict import Inputs, Predictor, placement_of, source_of  # noqa: E402
from colossus_sim.validation.rows import TrainingRow, read_training_rows, shipped  # noqa: E402

DATA = ROOT / "colossus_sim" / "data"
PLAN = Path(__file__).with_name("calibration_plan.yaml")
CROSS_VALIDATION = ROOT / "benchmarks" / "validation" / "cross_validation.md"
_INTRODUCTION = """# Training steps: errors of rows whose family was left out of the fit

Written by `benchmarks/calibrate.py --folds N`. A family is a group of near-duplicates (one configuration over
releases, formats and micro-batches); each row is predicted with constants fitted to the other folds' families.
"""
NOISE, OUTLIER = 0.06, 2.0
STEP = 0.05
SWEEPS = {"hf": 6, "vtrain-single": 3}
"""Every n-th row of the large sweeps is fitted; the others count as shipped rows never seen by the fit."""
_TIED = {"attention_fraction": "attention_backward_fraction"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One fitted constant: the field of some stacks, or of some device and format entries."""

    kind: str
    field: str
    targets: tuple[str, ...]
    formats: tuple[str, ...]
    prior: float
    spread: float
    low: float
    high: float
    linear: bool

    def value(self, x: float) -> float:
        """Return the constant for a deviation of x spreads from its prior."""
        raw = self.prior + x * self.spread if self.linear else self.prior * math.exp(x * self.spread)
        return min(self.high, max(self.low, raw))

    def bound(self, value: float) -> float:
        """Return the deviation at which the constant has this value."""
        if self.linear:
            return (value - self.prior) / self.spread
        return math.log(value / self.prior) / self.spread


def read_plan(path: Path) -> list[Parameter]:
    """Return what is to be fitted."""
    plan = yaml.safe_load(path.read_text(encoding="utf-8"))
    parameters = []
    for kind, names in (("kernels", "gpus"), ("stacks", "stacks")):
        for entry in plan[kind]:
            formats = entry.get("precision", [])
            parameters.append(
                Parameter(
                    kind=kind,
                    field=entry["field"],
                    targets=tuple(entry[names]),
                    formats=(formats,) if isinstance(formats, str) else tuple(formats),
                    prior=float(entry["prior"]),
                    spread=float(entry["spread"]),
                    low=float(entry["low"]),
                    high=float(entry["high"]),
                    linear=bool(entry.get("linear", False)),
                )
            )
    return parameters


def heirs(name: str, field: str, raw: dict[str, dict[str, object]]) -> list[str]:
    """Return the stack and all that inherit this field from it."""
    found = [name]
    for other, entry in raw.items():
        if entry.get("use") == name and field not in entry:
            found += heirs(other, field, raw)
    return found


class Model:
    """Predicts the fitted rows for any set of constants, recomputing only what a constant can change."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = parameters
        self.inputs = shipped_inputs()
        raw = yaml.safe_load((DATA / "stacks.yaml").read_text(encoding="utf-8"))
        listed = {(n, p.field) for p in parameters if p.kind == "stacks" for n in p.targets}
        self.stacks_of = [
            frozenset(
                heir
                for name in p.targets
                for heir in heirs(name, p.field, raw)
                if heir == name or (heir, p.field) not in listed
            )
            for p in parameters
        ]
        self._predictor = Predictor(self.inputs)
        self.rows: list[TrainingRow] = []
        self.cases = []
        for row in read_training_rows(shipped("training_rows.csv")):
            case = self._predictor.case(row)
            if isinstance(case, LeftOut) or row.is_oom or row.published_step is None:
                continue
            if case.device.catalog in self.inputs.gpus and self._expressible(case):
                self.rows.append(row)
                self.cases.append(case)
        self.resolved = [self._resolve(case) for case in self.cases]
        self.published = np.array([row.published_step for row in self.rows])
        self.sources = [source_of(row.id) for row in self.rows]
        self.touched = [self._rows_of(index) for index in range(len(parameters))]

    def _expressible(self, case: Case) -> bool:
        try:
            self._resolve(case)
        except (ColossusError, ValueError):
            return False
        return True

    def _resolve(self, case: Case) -> tuple[Gpu, Sizes, Network]:
        """Return what no constant changes: device, sizes, and the network, which remembers its prices."""
        gpu = self._predictor.gpu(case)
        placement = placement_of(gpu, case.gpus)
        fabric = self._predictor._fabric(gpu, case, placement.num_domains * gpu.scale_up_domain)
        sizes = resolve_sizes(case.architecture, case.plan, case.gpus)
        fraction = case.plan.stack.data_bandwidth_fraction
        return gpu, sizes, Network(sizes, placement, fabric, None, data_fraction=fraction)

    def _rows_of(self, index: int) -> frozenset[int]:
        parameter = self.parameters[index]
        if parameter.kind == "stacks":
            return frozenset(i for i, c in enumerate(self.cases) if c.stack_name in self.stacks_of[index])
        names = {i: self._predictor.gpu(c).name for i, c in enumerate(self.cases)}
        return frozenset(
            i
            for i, c in enumerate(self.cases)
            if names[i] in parameter.targets
            and ("*" in parameter.formats or c.plan.precision in parameter.formats)
        )

    def current(self) -> np.ndarray:
        """Return the deviations at which the constants are those of the catalogs."""
        found = []
        for parameter in self.parameters:
            if parameter.kind == "stacks":
                value = getattr(self.inputs.stacks[parameter.targets[0]], parameter.field)
            else:
                value = next(
                    getattr(entry, parameter.field)
                    for entry in self.inputs.calibration.kernels
                    if entry.gpu in parameter.targets and entry.precision in parameter.formats
                )
            found.append(parameter.bound(min(parameter.high, max(parameter.low, float(value)))))
        return np.array(found)

    def constants(self, x: np.ndarray) -> Inputs:
        """Return the catalogs with these constants."""
        stacks: dict[str, Stack] = dict(self.inputs.stacks)
        kernels = list(self.inputs.calibration.kernels)
        for index, parameter in enumerate(self.parameters):
            value = parameter.value(float(x[index]))
            if parameter.kind == "stacks":
                for name in self.stacks_of[index]:
                    stacks[name] = stacks[name].model_copy(update={parameter.field: value})
                continue
            for place, entry in enumerate(kernels):
                if entry.gpu in parameter.targets and entry.precision in parameter.formats:
                    kernels[place] = entry.model_copy(update=kernel_update(entry, parameter.field, value))
        calibration: Calibration = self.inputs.calibration.model_copy(update={"kernels": tuple(kernels)})
        return dataclasses.replace(self.inputs, stacks=stacks, calibration=calibration)

    def predict(self, x: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        """Return predicted step times of some rows."""
        inputs = self.constants(x)
        times = []
        for i in rows:
            case = self.cases[i]
            stack = inputs.stacks.get(case.stack_name, inputs.stacks["generic"])
            plan = case.plan.model_copy(update={"stack": stated_stack(case.row, stack)})
            gpu, sizes, network = self.resolved[i]
            if stack.data_bandwidth_fraction != network.data_fraction:
                gpu, sizes, network = self._resolve(dataclasses.replace(case, plan=plan))
                self.resolved[i] = gpu, sizes, network
            times.append(
                step_time(
                    architecture=case.architecture,
                    plan=plan,
                    gpu=gpu,
                    calibration=inputs.calibration,
                    sizes=sizes,
                    network=network,
                )
            )
        return np.array(times)


def kernel_update(entry: object, field: str, value: float) -> dict[str, float]:
    """Return the changed fields of an entry; the backward rate of attention keeps its ratio to the forward one."""
    changes = {field: value}
    if field in _TIED:
        other = _TIED[field]
        changes[other] = getattr(entry, other) * value / getattr(entry, field)
    return changes


class Fit:
    """A fit on some rows."""

    def __init__(self, model: Model, rows: Sequence[int]) -> None:
        self._model = model
        self._rows = list(rows)
        place = {row: k for k, row in enumerate(self._rows)}
        self._touched = [sorted(place[i] for i in touched if i in place) for touched in model.touched]
        families: dict[str, int] = {}
        for i in self._rows:
            families[model.rows[i].family] = families.get(model.rows[i].family, 0) + 1
        self._weights = np.array([families[model.rows[i].family] ** -0.25 for i in self._rows])
        self._known: tuple[np.ndarray, np.ndarray] | None = None

    def _times(self, x: np.ndarray) -> np.ndarray:
        if self._known is None or not np.array_equal(self._known[0], x):
            self._known = (x.copy(), self._model.predict(x, self._rows))
        return self._known[1]

    def _residuals(self, times: np.ndarray, at: Sequence[int] | slice = slice(None)) -> np.ndarray:
        published = self._model.published[self._rows][at]
        scaled = np.log(times / published) / NOISE
        robust = np.sign(scaled) * OUTLIER * np.sqrt(2.0 * (np.sqrt(1.0 + (scaled / OUTLIER) ** 2) - 1.0))
        return np.asarray(robust * self._weights[at])

    def residuals(self, x: np.ndarray) -> np.ndarray:
        """Return the weighted residuals of rows and priors."""
        return np.concatenate([self._residuals(self._times(x)), x])

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Return the derivatives, by differences over the rows that a constant can change."""
        base = self._residuals(self._times(x))
        matrix = np.zeros((len(self._rows) + len(x), len(x)))
        for index, touched in enumerate(self._touched):
            matrix[len(self._rows) + index, index] = 1.0
            if touched:
                step = (
                    STEP
                    if self._model.parameters[index].bound(self._model.parameters[index].high)
                    > x[index] + STEP
                    else -STEP
                )
                moved = x.copy()
                moved[index] += step
                times = self._model.predict(moved, [self._rows[k] for k in touched])
                matrix[touched, index] = (self._residuals(times, touched) - base[touched]) / step
        return matrix

    def run(self, evaluations: int, *, warm: bool = False) -> np.ndarray:
        """Return the best deviations from the priors, in spreads."""
        parameters = self._model.parameters
        bounds = ([p.bound(p.low) for p in parameters], [p.bound(p.high) for p in parameters])
        start = self._model.current() if warm else np.zeros(len(parameters))
        start = np.clip(start, np.array(bounds[0]) + 1e-6, np.array(bounds[1]) - 1e-6)
        result = least_squares(
            self.residuals,
            start,
            jac=self.jacobian,
            bounds=bounds,
            max_nfev=evaluations,
            xtol=1e-3,
            ftol=1e-3,
        )
        print(f"cost {result.cost:.1f} after {result.nfev} evaluations", file=sys.stderr, flush=True)
        return np.asarray(result.x)


def fitted_rows(model: Model) -> list[int]:
    """Return the rows that are fitted: all but most of the large sweeps, and but those that their source itself
    calls a regression."""
    counts: dict[str, int] = {}
    chosen = []
    for i, source in enumerate(model.sources):
        if "known performance regression" in model.rows[i].notes:
            continue
        counts[source] = counts.get(source, 0) + 1
        if (counts[source] - 1) % SWEEPS.get(source, 1) == 0:
            chosen.append(i)
    return chosen


def folds_of(model: Model, rows: Sequence[int], folds: int) -> dict[str, int]:
    """Return the fold of each fitted family, large families dealt first."""
    sizes: dict[str, int] = {}
    for i in rows:
        sizes[model.rows[i].family] = sizes.get(model.rows[i].family, 0) + 1
    order = sorted(sizes, key=lambda family: (-sizes[family], family))
    return {family: k % folds for k, family in enumerate(order)}


def left_out_errors(fold: int, folds: int, evaluations: int) -> dict[int, float]:
    """Return the errors of the rows of one fold under constants fitted without its families."""
    model = Model(read_plan(PLAN))
    rows = fitted_rows(model)
    fold_of = folds_of(model, rows, folds)
    kept = [i for i in rows if fold_of[model.rows[i].family] != fold]
    left = [i for i in range(len(model.rows)) if fold_of.get(model.rows[i].family, 0) == fold]
    x = Fit(model, kept).run(evaluations)
    times = model.predict(x, left)
    return {i: float(t / model.published[i] - 1.0) for i, t in zip(left, times, strict=True)}


def cross_validate(folds: int, evaluations: int, jobs: int) -> dict[int, float]:
    """Return the error of each row under constants fitted without its family."""
    errors: dict[int, float] = {}
    with ProcessPoolExecutor(jobs) as pool:
        asked = [pool.submit(left_out_errors, fold, folds, evaluations) for fold in range(folds)]
        for answer in asked:
            errors |= answer.result()
    return errors


def main() -> None:
    """Fit, print, and write if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folds", type=int, default=0, help="cross-validate with so many folds of families")
    parser.add_argument("--jobs", type=int, default=1, help="processes for the folds")
    parser.add_argument("--evaluations", type=int, default=5, help="evaluations of the model per fit")
    parser.add_argument("--write", action="store_true", help="write the constants into the catalogs")
    parser.add_argument("--date", default="2026-11", help="date written into the provenance")
    parser.add_argument("--warm", action="store_true", help="start at the constants of the catalogs")
    parser.add_argument("--only-folds", action="store_true", help="no fit on everything")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="fit constants of these stacks and devices on their rows",
    )
    options = parser.parse_args()
    plan = read_plan(PLAN)
    model = Model([p for p in plan if not options.only or set(options.only) & set(p.targets)])
    held = cross_validate(options.folds, options.evaluations, options.jobs) if options.folds else {}
    if held:
        text = table(
            model, held, f"{options.folds} folds of families, {options.evaluations} evaluations per fit"
        )
        print(text)
        CROSS_VALIDATION.write_text(f"{_INTRODUCTION}\n```\n{text}\n```\n", encoding="utf-8")
    if options.only_folds:
        return
    everything = sorted(frozenset().union(*model.touched)) if options.only else range(len(model.rows))
    rows = sorted(set(fitted_rows(model)) & set(everything))
    x = Fit(model, rows).run(options.evaluations, warm=options.warm)
    errors = dict(
        zip(everything, model.predict(x, everything) / model.published[everything] - 1.0, strict=True)
    )
    print(table(model, errors, f"in-sample, {len(rows)} rows fitted"))
    values = [(p, p.value(float(d))) for p, d in zip(model.parameters, x, strict=True)]
    for (parameter, number), deviation in zip(values, x, strict=True):
        where = ", ".join((*parameter.targets, *parameter.formats))
        print(f"{number:12.4g} ({deviation:+.1f} spreads) {parameter.field} {where}")
    if options.write:
        write_constants(values, scores(model, errors, held), options.date, DATA)


if __name__ == "__main__":
    main()
