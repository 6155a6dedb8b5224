"""A predicted learning curve, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.common.frozen import ReadOnlyArrays
from metalqr.lqr import FloatArray
from metalqr.results.files import dataset_of
from metalqr.results.layout import ITERATION, OF_CASE, SIZES, Attribute, Kind, Layout, NonFinite, Variable

_RATIO = "average cost difference ratio"


def _of_iterations(long_name: str, units: str = "1") -> Variable:
    return Variable(("iteration",), long_name, units, may_be=NonFinite.ANY)


PREDICTIONS = Layout(
    "predictions",
    "Learning curves predicted without simulation",
    {
        "ratio": _of_iterations(f"expected {_RATIO} of K_n, if the run stays stable"),
        "median": _of_iterations(f"median {_RATIO}"),
        "geometric_mean": _of_iterations(f"exponential of the mean logarithm of the {_RATIO}"),
        "lower": _of_iterations(f"5 % quantile of the {_RATIO}"),
        "upper": _of_iterations(f"95 % quantile of the {_RATIO}"),
        "path_ratio": _of_iterations(f"{_RATIO} of the mean gain, without fluctuations"),
        "unstable_share": _of_iterations("share of perturbed policies that do not stabilise their task"),
        "leaving_chance": _of_iterations("chance that a run has left the common stabilising set until K_n"),
        "contraction": _of_iterations("spectral radius of a step of the fluctuations"),
        "rollout_steps": Variable(("iteration",), "simulated steps to reach K_n", "steps", kind=Kind.WHOLE),
        "K": Variable(("iteration", "action", "state"), "mean gain", may_be=NonFinite.ANY),
        "average": Variable(("statistic",), f"of the {_RATIO} of the mean of the last gains", may_be=NonFinite.ANY),
        "stationary_ratio": Variable((), f"expected {_RATIO} after infinitely many iterations", may_be=NonFinite.ANY),
        "valid_until": Variable((), "last iteration at which the approximation is valid", kind=Kind.WHOLE),
    },
    {**OF_CASE, **SIZES, "limits": Attribute(), "noise_kind": Attribute(), "band_kind": Attribute()},
    {
        "iteration": ITERATION,
        "statistic": Variable(
            ("statistic",),
            "statistic of the ratio",
            kind=Kind.TEXT,
            choices=("expected", "median", "lower", "upper"),
            has_all=True,
        ),
    },
)


@dataclass(frozen=True, eq=False)
class Prediction(ReadOnlyArrays):
    r"""The predicted learning curve of Algorithm 3, one entry for each of the N + 1 gains.

    Ratios are :math:`\sum_i (J_i(K_n) - J_i^*) / \sum_i J_i^*`. From the iteration on at which the mean path leaves the
    stabilising set they are infinite.

    Attributes
    ----------
    ratio : ndarray, shape (N + 1,)
        Expected ratio, :math:`f(\bar K_n) + \frac12 \langle \nabla^2 f(\bar K_n), S_n \rangle`, given that the run
        stays stable.
    median, lower, upper : ndarray, shape (N + 1,)
        Median, and the quantiles 5 % and 95 %, between which 90 % of runs are.
    geometric_mean : ndarray, shape (N + 1,)
        :math:`\exp E \log`, for the mean of curves on a logarithmic axis.
    path_ratio : ndarray, shape (N + 1,)
        The ratio of the mean gain: what would remain without noise.
    unstable_share : ndarray, shape (N + 1,)
        Share of the perturbed policies that do not stabilise their task.
    leaving_chance : ndarray, shape (N + 1,)
        Chance that a run has left the set of gains that stabilise every task, at this iteration or before, see
        :class:`metalqr.prediction.passage.Passage`: seen at some iterations only, so that it is rather too small. 1
        from the iteration on at which the mean path leaves.
    contraction : ndarray, shape (N + 1,)
        Spectral radius of a step of the fluctuations, :math:`\rho(I - \alpha_n H)` for plain steps. Above 1 a step
        overshoots; that ends the prediction only where it makes the fluctuations grow for good.
    rollout_steps : ndarray of int, shape (N + 1,)
        Simulated steps that the run spends.
    K : ndarray, shape (N + 1, k, d)
        Mean gains :math:`\bar K_n`.
    covariance : ndarray, shape (dk, dk)
        That of the last gain that is predicted, in the order of ``K.ravel()``.
    average : ndarray, shape (4,)
        Expected ratio, median, lower and upper quantile of the mean of the last gains; NaN without ``average_last``.
    stationary_ratio : float
        Expected ratio as :math:`n \to \infty`; NaN if there is none.
    valid_until : int
        Last iteration at which the approximation is valid: until then most runs have stayed in the stabilising set, no
        overshoot makes fluctuations grow, they shift the mean path by less than its own excess cost, and hardly a
        perturbed policy around the mean gain is unstable.
    limits : tuple of str
        In words, why it is not valid later, and what else was approximated.
    noise_kind : str
        How the covariance of a direction is known: "exact", "leading order in r", "second order in r" or "measured".
    band_kind : str
        How quantiles are found.
    """

    ratio: FloatArray
    median: FloatArray
    geometric_mean: FloatArray
    lower: FloatArray
    upper: FloatArray
    path_ratio: FloatArray
    unstable_share: FloatArray
    leaving_chance: FloatArray
    contraction: FloatArray
    rollout_steps: NDArray[np.int64]
    K: FloatArray
    covariance: FloatArray
    average: FloatArray
    stationary_ratio: float
    valid_until: int
    limits: tuple[str, ...]
    noise_kind: str
    band_kind: str

    def to_dataset(self, settings: Mapping[str, Any], *, case: str) -> xr.Dataset:
        """Return what the file of a prediction holds."""
        arrays = {name: getattr(self, name) for name in PREDICTIONS.variables}
        arrays |= {"iteration": np.arange(len(self.ratio)), "statistic": ["expected", "median", "lower", "upper"]}
        return dataset_of(
            PREDICTIONS,
            arrays,
            case=case,
            settings=settings,
            state_dim=self.K.shape[2],
            action_dim=self.K.shape[1],
            limits="; ".join(self.limits),
            noise_kind=self.noise_kind,
            band_kind=self.band_kind,
        )
