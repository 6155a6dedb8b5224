"""A comparison of the form of the stage, of numbers made by hand: gaps that are products of a factor for each axis."""

import math
from typing import Any

import numpy as np
import xarray as xr

from metalqr.evaluation.benefit.comparison import Comparison
from metalqr.evaluation.benefit.dataset import meta_benefit_dataset
from metalqr.evaluation.heterogeneity import MATRICES

COMPARISON = Comparison(
    ["dynamics", "both"], [0.5, 1.0, 2.0], draws=3, unseen_tasks=4, adaptation_rates=[0.1, 0.3, 0.9]
)
TRAINING = 2
#: Gaps by starting gain and step: of the best single gain, and of the optimum of L.
STARTS = np.array([[0.20, 0.10], [0.30, 0.05]])
#: Of the draws.
DRAWS = np.array([1.0, 0.8, 1.5])
#: What the last rate makes of the optimum of L on unseen tasks.
OVERFIT = 4.0
FAILED = "the descent ended"


def _gaps(count: int, overfit: float) -> Any:
    """Shape (difference, heterogeneity, draw, share, start, step, task); task i has (1 + i) times the first."""
    kinds, factors = np.array([1.0, 2.0]), np.array(COMPARISON.heterogeneity)
    starts = np.stack([STARTS, STARTS, STARTS * [[1.0], [overfit]]])
    found = np.einsum("a,b,c,sgn,i->abcsgni", kinds, factors, DRAWS, starts, 1.0 + np.arange(count))
    # The third draw is the one in which the optimum of L is even worse.
    found[:, :, 2, :, 1] *= 1.1
    return found


def benefit(failed: bool = True, case: str = "one") -> xr.Dataset:
    """A comparison: at the largest heterogeneity a draw has no result at the last rate, and a task is unstable."""
    shape = COMPARISON.shape
    gaps = {"training_gap": _gaps(TRAINING, 1.0), "unseen_gap": _gaps(COMPARISON.unseen_tasks, OVERFIT)}
    gaps["unseen_gap"][:, 2, 0, 2, :, 1, 3] = math.inf
    per_rate, size = (*shape, 3), np.einsum("a,b,c->abc", [1.0, 2.0], COMPARISON.heterogeneity, DRAWS)
    failure = np.full(per_rate, "", dtype=object)
    if failed:
        failure[:, 2, 1, 2] = FAILED
        for each in gaps.values():
            each[:, 2, 1, 2] = np.nan
    unknown = np.where(failure != "", np.nan, 1.0)
    arrays = {
        **gaps,
        "objective": unknown,
        "K_meta": unknown[..., np.newaxis, np.newaxis] * np.ones((1, 2)),
        "K_shared": np.ones((*shape, 1, 2)),
        "largest_rate": np.full(shape, 0.4),
        "matrix_distance": size[..., np.newaxis] * np.arange(len(MATRICES)),
        "gradient_distance": 10 * size,
        "bisimulation_distance": 0.1 * size,
        "restarts": np.ones(per_rate, dtype=np.int64),
        "better_seen": np.zeros(per_rate, dtype=np.int64),
        "redrawn": np.zeros(shape, dtype=np.int64),
        "unseen_redrawn": np.zeros(shape, dtype=np.int64),
        "failure": failure.astype(str),
    }
    return meta_benefit_dataset(arrays, COMPARISON, {}, case=case, state_dim=2, action_dim=1)
