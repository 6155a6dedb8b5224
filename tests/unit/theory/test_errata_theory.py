"""Entries 8 to 26 of docs/errata.md: printed bounds that fail, each by one example, and the corrected ones there."""

import math

import numpy as np
import pytest
from systems import Array, scalar_tasks

from metalqr import lqr, theory
from metalqr.lqr import LQRTasks, PolicyEvaluation
from metalqr.objectives.meta import gradient, objective
from metalqr.optimal import meta_gain, optimal_gains, shared_gain
from metalqr.theory import Form
from metalqr.theory.differences import value_derivative

ZERO = np.zeros((1, 1))
STEP = np.full((1, 1), 1e-9)


def both_sides(
    name: str, form: str, tasks: LQRTasks, K: Array = ZERO, change: Array = STEP, rate: float = 0.0
) -> tuple[float, float]:
    found = theory.compare(tasks, np.zeros_like(K), K, change, form, rate)
    (wanted,) = (comparison for comparison in found if comparison.name == name)
    return wanted.left, wanted.right


def fails_as_printed(name: str, *arguments: object, **keywords: object) -> float:
    """The inequality fails as printed and holds as corrected; by how much it fails."""
    left, right = both_sides(name, "printed", *arguments, **keywords)  # type: ignore[arg-type]
    assert left > right
    corrected_left, corrected_right = both_sides(name, "corrected", *arguments, **keywords)  # type: ignore[arg-type]
    assert corrected_left <= corrected_right * (1 + 1e-9)
    return left / right if right > 0 else math.inf


def test_mu_belongs_to_the_process_noise() -> None:
    """With Σ0 = 100 Ψ, what is printed with μ of Σ0 fails; the cost does not depend on Σ0."""
    tasks = scalar_tasks(0.5, Sigma0=[[[100.0]]])
    for name in ("domination_from_below", "advantage_norm", "lyapunov_norm"):
        fails_as_printed(name, tasks)
    fails_as_printed("twice_advantage_norm", tasks, np.array([[0.1]]))
    assert lqr.cost(tasks, ZERO) == pytest.approx(lqr.cost(scalar_tasks(0.5), ZERO), rel=1e-15)


def test_h_g_lacks_a_factor_of_two() -> None:
    """∇J = -16/9; the printed bound is 0.912 (see test_scalar_constants_by_hand for both)."""
    left, right = both_sides("gradient_norm", "printed", scalar_tasks(0.5))
    assert left == pytest.approx(16 / 9, rel=1e-12)
    assert right == pytest.approx(0.912, abs=5e-4)
    fails_as_printed("gradient_norm", scalar_tasks(0.5))


def test_h_c_needs_a_frobenius_norm() -> None:
    """A = I/2, B = Q = Ψ = I, R = 100 I: at the optimum K = p/(2(100 + p)) I, whose Frobenius norm has a √2."""
    eye = np.eye(2)[np.newaxis]
    tasks = LQRTasks(0.5 * eye, eye, eye, 100 * eye, eye)
    ratio = fails_as_printed("gain_norm", tasks, optimal_gains(tasks).K[0], np.full((2, 2), 1e-9))
    assert ratio == pytest.approx(1.4, abs=0.02)


def test_the_minus_one_of_xi_stands_outside_the_bracket() -> None:
    """a = b = q = r = 0.1: printed, ξ̃ and h_H are negative, and so would be the norms that they bound."""
    tasks = scalar_tasks(0.1, 0.1, 0.1, 0.1)
    constants = theory.constants(tasks, ZERO, "printed")
    assert constants.xi < 0
    assert constants.h_H < 0
    fails_as_printed("value_derivative_norm", tasks)
    fails_as_printed("hessian_norm", tasks)
    small = scalar_tasks(0.1, 0.1, 1.0, 0.1)
    derivative = value_derivative(PolicyEvaluation(small, ZERO), np.ones((1, 1, 1)))
    relative = float(np.abs(derivative / lqr.value_matrix(small, ZERO))[0, 0, 0])
    assert theory.constants(small, ZERO, "printed").h_6 < relative + 0.1
    corrected = theory.constants(small, ZERO, "corrected")
    assert corrected.h_6 >= relative
    outside = ((1 + corrected.B_max**2) * corrected.J_max / corrected.mu + corrected.R_max) / corrected.q - 1
    assert corrected.xi <= outside


