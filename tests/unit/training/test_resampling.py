"""Training on tasks that are drawn anew in every iteration, with costs of held-out ones."""

from typing import Any

import numpy as np
import pytest
from systems import Array

from metalqr import MetaSettings, lqr
from metalqr.config.registries import families, methods
from metalqr.estimators.meta import Estimation
from metalqr.lqr import LQRTasks
from metalqr.results import load, save
from metalqr.results.runs import RUNS, Status
from metalqr.simulation.streams import Stream
from metalqr.systems.family import Family
from metalqr.systems.further import digest
from metalqr.systems.resampling import MAX_BLOCK, ResampledTasks
from metalqr.training.history import History
from metalqr.training.loop import train
from metalqr.training.observers import Observer

SIZES = (2, 1, 5)


def family(**changes: Any) -> Family:
    similar = families.get("similar")
    needed = {"spectral_radius": 0.8, "perturbed_share": 0.3, "perturbation_deviation": 0.25, "count": 3}
    return similar(similar.Settings(**needed | {"resample": "each_iteration"} | changes))


def settings(**changes: Any) -> MetaSettings:
    chosen: dict[str, Any] = {
        "learning_rate": 1e-3,
        "adaptation_rate": 1e-3,
        "estimator": "two_point",
        "perturbations": 20,
        "inner_perturbations": 4,
        "rollout_length": 10,
        "iterations": 8,
    }
    return MetaSettings(**chosen | changes)


def resampled(**changes: Any) -> ResampledTasks:
    return family(**changes).resampled(*SIZES)


def tasks() -> LQRTasks:
    return family().tasks(*SIZES)


def run(seed: int = 0, observers: Any = (), resume: History | None = None, **changes: Any) -> History:
    return train(tasks(), np.zeros((1, 2)), settings(**changes), seed, observers, resume=resume, resampled=resampled())


def of_iteration(source: ResampledTasks, seed: int, iteration: int) -> LQRTasks:
    return source.block(seed, iteration).tasks.subset(source.places(iteration))


@pytest.mark.parametrize("method", ["zeroth_order_maml", "mean_cost", "reptile"])
def test_every_step_is_that_of_the_tasks_of_its_iteration(method: str) -> None:
    """A twin that makes the estimates of the drawn tasks alone."""
    changes: dict[str, Any] = {"method": method, "adaptation_rate": 2e-3}
    changes |= {"inner_steps": 2} if method == "reptile" else {}
    chosen, source, K = settings(**changes), resampled(), np.zeros((1, 2))
    history = run(3, **changes)
    for iteration in range(8):
        np.testing.assert_allclose(history.K[iteration], K, rtol=1e-12, atol=1e-15)
        own = of_iteration(source, 3, iteration).replace(p=None)
        stream = Stream(3, iteration)
        if method == "reptile":
            gains, way = np.repeat(K[None], 3, axis=0), np.zeros((3, 1, 2))
            for step in range(2):
                found = Estimation(own, chosen).task_gradients(gains, stream.at(2 * iteration + step), np.arange(3))
                way, gains = way + found.gradient, gains - 2e-3 * found.gradient
            gradient: Array = way.mean(axis=0)
        else:
            estimation = Estimation(own, chosen)
            estimate = estimation.mean_gradient if method == "mean_cost" else estimation.meta_gradient
            gradient = estimate(K, stream).gradient
        K = K - 1e-3 * gradient
    assert np.abs(history.K[-1]).max() > 1e-4


def test_costs_are_those_of_the_held_out_tasks_which_training_does_not_see() -> None:
    history, held_out = run(), tasks()
    np.testing.assert_allclose(history.cost, [lqr.cost(held_out, K) for K in history.K], rtol=1e-12)
    source = resampled()
    seen = [each for iteration in range(8) for each in digest(of_iteration(source, 0, iteration))]
    assert len(set(seen)) == 24
    assert not set(seen) & set(digest(held_out))
    # The gains of other held-out tasks are the same: training does not depend on them.
    other = train(tasks().subset([0]), np.zeros((1, 2)), settings(), 0, resampled=source)
    np.testing.assert_array_equal(other.K, history.K)


