"""Exact values and constants that the inequalities compare: n gains and perturbations, on every task, in one form."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr import FloatArray, at_optimum, is_stabilising, tiled
from metalqr.lqr.evaluation import state_and_input_weight
from metalqr.optimal import DescentError, Minimum, NoMamlStabilisingGainError, meta_gain
from metalqr.theory import corrected, printed
from metalqr.theory.bounds import covariance_norms, gain_constants, gradient_domination, sublevel_constants
from metalqr.theory.differences import PolicyChange
from metalqr.theory.inputs import optimality_gaps
from metalqr.theory.norms import frobenius, spectral
from metalqr.theory.result import Form, Quantities
from metalqr.theory.sample_sizes import horizons
from metalqr.theory.sublevel import SublevelSet

BIAS = {Form.PRINTED: printed.BIAS, Form.CORRECTED: corrected.BIAS}
#: The perturbed gains of S, and those of the algorithms, are inside the set with this many times the levels.
WIDENING = 2.0
#: Relative excess of a perturbation over its limit that counts as rounding.
LIMIT_ROUNDING = 1e-9


def _bounds(sublevel: SublevelSet, form: Form, adaptation_rate: float) -> Quantities:
    """Constants over S as printed, over the widened set as corrected, with the factors of Theorem 1."""
    if form is Form.CORRECTED:
        sublevel = sublevel.with_levels(WIDENING * sublevel.levels)
        over = sublevel_constants(sublevel, form)
        adaptation_rate = min(adaptation_rate, float(1 / (2 * over.h_H)), float(over.h_Delta / over.h_G))
    return BIAS[form].evaluate(sublevel_constants(sublevel, form, adaptation_rate=adaptation_rate).values())


def perturbation_limits(sublevel: SublevelSet, K: FloatArray, form: Form) -> FloatArray:
    """Largest spectral norms of perturbations to which Lemma 9 applies, shape (n,): h_Δ of the form at each gain."""
    limits = gain_constants(sublevel, K, form).h_Delta
    return np.where(np.isfinite(limits), limits, 1.0)


@dataclass(eq=False)
class AuditBatch:
    """Gains of a sub-level set with perturbations, the constants there, and the exact values that they bound."""

    sublevel: SublevelSet
    #: Gains in the set, shape (n, k, d).
    K: FloatArray
    #: Their perturbations; the lemmas do not apply to those above :func:`perturbation_limits`.
    given_change: FloatArray
    form: Form
    #: Lowered, for the corrected form, to what its lemmas assume.
    adaptation_rate: float
    #: Of the random directions to which operators are applied.
    generator: np.random.Generator

    def __post_init__(self) -> None:
        self.tasks = self.sublevel.tasks
        self.count = len(self.K)
        self.batch = tiled(self.tasks, self.count)
        self.bounds = _bounds(self.sublevel, self.form, self.adaptation_rate)
        self.eta = float(self.bounds.eta)
        #: The constants at the gains, with those of Lemma 14.
        self.at = horizons(gain_constants(self.sublevel, self.K, self.form, self.eta))
        #: Perturbations to which the lemmas do not apply.
        self.too_large = spectral(self.given_change) > self.at.h_Delta * (1 + LIMIT_ROUNDING)
        stable = self.per_task(is_stabilising(self.batch, self.spread(self.K + self.given_change))).all(axis=1)
        #: A limit h_Δ may be too large to keep the policy stabilising: the other inequalities are not checked there.
        self.excluded = self.too_large | ~stable
        #: The perturbations, zero where they are excluded.
        self.change = np.where(self.excluded[:, np.newaxis, np.newaxis], 0.0, self.given_change)
        #: The same for Lemma 12, shortened to what its corrected form assumes.
        self.meta_change = self._shortened(self.change)

    def _shortened(self, change: FloatArray) -> FloatArray:
        r"""Perturbations of at most :math:`\min(\underline h_\Delta, 1/\bar h_{cost}) / (1 + \eta\bar h_H)`.

        With these, K and K + Δ, adapted or not, are in the widened set, and no farther apart than the least h_Δ there.
        """
        if self.form is Form.PRINTED:
            return change
        limit = float(np.minimum(self.bounds.h_Delta, 1 / self.bounds.h_cost) / (1 + self.eta * self.bounds.h_H))
        norms = frobenius(change)[:, np.newaxis, np.newaxis]
        return np.where(norms > limit, change * (limit / np.where(norms > 0, norms, 1.0)), change)

    # Shapes: (n I, ...) for the batch, (n, I) for what is compared for each task.

    def spread(self, gains: FloatArray) -> FloatArray:
        """Repeat every gain for every task, shape (n I, k, d)."""
        return np.repeat(gains, self.tasks.count, axis=0)

    def per_task(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give values of the batch the shape (n, I, ...)."""
        return values.reshape(self.count, self.tasks.count, *values.shape[1:])

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean over the tasks with their probabilities, shape (n, ...)."""
        return np.asarray(np.einsum("i,ni...->n...", self.tasks.p, self.per_task(values)))

    def constant(self, name: str) -> FloatArray:
        """Return a constant at the gains, shape (n, 1)."""
        return np.broadcast_to(self.at[name].value, (self.count,))[:, np.newaxis]

    @cached_property
    def size(self) -> FloatArray:
        """Spectral norm of the perturbations, shape (n, 1); NaN of those that are excluded."""
        return self.measured(spectral(self.change))

    @cached_property
    def frobenius(self) -> FloatArray:
        """Frobenius norm of the perturbations, shape (n, 1)."""
        return self.measured(frobenius(self.change))

    def measured(self, norms: FloatArray) -> FloatArray:
        """Norms (n,) of perturbations, NaN of those that are excluded, shape (n, 1)."""
        return np.where(self.excluded, np.nan, norms)[:, np.newaxis]

    @cached_property
    def pair(self) -> PolicyChange:
        """Policies before and after the perturbation."""
        return PolicyChange(self.batch, self.spread(self.K), self.spread(self.change))

    @cached_property
    def meta_pair(self) -> PolicyChange:
        """Policies before and after the perturbation of Lemma 12."""
        return PolicyChange(self.batch, self.spread(self.K), self.spread(self.meta_change))

    @cached_property
    def weight(self) -> FloatArray:
        """Q + KᵀRK, shape (n I, d, d)."""
        return state_and_input_weight(self.batch, self.spread(self.K))

    @cached_property
    def directions(self) -> FloatArray:
        """Directions of norm one for operators, the gradient's where it has one, shape (n I, k, d)."""
        advantage = self.pair.before.advantage
        norms = frobenius(advantage)[:, np.newaxis, np.newaxis]
        random = self.generator.standard_normal(advantage.shape)
        random /= frobenius(random)[:, np.newaxis, np.newaxis]
        return np.where(norms > 0, advantage / np.where(norms > 0, norms, 1.0), random)

    # The tasks' optima.

    @cached_property
    def gap(self) -> FloatArray:
        """J_i(K) - J_i*, shape (n, I), from the optimum outwards: nothing cancels."""
        return self.per_task(optimality_gaps(self.sublevel, self.pair.before, self.spread(self.K)))

    @cached_property
    def significant(self) -> NDArray[np.bool_]:
        """True where a gain is not the optimum of a task up to rounding, shape (n, I)."""
        return self.per_task(~at_optimum(self.batch, self.spread(self.K), self.pair.before))

    def if_significant(self, values: FloatArray) -> FloatArray:
        """Replace the values (n, I) of gains that are optimal for a task, up to rounding, by NaN."""
        return np.where(self.significant, values, np.nan)

    @cached_property
    def strengths(self) -> FloatArray:
        """λ_i of Lemma 3, shape (I,)."""
        return gradient_domination(self.tasks, self.form, self.sublevel.optima).value

    @cached_property
    def dominating_covariance(self) -> FloatArray:
        r""":math:`\|\Sigma^i_{K^*}\|` of Lemma 10, shape (I,).

        Printed, K* is the optimum of the meta-objective; NaN where it is not known. Corrected, it is the task's own.
        """
        if self.form is Form.CORRECTED:
            return covariance_norms(self.tasks, self.sublevel.optima.K)
        if self.meta_optimum is None:
            return np.full(self.tasks.count, np.nan)
        return covariance_norms(self.tasks, self.meta_optimum.K)

    @cached_property
    def meta_optimum(self) -> Minimum | None:
        """Minimum of the meta-objective; None where the tasks are not learnable or it is not found."""
        try:
            return meta_gain(self.tasks, self.eta)
        except (NoMamlStabilisingGainError, DescentError):
            return None

    # The meta-objective. Its gradient of every task: (I - η ∇²J_i(K)) ∇J_i(K_i), K_i = K - η ∇J_i(K).

    @cached_property
    def adaptable(self) -> NDArray[np.bool_]:
        """True where K and the perturbed K are MAML-stabilising, as Lemmas 11 and 12 assume, shape (n, 1)."""
        gradient, change = self.meta_pair.before.gradient(), self.meta_pair.gradient()
        before = self.spread(self.K) - self.eta * gradient
        after = before + self.spread(self.meta_change) - self.eta * change
        stable = is_stabilising(self.batch, before) & is_stabilising(self.batch, after)
        return np.asarray(self.per_task(stable).all(axis=1, keepdims=True))

    def if_adaptable(self, values: FloatArray) -> FloatArray:
        """Replace the values (n, I) or (n,) of gains that are not MAML-stabilising by NaN."""
        return np.where(self.adaptable, values.reshape(self.count, -1), np.nan)

    @cached_property
    def _rates(self) -> FloatArray:
        """η, and 0 in place of it where it would make the adapted gain unstable, shape (n I, 1, 1)."""
        return np.where(self.adaptable, self.eta, 0.0).repeat(self.tasks.count)[:, np.newaxis, np.newaxis]

    @cached_property
    def adapted(self) -> FloatArray:
        """K_i, shape (n I, k, d)."""
        return self.spread(self.K) - self._rates * self.meta_pair.before.gradient()

    @cached_property
    def adapted_pair(self) -> PolicyChange:
        """Adapted policies before and after the perturbation of K."""
        change = self.spread(self.meta_change) - self._rates * self.meta_pair.gradient()
        return PolicyChange(self.batch, self.adapted, change)

    @cached_property
    def meta_gradients(self) -> FloatArray:
        """Meta-gradient of every task, shape (n I, k, d)."""
        after = self.adapted_pair.before.gradient()
        return after - self._rates * self.pair.before.hessian_vector_product(after)

    @cached_property
    def meta_gradient_changes(self) -> FloatArray:
        """Changes of the meta-gradients with the perturbation of K, shape (n I, k, d)."""
        after, change = self.adapted_pair.after.gradient(), self.adapted_pair.gradient()
        pair = self.meta_pair
        hessian_product = pair.before.hessian_vector_product(change) + pair.hessian_vector_product(after)
        return change - self._rates * hessian_product
