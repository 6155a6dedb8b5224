"""Where meta-learning pays: optima of L by continuation, and exact gaps after one step, also on unseen tasks."""

import functools
from typing import Any

import numpy as np
import pytest
from systems import opposed_tasks, random_tasks, scalar_tasks

from metalqr import lqr, optimal
from metalqr.config.registries import families
from metalqr.evaluation import meta_benefit as module
from metalqr.evaluation.adaptation.measures import median
from metalqr.evaluation.meta_benefit import RATES, MetaBenefit, adapted_gap, largest_rate, meta_benefit, meta_gains
from metalqr.lqr import LQRTasks
from metalqr.objectives import meta
from metalqr.optimal.learnability import largest_adaptation_rate
from metalqr.optimal.stabilising import candidate_gains
from metalqr.systems.addresses import Pool
from metalqr.systems.further import digest, further_tasks

#: The family of the case d2k2 with more differences; in the prototype these rates had the medians below.
FAMILY: dict[str, Any] = {
    "spectral_radius": 0.8,
    "perturbed_share": 0.3,
    "perturbation_deviation": 0.25,
    "smallest_eigenvalue": 0.1,
}
ETAS = [1e-5, 0.05, 0.11, 0.32]


@functools.cache
def tasks() -> tuple[LQRTasks, LQRTasks]:
    similar: Any = families.get("similar")
    family = similar(similar.Settings(**FAMILY))
    return family.tasks(2, 2, 1), further_tasks(family, 2, 2, 1, Pool.TEST, 35).tasks


@functools.cache
def found() -> MetaBenefit:
    training, unseen = tasks()
    largest = largest_rate(training, optimal.shared_gain(training).K)
    return meta_benefit(training, unseen, [eta / largest for eta in ETAS])


def test_medians_on_unseen_tasks_are_those_of_the_prototype_in_kind() -> None:
    """No difference at the paper's rate, a benefit at moderate ones; a large one overfits the training tasks."""
    assert not set(digest(tasks()[0])) & set(digest(tasks()[1]))
    benefit = found()
    from_shared, from_meta = median(benefit.unseen[:, :, 1], axis=2).T
    assert from_meta[0] == pytest.approx(from_shared[0], rel=1e-4)
    assert from_meta[0] == pytest.approx(0.0267, rel=0.1)
    np.testing.assert_allclose(from_meta[1:3], [0.0183, 0.0118], rtol=0.1)
    np.testing.assert_allclose(from_shared[1:3], [0.0202, 0.0147], rtol=0.1)
    assert from_meta[3] > 1.1 * from_shared[3]
    # On the training tasks L is lower at every rate.
    training = tasks()[0]
    values = optimal.optimal_gains(training).cost
    for others, gaps in benefit.training[:, :, 1]:
        assert training.p @ (values * gaps) <= training.p @ (values * others) * (1 + 1e-9)


def test_gaps_are_those_of_one_exact_step() -> None:
    training, unseen = tasks()
    benefit = found()
    for place, rate in enumerate(benefit.meta.rates):
        for each, gaps in ((training, benefit.training), (unseen, benefit.unseen)):
            for start, K in enumerate((benefit.shared, benefit.meta.K[place])):
                costs = lqr.cost(each, K), lqr.cost(each, K - rate * lqr.gradient(each, K))
                expected = np.stack(costs) / optimal.optimal_gains(each).cost - 1.0
                np.testing.assert_allclose(gaps[place, start], expected, rtol=1e-9)
    np.testing.assert_allclose(benefit.shared, optimal.shared_gain(training).K, rtol=1e-12)
    np.testing.assert_allclose(benefit.meta.rates, ETAS, rtol=1e-12)


