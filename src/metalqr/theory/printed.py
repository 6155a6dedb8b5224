"""Lemmas 1, 2, 4 and 5 (8, 9, 11 and 12) of the paper to the letter, where they can be evaluated.

Only what ``docs/errata.md`` says of them is added. The norms are those of the paper: spectral without an index.
"""

import numpy as np

from metalqr.lqr import FloatArray
from metalqr.theory.result import Form, Formulas

PRINTED = Formulas(Form.PRINTED)

_MU_TILDE = r"\tilde\mu is not defined in the paper; 1 + \mu/h_\Delta is that of the source it cites"


@PRINTED.add(r"h_0", "Lemma 9")
def h_0(M_max: FloatArray, J_span: FloatArray, mu_0: FloatArray) -> FloatArray:
    return np.sqrt(M_max * J_span / mu_0)


@PRINTED.add(r"\nu", "Lemma 9")
def nu(J_max: FloatArray, q: FloatArray, mu_0: FloatArray) -> FloatArray:
    return J_max / (q * mu_0)


@PRINTED.add(r"h_G", "Lemmas 1 and 8")
def h_G(J_max: FloatArray, h_0: FloatArray, q: FloatArray) -> FloatArray:
    return J_max * h_0 / q


@PRINTED.add(r"\tilde\xi_{\max}", "Lemma 8")
def xi(B_max: FloatArray, J_initial: FloatArray, mu_0: FloatArray, R_max: FloatArray, Q_min: FloatArray) -> FloatArray:
    return ((1 + B_max**2) * J_initial / mu_0 + R_max - 1) / Q_min


@PRINTED.add(r"h_H", "Lemmas 1 and 8")
def h_H(
    R_max: FloatArray,
    B_max: FloatArray,
    J_max: FloatArray,
    mu_0: FloatArray,
    xi: FloatArray,
    action_dim: FloatArray,
    Q_min: FloatArray,
) -> FloatArray:
    curvature = 2 * R_max + 2 * B_max * J_max / mu_0 + 4 * np.sqrt(2) * xi * B_max * J_max / mu_0
    return curvature * J_max * action_dim / Q_min


@PRINTED.add(r"h_c", "Lemmas 1 and 8")
def h_c(h_0: FloatArray, BPA: FloatArray, rho: FloatArray) -> FloatArray:
    return (h_0 + BPA) / rho


@PRINTED.add(r"h_\Delta", "Lemmas 2 and 9")
def h_Delta(
    q_largest: FloatArray, mu_0: FloatArray, B_max: FloatArray, J_max: FloatArray, A_K: FloatArray
) -> FloatArray:
    return q_largest * mu_0 / (4 * B_max * J_max * (A_K + 1))


@PRINTED.add(r"\sup h_\Delta", "Lemma 9")
def h_Delta_largest(
    q_largest: FloatArray, mu_0: FloatArray, B_max: FloatArray, J_least: FloatArray, A_K_least: FloatArray
) -> FloatArray:
    return q_largest * mu_0 / (4 * B_max * J_least * (A_K_least + 1))


@PRINTED.add(r"h_{cost}", "Lemmas 2 and 9")
def h_cost(
    Sigma0_trace: FloatArray,
    J_max: FloatArray,
    R_max: FloatArray,
    mu_0: FloatArray,
    q: FloatArray,
    K_norm: FloatArray,
    h_Delta_largest: FloatArray,
    B_max: FloatArray,
    A_K: FloatArray,
    nu: FloatArray,
) -> FloatArray:
    scale = 4 * Sigma0_trace * J_max * R_max / (mu_0 * q)
    return scale * (K_norm + h_Delta_largest / 2 + B_max * K_norm**2 * (A_K + 1) * nu)


@PRINTED.add(r"h_{grad}", "Lemmas 2 and 9")
def h_grad(
    J_max: FloatArray,
    q: FloatArray,
    R_max: FloatArray,
    B_max: FloatArray,
    A_max: FloatArray,
    K_norm: FloatArray,
    h_Delta_largest: FloatArray,
    h_cost: FloatArray,
    Sigma0_trace: FloatArray,
    mu_0: FloatArray,
    A_K: FloatArray,
    h_0: FloatArray,
) -> FloatArray:
    value = B_max * (A_max + B_max * (K_norm + h_Delta_largest)) * h_cost * J_max / Sigma0_trace
    first = 4 * J_max / q * (R_max + value + B_max**2 * J_max / mu_0)
    return first + 8 * (J_max / q) ** 2 * B_max * (A_K + 1) / mu_0 * h_0


