"""Inequalities of the paper, each as two numbers to compare: an exact left side, and a right side in one form."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr import FloatArray, spectral_radius
from metalqr.theory.assumptions import covariance_factor
from metalqr.theory.batch import AuditBatch
from metalqr.theory.bounds import noise_floor
from metalqr.theory.differences import operator_norms, value_derivative
from metalqr.theory.inputs import optimality_gaps
from metalqr.theory.norms import frobenius, spectral
from metalqr.theory.result import Form

Sides = tuple[FloatArray, FloatArray]
SidesOf = Callable[[AuditBatch], Sides]
#: Rollout length at which the statements about horizons are checked.
LENGTH = 20
POWER_ITERATIONS = 20
#: Gap of the meta-objective relative to its value, below which it is rounding or the error of the computed optimum.
MIN_GAP = 1e-9


@dataclass(frozen=True)
class Inequality:
    """Statement left <= right for every gain, or every gain and task, of an :class:`AuditBatch`."""

    name: str
    #: In LaTeX.
    statement: str
    #: Lemma or theorem of the paper.
    source: str
    #: Entry of ``docs/errata.md`` that proves the corrected form.
    erratum: int
    #: From a batch to both sides, shape (n, I) or (n, 1). NaN where the statement does not apply.
    sides: SidesOf


INEQUALITIES: list[Inequality] = []


def _inequality(statement: str, source: str, erratum: int) -> Callable[[SidesOf], SidesOf]:
    def register(sides: SidesOf) -> SidesOf:
        INEQUALITIES.append(Inequality(sides.__name__, statement, source, erratum, sides))
        return sides

    return register


# --- Lemma 8 ---------------------------------------------------------------------------------------------------------


@_inequality(r"\|\nabla J_i(K)\|_F \le h_G", "Lemma 8", 9)
def gradient_norm(s: AuditBatch) -> Sides:
    return s.if_significant(s.per_task(frobenius(s.pair.before.gradient()))), s.constant("h_G")


@_inequality(r"\|\nabla^2 J_i(K)\| \le h_H", "Lemma 8", 12)
def hessian_norm(s: AuditBatch) -> Sides:
    norms = operator_norms(s.pair.before.hessian_vector_product, s.pair.change.shape, s.generator)
    return s.per_task(norms), s.constant("h_H")


@_inequality(r"\|K\|_F \le h_c", "Lemma 8", 10)
def gain_norm(s: AuditBatch) -> Sides:
    return frobenius(s.K)[:, np.newaxis], s.constant("h_c")


@_inequality(r"P'_K[X] \preceq \tilde\xi P_K", "Lemma 8", 11)
def value_derivative_norm(s: AuditBatch) -> Sides:
    return _relative_value_derivative(s), s.constant("xi")


def _relative_value_derivative(s: AuditBatch) -> FloatArray:
    """Largest eigenvalue of P'[X] relative to P, shape (n, I)."""
    derivative = value_derivative(s.pair.before, s.directions)
    factor = np.linalg.inv(np.linalg.cholesky(s.pair.before.value_matrix))
    return s.if_significant(s.per_task(spectral(factor @ derivative @ factor.mT)))


# --- Lemma 9 ---------------------------------------------------------------------------------------------------------


@_inequality(r"\|E_K\|_F \le h_0", "Lemma 9", 8)
def advantage_norm(s: AuditBatch) -> Sides:
    return s.if_significant(s.per_task(frobenius(s.pair.before.advantage))), s.constant("h_0")


@_inequality(r"\|\sum_t A_K^t (A_K^t)^\top\| \le \nu", "Lemma 9", 8)
def lyapunov_norm(s: AuditBatch) -> Sides:
    unit = np.broadcast_to(np.eye(s.tasks.state_dim), s.batch.A.shape)
    return s.per_task(spectral(s.pair.before.lyapunov.solve(unit))), s.constant("nu")


@_inequality(r"\|\Delta\| \le h_\Delta \Rightarrow \rho(A_i - B_i(K + \Delta)) < 1", "Lemma 9", 13)
def stays_stabilising(s: AuditBatch) -> Sides:
    radii = s.per_task(spectral_radius(s.batch, s.spread(s.K + s.given_change)))
    return np.where(np.expand_dims(s.too_large, 1), np.nan, radii), np.ones((s.count, 1))


