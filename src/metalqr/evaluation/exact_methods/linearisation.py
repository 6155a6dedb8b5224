"""A descent near its end: the iteration linearised at the optimum, and the measured rates."""

from dataclasses import dataclass

import numpy as np

from metalqr.lqr import FloatArray

#: Weight of a mode, as a part of the largest, that is rounding.
NO_WEIGHT = 1e-15
#: Smallest number whose logarithm is taken.
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Linearisation:
    r"""The iteration :math:`K_{n+1} - K^* \approx T (K_n - K^*)` of n descents, in the modes of T.

    With y the components of K - K* in the modes, the gap is :math:`\sum_j w_j y_j^2` up to terms of third order, and an
    iteration multiplies :math:`y_j` by the mode's multiplier :math:`t_j`. So gaps shrink by
    :math:`\max_j t_j^2` in the long run, and before that by what the modes of the start make of it.
    """

    modes: FloatArray  # (n, m, m), a mode in each row, orthonormal, over the entries of a gain row by row; m = kd
    weights: FloatArray  # (n, m), what a unit of each mode adds to the gap
    multipliers: FloatArray  # (n, m)

    def asymptotic_rate(self) -> FloatArray:
        r"""Limit of the ratio of successive gaps from nearly every start: :math:`\max_j t_j^2`, shape (n,).

        Modes that add nothing to the gap, in states that the noise never reaches, do not count.
        """
        counted = self.weights > NO_WEIGHT * self.weights.max(axis=-1, keepdims=True)
        return np.where(counted, np.square(self.multipliers), 0.0).max(axis=-1)

    def gaps(self, deviation: FloatArray, iterations: int) -> FloatArray:
        """Gaps from a deviation K - K*, shape (n, k, d), on, shape (iterations + 1, n)."""
        components = np.einsum("nma,na->nm", self.modes, deviation.reshape(len(deviation), -1))
        steps = np.arange(iterations + 1)[:, np.newaxis, np.newaxis]
        # With a multiplier above one this may overflow.
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.asarray(np.sum(self.weights * np.square(components * self.multipliers**steps), axis=-1))


def measured_rates(
    K: FloatArray, gap: FloatArray, optimum: FloatArray, resolution: FloatArray, linearisation: Linearisation
) -> tuple[FloatArray, FloatArray]:
    """The linearised and the measured rates of n descents, each of shape (n,).

    The measured rate is the ratio of successive gaps, by regression of their logarithms over the second half of the
    iterations before the gap is rounding, that is, of the size of the resolution; NaN where there is none, because the
    start is optimal already. The linearised rate is the same for the gaps that the linearisation predicts from the
    first gain of that half; NaN also where the linear iteration leaves the range of double precision.
    """
    measured, linearised = np.full(gap.shape[1], np.nan), np.full(gap.shape[1], np.nan)
    for descent in range(gap.shape[1]):
        rounding = np.flatnonzero(~(gap[:, descent] > resolution[descent]))
        end = int(rounding[0]) if rounding.size else len(gap)
        if end == 0 or len(gap) == 1:
            continue
        # A single step that leads to the optimum has a rate too, of the size of the rounding.
        end = max(end, 2)
        start = min(end // 2, end - 2)
        measured[descent] = _rate(gap[start:end, descent])
        predicted = linearisation.gaps(K[start] - optimum, end - 1 - start)
        linearised[descent] = _rate(predicted[:, descent])
    return linearised, measured


def _rate(gaps: FloatArray) -> float:
    """Factor by which a sequence shrinks, by regression of its logarithm; 0 if it ends in zero, NaN beyond numbers."""
    if not np.isfinite(gaps).all():
        return np.nan
    if gaps[-1] <= _TINY:
        return 0.0
    logarithms = np.log(np.maximum(gaps, _TINY))
    places = np.arange(len(gaps)) - 0.5 * (len(gaps) - 1)
    return float(np.exp(places @ logarithms / (places @ places)))
