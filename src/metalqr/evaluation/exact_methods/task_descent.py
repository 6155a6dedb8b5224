r"""Gradient descent, natural gradient and Gauss-Newton on each task separately (Section 3.1 of the paper).

The rate of each has a bound that holds at every iteration, and a limit.

With E and Σ those of the gain K, :math:`M = R + B^\top P_K B`, and a star for the optimum,

.. math:: K_{n+1} = K_n - 2 G E \quad\text{or}\quad K_n - 2 \eta E \Sigma, \qquad
    G = \eta M^{-1} \text{ (Gauss-Newton)}, \quad G = \eta I \text{ (natural gradient)},

and the last one is gradient descent. With :math:`\kappa = \lambda_{\min}(\Sigma_*^{-1} \Psi)`, the gap shrinks by
:math:`1 - c \kappa` or better, where c is the minimum of :math:`4 s (1 - s)` over the eigenvalues s in (0, 1] of
:math:`M^{1/2} G M^{1/2}` along the path, and for gradient descent by :math:`1 - \eta (1 - \frac{1}{2} \eta h) \lambda`
with the measured curvature h. The proofs are in ``docs/theory.md``. Where :math:`\Psi` is singular there is no bound.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from metalqr.config.algorithm import MetaSettings
from metalqr.evaluation.exact_methods.dataset import METHODS, ExactDescent
from metalqr.evaluation.exact_methods.descent import DescentObjective, EvaluatedGains, descend, require_finite
from metalqr.evaluation.exact_methods.linearisation import Linearisation
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, at_optimum, gains_per_task
from metalqr.lqr.performance_difference import cost_change, optimality_gap
from metalqr.lqr.tasks import definite
from metalqr.optimal import optimal_gains
from metalqr.training.method import Problem
from metalqr.training.methods.gauss_newton import GaussNewton
from metalqr.training.methods.gradient_descent import GradientDescent
from metalqr.training.methods.natural_gradient import NaturalGradient

#: Gaps of this part of the optimal cost are rounding: the gains then agree in all but their last digits.
RESOLUTION = 1e-22


def descend_tasks(
    tasks: LQRTasks, K0: ArrayLike, method: str, iterations: int, step: ArrayLike | None = None
) -> ExactDescent:
    r"""Run I descents with exact gradients, by a method with a gain for each task, and measure their rates.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array_like, shape (k, d) or (I, k, d)
        A gain that stabilises every task.
    method : str
        One of :data:`metalqr.evaluation.exact_methods.dataset.METHODS`.
    iterations : int
        N >= 1.
    step : array_like, shape () or (I,), optional
        :math:`\eta > 0`. Default: 1/2 for Gauss-Newton, which is policy iteration;
        :math:`1 / (2 \|R_i + B_i^\top P_{K_0} B_i\|)` for the natural gradient; for gradient descent the first of
        :math:`h^{-1}, h^{-1}/2, h^{-1}/4, \dots`, with h the norm of the Hessian at the optimum, with which the cost
        falls by at least :math:`\frac{1}{2} \eta \|\nabla J_i\|_F^2` at each of the N iterations. The first two are
        proved to stay in the stabilising set and to let the cost fall; the third is checked.

    Raises
    ------
    UnstablePolicyError
        If K0 does not stabilise every task, or a step leaves the stabilising set; the message names the iteration, the
        tasks and their spectral radii.
    ValueError
        If there is no such method, K0 has another shape, or a step or the number of iterations is impossible.
    StepSizeError
        If no step for gradient descent is found.

    Examples
    --------
    >>> from metalqr.lqr import LQRTasks
    >>> one = [[[1.0]]]
    >>> descent = descend_tasks(LQRTasks(A=[[[2.0]]], B=one, Q=one, R=one, Psi=one), [[1.5]], "gauss_newton", 3)
    >>> [f"{gap:.1e}" for gap in descent.gap[:, 0]]
    ['9.7e-02', '3.0e-04', '2.9e-09', '2.7e-19']
    """
    if method not in METHODS:
        raise ValueError(f"method: {method!r} is not one of {', '.join(METHODS)}")
    gains, objective = gains_per_task(tasks, K0, "K0"), _OBJECTIVES[method](tasks)
    settings = MetaSettings(method=method, learning_rate=1.0, adaptation_rate=0.0)
    found = descend(objective, objective.method(Problem(tasks, gains, settings)), gains, iterations, step)
    if not objective.bounded.all():
        singular = ", ".join(map(str, np.flatnonzero(~objective.bounded)))
        random = "noise" if tasks.noise == "process" else "initial state"
        remark = f"the rate of task {singular} has no bound, because its {random} has not full rank"
        found = replace(found, remark=remark)
    there = at_optimum(tasks, gains)
    if not there.any():
        return found
    names = ", ".join(map(str, np.flatnonzero(there)))
    # No gap is left, and what would be measured is rounding.
    unknown: dict[str, Any] = {
        name: np.where(there, np.nan, getattr(found, name))
        for name in ("gap", "curvature", "guaranteed_rate", "linearised_rate", "measured_rate")
    }
    remark = f"K_0 is the optimum of task {names} up to rounding: no gap to close"
    return replace(found, **unknown, remark="; ".join(filter(None, (found.remark, remark))))


class _TaskCosts(DescentObjective, ABC):
    """The cost of every task over its own gain, with the rate of one method on it."""

    #: Imported, not looked up: the build system follows imports.
    method: ClassVar[type[GradientDescent]]
    searches = False

    def __init__(self, tasks: LQRTasks) -> None:
        self._tasks = tasks
        optimum = optimal_gains(tasks).K
        nearly = PolicyEvaluation(tasks, optimum)
        # One more step of policy iteration squares the error that the Riccati solver has left.
        self.optimum = optimum - np.linalg.solve(nearly.input_curvature, nearly.advantage)
        self._best = best = PolicyEvaluation(tasks, self.optimum)
        self.resolution = RESOLUTION * best.cost()
        self._input_values, self._input_vectors = np.linalg.eigh(best.input_curvature)
        self._curvature_range = np.linalg.eigvalsh(best.input_curvature)[:, [0, -1]].T
        self._kappa = np.full(tasks.count, np.nan)
        #: Tasks with noise of full rank, of which alone there is a bound of the rate.
        self.bounded = definite(tasks.excitation)
        if self.bounded.any():
            root = np.linalg.cholesky(best.state_covariance[self.bounded])
            whitened = np.linalg.solve(root, np.linalg.solve(root, tasks.excitation[self.bounded]).swapaxes(-1, -2))
            self._kappa[self.bounded] = np.linalg.eigvalsh(whitened)[:, 0]

    def at(self, K: FloatArray, name: str) -> EvaluatedGains:
        require_finite(K, range(self._tasks.count), name)
        evaluation = PolicyEvaluation(self._tasks, K, policy=name)
        along = self.method.along(evaluation)
        return EvaluatedGains(
            K=K,
            direction=along,
            slope=np.einsum("iab,iab->i", evaluation.gradient(), along),
            adaptation=np.zeros_like(K),
            evaluation=evaluation,
        )

    def gap(self, here: EvaluatedGains) -> FloatArray:
        return optimality_gap(self._best, here.evaluation, here.K - self.optimum)

    def fall(self, here: EvaluatedGains, there: EvaluatedGains) -> FloatArray:
        return -cost_change(here.evaluation, there.evaluation, there.K - here.K)

    @abstractmethod
    def _eigenvalues(self, products: FloatArray) -> FloatArray:
        """Half of (1 - multiplier) / step of each mode, which belongs to one product of eigenvalues."""

    def linearisation(self, step: FloatArray) -> Linearisation:
        r"""Linearise the method at the optimum of every task.

        As E vanishes at K*, so does the derivative of :math:`P_K`, and that of E in the direction X is
        :math:`M_* X`. Hence the iteration maps the deviation X to

        .. math::

            X - 2 \eta M_* X \Sigma_* \text{ (gradient descent)}, \qquad
            X - 2 \eta M_* X \text{ (natural gradient)}, \qquad
            (1 - 2 \eta) X \text{ (Gauss-Newton)},

        and the gap is :math:`\mathrm{Tr}(\Sigma_* X^\top M_* X)` to second order. All are diagonal in the products
        :math:`v_a u_b^\top` of eigenvectors of :math:`M_*` and :math:`\Sigma_*`, with eigenvalues :math:`m_a` and
        :math:`s_b`: the multipliers are :math:`1 - 2 \eta m_a s_b` (:math:`2 m_a s_b` being the eigenvalues of the
        Hessian), :math:`1 - 2 \eta m_a` and :math:`1 - 2 \eta`. The last is zero for :math:`\eta = 1/2`: then the
        convergence is quadratic (Hewer 1971).
        """
        state_values, state_vectors = np.linalg.eigh(self._best.state_covariance)
        products = self._input_values[:, :, np.newaxis] * state_values[:, np.newaxis, :]
        count, size = len(products), products[0].size
        modes = np.einsum("ixa,iyb->iabxy", self._input_vectors, state_vectors)
        eigenvalues = np.broadcast_to(self._eigenvalues(products), products.shape)
        return Linearisation(
            modes=modes.reshape(count, size, size),
            weights=products.reshape(count, size),
            multipliers=1.0 - 2.0 * step[:, np.newaxis] * eigenvalues.reshape(count, size),
        )

    def _bound(self, s: FloatArray) -> FloatArray:
        """The bound for Gauss-Newton and natural gradient, from the two ends of the range of s, shape (2, I)."""
        return np.where(s.max(axis=0) <= 1.0, 1.0 - self._kappa * (4.0 * s * (1.0 - s)).min(axis=0), np.nan)


class _GradientDescent(_TaskCosts):
    method = GradientDescent
    searches = True

    def longest_step(self, start: EvaluatedGains) -> FloatArray:
        r""":math:`1 / \|\nabla^2 J(K^*)\| = 1 / (2 \|M_*\| \|\Sigma_*\|)`."""
        state_norm = np.linalg.eigvalsh(self._best.state_covariance)[:, -1]
        return np.asarray(0.5 / (self._curvature_range[1] * state_norm))

    def guaranteed_rate(self, step: FloatArray, start: EvaluatedGains, curvature: FloatArray) -> FloatArray:
        dominance = 4.0 * np.linalg.eigvalsh(self._tasks.excitation)[:, 0] * self._kappa * self._curvature_range[0]
        share = step * (1.0 - 0.5 * step * curvature) * dominance
        return np.where(share >= 0.0, 1.0 - share, np.nan)

    def _eigenvalues(self, products: FloatArray) -> FloatArray:
        return products


class _NaturalGradient(_TaskCosts):
    method = NaturalGradient

    def longest_step(self, start: EvaluatedGains) -> FloatArray:
        r""":math:`1 / (2 \|M_{K_0}\|)`, so that s <= 1/2; Fazel et al. use a bound on the norm, which is shorter."""
        return np.asarray(0.5 / np.linalg.eigvalsh(start.evaluation.input_curvature)[:, -1])

    def guaranteed_rate(self, step: FloatArray, start: EvaluatedGains, curvature: FloatArray) -> FloatArray:
        first_norm = np.linalg.eigvalsh(start.evaluation.input_curvature)[:, -1]
        return self._bound(step * np.stack([self._curvature_range[0], first_norm]))

    def _eigenvalues(self, products: FloatArray) -> FloatArray:
        return self._input_values[:, :, np.newaxis]


class _GaussNewton(_TaskCosts):
    method = GaussNewton

    def longest_step(self, start: EvaluatedGains) -> FloatArray:
        """1/2, which makes it policy iteration."""
        return np.full(self._tasks.count, 0.5)

    def guaranteed_rate(self, step: FloatArray, start: EvaluatedGains, curvature: FloatArray) -> FloatArray:
        return self._bound(np.stack([step, step]))

    def _eigenvalues(self, products: FloatArray) -> FloatArray:
        return np.ones(1)


_OBJECTIVES: dict[str, type[_TaskCosts]] = dict(
    zip(METHODS, (_GradientDescent, _NaturalGradient, _GaussNewton), strict=True)
)
