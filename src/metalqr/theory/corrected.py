r"""Lemmas 1, 2, 4 and 5 (8, 9, 11 and 12) as they hold; every formula is proved in ``docs/errata.md``.

Throughout :math:`M = R + B^\top P_K B`, :math:`A_K = A - BK`, :math:`\mu = \min_i \sigma_{\min}(\Psi_i)` and
:math:`q = \min_i \sigma_{\min}(Q_i)`. Perturbations satisfy :math:`\|\Delta\| \le h_\Delta` in the spectral norm.
"""

import numpy as np

from metalqr.lqr import FloatArray
from metalqr.theory.result import Form, Formulas

CORRECTED = Formulas(Form.CORRECTED)


@CORRECTED.add(r"h_0", "Lemma 9")
def h_0(M_max: FloatArray, J_span: FloatArray, mu: FloatArray) -> FloatArray:
    r""":math:`\|E_K\|_F \le h_0`, from the first inequality of Lemma 10."""
    return np.sqrt(M_max * J_span / mu)


@CORRECTED.add(r"\nu", "Lemma 9")
def nu(J_max: FloatArray, q: FloatArray, mu: FloatArray) -> FloatArray:
    r"""Norm of the inverse Lyapunov operators: :math:`\|\sum_t A_K^t (A_K^t)^\top\| \le \|\Sigma_K\|/\mu \le \nu`."""
    return J_max / (q * mu)


@CORRECTED.add(r"h_G", "Lemmas 1 and 8")
def h_G(J_max: FloatArray, h_0: FloatArray, q: FloatArray) -> FloatArray:
    r""":math:`\|\nabla J\|_F = 2\|E\Sigma\|_F \le 2 h_0 J_{\max}/q`."""
    return 2 * J_max * h_0 / q


@CORRECTED.add(r"\tilde\xi", "Lemma 8")
def xi(
    B_max: FloatArray, J_max: FloatArray, mu: FloatArray, R_max: FloatArray, q: FloatArray, h_0: FloatArray
) -> FloatArray:
    r""":math:`-\tilde\xi P_K \preceq P'_K[X] \preceq \tilde\xi P_K` for :math:`\|X\|_F = 1`."""
    return np.minimum(((1 + B_max**2) * J_max / mu + R_max) / q - 1, 2 * h_0 / q)


@CORRECTED.add(r"h_H", "Lemmas 1 and 8")
def h_H(
    M_max: FloatArray, B_max: FloatArray, J_max: FloatArray, mu: FloatArray, xi: FloatArray, q: FloatArray
) -> FloatArray:
    r"""Norm of the Hessian as an operator on gains with the Frobenius norm."""
    return (2 * M_max + 4 * xi * B_max * J_max / mu) * J_max / q


@CORRECTED.add(r"h_c", "Lemmas 1 and 8")
def h_c(h_0: FloatArray, BPA_frobenius: FloatArray, rho: FloatArray) -> FloatArray:
    r""":math:`\|K\|_F = \|M^{-1}(E + B^\top P A)\|_F`."""
    return (h_0 + BPA_frobenius) / rho


@CORRECTED.add(r"h_\Delta", "Lemmas 2 and 9")
def h_Delta(q: FloatArray, mu: FloatArray, B_max: FloatArray, J_max: FloatArray, A_K: FloatArray) -> FloatArray:
    r""":math:`\|\Delta\| \le h_\Delta` keeps :math:`K + \Delta` stabilising, and :math:`\Sigma` at most doubles."""
    return q * mu / (4 * B_max * J_max * (A_K + 1))


@CORRECTED.add(r"\sup h_\Delta", "Lemma 9")
def h_Delta_largest(
    q: FloatArray, mu: FloatArray, B_max: FloatArray, J_least: FloatArray, A_K_least: FloatArray
) -> FloatArray:
    r"""The largest :math:`h_\Delta` of a set, for the constants that grow in it; at a gain the same as there."""
    return q * mu / (4 * B_max * J_least * (A_K_least + 1))


@CORRECTED.add(r"h_{cost}", "Lemmas 2 and 9")
def h_cost(q: FloatArray, h_0: FloatArray, M_max: FloatArray, h_Delta_largest: FloatArray) -> FloatArray:
    r""":math:`|J(K + \Delta) - J(K)| \le h_{cost} J(K) \|\Delta\|_F`."""
    return 2 * (2 * h_0 + M_max * h_Delta_largest) / q


@CORRECTED.add(r"h_3", "Lemma 9")
def h_3(nu: FloatArray, h_0: FloatArray, M_max: FloatArray, h_Delta_largest: FloatArray) -> FloatArray:
    r""":math:`\|P_{K+\Delta} - P_K\| \le h_3 \|\Delta\|`."""
    return 2 * nu * (2 * h_0 + M_max * h_Delta_largest)


@CORRECTED.add(r"h_4", "Lemma 9")
def h_4(nu: FloatArray, J_max: FloatArray, q: FloatArray, B_max: FloatArray, A_K: FloatArray) -> FloatArray:
    r""":math:`\|\Sigma_{K+\Delta} - \Sigma_K\|_* \le h_4 \|\Delta\|` (nuclear norm)."""
    return 4 * nu * J_max / q * B_max * (A_K + 1)


