"""Tuning: the choice of settings by the scores of short runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import LQRTasks
from metalqr.results.files import dataset_of
from metalqr.results.runs import Status, ratio_or_gap
from metalqr.results.tuned import TUNED
from metalqr.training.loop import train
from metalqr.training.method import TaskSource


@dataclass(frozen=True, eq=False)
class Tuning:
    """The scores of all candidates (C) on all tuning seeds (S), and the choice.

    Attributes
    ----------
    steps_to_target : ndarray, shape (C, S)
        Simulated steps until the ratio first was at most the target; infinite for a run that did not reach it, or that
        diverged, before or afterwards.
    final_ratio : ndarray, shape (C, S)
        The ratio at the end; infinite for a run that diverged.
    rollout_steps : ndarray of int, shape (C, S)
        Simulated steps of each run.
    """

    steps_to_target: NDArray[np.float64]
    final_ratio: NDArray[np.float64]
    rollout_steps: NDArray[np.int64]

    @property
    def chosen(self) -> int:
        """The candidate with the fewest steps to the target, in the median over the seeds.

        The lowest median final ratio decides between equals, and so does it where no candidate reaches the target; the
        first of those that are still equal is chosen.
        """
        medians = zip(np.median(self.steps_to_target, axis=1), np.median(self.final_ratio, axis=1), strict=True)
        scores = list(medians)
        return min(range(len(scores)), key=scores.__getitem__)

    @property
    def target_reached(self) -> bool:
        """True if the median run of the choice reaches the target."""
        return bool(np.isfinite(np.median(self.steps_to_target[self.chosen])))

    def to_dataset(
        self,
        values: Sequence[Mapping[str, Any]],
        seeds: Sequence[int],
        target_ratio: float,
        settings: Mapping[str, Any],
        *,
        case: str,
    ) -> xr.Dataset:
        """Return what the file of the tuning holds; ``values`` are those of the candidates."""
        arrays = {
            "values": [json.dumps(dict(each)) for each in values],
            "steps_to_target": self.steps_to_target,
            "final_ratio": self.final_ratio,
            "rollout_steps": self.rollout_steps,
            "target_ratio": target_ratio,
            "chosen": self.chosen,
            "target_reached": int(self.target_reached),
            "seed": np.array(seeds),
        }
        return dataset_of(TUNED, arrays, case=case, settings=settings)


def tune(
    tasks: LQRTasks,
    K0: ArrayLike,
    candidates: Sequence[MetaSettings],
    seeds: Sequence[int],
    optimal_cost: NDArray[np.float64],
    target_ratio: float,
    resampled: TaskSource | None = None,
) -> Tuning:
    r"""Train with every candidate on every seed, and score the runs by their exact ratio, or gap if there is no ratio.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : ndarray, shape (k, d)
        Initial gain, stabilising for every task.
    candidates : sequence of MetaSettings
    seeds : sequence of int
    optimal_cost : ndarray, shape (I,)
        The costs :math:`J_i^*` of the optimal gains.
    target_ratio : float
        The value of :math:`\sum_i (J_i(K) - J_i^*) / \sum_i J_i^*` to reach, or of
        :math:`\sum_i (J_i(K) - J_i^*)` where :math:`\sum_i J_i^*` is zero up to rounding.
    resampled : TaskSource, optional
        As in :func:`metalqr.training.loop.train`; the ratio is then that of ``tasks``.

    Returns
    -------
    Tuning

    Raises
    ------
    ValueError
        If there is no candidate or no seed; or as :func:`metalqr.training.train`.
    """
    if not candidates or not seeds:
        raise ValueError("tune: give at least one candidate and one seed")
    shape = len(candidates), len(seeds)
    steps, final = np.full(shape, np.inf), np.full(shape, np.inf)
    spent = np.zeros(shape, dtype=np.int64)
    for row, settings in enumerate(candidates):
        for column, seed in enumerate(seeds):
            history = train(tasks, K0, settings, seed, resampled=resampled)
            spent[row, column] = history.rollout_steps[-1]
            if history.status is Status.DIVERGED:
                continue
            ratio = ratio_or_gap(history.cost, optimal_cost, history.cost[0])
            final[row, column] = ratio[-1]
            steps[row, column] = np.where(ratio <= target_ratio, history.rollout_steps, np.inf).min()
    return Tuning(steps, final, spent)
