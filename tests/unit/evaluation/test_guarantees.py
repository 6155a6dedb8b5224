"""Guarantees along a run: runs by hand with known answers, others against the functions they stand for."""

import re
from typing import Any

import numpy as np
import pytest
from systems import random_tasks, scalar_tasks, stable_gain

from metalqr import estimators, lqr, meta
from metalqr.config.algorithm import MetaSettings
from metalqr.evaluation import guarantees
from metalqr.evaluation.stability import Guarantee, GuaranteeCheck, Stability
from metalqr.lqr import UnstablePolicyError
from metalqr.simulation.streams import Stream, Use

SETTINGS = MetaSettings(
    learning_rate=1.0e-3,
    adaptation_rate=0.01,
    perturbations=5,
    inner_perturbations=4,
    smoothing_radius=0.05,
    rollout_length=6,
    iterations=3,
)
#: Two scalar tasks, J(k) = (1 + k^2) / (1 - (a - k)^2).
TASKS = scalar_tasks([0.5, 0.8])


def checked(K: list[float], unstable: list[int], settings: MetaSettings = SETTINGS, last: float = np.nan) -> Stability:
    """The scalar tasks along a run by hand; ``last`` is the norm of the gradient at the last gain."""
    norms = np.append(np.ones(len(K) - 1), last)
    return guarantees.check(TASKS, [[K[0]]], np.reshape(K, (-1, 1, 1)), unstable, norms, settings, seed=0)


def summary(found: Stability) -> dict[Guarantee, tuple[int, float, int | None]]:
    return {check.guarantee: (check.checked, check.share, check.first_violation) for check in found.checks}


def cost(a: float, k: float) -> float:
    return (1 + k**2) / (1 - (a - k) ** 2)


def test_a_run_by_hand() -> None:
    """A gain 0.2 that is better than the first, 0, for both tasks; -0.1, worse than both; and -0.3, unstable for one.

    J(k) of task 0: 1.33, 1.14, 1.58, 3.03; of task 1: 2.78, 1.63, 5.32, infinite. Of the estimates at the first three
    gains, each with 10 perturbed policies, the second had 2 that were unstable. Without adaptation (eta = 0) an adapted
    gain is the gain.
    """
    K = [0.0, 0.2, -0.1, -0.3]
    found = checked(K, [0, 2, 0, 0], SETTINGS.replace(adaptation_rate=0.0))
    by_hand = np.array([[cost(0.5, k), cost(0.8, k)] for k in K])
    by_hand[3, 1] = np.inf
    for costs in (found.cost, found.exactly_adapted_cost, found.adapted_cost):
        np.testing.assert_allclose(costs, by_hand, rtol=1e-12)
    for mean in (found.mean_cost, found.objective):
        np.testing.assert_allclose(mean, by_hand.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.spectral_radius, [[0.5 - k, 0.8 - k] for k in K], rtol=1e-12)
    np.testing.assert_array_equal(found.unstable_share, [0.0, 0.2, 0.0, np.nan])
    third = pytest.approx(1 / 3)
    assert summary(found) == {
        Guarantee.STABILISING: (4, 0.75, 3),
        Guarantee.PERTURBED_STABILISING: (3, pytest.approx(2 / 3), 1),
        Guarantee.MAML_STABILISING: (4, 0.75, 3),
        Guarantee.ADAPTED_STABILISING: (4, 0.75, 3),
        Guarantee.IN_SUBLEVEL_SET: (4, 0.5, 2),
        Guarantee.ADAPTED_IN_SUBLEVEL_SET: (4, 0.5, 2),
        Guarantee.MEAN_COST_FALLS: (3, third, 2),
        Guarantee.OBJECTIVE_FALLS: (3, third, 2),
        Guarantee.EVERY_COST_FALLS: (3, third, 2),
    }
    np.testing.assert_allclose(found.cost_rise, [by_hand[3, 0] / by_hand[2, 0] - 1, np.inf], rtol=1e-12)
    assert found.mean_cost_rise == found.objective_rise == np.inf


def test_a_run_with_every_guarantee() -> None:
    found = checked([0.0, 0.1, 0.2], [0, 0, 0], SETTINGS.replace(adaptation_rate=0.0))
    assert all((check.share, check.first_violation) == (1.0, None) for check in found.checks)
    assert found.mean_cost_rise == found.objective_rise == 0.0
    assert found.cost_rise.tolist() == [0.0, 0.0]


def test_one_task_that_rises_while_the_mean_falls() -> None:
    """The optimum of task 0 is at 0.27, that of task 1 at 0.46: from 0.3 to 0.4 one gets worse, the other better."""
    found = checked([0.3, 0.4], [0, 0])
    assert found.check_of(Guarantee.MEAN_COST_FALLS).share == 1.0
    assert found.check_of(Guarantee.EVERY_COST_FALLS) == GuaranteeCheck(Guarantee.EVERY_COST_FALLS, 1, 0.0, 1)
    assert found.check_of(Guarantee.IN_SUBLEVEL_SET).first_violation == 1
    assert (found.cost_rise[0], found.cost_rise[1]) == (pytest.approx(cost(0.5, 0.4) / cost(0.5, 0.3) - 1), 0.0)


def test_a_single_gain_has_no_step_and_no_estimate() -> None:
    found = checked([0.1], [0])
    for guarantee in (Guarantee.PERTURBED_STABILISING, Guarantee.MEAN_COST_FALLS, Guarantee.EVERY_COST_FALLS):
        check = found.check_of(guarantee)
        assert check.checked == 0
        assert np.isnan(check.share)
        assert check.first_violation is None
    assert found.cost_rise.tolist() == [0.0, 0.0]


