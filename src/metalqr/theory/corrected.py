r"""Lemmas 1, 2, 4 to 9, 11, 12 and 14 and Theorems 1 and 2 as they hold; ``docs/errata.md`` proves every formula.

:mod:`metalqr.theory.inequalities` states what the constants bound; a docstring here says what is not in the statement.

Throughout :math:`M = R + B^\top P_K B`, :math:`A_K = A - BK`, :math:`\mu = \min_i \sigma_{\min}(\Psi_i)` and
:math:`q = \min_i \sigma_{\min}(Q_i)`. Perturbations satisfy :math:`\|\Delta\| \le h_\Delta` in the spectral norm.
Lemmas 6 and 7 use the constants of the *widened* set, with twice the levels, which contains the perturbed gains of the
algorithms; the step sizes of the theorems, those of every task over the set itself.
"""

import math

import numpy as np

from metalqr.theory import shared
from metalqr.theory.concentration import noise_horizon, perturbation_count, task_count
from metalqr.theory.result import Form, Formulas

CONSTANTS = Formulas(Form.CORRECTED)


@CONSTANTS.add(r"h_0", "Lemma 9")
def h_0(M_max, J_span, mu):
    r""":math:`\|E_K\|_F \le h_0`, from the first inequality of Lemma 10."""
    return np.sqrt(M_max * J_span / mu)


@CONSTANTS.add(r"\nu", "Lemma 9")
def nu(J_max, q, mu):
    r"""Norm of the inverse Lyapunov operators: :math:`\|\sum_t A_K^t (A_K^t)^\top\| \le \|\Sigma_K\|/\mu \le \nu`."""
    return J_max / (q * mu)


@CONSTANTS.add(r"h_G", "Lemmas 1 and 8")
def h_G(J_max, h_0, q):
    r""":math:`\|\nabla J\|_F = 2\|E\Sigma\|_F \le 2 h_0 J_{\max}/q`."""
    return 2 * J_max * h_0 / q


@CONSTANTS.add(r"\tilde\xi", "Lemma 8")
def xi(h_0, q):
    r""":math:`-\tilde\xi P_K \preceq P'_K[X] \preceq \tilde\xi P_K` for :math:`\|X\|_F = 1`."""
    return 2 * h_0 / q


@CONSTANTS.add(r"h_H", "Lemmas 1 and 8")
def h_H(M_max, B_max, J_max, mu, xi, q):
    r"""Norm of the Hessian as an operator on gains with the Frobenius norm."""
    return (2 * M_max + 4 * xi * B_max * J_max / mu) * J_max / q


@CONSTANTS.add(r"h_c", "Lemmas 1 and 8")
def h_c(h_0, BPA_frobenius, rho):
    r""":math:`\|K\|_F = \|M^{-1}(E + B^\top P A)\|_F`."""
    return (h_0 + BPA_frobenius) / rho


@CONSTANTS.add(r"h_\Delta", "Lemmas 2 and 9")
def h_Delta(q, mu, B_max, J_max, A_K):
    r""":math:`\|\Delta\| \le h_\Delta` keeps :math:`K + \Delta` stabilising, and :math:`\Sigma` at most doubles."""
    return q * mu / (4 * B_max * J_max * (A_K + 1))


@CONSTANTS.add(r"\sup h_\Delta", "Lemma 9")
def h_Delta_largest(q, mu, B_max, J_least, A_K_least):
    r"""The largest :math:`h_\Delta` of a set, for the constants that grow in it; at a gain the same as there."""
    return q * mu / (4 * B_max * J_least * (A_K_least + 1))


@CONSTANTS.add(r"h_{cost}", "Lemmas 2 and 9")
def h_cost(q, h_0, M_max, h_Delta_largest):
    return 2 * (2 * h_0 + M_max * h_Delta_largest) / q


@CONSTANTS.add(r"h_3", "Lemma 9")
def h_3(nu, h_0, M_max, h_Delta_largest):
    return 2 * nu * (2 * h_0 + M_max * h_Delta_largest)


@CONSTANTS.add(r"h_4", "Lemma 9")
def h_4(nu, J_max, q, B_max, A_K):
    r""":math:`\|\Sigma_{K+\Delta} - \Sigma_K\|_* \le h_4 \|\Delta\|` (nuclear norm)."""
    return 4 * nu * J_max / q * B_max * (A_K + 1)