@CORRECTED.add(r"h_{grad}", "Lemmas 2 and 9")
def h_grad(
    J_max: FloatArray,
    q: FloatArray,
    M_max: FloatArray,
    B_max: FloatArray,
    h_3: FloatArray,
    h_0: FloatArray,
    h_4: FloatArray,
) -> FloatArray:
    r""":math:`\|\nabla J(K + \Delta) - \nabla J(K)\|_F \le h_{grad} \|\Delta\|_F`."""
    return 4 * J_max / q * (M_max + B_max * h_3) + 2 * h_0 * h_4


@CORRECTED.add(r"h_6", "Lemma 9")
def h_6(xi: FloatArray) -> FloatArray:
    r"""The same as :math:`\tilde\xi` of Lemma 8."""
    return xi


@CORRECTED.add(r"h_8", "Lemma 9")
def h_8(M_max: FloatArray, B_max: FloatArray, A_K: FloatArray, h_3: FloatArray) -> FloatArray:
    r""":math:`\|E_{K+\Delta} - E_K\| \le h_8 \|\Delta\|`."""
    return M_max + B_max * (A_K + 1) * h_3


@CORRECTED.add(r"h_9", "Lemma 9")
def h_9(h_0: FloatArray) -> FloatArray:
    r""":math:`\|X^\top E + E^\top X\| \le h_9` for :math:`\|X\|_F = 1`."""
    return 2 * h_0


@CORRECTED.add(r"h_7", "Lemma 9")
def h_7(nu: FloatArray, h_8: FloatArray, B_max: FloatArray, A_K: FloatArray, h_9: FloatArray) -> FloatArray:
    r""":math:`\|P'_{K+\Delta}[X] - P'_K[X]\| \le h_7 \|\Delta\|`."""
    return 4 * (nu * h_8 + nu**2 * B_max * (A_K + 1) * h_9)


@CORRECTED.add(r"h_1", "Lemma 9")
def h_1(
    B_max: FloatArray, h_3: FloatArray, J_max: FloatArray, q: FloatArray, M_max: FloatArray, h_4: FloatArray
) -> FloatArray:
    r"""Change of :math:`M X \Sigma` for each unit of :math:`\|\Delta\|`."""
    return 2 * B_max**2 * h_3 * J_max / q + M_max * h_4


@CORRECTED.add(r"h_2", "Lemma 9")
def h_2(
    B_max: FloatArray,
    h_7: FloatArray,
    J_max: FloatArray,
    q: FloatArray,
    nu: FloatArray,
    h_9: FloatArray,
    A_K: FloatArray,
    h_4: FloatArray,
) -> FloatArray:
    r"""Change of :math:`B^\top P'_K[X] A_K \Sigma`, and of its adjoint, for each unit of :math:`\|\Delta\|`."""
    return B_max * (2 * h_7 * J_max / q + nu * h_9 * (A_K * h_4 + 2 * B_max * J_max / q))


@CORRECTED.add(r"h_{hess}", "Lemmas 2 and 9")
def h_hess(h_1: FloatArray, h_2: FloatArray) -> FloatArray:
    r""":math:`\|\nabla^2 J(K + \Delta) - \nabla^2 J(K)\| \le h_{hess} \|\Delta\|_F`."""
    return 2 * (h_1 + 2 * h_2)


@CORRECTED.add(r"h_{G,\mathcal L}", "Lemmas 4 and 11", "for \\eta h_G <= h_\\Delta")
def h_meta_G(eta: FloatArray, h_H: FloatArray, h_grad: FloatArray, h_G: FloatArray) -> FloatArray:
    r""":math:`\|\nabla\mathcal L(K)\|_F \le h_{G,\mathcal L}` where :math:`\eta h_G \le h_\Delta`."""
    return (1 + eta * h_H) * (1 + eta * h_grad) * h_G


@CORRECTED.add(r"h_{\mathcal L,cost}", "Lemmas 5 and 12", "for \\eta <= 1/(2 h_{grad})")
def h_meta_cost(h_cost: FloatArray, J_max: FloatArray, eta: FloatArray, h_grad: FloatArray) -> FloatArray:
    r"""Lipschitz constant of :math:`\mathcal L`; put in bounds over a sub-level set."""
    return h_cost * J_max * (1 + eta * h_grad)


@CORRECTED.add(r"h_{\mathcal L,grad}", "Lemmas 5 and 12", "for \\eta <= 1/(2 h_{grad})")
def h_meta_grad(
    eta: FloatArray, h_hess: FloatArray, h_grad: FloatArray, h_G: FloatArray, h_H: FloatArray
) -> FloatArray:
    r"""Lipschitz constant of :math:`\nabla\mathcal L`; put in bounds over a sub-level set."""
    return eta * h_hess * (1 + eta * h_grad) * h_G + (1 + eta * h_H) * h_grad * (1 + eta * h_grad)
