import functools
import re

import numpy as np
import pytest
from systems import Array, random_tasks, scalar_tasks, stable_gain

from metalqr import lqr
from metalqr.lqr import LQRTasks, UnstablePolicyError


def first_crossing(F: Array, C: Array) -> float:
    """Smallest s > 0 with an eigenvalue of F + sC on the unit circle.

    Then two eigenvalues of F + sC have the product one (a pair, or 1 or -1 with itself), so that the Kronecker product
    of F + sC with itself has the eigenvalue one: a quadratic eigenvalue problem for s, here for 1 / s.
    """
    size = F.size
    constant = np.linalg.inv(np.kron(F, F) - np.eye(size))
    companion = np.block(
        [
            [-constant @ (np.kron(F, C) + np.kron(C, F)), -constant @ np.kron(C, C)],
            [np.eye(size), np.zeros((size, size))],
        ]
    )
    inverses = np.linalg.eigvals(companion)
    real = inverses[(np.abs(inverses.imag) < 1e-7 * np.abs(inverses)) & (inverses.real > 0)].real
    radii = [np.abs(np.linalg.eigvals(F + (1.0 + 1e-6) / inverse * C)).max() for inverse in real]
    return float(min(1.0 / inverse for inverse, radius in zip(real, radii, strict=True) if radius >= 1.0))


@pytest.mark.slow
@pytest.mark.parametrize("dims", [(1, 1), (2, 1), (2, 2), (4, 2), (6, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_the_step_ends_where_an_eigenvalue_first_meets_the_circle(seed: int, dims: tuple[int, int]) -> None:
    tasks = random_tasks(seed, 2, *dims)
    K = stable_gain(tasks, seed)
    direction = np.random.default_rng([seed, 2]).standard_normal((2, *K.shape))
    steps = lqr.largest_stable_step(tasks, K, direction)
    loops, changes = lqr.closed_loop(tasks, K), -tasks.B @ direction
    exact = [first_crossing(F, C) for F, C in zip(loops, changes, strict=True)]
    np.testing.assert_allclose(steps, exact, rtol=1e-9)


def test_rays_that_never_leave() -> None:
    """Without a direction, where no input acts, and where F + sC stays triangular with the same diagonal."""
    assert lqr.largest_stable_step(scalar_tasks(0.5, 0.0), [[0.0]], [[1.0]])[0] == np.inf
    eye = np.eye(2)[np.newaxis]
    tasks = LQRTasks(0.5 * eye, eye, eye, eye, eye)
    assert lqr.largest_stable_step(tasks, np.zeros((2, 2)), np.zeros((2, 2)))[0] == np.inf
    assert lqr.largest_stable_step(tasks, np.zeros((2, 2)), [[0.0, 1.0], [0.0, 0.0]])[0] == np.inf
    # The eigenvalues are 1/2 ± s sqrt(e).
    assert lqr.largest_stable_step(tasks, np.zeros((2, 2)), [[0.0, 1.0], [1e-8, 0.0]])[0] == pytest.approx(5e3)


def alternating(upper: float, lower: float) -> tuple[float, LQRTasks]:
    """The step along F + sC = [[0, upper + s], [lower - s, 0]], whose eigenvalues are the roots of z² = p(s)."""
    eye = np.eye(2)[np.newaxis]
    tasks = LQRTasks([[[0.0, upper], [lower, 0.0]]], eye, eye, eye, eye)
    return float(lqr.largest_stable_step(tasks, np.zeros((2, 2)), [[0.0, -1.0], [1.0, 0.0]])[0]), tasks


def test_a_ray_that_comes_back_ends_where_it_first_leaves() -> None:
    """p = (1/2 + s)(9/5 - s) exceeds 1 between the roots of s² - 13/10 s + 1/10, and is inside again at s = 3/2."""
    step, tasks = alternating(0.5, 1.8)
    assert step == pytest.approx((1.3 - np.sqrt(1.29)) / 2, rel=1e-10)
    assert lqr.is_stabilising(tasks, [[0.0, -1.5], [1.5, 0.0]]).all()


@pytest.mark.slow
def test_where_the_boundary_is_touched_the_step_stays_before() -> None:
    """p = (1/2 + s)(3/2 - s) = 1 - (s - 1/2)² touches 1 at s = 1/2 and leaves at -1 only."""
    assert 0.49 < alternating(0.5, 1.5)[0] < 0.5


def test_bad_arguments() -> None:
    tasks = random_tasks(0)
    with pytest.raises(ValueError, match=re.escape("X has shape (3, 2), expected (2, 3) for all tasks")):
        lqr.largest_stable_step(tasks, np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(UnstablePolicyError, match="the gain does not stabilise task 0"):
        lqr.largest_stable_step(tasks, np.full((2, 3), 9.0), np.ones((2, 3)))


def test_quantities_of_unstable_gains_are_not_a_number() -> None:
    """Scalars: |0.5 - K| < 1 allows K in (-0.5, 1.5); a gain that is not finite is never evaluated."""
    tasks = scalar_tasks([0.5] * 4)
    gains, stand_in = np.array([0.2, 1.6, np.nan, 1.0]).reshape(4, 1, 1), np.zeros((1, 1))
    for function in (lqr.gradient, lambda tasks, K: lqr.evaluate(tasks, K).cost()):
        found = lqr.where_stabilising(functools.partial(function, tasks), gains, stand_in)
        assert np.isnan(found.ravel()).tolist() == [False, True, True, False]
        np.testing.assert_allclose(found[[0, 3]], function(tasks.subset([0, 3]), gains[[0, 3]]), rtol=1e-12)
    with pytest.raises(UnstablePolicyError, match="task 1"):
        lqr.where_stabilising(functools.partial(lqr.gradient, tasks), gains, np.array([[2.0]]))
