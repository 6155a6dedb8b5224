"""First-order methods: each step is the one of Section 3.1, each rate is the predicted one."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from systems import Array, bases, central_difference, random_tasks, scalar_tasks, stable_gain, tasks_and_gains

from metalqr import lqr, optimal
from metalqr.evaluation.exact_methods.dataset import METHODS
from metalqr.evaluation.exact_methods.descent import StepSizeError
from metalqr.evaluation.exact_methods.meta_descent import descend_meta, meta_hessian
from metalqr.evaluation.exact_methods.task_descent import descend_tasks
from metalqr.lqr import LQRTasks, PolicyEvaluation, UnstablePolicyError
from metalqr.lqr.performance_difference import cost_change, optimality_gap
from metalqr.objectives import meta

SCALAR = scalar_tasks(0.5)


def above_rounding(tasks: LQRTasks, gap: Array) -> NDArray[np.bool_]:
    return gap > 1e-20 * optimal.optimal_gains(tasks).cost


# --- costs without subtraction


@given(tasks_and_gains(per_task=True))
@settings(max_examples=25)
def test_the_cost_change_is_the_difference_of_the_costs(case: tuple[LQRTasks, Array]) -> None:
    tasks, K = case
    other = 0.7 * K + 0.1 * stable_gain(tasks, 5)
    assume(lqr.is_stabilising(tasks, other).all())
    before, after = PolicyEvaluation(tasks, K), PolicyEvaluation(tasks, other)
    scale = 1e-9 * (before.cost() + after.cost())
    assert np.all(np.abs(cost_change(before, after, other - K) - (after.cost() - before.cost())) <= scale)
    optimum = optimal.optimal_gains(tasks)
    gap = optimality_gap(PolicyEvaluation(tasks, optimum.K), before, K - optimum.K)
    assert np.all(np.abs(gap - (before.cost() - optimum.cost)) <= scale)


def test_a_small_gap_keeps_its_digits() -> None:
    """From K* + t X the gap is t² Tr(Σ* Xᵀ M X) up to t³, also where the costs agree in all their digits."""
    tasks = random_tasks(4)
    optimum = optimal.optimal_gains(tasks)
    best = PolicyEvaluation(tasks, optimum.K)
    direction = np.random.default_rng(0).standard_normal(optimum.K.shape)
    curved = np.einsum("iab,iab->i", direction, best.input_curvature @ direction @ best.state_covariance)
    for size in (1e-6, 1e-9):
        moved = PolicyEvaluation(tasks, optimum.K + size * direction)
        np.testing.assert_allclose(optimality_gap(best, moved, size * direction), size**2 * curved, rtol=1e3 * size)
        assert np.all(np.abs(moved.cost() - optimum.cost) < 1e-9 * optimum.cost)


# --- the steps


@pytest.mark.parametrize(
    ("method", "step", "expected"),
    [("gradient_descent", 0.1, 8 / 45), ("natural_gradient", 0.1, 2 / 15), ("gauss_newton", 0.5, 2 / 7)],
)
def test_scalar_step_by_hand(method: str, step: float, expected: float) -> None:
    """a = 1/2, b = q = r = ψ = 1: J(K) = (1 + K²) / (1 - (1/2 - K)²).

    At K = 0: Σ = P = J = 4/3, E = -P a = -2/3, M = 1 + P = 7/3, and J' = 2 E Σ = -16/9; the quotient rule gives
    (0 · 3/4 - 1 · 1) / (9/16) = -16/9 too. The steps are η 16/9, η 16/9 / (4/3) = η 4/3, and η (4/3) / (7/3) = η 4/7.
    The optimum: P = 1 + P/4 - (P/2)²/(1 + P), so 4P² - P - 4 = 0, J* = P = (1 + √65)/8, K* = (P/2) / (1 + P).
    """
    descent = descend_tasks(SCALAR, [[0.0]], method, 1, step)
    assert descent.K[1, 0, 0, 0] == pytest.approx(expected, rel=1e-14)
    cost = [(1 + K**2) / (1 - (0.5 - K) ** 2) for K in (0.0, expected)]
    np.testing.assert_allclose(descent.gap[:, 0], np.array(cost) - (1 + np.sqrt(65)) / 8, rtol=1e-12)


@pytest.mark.slow
@given(tasks_and_gains(per_task=True))
@settings(max_examples=15)
def test_each_step_is_the_one_of_section_3_1(case: tuple[LQRTasks, Array]) -> None:
    tasks, K0 = case
    gradient, covariance = lqr.gradient(tasks, K0), lqr.state_covariance(tasks, K0)
    natural = gradient @ np.linalg.inv(covariance)
    curvature = tasks.R + tasks.B.swapaxes(1, 2) @ lqr.value_matrix(tasks, K0) @ tasks.B
    expected = {
        "gradient_descent": gradient,
        "natural_gradient": natural,
        "gauss_newton": np.linalg.inv(curvature) @ natural,
    }
    for method, change in expected.items():
        descent = descend_tasks(tasks, K0, method, 1)
        moved = (K0 - descent.K[1]) / descent.step[:, np.newaxis, np.newaxis]
        np.testing.assert_allclose(moved, change, rtol=1e-7, atol=1e-8 * np.abs(change).max())


@given(tasks_and_gains())
@settings(max_examples=15)
def test_gauss_newton_with_one_half_is_policy_iteration(case: tuple[LQRTasks, Array]) -> None:
    r"""K' = (R + Bᵀ P_K B)⁻¹ Bᵀ P_K A, because K - M⁻¹ (M K - Bᵀ P_K A) = M⁻¹ Bᵀ P_K A."""
    tasks, K0 = case
    descent = descend_tasks(tasks, K0, "gauss_newton", 3, 0.5)
    for here, there in zip(descent.K[:-1], descent.K[1:], strict=True):
        through = tasks.B.swapaxes(1, 2) @ lqr.value_matrix(tasks, here)
        improved = np.linalg.solve(tasks.R + through @ tasks.B, through @ tasks.A)
        np.testing.assert_allclose(there, improved, rtol=1e-12, atol=1e-12 * max(1.0, np.abs(here).max()))


