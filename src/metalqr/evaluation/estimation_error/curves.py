"""The result of a measurement: curves over a swept parameter, and the slopes that they have beside those of theory."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr import FloatArray


class Slopes(NamedTuple):
    """Slopes of log curve against log parameter that theory predicts, for the curves of one sweep."""

    error: float
    noise: float
    bias: float


#: By swept parameter, with the names of the settings; the perturbations are the outer and the inner ones together.
#:
#: The noise is that of a mean of M terms (dk/r^2) J U: proportional to M^(-1/2) / r, and nearly independent of l, for a
#: longer roll-out makes the cost J less random, but not U. (So is sigma_r of Lemma 6.) The bias does not depend on M;
#: it is proportional to r^2, as the term of first order averages out (Lemma 6 bounds it by h_grad r), and to 1/l
#: (Lemma 14). The error is about the root of the sum of squares of both; its slope is given for one that is mostly
#: noise.
PREDICTED_SLOPES = {
    "perturbations": Slopes(error=-0.5, noise=-0.5, bias=0.0),
    "smoothing_radius": Slopes(error=-1.0, noise=-1.0, bias=2.0),
    "rollout_length": Slopes(error=0.0, noise=0.0, bias=-1.0),
}


@dataclass(frozen=True, eq=False)
class Curve:
    """A quantity along the values of a swept parameter, for each of the I + 1 targets, with its slope.

    Parameters
    ----------
    values : array, shape (I + 1, V)
        Infinite where a roll-out overflowed or the quantity does not exist.
    standard_error : array, shape (I + 1, V)
        Of the values; 0 where they are exact.
    slope : array, shape (I + 1,)
        Least-squares slope of log value against log parameter, over the values of the parameter at which error, noise
        and bias of the target are finite; not a number for fewer than two.
    slope_standard_error : array, shape (I + 1,)
        Of the slope, from the standard errors of the values, taken as independent. Those of a bias are not: they come
        from the same directions at every radius, and its slope is better than this says.
    predicted_slope : float
        See :data:`PREDICTED_SLOPES`.
    """

    values: FloatArray
    standard_error: FloatArray
    slope: FloatArray
    slope_standard_error: FloatArray
    predicted_slope: float


@dataclass(frozen=True, eq=False)
class Sweep:
    r"""The errors along one swept parameter, the others at the settings of the case.

    Parameters
    ----------
    parameter : str
        Name of the setting.
    values : array, shape (V,)
        Values of the parameter.
    repeats : array of int, shape (I + 1, V)
        Number of estimates that were made.
    error : Curve
        Mean over the repeats of the error :math:`\|\tilde\nabla J_i(K) - \nabla J_i(K)\|_F`, and
        :math:`\|\tilde\nabla L(K) - \nabla L(K)\|_F` of the meta-gradient.
    error_quantile : array, shape (I + 1, V)
        90 % quantile of these errors.
    noise : Curve
        Deviation of the estimates from their own mean, :math:`(E\|\tilde\nabla - E\tilde\nabla\|_F^2)^{1/2}`.
    bias : Curve
        What the estimates miss on average: along the smoothing radius that of smoothing alone, along the roll-out
        length that of the length alone, along the perturbations, on which it does not depend, that of both together.
        For the meta-gradient all three are with exact gradients in place of the inner estimates; for what that leaves
        out, and for the methods, see :func:`metalqr.evaluation.estimation_error.smoothing_bias` and
        :func:`metalqr.evaluation.estimation_error.horizon_bias`.
    """

    parameter: str
    values: FloatArray
    repeats: NDArray[np.int64]
    error: Curve
    error_quantile: FloatArray
    noise: Curve
    bias: Curve


@dataclass(frozen=True, eq=False)
class EstimationError:
    """The true errors of Algorithms 1 and 2 at one gain. Target i is task i's gradient, the last the meta-gradient.

    Parameters
    ----------
    K : array, shape (k, d)
        The gain.
    exact_norm : array, shape (I + 1,)
        Frobenius norm of each exact target.
    perturbations, smoothing_radius, rollout_length : Sweep
    """

    K: FloatArray
    exact_norm: FloatArray
    perturbations: Sweep
    smoothing_radius: Sweep
    rollout_length: Sweep


def fitted(
    parameter: FloatArray,
    values: FloatArray,
    standard_error: FloatArray,
    predicted_slope: float,
    used: NDArray[np.bool_],
) -> Curve:
    """The curve with its slopes over the values that are used: parameter (V,), the others (I + 1, V)."""
    slopes = [_slope(parameter, *each) for each in zip(values, standard_error, used & (values > 0), strict=True)]
    slope, slope_standard_error = np.array(slopes).T
    return Curve(values, standard_error, slope, slope_standard_error, predicted_slope)


def _slope(
    parameter: FloatArray, values: FloatArray, standard_error: FloatArray, used: NDArray[np.bool_]
) -> tuple[float, float]:
    if np.count_nonzero(used) < 2:
        return np.nan, np.nan
    logarithms = np.log(parameter[used])
    weights = logarithms - logarithms.mean()
    weights = weights / (weights**2).sum()
    relative = standard_error[used] / values[used]
    return float(weights @ np.log(values[used])), float(np.linalg.norm(weights * relative))
