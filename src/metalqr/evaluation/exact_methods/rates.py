r"""What theory says about the rate of each method on one task: a bound that always holds, and the limit.

In all of this, with E and Σ those of the gain K, :math:`M = R + B^\top P_K B`, and a star for the optimum,

.. math:: K_{n+1} = K_n - 2 G E \quad\text{or}\quad K_n - 2 \eta E \Sigma, \qquad
    G = \eta M^{-1} \text{ (Gauss-Newton)}, \quad G = \eta I \text{ (natural gradient)},

and the last one is gradient descent.
"""

import enum

import numpy as np

from metalqr.evaluation.exact_methods.linearisation import Linearisation
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation


class Method(enum.StrEnum):
    """The methods of :mod:`metalqr.training.methods` whose rates are known: the first-order methods of Section 3.1."""

    GRADIENT_DESCENT = "gradient_descent"
    NATURAL_GRADIENT = "natural_gradient"
    GAUSS_NEWTON = "gauss_newton"


def guaranteed_rate(
    method: Method,
    step: FloatArray,
    tasks: LQRTasks,
    first: PolicyEvaluation,
    best: PolicyEvaluation,
    curvature: FloatArray,
) -> FloatArray:
    r"""Bound on the ratio of successive gaps that holds at every iteration, shape (I,); NaN where none is known.

    Let :math:`\kappa = \lambda_{\min}(\Sigma_*^{-1} \Psi)`, so that :math:`\Sigma_K \succeq \Psi \succeq \kappa
    \Sigma_*` for every K.

    **Gauss-Newton and natural gradient.** The change D = -2 G E makes the bracket of
    :func:`metalqr.lqr.performance_difference.cost_change`

    .. math:: D^\top E + E^\top D + D^\top M D = -4 E^\top M^{-1/2} (S - S^2) M^{-1/2} E, \qquad
        S = M^{1/2} G M^{1/2} .

    If all eigenvalues of S are in (0, 1] this is negative semidefinite. Then :math:`P_K` satisfies the Lyapunov
    inequality of the next gain, which therefore is stabilising and has :math:`P_{K'} \preceq P_K`; so M lies between
    :math:`M_*` and the M of the first gain all the way. With :math:`c = \min 4 s (1 - s)` over the eigenvalues s of S
    on the way, and with

    .. math:: J(K) - J^* \le \mathrm{Tr}(\Sigma_* E^\top M^{-1} E)

    (complete the square in the cost change from K to K*),

    .. math:: J(K) - J(K') \ge c\, \mathrm{Tr}(\Sigma_{K'} E^\top M^{-1} E)
        \ge c \kappa\, \mathrm{Tr}(\Sigma_* E^\top M^{-1} E) \ge c \kappa (J(K) - J^*) .

    So the gap shrinks by :math:`1 - c \kappa` or better. For Gauss-Newton :math:`s = \eta`, and for the natural
    gradient s lies between :math:`\eta \lambda_{\min}(M_*)` and :math:`\eta \|M_{K_0}\|`; as 4 s (1 - s) is concave, c
    is the lesser of its values at the two ends.

    **Gradient descent.** If the steps obey the inequality of :class:`metalqr.evaluation.exact_methods.path.Path`
    with the curvature h, and the gradient dominates the gap by :math:`\|\nabla J(K)\|_F^2 \ge \lambda (J(K) -
    J^*)`, then the gap shrinks by :math:`1 - \eta (1 - \frac{1}{2} \eta h) \lambda`. This h is *measured* on the
    path, because one that is known beforehand (Lemma 2) is larger by orders of magnitude: the bound is proved for
    the path that was taken. And

    .. math:: \lambda = 4 \sigma_{\min}(\Psi)\, \kappa\, \lambda_{\min}(M_*),

    because
    :math:`\|\nabla J\|_F = 2 \|E \Sigma\|_F \ge 2 \|E \Sigma_*^{1/2}\|_F\, / \|\Sigma^{-1} \Sigma_*^{1/2}\|`, and
    :math:`\|\Sigma^{-1} \Sigma_*^{1/2}\|^2 \le \|\Sigma^{-1/2}\|^2 \|\Sigma^{-1/2} \Sigma_*^{1/2}\|^2 \le
    \sigma_{\min}(\Psi)^{-1} \kappa^{-1}`, and
    :math:`J(K) - J^* \le \|E \Sigma_*^{1/2}\|_F^2 / \lambda_{\min}(M_*)`. As
    :math:`\kappa \ge \sigma_{\min}(\Psi) / \|\Sigma_*\|`, this is at least the constant
    :math:`4 \mu^2 \sigma_{\min}(R) / \|\Sigma_*\|` of Lemmas 3 and 10.

    References
    ----------
    M. Fazel, R. Ge, S. Kakade, M. Mesbahi, Global convergence of policy gradient methods for the linear quadratic
    regulator, ICML 2018. J. Bu, A. Mesbahi, M. Fazel, M. Mesbahi, LQR through the lens of first order methods:
    discrete-time case, arXiv:1907.08921, 2019. The constants here are not theirs; the proofs are complete.
    """
    best_root = np.linalg.cholesky(best.state_covariance)
    whitened = np.linalg.solve(best_root, np.linalg.solve(best_root, tasks.Psi).swapaxes(-1, -2))
    kappa = np.linalg.eigvalsh(whitened)[:, 0]
    least_curvature = np.linalg.eigvalsh(best.input_curvature)[:, 0]
    if method is Method.GRADIENT_DESCENT:
        dominance = 4.0 * np.linalg.eigvalsh(tasks.Psi)[:, 0] * kappa * least_curvature
        share = step * (1.0 - 0.5 * step * curvature) * dominance
    else:
        s = (
            np.stack([step, step])
            if method is Method.GAUSS_NEWTON
            else step * np.stack([least_curvature, np.linalg.eigvalsh(first.input_curvature)[:, -1]])
        )
        share = np.where(s.max(axis=0) <= 1.0, kappa * (4.0 * s * (1.0 - s)).min(axis=0), -1.0)
    return np.where(share >= 0.0, 1.0 - share, np.nan)