def test_policy_iteration_converges_quadratically() -> None:
    """J(K') - J* <= C (J(K) - J*)² with C = ‖B M*⁻¹ Bᵀ‖ Tr(A* Σ' A*ᵀ) / σ_min(Ψ)², for every K.

    K' - K* = M_K⁻¹ Bᵀ (P_K - P*) A*, so Tr(Σ' (K' - K*)ᵀ M* (K' - K*)) <= ‖B M*⁻¹ Bᵀ‖ ‖P_K - P*‖² Tr(A* Σ' A*ᵀ)
    because M_K⁻¹ M* M_K⁻¹ <= M*⁻¹, and ‖P_K - P*‖ <= Tr((P_K - P*) Ψ) / σ_min(Ψ).
    """
    tasks = random_tasks(2, 4, 4, 2)
    optimum = optimal.optimal_gains(tasks)
    best = PolicyEvaluation(tasks, optimum.K)
    through = tasks.B @ np.linalg.solve(best.input_curvature, tasks.B.swapaxes(1, 2))
    descent = descend_tasks(tasks, np.zeros((2, 4)), "gauss_newton", 5)
    noise = np.linalg.eigvalsh(tasks.Psi)[:, 0]
    for n in range(5):
        spread = best.closed_loop @ lqr.state_covariance(tasks, descent.K[n + 1]) @ best.closed_loop.swapaxes(1, 2)
        constant = np.linalg.norm(through, 2, axis=(1, 2)) * np.trace(spread, axis1=1, axis2=2) / noise**2
        assert np.all(descent.gap[n + 1] <= constant * descent.gap[n] ** 2 + 1e-25 * optimum.cost)
    assert np.all(descent.gap[0] > optimum.cost)
    assert np.all(descent.gap[5] < 1e-15 * optimum.cost)


# --- the bounds


