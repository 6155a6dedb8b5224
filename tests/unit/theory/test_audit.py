"""The theory's constants: exact pieces against other ways to compute them, bounds against what they bound."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import Array, bases, random_tasks, scalar_tasks, similar_tasks, stable_gain

from metalqr import lqr, theory
from metalqr.lqr import LQRTasks, PolicyEvaluation, UnstablePolicyError
from metalqr.objectives.meta import gradient, objective
from metalqr.optimal import meta_gain, optimal_gains, stabilising_gain
from metalqr.theory.auditing import _beyond_rounding
from metalqr.theory.bounds import constants_by_task
from metalqr.theory.differences import PolicyChange, operator_norms
from metalqr.theory.inequalities import INEQUALITIES

#: a = 1/2, b = q = r = ψ = 1.
SCALAR = scalar_tasks(0.5)
ZERO = np.zeros((1, 1))
#: What grows with the set: the norms at a gain, and the constants of Lemmas 8 and 9.
NORMS = ["J_max", "K_norm", "M_max", "BPA", "BPA_frobenius", "A_K", "A_K_trace"]
CONSTANTS = ["h_G", "h_H", "h_c", "xi", "nu", "h_cost", "h_grad", "h_hess", *(f"h_{n}" for n in "012346789")]


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_scalar_constants_by_hand() -> None:
    r"""All of Lemmas 8 and 9 for a = 1/2, b = q = r = ψ = 1 at K = 0.

    A_K = 1/2, Σ = 1/(1 - 1/4) = 4/3 = P = J, M = 1 + 4/3 = 7/3, E = -bPa = -2/3, ∇J = 2EΣ = -16/9.
    Riccati: p = 1 + p/4 - p²/(4(1 + p)), hence p² - p/4 - 1 = 0, p = (1/4 + √(1/16 + 4))/2 = J*.
    h_0² = M (J - J*), ν = J, h_Δ = 1/(4 J (1/2 + 1)) = 1/8.
    """
    c = theory.constants(SCALAR, ZERO, "corrected", adaptation_rate=0.1)
    least = (0.25 + math.sqrt(4.0625)) / 2
    h_0 = math.sqrt(7 / 3 * (4 / 3 - least))
    assert float(c.h_0) == pytest.approx(h_0, rel=1e-12)
    assert float(c.h_Delta) == pytest.approx(1 / 8, rel=1e-12)
    assert float(c.h_G) == pytest.approx(8 / 3 * h_0, rel=1e-12)
    assert float(c.h_c) == pytest.approx(h_0 + 2 / 3, rel=1e-12)
    assert float(c.xi) == pytest.approx(2 * h_0, rel=1e-12)
    assert float(c.h_H) == pytest.approx((14 / 3 + 16 / 3 * 2 * h_0) * 4 / 3, rel=1e-12)
    h_cost = 2 * (2 * h_0 + 7 / 24)
    h_3, h_4 = 4 / 3 * h_cost, 4 * 16 / 9 * 1.5
    assert float(c.h_cost) == pytest.approx(h_cost, rel=1e-12)
    assert (float(c.h_3), float(c.h_4)) == pytest.approx((h_3, h_4), rel=1e-12)
    h_grad = 16 / 3 * (7 / 3 + h_3) + 2 * h_0 * h_4
    assert float(c.h_grad) == pytest.approx(h_grad, rel=1e-12)
    h_8 = 7 / 3 + 1.5 * h_3
    h_7 = 4 * (4 / 3 * h_8 + 16 / 9 * 1.5 * 2 * h_0)
    h_1, h_2 = 8 / 3 * h_3 + 7 / 3 * h_4, 8 / 3 * h_7 + 4 / 3 * 2 * h_0 * (0.5 * h_4 + 8 / 3)
    assert float(c.h_hess) == pytest.approx(2 * (h_1 + 2 * h_2), rel=1e-12)
    eta = 0.1
    assert float(c.h_meta_G) == pytest.approx((1 + eta * c.h_H) * (1 + eta * h_grad) * c.h_G, rel=1e-12)
    assert float(c.h_meta_cost) == pytest.approx(h_cost * 4 / 3 * (1 + eta * c.h_H), rel=1e-12)
    h_meta_grad = eta * c.h_hess * c.h_G + (1 + eta * c.h_H) ** 2 * c.h_H
    assert float(c.h_meta_grad) == pytest.approx(float(h_meta_grad), rel=1e-12)


def test_printed_scalar_constants_by_hand() -> None:
    """The same scalars in the formulas that the paper prints: at K = 0 all that is multiplied by the gain is lost."""
    c = theory.constants(SCALAR, ZERO, "printed")
    J = 4 / 3
    h_0 = float(c.h_0)
    assert float(c.h_G) == pytest.approx(J * h_0, rel=1e-12)
    assert float(c.xi) == pytest.approx(2 * J + 1 - 1, rel=1e-12)
    assert float(c.h_H) == pytest.approx((2 + 2 * J + 4 * math.sqrt(2) * 2 * J * J) * J, rel=1e-12)
    assert float(c.h_cost) == pytest.approx(4 * J * (1 / 8) / 2, rel=1e-12)
    h_grad = 4 * J * (1 + (0.5 + 1 / 8) * float(c.h_cost) * J + J) + 8 * J**2 * 1.5 * h_0
    assert float(c.h_grad) == pytest.approx(h_grad, rel=1e-12)
    assert float(c.h_3) == 0.0
    assert float(c.mu_tilde) == pytest.approx(1 + 8, rel=1e-12)
    assert "not defined in the paper" in c["h_hess"].note


def test_scalar_gradient_domination_by_hand() -> None:
    """λ = 4 ψ (r + b² p) ψ/Σ_{K*}, printed ψ² r/Σ_{K*}, with Σ_{K*} = 1/(1 - (a - K*)²) and K* = p a/(1 + p)."""
    p = (0.25 + math.sqrt(4.0625)) / 2
    closed = 0.5 - p / (1 + p) * 0.5
    corrected = theory.gradient_domination(SCALAR, "corrected")
    assert corrected.value == pytest.approx([4 * (1 + p) * (1 - closed**2)], rel=1e-12)
    assert theory.gradient_domination(SCALAR, "printed").value == pytest.approx([1 - closed**2], rel=1e-12)


# --- exact changes ---------------------------------------------------------------------------------------------------


def _change(seed: int = 3, size: float = 1e-3) -> tuple[LQRTasks, Array, Array]:
    tasks = random_tasks(seed)
    gains = np.broadcast_to(stable_gain(tasks, seed), (tasks.count, tasks.action_dim, tasks.state_dim)).copy()
    change = size * np.random.default_rng(seed).standard_normal(gains.shape)
    return tasks, gains, change


def test_changes_are_differences() -> None:
    """Where nothing cancels, a change is the difference of two evaluations."""
    tasks, gains, change = _change()
    pair = PolicyChange(tasks, gains, change)
    before, after = PolicyEvaluation(tasks, gains), PolicyEvaluation(tasks, gains + change)
    X = np.random.default_rng(5).standard_normal(gains.shape)
    for exact, difference in (
        (pair.cost(), after.cost() - before.cost()),
        (pair.gradient(), after.gradient() - before.gradient()),
        (pair.value, after.value_matrix - before.value_matrix),
        (pair.covariance, after.state_covariance - before.state_covariance),
        (pair.advantage, after.advantage - before.advantage),
        (pair.hessian_vector_product(X), after.hessian_vector_product(X) - before.hessian_vector_product(X)),
    ):
        np.testing.assert_allclose(exact, difference, rtol=1e-9, atol=1e-11 * np.abs(difference).max())


def test_tiny_changes_keep_their_digits() -> None:
    """At 1e-12 a difference would have four digits; the change of the cost is still the slope to nine."""
    tasks, gains, change = _change(size=1e-12)
    slope = np.einsum("nkd,nkd->n", lqr.gradient(tasks, gains), change)
    np.testing.assert_allclose(PolicyChange(tasks, gains, change).cost(), slope, rtol=1e-9)


@pytest.mark.parametrize(("state_dim", "action_dim"), [(1, 1), (3, 2), (6, 4)])
def test_operator_norm_is_the_largest_eigenvalue(state_dim: int, action_dim: int) -> None:
    tasks = random_tasks(7, count=3, state_dim=state_dim, action_dim=action_dim)
    evaluation = PolicyEvaluation(tasks, stable_gain(tasks, 7))
    columns = [evaluation.hessian_vector_product(unit) for unit in bases((action_dim, state_dim))]
    matrices = np.stack(columns, axis=1).reshape(3, state_dim * action_dim, -1)
    exact = np.abs(np.linalg.eigvalsh(matrices)).max(axis=1)
    shape = (3, action_dim, state_dim)
    found = operator_norms(evaluation.hessian_vector_product, shape, np.random.default_rng(0))
    np.testing.assert_allclose(found, exact, rtol=1e-10 if state_dim * action_dim <= 12 else 1e-3)


# --- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 2), st.sampled_from([0.0, 1e-3, 0.1]))
def test_corrected_inequalities_are_never_broken(seed: int, state_dim: int, action_dim: int, rate: float) -> None:
    tasks = theory.random_task_set(seed, 1, action_dim, state_dim)
    result = theory.audit(
        tasks, np.zeros((action_dim, state_dim)), rate, gains=6, perturbations=1, random_tasks=0, seed=seed
    )
    checked, broken, places = result.count("corrected")
    assert checked == len(INEQUALITIES)
    assert broken == 0
    assert places > 100
    assert np.nanmin(result.left[:, 1]) >= 0


def test_statements_that_do_not_apply_are_not_checked() -> None:
    """The paper has no bound of the noise, and tasks that are not learnable at the rate have no least objective."""
    tasks = scalar_tasks([1.5, -0.3])
    result = theory.audit(tasks, [[0.6]], 0.1, gains=10, perturbations=1, random_tasks=0)
    for name, places in (("meta_gradient_domination", 10), ("rollout_noise", 20)):
        row = result.inequalities.index(name)
        assert result.checked[row].tolist() == [0, places]
        assert np.isnan(result.worst_ratio[row, 0])


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["printed", "corrected"]), st.sampled_from([1.0, 3.0]))
def test_bounds_over_the_set_bound_every_gain_of_it(seed: int, form: str, factor: float) -> None:
    tasks = theory.random_task_set(seed, 0, 2, 2)
    sublevel = theory.SublevelSet.around(tasks, np.zeros((2, 2)), factor)
    gains = sublevel.draw(40, np.random.default_rng(seed))
    assert sublevel.contains(gains).all()
    at, over = theory.constants(tasks, gains, form), theory.sublevel_constants(sublevel, form)
    for name in NORMS + CONSTANTS:
        if name == "xi" and form == "printed":
            continue  # it depends on K_0 alone
        assert (at[name].value <= over[name].value * (1 + 1e-9)).all(), name
    assert (at.h_Delta >= over.h_Delta * (1 - 1e-9)).all()


def test_lemma_12_reaches_no_farther_than_its_proof() -> None:
    """Its constants are those of the widened set, whose least h_Δ is here a thirtieth of that of K = 0.

    At the distance of the latter the meta-objective changes by seven times the corrected right side.
    """
    noise = np.diag([0.01, 1.0])
    tasks = LQRTasks(np.zeros((1, 2, 2)), [[[1e-5], [0.0]]], [np.eye(2)], [[[1e4]]], [noise])
    K0 = np.array([[1e-3, 0.0]])  # zero is the optimum
    result = theory.audit(tasks, K0, 0.0, gains=20, perturbations=2, random_tasks=0)
    row = result.inequalities.index("meta_cost_change")
    assert result.checked[row, 1] > 0
    assert result.broken[row, 1] == 0


def test_draws_reach_the_boundary_and_differ() -> None:
    tasks = random_tasks(2)
    sublevel = theory.SublevelSet.around(tasks, stable_gain(tasks, 2), 2.0)
    gains = sublevel.draw(200, np.random.default_rng(1))
    shares = np.array([(lqr.cost(tasks, gain) / sublevel.levels).max() for gain in gains])
    assert len(np.unique(gains.reshape(200, -1), axis=0)) > 150
    assert (shares > 0.99).sum() >= 10
    assert shares.min() < 0.9


def test_set_is_that_of_the_definition() -> None:
    tasks = random_tasks(4)
    K0 = stable_gain(tasks, 4)
    sublevel = theory.SublevelSet.around(tasks, K0, 1.5)
    best = optimal_gains(tasks).cost
    np.testing.assert_allclose(sublevel.levels, best + 1.5 * (lqr.cost(tasks, K0) - best), rtol=1e-12)
    with pytest.raises(ValueError, match=r"factor is 0.5; give a finite number >= 1, or K0 is not in the set"):
        theory.SublevelSet.around(tasks, K0, 0.5)
    with pytest.raises(UnstablePolicyError, match="K0 does not stabilise"):
        theory.SublevelSet.around(SCALAR, [[2.0]])


# --- typed results ---------------------------------------------------------------------------------------------------


def test_every_quantity_names_its_inputs_and_source() -> None:
    tasks = random_tasks(1)
    K0 = np.zeros((2, 3))
    for form in theory.Form:
        found = theory.requirements(tasks, K0, form)
        assert found.form is form
        for quantity in found.values():
            assert quantity.symbol
            assert quantity.source
            assert set(quantity.inputs) <= set(found)
    with pytest.raises(KeyError, match="there is no quantity 'h_5'; there are state_dim, "):
        found["h_5"]
    with pytest.raises(AttributeError, match="there is no quantity 'h_5'"):
        found.h_5  # noqa: B018


def test_gains_of_one_call_are_those_of_many() -> None:
    tasks = random_tasks(6)
    gains = np.stack([stable_gain(tasks, seed) for seed in range(3)])
    together = theory.constants(tasks, gains, "corrected", adaptation_rate=0.01)
    for place, gain in enumerate(gains):
        alone = theory.constants(tasks, gain, "corrected", adaptation_rate=0.01)
        assert float(alone.h_hess) == pytest.approx(together.h_hess[place], rel=1e-12)
        assert alone.h_meta_grad.shape == ()


# --- audit -----------------------------------------------------------------------------------------------------------


def test_counterexample_keeps_the_perturbation_that_destabilises() -> None:
    """Two tasks as in the test of h_Δ in test_errata_theory.py: most perturbations up to the printed limit do."""
    tasks = scalar_tasks([1e-3, 0.99], q=[1.0, 0.001])
    result = theory.audit(tasks, ZERO, 0.0, gains=10, perturbations=2, random_tasks=0)
    row = result.inequalities.index("stays_stabilising")
    assert result.broken[row].tolist() == [result.broken[row, 0], 0]
    radius = lqr.spectral_radius(tasks, result.K[row, 0] + result.change[row, 0]).max()
    assert radius == pytest.approx(result.worst_ratio[row, 0], rel=1e-12)
    assert radius > 1


# --- theorems --------------------------------------------------------------------------------------------------------


def test_corrected_step_sizes_lower_the_meta_objective_at_the_promised_rate() -> None:
    """One scalar task: exact gradient descent contracts the gap by at least 1 - α λ/2 a step, as the proof says."""
    found = theory.requirements(SCALAR, [[0.1]], "corrected")
    eta, alpha, strength = (float(found[name].value) for name in ("adaptation_rate", "learning_rate", "lambda_meta"))
    assert eta * float(found.h_H) <= 0.25
    assert alpha * float(found.smoothness) == pytest.approx(1.0)
    K, floor = np.array([[0.1]]), float(optimal_gains(SCALAR).cost[0])
    for _ in range(5):
        after = K - alpha * gradient(SCALAR, K, eta)
        fall = objective(SCALAR, K, eta) - objective(SCALAR, after, eta)
        gap = objective(SCALAR, K, eta) - floor
        assert fall >= 0.5 * alpha * strength * gap * (1 - 1e-3)
        K = after
    assert float(found.iterations_for_gap) == pytest.approx(
        2 / (alpha * strength) * math.log(2 * float(found.initial_gap / found.epsilon_0)), rel=1e-12
    )


@pytest.mark.parametrize("seed", [2, 5])
def test_descent_with_errors_falls_as_the_corrected_theorem_2_says(seed: int) -> None:
    """α Σ ‖∇L‖² <= 2 (L(K_0) - L(K_n)) + α Σ ‖e‖² with errors of any size, here half of the gradient; K_n in the set.

    With the α of the theorem; the least of the norms is at most the root of their mean square.
    """
    tasks, K = random_tasks(seed), np.zeros((2, 3))
    found = theory.largest_step_sizes(tasks, K, "corrected")
    eta, alpha = float(found.adaptation_rate), float(found.learning_rate)
    levels = optimal_gains(tasks).cost + 2 * float(found.first_gap) / tasks.p
    rng = np.random.default_rng(seed)
    first, squares, errors = objective(tasks, K, eta), 0.0, 0.0
    for _ in range(30):
        exact = gradient(tasks, K, eta)
        error = rng.standard_normal(K.shape)
        error *= 0.5 * np.linalg.norm(exact) / np.linalg.norm(error)
        squares, errors = squares + np.sum(exact**2), errors + np.sum(error**2)
        K = K - alpha * (exact + error)
        fall = first - objective(tasks, K, eta)
        assert alpha * squares <= 2 * fall + alpha * errors + 1e-12 * first
        assert (lqr.cost(tasks, K) <= levels).all()
    assert fall > 1e-9 * first


def test_corrected_requirements_allow_the_error_that_the_proof_allows() -> None:
    tasks = random_tasks(5)
    found = theory.requirements(tasks, np.zeros((2, 3)), "corrected", target=0.2)
    alpha, N = float(found.learning_rate), float(found.iterations)
    error = float(found.epsilon_meta)
    wanted = 0.2 * np.linalg.norm(gradient(tasks, np.zeros((2, 3)), float(found.adaptation_rate)))
    assert 2 * found.initial_gap / (alpha * N) + error**2 <= wanted**2 * (1 + 1e-12)
    assert alpha * error**2 * N <= float(found.first_gap) * (1 + 1e-12)
    assert float(found.smoothing_radius) * float(found.h_meta_grad) <= error / 12 * (1 + 1e-12)
    every = theory.requirements(tasks, np.zeros((2, 3)), "corrected", target=0.2, every_task=True)
    assert float(every.smoothing_radius) * float(every.h_meta_grad) <= error / 6 * (1 + 1e-12)
    assert float(every.task_batch) == tasks.count
    assert every.perturbations < found.perturbations
    assert float(every.delta_task) == pytest.approx(float(every.delta_meta) / tasks.count, rel=1e-12)


def test_gap_of_theorem_2_promises_nothing_to_unequal_tasks() -> None:
    """V/λ >= the gap of K_0: the promise is what is true. For equal tasks V = 0, and there is something to do."""
    unequal = theory.requirements(random_tasks(5), np.zeros((2, 3)), "corrected")
    assert float(unequal.true_at_start) == 1.0
    assert float(unequal.iterations_for_gap) == 0.0
    assert unequal.initial_gap <= unequal.least_heterogeneity_bias + unequal.epsilon_0
    assert unequal.least_heterogeneity_bias <= unequal.heterogeneity_bias
    equal = theory.requirements(scalar_tasks([0.5, 0.5]), [[0.1]], "corrected")
    assert float(equal.true_at_start) == 0.0
    assert float(equal.least_heterogeneity_bias) == pytest.approx(0.0, abs=1e-20)
    assert equal.iterations_for_gap > 0
    assert equal.heterogeneity_bias > 0, "a bound of the variance from the norms of the gradients"


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_bounds_of_one_task_bound_its_derivatives_within_its_level(seed: int) -> None:
    """Hessians at gains within the level of the task; and no bound is above that which mixes the tasks' worst norms."""
    tasks = theory.random_task_set(seed, 0, 2, 2)
    sublevel = theory.SublevelSet.around(tasks, np.zeros((2, 2)), 2.0)
    found, mixed = constants_by_task(sublevel), theory.sublevel_constants(sublevel, "corrected")
    for name in ("h_H", "h_hess", "h_G", "h_cost", "nu"):
        assert (found[name].value <= mixed[name].value * (1 + 1e-9)).all(), name
    assert (found.h_Delta >= mixed.h_Delta * (1 - 1e-9)).all()
    for task in range(tasks.count):
        alone = sublevel.of_task(task)
        for gain in alone.draw(10, np.random.default_rng(seed)):
            norm = np.abs(np.linalg.eigvalsh(lqr.hessian_matrix(alone.tasks, gain))).max()
            assert norm <= found.h_H[task]
            assert np.linalg.norm(lqr.gradient(alone.tasks, gain)) <= found.h_G[task]


