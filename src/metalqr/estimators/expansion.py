"""The covariance of an estimate by derivatives of cost and variance at the gain, for small radii."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from metalqr import lqr
from metalqr.estimators.neighbourhood import Around, Neighbourhood, Values, gains_at_once, identity, outer
from metalqr.lqr import FloatArray, LQRTasks


class Expansion(Neighbourhood):
    r"""By derivatives at the gain, up to O(1) in r.

    With the moments of a uniform direction of n = dk entries and length :math:`\rho`, for symmetric S,

    .. math:: E[\langle U, S U \rangle U U^\top] = \frac{E \rho^4}{n (n + 2)} (\mathrm{Tr}(S) I + 2 S),
              \qquad E[\langle g, U_1 \rangle \langle g, U_2 \rangle U_1 U_2^\top]
              = \frac{r^4 (n g g^\top - \|g\|^2 I)}{n (n - 1)(n + 2)}

    for an orthogonal pair. Its fourth moments are
    :math:`E[U_{1a} U_{1b} U_{2c} U_{2d}] = \alpha \delta_{ab} \delta_{cd} + \beta (\delta_{ac} \delta_{bd}
    + \delta_{ad} \delta_{bc})` by invariance; a sum over b = c is zero and one over c = d gives
    :math:`r^4 \delta_{ab} / n`.

    Parameters
    ----------
    around : Around
    curvature : bool
        With the second derivatives of cost and variance; without, the cost is linear around the gain and its variance
        constant.
    """

    def __init__(self, around: Around, curvature: bool = False) -> None:
        super().__init__(around)
        self._curvature = curvature

    @cached_property
    def _cost(self) -> "Jet":
        tasks, gains, length = self._point
        slope = lqr.finite_horizon_gradient(tasks, gains, length).reshape(len(gains), -1)
        curvature = np.zeros((1, 1, 1))
        if self._curvature:
            curvature = self._matrix(partial(lqr.finite_horizon_hessian_vector_product, length=length))
        return Jet(lqr.finite_horizon_cost(tasks, gains, length), slope, curvature)

    @cached_property
    def _variance(self) -> "Jet":
        tasks, gains, length = self._point
        slope, curvature = np.zeros((1, 1)), np.zeros((1, 1, 1))
        if self._curvature:
            slope = lqr.rollout_variance_gradient(tasks, gains, length).reshape(len(gains), -1)
            # A central difference, whose errors of rounding and of truncation are both about 1e-10.
            step = 1.0e-5 * max(1.0, float(np.abs(gains).max()))

            def change(many: LQRTasks, K: FloatArray, X: FloatArray) -> FloatArray:
                high, low = (lqr.rollout_variance_gradient(many, K + sign * step * X, length) for sign in (1, -1))
                return (high - low) / (2 * step)

            curvature = self._matrix(change)
        return Jet(lqr.rollout_variance(tasks, gains, length), slope, curvature)

    def _matrix(self, operator: Callable[[LQRTasks, FloatArray, FloatArray], FloatArray]) -> FloatArray:
        """The symmetric matrices (I, n, n) of a linear operator (tasks, K, X) on gains."""
        tasks, gains, length = self._point
        size, shape = self._size, gains.shape[1:]
        found, chunk = [], gains_at_once(tasks, length)
        for start in range(0, size, chunk):
            X = np.eye(size)[start : start + chunk].reshape(-1, *shape)
            many = lqr.tiled(tasks, len(X))
            columns = operator(many, np.tile(gains, (len(X), 1, 1)), np.repeat(X, len(gains), axis=0))
            found.append(columns.reshape(len(X), len(gains), size))
        matrix = np.concatenate(found).swapaxes(0, 1)
        return 0.5 * (matrix + matrix.mT)

    def cost(self, sign: int = 1) -> Values:
        """As :meth:`Neighbourhood.cost`."""
        return self._cost.towards(sign)

    def variance(self, sign: int = 1) -> Values:
        """As :meth:`Neighbourhood.variance`."""
        return self._variance.towards(sign)

    def difference_variance(self) -> Values:
        r"""As :meth:`Neighbourhood.difference_variance`: :math:`4 \langle U, \Gamma U \rangle + O(r^4)`.

        :math:`\Gamma` is the covariance of a rollout's gradient, :func:`metalqr.lqr.rollout_gradient_covariance`.
        """
        gradients = lqr.rollout_gradient_covariance(*self._point)
        return Jet(np.zeros(len(gradients)), np.zeros((1, 1)), 8.0 * gradients)

    def mean(self, values: Values) -> FloatArray:
        """As :meth:`Neighbourhood.mean`."""
        mean_square = self._radius**2 / self._size
        return np.asarray(values.value + 0.5 * mean_square * values.trace(self._size))

    def _slope(self, values: Values) -> FloatArray:
        return np.asarray(values.slope)

    def _moment(self, values: Values) -> FloatArray:
        size = self._size
        quadratic = 0.5 * size / (size + 2) * self._law.kurtosis
        unit = self._size / self._radius**2 * values.value + quadratic * values.trace(size)
        return identity(unit, size) + 2 * quadratic * values.curvature

    def _pair_moment(self, values: Values) -> FloatArray:
        size, slope = self._size, values.slope
        unit = identity(np.einsum("ia,ia->i", slope, slope), size)
        return size / ((size - 1) * (size + 2)) * (size * outer(slope) - unit)

    def _even_pair_moments(self, values: Values) -> tuple[FloatArray, FloatArray]:
        # Products of two quadratic forms: of order r².
        return np.zeros(len(values.value)), np.zeros((len(values.value), self._size, self._size))


@dataclass(frozen=True)
class Jet:
    """A function of the perturbation up to second order: value (I,), gradient (I, n) and Hessian (I, n, n)."""

    value: FloatArray
    slope: FloatArray
    curvature: FloatArray
    __array_ufunc__ = None  # so that an array leaves the arithmetic to the jet

    def towards(self, sign: int) -> "Jet":
        """The function of sign times the perturbation."""
        return Jet(self.value, sign * self.slope, self.curvature)

    def trace(self, size: int) -> FloatArray:
        """The trace of the Hessian, for so many entries."""
        return np.einsum("iaa->i", self.curvature) if self.curvature.shape[1] == size else np.zeros(len(self.value))

    def __add__(self, other: "Jet | FloatArray | float") -> "Jet":
        if isinstance(other, Jet):
            return Jet(self.value + other.value, self.slope + other.slope, self.curvature + other.curvature)
        return Jet(self.value + other, self.slope, self.curvature)

    def __mul__(self, other: "Jet | float") -> "Jet":
        if not isinstance(other, Jet):
            return Jet(other * self.value, other * self.slope, other * self.curvature)
        mixed = self.slope[:, :, np.newaxis] * other.slope[:, np.newaxis]
        a, b = self.value[:, np.newaxis], other.value[:, np.newaxis]
        curvature = a[:, np.newaxis] * other.curvature + b[:, np.newaxis] * self.curvature
        return Jet(self.value * other.value, a * other.slope + b * self.slope, curvature + mixed + mixed.mT)

    def __pow__(self, power: int) -> "Jet":
        return self * self ** (power - 1) if power > 1 else self

    def __sub__(self, other: "Jet | FloatArray | float") -> "Jet":
        return self + (-1.0) * other

    __radd__, __rmul__ = __add__, __mul__