@pytest.mark.slow
@given(tasks_and_gains(per_task=True), st.sampled_from(list(METHODS)), st.floats(0.05, 1.95))
@settings(max_examples=40)
def test_every_step_obeys_the_guaranteed_rate(case: tuple[LQRTasks, Array], method: str, share: float) -> None:
    """For shares of the default step up to nearly twice it, where the guarantee of all three ends."""
    tasks, K0 = case
    default = descend_tasks(tasks, K0, method, 12)
    try:
        descent = descend_tasks(tasks, K0, method, 12, share * default.step)
    except UnstablePolicyError:  # of what is guaranteed to stabilise, this would be a failure
        assert method == "gradient_descent"
        assume(False)
    for found in (default, descent):
        known = ~np.isnan(found.guaranteed_rate)
        assert known.all() or (found is descent and method == "gradient_descent")
        assert np.all(found.guaranteed_rate[known] < 1.0)
        assert np.all(found.guaranteed_rate[known] >= 0.0)
        bound = found.guaranteed_rate * found.gap[:-1] * (1 + 1e-9)
        counts = above_rounding(tasks, found.gap[:-1]) & known
        assert np.all((found.gap[1:] <= bound)[counts])


@pytest.mark.slow
@given(tasks_and_gains())
@settings(max_examples=15)
def test_gradient_descent_takes_a_step_that_is_sure_and_hardly_shorter_than_needed(
    case: tuple[LQRTasks, Array],
) -> None:
    tasks, K0 = case
    descent = descend_tasks(tasks, K0, "gradient_descent", 10)
    best = PolicyEvaluation(tasks, optimal.optimal_gains(tasks).K)
    norm = 2 * np.linalg.norm(best.input_curvature, 2, axis=(1, 2)) * np.linalg.norm(best.state_covariance, 2, (1, 2))
    halvings = -np.log2(descent.step * norm)
    np.testing.assert_allclose(halvings, np.round(halvings), atol=1e-9)
    counts = above_rounding(tasks, descent.gap[:-1])
    for n in range(10):
        slope = np.square(lqr.gradient(tasks, descent.K[n])).sum(axis=(1, 2))
        fall = descent.gap[n] - descent.gap[n + 1]
        assert np.all((fall >= (0.5 - 1e-6) * descent.step * slope)[counts[n]])
    for task in np.flatnonzero(np.round(halvings) >= 1):
        double = np.array(descent.step)
        double[task] *= 2
        try:
            longer = descend_tasks(tasks, K0, "gradient_descent", 10, double)
        except UnstablePolicyError as error:
            too_long = list(error.task_indices) == [task]
        else:
            too_long = double[task] * longer.curvature[task] > 1.0
        assert too_long


@pytest.mark.slow
def test_gradient_dominance_of_the_guarantee_holds_at_random_gains() -> None:
    """λ = 4 σ_min(Ψ) κ λ_min(M*), read from the rate of one step: rate = 1 - η (1 - η h / 2) λ."""
    tasks = random_tasks(11, 3, 3, 2)
    for seed in range(20):
        K = stable_gain(tasks, seed, per_task=True)
        descent = descend_tasks(tasks, K, "gradient_descent", 1)
        share = descent.step * (1 - 0.5 * descent.step * descent.curvature)
        dominance = (1 - descent.guaranteed_rate) / share
        slope = np.square(lqr.gradient(tasks, K)).sum(axis=(1, 2))
        assert np.all(slope >= dominance * descent.gap[0])
        covariance = lqr.state_covariance(tasks, optimal.optimal_gains(tasks).K)
        least = [np.linalg.eigvalsh(matrices)[:, 0] for matrices in (tasks.Psi, tasks.R)]
        printed = 4 * least[0] ** 2 * least[1] / np.linalg.norm(covariance, 2, axis=(1, 2))
        assert np.all(dominance >= printed)


# --- the limits