@CONSTANTS.add(r"h_{grad}", "Lemmas 2 and 9")
def h_grad(J_max, q, M_max, B_max, h_3, h_0, h_4):
    return 4 * J_max / q * (M_max + B_max * h_3) + 2 * h_0 * h_4


@CONSTANTS.add(r"h_6", "Lemma 9")
def h_6(xi):
    r"""The same as :math:`\tilde\xi` of Lemma 8."""
    return xi


@CONSTANTS.add(r"h_8", "Lemma 9")
def h_8(M_max, B_max, A_K, h_3):
    return M_max + B_max * (A_K + 1) * h_3


@CONSTANTS.add(r"h_9", "Lemma 9")
def h_9(h_0):
    r""":math:`\|X^\top E + E^\top X\| \le h_9` for :math:`\|X\|_F = 1`."""
    return 2 * h_0


@CONSTANTS.add(r"h_7", "Lemma 9")
def h_7(nu, h_8, B_max, A_K, h_9):
    r""":math:`\|P'_{K+\Delta}[X] - P'_K[X]\| \le h_7 \|\Delta\|`."""
    return 4 * (nu * h_8 + nu**2 * B_max * (A_K + 1) * h_9)


@CONSTANTS.add(r"h_1", "Lemma 9")
def h_1(B_max, h_3, J_max, q, M_max, h_4):
    r"""Change of :math:`M X \Sigma` for each unit of :math:`\|\Delta\|`."""
    return 2 * B_max**2 * h_3 * J_max / q + M_max * h_4


@CONSTANTS.add(r"h_2", "Lemma 9")
def h_2(B_max, h_7, J_max, q, nu, h_9, A_K, h_4):
    r"""Change of :math:`B^\top P'_K[X] A_K \Sigma`, and of its adjoint, for each unit of :math:`\|\Delta\|`."""
    return B_max * (2 * h_7 * J_max / q + nu * h_9 * (A_K * h_4 + 2 * B_max * J_max / q))


@CONSTANTS.add(r"h_{hess}", "Lemmas 2 and 9")
def h_hess(h_1, h_2):
    return 2 * (h_1 + 2 * h_2)


@CONSTANTS.add(r"h_{G,\mathcal L}", "Lemmas 4 and 11", "for \\eta h_G <= h_\\Delta")
def h_meta_G(eta, h_H, h_grad, h_G):
    r""":math:`\|\nabla\mathcal L(K)\|_F \le h_{G,\mathcal L}` where :math:`\eta h_G \le h_\Delta`."""
    return (1 + eta * h_H) * (1 + eta * h_grad) * h_G


@CONSTANTS.add(r"h_{\mathcal L,cost}", "Lemmas 5 and 12", "for \\eta <= 1/h_H")
def h_meta_cost(h_cost, J_max, eta, h_H):
    r"""Lipschitz constant of :math:`\mathcal L`; put in bounds over a sub-level set."""
    return h_cost * J_max * (1 + eta * h_H)


@CONSTANTS.add(r"h_{\mathcal L,grad}", "Lemmas 5 and 12", "for \\eta <= 1/h_H")
def h_meta_grad(eta, h_hess, h_G, h_H):
    r"""Bound of the norm of :math:`\nabla^2\mathcal L`, with that of every task; put in bounds over a sub-level set."""
    return eta * h_hess * h_G + (1 + eta * h_H) ** 2 * h_H


# --- Lemma 14, for the error 1: lengths are inversely proportional to it ----------------------------------------------

HORIZONS = Formulas(Form.CORRECTED)


@HORIZONS.add(r"\epsilon\ell", "Lemma 14")
def cost_horizon(J_max, Sigma0_trace, q, mu):
    r""":math:`|J^{(\ell)} - J| \le J_{\max} \max(\mathrm{Tr} \Sigma_0, J_{\max}/q) / (\ell\mu)`."""
    return J_max * np.maximum(Sigma0_trace, J_max / q) / mu


@HORIZONS.add(r"\epsilon\ell_\Sigma", "Lemma 14")
def covariance_horizon(nu, Sigma0_max, J_max, q):
    r""":math:`\|\Sigma_K^{(\ell)} - \Sigma_K\| \le \nu \max(\|\Sigma_0\|, J_{\max}/q)/\ell`."""
    return nu * np.maximum(Sigma0_max, J_max / q)