def test_optima_of_continuation_are_stationary_and_no_gain_at_hand_is_better() -> None:
    training, benefit = tasks()[0], found()
    gains = [*benefit.meta.K, benefit.shared, *candidate_gains(training).values()]
    for K, rate, value in zip(benefit.meta.K, benefit.meta.rates, benefit.meta.objective, strict=True):
        assert value == pytest.approx(meta.objective(training, K, rate), rel=1e-12)
        assert np.linalg.norm(meta.gradient(training, K, rate)) < 1e-6 * value
        assert all(meta.objective(training, other, rate) >= value * (1 - 1e-9) for other in gains)
    assert not benefit.meta.better_seen.any()


def test_the_order_of_the_rates_does_not_count() -> None:
    training = tasks()[0]
    one, other = meta_gains(training, [0.3, 0.1]), meta_gains(training, [0.1, 0.3])
    np.testing.assert_allclose(one.K, other.K[::-1], rtol=1e-12)
    assert (one.rates == [0.3, 0.1]).all()
    np.testing.assert_allclose(meta_gains(training, [0.0]).K[0], optimal.shared_gain(training).K, rtol=1e-6)


def test_a_descent_begins_again_from_a_better_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The continuation is made to end elsewhere; the optimum of the other rate is seen to be better."""
    training, continued = tasks()[0], module._continued
    poor = optimal.optimal_gains(training).K[0]

    def misled(each: LQRTasks, K: Any, before: float, rate: float) -> Any:
        return poor if rate == 0.2 else continued(each, K, before, rate)

    expected = meta_gains(training, [0.1, 0.2])
    monkeypatch.setattr(module, "_continued", misled)
    result = meta_gains(training, [0.1, 0.2])
    assert result.restarts.tolist() == [0, 1]
    np.testing.assert_allclose(result.K, expected.K, rtol=1e-5)

    def fails(*_: Any, **__: Any) -> Any:
        raise optimal.DescentError("no")

    monkeypatch.setattr(module, "meta_gain", fails)
    assert meta_gains(training, [0.2]).better_seen.tolist() == [True]


def test_the_largest_rate_is_the_last_of_the_grid_below_the_limit() -> None:
    training = tasks()[0]
    shared = optimal.shared_gain(training).K
    limit, largest = largest_adaptation_rate(training, shared), largest_rate(training, shared)
    assert meta.is_maml_stabilising(training, shared, largest)
    assert limit / (RATES[1] / RATES[0]) <= largest < limit
    assert largest_rate(training, shared, [0.5, 1e-3, 1e9]) == 0.5
    with pytest.raises(ValueError, match=r"rates: none is below 1\.0"):
        largest_rate(training, shared, [1e9])


def test_unstable_tasks_count_as_infinite() -> None:
    pair = scalar_tasks([0.5, 1.5])
    optima = optimal.optimal_gains(pair).cost
    gaps = adapted_gap(pair, [[0.4]], 0.01, optima)
    assert np.isfinite(gaps[0])
    assert gaps[1] == np.inf
    assert (adapted_gap(pair, [[1.0]], 1e3, optima) == np.inf).all()


def test_rates_that_continuation_does_not_reach_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    training = random_tasks(3, 3, 2, 1, radius=0.8, spread=0.15)
    result = meta_gains(training, [1e6, 1e-3, 2e6])
    assert [bool(reason) for reason in result.failures] == [True, False, True]
    assert "the adaptation rate 1e+06 was not reached" in result.failures[0]
    assert np.isnan(result.K[[0, 2]]).all()
    assert np.isnan(result.objective[[0, 2]]).all()
    np.testing.assert_array_equal(result.K[1], meta_gains(training, [1e-3]).K[0])
    monkeypatch.setattr(module, "largest_rate", lambda *_: 1e6)
    benefit = meta_benefit(training, training, [1.0, 1e-9])
    assert np.isnan(benefit.unseen[0]).all()
    assert np.isfinite(benefit.unseen[1]).all()
    with pytest.raises(optimal.DescentError, match=r"the optimum of L at the adaptation rate 1e\+06 was not reached"):
        meta_gains(training, [1e6])
    with pytest.raises(optimal.NoCommonStabilisingGainError):
        meta_benefit(opposed_tasks(), opposed_tasks(), [0.5])