@pytest.mark.parametrize("method", list(METHODS))
def test_the_linearisation_is_the_derivative_of_the_iteration(method: str) -> None:
    """Its multipliers are the eigenvalues of the Jacobian at the optimum, here by finite differences."""
    tasks = random_tasks(8, 2, 3, 2)
    best = optimal.optimal_gains(tasks).K
    step = 0.4 * descend_tasks(tasks, best, method, 1).step

    def iterate(K: Array) -> Array:
        return descend_tasks(tasks, K, method, 1, step).K[1]

    columns = [central_difference(iterate, best, unit, step=1e-4).reshape(2, -1) for unit in bases((2, 3))]
    jacobians = np.stack(columns, axis=-1)
    asymptotic = descend_tasks(tasks, best, method, 1, step).asymptotic_rate
    for jacobian, rate in zip(jacobians, asymptotic, strict=True):
        assert np.abs(np.linalg.eigvals(jacobian)).max() ** 2 == pytest.approx(rate, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "step", "iterations"),
    [
        ("gradient_descent", None, 500),
        ("natural_gradient", None, 150),
        ("gauss_newton", 0.4, 40),
        ("gauss_newton", 0.7, 40),
    ],
)
def test_measured_rates_are_the_predicted_ones(method: str, step: float | None, iterations: int) -> None:
    """To 1 % of 1 - rate in the limit, which every run here reaches before the gap is rounding."""
    tasks = random_tasks(6, 3, 2, 2, radius=0.6)
    descent = descend_tasks(tasks, np.zeros((2, 2)), method, iterations, step)
    np.testing.assert_allclose(1 - descent.measured_rate, 1 - descent.asymptotic_rate, rtol=1e-2)
    np.testing.assert_allclose(1 - descent.measured_rate, 1 - descent.linearised_rate, rtol=1e-2)
    if step is not None:
        np.testing.assert_allclose(descent.asymptotic_rate, (1 - 2 * step) ** 2, rtol=1e-12)


@pytest.mark.slow
def test_the_linearised_rate_is_measured_long_before_the_limit() -> None:
    """Eigenvalues of the Hessian over five orders of magnitude: after 300 steps the slowest mode rules nothing yet."""
    eye, noise = np.eye(6), np.diag(np.logspace(0, -5, 6))
    tasks = LQRTasks(A=[0.3 * eye], B=[eye], Q=[eye], R=[eye], Psi=[noise])
    near = optimal.optimal_gains(tasks).K + 0.01
    descent = descend_tasks(tasks, near, "gradient_descent", 300)
    assert descent.asymptotic_rate[0] > 0.9999
    assert 1 - descent.measured_rate[0] > 10 * (1 - descent.asymptotic_rate[0])
    assert 1 - descent.measured_rate[0] == pytest.approx(1 - descent.linearised_rate[0], rel=0.01)


def test_from_the_optimum_there_is_no_rate_to_measure() -> None:
    tasks = random_tasks(1)
    best = optimal.optimal_gains(tasks).K
    for method in METHODS:
        descent = descend_tasks(tasks, best, method, 3)
        assert np.isnan(descent.measured_rate).all()
        assert np.isnan(descent.linearised_rate).all()
        assert np.isnan(descent.gap).all()
        assert descent.remark == "K_0 is the optimum of task 0, 1, 2 up to rounding: no gap to close"
        mixed = descend_tasks(tasks, np.stack([best[0], *(0.9 * best[1:])]), method, 3)
        assert np.isnan(mixed.gap[:, 0]).all()
        assert (mixed.gap[0, 1:] > 0).all()
        assert mixed.remark == "K_0 is the optimum of task 0 up to rounding: no gap to close"


# --- the meta-objective


@pytest.mark.slow
def test_of_one_task_without_adaptation_it_is_its_gradient_descent() -> None:
    tasks = random_tasks(6, 1, 3, 1)
    single = descend_tasks(tasks, np.zeros((1, 3)), "gradient_descent", 200)
    meta = descend_meta(tasks, np.zeros((1, 3)), 0.0, optimal.optimal_gains(tasks).K[0], 200)
    assert meta.step == pytest.approx(single.step, rel=1e-6)
    np.testing.assert_allclose(meta.gap, single.gap, rtol=1e-3, atol=1e-18)
    for name in ("asymptotic_rate", "linearised_rate", "measured_rate"):
        assert getattr(meta, name) == pytest.approx(getattr(single, name), rel=1e-5)


@pytest.fixture(scope="module")
def learnt() -> tuple[LQRTasks, float, Array]:
    """Tasks, an adaptation rate that matters, and the optimum of their meta-objective."""
    tasks = random_tasks(5, 3, 2, 2, radius=0.6, spread=0.3)
    return tasks, 0.02, optimal.meta_gain(tasks, 0.02).K


