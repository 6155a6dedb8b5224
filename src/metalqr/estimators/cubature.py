"""The covariance of an estimate by exact costs and variances at perturbed gains, of any radius."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from metalqr import lqr
from metalqr.estimators.neighbourhood import Around, Neighbourhood, Values, gains_at_once
from metalqr.lqr import FloatArray


def regular_frames(size: int, count: int) -> FloatArray:
    """Frames of one direction, or so many of two whose mean is exact for polynomials of degree below 4 count."""
    if size == 1:
        return np.ones((1, 1, 1))
    angles = 0.5 * np.pi * np.arange(count) / count
    cosines, sines = np.cos(angles), np.sin(angles)
    return np.stack([[cosines, sines], [-sines, cosines]]).transpose(2, 0, 1)


class Cubature(Neighbourhood):
    """By exact costs and variances at gains around it, in frames: orthonormal directions with both signs.

    Parameters
    ----------
    around : Around
    frames : array, shape (F, n, n)
        The directions of each frame are its rows.
    """

    def __init__(self, around: Around, frames: FloatArray) -> None:
        super().__init__(around)
        self._frames = frames
        self._frame_weights = np.full(len(frames), 1.0 / len(frames))

    def without(self, part: int, parts: int) -> "Cubature":
        """The same without one of so many parts of its frames, for the jackknife."""
        rest = object.__new__(Cubature)
        rest.__dict__.update(self.__dict__)
        kept = np.arange(len(self._frames)) % parts != part
        rest._frame_weights = kept / kept.sum()
        rest.before = rest if self.before is self else self.before.without(part, parts)  # type: ignore[attr-defined] # alike
        return rest

    # All values have the shape (2 signs, L lengths, F frames, n directions, I tasks).

    @cached_property
    def _costs(self) -> FloatArray:
        return self._evaluated(lqr.finite_horizon_cost, 1)

    @cached_property
    def _variances(self) -> FloatArray:
        return self._evaluated(lqr.rollout_variance, 1)

    @cached_property
    def _difference_variances(self) -> FloatArray:
        half = self._evaluated(lqr.rollout_difference_variance, 2)
        return np.stack([half, half])

    def cost(self, sign: int = 1) -> Values:
        """As :meth:`Neighbourhood.cost`."""
        return self._costs[::sign]

    def variance(self, sign: int = 1) -> Values:
        """As :meth:`Neighbourhood.variance`."""
        return self._variances[::sign]

    def difference_variance(self) -> Values:
        """As :meth:`Neighbourhood.difference_variance`."""
        return self._difference_variances

    def mean(self, values: Values) -> FloatArray:
        """As :meth:`Neighbourhood.mean`."""
        signs, _, _, directions, _ = values.shape
        total = np.einsum("l,f,slfai->i", self._law.weights, self._frame_weights, values)
        return np.asarray(total / (signs * directions))

    def _slope(self, values: Values) -> FloatArray:
        coefficients = self._odd(values)
        return np.einsum("f,fai,fan->in", self._frame_weights, coefficients, self._frames, optimize=True) / self._size

    def _moment(self, values: Values) -> FloatArray:
        scale = (self._size / self._radius**2) ** 2
        squares = self._law.weights * self._law.lengths**2
        coefficients = scale / 2 * np.einsum("l,slfai->fai", squares, values) / self._size
        weighted = self._frame_weights[:, np.newaxis, np.newaxis] * coefficients
        return np.einsum("fai,fan,fap->inp", weighted, self._frames, self._frames, optimize=True)

    def _pair_moment(self, values: Values) -> FloatArray:
        coefficients, weights, frames = self._odd(values), self._frame_weights, self._frames
        sums = np.einsum("fai,fan->fin", coefficients, frames)
        total = np.einsum("f,fin,fip->inp", weights, sums, sums, optimize=True)
        own = np.einsum("f,fai,fan,fap->inp", weights, coefficients**2, frames, frames, optimize=True)
        return (total - own) / (self._size * (self._size - 1))

    def _even_pair_moments(self, values: Values) -> tuple[FloatArray, FloatArray]:
        even, pairs = values.mean(axis=(0, 1)), self._size * (self._size - 1)  # orthogonal ones have one length
        others = even.sum(axis=1, keepdims=True) - even
        product = np.einsum("f,fai,fai->i", self._frame_weights, even, others) / pairs
        scale = (self._size / self._radius) ** 2 / pairs
        weighted = scale * self._frame_weights[:, np.newaxis, np.newaxis] * even * others
        return product, np.einsum("fai,fan,fap->inp", weighted, self._frames, self._frames, optimize=True)

    def _odd(self, values: Values) -> FloatArray:
        """(n/r²) times the mean over signs and lengths of values times their length, shape (F, n, I)."""
        odd = 0.5 * (values[0] - values[1])
        scale = self._size / self._radius**2
        return scale * np.einsum("l,lfai->fai", self._law.weights * self._law.lengths, odd)

    def _evaluated(self, function: Callable[..., FloatArray], points: int) -> FloatArray:
        """A function of (tasks, K, length), at both signs; or of the two points (tasks, K, K', length) of each pair."""
        tasks, gains, length = self._point
        offsets = (self._law.lengths[:, np.newaxis, np.newaxis, np.newaxis] * self._frames).reshape(
            -1, *gains.shape[1:]
        )
        if points == 1:
            offsets = np.concatenate([offsets, -offsets])
        found, chunk = [], gains_at_once(tasks, points**2 * length)
        for start in range(0, len(offsets), chunk):
            U = offsets[start : start + chunk, np.newaxis]
            at = [(gains + sign * U).reshape(-1, *gains.shape[1:]) for sign in (1, -1)[:points]]
            found.append(function(lqr.tiled(tasks, len(U)), *at, length))
        shape = (len(self._law.lengths), *self._frames.shape[:2], tasks.count)
        return np.concatenate(found).reshape((2, *shape) if points == 1 else shape)
