"""Exact quantities of a linear policy u = -K x on every task: Section 3.1 and Proposition 1 of the paper, corrected."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr.lyapunov import LyapunovSolver
from metalqr.lqr.tasks import FloatArray, LQRTasks


class UnstablePolicyError(ValueError):
    """A gain does not stabilise some tasks, so its cost is infinite and its gradient does not exist.

    Parameters
    ----------
    task_indices : iterable of int
        The tasks that are not stabilised.
    radii : iterable of float
        The spectral radius of each of them.
    policy : str
        What the gain is called in the message.

    Attributes
    ----------
    task_indices : tuple of int
    radii : tuple of float
    """

    def __init__(self, task_indices: Iterable[int], radii: Iterable[float], policy: str = "the gain") -> None:
        self.task_indices = tuple(int(task) for task in task_indices)
        self.radii = tuple(float(radius) for radius in radii)
        self.policy = policy
        named = ", ".join(
            f"task {task} (spectral radius {radius:.9g})"
            for task, radius in zip(self.task_indices, self.radii, strict=True)
        )
        super().__init__(
            f"{policy} does not stabilise {named}: the spectral radius of A - B K must be below 1; take a "
            "smaller step, or start from metalqr.optimal.stabilising_gain(tasks)"
        )

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Rebuild from the parts, not from the message, when a worker process hands the error over."""
        return type(self), (self.task_indices, self.radii, self.policy)


def gains_per_task(tasks: LQRTasks, K: ArrayLike, name: str = "K") -> FloatArray:
    """Check a gain and give it the shape (I, k, d) without copying it for every task.

    Raises
    ------
    ValueError
        If it has neither the shape (k, d) nor (I, k, d), or holds something that is not finite.
    """
    gains = np.asarray(K, dtype=np.float64)
    common, per_task = (tasks.action_dim, tasks.state_dim), (tasks.count, tasks.action_dim, tasks.state_dim)
    if gains.shape not in (common, per_task):
        raise ValueError(f"{name} has shape {gains.shape}, expected {common} for all tasks or {per_task}, one per task")
    if not np.isfinite(gains).all():
        raise ValueError(f"{name} holds a value that is not finite; give finite numbers")
    return np.broadcast_to(gains, per_task)


def common_gain(tasks: LQRTasks, K: ArrayLike, name: str = "K") -> FloatArray:
    """Check a gain meant for all tasks and copy it.

    Raises
    ------
    ValueError
        If it does not have the shape (k, d), or holds something that is not finite.
    """
    gain = np.array(K, dtype=np.float64)
    expected = (tasks.action_dim, tasks.state_dim)
    if gain.shape != expected:
        raise ValueError(f"{name} has shape {gain.shape}, expected {expected}: one gain for all tasks")
    if not np.isfinite(gain).all():
        raise ValueError(f"{name} holds a value that is not finite; give finite numbers")
    return gain


