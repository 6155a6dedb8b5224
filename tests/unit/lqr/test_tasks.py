import re
from typing import Any

import numpy as np
import pytest
from systems import random_tasks, stable_gain

from metalqr import lqr
from metalqr.lqr import LQRTasks, TasksError


def arrays(count: int = 2) -> dict[str, Any]:
    tasks = random_tasks(0, count, 2, 1)
    return {name: getattr(tasks, name).copy() for name in ("A", "B", "Q", "R", "Psi", "Sigma0", "p", "S")}


def changed(name: str, index: tuple[int, ...], value: float) -> dict[str, Any]:
    matrices = arrays()
    matrices[name][index] = value
    return matrices


def test_defaults_are_the_noise_covariance_and_a_uniform_distribution() -> None:
    matrices = arrays(count=4)
    tasks = LQRTasks(*(matrices[name] for name in ("A", "B", "Q", "R", "Psi")))
    np.testing.assert_array_equal(tasks.Sigma0, tasks.Psi)
    np.testing.assert_array_equal(tasks.p, [0.25] * 4)
    assert (tasks.count, tasks.state_dim, tasks.action_dim) == (4, 2, 1)


def test_arrays_are_private_read_only_contiguous_doubles() -> None:
    matrices = arrays() | {"B": np.ones((2, 2, 1), dtype=np.int32)}
    matrices["A"] = np.asfortranarray(matrices["A"])
    tasks = LQRTasks(**matrices)
    before = tasks.A.copy()
    matrices["A"][:] = 7.0
    np.testing.assert_array_equal(tasks.A, before)
    for name in matrices:
        array = getattr(tasks, name)
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0.0
    with pytest.raises(AttributeError):
        tasks.A = before  # type: ignore[misc]


def test_rounding_asymmetry_is_removed() -> None:
    matrices = arrays()
    matrices["Q"][0, 0, 1] += 1e-14
    Q = LQRTasks(**matrices).Q
    np.testing.assert_array_equal(Q, Q.mT)


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ({"A": np.zeros((2, 2))}, r"A has shape (2, 2), expected (I, d, d) with I, d >= 1"),
        ({"A": np.zeros((2, 2, 3))}, r"A has shape (2, 2, 3), expected (I, d, d)"),
        ({"A": np.zeros((0, 2, 2))}, r"A has shape (0, 2, 2), expected (I, d, d)"),
        ({"A": np.zeros((2, 0, 0))}, r"A has shape (2, 0, 0), expected (I, d, d)"),
        ({"B": np.zeros((2, 1, 2))}, r"B has shape (2, 1, 2), expected (2, 2, k) with k >= 1"),
        ({"B": np.zeros((2, 2, 0))}, r"B has shape (2, 2, 0), expected (2, 2, k) with k >= 1"),
        ({"Q": np.eye(3)[None]}, r"Q has shape (1, 3, 3), expected (2, 2, 2)"),
        ({"R": np.stack([np.eye(2)] * 2)}, r"R has shape (2, 2, 2), expected (2, 1, 1)"),
        ({"Psi": np.eye(2)}, r"Psi has shape (2, 2), expected (2, 2, 2)"),
        ({"Sigma0": np.eye(2)}, r"Sigma0 has shape (2, 2), expected (2, 2, 2)"),
        ({"A": [[["1e-3"]]]}, r"A holds values of type <U4; give real numbers"),
        ({"A": [[[1.0 + 1.0j]]]}, r"A holds values of type complex128; give real numbers"),
        ({"Q": [[[1.0, 0.0], [0.0]], [[1.0]]]}, r"Q is ragged"),
        (changed("A", (1, 0, 1), np.nan), r"task 1: A[0, 1] is nan; give finite numbers"),
        (changed("B", (0, 1, 0), np.inf), r"task 0: B[1, 0] is inf; give finite numbers"),
        (changed("Psi", (1, 1, 1), np.nan), r"task 1: Psi[1, 1] is nan; give finite numbers"),
        (changed("Q", (1, 0, 1), 9.0), r"task 1: Q is not symmetric: entry [0, 1] is 9.0 and [1, 0] is "),
        (changed("R", (1, 0, 0), -2.5), r"task 1: R is not positive definite: its smallest eigenvalue is -2.5"),
        ({"R": np.zeros((2, 1, 1))}, r"task 0: R is not positive definite: its smallest eigenvalue is 0"),
        (changed("Q", (0, 0, 0), -9.0), r"task 0: Q is not positive semidefinite"),
        ({"Q": [np.eye(2), [[0.0, 1e-9], [1e-9, 1.0]]]}, r"task 1: Q is not positive semidefinite"),
        ({"Psi": [np.eye(2), [[1.0, 2.0], [2.0, 1.0]]]}, r"task 1: Psi is not positive semidefinite"),
        ({"Sigma0": -np.stack([np.eye(2)] * 2)}, r"Sigma0 is not positive semidefinite: its smallest eigenvalue is -1"),
        ({"S": np.ones((2, 1, 2))}, r"S has shape (2, 1, 2), expected (2, 2, 1)"),
        (changed("S", (1, 1, 0), np.nan), r"task 1: S[1, 0] is nan; give finite numbers"),
        (changed("S", (1, 1, 0), 9.0), r"task 1: [[Q, S], [S', R]] is not positive semidefinite: its smallest "),
        ({"p": [0.5, 0.6]}, r"p sums to 1.1, expected 1"),
        ({"p": [1.5, -0.5]}, r"task 1: p is -0.5; give a probability > 0"),
        ({"p": [np.nan, 0.5]}, r"task 0: p is nan; give a probability > 0"),
        (
            {"p": [0.0, 1.0]},
            r"task 0: p is 0; every task counts everywhere, so leave out what shall not count: give the ",
        ),
        ({"p": [0.0, 1.0]}, r"tasks without this p, and choose the others with tasks.subset([1])"),
        ({"p": [1.0]}, r"p has shape (1,), expected (2,)"),
    ],
)
def test_an_impossible_matrix_is_named(matrices: dict[str, Any], message: str) -> None:
    with pytest.raises(TasksError, match=re.escape(message)):
        LQRTasks(**arrays() | matrices)