def test_a_task_that_no_input_reaches_has_bounds() -> None:
    tasks = scalar_tasks([0.5, 0.5], [0.0, 1.0])
    found = constants_by_task(theory.SublevelSet.around(tasks, [[0.1]]))
    assert np.isfinite(found.h_H).all()
    assert np.isfinite(found.h_cost).all()
    assert np.isinf(found.h_Delta).tolist() == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize("form", list(theory.Form))
def test_requirements_grow_with_the_demand(form: theory.Form) -> None:
    tasks = random_tasks(8)
    loose, tight = (theory.requirements(tasks, np.zeros((2, 3)), form, target=share) for share in (0.5, 0.01))
    assert tight.iterations > loose.iterations
    if form is theory.Form.CORRECTED:  # printed, the accuracy does not depend on the target
        assert tight.perturbations > loose.perturbations
        assert tight.smoothing_radius < loose.smoothing_radius


def test_impossible_arguments() -> None:
    with pytest.raises(ValueError, match=r"target 0 must be in \(0, 1\]"):
        theory.requirements(SCALAR, ZERO, "printed", target=0)
    with pytest.raises(ValueError, match="B is zero for every task"):
        theory.constants(scalar_tasks(0.5, 0.0), ZERO, "corrected")
    for wrong in ({"gains": 0}, {"perturbations": 0}, {"random_tasks": -1}):
        with pytest.raises(ValueError, match="is not a whole number >= "):
            theory.audit(SCALAR, ZERO, 0.0, **{"gains": 1, "perturbations": 1, "random_tasks": 0} | wrong)