@HORIZONS.add("g", "Lemma 6")
def rollout_gain(J_max, mu, Psi_max, Sigma0_max, q):
    r"""Norm of the quadratic form of a rollout's cost: at most :math:`g/\ell`, from :math:`\|P_K\|^2`."""
    return 4 * (J_max / mu) ** 2 * np.maximum(Psi_max, Sigma0_max) / q


BY_TASK = Formulas(Form.CORRECTED, CONSTANTS, HORIZONS)


# --- Lemma 6 ---------------------------------------------------------------------------------------------------------

LEMMA_6 = Formulas(Form.CORRECTED, HORIZONS)


@LEMMA_6.add("h_r^1", "Lemma 6")
def h_r_1(h_cost, h_Delta, h_H, epsilon):
    """Radius; a gain that is perturbed twice (Algorithm 1 inside Algorithm 2) stays in the widened set."""
    return min(0.5 / h_cost, 0.5 * h_Delta, epsilon / (4 * h_H))


@LEMMA_6.add("h_M^1", "Lemma 6")
def h_M_1(state_dim, action_dim, J_max, h_G, h_r_1, epsilon, delta):
    """Number of perturbations; the widened set bounds the cost and the gradient of a perturbed gain."""
    sample = state_dim * action_dim / h_r_1 * J_max
    return perturbation_count(state_dim, action_dim, sample, h_G, epsilon / 4, delta)


@LEMMA_6.add(r"\epsilon_J", "Lemma 6")
def epsilon_cost(state_dim, action_dim, epsilon, h_r_1):
    r"""Error of every cost that shifts the estimate by no more than :math:`\epsilon/4`."""
    return epsilon / 4 * h_r_1 / (state_dim * action_dim)


@LEMMA_6.add(r"h_{\ell,grad}", "Lemma 6")
def h_l_grad(cost_horizon, epsilon_cost):
    return cost_horizon / epsilon_cost


@LEMMA_6.add(r"h_{\ell,var}", "Lemma 6")
def h_l_var(rollout_gain, J_max, epsilon_cost, delta, h_M_1):
    return noise_horizon(rollout_gain, J_max, epsilon_cost, delta / np.maximum(1.0, h_M_1))


@LEMMA_6.add(r"h_\ell^1", "Lemma 6")
def h_l_1(h_l_grad, h_l_var):
    return np.maximum(h_l_grad, h_l_var)


# --- Lemma 7: six equal parts, and as much again for a task batch  ---------------------------------------------------

LEMMA_7 = Formulas(Form.CORRECTED, HORIZONS)
#: Iterations of the fixed point in which the number of perturbations stands inside its own logarithm.
MAX_FIXED_POINT_STEPS = 100


@LEMMA_7.add(r"\epsilon_{\mathcal T}/\epsilon", "Lemma 7")
def batch_share():
    """Share of the error, and of the probability, that a drawn task batch takes; none where every task counts."""
    return 0.5


@LEMMA_7.add(r"\epsilon_1", "Lemma 7")
def epsilon_part(epsilon_meta, batch_share):
    """Error of each of six parts: smoothing, inner smoothing, inner noise, sampling, horizon, noise of rollouts."""
    return (1 - batch_share) * epsilon_meta / 6


@LEMMA_7.add(r"h_{sample,task}", "Lemma 7")
def task_batch(state_dim, action_dim, eta, h_H, h_G, epsilon_meta, delta_meta):
    return max(1.0, task_count(state_dim, action_dim, (1 + eta * h_H) * h_G, epsilon_meta, delta_meta))


@LEMMA_7.add(r"\delta_1", "Lemma 7")
def delta_task(delta_meta, task_batch, batch_share):
    """Probability with which the estimate of one task may fail."""
    return (1 - batch_share) * delta_meta / task_batch


@LEMMA_7.add("h_r^2", "Lemma 7")
def h_r_2(epsilon_part, h_meta_grad):
    """Radius at which the smoothing shifts the estimate by its part."""
    return epsilon_part / h_meta_grad


@LEMMA_7.add("r", "Lemma 7")
def smoothing_radius(h_r_2, h_cost, h_Delta, J_min, epsilon_part):
    return min(h_r_2, 0.5 / h_cost, 0.5 * h_Delta, J_min / (12 * epsilon_part))


