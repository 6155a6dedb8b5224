"""Adaptation to unseen tasks: what the figures and the table share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from metalqr.config.evaluation import EXACT, estimate_settings
from metalqr.config.registries import estimators
from metalqr.reporting import captions

if TYPE_CHECKING:
    import xarray as xr

    from metalqr.lqr import FloatArray

#: Everything that a summary is over.
RESULTS = ("seed", "repeat", "task")
#: The quantile beside the median.
SHARE = 0.9


def details(config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The rules of the evaluation, its estimates with what they need, and the experiments with their cases."""
    block = config["evaluation"]
    lines = [
        f"unseen tasks: {block['tasks']}, tasks to choose step sizes with: {block['validation_tasks']}, repetitions: "
        f"{block['repeats']}, steps: {block['steps']}, seed: {block['seed']}",
        f"step sizes tried: {captions.joined(block['learning_rates'])}",
    ]
    for name, given in block["estimators"].items():
        needs = estimators.get(estimate_settings({}, given).estimator).needs
        lines.append(f"{captions.variant_line(name, given)}; needs {needs or 'nothing beside costs'}")
    for experiment in dict.fromkeys(name.partition("/")[0] for name in names):
        lines += captions.experiment_lines(config, experiment)
    return lines


def stated_estimator(dataset: xr.Dataset) -> str:
    """The estimator that is shown: the first that is not exact."""
    names: list[str] = dataset["estimator"].values.tolist()
    return next((name for name in names if name != EXACT), EXACT)


def title(name: str, names: Sequence[str]) -> str:
    """The case, with its experiment where there are several."""
    experiment, _, case = name.partition("/")
    several = len({each.partition("/")[0] for each in names}) > 1
    return f"{experiment}, {case}" if several else case


class Summary(NamedTuple):
    """Of a quantity after each step, over all seeds, repetitions and tasks: with what is unstable as infinite."""

    median: FloatArray
    quantile: FloatArray
    unstable: FloatArray

    @classmethod
    def of(cls, values: xr.DataArray) -> Summary | None:
        """The summary of an array of runs, repetitions, tasks and steps; None if the quantity does not exist."""
        from metalqr.evaluation.adaptation import measures

        found = values.transpose(*RESULTS, "step").values
        if np.isnan(found).any():
            return None
        axes = (0, 1, 2)
        quantile = measures.quantile(found, SHARE, axes)
        return cls(measures.median(found, axes), quantile, measures.unstable_share(found, axes))