@pytest.mark.parametrize("form", theory.Form)
def test_optimal_start_has_no_sizes(form: theory.Form) -> None:
    found = theory.requirements(SCALAR, optimal_gains(SCALAR).K[0], form)
    assert math.isnan(float(found.iterations))
    assert "the initial gain is the optimum of" in found["perturbations"].note


@pytest.mark.parametrize("form", theory.Form)
def test_target_is_a_share_of_the_gap_at_the_rate_of_the_theorem(form: theory.Form) -> None:
    tasks = scalar_tasks([0.9, 0.1])
    found = theory.requirements(tasks, [[0.359]], form, target=0.1)
    rate = float(found.adaptation_rate)
    gap = objective(tasks, [[0.359]], rate) - meta_gain(tasks, rate).objective
    assert float(found.epsilon_0) == pytest.approx(0.1 * gap, rel=1e-9)
    assert gap > 0


def test_optimum_itself_breaks_nothing() -> None:
    """At a task's optimum both sides of some inequalities are zero but for rounding, which must not count."""
    for tasks in (SCALAR, scalar_tasks([0.9, 0.1]), scalar_tasks(0.0)):
        for shift in (0.0, 1e-8, 1e-7):
            K0 = optimal_gains(tasks).K[0] + shift
            result = theory.audit(tasks, K0, 1e-3, gains=5, perturbations=2, random_tasks=0)
            assert result.count("corrected")[1] == 0


