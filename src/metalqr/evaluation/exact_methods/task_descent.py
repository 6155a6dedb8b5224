"""Gradient descent, natural gradient and Gauss-Newton on each task separately (Section 3.1 of the paper)."""

from numpy.typing import ArrayLike

from metalqr.config.algorithm import MetaSettings
from metalqr.evaluation.exact_methods.dataset import METHODS, ExactDescent
from metalqr.evaluation.exact_methods.descent import descend
from metalqr.evaluation.exact_methods.rates import RATES
from metalqr.lqr import LQRTasks, gains_per_task
from metalqr.training.method import Problem


def descend_tasks(
    tasks: LQRTasks, K0: ArrayLike, method: str, iterations: int, step: ArrayLike | None = None
) -> ExactDescent:
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

    Returns
    -------
    ExactDescent
        n = I descents.

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
    gains, objective = gains_per_task(tasks, K0, "K0"), RATES[method](tasks)
    settings = MetaSettings(method=method, learning_rate=1.0, adaptation_rate=0.0)
    return descend(objective, objective.method(Problem(tasks, gains, settings)), gains, iterations, step)
