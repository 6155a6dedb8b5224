from typing import Any

import numpy as np
import pytest

from metalqr.config.registries import families
from metalqr.lqr import LQRTasks


def legacy_tasks(d: int, k: int, seed: int, **changes: Any) -> LQRTasks:
    legacy = families.get("legacy")
    return legacy(legacy.Settings(**changes)).tasks(d, k, seed)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("d", "k"), [(1, 1), (2, 2), (20, 10)])
def test_the_first_task_is_shrunk_and_definite(d: int, k: int, seed: int) -> None:
    tasks = legacy_tasks(d, k, seed)
    assert np.linalg.eigvals(tasks.A[0]).real.max() < 1
    assert 0 <= tasks.A[0].min() <= tasks.A[0].max() <= 1
    for matrices in (tasks.Q, tasks.R, tasks.Psi):
        np.testing.assert_array_equal(matrices, np.stack([matrices[0]] * 5))
    for matrix in (tasks.Q[0], tasks.R[0]):
        assert np.linalg.eigvalsh(matrix)[0] > 0
    rng = np.random.default_rng([seed, 0])
    for shape in ((d, d), (d, k), (d, d), (k, k)):
        rng.uniform(size=shape)
    drawn = rng.uniform(size=(d, d))
    symmetric = 0.5 * (drawn + drawn.T)
    np.testing.assert_allclose(tasks.Psi[0] @ tasks.Psi[0], symmetric @ symmetric, atol=1e-12)
    assert np.linalg.eigvalsh(tasks.Psi[0])[0] > -1e-12


def test_large_real_parts_are_scaled_to_the_stated_one() -> None:
    """With 400 uniform entries the largest eigenvalue is near 10."""
    assert np.linalg.eigvals(legacy_tasks(20, 10, 3).A[0]).real.max() == pytest.approx(1 / 1.05)


def test_further_tasks_deviate_by_the_stated_number() -> None:
    """8000 normal numbers: the standard error of their deviation is 0.8 %."""
    tasks = legacy_tasks(20, 20, 1, count=11)
    deviations = np.concatenate([(tasks.A[1:] - tasks.A[0]).ravel(), (tasks.B[1:] - tasks.B[0]).ravel()])
    assert np.std(deviations) == pytest.approx(0.01, rel=4.5 / np.sqrt(2 * deviations.size))
    np.testing.assert_array_equal(legacy_tasks(20, 20, 1, count=2).A, tasks.A[:2])
