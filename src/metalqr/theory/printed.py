"""Lemmas 1, 2, 4 to 9, 11, 12 and 14 and Theorems 1 and 2 of the paper to the letter, where they can be evaluated.

Only what ``docs/errata.md`` says of them is added. The norms are those of the paper: spectral without an index.
"""

import math

import numpy as np

from metalqr.theory import shared
from metalqr.theory.concentration import perturbation_count, task_count
from metalqr.theory.result import Form, Formulas

CONSTANTS = Formulas(Form.PRINTED)

_NO_NOISE = "the paper only says that it exists"
_MU_TILDE = r"\tilde\mu is not defined in the paper; 1 + \mu/h_\Delta is that of the source it cites"


@CONSTANTS.add(r"h_0", "Lemma 9")
def h_0(M_max, J_span, mu_0):
    return np.sqrt(M_max * J_span / mu_0)


@CONSTANTS.add(r"\nu", "Lemma 9")
def nu(J_max, q, mu_0):
    return J_max / (q * mu_0)


@CONSTANTS.add(r"h_G", "Lemmas 1 and 8")
def h_G(J_max, h_0, q):
    return J_max * h_0 / q


@CONSTANTS.add(r"\tilde\xi_{\max}", "Lemma 8")
def xi(B_max, J_initial, mu_0, R_max, Q_min):
    return ((1 + B_max**2) * J_initial / mu_0 + R_max - 1) / Q_min


@CONSTANTS.add(r"h_H", "Lemmas 1 and 8")
def h_H(R_max, B_max, J_max, mu_0, xi, action_dim, Q_min):
    curvature = 2 * R_max + 2 * B_max * J_max / mu_0 + 4 * np.sqrt(2) * xi * B_max * J_max / mu_0
    return curvature * J_max * action_dim / Q_min


@CONSTANTS.add(r"h_c", "Lemmas 1 and 8")
def h_c(h_0, BPA, rho):
    return (h_0 + BPA) / rho


@CONSTANTS.add(r"h_\Delta", "Lemmas 2 and 9")
def h_Delta(q_largest, mu_0, B_max, J_max, A_K):
    return q_largest * mu_0 / (4 * B_max * J_max * (A_K + 1))


@CONSTANTS.add(r"\sup h_\Delta", "Lemma 9")
def h_Delta_largest(q_largest, mu_0, B_max, J_least, A_K_least):
    return q_largest * mu_0 / (4 * B_max * J_least * (A_K_least + 1))


@CONSTANTS.add(r"h_{cost}", "Lemmas 2 and 9")
def h_cost(Sigma0_trace, J_max, R_max, mu_0, q, K_norm, h_Delta_largest, B_max, A_K, nu):
    scale = 4 * Sigma0_trace * J_max * R_max / (mu_0 * q)
    return scale * (K_norm + h_Delta_largest / 2 + B_max * K_norm**2 * (A_K + 1) * nu)


@CONSTANTS.add(r"h_{grad}", "Lemmas 2 and 9")
def h_grad(J_max, q, R_max, B_max, A_max, K_norm, h_Delta_largest, h_cost, Sigma0_trace, mu_0, A_K, h_0):
    value = B_max * (A_max + B_max * (K_norm + h_Delta_largest)) * h_cost * J_max / Sigma0_trace
    first = 4 * J_max / q * (R_max + value + B_max**2 * J_max / mu_0)
    return first + 8 * (J_max / q) ** 2 * B_max * (A_K + 1) / mu_0 * h_0


@CONSTANTS.add(r"h_3", "Lemma 9")
def h_3(J_max, q, K_norm, R_max, B_max, A_K):
    return 6 * (J_max / q) ** 2 * K_norm**2 * R_max * B_max * (A_K + 1) + 6 * J_max / q * K_norm * R_max


@CONSTANTS.add(r"h_4", "Lemma 9")
def h_4(J_max, q, B_max, A_K, mu_0):
    return 4 * (J_max / q) ** 2 * B_max * (A_K + 1) / mu_0


@CONSTANTS.add(r"h_6", "Lemma 9", "the root is printed over 1/q alone")
def h_6(q, R_max, B_max, mu_0, J_max):
    return np.sqrt(1 / q) * (R_max + (1 + B_max**2) / mu_0 * J_max) - 1