def test_two_seeds_of_a_run_see_different_tasks_and_two_methods_the_same() -> None:
    source = resampled()
    one, other = (set(digest(source.block(seed, 0).tasks)) for seed in (0, 1))
    assert not one & other
    assert digest(resampled().block(1, 5).tasks) == digest(source.block(1, 5).tasks)
    assert not one & set(digest(source.block(0, MAX_BLOCK).tasks))


def test_the_tasks_of_an_iteration_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    source = resampled()
    expected = [digest(of_iteration(source, 7, iteration)) for iteration in range(6)]
    monkeypatch.setattr("metalqr.systems.resampling.MAX_BLOCK", 4)
    smaller = resampled()
    assert [digest(of_iteration(smaller, 7, iteration)) for iteration in range(6)] == expected
    assert smaller.block(7, 0).tasks.count == 12


class StopAt(Observer):
    """Stops a run at an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def stops(self, state: Any) -> bool:
        return bool(state().status_iteration == self.iteration)


@pytest.mark.parametrize("iteration", [1, 5])
def test_a_resumed_run_has_the_same_bits(iteration: int) -> None:
    whole, part = run(4), run(4, [StopAt(iteration)])
    assert (part.status, part.status_iteration) == (Status.INTERRUPTED, iteration)
    resumed = run(4, resume=part)
    for name in ("K", "cost", "gradient_norm", "rollout_steps", "unstable_perturbations"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    assert resumed.redrawn_tasks == whole.redrawn_tasks == 0


def test_draws_without_a_stabilising_gain_are_counted_also_those_before_a_run_was_resumed() -> None:
    """The tasks of a family of which every second draw has a mode that no input reaches."""

    class Half(Family):
        name = "half"

        def draw(self, state_dim: int, action_dim: int, seed: int, places: Any) -> LQRTasks:
            uniform = np.array([address.generator(self.name, seed).uniform() for address in places])
            B = np.ones((len(places), 2, 1))
            B[uniform < 0.5, 1] = 0.0
            two, one = np.tile(np.eye(2), (len(places), 1, 1)), np.ones((len(places), 1, 1))
            return LQRTasks(np.diag([0.5, 1.2]) + 0.1 * uniform[:, None, None] * two, B, two, one, two)

    legacy: Any = families.get("legacy")
    source, again = (Half(legacy.Settings(count=3)).resampled(*SIZES) for _ in range(2))
    blocks = [source.block(1, first) for first in (0, MAX_BLOCK, 2 * MAX_BLOCK)]
    assert all(block.tasks.B.all() for block in blocks)
    redraws = np.concatenate([block.redraws for block in blocks])
    for iterations in (1, MAX_BLOCK, MAX_BLOCK + 5, 3 * MAX_BLOCK):
        expected = redraws[: 3 * iterations].sum()
        assert source.redrawn(1, iterations) == again.redrawn(1, iterations) == expected
    assert redraws.sum() > 200
    assert source.redrawn(1, 0) == 0


def test_the_file_of_a_run_states_it(tmp_path: Any) -> None:
    history = run()
    dataset = history.to_dataset(settings().as_dict(), 0, case="mine", perturbed_policies=24)
    save(tmp_path / "run.nc", dataset)
    found = load(tmp_path / "run.nc", RUNS, "mine")
    assert int(found["redrawn_tasks"]) == 0
    assert "costs are of held-out ones" in found["redrawn_tasks"].attrs["long_name"]
    usual = train(tasks(), np.zeros((1, 2)), settings(), 0)
    assert usual.redrawn_tasks is None
    assert "redrawn_tasks" not in usual.to_dataset(settings().as_dict(), 0, case="mine", perturbed_policies=24)


@pytest.mark.parametrize("method", ["gradient_descent", "exact_maml"])
def test_methods_that_cannot_have_other_tasks_are_refused(method: str) -> None:
    with pytest.raises(ValueError, match=f"resampled: the method {method} cannot have other tasks in every iteration"):
        run(method=method, estimator="one_point")
    assert not methods.get(method).can_resample


def test_numbers_beyond_their_words_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^seed: "):
        resampled().block(2**64, 0)
