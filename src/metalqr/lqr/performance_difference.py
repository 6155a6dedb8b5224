"""Performance-difference lemma: the change of the cost with the gain, without subtracting two costs.

The difference of two costs loses all its digits at the rounding of the costs, about 1e-16 of them. These formulas keep
theirs down to about the square of that, because they square the difference of two gains.
"""

import numpy as np

from metalqr.lqr import FloatArray, PolicyEvaluation


def cost_change(before: PolicyEvaluation, after: PolicyEvaluation, change: FloatArray) -> FloatArray:
    r"""Change of the cost from a stabilising gain K to another, K' = K + D, exactly.

    .. math::

        J(K') - J(K) = \mathrm{Tr}(\Sigma_{K'} (D^\top E_K + E_K^\top D + D^\top M_K D)), \qquad
        M_K = R + B^\top P_K B .

    Proof. Put :math:`A_{K'} = A_K - BD` into
    :math:`W = Q + K'^\top R K' + A_{K'}^\top P_K A_{K'} - P_K` and use the equation of :math:`P_K`: what is left is
    :math:`W = D^\top E_K + E_K^\top D + D^\top M_K D`. As
    :math:`P_{K'} - P_K = W + A_{K'}^\top (P_{K'} - P_K) A_{K'}`, it is
    :math:`\sum_t (A_{K'}^t)^\top W A_{K'}^t`, and
    :math:`\mathrm{Tr}((P_{K'} - P_K) \Psi) = \mathrm{Tr}(W \Sigma_{K'})`.

    Parameters
    ----------
    before, after : PolicyEvaluation
        Of K and K'.
    change : array, shape (I, k, d)
        D, given apart because it may be known better than as the difference of K' and K.

    Returns
    -------
    array, shape (I,)

    References
    ----------
    M. Fazel, R. Ge, S. Kakade, M. Mesbahi, Global convergence of policy gradient methods for the linear quadratic
    regulator, ICML 2018 (the lemma on cost differences).
    """
    return _trace(change, 2.0 * before.advantage + before.input_curvature @ change, after.state_covariance)


def optimality_gap(best: PolicyEvaluation, evaluation: PolicyEvaluation, deviation: FloatArray) -> FloatArray:
    r"""Cost of a stabilising gain less the optimal one, exactly: :func:`cost_change` from K*, where E vanishes.

    .. math:: J(K) - J^* = \mathrm{Tr}(\Sigma_K (K - K^*)^\top (R + B^\top P^* B) (K - K^*)) \ge 0 .

    Parameters
    ----------
    best, evaluation : PolicyEvaluation
        Of the optimal gains and of K.
    deviation : array, shape (I, k, d)
        K - K*.

    Returns
    -------
    array, shape (I,)
    """
    return _trace(deviation, best.input_curvature @ deviation, evaluation.state_covariance)


def _trace(change: FloatArray, weight: FloatArray, covariance: FloatArray) -> FloatArray:
    """Tr(Σ Dᵀ W), for every task."""
    return np.asarray(np.einsum("iab,iab->i", change, weight @ covariance))