def test_h_h_fails_with_a_positive_xi() -> None:
    """σ_min(Q) is 1e-4 where ‖Q‖ = 1 is printed, and the noise lives where the state costs little.

    With A and B next to zero Σ = Ψ and ∇²J[X] = 2 R X Σ, of norm 2; J = 0.0011.
    """
    eye = np.eye(2)[np.newaxis]
    weight, noise = np.diag([1.0, 1e-4])[np.newaxis], np.diag([1e-3, 1.0])[np.newaxis]
    tasks = LQRTasks(0.01 * eye, 1e-3 * eye, weight, eye, noise)
    assert theory.constants(tasks, np.zeros((2, 2)), "printed").xi > 1
    left, _ = both_sides("hessian_norm", "printed", tasks, np.zeros((2, 2)), np.full((2, 2), 1e-9))
    assert left == pytest.approx(2.0, rel=1e-3)
    assert fails_as_printed("hessian_norm", tasks, np.zeros((2, 2)), np.full((2, 2), 1e-9)) > 100


def test_h_delta_needs_the_least_of_the_tasks() -> None:
    """Task 2 (a = 0.99, q = 0.001) is nearly unstable and costs little; the printed limit is that of task 1."""
    tasks = scalar_tasks([0.0, 0.99], q=[1.0, 0.001])
    printed, corrected = (np.full((1, 1), -float(theory.constants(tasks, ZERO, form).h_Delta)) for form in Form)
    assert lqr.spectral_radius(tasks, printed).max() > 1.05
    assert np.subtract(*both_sides("stays_stabilising", "printed", tasks, ZERO, printed)) > 0
    assert np.subtract(*both_sides("stays_stabilising", "corrected", tasks, ZERO, corrected)) < 0


def test_h_cost_fails_and_h_3_with_it() -> None:
    """a = 0.5, b = q = ψ = 1, r = 0.001, K = 0, at minus the printed h_Δ = 1/8: the cost changes by 0.31."""
    tasks = scalar_tasks(0.5, r=0.001)
    change = np.full((1, 1), -float(theory.constants(tasks, ZERO, "printed").h_Delta))
    left, right = both_sides("cost_change", "printed", tasks, ZERO, change)
    difference = lqr.cost(tasks, change)[0] - lqr.cost(tasks, ZERO)[0]
    assert left == pytest.approx(abs(difference), rel=1e-12)
    assert left == pytest.approx(0.308, abs=1e-3)
    assert right < 1e-4
    for name in ("cost_change", "value_change", "sample_norm"):
        fails_as_printed(name, tasks, ZERO, change)
    assert theory.constants(tasks, ZERO, "printed").h_3 == 0


def test_h_grad_rests_on_h_cost() -> None:
    """Printed, h_grad contains h_cost of the last test, which is too small by three decades; corrected, it does not."""
    tasks = scalar_tasks(0.5, r=0.001)
    printed, corrected = (theory.constants(tasks, ZERO, form) for form in Form)
    assert "h_cost" in printed["h_grad"].inputs
    assert "h_cost" not in corrected["h_grad"].inputs
    assert printed.h_cost < 1e-2 * corrected.h_cost
    left, right = both_sides("gradient_change", "corrected", tasks)
    assert left <= right


def test_h_hess_fails() -> None:
    """A trace is printed where a norm is needed: here it is -0.9, and the bound is negative."""
    tasks = scalar_tasks(-0.9, 0.0035, 0.5, 0.002)
    c = theory.constants(tasks, ZERO, "printed")
    assert c.h_hess < 0
    fails_as_printed("hessian_change", tasks)
    # The root of h_6 over the whole product: the other reading of the text.
    h_6 = math.sqrt((c.R_max + (1 + c.B_max**2) / c.mu_0 * c.J_max) / c.q) - 1
    h_2 = h_6 * c.h_4 * c.A_K_trace / c.mu_0 + c.B_max * h_6 * c.mu_tilde * c.nu + c.mu_tilde * c.h_7 / c.q
    assert 2 * (c.h_1 + 2 * c.B_max * c.J_max * h_2) < 0


def test_h_8_inherits_h_3() -> None:
    """At K = 0, h_3 = 0, and E is said to change no more than by (R + ‖B‖² J/μ)Δ; a = 0.9 makes the rest large."""
    assert fails_as_printed("advantage_change", scalar_tasks(0.9, r=0.01)) > 1.5


def test_gradient_domination_is_by_the_tasks_own_optimum() -> None:
    """With Σ of the meta-optimum, as Lemma 10 says, the second inequality fails near the optimum of a costly task."""
    tasks = scalar_tasks(0.9, r=[100.0, 0.01])
    best = optimal_gains(tasks)
    near = best.K[0] - 0.01
    evaluation = PolicyEvaluation(tasks, near)
    gap = evaluation.cost()[0] - best.cost[0]
    square = float(evaluation.advantage[0, 0, 0] ** 2)
    own, shared = (lqr.state_covariance(tasks, K)[0, 0, 0] for K in (best.K[0], meta_gain(tasks, 0.0).K))
    assert gap > shared / 100.0 * square
    assert gap <= own / 100.0 * square
    for name in ("domination_by_advantage", "gradient_domination"):
        left, right = both_sides(name, "corrected", tasks, near)
        assert left <= right
    left, right = both_sides("domination_by_advantage", "printed", tasks, near)
    assert left > right