@_inequality(r"|J_i(K + \Delta) - J_i(K)| \le h_{cost} J_i(K) \|\Delta\|_F", "Lemma 9", 14)
def cost_change(s: AuditBatch) -> Sides:
    cost = s.per_task(s.pair.before.cost())
    return np.abs(s.per_task(s.pair.cost())), s.constant("h_cost") * cost * s.frobenius


@_inequality(r"\|\nabla J_i(K + \Delta) - \nabla J_i(K)\|_F \le h_{grad} \|\Delta\|_F", "Lemma 9", 15)
def gradient_change(s: AuditBatch) -> Sides:
    return s.per_task(frobenius(s.pair.gradient())), s.constant("h_grad") * s.frobenius


@_inequality(r"\|\nabla^2 J_i(K + \Delta) - \nabla^2 J_i(K)\| \le h_{hess} \|\Delta\|_F", "Lemma 9", 16)
def hessian_change(s: AuditBatch) -> Sides:
    norms = operator_norms(s.pair.hessian_vector_product, s.pair.change.shape, s.generator)
    return s.per_task(norms), s.constant("h_hess") * s.frobenius


@_inequality(r"\|P_{K+\Delta} - P_K\| \le h_3 \|\Delta\|", "Lemma 9", 14)
def value_change(s: AuditBatch) -> Sides:
    return s.per_task(spectral(s.pair.value)), s.constant("h_3") * s.size


@_inequality(r"\|\Sigma_{K+\Delta} - \Sigma_K\| \le h_4 \|\Delta\|", "Lemma 9", 13)
def covariance_change(s: AuditBatch) -> Sides:
    change = s.pair.covariance
    # The corrected proof bounds the nuclear norm, which is larger.
    norm = spectral(change) if s.form is Form.PRINTED else np.linalg.norm(change, ord="nuc", axis=(1, 2))
    return s.per_task(np.asarray(norm)), s.constant("h_4") * s.size


@_inequality(r"P'_K[X] \preceq h_6 P_K", "Lemma 9", 11)
def value_derivative_norm_of_lemma_9(s: AuditBatch) -> Sides:
    return _relative_value_derivative(s), s.constant("h_6")


@_inequality(r"\|P'_{K+\Delta}[X] - P'_K[X]\| \le h_7 \|\Delta\|", "Lemma 9", 16)
def value_derivative_change(s: AuditBatch) -> Sides:
    return s.per_task(spectral(s.pair.value_derivative(s.directions))), s.constant("h_7") * s.size


@_inequality(r"\|E_{K+\Delta} - E_K\| \le h_8 \|\Delta\|", "Lemma 9", 16)
def advantage_change(s: AuditBatch) -> Sides:
    return s.per_task(spectral(s.pair.advantage)), s.constant("h_8") * s.size


@_inequality(r"2 \|E_K\| \le h_9", "Lemma 9", 8)
def twice_advantage_norm(s: AuditBatch) -> Sides:
    return 2 * s.if_significant(s.per_task(spectral(s.pair.before.advantage))), s.constant("h_9")


# --- Lemma 10 --------------------------------------------------------------------------------------------------------


@_inequality(r"\mu \mathrm{Tr}(E^\top E) / \|R + B^\top P_K B\| \le J_i(K) - J_i^*", "Lemma 10", 8)
def domination_from_below(s: AuditBatch) -> Sides:
    advantage = s.if_significant(s.per_task(frobenius(s.pair.before.advantage))) ** 2
    return noise_floor(s.tasks, s.form) * advantage / s.per_task(spectral(s.pair.before.input_curvature)), s.gap


@_inequality(r"J_i(K) - J_i^* \le \|\Sigma_{K^*}\| \mathrm{Tr}(E^\top E) / \sigma_{\min}(R)", "Lemma 10", 17)
def domination_by_advantage(s: AuditBatch) -> Sides:
    scale = s.dominating_covariance / np.linalg.eigvalsh(s.tasks.R)[:, 0]
    return s.if_significant(s.gap), scale * s.per_task(frobenius(s.pair.before.advantage)) ** 2


@_inequality(r"J_i(K) - J_i^* \le \|\nabla J_i(K)\|_F^2 / \lambda_i", "Lemma 10", 17)
def gradient_domination(s: AuditBatch) -> Sides:
    strengths = s.strengths
    if s.form is Form.PRINTED:
        strengths = noise_floor(s.tasks, s.form) ** 2 * np.linalg.eigvalsh(s.tasks.R)[:, 0] / s.dominating_covariance
    return s.if_significant(s.gap), s.per_task(frobenius(s.pair.before.gradient())) ** 2 / strengths


