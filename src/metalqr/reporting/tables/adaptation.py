"""Adaptation to unseen tasks: gaps after some steps, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from metalqr.config.evaluation import EXACT
from metalqr.config.registries import tables
from metalqr.reporting import adaptation
from metalqr.reporting.tables.markdown import Column, Columns, number, percent, power, spread
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from metalqr.lqr import FloatArray

#: The step of a column beside the first one, or the last where there are fewer.
LATER = 5


def _steps(name: str, heading: str) -> Column:
    return Column(heading, lambda row: f"{row[name]:,.0f}" if math.isfinite(row[name]) else number(row[name]))


def _number(name: str, heading: str) -> Column:
    return Column(heading, lambda row: number(row[name]))


def _rate(name: str) -> Column:
    return Column("η", lambda row: power(row[name]))


def _factor(row: Mapping[Any, Any]) -> str:
    return ("≥ " if row["factor_is_bound"] else "") + number(row["factor"])


@tables.register("adaptation")
class Adaptation(Table):
    """Adaptation to unseen tasks: a row for each case, starting gain and choice of the step size.

    ``rate`` is ``own``, the adaptation rate of the training, or ``tuned`` on other unseen tasks, for exact and for
    estimated steps: ``exact_rate`` and ``estimated_rate``. ``training_steps`` are the rollout steps of training, the
    median over seeds; ``objective`` and ``mean_cost`` the meta-objective L (at the own rate) and the mean cost of the
    training tasks; ``better_objective`` is a lower L that a trained gain has, where the optimum of the meta-objective
    is a local one. ``gap_0``, ``exact_gap_1``, ``exact_gap_5`` are median gaps over all unseen tasks after 0, 1 and 5
    steps of the exact gradient (or after the last, if there are fewer), ``gap_1`` and ``gap_5`` those of ``estimator``,
    whose step takes ``rollouts`` rollouts on a task. ``quantile_5`` is its 90 % quantile, and ``unstable_share`` the
    share of gains that do not stabilise their task; these count as infinite everywhere. ``steps_to_10`` and
    ``steps_to_1`` are the rollout steps on a task to a gap of 10 % and 1 %, infinite where the steps do not suffice;
    ``factor`` is the number of times fewer than from K_0 to 10 %, a lower bound where K_0 does not get there.
    ``exact_difference`` and ``difference`` are the gaps after 1 step less those of the best single gain on the same
    task and with the same noise: the median over seeds of the median, and their range. Gaps are absolute where an
    optimum costs nothing (``relative`` is 0); then there are no steps to 10 %.
    """

    reads = "evaluation"
    category = "Adaptation"
    columns: ClassVar[Columns] = {
        "start": Column("start", text=True),
        "rate": Column("step size", text=True),
        "training_steps": _steps("training_steps", "rollout steps of training"),
        "objective": _number("objective", "L"),
        "mean_cost": _number("mean_cost", "Σ p J"),
        "better_objective": _number("better_objective", "better gain seen"),
        "gap_0": _number("gap_0", "gap at 0"),
        "exact_rate": _rate("exact_rate"),
        "exact_gap_1": _number("exact_gap_1", "exact, 1"),
        "exact_gap_5": _number("exact_gap_5", "exact, 5"),
        "exact_difference": spread("exact_difference", "exact, 1: to best single gain"),
        "exact_difference_min": None,
        "exact_difference_max": None,
        "estimator": Column("estimator", text=True),
        "rollouts": None,
        "estimated_rate": _rate("estimated_rate"),
        "gap_1": _number("gap_1", "gap at 1"),
        "gap_5": _number("gap_5", "at 5"),
        "quantile_5": _number("quantile_5", "90 % at 5"),
        "unstable_share": Column("unstable", lambda row: percent(row["unstable_share"])),
        "steps_to_10": _steps("steps_to_10", "rollout steps to 10 %"),
        "steps_to_1": _steps("steps_to_1", "to 1 %"),
        "factor": Column("factor to 10 % from K_0", _factor),
        "factor_is_bound": None,
        "difference": spread("difference", "at 1: to best single gain"),
        "difference_min": None,
        "difference_max": None,
        "relative": None,
        "remark": Column("remark", text=True),
    }

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The rules of the evaluation, and the experiments."""
        return adaptation.details(config, names)

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases; the experiments are a column where there are several."""
        several = len({name.partition("/")[0] for name in datasets}) > 1
        for name, dataset in datasets.items():
            experiment, _, case = name.partition("/")
            for place, start in enumerate(dataset["start"].values.tolist()):
                for rate in dataset["rate"].values.tolist():
                    row = {"case": case, "start": start, "rate": rate, **_outcome(dataset, place, rate)}
                    yield {"experiment": experiment, **row} if several else row


def _outcome(dataset: xr.Dataset, place: int, rate: str) -> dict[str, Any]:
    """The columns of one starting gain at one step size."""
    chosen = dataset.sel(rate=rate)
    estimator = adaptation.stated_estimator(dataset)
    exact, estimated = chosen.sel(estimator=EXACT), chosen.sel(estimator=estimator)
    own = exact.isel(start=place)
    later = min(LATER, dataset.sizes["step"] - 1)
    found, by_estimate = (adaptation.Summary.of(each["gap"].isel(start=place)) for each in (exact, estimated))
    is_relative = bool(own["relative"])
    return {
        "training_steps": float(own["training_steps"].median()),
        "objective": float(own["objective"].median()),
        "mean_cost": float(own["mean_cost"].median()),
        "better_objective": _better_objective(dataset, place),
        "gap_0": float(by_estimate.median[0]) if by_estimate else math.nan,
        "exact_rate": float(own["adaptation_rate"]),
        "exact_gap_1": float(found.median[1]) if found else math.nan,
        "exact_gap_5": float(found.median[later]) if found else math.nan,
        **_differences("exact_difference", exact, place),
        "estimator": estimator,
        "rollouts": int(estimated["rollouts"]),
        "estimated_rate": float(estimated["adaptation_rate"][place]),
        "gap_1": float(by_estimate.median[1]) if by_estimate else math.nan,
        "gap_5": float(by_estimate.median[later]) if by_estimate else math.nan,
        "quantile_5": float(by_estimate.quantile[later]) if by_estimate else math.nan,
        "unstable_share": float(by_estimate.unstable[later]) if by_estimate else math.nan,
        "steps_to_10": _steps_to(estimated, place, 0.1) if is_relative else math.nan,
        "steps_to_1": _steps_to(estimated, place, 0.01) if is_relative else math.nan,
        **(_factor_saved(estimated, place) if is_relative else {"factor": math.nan, "factor_is_bound": False}),
        **_differences("difference", estimated, place),
        "relative": int(is_relative),
        "remark": dataset.attrs["remark"],
    }


def _like(dataset: xr.Dataset, place: int, kind: str) -> int | None:
    """The place of the comparator of a kind with the same tasks and adaptation rate; None if there is none."""
    places = _alike(dataset, place, kind)
    return int(places[0]) if places.size else None


def _alike(dataset: xr.Dataset, place: int, kind: str) -> NDArray[np.int64]:
    """The places of all starting gains of a kind with the same tasks and adaptation rate."""
    own = dataset.isel(start=place)
    same = (dataset["tasks"] == own["tasks"]) & (dataset["own_rate"] == own["own_rate"]) & (dataset["kind"] == kind)
    return np.flatnonzero(same.values)


def _values(dataset: xr.Dataset, place: int) -> FloatArray:
    return dataset["gap"].isel(start=place).transpose(*adaptation.RESULTS, "step").values


def _differences(name: str, dataset: xr.Dataset, place: int) -> dict[str, float]:
    """Gaps after one step less those of the best single gain: the median over the seeds, and the range."""
    from metalqr.evaluation.adaptation import measures

    other = _like(dataset, place, "best_single_gain")
    keys = name, f"{name}_min", f"{name}_max"
    if other is None or other == place or np.isnan(_values(dataset, place)).any():
        return dict.fromkeys(keys, math.nan)
    apart = measures.difference(_values(dataset, place)[..., 1], _values(dataset, other)[..., 1])
    by_seed = [float(measures.lower_median(each)) for each in apart]
    return dict(zip(keys, (float(measures.lower_median(np.array(by_seed))), min(by_seed), max(by_seed)), strict=True))


def _steps_to(dataset: xr.Dataset, place: int, target: float) -> float:
    """Median rollout steps on a task to a gap."""
    from metalqr.evaluation.adaptation import measures

    gaps = _values(dataset, place)
    if np.isnan(gaps).any():
        return math.nan
    return float(measures.median(measures.steps_to(gaps, target)) * dataset["rollout_steps"].values[1])


def _factor_saved(dataset: xr.Dataset, place: int) -> dict[str, Any]:
    """Steps to 10 % from K_0 as a multiple of those from here; a bound where K_0 takes more than were made."""
    scratch = _like(dataset, place, "initial_gain")
    mine = _steps_to(dataset, place, 0.1)
    if scratch is None or not math.isfinite(mine):
        return {"factor": math.nan, "factor_is_bound": False}
    found = _steps_to(dataset, scratch, 0.1)
    is_bound = math.isinf(found)
    whole = float(dataset["rollout_steps"].values[-1]) if is_bound else found
    if mine == 0:
        return {"factor": math.inf if whole > 0 else 1.0, "factor_is_bound": False}
    return {"factor": whole / mine, "factor_is_bound": is_bound}


def _better_objective(dataset: xr.Dataset, place: int) -> float:
    """A lower meta-objective than that of its optimum, which a trained gain with the same tasks and rate has."""
    own = dataset.isel(start=place)
    if str(own["kind"].item()) != "meta_optimum":
        return math.nan
    places = [each for kind in ("trained", "averaged") for each in _alike(dataset, place, kind)]
    others = dataset["objective"].values[places]
    lowest, mine = float(others.min(initial=math.inf)), float(own["objective"].values.max())
    return lowest if lowest < mine * (1 - 1e-9) else math.nan