@CONSTANTS.add(r"\tilde\mu", "Lemma 9", _MU_TILDE)
def mu_tilde(mu_0, h_Delta):
    return 1 + mu_0 / h_Delta


@CONSTANTS.add(r"h_9", "Lemma 9")
def h_9(R_max, K_norm, B_max, A_K, J_max, mu_0):
    return 2 * (R_max * K_norm + B_max * A_K * J_max / mu_0)


@CONSTANTS.add(r"h_8", "Lemma 9")
def h_8(R_max, B_max, J_max, mu_0, A_max, K_norm, h_3):
    return R_max + B_max**2 * J_max / mu_0 + (B_max * A_max + B_max**2 * K_norm) * h_3


@CONSTANTS.add(r"h_7", "Lemma 9")
def h_7(nu, h_8, B_max, A_K, h_9):
    return 4 * (nu * h_8 + 8 * nu**2 * B_max * (A_K + 1) * h_9)


@CONSTANTS.add(r"h_1", "Lemma 9", _MU_TILDE)
def h_1(h_3, B_max, J_max, q, mu_tilde, h_4, mu_0, R_trace):
    return h_3 * B_max**2 * J_max / q + mu_tilde * h_4 * B_max * J_max / mu_0 + h_4 * R_trace


@CONSTANTS.add(r"h_2", "Lemma 9", _MU_TILDE)
def h_2(B_max, J_max, h_6, h_4, A_K_trace, mu_0, mu_tilde, nu, h_7, q):
    return B_max * J_max * (h_6 * h_4 * A_K_trace / mu_0 + B_max * h_6 * mu_tilde * nu + mu_tilde * h_7 / q)


@CONSTANTS.add(r"h_{hess}", "Lemmas 2 and 9", _MU_TILDE)
def h_hess(h_1, h_2):
    return 2 * (h_1 + 2 * h_2)


@CONSTANTS.add(r"h_{G,\mathcal L}", "Lemmas 4 and 11")
def h_meta_G(action_dim, eta, h_H, h_grad, h_G):
    return (action_dim + eta * h_H) * (1 + eta * h_grad) * h_G


@CONSTANTS.add(r"h_{\mathcal L,cost}", "Lemmas 5 and 12")
def h_meta_cost(h_cost, eta, h_grad):
    return h_cost * (1 + eta * h_grad)


@CONSTANTS.add(r"h_{\mathcal L,grad}", "Lemmas 5 and 12", f"{_MU_TILDE}; h_H is printed at K', which is read as K")
def h_meta_grad(eta, h_hess, h_grad, h_G, action_dim, h_H):
    first = eta * h_hess * (1 + eta * h_grad) * h_G
    return first + (action_dim + eta * h_H) * h_hess * (1 + eta * h_hess)


# --- Lemma 14, for the error 1: lengths are inversely proportional to it ----------------------------------------------

HORIZONS = Formulas(Form.PRINTED)


@HORIZONS.add(r"\epsilon\ell", "Lemma 14")
def cost_horizon(state_dim, J_max, Q_max, R_max, K_norm, mu_0, q):
    return state_dim * J_max**2 * (Q_max + R_max * K_norm**2) / (mu_0 * q**2)


@HORIZONS.add(r"\epsilon\ell_\Sigma", "Lemma 14")
def covariance_horizon(state_dim, J_max, mu_0, q):
    return state_dim * J_max**2 / (mu_0 * q**2)


@HORIZONS.add(r"\epsilon r h_{\ell,grad}/16", "Lemma 6")
def length_scale(state_dim, action_dim, J_max, Q_max, R_max, K_norm, mu_0, q):
    return (state_dim * action_dim) ** 2 * J_max**2 * (Q_max + R_max * K_norm**2) / (mu_0 * q**2)


# --- Lemma 6 ---------------------------------------------------------------------------------------------------------

LEMMA_6 = Formulas(Form.PRINTED, HORIZONS)


@LEMMA_6.add("h_r^1", "Lemma 6")
def h_r_1(h_cost, h_Delta, h_grad, epsilon):
    return min(1 / h_cost, h_Delta, epsilon / (4 * h_grad))


