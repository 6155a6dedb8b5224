"""Tasks that the theory does not cover: it says so, and the rest is still there."""

from functools import partial

import numpy as np
import pytest
from systems import random_tasks, semidefinite_tasks, stable_gain

from metalqr import theory
from metalqr.common.attempt import attempt
from metalqr.lqr import LQRTasks
from metalqr.theory.assumptions import covariance_factor

TASKS = random_tasks(1, 2, 2, 1, radius=0.6)
ZERO = np.zeros((1, 2))
SINGULAR = np.stack([np.eye(2), np.diag([1.0, 0.0])])
AUDIT = {"gains": 3, "perturbations": 2, "random_tasks": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tasks", "printed", "corrected"),
    [
        (TASKS, "", ""),
        (TASKS.replace(Q=SINGULAR), "Q of task 1 is singular: q, the smallest weight", "Q of task 1 is singular"),
        (
            TASKS.replace(Psi=SINGULAR),
            "Psi of task 1 is singular",
            "Psi of task 1 is singular: μ, the smallest variance",
        ),
        (TASKS.replace(Sigma0=SINGULAR), "Sigma0 of task 1 is singular: μ as printed", ""),
        (TASKS.replace(S=np.stack([ZERO.T, ZERO.T + 0.01])), "task 1 has a cross term S", "task 1 has a cross term S"),
    ],
)
def test_what_does_not_apply_is_left_out_and_said(tasks: LQRTasks, printed: str, corrected: str) -> None:
    sublevel = theory.SublevelSet.around(tasks, ZERO)
    found = theory.audit(tasks, ZERO, 1e-4, **AUDIT)
    for column, (form, reason) in enumerate(zip(theory.Form, (printed, corrected), strict=True)):
        assert theory.unmet(tasks, form).startswith(reason)
        bounds = attempt(partial(theory.sublevel_constants, sublevel, form), partial(theory.absent_constants, form))
        required = attempt(partial(theory.requirements, tasks, ZERO, form), partial(theory.absent_requirements, form))
        assert np.isnan(bounds.h_G) == bool(reason)
        assert np.isnan(required.learning_rate) == bool(reason)
        # At the case's own tasks, with the best single gain, and at those of the one random set, or at these alone.
        assert found.checked[found.inequalities.index("gain_norm"), column] == (20 if reason else 28)
        if reason:
            both = printed[:20] == corrected[:20]
            assert f"{'printed and corrected' if both else form}: {reason}" in found.remark
            for quantity in (bounds["h_G"], required["learning_rate"]):
                assert quantity.note.startswith(reason)
                assert quantity.note.endswith("this part of the theory is left out")
            with pytest.raises(ValueError, match="this part of the theory is left out"):
                theory.constants(tasks, ZERO, form)
    assert bool(found.remark) == bool(printed or corrected)
    corrected_column = list(theory.Form).index(theory.Form.CORRECTED)
    assert not found.broken[:, corrected_column].any()


def test_factors_of_covariances_may_be_singular() -> None:
    tasks = semidefinite_tasks(1, 3, 4, 2)
    for covariances in (tasks.Psi, tasks.Sigma0, random_tasks(1).Psi):
        factors = covariance_factor(covariances)
        np.testing.assert_allclose(factors @ factors.mT, covariances, atol=1e-13 * np.abs(covariances).max())


def test_a_start_at_rest_breaks_no_corrected_inequality() -> None:
    tasks = TASKS.replace(Sigma0=np.zeros((2, 2, 2)))
    K0 = stable_gain(tasks, 1)
    found = theory.audit(tasks, K0, 1e-4, gains=20, perturbations=3, random_tasks=0)
    column = list(theory.Form).index(theory.Form.CORRECTED)
    assert found.checked[found.inequalities.index("rollout_noise"), column] == 126, "and the best single gain"
    assert not found.broken[:, column].any()
