r"""Bounds of the Hessian of the meta-objective over a ball, from those of every task's cost."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import not_negative
from metalqr.lqr import FloatArray, LQRTasks, common_gain, hessian_matrix
from metalqr.theory.certificates.ball import Centre
from metalqr.theory.norms import frobenius


@dataclass(frozen=True)
class Smoothness:
    r"""Bounds of the Hessian of L at every :math:`K + \Delta` with :math:`\|\Delta\|_F \le \delta`; NaN without one.

    Attributes
    ----------
    radius : float
        :math:`\delta`.
    hessian : float
        :math:`\hat L \ge \|\nabla^2 L(K + \Delta)\|`.
    variation : float
        Bound of :math:`\|\nabla^2 L(K + \Delta) - \bar H\|`, where :math:`\bar H` is
        :meth:`ObjectiveCentre.mean_hessian`.
    """

    radius: float
    hessian: float
    variation: float


class ObjectiveCentre:
    r"""The meta-objective around a gain: :math:`L(K) = \sum_i p_i J_i(K - \eta \nabla J_i(K))`.

    Attributes
    ----------
    gradient : array, shape (k, d)
        :math:`\nabla L(K)`.
    stability_radius : array, shape (I,)
        Of K for every task.

    Raises
    ------
    UnstablePolicyError
        If K, or K adapted to a task, does not stabilise that task.
    """

    def __init__(self, tasks: LQRTasks, K: ArrayLike, adaptation_rate: float = 0.0) -> None:
        self.tasks, self.K = tasks, common_gain(tasks, K)
        self.rate = not_negative("adaptation_rate", adaptation_rate)
        self._before = Centre(tasks, self.K)
        self.stability_radius = self._before.stability_radius
        gradient = self._before.evaluation.gradient()
        self._after = Centre(tasks, self.K - self.rate * gradient) if self.rate > 0 else self._before
        adapted = self._after.evaluation.gradient()
        product = self._before.evaluation.hessian_vector_product(adapted) if self.rate > 0 else 0.0
        self._slope = frobenius(adapted)
        self.gradient: FloatArray = np.tensordot(tasks.p, adapted - self.rate * product, axes=1)

    def smoothness(self, radius: float) -> Smoothness:
        r"""Bound the Hessian on a ball.

        With :math:`h_i` and :math:`t_i` the bounds of Hessian and third derivative of :math:`J_i` within
        :math:`\delta` of K, and :math:`h_i'`, :math:`t_i'` within :math:`\delta_i' = (1 + \eta h_i) \delta` of
        :math:`K_i = K - \eta \nabla J_i(K)`,

        .. math::

            \|\nabla^2 L\| &\le \sum_i p_i \left( (1 + \eta h_i)^2 h_i'
            + \eta t_i (\|\nabla J_i(K_i)\|_F + \delta_i' h_i') \right) , \\
            \|\nabla^2 L - \bar H\| &\le \sum_i p_i \left( (1 + \eta h_i)^2 t_i' \delta_i'
            + 2 \eta (1 + \eta h_i) t_i \delta h_i' + \eta t_i (\|\nabla J_i(K_i)\|_F + \delta_i' h_i') \right) .

        Proof. :math:`\nabla^2 L_i = (I - \eta H) H' (I - \eta H) - \eta \mathrm{D}^3 J_i[g', \cdot]`, with H and
        :math:`\mathrm{D}^3 J_i` at :math:`K + \Delta`, :math:`H'` and :math:`g' = \nabla J_i` at its adaptation, which
        is :math:`K_i + \Delta - \eta (\nabla J_i(K + \Delta) - \nabla J_i(K))` and so in the second ball. For the
        second inequality, H and :math:`H'` change by at most :math:`t_i \delta` and :math:`t_i' \delta_i'`.
        """
        before = self._before.ball(radius)
        h = before.hessian
        reach = (1.0 + self.rate * h) * radius
        known = np.isfinite(reach)
        after = self._after.ball(np.where(known, reach, 0.0)) if self.rate > 0 else before
        turn = self.rate * before.third_derivative * (self._slope + reach * after.hessian)
        stretch = 1.0 + self.rate * h
        hessian = stretch**2 * after.hessian + turn
        variation = stretch**2 * after.third_derivative * reach + turn
        variation += 2.0 * self.rate * stretch * before.third_derivative * radius * after.hessian
        bounds = [float(self.tasks.p @ np.where(known, each, np.nan)) for each in (hessian, variation)]
        return Smoothness(float(radius), *bounds)

    def mean_hessian(self) -> FloatArray:
        r"""The Hessian of L at K but for third derivatives of the costs, shape (dk, dk), in the order of ``K.ravel()``.

        .. math:: \bar H = \sum_i p_i (I - \eta \nabla^2 J_i(K)) \nabla^2 J_i(K_i) (I - \eta \nabla^2 J_i(K))
        """
        inner = hessian_matrix(self.tasks, self._after.K)
        if self.rate > 0:
            turned = np.eye(self.K.size) - self.rate * hessian_matrix(self.tasks, self.K)
            inner = turned @ inner @ turned
        return np.asarray(np.tensordot(self.tasks.p, inner, axes=1))