class PolicyEvaluation:
    r"""Everything exact about one stabilising gain per task, computed once and shared by cost, gradient and Hessian.

    With :math:`A_K = A - BK`,

    .. math::

        \Sigma_K &= \Psi + A_K \Sigma_K A_K^\top, \qquad P_K = Q + K^\top R K + A_K^\top P_K A_K, \\
        E_K &= (R + B^\top P_K B) K - B^\top P_K A .

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)

    Attributes
    ----------
    closed_loop, state_covariance, value_matrix : array, shape (I, d, d)
        :math:`A_K`, :math:`\Sigma_K`, :math:`P_K`.
    input_curvature : array, shape (I, k, k)
        :math:`R + B^\top P_K B`, positive definite.
    advantage : array, shape (I, k, d)
        :math:`E_K`; it vanishes exactly at the optimum of each task.
    lyapunov : LyapunovSolver
        Solves the Lyapunov equations of :math:`A_K` for further right-hand sides.

    Raises
    ------
    UnstablePolicyError
        If the gain does not stabilise every task.
    """

    def __init__(self, tasks: LQRTasks, K: ArrayLike, policy: str = "the gain") -> None:
        gains = gains_per_task(tasks, K)
        closed, solver = _stable_solver(tasks, gains, policy)
        self._tasks = tasks
        self.lyapunov = solver
        self.closed_loop = closed
        self.state_covariance = solver.solve(tasks.Psi)
        self.value_matrix = solver.solve_adjoint(state_and_input_weight(tasks, gains))
        input_value = self.value_matrix @ tasks.B
        self.input_curvature = tasks.R + _t(tasks.B) @ input_value
        # The same as (R + BᵀPB)K - BᵀPA without the cancellation between its two large terms.
        self.advantage = tasks.R @ gains - _t(input_value) @ closed

    def cost(self) -> FloatArray:
        r""":math:`J_i(K) = \mathrm{Tr}(P_K \Psi)`, shape (I,)."""
        return np.asarray(np.einsum("iab,iab->i", self.value_matrix, self._tasks.Psi))

    def gradient(self) -> FloatArray:
        r""":math:`\nabla J_i(K) = 2 E_K \Sigma_K`, shape (I, k, d)."""
        return 2.0 * self.advantage @ self.state_covariance

    def hessian_vector_product(self, X: ArrayLike) -> FloatArray:
        """Apply the Hessian operator to X; see :func:`hessian_vector_product`."""
        tasks, closed, covariance = self._tasks, self.closed_loop, self.state_covariance
        direction = gains_per_task(tasks, X, name="X")
        value_source = _t(direction) @ self.advantage
        value_change = self.lyapunov.solve_adjoint(value_source + _t(value_source))
        covariance_source = closed @ covariance @ _t(direction) @ _t(tasks.B)
        covariance_change = self.lyapunov.solve(-covariance_source - _t(covariance_source))
        return 2.0 * (
            (self.input_curvature @ direction - _t(tasks.B) @ value_change @ closed) @ covariance
            + self.advantage @ covariance_change
        )


def evaluate(tasks: LQRTasks, K: ArrayLike) -> PolicyEvaluation:
    """Evaluate a stabilising gain once, for several of its exact quantities.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)

    Returns
    -------
    PolicyEvaluation

    Raises
    ------
    UnstablePolicyError
        If the gain does not stabilise every task.
    """
    return PolicyEvaluation(tasks, K)


def closed_loop(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Closed-loop state matrices :math:`A_K = A - B K`.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)

    Returns
    -------
    array, shape (I, d, d)
    """
    return _closed_loop(tasks, gains_per_task(tasks, K))


def spectral_radius(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Spectral radius :math:`\rho(A_i - B_i K)` of every task.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)

    Returns
    -------
    array, shape (I,)
    """
    return _radius(closed_loop(tasks, K))


def is_stabilising(tasks: LQRTasks, K: ArrayLike) -> NDArray[np.bool_]:
    r"""Whether :math:`\rho(A_i - B_i K) < 1`, for every task (shape (I,)); the paper calls such a policy stable."""
    return np.less(spectral_radius(tasks, K), 1.0)


def cost(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Ergodic cost, :math:`+\infty` for the tasks that K does not stabilise.

    .. math:: J_i(K) = \mathrm{Tr}((Q_i + K^\top R_i K) \Sigma_K^i) = \mathrm{Tr}(P_K^i \Psi_i).

    It does not depend on the initial state. Proposition 1 of the paper prints :math:`\mathrm{Tr}(P_K)`, which is right
    for :math:`\Psi = I` only.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)

    Returns
    -------
    array, shape (I,)
    """
    gains = gains_per_task(tasks, K)
    closed = _closed_loop(tasks, gains)
    stable = _radius(closed) < 1.0
    # An unstable task gets a zero matrix in place of its own, so that it cannot overflow; its cost is set below.
    solver = LyapunovSolver(np.where(stable[:, np.newaxis, np.newaxis], closed, 0.0))
    with np.errstate(over="ignore", invalid="ignore"):
        costs = np.einsum("iab,iab->i", state_and_input_weight(tasks, gains), solver.solve(tasks.Psi))
    return np.where(stable & solver.converged & np.isfinite(costs), costs, np.inf)


def gradient(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Policy gradient of every task (Proposition 1, equation (2)).

    .. math:: \nabla J_i(K) = 2 E_K \Sigma_K, \qquad E_K = (R + B^\top P_K B) K - B^\top P_K A .

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)

    Returns
    -------
    array, shape (I, k, d)

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    ValueError
        If K has another shape, or holds something that is not finite.
    """
    return evaluate(tasks, K).gradient()