def test_meta_descent_goes_to_the_optimum_at_the_predicted_rate(learnt: tuple[LQRTasks, float, Array]) -> None:
    tasks, rate, optimum = learnt
    assert np.linalg.norm(optimum - optimal.shared_gain(tasks).K) > 1e-4, "the adaptation must matter"
    descent = descend_meta(tasks, np.zeros((2, 2)), rate, optimum, 60)
    value = meta.objective(tasks, optimum, rate)
    for n in (0, 3, 10):
        cost = meta.objective(tasks, descent.K[n, 0], rate)
        assert descent.gap[n, 0] == pytest.approx(cost - value, rel=1e-9, abs=1e-12 * value)
        np.testing.assert_allclose(
            descent.K[n + 1, 0],
            descent.K[n, 0] - descent.step * meta.gradient(tasks, descent.K[n, 0], rate),
            rtol=1e-13,
        )
    assert 1 - descent.measured_rate == pytest.approx(1 - descent.asymptotic_rate, rel=1e-2)
    assert 1 - descent.measured_rate == pytest.approx(1 - descent.linearised_rate, rel=1e-2)
    assert descent.gap[-1] < 1e-12 * descent.gap[0]
    assert descent.step * descent.curvature <= 1.0


def test_meta_hessian_agrees_with_second_differences_of_the_objective(learnt: tuple[LQRTasks, float, Array]) -> None:
    tasks, rate, _ = learnt
    K = np.full((2, 2), 0.1)
    hessian, width = meta_hessian(tasks, K, rate), 1e-3

    def value(change: Array) -> float:
        return meta.objective(tasks, K + change, rate)

    for row, one in enumerate(bases((2, 2))):
        for column, other in enumerate(bases((2, 2))):
            both, apart = width * (one + other), width * (one - other)
            second = (value(both) + value(-both) - value(apart) - value(-apart)) / (4 * width**2)
            assert hessian[row, column] == pytest.approx(second, abs=1e-4 * np.abs(hessian).max())
    assert np.linalg.eigvalsh(hessian)[0] > 0


# --- errors

DESCEND: dict[str, Any] = {"tasks": SCALAR, "K0": [[0.0]], "method": "gradient_descent", "iterations": 3}
META: dict[str, Any] = {
    "tasks": SCALAR, "K0": [[0.0]], "adaptation_rate": 0.0, "optimum": optimal.optimal_gains(SCALAR).K[0],
    "iterations": 3,
}  # fmt: skip
UNSTABLE_STEP = "the gain of iteration 1 does not stabilise task 0"
ADVICE = "the spectral radius of A - B K must be below 1; take a smaller step"
NO_METHOD = "method: 'newton' is not one of gradient_descent, natural_gradient, gauss_newton"
NO_MINIMUM = "optimum is no minimum of the meta-objective with the adaptation rate 0.0: the smallest eigenvalue"
#: Of this gain the adaptation is unstable.
ADAPTED = {"K0": [[-0.45]], "adaptation_rate": 0.1, "optimum": [[0.2655644370746374]]}


@pytest.mark.parametrize(
    ("function", "changes", "message"),
    [
        (descend_tasks, {"iterations": 0}, "iterations: 0 is not a whole number >= 1"),
        (descend_tasks, {"step": 0.0}, "step: 0.0 is not a finite number > 0"),
        (descend_tasks, {"step": [np.inf]}, "step: inf is not a finite number > 0"),
        (descend_tasks, {"step": [0.1, 0.1]}, "step has shape (2,), expected () or (1,)"),
        (descend_tasks, {"method": "newton"}, NO_METHOD),
        (descend_tasks, {"K0": [[0.0, 1.0]]}, "K0 has shape (1, 2), expected (1, 1)"),
        (descend_tasks, {"K0": [[2.0]]}, "K0 does not stabilise task 0 (spectral radius 1.5)"),
        (descend_tasks, {"step": 1.0}, f"{UNSTABLE_STEP} (spectral radius 1.27777778): {ADVICE}"),
        (descend_tasks, {"step": 1.5e308}, f"{UNSTABLE_STEP} (spectral radius inf)"),
        (descend_meta, {"step": [0.1, 0.1]}, "step has shape (2,), expected () or (1,)"),
        (descend_meta, {"step": -1.0}, "step: -1.0 is not a finite number > 0"),
        (descend_meta, {"adaptation_rate": -1.0}, "adaptation_rate: -1.0 is not >= 0"),
        (descend_meta, {"optimum": [0.0]}, "optimum has shape (1,), expected (1, 1): one gain for all"),
        (descend_meta, {"optimum": [[0.0]]}, NO_MINIMUM),
        (descend_meta, ADAPTED, "K0, after its adaptation, does not stabilise task 0"),
        (descend_meta, {"step": 1.0}, UNSTABLE_STEP),
        (descend_meta, {"step": 1.5e308}, UNSTABLE_STEP),
    ],
)
def test_bad_input_is_named(function: Callable[..., Any], changes: dict[str, Any], message: str) -> None:
    error = UnstablePolicyError if "does not stabilise" in message else ValueError
    with pytest.raises(error, match=re.escape(message)):
        function(**(DESCEND if function is descend_tasks else META) | changes)