@LEMMA_7.add(r"\epsilon'", "Lemma 7")
def epsilon_inner(state_dim, action_dim, epsilon_part, smoothing_radius, h_cost, J_max, h_Delta, eta):
    """Error of the inner estimates; infinite without adaptation, when there is none."""
    return np.minimum(epsilon_part * smoothing_radius / (state_dim * action_dim * h_cost * J_max), h_Delta) / eta


@LEMMA_7.add("h_M^2", "Lemma 7")
def h_M_2(state_dim, action_dim, eta, J_max, h_H, h_G, smoothing_radius, epsilon_part, delta_task):
    sample = state_dim * action_dim / smoothing_radius * J_max
    return perturbation_count(state_dim, action_dim, sample, (1 + eta * h_H) * h_G, epsilon_part, delta_task / 4)


@LEMMA_7.add("M", "Lemma 7")
def perturbations(state_dim, action_dim, J_max, h_G, smoothing_radius, epsilon_inner, delta_task, h_M_2):
    """Number of perturbations of either estimate: every one of the M inner estimates must succeed."""
    count = h_M_2
    for _ in range(MAX_FIXED_POINT_STEPS):
        chance = delta_task / (4 * count)
        inner = h_M_1(state_dim, action_dim, J_max, h_G, smoothing_radius, 4 * (epsilon_inner / 3), chance)
        if max(h_M_2, inner) <= count:
            break
        count = inner
    return count


@LEMMA_7.add(r"\epsilon_J", "Lemma 7")
def epsilon_outer_cost(state_dim, action_dim, epsilon_part, smoothing_radius):
    """Error of every cost of the outer estimate that shifts it by no more than its part."""
    return epsilon_part * smoothing_radius / (state_dim * action_dim)


@LEMMA_7.add(r"\epsilon'_J", "Lemma 7")
def epsilon_inner_cost(state_dim, action_dim, epsilon_inner, smoothing_radius):
    """Error of every cost of an inner estimate that shifts it by no more than a third of its error."""
    return epsilon_inner / 3 * smoothing_radius / (state_dim * action_dim)


@LEMMA_7.add(r"h^2_{\ell,grad}", "Lemma 7")
def h_l_grad_2(cost_horizon, epsilon_outer_cost, epsilon_inner_cost):
    return np.maximum(cost_horizon / epsilon_outer_cost, cost_horizon / epsilon_inner_cost)


@LEMMA_7.add(r"h^2_{\ell,var}", "Lemma 7")
def h_l_var_2(rollout_gain, J_max, epsilon_outer_cost, epsilon_inner_cost, delta_task, perturbations):
    outer = noise_horizon(rollout_gain, J_max, epsilon_outer_cost, delta_task / (4 * perturbations))
    chance = delta_task / (4 * float(perturbations) ** 2)
    return max(outer, noise_horizon(rollout_gain, J_max, epsilon_inner_cost, chance))


@LEMMA_7.add(r"\ell", "Lemma 7")
def rollout_length(h_l_grad_2, h_l_var_2):
    return np.maximum(h_l_grad_2, h_l_var_2)


# --- Theorem 1 -------------------------------------------------------------------------------------------------------

BIAS = Formulas(Form.CORRECTED)


@BIAS.add(r"\phi_1", "Theorem 1")
def phi_1(eta, h_H):
    r""":math:`\|E\nabla J_i - \nabla\mathcal L\|^2 \le \phi_1 E\|\nabla J_i\|^2`."""
    return (eta * h_H * (2 + eta * h_H)) ** 2


@BIAS.add(r"\phi_2", "Theorem 1")
def phi_2(eta, h_H):
    r""":math:`\|\nabla\mathcal L\|^2 \le \phi_2 E\|\nabla J_i\|^2`."""
    return (1 + eta * h_H) ** 4


STEP_SIZES = Formulas(Form.CORRECTED, CONSTANTS, BIAS, shared.STEP_SIZES)


@STEP_SIZES.add(r"\eta", "Theorem 1")
def adaptation_rate(tasks_h_H, h_H):
    return np.minimum(1 / (9 * tasks_h_H.max()), 1 / (4 * h_H))


