"""Arrays that come in and go out: frozen results stay frozen, and complex numbers are refused, not cut."""

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from systems import random_tasks

from metalqr import MetaSettings, Stream, estimators, lqr, meta, optimal, rollout, theory
from metalqr.evaluation.exact_methods.task_descent import descend_tasks
from metalqr.systems.initial_gain import read_gain

TASKS = random_tasks(0, count=2, state_dim=2, action_dim=1, radius=0.5)
K = np.zeros((1, 2), dtype=complex)
SETTINGS = MetaSettings(learning_rate=1e-3, adaptation_rate=1e-5, perturbations=4, iterations=1)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda given: pickle.loads(pickle.dumps(given))])
@pytest.mark.parametrize("given", [TASKS, optimal.optimal_gains(TASKS), optimal.shared_gain(TASKS)])
def test_frozen_arrays_stay_read_only(given: Any, duplicate: Callable[[Any], Any]) -> None:
    found = duplicate(given)
    for name, array in vars(given).items():
        if isinstance(array, np.ndarray):
            np.testing.assert_array_equal(getattr(found, name), array)
            with pytest.raises(ValueError, match="read-only"):
                getattr(found, name)[:] = 0.0
    if given is TASKS:
        assert duplicate(found.replace(p=None)).p.flags.writeable is False


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("A", lambda: TASKS.replace(A=TASKS.A.astype(complex))),
        ("K", lambda: lqr.cost(TASKS, K)),
        ("K", lambda: lqr.spectral_radius(TASKS, K)),
        ("X", lambda: lqr.hessian_vector_product(TASKS, K.real, K)),
        ("K", lambda: lqr.finite_horizon_cost(TASKS, K, 3)),
        ("K", lambda: meta.objective(TASKS, K, 1e-5)),
        ("K", lambda: rollout.costs(TASKS, np.zeros((2, 1, 1, 2), dtype=complex), 3, Stream(0))),
        ("K", lambda: estimators.estimate_gradient(TASKS, K, SETTINGS, Stream(0))),
        ("K", lambda: estimators.estimate_meta_gradient(TASKS, K, SETTINGS, Stream(0))),
        ("K0", lambda: meta.train(TASKS, K, SETTINGS, 0)),
        ("start", lambda: optimal.shared_gain(TASKS, start=K)),
        ("start", lambda: optimal.meta_gain(TASKS, 1e-5, start=K)),
        ("K0", lambda: descend_tasks(TASKS, K, "gradient_descent", 1)),
        ("K", lambda: theory.constants(TASKS, K, "corrected")),
        ("initial_gain", lambda: read_gain(TASKS, K)),
    ],
)
def test_complex_numbers_are_refused(name: str, use: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name} holds values of type complex128; give real numbers")):
        use()


@pytest.mark.parametrize("given", [[["1", "0"]], [[True, False]], [[None, 0.0]]])
def test_what_is_no_number_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"K holds values of type .*; give real numbers"):
        lqr.cost(TASKS, given)
