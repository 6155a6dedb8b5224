"""What the paper prints and what is right, each slip shown by one number; see docs/errata.md."""

from functools import partial

import numpy as np
import pytest
from systems import Array, bases, central_difference, random_tasks, scalar_tasks, stable_gain

from metalqr import lqr, meta, optimal
from metalqr.lqr import LQRTasks, LyapunovSolver

TASKS = random_tasks(31, count=3, state_dim=3, action_dim=2, radius=0.8)
GAIN = stable_gain(TASKS, 31)


def hessian_as_printed(tasks: LQRTasks, K: Array, X: Array) -> Array:
    """Equation (3): 2 (R + BᵀPB) X Σ - 4 Bᵀ P′[X] A_K Σ."""
    evaluation = lqr.evaluate(tasks, K)
    closed, covariance = evaluation.closed_loop, evaluation.state_covariance
    source = X.T @ evaluation.advantage
    value_change = LyapunovSolver(closed).solve_adjoint(source + source.mT)
    curvature = 2 * evaluation.input_curvature @ X @ covariance
    return np.asarray(curvature - 4 * tasks.B.mT @ value_change @ closed @ covariance)


def test_equation_3_has_the_right_quadratic_form_but_is_no_self_adjoint_operator() -> None:
    """Equation (3) prints 2(R + BᵀPB)XΣ - 4BᵀP′A_KΣ and the appendix calls it self-adjoint.

    Its quadratic form is right. As a matrix it is not symmetric, and its symmetric part is the true Hessian.
    """
    printed, true = (
        np.stack([hessian(TASKS, GAIN, unit).reshape(TASKS.count, -1) for unit in bases(GAIN.shape)], axis=2)
        for hessian in (hessian_as_printed, lqr.hessian_vector_product)
    )
    size = np.abs(true).max(axis=(1, 2))
    assert (np.abs(true - true.mT).max(axis=(1, 2)) < 1e-10 * size).all()
    assert (np.abs(printed - printed.mT).max(axis=(1, 2)) > 1e-3 * size).all()
    np.testing.assert_allclose(0.5 * (printed + printed.mT), true, atol=1e-10 * size.max())


def test_equation_3_disagrees_with_finite_differences_of_the_gradient() -> None:
    """As an operator, which the meta-gradient needs, equation (3) is off by percents; the corrected one is not."""
    X = np.random.default_rng(0).standard_normal(GAIN.shape)
    slope = central_difference(lambda gain: lqr.gradient(TASKS, gain), GAIN, X, step=1e-4)
    size = np.linalg.norm(slope, axis=(1, 2))
    corrected = np.linalg.norm(lqr.hessian_vector_product(TASKS, GAIN, X) - slope, axis=(1, 2)) / size
    printed = np.linalg.norm(hessian_as_printed(TASKS, GAIN, X) - slope, axis=(1, 2)) / size
    assert (corrected < 1e-7).all()
    assert (printed > 0.01).all()


def test_proposition_1_forgets_the_noise_covariance() -> None:
    """Proposition 1 prints J = Tr(P_K); right is Tr(P_K Ψ), the same for Ψ = I only."""
    printed = np.trace(lqr.value_matrix(TASKS, GAIN), axis1=1, axis2=2)
    assert (np.abs(printed / lqr.cost(TASKS, GAIN) - 1) > 0.05).all()
    white = TASKS.replace(Psi=np.stack([np.eye(3)] * TASKS.count))
    np.testing.assert_allclose(printed, lqr.cost(white, GAIN), rtol=1e-12)


def test_the_riccati_equation_has_a_minus_sign() -> None:
    """Section 3.1 prints P = Q + AᵀPA + AᵀPB(R + BᵀPB)⁻¹BᵀPA; right is a minus before the last term.

    For a = 2, b = q = r = 1 the printed equation even has no positive solution: its right-hand side exceeds P.
    """
    P = optimal.optimal_gains(TASKS).P
    A, B = TASKS.A, TASKS.B
    last = A.mT @ P @ B @ np.linalg.solve(TASKS.R + B.mT @ P @ B, B.mT @ P @ A)
    rest = TASKS.Q + A.mT @ P @ A
    size = np.linalg.norm(P, axis=(1, 2))
    assert (np.linalg.norm(rest - last - P, axis=(1, 2)) < 1e-10 * size).all()
    assert (np.linalg.norm(rest + last - P, axis=(1, 2)) > 0.1 * size).all()
    p = np.geomspace(1e-6, 1e6, 1000)
    assert (1 + 4 * p + 4 * p**2 / (1 + p) > p).all()


def test_a_gain_is_k_by_d_and_an_input_matrix_d_by_k() -> None:
    """Section 3.1 prints B in R^{d×d} and K in R^{d×k}; with u = -Kx, A - BK needs B d×k and K k×d."""
    assert TASKS.B.shape == (3, 3, 2)
    with pytest.raises(ValueError, match=r"K has shape \(3, 2\), expected \(2, 3\)"):
        lqr.cost(TASKS, GAIN.T)


def test_the_initial_gain_needs_gamma_of_at_least_one() -> None:
    """Definition 2 allows any γ > 0; with γ < 1 the initial gain is not in its own sub-level set."""
    optimum = optimal.optimal_gains(TASKS).cost
    start = lqr.cost(TASKS, GAIN)
    gap = start - optimum
    assert (gap > 0).all()
    for gamma, inside in ((0.5, False), (0.999, False), (1.0, True), (2.0, True)):
        assert (start - optimum <= gamma * gap).all() == inside


def test_the_papers_pair_of_scalar_tasks_has_no_common_gain() -> None:
    """Section 3.2: A = 3, B = 4 needs K in (1/2, 1); A = 1, B = -1 needs K in (-2, 0). Here the paper is right."""
    tasks = scalar_tasks([3.0, 1.0], [4.0, -1.0])
    np.testing.assert_allclose(optimal.scalar_intervals(tasks), [[0.5, 1.0], [-2.0, 0.0]])
    assert all((lqr.cost(tasks, [[gain]]) == np.inf).any() for gain in np.linspace(-3.0, 3.0, 601))


def test_the_meta_gradient_needs_the_self_adjoint_operator() -> None:
    """With equation (3) in place of the Hessian, ∇L disagrees with finite differences of L."""
    rate = 0.02 / float(np.linalg.norm(lqr.gradient(TASKS, GAIN), axis=(1, 2)).max())
    adapted = meta.adapted_gains(TASKS, GAIN, rate)
    after = lqr.gradient(TASKS, adapted)
    images = np.stack([hessian_as_printed(TASKS, GAIN, after[task])[task] for task in range(TASKS.count)])
    printed = np.tensordot(TASKS.p, after - rate * images, 1)
    value = partial(meta.objective, TASKS, adaptation_rate=rate)
    slopes = [central_difference(value, GAIN, unit, step=1e-4) for unit in bases(GAIN.shape)]
    slope = np.reshape(slopes, GAIN.shape)
    assert np.linalg.norm(meta.gradient(TASKS, GAIN, rate) - slope) < 1e-7 * np.linalg.norm(slope)
    assert np.linalg.norm(printed - slope) > 1e-4 * np.linalg.norm(slope)