# --- Lemmas 11 and 12 ------------------------------------------------------------------------------------------------


@_inequality(r"\|\nabla\mathcal L(K)\|_F \le h_{G,\mathcal L}", "Lemma 11", 18)
def meta_gradient_norm(s: AuditBatch) -> Sides:
    norm = s.if_adaptable(frobenius(s.mean(s.meta_gradients)))
    return np.where(s.significant.any(axis=1, keepdims=True), norm, np.nan), s.constant("h_meta_G")


@_inequality(r"|\mathcal L(K + \Delta) - \mathcal L(K)| \le h_{\mathcal L,cost} \|\Delta\|_F", "Lemma 12", 19)
def meta_cost_change(s: AuditBatch) -> Sides:
    return s.if_adaptable(np.abs(s.mean(s.adapted_pair.cost()))), _lemma_12(s, "h_meta_cost")


@_inequality(
    r"\|\nabla\mathcal L(K + \Delta) - \nabla\mathcal L(K)\|_F \le h_{\mathcal L,grad} \|\Delta\|_F", "Lemma 12", 19
)
def meta_gradient_change(s: AuditBatch) -> Sides:
    return s.if_adaptable(frobenius(s.mean(s.meta_gradient_changes))), _lemma_12(s, "h_meta_grad")


def _lemma_12(s: AuditBatch, name: str) -> FloatArray:
    """At the gain as printed; over the set as corrected, because the adapted gains are elsewhere."""
    constant = s.constant(name) if s.form is Form.PRINTED else float(s.bounds[name].value)
    return np.asarray(constant * s.measured(frobenius(s.meta_change)))


# --- Lemmas 6, 7 and 14 ----------------------------------------------------------------------------------------------


@_inequality(r"J_i(K + U) \le (1 + r h_{cost}) J_{\max}(K)", "Lemma 6", 22)
def sample_norm(s: AuditBatch) -> Sides:
    bound = (1 + s.frobenius * s.constant("h_cost")) * s.constant("J_max")
    return s.per_task(s.pair.after.cost()), bound


@_inequality(r"\|\nabla\mathcal L_i(K) - \nabla\mathcal L(K)\|_F \le B_{\mathcal T}", "Lemma 7", 23)
def task_deviation(s: AuditBatch) -> Sides:
    deviation = s.per_task(s.meta_gradients) - s.mean(s.meta_gradients)[:, np.newaxis]
    return s.if_adaptable(frobenius(deviation)), np.full((s.count, 1), 2 * (1 + s.eta * s.bounds.h_H) * s.bounds.h_G)


@_inequality(r"\|\Sigma_K^{(\ell)} - \Sigma_K\| \le \epsilon", "Lemma 14", 20)
def covariance_horizon_error(s: AuditBatch) -> Sides:
    # A length is inversely proportional to the error: that of the error 1, divided by a length, is the error there.
    return s.per_task(spectral(sum(_transients(s)))) / LENGTH, s.constant("covariance_horizon") / LENGTH


@_inequality(r"|J_i(K) - J_i^{(\ell)}(K)| \le \epsilon", "Lemma 14", 20)
def cost_horizon_error(s: AuditBatch) -> Sides:
    total = sum(np.einsum("nab,nab->n", s.weight, transient) for transient in _transients(s))
    return np.abs(s.per_task(total)) / LENGTH, s.constant("cost_horizon") / LENGTH


def _transients(s: AuditBatch) -> Iterator[Any]:
    """Covariance of the state less the stationary one, after each step, shape (n I, d, d)."""
    closed = s.pair.before.closed_loop
    difference = s.batch.Sigma0 - s.pair.before.state_covariance
    for _ in range(LENGTH):
        difference = closed @ difference @ closed.mT
        yield difference


@_inequality(r"\|G\| \le g/\ell \text{ of the rollout's quadratic form}", "Lemma 6", 21)
def rollout_noise(s: AuditBatch) -> Sides:
    if s.form is Form.PRINTED:  # the paper has no bound
        nothing = np.full((s.count, 1), np.nan)
        return nothing, nothing
    return s.per_task(_quadratic_form_norm(s)), s.constant("rollout_gain") / LENGTH