def test_meta_gradient_bound_inherits_h_g() -> None:
    """At η = 0, d = k = 1 and one task it is h_G itself, which is half of what is needed."""
    fails_as_printed("meta_gradient_norm", scalar_tasks(0.5))


def test_meta_lipschitz_constants_fail() -> None:
    """h_{L,cost} with h_cost; h_{L,grad} with h_hess twice, which vanishes with b while the Hessian tends to 2 r Σ."""
    fails_as_printed("meta_cost_change", scalar_tasks(0.5, r=0.001))
    assert fails_as_printed("meta_gradient_change", scalar_tasks(0.008, 0.001, 0.0065, 0.1)) > 50


def test_horizons_depend_on_the_initial_state() -> None:
    """Σ0 = 100: after 20 steps the mean is far from the stationary one; printed, μ = 100 makes it near at once."""
    tasks = scalar_tasks(0.9, Sigma0=[[[100.0]]])
    for name in ("covariance_horizon_error", "cost_horizon_error"):
        fails_as_printed(name, tasks)


def test_radius_of_lemma_7_is_circular() -> None:
    """r <= h_r¹(1/ε') with ε' = ε r/(6 dk h_cost J): halving r halves what it must be below, so no r will do."""
    tasks = scalar_tasks(0.5)
    constants = theory.sublevel_constants(theory.SublevelSet.around(tasks, ZERO), "printed")
    error = 0.1
    for radius in np.geomspace(1e-12, 1.0, 25):
        inner = error * radius / (6 * float(constants.h_cost * constants.J_max))
        assert theory.gradient_estimation(constants, inner, 0.1).h_r_1 < radius


def test_a_task_leaves_its_sub_level_set() -> None:
    """The first of two tasks starts just beyond its optimum: the first exact step, however short, raises its cost."""
    tasks = scalar_tasks([0.5, 0.9], r=[10.0, 0.1])
    K0, rate = optimal_gains(tasks).K[0] + 0.001, 1e-6
    sublevel = theory.SublevelSet.around(tasks, K0)
    assert sublevel.contains(K0[np.newaxis])[0]
    for step in np.geomspace(1e-2, 1e-6, 5):
        after = K0 - step * gradient(tasks, K0, rate)
        assert objective(tasks, after, rate) < objective(tasks, K0, rate)
        assert not sublevel.contains(after[np.newaxis])[0]


@pytest.mark.slow
def test_averages_of_gradients_are_not_gradients_of_averages() -> None:
    """At the best single gain E∇J_i vanishes, E‖∇J_i‖² does not, and the printed right sides of Theorem 1 do."""
    tasks = scalar_tasks([0.5, 0.9], r=[10.0, 0.1])
    K, rate = shared_gain(tasks).K, 1e-3
    gradients = lqr.gradient(tasks, K)
    assert np.abs(tasks.p @ gradients[:, 0, 0]) < 1e-8
    assert tasks.p @ gradients[:, 0, 0] ** 2 > 1e-2
    for name in ("adaptation_bias", "meta_gradient_by_gradient"):
        left, right = both_sides(name, "printed", tasks, K, rate=rate)
        assert left > 1e-4
        assert right < 1e-12
        left, right = both_sides(name, "corrected", tasks, K, rate=rate)
        assert 0 < left <= right


def test_learning_rate_of_theorem_1_is_that_of_the_proof() -> None:
    """The proof's α is smaller by ½ - φ1 <= ½: with the printed one the descent of its last line is not there."""
    constants = theory.largest_step_sizes(scalar_tasks(0.5), ZERO, "printed")
    in_proof = (0.5 - constants.phi_1) / (2 * constants.phi_2 * constants.h_grad)
    assert constants.learning_rate >= 2 * in_proof
    slope = constants.phi_1 + constants.phi_2 * constants.learning_rate * constants.h_grad - 0.5
    assert slope >= 0
    assert constants.phi_1 + constants.phi_2 * in_proof * constants.h_grad - 0.5 < 0


def test_squares_of_theorem_2() -> None:
    """‖(I - ηH)g‖² >= ‖g‖² - ‖ηHg‖² is printed; with one task and H > 0 it fails for every η < 1/H."""
    tasks = scalar_tasks(0.5)
    evaluation = PolicyEvaluation(tasks, ZERO)
    g = evaluation.gradient()
    curved = evaluation.hessian_vector_product(g)
    largest = float(theory.constants(tasks, ZERO, "corrected").h_H)
    for rate in (1e-3, 0.1 / largest, 1 / largest):
        left = np.vdot(g - rate * curved, g - rate * curved)
        assert left < np.vdot(g, g) - np.vdot(rate * curved, rate * curved)
        assert left >= (1 - rate * largest) ** 2 * np.vdot(g, g)