def hessian_vector_product(tasks: LQRTasks, K: ArrayLike, X: ArrayLike) -> FloatArray:
    r"""Hessian of the cost as a linear operator on gains, applied to X.

    .. math::

        \nabla^2 J(K)[X] &= 2 (R + B^\top P_K B) X \Sigma_K - 2 B^\top P' A_K \Sigma_K + 2 E_K \Sigma', \\
        P' &= A_K^\top P' A_K + X^\top E_K + E_K^\top X, \\
        \Sigma' &= A_K \Sigma' A_K^\top - B X \Sigma_K A_K^\top - A_K \Sigma_K X^\top B^\top .

    The operator is self-adjoint. Equation (3) of the paper merges the last two terms into
    :math:`-4 B^\top P' A_K \Sigma_K`: the same quadratic form, but not the Hessian operator.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
    X : array_like, shape (k, d) or (I, k, d)
        Direction, for all tasks or one per task.

    Returns
    -------
    array, shape (I, k, d)

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    ValueError
        If K has another shape, or holds something that is not finite.
    """
    return evaluate(tasks, K).hessian_vector_product(X)


def state_covariance(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Stationary covariance of the state: :math:`\Sigma_K = \Psi + A_K \Sigma_K A_K^\top` (equation (1)).

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)

    Returns
    -------
    array, shape (I, d, d)

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    ValueError
        If K has another shape, or holds something that is not finite.
    """
    _, solver = _stable_solver(tasks, gains_per_task(tasks, K))
    return solver.solve(tasks.Psi)


def value_matrix(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Matrix of the relative value function :math:`x^\top P_K x`: :math:`P_K = Q + K^\top R K + A_K^\top P_K A_K`.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)

    Returns
    -------
    array, shape (I, d, d)

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    ValueError
        If K has another shape, or holds something that is not finite.
    """
    gains = gains_per_task(tasks, K)
    _, solver = _stable_solver(tasks, gains)
    return solver.solve_adjoint(state_and_input_weight(tasks, gains))


def _t(matrices: FloatArray) -> FloatArray:
    return matrices.swapaxes(-1, -2)


def _closed_loop(tasks: LQRTasks, gains: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        return tasks.A - tasks.B @ gains


def _radius(matrices: FloatArray) -> FloatArray:
    # The product of finite matrices can overflow, and LAPACK refuses what is not finite.
    finite = np.asarray(np.isfinite(matrices).all(axis=(-2, -1)))
    radii = np.abs(np.linalg.eigvals(np.where(finite[:, np.newaxis, np.newaxis], matrices, 0.0))).max(axis=-1)
    return np.where(finite, radii, np.inf)


def state_and_input_weight(tasks: LQRTasks, gains: FloatArray) -> FloatArray:
    """Q + KᵀRK, the weight of the state under u = -K x, shape (I, d, d)."""
    return tasks.Q + _t(gains) @ tasks.R @ gains


def _stable_solver(tasks: LQRTasks, gains: FloatArray, policy: str = "the gain") -> tuple[FloatArray, LyapunovSolver]:
    closed = _closed_loop(tasks, gains)
    radii = _radius(closed)
    unstable = np.flatnonzero(~(radii < 1.0))
    if not unstable.size:
        solver = LyapunovSolver(closed)
        # The eigenvalues say stable but the powers do not vanish: the boundary, as far as doubles can tell.
        unstable = np.flatnonzero(~solver.converged)
    if unstable.size:
        raise UnstablePolicyError(unstable, radii[unstable], policy)
    return closed, solver
