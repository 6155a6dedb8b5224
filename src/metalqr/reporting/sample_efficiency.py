"""Sample efficiency: what the figure and the table of this name share."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalqr.config.algorithm import MetaSettings, inner_estimator
from metalqr.config.experiments import VARIANT
from metalqr.config.registries import estimators, methods
from metalqr.config.tuning import TUNE
from metalqr.reporting import captions

if TYPE_CHECKING:
    import xarray as xr

    from metalqr.config.experiments import Experiment

#: Multiples of the floor that a table asks for.
NEAR, NEARER = 2.0, 1.2


def takes(experiment: Experiment) -> bool:
    """True for experiments with variants and no other axis, of which a variant is tuned."""
    return tuple(experiment.axes) == (VARIANT,) and any(TUNE in given for given in experiment.variants.values())


def details(config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """For each experiment, the settings of its variants with what their estimators need, the tuning, and the seeds."""
    lines = []
    for name in names:
        for variant, given in config["experiments"][name]["variants"].items():
            needs = needs_of({**config["algorithm"], **given})
            lines.append(f"{captions.variant_line(variant, given)}; needs {needs or 'nothing beside costs'}")
        lines += captions.experiment_lines(config, name)
    return lines


def needs_of(settings: Mapping[str, Any]) -> str:
    """What the estimators of both layers take beside costs of rollouts, in words; empty if nothing."""
    method = methods.get(settings.get("method", MetaSettings.model_fields["method"].default))
    if method.is_exact:
        return "the model"
    names = [settings.get("estimator", MetaSettings.model_fields["estimator"].default), inner_estimator(settings)]
    return "; ".join(dict.fromkeys(filter(None, (estimators.get(name).needs for name in names))))


def settings_at(point: xr.Dataset) -> dict[str, Any]:
    """All settings of one variant: those that differ between variants, then the common ones; absent ones left out."""
    differing = {str(name): value.item() for name, value in point.coords.items() if not value.dims}
    known = {name: value for name, value in differing.items() if value != "" and value == value}
    return {**json.loads(point.attrs["settings"]), **known}


def steps_to(point: xr.Dataset, target: float) -> float:
    """Simulated steps until the ratio first is at most the target, the median over seeds.

    Infinite for a run that does not reach it or that diverges, before or afterwards; NaN without a target.
    """
    import numpy as np

    from metalqr.reporting.summaries import diverged

    if math.isnan(target):
        return math.nan
    steps = point["rollout_steps"].where(point["ratio"] <= target).min("iteration").fillna(np.inf)
    return float(steps.where(~diverged(point), np.inf).median("seed"))


def reference(case: xr.Dataset) -> str:
    """The variant that the others are compared with: the first that is not tuned, or else the first.

    An overlay of the config may put the variants in another order.
    """
    names: list[str] = case["variant"].values.tolist()
    if "tuning_steps" not in case:
        return names[0]
    is_plain = case["tuning_steps"].isnull().all("seed").values
    return next((name for name, plain in zip(names, is_plain, strict=True) if plain), names[0])


def reference_ratio(case: xr.Dataset) -> float:
    """The ratio that all variants are compared at: the median final ratio of the reference.

    NaN if its median run diverged.
    """
    from metalqr.reporting.summaries import final_ratio

    ratio = float(final_ratio(case.sel(variant=reference(case))).median())
    return ratio if math.isfinite(ratio) else math.nan