@PRINTED.add(r"h_3", "Lemma 9")
def h_3(
    J_max: FloatArray, q: FloatArray, K_norm: FloatArray, R_max: FloatArray, B_max: FloatArray, A_K: FloatArray
) -> FloatArray:
    return 6 * (J_max / q) ** 2 * K_norm**2 * R_max * B_max * (A_K + 1) + 6 * J_max / q * K_norm * R_max


@PRINTED.add(r"h_4", "Lemma 9")
def h_4(J_max: FloatArray, q: FloatArray, B_max: FloatArray, A_K: FloatArray, mu_0: FloatArray) -> FloatArray:
    return 4 * (J_max / q) ** 2 * B_max * (A_K + 1) / mu_0


@PRINTED.add(r"h_6", "Lemma 9", "the root is printed over 1/q alone")
def h_6(q: FloatArray, R_max: FloatArray, B_max: FloatArray, mu_0: FloatArray, J_max: FloatArray) -> FloatArray:
    return np.sqrt(1 / q) * (R_max + (1 + B_max**2) / mu_0 * J_max) - 1


@PRINTED.add(r"\tilde\mu", "Lemma 9", _MU_TILDE)
def mu_tilde(mu_0: FloatArray, h_Delta: FloatArray) -> FloatArray:
    return 1 + mu_0 / h_Delta


@PRINTED.add(r"h_9", "Lemma 9")
def h_9(
    R_max: FloatArray, K_norm: FloatArray, B_max: FloatArray, A_K: FloatArray, J_max: FloatArray, mu_0: FloatArray
) -> FloatArray:
    return 2 * (R_max * K_norm + B_max * A_K * J_max / mu_0)


@PRINTED.add(r"h_8", "Lemma 9")
def h_8(
    R_max: FloatArray,
    B_max: FloatArray,
    J_max: FloatArray,
    mu_0: FloatArray,
    A_max: FloatArray,
    K_norm: FloatArray,
    h_3: FloatArray,
) -> FloatArray:
    return R_max + B_max**2 * J_max / mu_0 + (B_max * A_max + B_max**2 * K_norm) * h_3


@PRINTED.add(r"h_7", "Lemma 9")
def h_7(nu: FloatArray, h_8: FloatArray, B_max: FloatArray, A_K: FloatArray, h_9: FloatArray) -> FloatArray:
    return 4 * (nu * h_8 + 8 * nu**2 * B_max * (A_K + 1) * h_9)


@PRINTED.add(r"h_1", "Lemma 9", _MU_TILDE)
def h_1(
    h_3: FloatArray,
    B_max: FloatArray,
    J_max: FloatArray,
    q: FloatArray,
    mu_tilde: FloatArray,
    h_4: FloatArray,
    mu_0: FloatArray,
    R_trace: FloatArray,
) -> FloatArray:
    return h_3 * B_max**2 * J_max / q + mu_tilde * h_4 * B_max * J_max / mu_0 + h_4 * R_trace


@PRINTED.add(r"h_2", "Lemma 9", _MU_TILDE)
def h_2(
    B_max: FloatArray,
    J_max: FloatArray,
    h_6: FloatArray,
    h_4: FloatArray,
    A_K_trace: FloatArray,
    mu_0: FloatArray,
    mu_tilde: FloatArray,
    nu: FloatArray,
    h_7: FloatArray,
    q: FloatArray,
) -> FloatArray:
    return B_max * J_max * (h_6 * h_4 * A_K_trace / mu_0 + B_max * h_6 * mu_tilde * nu + mu_tilde * h_7 / q)


@PRINTED.add(r"h_{hess}", "Lemmas 2 and 9", _MU_TILDE)
def h_hess(h_1: FloatArray, h_2: FloatArray) -> FloatArray:
    return 2 * (h_1 + 2 * h_2)


@PRINTED.add(r"h_{G,\mathcal L}", "Lemmas 4 and 11")
def h_meta_G(
    action_dim: FloatArray, eta: FloatArray, h_H: FloatArray, h_grad: FloatArray, h_G: FloatArray
) -> FloatArray:
    return (action_dim + eta * h_H) * (1 + eta * h_grad) * h_G


@PRINTED.add(r"h_{\mathcal L,cost}", "Lemmas 5 and 12")
def h_meta_cost(h_cost: FloatArray, eta: FloatArray, h_grad: FloatArray) -> FloatArray:
    return h_cost * (1 + eta * h_grad)


@PRINTED.add(r"h_{\mathcal L,grad}", "Lemmas 5 and 12", _MU_TILDE)
def h_meta_grad(
    eta: FloatArray,
    h_hess: FloatArray,
    h_grad: FloatArray,
    h_G: FloatArray,
    action_dim: FloatArray,
    h_H: FloatArray,
) -> FloatArray:
    first = eta * h_hess * (1 + eta * h_grad) * h_G
    return first + (action_dim + eta * h_H) * h_hess * (1 + eta * h_hess)
