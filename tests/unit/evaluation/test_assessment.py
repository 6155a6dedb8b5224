"""Assessment of starting gains on unseen tasks: the choice of a step size, and the files."""

from pathlib import Path
from typing import Any

import adapted
import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from systems import scalar_tasks, similar_tasks, stable_gain

from metalqr import lqr, optimal, results
from metalqr.config.evaluation import EXACT, estimate_settings
from metalqr.evaluation.adaptation import assessment, measures
from metalqr.evaluation.adaptation.addresses import Part, noise
from metalqr.evaluation.adaptation.assessment import assess, with_optima
from metalqr.evaluation.adaptation.dataset import EVALUATION, Start, joined, load_evaluation
from metalqr.evaluation.adaptation.identification import assess_certainty_equivalence
from metalqr.evaluation.adaptation.on_training import training_costs
from metalqr.evaluation.adaptation.paths import adapt_by_rollouts, adapt_exactly
from metalqr.evaluation.adaptation.protocol import Protocol, UnseenTasks
from metalqr.evaluation.adaptation.unseen import SharedTaskError, require_disjoint
from metalqr.evaluation.certainty_equivalence import certainty_equivalence
from metalqr.systems.further import digest

ALL = similar_tasks(7, count=9, state_dim=2, action_dim=2)
TRAINING, VALIDATION, TEST = ALL.subset([0, 1]), ALL.subset([2, 3, 4]), ALL.subset([5, 6, 7, 8])
K0 = np.zeros((2, 2))
STARTS = np.stack([K0, 0.1 * stable_gain(ALL, 1)])
ESTIMATE = estimate_settings(
    {"rollout_length": 4, "smoothing_radius": 0.3, "perturbations": 100},
    {"estimator": "two_point", "common_noise": True, "perturbations": 3},
)
PROTOCOL = Protocol({EXACT: None, "pairs": ESTIMATE}, (0.01, 1e-4, 1e-3), 2, 3, 5)


@pytest.fixture(scope="module")
def unseen() -> tuple[UnseenTasks, UnseenTasks]:
    return with_optima(VALIDATION, K0), with_optima(TEST, K0)


def test_an_estimate_takes_from_the_case_what_is_not_given() -> None:
    assert (ESTIMATE.rollout_length, ESTIMATE.smoothing_radius, ESTIMATE.perturbations) == (4, 0.3, 3)
    assert PROTOCOL.rollouts == {EXACT: 0, "pairs": 6}
    assert PROTOCOL.rollout_steps == {EXACT: 0, "pairs": 24}


def test_results_are_those_of_the_paths_at_both_step_sizes(unseen: tuple[UnseenTasks, UnseenTasks]) -> None:
    validation, test = unseen
    found = assess(STARTS, 2e-3, validation, test, PROTOCOL)
    assert found.excess.shape == (2, 2, 2, 3, 4, 3)
    best = optimal.optimal_gains(TEST).cost[:, np.newaxis]
    rates = np.sort(PROTOCOL.learning_rates)
    for place in range(2):
        start = STARTS[place : place + 1]
        scores = np.array(
            [np.median([validation.gaps(adapt_exactly(VALIDATION, start, rate, 2))[..., -1]]) for rate in rates]
        )
        assert_allclose(found.validation_gap[place, 0], scores, rtol=1e-9)
        by_estimate = np.array(
            [
                np.median(
                    [
                        validation.gaps(
                            adapt_by_rollouts(VALIDATION, start, rate, 2, ESTIMATE, noise(5, repeat, Part.VALIDATION))
                        )[..., -1]
                        for repeat in range(3)
                    ]
                )
                for rate in rates
            ]
        )
        assert_allclose(found.validation_gap[place, 1], by_estimate, rtol=1e-9)
        assert found.adaptation_rate[place].tolist() == [
            [2e-3, rates[scores.argmin()]], [2e-3, rates[by_estimate.argmin()]],
        ]  # fmt: skip
        for choice, rate in enumerate(found.adaptation_rate[place, 1]):
            for repeat in range(3):
                cost = adapt_by_rollouts(TEST, start, rate, 2, ESTIMATE, noise(5, repeat, Part.TEST))[0]
                assert_allclose(found.excess[place, 1, choice, repeat], cost - best, rtol=1e-9, atol=1e-12)
            exact = adapt_exactly(TEST, start, found.adaptation_rate[place, 0, choice], 2)[0]
            assert_allclose(found.excess[place, 0, choice], np.stack([exact - best] * 3), rtol=1e-9, atol=1e-12)
    assert_array_equal(found.regret, measures.regret(found.excess))