def longest_step(method: Method, first: PolicyEvaluation, best: PolicyEvaluation) -> FloatArray:
    r"""Step that a method takes when none is given, shape (I,); for gradient descent, the longest that is tried.

    Gauss-Newton: 1/2, which makes it policy iteration. Natural gradient:
    :math:`1 / (2 \|R + B^\top P_{K_0} B\|)`, with which S has no eigenvalue above 1/2 (see :func:`guaranteed_rate`);
    Fazel et al. bound this norm by the cost, which is safe and shorter. Gradient descent:
    :math:`1 / \|\nabla^2 J(K^*)\|`, where :math:`\|\nabla^2 J(K^*)\| = 2 \|M_*\| \|\Sigma_*\|`.
    """
    match method:
        case Method.GRADIENT_DESCENT:
            state_norm = np.linalg.eigvalsh(best.state_covariance)[:, -1]
            return np.asarray(0.5 / (np.linalg.eigvalsh(best.input_curvature)[:, -1] * state_norm))
        case Method.NATURAL_GRADIENT:
            return np.asarray(0.5 / np.linalg.eigvalsh(first.input_curvature)[:, -1])
        case Method.GAUSS_NEWTON:
            return np.full(len(first.input_curvature), 0.5)


def task_linearisation(method: Method, step: FloatArray, best: PolicyEvaluation) -> Linearisation:
    r"""Linearise a method at the optimum of every task.

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

    References
    ----------
    G. Hewer, An iterative technique for the computation of the steady state gains for the discrete optimal regulator,
    IEEE Trans. Automat. Control 16 (1971) 382-384.
    """
    input_values, input_vectors = np.linalg.eigh(best.input_curvature)
    state_values, state_vectors = np.linalg.eigh(best.state_covariance)
    products = input_values[:, :, np.newaxis] * state_values[:, np.newaxis, :]
    match method:
        case Method.GRADIENT_DESCENT:
            eigenvalues = products
        case Method.NATURAL_GRADIENT:
            eigenvalues = np.broadcast_to(input_values[:, :, np.newaxis], products.shape)
        case Method.GAUSS_NEWTON:
            eigenvalues = np.ones_like(products)
    count, size = len(products), products[0].size
    modes = np.einsum("ixa,iyb->iabxy", input_vectors, state_vectors)
    return Linearisation(
        modes=modes.reshape(count, size, size),
        weights=products.reshape(count, size),
        multipliers=1.0 - 2.0 * step[:, np.newaxis] * eigenvalues.reshape(count, size),
    )