def test_a_search_for_a_step_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metalqr.evaluation.exact_methods.descent.MAX_HALVINGS", 1)
    with pytest.raises(StepSizeError, match=r"no step among 1 halvings of \[.*\] gives a sufficient decrease"):
        descend_tasks(SCALAR, [[-0.49]], "gradient_descent", 3)


def test_all_tasks_at_once_are_each_task_alone() -> None:
    tasks = random_tasks(9, 3, 3, 2)
    names = ("gap", "step", "curvature", "guaranteed_rate", "asymptotic_rate", "linearised_rate", "measured_rate")
    for method in METHODS:
        together = descend_tasks(tasks, np.zeros((2, 3)), method, 8)
        for task in range(3):
            alone = descend_tasks(tasks.subset([task]), np.zeros((2, 3)), method, 8)
            for name in names:
                one, other = getattr(alone, name)[..., 0], getattr(together, name)[..., task]
                np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-24, err_msg=name)


@pytest.mark.parametrize(("unit", "rate"), [(1.0, 1e-4), (1e3, 1e-6), (1e6, 1e-8)])
def test_gain_entries_of_different_units_harm_no_hessian(unit: float, rate: float) -> None:
    """A mass on rails: the stable gains are a narrow strip, which a step of a difference would leave."""
    masses = unit * np.array([0.40, 0.42, 0.45])
    A, two = np.stack([[[1.0, 1.0], [0.0, 1.0]]] * 3), np.stack([np.eye(2)] * 3)
    tasks = LQRTasks(A, [[[0.5 / m], [1.0 / m]] for m in masses], two, np.ones((3, 1, 1)), two)
    best = optimal.meta_gain(tasks, rate).K
    assert np.linalg.eigvalsh(meta_hessian(tasks, best, rate))[0] > 0
    descent = descend_meta(tasks, optimal.starting_gain(tasks).K, rate, best, 5)
    assert (np.diff(descent.gap[:, 0]) < 0).all()


def test_without_noise_of_full_rank_there_is_no_bound_and_all_else() -> None:
    tasks = random_tasks(3, 2, 2, 1, radius=0.6)
    tasks = tasks.replace(Psi=np.stack([np.eye(2), np.outer([1.0, 2.0], [1.0, 2.0])]), S=np.full((2, 2, 1), 0.05))
    for method in METHODS:
        found = descend_tasks(tasks, np.zeros((1, 2)), method, 30)
        np.testing.assert_array_equal(np.isnan(found.guaranteed_rate), [False, True])
        assert found.remark == "the rate of task 1 has no bound, because its noise has not full rank"
        assert (found.gap[-1] < 0.5 * found.gap[0]).all()
        assert np.isfinite(found.asymptotic_rate).all()


def test_modes_that_no_noise_reaches_do_not_decide_the_rate() -> None:
    """x_1 decays by itself and is never excited: gradient descent leaves its gain alone, and converges all the same."""
    A, B = np.diag([0.8, 0.5]), np.array([[1.0], [0.0]])
    one = np.eye(2)
    tasks = LQRTasks([A], [B], [one], [[[1.0]]], [np.diag([1.0, 0.0])])
    found = descend_tasks(tasks, [[0.1, 0.2]], "gradient_descent", 40)
    alone = descend_tasks(scalar_tasks(0.8), [[0.1]], "gradient_descent", 40, step=found.step)
    np.testing.assert_allclose(found.gap, alone.gap, rtol=1e-6)
    np.testing.assert_allclose(found.asymptotic_rate, alone.asymptotic_rate, rtol=1e-9)