def test_bounds_over_a_set_of_one_gain_bound_that_gain() -> None:
    """K0 is optimal, so S = {K0}; h_Δ there is larger than its lower bound, and other constants contain it."""
    tasks = LQRTasks(np.zeros((1, 2, 2)), [[[1e-3], [0.0]]], [np.diag([1.0, 100.0])], [[[1.0]]], [np.eye(2)])
    K0 = np.zeros((1, 2))
    at = theory.constants(tasks, K0, "corrected")
    over = theory.sublevel_constants(theory.SublevelSet.around(tasks, K0), "corrected")
    for name in ("h_cost", "h_3", "h_grad", "h_hess"):
        assert at[name].value <= over[name].value * (1 + 1e-12)


# --- what rounding decides -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_rounding_breaks_no_corrected_inequality() -> None:
    """K_0 is the optimum of one of the tasks, R is small: both sides of Lemma 10 are zero but for their rounding."""
    A, B = np.array([[[1.1, 0.1], [0.0, a]] for a in (0.5, 0.6)]), np.array([[[0.0], [1.0]]] * 2)
    unit = np.stack([np.eye(2)] * 2)
    for weight in (1e-12, 1e-9, 1e-6):
        tasks = LQRTasks(A, B, unit, weight * np.ones((2, 1, 1)), unit)
        for K0 in (stabilising_gain(tasks), 1.0000001 * optimal_gains(tasks).K[0], optimal_gains(tasks).K.mean(axis=0)):
            result = theory.audit(tasks, K0, 1e-8, gains=4, perturbations=1, random_tasks=0)
            assert result.broken[:, 1].sum() == 0