def two_valleys() -> LQRTasks:
    """Two tasks with B = I, R = 0.1 I, Ψ = I, whose common stabilising gains are two separate sets."""
    eye = np.stack([np.eye(2)] * 2)
    A = np.array([np.zeros((2, 2)), [[0.0, 4.0], [4.0, 0.0]]])
    return LQRTasks(A, eye, np.array([np.diag([1.0, 1.5]), np.eye(2)]), 0.1 * eye, eye)


def test_gradient_descent_stays_in_the_worse_of_two_valleys() -> None:
    """The conclusion of Theorem 2 fails where Σ0 = Ψ, d = k = 2 and γ = 1: the better minimum is in S, out of reach.

    Both minima are strict. With η -> 0 the printed inequality fails at the worse one, where ∇L = 0.
    """
    tasks = two_valleys()
    better, worse = (shared_gain(tasks, start) for start in ([[0, 4], [0, 0]], [[0, 0], [4, 0]]))
    assert better.objective == pytest.approx(32.398, abs=5e-4)
    assert worse.objective == pytest.approx(36.409, abs=5e-4)
    for found in (better, worse):
        hessian = np.tensordot(tasks.p, lqr.hessian_matrix(tasks, found.K), axes=1)
        assert np.linalg.eigvalsh(hessian)[0] > 7.7
        assert np.linalg.norm(gradient(tasks, found.K, 0.0)) < 1e-6
    assert theory.SublevelSet.around(tasks, worse.K).contains(better.K[np.newaxis])[0]
    left, right = (
        next(
            each
            for each in theory.compare(tasks, worse.K, worse.K, np.full((2, 2), 1e-9), form)
            if each.name == "meta_gradient_domination"
        )
        for form in Form
    )
    assert left.left > 0.3
    assert left.right < 1e-12
    assert right.left <= right.right
    # No gain with K_12 = K_21 stabilises both, so no path leads from one to the other.
    rng = np.random.default_rng(0)
    K = rng.uniform(-4.0, 6.0, size=(3000, 2, 2))
    K[:, 1, 0] = K[:, 0, 1]
    batch = lqr.tiled(tasks, len(K))
    stable = lqr.is_stabilising(batch, np.repeat(K, 2, axis=0)).reshape(-1, 2)
    assert stable.any(axis=0).all()
    assert not stable.all(axis=1).any()


def test_h_grad_fails_inside_the_printed_h_delta() -> None:
    """Σ0 = Ψ and a change of a thirteenth of the printed h_Δ: the gradient changes by over a thousand times the bound.

    A single scalar task with Δ = -h_Δ comes within a third of the bound.
    """
    tasks, change = scalar_tasks([0.0, 0.99], q=[1.0, 0.001]), np.full((1, 1), -0.009999)
    limit = float(theory.constants(tasks, ZERO, "printed").h_Delta)
    assert limit == pytest.approx(0.126, abs=5e-4)
    gradients = (lqr.gradient(tasks, change) - lqr.gradient(tasks, ZERO)).ravel()
    for name, least in (("gradient_change", 2000), ("hessian_change", 2e4)):
        left, right = both_sides(name, "printed", tasks, ZERO, change)
        assert left > least * right
    assert both_sides("gradient_change", "printed", tasks, ZERO, change)[0] == pytest.approx(
        np.abs(gradients).max(), rel=1e-9
    )
    single = scalar_tasks(0.9897, 45.28, 0.0189, 0.003687)
    change = np.full((1, 1), -float(theory.constants(single, ZERO, "printed").h_Delta))
    left, right = both_sides("gradient_change", "printed", single, ZERO, change)
    assert 0.75 * right < left < 0.8 * right


@pytest.mark.slow
def test_the_gradient_changes_locally_by_half_of_the_printed_bound() -> None:
    """‖∇²J‖ <= 2‖M‖J/q + 4‖B‖h_0(J/q)²(1 + ‖A_K‖)/μ, half of two terms of the printed h_grad, where Σ0 = Ψ."""
    for index in range(12):
        tasks = theory.random_task_set(5, 2 * index, 2, 3)
        assert np.array_equal(tasks.Psi, tasks.Sigma0)
        K = theory.SublevelSet.around(tasks, np.zeros((2, 3))).draw(3, np.random.default_rng(index))
        for gain in K:
            c = theory.constants(tasks, gain, "printed")
            bound = 2 * c.M_max * c.J_max / c.q
            bound += 4 * c.B_max * c.h_0 * (c.J_max / c.q) ** 2 * (1 + c.A_K) / c.mu
            norms = np.abs(np.linalg.eigvalsh(lqr.hessian_matrix(tasks, gain))).max()
            assert norms <= bound * (1 + 1e-9)
            assert bound <= c.h_grad / 2 * (1 + 1e-9)