@LEMMA_6.add("h_M^1", "Lemma 6")
def h_M_1(state_dim, action_dim, J_max, h_cost, h_grad, h_G, h_r_1, epsilon, delta):
    sample = state_dim * action_dim / h_r_1 * (1 + h_r_1 * h_cost) * J_max
    return perturbation_count(state_dim, action_dim, sample, h_grad * h_r_1 + h_G, epsilon / 4, delta)


@LEMMA_6.add(r"h_{\ell,grad}", "Lemma 6")
def h_l_grad(length_scale, epsilon, h_r_1):
    return 16 * length_scale / epsilon / h_r_1


@LEMMA_6.add(r"h_\ell^1", "Lemma 6", _NO_NOISE)
def h_l_1(h_l_grad):
    return h_l_grad


# --- Lemma 7 ---------------------------------------------------------------------------------------------------------

LEMMA_7 = Formulas(Form.PRINTED, HORIZONS)


@LEMMA_7.add(r"h_{sample,task}", "Lemma 7")
def task_batch(state_dim, action_dim, eta, h_H, h_G, epsilon_meta, delta_meta):
    return task_count(state_dim, action_dim, (1 + eta * h_H) * h_G, epsilon_meta, delta_meta)


@LEMMA_7.add("h_r^2", "Lemma 7", _MU_TILDE)
def h_r_2(eta, h_hess, h_G, h_H, h_grad):
    curvature = (1 + eta * h_H + eta * h_grad + eta**2 * h_H * h_grad) * h_grad
    return 1 / (6 * (eta * h_hess * h_G + curvature))


@LEMMA_7.add("r", "Lemma 7", _MU_TILDE)
def smoothing_radius(h_r_2, h_cost, h_Delta, h_grad, epsilon_meta):
    return min(h_r_2, h_r_1(h_cost, h_Delta, h_grad, epsilon_meta))


@LEMMA_7.add(r"\epsilon'", "Lemma 7")
def epsilon_inner(state_dim, action_dim, smoothing_radius, h_cost, J_max, epsilon_meta):
    return epsilon_meta / (6 * state_dim * action_dim / smoothing_radius * h_cost * J_max)


@LEMMA_7.add("h_M^2", "Lemma 7")
def h_M_2(
    state_dim, action_dim, eta, J_max, h_cost, h_grad, h_G, h_H, smoothing_radius, epsilon_meta, delta_meta, task_batch
):
    size, smaller = state_dim * action_dim, np.minimum(state_dim, action_dim)
    inner_scale = eta * size / smoothing_radius
    growth = 1 + smoothing_radius * h_cost * (1 + inner_scale * (h_G + epsilon_meta / 6))
    sample = size / smoothing_radius * growth * J_max
    mean = h_grad * (1 + inner_scale * (h_H + epsilon_meta / 6)) * smoothing_radius + h_G
    scaled = (sample**2 + mean**2) / epsilon_meta / epsilon_meta
    scaled += (sample + mean) / epsilon_meta / (18 * math.sqrt(smaller))
    return 96 * smaller * scaled * math.log(4 * (state_dim + action_dim) / (delta_meta / task_batch))


@LEMMA_7.add("h_M^1", "Lemma 7")
def h_M_1_inner(state_dim, action_dim, J_max, h_cost, h_grad, h_G, smoothing_radius, epsilon_meta, delta_meta):
    return h_M_1(state_dim, action_dim, J_max, h_cost, h_grad, h_G, smoothing_radius, epsilon_meta / 6, delta_meta / 4)


@LEMMA_7.add("M", "Lemma 7")
def perturbations(h_M_1_inner, h_M_2):
    return np.maximum(h_M_1_inner, h_M_2)


@LEMMA_7.add(r"h^2_{\ell,grad}", "Lemma 7")
def h_l_grad_2(length_scale, epsilon_meta, smoothing_radius):
    return 32 * length_scale / epsilon_meta / smoothing_radius


@LEMMA_7.add(r"\ell", "Lemma 7", _NO_NOISE)
def rollout_length(length_scale, epsilon_inner, smoothing_radius, h_l_grad_2):
    return np.maximum(h_l_grad(length_scale, epsilon_inner, smoothing_radius), h_l_grad_2)


