"""Gradient descent, natural gradient and Gauss-Newton on every task by itself (Section 3.1 of the paper)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr.config.algorithm import MetaSettings
from metalqr.evaluation.exact_methods.arguments import checked_iterations, checked_step, require_finite
from metalqr.evaluation.exact_methods.linearisation import measured_rates
from metalqr.evaluation.exact_methods.path import Point, follow, longest_sure_step
from metalqr.evaluation.exact_methods.rates import Method, guaranteed_rate, longest_step, task_linearisation
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, gains_per_task
from metalqr.lqr.performance_difference import cost_change, optimality_gap
from metalqr.optimal import optimal_gains
from metalqr.training.method import Problem
from metalqr.training.methods.gauss_newton import GaussNewton
from metalqr.training.methods.gradient_descent import GradientDescent
from metalqr.training.methods.natural_gradient import NaturalGradient

#: Gaps of this part of the optimal cost are rounding: the gains then agree in all but their last digits.
RESOLUTION = 1e-22
#: By imports, not by the registry: what is imported counts for what runs again.
_METHODS: dict[Method, type[GradientDescent]] = {
    Method.GRADIENT_DESCENT: GradientDescent,
    Method.NATURAL_GRADIENT: NaturalGradient,
    Method.GAUSS_NEWTON: GaussNewton,
}


@dataclass(frozen=True, eq=False)
class Descent:
    r"""A first-order method on every task by itself; iteration 0 is the start.

    Attributes
    ----------
    method : Method
    K : array, shape (N + 1, I, k, d)
        Gains.
    gap : array, shape (N + 1, I)
        :math:`J_i(K_n) - J_i^*`, with nearly all digits down to 1e-22 of the optimal cost.
    step : array, shape (I,)
        :math:`\eta` of every task.
    curvature : array, shape (I,)
        The largest curvature met on the way, see :class:`metalqr.evaluation.exact_methods.path.Path`.
    guaranteed_rate : array, shape (I,)
        What theory promises: a bound on the ratio of successive gaps, at every iteration. For gradient descent it rests
        on the measured ``curvature``. NaN where no bound is known, because the step is too long.
    asymptotic_rate : array, shape (I,)
        Limit of that ratio, from the spectrum at the optimum.
    linearised_rate : array, shape (I,)
        What the linearisation at the optimum predicts for the iterations of ``measured_rate``; NaN where that is.
    measured_rate : array, shape (I,)
        By regression over the second half of the iterations before the gap is rounding; NaN where there is none.
    """

    method: Method
    K: FloatArray
    gap: FloatArray
    step: FloatArray
    curvature: FloatArray
    guaranteed_rate: FloatArray
    asymptotic_rate: FloatArray
    linearised_rate: FloatArray
    measured_rate: FloatArray


def descend(tasks: LQRTasks, K0: ArrayLike, method: Method, iterations: int, step: ArrayLike | None = None) -> Descent:
    r"""Run a first-order method on every task, all tasks at once, with exact gradients (Section 3.1).

    .. math::

        K_{n+1} &= K_n - \eta \nabla J_i(K_n) && \text{(gradient descent)} \\
        K_{n+1} &= K_n - \eta \nabla J_i(K_n) \Sigma_{K_n}^{-1} && \text{(natural gradient)} \\
        K_{n+1} &= K_n - \eta (R_i + B_i^\top P_{K_n} B_i)^{-1} \nabla J_i(K_n) \Sigma_{K_n}^{-1}
        && \text{(Gauss-Newton)}

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array_like, shape (k, d) or (I, k, d)
        A gain that stabilises every task.
    method : Method
    iterations : int
        N >= 1.
    step : array_like, shape () or (I,), optional
        :math:`\eta > 0`. Default: 1/2 for Gauss-Newton, which is policy iteration;
        :math:`1 / (2 \|R_i + B_i^\top P_{K_0} B_i\|)` for the natural gradient; for gradient descent the first of
        :math:`h^{-1}, h^{-1}/2, h^{-1}/4, \dots`, with h the norm of the Hessian at the optimum, with which the cost
        falls by at least :math:`\frac{1}{2} \eta \|\nabla J_i\|_F^2` at each of the N iterations. The first two are
        sure to stay in the stabilising set and to let the cost fall; of the third it is checked.

    Returns
    -------
    Descent

    Raises
    ------
    UnstablePolicyError
        If K0 does not stabilise every task, or a step leaves the stabilising set; the message names the iteration, the
        tasks and their spectral radii.
    ValueError
        If K0 has another shape, or a step or the number of iterations is impossible.
    StepSizeError
        If no step for gradient descent is found.

    Examples
    --------
    >>> from metalqr.lqr import LQRTasks
    >>> one = [[[1.0]]]
    >>> descent = descend(LQRTasks(A=[[[2.0]]], B=one, Q=one, R=one, Psi=one), [[1.5]], Method.GAUSS_NEWTON, 3)
    >>> [f"{gap:.1e}" for gap in descent.gap[:, 0]]
    ['9.7e-02', '3.0e-04', '2.9e-09', '2.7e-19']
    """
    method = Method(method)
    iterations = checked_iterations(iterations)
    settings = MetaSettings(method=str(method), learning_rate=1.0, adaptation_rate=0.0, iterations=iterations)
    gains = gains_per_task(tasks, K0, "K0")
    descent = _METHODS[method](Problem(tasks, gains, settings))
    landscape = _TaskLandscape(tasks, descent)
    start = landscape.at(gains, "K0")
    given = None if step is None else checked_step(step, tasks.count)
    steps = longest_step(method, start.evaluation, landscape.best) if given is None else given
    if given is None and method is Method.GRADIENT_DESCENT:
        steps, path = longest_sure_step(landscape, descent, start, steps, iterations)
    else:
        path = follow(landscape, descent, start, steps, iterations)
    linearisation = task_linearisation(method, steps, landscape.best)
    rates = measured_rates(path.K, path.gap, landscape.optimum, landscape.resolution, linearisation)
    return Descent(
        method=method,
        K=path.K,
        gap=path.gap,
        step=steps,
        curvature=path.curvature,
        guaranteed_rate=guaranteed_rate(method, steps, tasks, start.evaluation, landscape.best, path.curvature),
        asymptotic_rate=linearisation.asymptotic_rate(),
        linearised_rate=rates.linearised,
        measured_rate=rates.measured,
    )


class _TaskLandscape:
    """The cost of every task over its own gain."""

    def __init__(self, tasks: LQRTasks, method: GradientDescent) -> None:
        self._tasks, self._method = tasks, method
        self._unadapted = np.zeros((tasks.count, tasks.action_dim, tasks.state_dim))
        optimum = optimal_gains(tasks).K
        nearly = PolicyEvaluation(tasks, optimum)
        # One more step of policy iteration squares the error that the Riccati solver has left.
        self.optimum = optimum - np.linalg.solve(nearly.input_curvature, nearly.advantage)
        self.best = PolicyEvaluation(tasks, self.optimum)
        self.resolution = RESOLUTION * self.best.cost()

    def at(self, K: FloatArray, name: str) -> Point:
        require_finite(K, range(self._tasks.count), name)
        evaluation = PolicyEvaluation(self._tasks, K, policy=name)
        along = self._method.along(evaluation)
        return Point(
            K=K,
            gap=optimality_gap(self.best, evaluation, K - self.optimum),
            direction=along,
            slope=np.einsum("iab,iab->i", evaluation.gradient(), along),
            adaptation=self._unadapted,
            evaluation=evaluation,
        )

    def fall(self, here: Point, there: Point) -> FloatArray:
        return -cost_change(here.evaluation, there.evaluation, there.K - here.K)

    def descents_of(self, tasks: Sequence[int]) -> list[int]:
        return list(tasks)