def test_an_estimate_at_the_last_gain_counts() -> None:
    """As in a run that met its tolerance."""
    found = checked([0.0, 0.1], [0, 10], last=1e-3)
    assert found.unstable_share.tolist() == [0.0, 1.0]
    assert found.check_of(Guarantee.PERTURBED_STABILISING).first_violation == 1


def test_every_iteration_is_what_the_functions_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five gains: the last two are unstable, and at this rate not all are MAML-stabilising. In chunks of one or all."""
    tasks, rate = random_tasks(3, radius=0.6, spread=0.3), 1e-3
    K = np.array([0.1, 0.5, 1.0, 40.0, -80.0])[:, np.newaxis, np.newaxis] * stable_gain(tasks, 3)
    settings = SETTINGS.replace(adaptation_rate=rate)
    rest = (np.zeros(5, dtype=int), np.array([1.0, 1.0, 1.0, 1.0, np.nan]), settings, 9)
    found = guarantees.check(tasks, K[0], K, *rest)
    np.testing.assert_allclose(found.cost, [lqr.cost(tasks, gain) for gain in K], rtol=1e-10)
    np.testing.assert_allclose(found.objective, [meta.objective(tasks, gain, rate) for gain in K], rtol=1e-9)
    maml = [meta.is_maml_stabilising(tasks, gain, rate) for gain in K]
    assert 0 < sum(maml) < 3, "both answers must occur among the stable gains"
    assert found.check_of(Guarantee.MAML_STABILISING).share == np.mean(maml)
    assert found.check_of(Guarantee.MAML_STABILISING).first_violation == maml.index(False)
    assert np.isinf(found.mean_cost[3:]).all()
    for n, gain in enumerate(K[:3]):
        stream = Stream(9, n, Use.STABILITY)
        adapted = gain - rate * estimators.estimate_gradient(tasks, gain, settings, stream)
        np.testing.assert_allclose(found.adapted_cost[n], lqr.cost(tasks, adapted), rtol=1e-12)
        repeated = gain - rate * estimators.estimate_gradient(tasks, gain, settings, Stream(9, n))
        assert not np.array_equal(found.adapted_cost[n], lqr.cost(tasks, repeated)), "the numbers of the run itself"
    monkeypatch.setattr(guarantees, "_MAX_BATCH", 1)
    single = guarantees.check(tasks, K[0], K, *rest)
    np.testing.assert_allclose(single.exactly_adapted_cost, found.exactly_adapted_cost, rtol=1e-10)
    np.testing.assert_allclose(single.spectral_radius, found.spectral_radius, rtol=1e-12)


def test_adapted_gains_that_leave_the_range_of_numbers_are_unstable() -> None:
    found = checked([0.0], [0], SETTINGS.replace(adaptation_rate=1e307))
    assert np.isinf(found.adapted_cost).all()
    assert np.isinf(found.exactly_adapted_cost).all()
    assert found.check_of(Guarantee.ADAPTED_STABILISING).share == 0.0
    assert found.check_of(Guarantee.MAML_STABILISING).share == 0.0


def test_a_diverged_run_ends_unstable() -> None:
    settings = SETTINGS.replace(learning_rate=0.05, iterations=50)
    history = meta.train(TASKS, [[0.0]], settings, seed=1)
    assert history.status is meta.Status.DIVERGED
    found = guarantees.check(
        TASKS, [[0.0]], history.K, history.unstable_perturbations, history.gradient_norm, settings, seed=1
    )
    check = found.check_of(Guarantee.STABILISING)
    assert (check.first_violation, check.checked) == (history.status_iteration, history.status_iteration + 1)
    np.testing.assert_allclose(found.cost, history.cost, rtol=1e-12)
    assert found.mean_cost_rise == np.inf


def test_a_batch_of_tasks_has_fewer_perturbed_policies() -> None:
    found = checked([0.0, 0.1], [3, 0], SETTINGS.replace(task_batch=1))
    assert found.unstable_share[0] == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"K": np.zeros((2, 1))}, "K has shape (2, 1), expected (n + 1, 1, 1): the gains of a run"),
        ({"K": np.full((2, 1, 1), np.nan)}, "K holds a value that is not finite"),
        ({"K": np.full((2, 1, 1), 0.1)}, "the run started from a gain other than K0"),
        ({"unstable": [0]}, "unstable_perturbations has shape (1,), expected (2,): one for each gain"),
        ({"norm": [1.0] * 3}, "gradient_norm has shape (3,), expected (2,): one for each gain"),
        ({"unstable": [0, 11]}, "unstable_perturbations is from 0 to 11, but an estimate with these settings has 10"),
    ],
)
def test_impossible_runs_are_refused(changes: dict[str, Any], message: str) -> None:
    run: dict[str, Any] = {"K": np.zeros((2, 1, 1)), "unstable": [0, 0], "norm": [1.0, np.nan], **changes}
    with pytest.raises(ValueError, match=re.escape(message)):
        guarantees.check(TASKS, [[0.0]], run["K"], run["unstable"], run["norm"], SETTINGS, 0)


def test_an_unstable_initial_gain_is_refused() -> None:
    with pytest.raises(UnstablePolicyError, match="does not stabilise task 0"):
        checked([2.0], [0])