def test_runs_of_one_method_share_their_step_size(unseen: tuple[UnseenTasks, UnseenTasks]) -> None:
    found = assess(STARTS, 2e-3, *unseen, PROTOCOL, share_rate=True)
    assert_array_equal(found.adaptation_rate[0], found.adaptation_rate[1])
    assert_array_equal(found.validation_gap[0], found.validation_gap[1])
    alone = assess(STARTS, 2e-3, *unseen, PROTOCOL)
    lowest, highest = alone.validation_gap.min(axis=0), alone.validation_gap.max(axis=0)
    assert ((lowest <= found.validation_gap[0]) & (found.validation_gap[0] <= highest)).all()


def test_the_choice_of_a_step_size_sees_no_test_task(
    unseen: tuple[UnseenTasks, UnseenTasks], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the digests of the tasks of every path with more than the two step sizes that are reported."""
    seen: list[tuple[int, list[str]]] = []
    for name in ("adapt_exactly", "adapt_by_rollouts"):
        original = getattr(assessment, name)

        def recorded(tasks: Any, starts: Any, *rest: Any, original: Any = original) -> Any:
            seen.append((len(starts), digest(tasks)))
            return original(tasks, starts, *rest)

        monkeypatch.setattr(assessment, name, recorded)
    found = assess(STARTS, 2e-3, *unseen, PROTOCOL)
    tried = {each for count, digests in seen if count == 3 * 2 for each in digests}
    reported = {each for count, digests in seen if count == 2 * 2 for each in digests}
    assert tried == set(digest(VALIDATION))
    assert reported == set(digest(TEST))
    other = assess(STARTS, 2e-3, unseen[0], with_optima(TRAINING, K0), PROTOCOL)
    assert_array_equal(found.adaptation_rate, other.adaptation_rate)


def test_sets_with_a_common_task_are_refused() -> None:
    require_disjoint({"training": TRAINING, "validation": VALIDATION, "test": TEST})
    with pytest.raises(SharedTaskError, match="task 0 of the test tasks is task 2 of the validation tasks, so it is"):
        require_disjoint({"training": TRAINING, "validation": VALIDATION, "test": ALL.subset([4, 5])})


def test_costs_on_training_tasks_are_infinite_where_unstable() -> None:
    gains = np.stack([K0, np.full((2, 2), 100.0), np.full((2, 2), np.nan)])
    objective, mean_cost = training_costs(TRAINING, gains, 0.0)
    expected = TRAINING.p @ lqr.cost(TRAINING, K0)
    for found in (objective, mean_cost):
        assert found.tolist() == [pytest.approx(expected), np.inf, np.inf]


# --- certainty equivalence


def test_certainty_equivalence_spends_the_rollout_steps_of_each_estimator() -> None:
    test = with_optima(TEST, K0)
    found = assess_certainty_equivalence(K0, 0.5, test, PROTOCOL)
    assert found.excess.shape == (1, 2, 2, 3, 4, 3)
    assert np.isnan(found.excess[0, 0]).all()
    assert np.isnan(found.adaptation_rate).all()
    assert not np.isnan(found.excess[0, 1]).any()
    for repeat in range(3):
        stream = noise(5, repeat, Part.IDENTIFICATION)
        costs = certainty_equivalence(TEST, K0, [24, 48], 0.5, stream, rollout_length=4).cost[:, 0]
        for rate in range(2):
            apart = found.excess[0, 1, rate, repeat]
            assert_allclose(apart[:, 0], lqr.cost(TEST, K0) - test.optimal_cost, rtol=1e-12)
            assert_allclose(apart[:, 1:], costs - test.optimal_cost[:, np.newaxis], rtol=1e-12)


def test_its_regret_is_that_of_the_exploring_initial_gain() -> None:
    """Exploration is further process noise B v, and a cost v' R v."""
    test = with_optima(TEST, K0)
    found = assess_certainty_equivalence(K0, 0.5, test, PROTOCOL).regret[0, 1, 0, 0]
    noisy = TEST.replace(Psi=TEST.Psi + 0.25 * TEST.B @ TEST.B.mT)
    of_step = lqr.cost(noisy, K0) + 0.25 * np.einsum("iaa->i", TEST.R) - test.optimal_cost
    assert_allclose(found, of_step[:, np.newaxis] * np.arange(3), rtol=1e-9)


def test_too_few_data_and_an_unstable_start_are_infinite() -> None:
    short = Protocol({"one": estimate_settings({"rollout_length": 1}, {"perturbations": 1})}, (0.1,), 4, 1, 0)
    found = assess_certainty_equivalence(K0, 0.5, with_optima(TEST, K0), short).excess[0, 0, 0, 0]
    assert np.isinf(found[:, 1:4]).all()  # 1, 2 and 3 steps for 4 unknowns
    tasks = scalar_tasks(np.array([1.1, 0.5]))
    found = assess_certainty_equivalence(np.zeros((1, 1)), 0.5, with_optima(tasks, np.zeros((1, 1))), PROTOCOL).regret
    assert_array_equal(np.isinf(found[0, 1, 0, 0]), [[False, True, True], [False] * 3])


# --- files


def test_a_part_says_what_it_holds() -> None:
    kinds = (Start.INITIAL_GAIN, Start.META_OPTIMUM)
    dataset = adapted.part(kinds, (2.0, 0.1), (0.5, 0.8), seeds=(0,))
    assert dataset["gap"].dims == ("start", "estimator", "rate", "seed", "repeat", "task", "step")
    assert_allclose(dataset["gap"].sel(start="meta_optimum", estimator="exact")[0, 0, 0, 3], 0.13 * 0.8 ** np.arange(4))
    assert_allclose(dataset["excess"].values, dataset["gap"].values * adapted.UNSEEN.optimal_cost[:, np.newaxis])
    assert_allclose(np.diff(dataset["regret"].values), dataset["excess"].values[..., :-1], rtol=1e-9)
    assert dataset["rollout_steps"].values.tolist() == [[0, 0, 0, 0], [0, 20, 40, 60]]
    assert dataset["rollouts"].values.tolist() == [0, 4]
    assert dataset["relative"].values.tolist() == [1, 1]


def test_parts_are_joined_with_the_comparators_in_every_seed(tmp_path: Path) -> None:
    whole = adapted.whole()
    assert whole["start"].values.tolist() == ["fast", "slow", "initial_gain", "best_single_gain", "meta_optimum"]
    assert whole["kind"].values.tolist() == ["trained", "trained", "initial_gain", "best_single_gain", "meta_optimum"]
    assert whole["seed"].values.tolist() == [3, 4]
    best = whole["gap"].sel(start="best_single_gain")
    assert_array_equal(best.sel(seed=3), best.sel(seed=4))
    assert whole.attrs["remark"] == "a remark"
    results.save(tmp_path / "file.nc", whole)
    xr.testing.assert_identical(load_evaluation(tmp_path / "file.nc", "mine/one"), whole)
    for name, reason in (("other/one", "it belongs to the experiment 'mine'"), ("mine/two", "it belongs to the case")):
        with pytest.raises(results.StorageError, match=reason):
            load_evaluation(tmp_path / "file.nc", name)


def test_averaged_gains_are_starts_of_their_own() -> None:
    both = adapted.part((Start.TRAINED, Start.AVERAGED), (2.0, 1.5), (0.5, 0.6))
    whole = joined({"fast": both, "slow": adapted.part()}, [], experiment="mine", case="one")
    assert whole["start"].values.tolist() == ["fast", "fast, averaged", "slow"]
    assert whole["kind"].values.tolist() == ["trained", "averaged", "trained"]
    assert_array_equal(whole["gap"][:2], both["gap"])


def test_comparators_of_several_rates_are_told_apart() -> None:
    others = [adapted.part((Start.INITIAL_GAIN,), seeds=(0,), own=own) for own in (0.1, 0.2)]
    whole = joined({"fast": adapted.part(), "slow": adapted.part(own=0.2)}, others, experiment="mine", case="one")
    assert whole["start"].values.tolist()[2:] == [
        "initial_gain, adaptation_rate 0.1", "initial_gain, adaptation_rate 0.2",
    ]  # fmt: skip
    others = [adapted.part((Start.INITIAL_GAIN,), seeds=(0,), tasks=tasks) for tasks in ("one", "one-0123")]
    whole = joined({"fast": adapted.part()}, others, experiment="mine", case="one")
    assert whole["start"].values.tolist()[1:] == ["initial_gain, one", "initial_gain, one-0123"]


def test_parts_of_other_settings_are_not_joined() -> None:
    other = adapted.part((Start.INITIAL_GAIN,), seeds=(0,)).assign_attrs(settings="{}")
    with pytest.raises(ValueError, match="the parts were made with different settings; delete them"):
        joined({"fast": adapted.part()}, [other], experiment="mine", case="one")
    with pytest.raises(ValueError, match="there are no trained gains"):
        joined({}, [], experiment="mine", case="one")


def test_absolute_gaps_where_an_optimum_costs_nothing() -> None:
    tasks = scalar_tasks(np.array([0.5, 0.5]), q=np.array([1.0, 0.0]))
    unseen = with_optima(tasks, np.full((1, 1), 0.1))
    assert not unseen.is_relative
    costs = adapt_exactly(tasks, np.full((1, 1, 1), 0.1), 0.01, 1)
    assert_array_equal(unseen.gaps(costs), costs - unseen.optimal_cost[:, np.newaxis])
    assert np.isfinite(unseen.gaps(costs)).all()


def test_layout_has_no_not_a_number_where_a_gain_exists() -> None:
    """Unstable is infinite; the checks of a file refuse minus infinity."""
    dataset = adapted.part(unstable=3)
    assert np.isinf(dataset["gap"].sel(estimator="pairs", step=1)).sum() == 2 * 2 * 2 * 3
    assert not np.isnan(dataset["gap"]).any()
    assert set(EVALUATION.variables) <= set(dataset)