def semidefinite_arrays() -> dict[str, Any]:
    """Two tasks without noise, with one initial state, one weighted output and its product with the input."""
    output, state = np.array([[1.0, -100.0]]), np.array([[3.0], [1e-8]])
    return arrays() | {
        "Q": [output.T @ output] * 2,
        "R": [[[1.0]]] * 2,
        "S": [0.99 * output.T] * 2,
        "Psi": np.zeros((2, 2, 2)),
        "Sigma0": [state @ state.T] * 2,
    }


def test_singular_weights_and_covariances_are_tasks_in_any_units() -> None:
    for unit in (1.0, 1e-9, 1e9):
        given = semidefinite_arrays()
        for name, power in (("Q", 1), ("Psi", -1), ("Sigma0", -1)):
            scale = np.diag([1.0, unit**power])
            given[name] = scale @ np.asarray(given[name]) @ scale
        given["S"] = np.diag([1.0, unit]) @ np.asarray(given["S"])
        tasks = LQRTasks(**given)
        assert tasks.has_cross_terms
        with pytest.raises(TasksError, match="not positive semidefinite"):
            LQRTasks(**given | {"S": 1.02 * tasks.S})


def test_replacing_a_weight_checks_it_with_the_cross_term() -> None:
    tasks = LQRTasks(**semidefinite_arrays())
    assert not tasks.replace(S=None).has_cross_terms
    np.testing.assert_array_equal(tasks.replace(R=2.0 * tasks.R).S, tasks.S)
    for name in ("Q", "R"):
        with pytest.raises(TasksError, match=re.escape("task 0: [[Q, S], [S', R]] is not positive semidefinite")):
            tasks.replace(**{name: 0.5 * getattr(tasks, name)})


def test_replace_checks_and_keeps_the_other_arrays() -> None:
    tasks = LQRTasks(**arrays() | {"p": [0.25, 0.75]})
    other = tasks.replace(A=2.0 * tasks.A)
    np.testing.assert_array_equal(other.A, 2.0 * tasks.A)
    for name in ("B", "Q", "R", "Psi", "Sigma0", "p", "S"):
        assert getattr(other, name) is getattr(tasks, name)
    np.testing.assert_array_equal(tasks.replace(p=None).p, [0.5, 0.5])
    with pytest.raises(TasksError, match=re.escape("A has shape (2, 3, 3), expected (2, 2, 2)")):
        tasks.replace(A=np.zeros((2, 3, 3)))


def test_subset_keeps_the_order_and_renormalises() -> None:
    tasks = LQRTasks(**arrays(count=3) | {"p": [0.2, 0.5, 0.3]})
    chosen = tasks.subset([2, 0])
    np.testing.assert_array_equal(chosen.A, tasks.A[[2, 0]])
    np.testing.assert_allclose(chosen.p, [0.6, 0.4], rtol=1e-15)


@pytest.mark.parametrize(
    ("indices", "message"),
    [([], "at least one index from 0 to 1"), ([2], "cannot choose the tasks [2]")],
)
def test_an_impossible_subset_is_refused(indices: list[int], message: str) -> None:
    with pytest.raises(TasksError, match=re.escape(message)):
        LQRTasks(**arrays()).subset(indices)


def test_tiled_tasks_serve_many_gains_at_once() -> None:
    tasks = random_tasks(1)
    gains = np.stack([scale * stable_gain(tasks, 1) for scale in (0.0, 0.5, 1.0)])
    together = lqr.cost(lqr.tiled(tasks, 3), np.repeat(gains, tasks.count, axis=0)).reshape(3, tasks.count)
    np.testing.assert_allclose(together, [lqr.cost(tasks, gain) for gain in gains], rtol=1e-12)
