"""Whether a gain is optimal already, as far as double precision can tell: one notion for all that divides by a gap."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr.evaluation import PolicyEvaluation, input_slope
from metalqr.lqr.tasks import LQRTasks, gains_per_task

#: The two terms of E_K cancel to this part of their size: the gap is then below 1e-12 of the cost, and only the
#: rounding of the gain and of the Riccati solution is left in the gradient.
CANCELLED = 1e-6
#: Part of the cost that a step of policy iteration would save where even the terms are rounding, as at K = 0.
SAVED = 1e-24


def at_optimum(tasks: LQRTasks, K: ArrayLike, evaluation: PolicyEvaluation | None = None) -> NDArray[np.bool_]:
    r"""True for each task of which a stabilising gain is the optimum up to rounding, shape (I,).

    There :math:`E_K = RK - S^\top - B^\top P_K A_K` is zero up to the rounding of its terms, or what a step of
    policy iteration would save is nothing beside the cost,

    .. math:: \mathrm{Tr}(\Sigma_K E_K^\top (R + B^\top P_K B)^{-1} E_K) .

    The gap :math:`J_i(K) - J_i^*` and the gradient :math:`2 E_K \Sigma_K` have no significant digit then. What would be
    divided by either is left out, and the result says so: the audit, the requirements of the theorems, relative errors
    of estimates and rates of exact methods.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
    evaluation : PolicyEvaluation, optional
        That of K, where it is known already.
    """
    gains = gains_per_task(tasks, K)
    found = PolicyEvaluation(tasks, gains) if evaluation is None else evaluation
    terms = _size(input_slope(tasks, gains)) + _size(tasks.B.mT @ found.value_matrix @ found.closed_loop)
    step = np.linalg.solve(found.input_curvature, found.advantage)
    saved = np.einsum("iab,iab->i", found.advantage @ found.state_covariance, step)
    return np.asarray((_size(found.advantage) <= CANCELLED * terms) | (saved <= SAVED * found.cost()))


def _size(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(matrices, axis=(1, 2)))