def test_a_violation_counts_only_beyond_the_rounding_of_both_sides() -> None:
    left, right = np.array([[2e-30, 1.0, 3.0, 1.0]]), np.array([[0.0, 0.5, 2.0, 2.0]])
    ratio = np.array([[np.inf, 2.0, 1.5, 0.5]])
    again = left + np.array([[1e-30, 0.06, 0.001, 0.5]]), right, ratio
    decided = _beyond_rounding((left, right, ratio), again)[2]
    np.testing.assert_array_equal(decided, [[np.nan, np.nan, 1.5, 0.5]])


@pytest.mark.slow
def test_an_optimal_initial_gain_is_left_out_and_said() -> None:
    tasks = similar_tasks(3)
    K0 = optimal_gains(tasks).K[1]
    result = theory.audit(tasks, K0, 1e-3, gains=20, perturbations=1, random_tasks=1)
    assert result.remark.startswith(
        "K_0 is the optimum of task 1 up to rounding, so the set of Definition 2 is one gain"
    )
    assert (result.checked <= 10 * tasks.count).all(), "those of the random tasks"
    alone = theory.audit(tasks, K0, 1e-3, gains=20, perturbations=1, random_tasks=0)
    assert not alone.checked.any()
    found = theory.requirements(tasks, K0, "printed")
    assert found["perturbations"].note == "the initial gain is the optimum of task 1 up to rounding"
    assert np.isnan(found.perturbations)


@pytest.mark.parametrize("form", ["printed", "corrected"])
@pytest.mark.parametrize("unit", [1e-20, 1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_requirements_exist_in_every_unit_of_the_cost_or_say_why_not(form: str, unit: float) -> None:
    two = np.stack([np.eye(2)] * 2)
    A, B = np.array([[[0.9, 0.1], [0.0, a]] for a in (0.5, 0.6)]), np.array([[[0.0], [1.0]]] * 2)
    found = theory.requirements(LQRTasks(A, B, unit * two, unit * np.ones((2, 1, 1)), two), np.zeros((1, 2)), form)
    for each in found.values():
        assert np.isfinite(each.value).all() or np.isinf(each.value).any() or each.note, each.name
    if unit == 1.0:
        assert not any(np.isnan(each.value).any() for each in found.values())


def test_tasks_of_very_different_weights_have_requirements() -> None:
    tasks = scalar_tasks([0.9] * 3, q=[1e-6, 1.0, 1e6])
    for form in ("printed", "corrected"):
        found = theory.requirements(tasks, [[0.0]], form)
        assert float(found.iterations) > 0 or found["iterations"].note
