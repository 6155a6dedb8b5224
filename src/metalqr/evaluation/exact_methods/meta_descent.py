"""Exact gradient descent on the meta-objective: what Algorithm 3 estimates, and the process that Theorem 2 is about."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.config.algorithm import MetaSettings
from metalqr.evaluation.exact_methods.dataset import ExactDescent
from metalqr.evaluation.exact_methods.descent import DescentObjective, EvaluatedGains, descend, require_finite
from metalqr.evaluation.exact_methods.linearisation import Linearisation
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, common_gain
from metalqr.lqr.performance_difference import cost_change
from metalqr.objectives import meta
from metalqr.training.method import Problem
from metalqr.training.methods.exact_maml import ExactMAML

#: Gaps of this part of the objective are rounding.
RESOLUTION = 1e-22
#: A gap counts if it is this many times the rounding of the adaptations, or the error of the optimum.
SAFETY = 100.0
#: Part of the objective by which Newton's method may still lower what is given as its minimum.
MINIMUM_TOLERANCE = 1e-9


def descend_meta(
    tasks: LQRTasks,
    K0: ArrayLike,
    adaptation_rate: float,
    optimum: ArrayLike,
    iterations: int,
    step: float | None = None,
) -> ExactDescent:
    r"""Run one descent, n = 1, along the exact gradient of the meta-objective (Section 3.2, equation (4)).

    .. math:: K_{n+1} = K_n - \alpha \nabla L(K_n), \qquad L(K) = \sum_i p_i J_i(K - \eta \nabla J_i(K)) .

    Theorem 2 is about this process with an estimate in place of the gradient. There is no guaranteed rate here: the
    mean of several costs is not gradient dominant.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array_like, shape (k, d)
        A MAML-stabilising gain.
    adaptation_rate : float
        :math:`\eta \ge 0`.
    optimum : array_like, shape (k, d)
        A (local) minimum K* of L, as accurate as possible, towards which the descent goes.
    iterations : int
        N >= 1.
    step : float, optional
        Learning rate :math:`\alpha > 0`. Default: the first of :math:`h^{-1}, h^{-1}/2, h^{-1}/4, \dots`, with h the
        norm of the Hessian of L at the optimum, with which L falls by at least
        :math:`\frac{1}{2} \alpha \|\nabla L\|_F^2` at each of the N iterations.

    Raises
    ------
    UnstablePolicyError
        If K0 is not MAML-stabilising, or a step leaves that set; the message names the iteration, the tasks and their
        spectral radii.
    ValueError
        If a gain has another shape, if the optimum is no minimum, or if the step, the number of iterations or the
        adaptation rate is impossible.
    StepSizeError
        If no step is found.
    """
    gain = common_gain(tasks, K0, "K0")
    settings = MetaSettings(method="exact_maml", learning_rate=1.0, adaptation_rate=adaptation_rate)
    objective = _MetaObjective(tasks, adaptation_rate, common_gain(tasks, optimum, "optimum"))
    return descend(objective, ExactMAML(Problem(tasks, gain, settings)), gain[np.newaxis], iterations, step)


def meta_hessian(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> FloatArray:
    r"""Hessian of the meta-objective as a matrix over the entries of a gain row by row, shape (kd, kd).

    Column by column, from the exact Hessian-vector product: no step that could leave the MAML-stabilising set.

    An UnstablePolicyError is raised if K is not MAML-stabilising.
    """
    gain = common_gain(tasks, K)
    derivatives = meta.MetaDerivatives(tasks, gain, adaptation_rate)
    units = np.eye(gain.size).reshape(-1, *gain.shape)
    hessian = np.stack([derivatives.hessian_vector_product(unit).reshape(-1) for unit in units])
    return 0.5 * (hessian + hessian.T)


class _MetaObjective(DescentObjective):
    """The meta-objective over the common gain: a batch of one."""

    def __init__(self, tasks: LQRTasks, adaptation_rate: float, optimum: FloatArray) -> None:
        self._tasks, self._rate = tasks, adaptation_rate
        self.optimum, self.searches = optimum[np.newaxis], True
        self.best = self.at(self.optimum, "optimum")
        self.eigenvalues, vectors = np.linalg.eigh(meta_hessian(tasks, optimum, adaptation_rate))
        self.modes = vectors.T
        value = float(tasks.p @ self.best.evaluation.cost())
        # The change of the objective by a step of Newton's method.
        error = 0.5 * float(np.sum(np.square(self.modes @ self.best.direction.reshape(-1)) / np.abs(self.eigenvalues)))
        if not (self.eigenvalues[0] > 0 and error <= MINIMUM_TOLERANCE * value):
            raise ValueError(
                f"optimum is no minimum of the meta-objective with the adaptation rate {adaptation_rate!r}: the "
                f"smallest eigenvalue of the Hessian is {self.eigenvalues[0]:.3g}, and a Newton step would change the "
                f"objective by {error / value:.3g} of it; give metalqr.optimal.meta_gain(tasks, adaptation_rate).K"
            )
        sizes = np.linalg.norm(self.best.adaptation, axis=(1, 2)) * np.linalg.norm(
            self.best.evaluation.gradient(), axis=(1, 2)
        )
        rounding = np.finfo(np.float64).eps * float(tasks.p @ sizes)
        self.resolution = np.array([max(RESOLUTION * value, SAFETY * rounding, SAFETY * error)])

    def at(self, K: FloatArray, name: str) -> EvaluatedGains:
        tasks, gain = self._tasks, K[0]
        require_finite(gain, range(tasks.count), name)
        adaptation = self._rate * PolicyEvaluation(tasks, gain, policy=name).gradient()
        name = f"{name}, after its adaptation,"
        require_finite(adaptation, range(tasks.count), name)
        evaluation = PolicyEvaluation(tasks, gain - adaptation, policy=name)
        gradient = meta.gradient(tasks, gain, self._rate)[np.newaxis]
        slope = np.array([float(np.vdot(gradient, gradient))])
        return EvaluatedGains(K, gradient, slope, adaptation, evaluation)

    def gap(self, here: EvaluatedGains) -> FloatArray:
        return -self.fall(self.best, here)

    def fall(self, here: EvaluatedGains, there: EvaluatedGains) -> FloatArray:
        # The change of K is the same for all tasks; taken from the adapted gains, its rounding would differ.
        change = (there.K - here.K) - (there.adaptation - here.adaptation)
        return np.array([-float(self._tasks.p @ cost_change(here.evaluation, there.evaluation, change))])

    def longest_step(self, start: EvaluatedGains) -> FloatArray:
        return np.asarray(1.0 / self.eigenvalues[-1:])

    def guaranteed_rate(self, step: FloatArray, start: EvaluatedGains, curvature: FloatArray) -> FloatArray:
        return np.full(1, np.nan)

    def linearisation(self, step: FloatArray) -> Linearisation:
        return Linearisation(
            modes=self.modes[np.newaxis],
            weights=0.5 * self.eigenvalues[np.newaxis],
            multipliers=1.0 - step[:, np.newaxis] * self.eigenvalues[np.newaxis],
        )
