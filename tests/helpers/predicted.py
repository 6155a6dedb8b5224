"""Predicted learning curves beside those of trainings: the problems of the default config, and how near the two are."""

from collections.abc import Iterable

import numpy as np
from configs import DEFAULT
from systems import Array

from metalqr import MetaSettings, meta
from metalqr.config.experiments import family_of
from metalqr.lqr import LQRTasks
from metalqr.prediction import Prediction


def problem(name: str) -> tuple[LQRTasks, Array, MetaSettings]:
    """Tasks, initial gain and settings of one of the paper's cases, as the experiment figure1 has them."""
    case = DEFAULT["cases"][name]
    dims = case["state_dim"], case["action_dim"]
    tasks = family_of(case["tasks"]).tasks(*dims, DEFAULT["seed"])
    return tasks, np.zeros(dims[::-1]), MetaSettings(**{**DEFAULT["algorithm"], **case["algorithm"]})


def trained(tasks: LQRTasks, K0: Array, settings: MetaSettings, seeds: Iterable[int]) -> Array:
    """Ratios of trainings (seed, iteration), infinite from the iteration on at which one has diverged."""
    found = []
    for seed in seeds:
        ratio = meta.train(tasks, K0, settings, seed).ratio
        found.append(np.append(ratio, np.full(settings.iterations + 1 - len(ratio), np.inf)))
    return np.array(found)


def near_means(ratios: Array, predicted: Prediction, within: float = 0.1) -> float:
    """Share of the iterations at which the mean of the logarithm is within a share, or two standard errors, of it."""
    logs = np.log(ratios[:, 1:])
    off = np.abs(logs.mean(axis=0) - np.log(predicted.geometric_mean[1:]))
    error = logs.std(axis=0, ddof=1) / np.sqrt(len(logs))
    return float((off <= np.maximum(np.log1p(within), 2.0 * error)).mean())


def in_band(ratios: Array, predicted: Prediction) -> float:
    """Share of all ratios, but those of the initial gain, that are in the band of 90 %."""
    inside = (ratios >= predicted.lower) & (ratios <= predicted.upper)
    return float(inside[:, 1:].mean())


def near_medians(ratios: Array, predicted: Prediction, within: float) -> float:
    """Share of the iterations at which the median is within a share of the predicted one."""
    return float((np.abs(np.median(ratios, axis=0) / predicted.median - 1.0)[1:] <= within).mean())