# --- Theorem 1 -------------------------------------------------------------------------------------------------------

BIAS = Formulas(Form.PRINTED)


@BIAS.add(r"\phi_1", "Theorem 1")
def phi_1(action_dim, eta, h_H, h_grad):
    return 2 * (action_dim**2 + eta**2 * h_H**2) * eta**2 * h_grad**2 + 2 * eta**2 * h_H**2


@BIAS.add(r"\phi_2", "Theorem 1")
def phi_2(action_dim, eta, h_H, h_grad):
    return (action_dim**2 + eta**2 * h_H**2) * (2 + 2 * h_grad**2 * eta**2)


STEP_SIZES = Formulas(Form.PRINTED, CONSTANTS, BIAS, shared.STEP_SIZES)


@STEP_SIZES.add(r"\eta", "Theorem 1")
def adaptation_rate(h_grad, h_H, action_dim):
    joint = 4 * (h_grad**2 * action_dim**2 + h_grad**2 * h_H**2 + h_H**2)
    return min(1 / math.sqrt(joint), 1 / (4 * h_grad))


@STEP_SIZES.add(r"\alpha", "Theorem 1")
def learning_rate(phi_2, h_grad):
    return 1 / (2 * phi_2 * h_grad)


# --- Theorems 1 and 2: errors, sizes and iterations ------------------------------------------------------------------

REQUIREMENTS = Formulas(Form.PRINTED, LEMMA_7, shared.REQUIREMENTS)


@REQUIREMENTS.add(r"\varepsilon_i", "Theorem 1")
def epsilon_i(lambda_i, first_gaps):
    return np.min(lambda_i * first_gaps) / 6


@REQUIREMENTS.add(r"\varepsilon", "Theorem 1")
def epsilon_stable(lambda_min, first_gap, phi_1, phi_2):
    return lambda_min * first_gap * (1 - 2 * phi_1) * phi_2 / (2 * (1 + 4 * phi_2 - 2 * phi_1))


@REQUIREMENTS.add(r"\bar\varepsilon", "Theorem 2")
def epsilon_close(lambda_min, psi_0, eta, h_H):
    return lambda_min * psi_0 * (1 - eta**2 * h_H**2) / 6


@REQUIREMENTS.add("N", "Theorem 2")
def iterations(learning_rate, lambda_min, eta, h_H, psi_0, epsilon_0):
    return 8 / (learning_rate * lambda_min) / (1 - eta**2 * h_H**2) * math.log(2 * (psi_0 / epsilon_0))


@REQUIREMENTS.add(r"\delta", "Theorems 1 and 2")
def delta_meta(delta):
    return delta


@REQUIREMENTS.add("r", "Theorem 2", _MU_TILDE, name="smoothing_radius")
def smoothing_radius_for_both(h_r_2, h_cost, h_Delta, h_grad, epsilon_meta, epsilon_i):
    return min(h_r_2, h_r_1(h_cost, h_Delta, h_grad, np.minimum(epsilon_meta, epsilon_i)))


@REQUIREMENTS.add(r"h_M^1(\varepsilon_i)", "Theorem 1")
def h_M_1_task(state_dim, action_dim, J_max, h_cost, h_grad, h_G, smoothing_radius, epsilon_i, delta):
    return h_M_1(state_dim, action_dim, J_max, h_cost, h_grad, h_G, smoothing_radius, epsilon_i, delta / 2)


@REQUIREMENTS.add("M", "Theorem 2", name="perturbations")
def perturbations_for_both(h_M_1_task, h_M_1_inner, h_M_2):
    return np.maximum(h_M_1_task, perturbations(h_M_1_inner, h_M_2))


@REQUIREMENTS.add(r"\ell", "Theorem 2", "without h_l_var, which the paper does not give", name="rollout_length")
def rollout_length_for_both(length_scale, epsilon_i, epsilon_inner, smoothing_radius, h_l_grad_2):
    needed = rollout_length(length_scale, epsilon_inner, smoothing_radius, h_l_grad_2)
    return np.maximum(h_l_grad(length_scale, epsilon_i, smoothing_radius), needed)