def _quadratic_form_norm(s: AuditBatch) -> FloatArray:
    """Norm of G by power iteration, forward through the rollout and back through its adjoint, shape (n I,)."""
    closed, weight = s.pair.before.closed_loop, s.weight / LENGTH
    first, noise = covariance_factor(s.batch.Sigma0), covariance_factor(s.batch.Psi)
    factors = [first, *[noise] * LENGTH]
    vectors = s.generator.standard_normal((LENGTH + 1, len(closed), s.tasks.state_dim))
    norm = np.ones(len(closed))
    for _ in range(POWER_ITERATIONS):
        vectors = vectors / norm[:, np.newaxis]
        state, states = _times(first, vectors[0]), []
        for step in range(1, LENGTH + 1):
            state = _times(closed, state) + _times(factors[step], vectors[step])
            states.append(state)
        costate = np.zeros_like(state)
        images = np.empty_like(vectors)
        for step in range(LENGTH, 0, -1):
            costate = _times(weight, states[step - 1]) + costate
            images[step] = _times(factors[step].mT, costate)
            costate = _times(closed.mT, costate)
        images[0] = _times(first.mT, costate)
        vectors, norm = images, np.sqrt(np.einsum("lnd,lnd->n", images, images))
    return norm


def _times(matrices: NDArray[Any], vectors: NDArray[Any]) -> FloatArray:
    return np.asarray(np.einsum("nab,nb->na", matrices, vectors))


# --- Theorems 1 and 2 ------------------------------------------------------------------------------------------------


@_inequality(r"\|E\nabla J_i - \nabla\mathcal L\|_F^2 \le \phi_1 \|E\nabla J_i\|_F^2", "Theorem 1", 24)
def adaptation_bias(s: AuditBatch) -> Sides:
    mean = s.mean(s.pair.before.gradient())
    # ∇J_i - ∇L_i = -(∇J_i(K_i) - ∇J_i(K)) + η ∇²J_i(K) ∇J_i(K_i) is of the order of η: the difference of means is not.
    bias = frobenius(mean - s.mean(s.meta_gradients)) ** 2
    return s.if_adaptable(bias), float(s.bounds.phi_1) * _squared_gradients(s)


@_inequality(r"\|\nabla\mathcal L\|_F^2 \le \phi_2 \|E\nabla J_i\|_F^2", "Theorem 1", 24)
def meta_gradient_by_gradient(s: AuditBatch) -> Sides:
    norm = frobenius(s.mean(s.meta_gradients)) ** 2
    return s.if_adaptable(norm), float(s.bounds.phi_2) * _squared_gradients(s)


def _squared_gradients(s: AuditBatch) -> FloatArray:
    gradients = s.pair.before.gradient()
    if s.form is Form.PRINTED:
        return np.asarray(frobenius(s.mean(gradients))[:, np.newaxis] ** 2)
    return np.asarray(s.mean(frobenius(gradients) ** 2)[:, np.newaxis])


@_inequality(
    r"\bar\lambda (1 - \eta^2 \bar h_H^2) (\mathcal L(K) - \mathcal L^*) \le \|\nabla\mathcal L(K)\|_F^2",
    "Theorem 2",
    26,
)
def meta_gradient_domination(s: AuditBatch) -> Sides:
    weakest = s.strengths.min()
    before = s.adapted_pair.before
    if s.form is Form.PRINTED:
        value = s.mean(before.cost())
        gap = value - (s.meta_optimum.objective if s.meta_optimum else np.nan)
        gap = np.where(gap > MIN_GAP * value, gap, np.nan)
        norm = frobenius(s.mean(s.meta_gradients)) ** 2
        return s.if_adaptable(weakest * (1 - s.eta**2 * s.bounds.h_H**2) * gap), norm[:, np.newaxis]
    # Corrected: with the variance of the tasks' meta-gradients, against the tasks' own optima.
    gap = s.mean(optimality_gaps(s.sublevel, before, s.adapted))
    squares = s.mean(frobenius(s.meta_gradients) ** 2)
    left = s.if_adaptable(weakest * (1 - s.eta * s.bounds.h_H) ** 2 * gap)
    return np.where(s.significant.any(axis=1, keepdims=True), left, np.nan), squares[:, np.newaxis]