@STEP_SIZES.add(r"\bar h_{\mathcal L}", "Theorem 1")
def smoothness(p, eta, tasks_h_hess, tasks_h_G, tasks_h_H):
    r"""Bound of the norm of :math:`\nabla^2\mathcal L` over the set: the mean over the tasks."""
    return p @ h_meta_grad(eta, tasks_h_hess, tasks_h_G, tasks_h_H)


@STEP_SIZES.add(r"\alpha_{\eta \to 0}", "Theorem 1")
def learning_rate_without_adaptation(p, tasks_h_H):
    r"""The learning rate that an adaptation rate far below the largest allows."""
    return 1 / (p @ tasks_h_H)


@STEP_SIZES.add(r"\alpha", "Theorem 1")
def learning_rate(smoothness):
    return 1 / smoothness


# --- Theorems 1 and 2: errors, sizes and iterations ------------------------------------------------------------------

REQUIREMENTS = Formulas(Form.CORRECTED, LEMMA_7, shared.REQUIREMENTS)


@REQUIREMENTS.add(r"\tau", "Theorem 2")
def gradient_target(target, gradient_norm):
    r"""Norm of the meta-gradient that some iterate has at most."""
    return target * gradient_norm


@REQUIREMENTS.add("N", "Theorem 2")
def iterations(learning_rate, gradient_target, initial_gap):
    return 4 * initial_gap / learning_rate / gradient_target / gradient_target


@REQUIREMENTS.add(r"\varepsilon", "Theorem 1")
def epsilon_stable(first_gap, learning_rate, iterations):
    """Error of the meta-gradients that keeps the iterates in the set."""
    return math.sqrt(first_gap / learning_rate / iterations)


@REQUIREMENTS.add(r"\bar\varepsilon", "Theorem 2")
def epsilon_close(gradient_target):
    """Error of the meta-gradients that lets the target be reached."""
    return gradient_target / math.sqrt(2)


@REQUIREMENTS.add(r"\delta", "Theorems 1 and 2")
def delta_meta(delta, iterations):
    """Probability with which one iteration may fail."""
    return delta / np.maximum(1.0, iterations)


# --- Theorem 2 for the gap -------------------------------------------------------------------------------------------


@REQUIREMENTS.add(r"\lambda", "Theorem 2")
def lambda_meta(lambda_i, eta, tasks_h_H):
    """Constant of the gradient domination of the meta-objective, up to the variance of the meta-gradients."""
    return (lambda_i * (1 - eta * tasks_h_H) ** 2).min()


@REQUIREMENTS.add(r"\bar V/\lambda", "Theorem 2")
def heterogeneity_bias(p, eta, tasks_h_H, tasks_h_G, lambda_meta):
    r"""What remains of the gap: a bound of the variance of the tasks' meta-gradients, over the strength."""
    return p @ ((1 + eta * tasks_h_H) * tasks_h_G) ** 2 / lambda_meta


@REQUIREMENTS.add(r"V(K_0)/\lambda", "Theorem 2")
def least_heterogeneity_bias(initial_variance, lambda_meta):
    r"""No bound of the variance over the set makes the promise better than with this."""
    return initial_variance / lambda_meta


@REQUIREMENTS.add(r"\text{already true at } K_0", "Theorem 2")
def true_at_start(initial_gap, least_heterogeneity_bias, epsilon_0):
    r"""1 if the promise for the gap holds at n = 0, whatever the bound of the variance; otherwise 0."""
    rest = initial_gap - least_heterogeneity_bias
    return math.nan if rest > 0 and math.isnan(epsilon_0) else float(rest <= 0 or rest <= epsilon_0)


@REQUIREMENTS.add(r"N_{gap}", "Theorem 2")
def iterations_for_gap(learning_rate, lambda_meta, initial_gap, least_heterogeneity_bias, epsilon_0, true_at_start):
    r"""Iterations for the gap :math:`\bar V/\lambda + \epsilon_0`; 0 where the promise is true at the start."""
    if true_at_start == 1:
        return 0.0
    return 2 / learning_rate / lambda_meta * math.log(2 * (initial_gap - least_heterogeneity_bias) / epsilon_0)


@REQUIREMENTS.add(r"\varepsilon_{gap}", "Theorem 2")
def epsilon_for_gap(lambda_meta, epsilon_0):
    """Error of the meta-gradients that goes with it."""
    return math.sqrt(lambda_meta * epsilon_0 / 2)
