"""Sample efficiency of an experiment's variants: the steps to stated ratios."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting import sample_efficiency, summaries
from metalqr.reporting.tables.markdown import Column, Columns, number, percent
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr

    from metalqr.config.experiments import Experiment


def _steps(name: str) -> Callable[[dict[Any, Any]], str]:
    def text(row: dict[Any, Any]) -> str:
        return f"{row[name]:,.0f}" if math.isfinite(row[name]) else number(row[name])

    return text


def _tuning(row: dict[Any, Any]) -> str:
    missed = "" if row["tuning_reached"] != 0 else ", target not reached"
    return _steps("tuning_steps")(row) + missed


@tables.register("sample_efficiency")
class SampleEfficiency(Table):
    """Sample efficiency: rollout steps that each variant takes to stated ratios, a row for each case and variant.

    ``steps_to_2x`` and ``steps_to_1_2x`` are the steps until the average cost difference ratio first is at most 2 and
    1.2 times ``floor_ratio``, that of the best single gain found; ``steps_to_reference`` those until it is at most
    ``reference_ratio``, the median final ratio of the first variant that is not tuned, in the default config the
    paper's method. ``factor`` is the number of times fewer than that takes to the same ratio. All are medians over the
    seeds; a run that does not reach the ratio, or that diverges, before or afterwards, counts as infinite. Steps are
    everything that a run simulated, of all tasks, outer and inner, but not tuning: ``tuning_steps`` are those of all
    runs of the tuning, on other seeds, and ``tuning_reached`` is 0 where no value reached the target, so that the one
    with the best final ratio was taken. ``final_ratio`` is the median. ``unstable_perturbations`` is the number of
    unstable perturbed policies in all runs of the row, and ``unstable_share`` their share. ``needs`` is what the
    estimators take beside costs of rollouts. A case whose optima cost nothing has no ratio: its steps are those to
    multiples of ``floor_gap``, the sum of the costs of the best single gain less the optimal ones, and
    ``reference_gap`` and ``final_gap`` stand in place of the ratios.
    """

    columns: ClassVar[Columns] = {
        "learning_rate": Column("α", lambda row: f"{row['learning_rate']:g}"),
        "steps_to_2x": Column("steps to 2 × best single gain", _steps("steps_to_2x")),
        "steps_to_1_2x": Column("to 1.2 ×", _steps("steps_to_1_2x")),
        "steps_to_reference": Column("to the reference", _steps("steps_to_reference")),
        "factor": Column("factor saved", lambda row: number(row["factor"])),
        "reference_ratio": Column("reference ratio", lambda row: number(row["reference_ratio"])),
        "final_ratio": Column("final ratio", lambda row: number(row["final_ratio"])),
        "floor_ratio": Column("best single gain", lambda row: number(row["floor_ratio"])),
        "reference_gap": Column("reference gap", lambda row: number(row["reference_gap"])),
        "final_gap": Column("final gap", lambda row: number(row["final_gap"])),
        "floor_gap": Column("gap of the best single gain", lambda row: number(row["floor_gap"])),
        "rollout_steps": Column("steps per run", _steps("rollout_steps")),
        "unstable_perturbations": None,
        "unstable_share": Column(
            "unstable perturbations",
            lambda row: f"{percent(row['unstable_share'])} ({row['unstable_perturbations']:,})",
        ),
        "diverged_runs": Column("diverged runs", lambda row: f"{row['diverged_runs']} of {row['runs']}"),
        "runs": None,
        "tuning_steps": Column("steps of tuning", _tuning),
        "tuning_reached": None,
        "needs": Column("needs", lambda row: row["needs"] or "–", text=True),
    }

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment with variants and no other axis, of which one is tuned."""
        return sample_efficiency.takes(experiment)

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The settings of each variant, what its estimators need, the seeds, and the settings of every case."""
        return sample_efficiency.details(config, names)

    def tabulate(self, datasets: Mapping[str, xr.DataTree]) -> Iterator[dict[str, Any]]:
        """The rows of all experiments; their names are a column where there are several."""
        found = {name: summaries.cases(tree, axes=1) for name, tree in datasets.items()}
        absolute = any(summaries.is_gap(case) for cases in found.values() for case in cases.values())
        for experiment, cases in found.items():
            for name, case in cases.items():
                ratio = sample_efficiency.reference_ratio(case)
                slowest = sample_efficiency.steps_to(case.sel(variant=sample_efficiency.reference(case)), ratio)
                for variant in case["variant"].values.tolist():
                    outcome = _outcome(case.sel(variant=variant), ratio, slowest, absolute)
                    row = {"case": name, "variant": variant, **outcome}
                    yield {"experiment": experiment, **row} if len(datasets) > 1 else row


def _outcome(point: xr.Dataset, reference_ratio: float, slowest: float, absolute: bool) -> dict[str, Any]:
    """The columns of one variant of one case; ``slowest`` are the steps of the reference to its own ratio."""
    floor, settings = summaries.floor_ratio(point), sample_efficiency.settings_at(point)
    steps = sample_efficiency.steps_to(point, reference_ratio)
    unstable = int(summaries.unstable_count(point).sum())
    tried = float(summaries.perturbation_count(point).sum())
    diverged = summaries.diverged(point)
    found = {"reference": reference_ratio, "final": float(summaries.final_ratio(point).median()), "floor": floor}
    is_gap = summaries.is_gap(point)
    ratios = {f"{name}_ratio": math.nan if is_gap else value for name, value in found.items()}
    gaps = {f"{name}_gap": value if is_gap else math.nan for name, value in found.items()} if absolute else {}
    return {
        "learning_rate": settings["learning_rate"],
        "steps_to_2x": sample_efficiency.steps_to(point, sample_efficiency.NEAR * floor),
        "steps_to_1_2x": sample_efficiency.steps_to(point, sample_efficiency.NEARER * floor),
        "steps_to_reference": steps,
        "factor": slowest / steps if steps > 0 and math.isfinite(slowest) else math.nan,
        **ratios,
        **gaps,
        "rollout_steps": float(point["rollout_steps"].max("iteration").median()),
        "unstable_perturbations": unstable,
        "unstable_share": unstable / tried if tried else math.nan,
        "diverged_runs": int(diverged.sum()),
        "runs": diverged.size,
        **{
            name: float(point[name].isel(seed=0)) if name in point else math.nan
            for name in ("tuning_steps", "tuning_reached")
        },
        "needs": sample_efficiency.needs_of(settings),
    }
