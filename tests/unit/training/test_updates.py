"""Update rules: against NumPy twins, on quadratics whose solution is known, in runs in parts, and what they refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from systems import scalar_tasks, similar_tasks

from metalqr import MetaSettings, Stream, lqr, training
from metalqr.config.problems import SettingsError
from metalqr.config.registries import methods, update_rules
from metalqr.estimators.estimator import Array, Memory
from metalqr.estimators.meta import estimate_mean_gradient
from metalqr.lqr import LQRTasks
from metalqr.training import Direction, History, Method, Observer, Problem, State, Status, UpdateRule
from metalqr.training.loop import run
from metalqr.training.saved_state import SavedState

TASKS = similar_tasks(seed=2, count=3, state_dim=2, action_dim=1)
K0 = np.array([[0.02, -0.01]])
SETTINGS = MetaSettings(
    method="mean_cost",
    learning_rate=1.0e-4,
    adaptation_rate=0.0,
    perturbations=6,
    smoothing_radius=0.1,
    rollout_length=7,
    iterations=7,
)
#: Rules that change steps.
OTHERS = [name for name in update_rules.names() if name != "gradient"]


def gradient_twin(K: Array, gradient: Callable[[Array, int], Array], steps: int, rate: float) -> list[Array]:
    path = [K]
    for n in range(steps):
        path.append(path[-1] - rate * gradient(path[-1], n))
    return path


def momentum_twin(
    K: Array, gradient: Callable[[Array, int], Array], steps: int, rate: float, beta: float = 0.9
) -> list[Array]:
    """By the gains alone: the heavy ball as Polyak writes it."""
    path = [K, K]
    for n in range(steps):
        path.append(path[-1] - rate * gradient(path[-1], n) + beta * (path[-1] - path[-2]))
    return path[1:]


def adam_twin(
    K: Array,
    gradient: Callable[[Array, int], Array],
    steps: int,
    rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> list[Array]:
    """By sums over all directions so far, without a recursion."""
    path, directions = [K], []
    for n in range(steps):
        directions.append(gradient(path[-1], n))
        ages = np.arange(n, -1, -1)
        mean, square = (
            np.tensordot(beta**ages / np.sum(beta**ages), np.array(directions) ** power, 1)
            for beta, power in ((beta1, 1), (beta2, 2))
        )
        path.append(path[-1] - rate * mean / (np.sqrt(square) + epsilon))
    return path


TWINS: dict[str, tuple[Callable[..., list[Array]], dict[str, Any], dict[str, Any]]] = {
    "gradient": (gradient_twin, {}, {}),
    "momentum": (momentum_twin, {}, {}),
    "momentum with another decay": (momentum_twin, {"momentum_decay": 0.3}, {"beta": 0.3}),
    "adam": (adam_twin, {}, {}),
    "certified": (gradient_twin, {}, {}),  # such steps are shorter than the radius
    "adam with other constants": (
        adam_twin,
        {"first_moment_decay": 0.5, "second_moment_decay": 0.0, "adam_epsilon": 3.0},
        {"beta1": 0.5, "beta2": 0.0, "epsilon": 3.0},
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_every_rule_step_by_step(name: str) -> None:
    """Along the estimates of `mean_cost`, whose norms are what a run records."""
    twin, own, constants = TWINS[name]
    settings = SETTINGS.replace(update_rule=name.split()[0], **own)
    norms = []

    def estimate(K: Array, iteration: int) -> Array:
        found = estimate_mean_gradient(TASKS, K, settings, Stream(5, iteration)).gradient
        norms.append(np.linalg.norm(found))
        return found

    expected = np.array(twin(K0, estimate, 7, settings.learning_rate, **constants))
    history = training.train(TASKS, K0, settings, 5)
    assert history.status is Status.COMPLETED
    assert np.abs(np.diff(history.K, axis=0)).max(axis=(1, 2)).min() > 1e-6, "it moves at every step"
    assert_allclose(history.K, expected, rtol=0, atol=1e-12)
    assert_allclose(history.gradient_norm[:-1], norms, rtol=1e-9)


def test_momentum_without_memory_is_plain_gradient_descent_to_the_bit() -> None:
    plain = training.train(TASKS, K0, SETTINGS, 5)
    assert plain.memory == {}
    none = training.train(TASKS, K0, SETTINGS.replace(update_rule="momentum", momentum_decay=0.0), 5)
    assert_array_equal(none.K, plain.K)
    assert_array_equal(none.gradient_norm, plain.gradient_norm)


@pytest.mark.parametrize("rule", OTHERS)
def test_a_rule_serves_a_gain_for_each_task(rule: str) -> None:
    settings = SETTINGS.replace(method="gradient_descent", update_rule=rule, learning_rate=1e-3)
    twin = TWINS[rule][0]
    start = np.broadcast_to(K0, (3, 1, 2))
    expected = twin(start, lambda K, _: lqr.gradient(TASKS, K), 7, 1e-3)
    assert_allclose(training.train(TASKS, K0, settings, 0).K, expected, rtol=1e-10, atol=1e-14)


# --- quadratics -------------------------------------------------------------------------------------------------------

CURVATURE = np.array([[1.0, 4.0], [9.0, 25.0]])
CENTRE = np.array([[1.0, -2.0], [0.5, 3.0]])


class Bowl(Method):
    """Exact descent on the sum of c (K - centre)² / 2 over the entries."""

    name = "bowl"
    is_exact = True

    def direction(self, state: State, stream: Stream) -> Direction:
        return Direction(CURVATURE * (state.K - CENTRE))


class Slope(Method):
    """A constant direction, of another scale in each entry."""

    name = "slope"

    def direction(self, state: State, stream: Stream) -> Direction:
        return Direction(np.array([[1e-3, -1.0], [40.0, -1e6]]))


def path_of(method: type[Method], iterations: int, **settings: Any) -> Array:
    """The gains of a method from zero; every one of them is stabilising."""
    zero, one = np.zeros((1, 2, 2)), np.eye(2)[np.newaxis]
    tasks = LQRTasks(A=0.1 * one, B=zero, Q=one, R=one, Psi=one)
    method_ = method(Problem(tasks, np.zeros((2, 2)), SETTINGS.replace(iterations=iterations, **settings)))
    return run(method_, Stream(0), iterations).K


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_momentum_follows_the_roots_of_its_recursion(beta: float) -> None:
    """Of z² - (1 + β - αc) z + β, from K_{-1} = K_0; β is their product, and the rate √β where they are complex."""
    rate = 0.05
    found = path_of(Bowl, 30, update_rule="momentum", momentum_decay=beta, learning_rate=rate) - CENTRE
    trace = (1.0 + beta - rate * CURVATURE).astype(complex)
    root = np.sqrt(trace**2 - 4.0 * beta)
    first, second = (trace + root) / 2.0, (trace - root) / 2.0
    # e_n = a z_1^n + b z_2^n with e_0 = a + b and e_1 = (1 - α c) e_0.
    error = -CENTRE.astype(complex)
    a = error * ((1.0 - rate * CURVATURE) - second) / (first - second)
    powers = np.arange(31)[:, np.newaxis, np.newaxis]
    expected = a * first**powers + (error - a) * second**powers
    assert_allclose(found, expected.real, rtol=0, atol=1e-12)


def test_momentum_takes_longer_steps_than_gradient_descent_can() -> None:
    """It converges up to αc < 2 (1 + β); the best constants need about √κ iterations in place of κ."""
    steepest = CURVATURE.max()

    def last_error(**settings: Any) -> float:
        return float(np.abs(path_of(Bowl, 200, **settings)[-1] - CENTRE).max())

    for factor, converges in ((0.99, True), (1.01, False)):
        rate = factor * 2.0 * 1.5 / steepest
        error = last_error(update_rule="momentum", momentum_decay=0.5, learning_rate=rate)
        assert (error < 3.0) == converges
    low, high = np.sqrt([CURVATURE.min(), steepest])
    beta, rate = ((high - low) / (high + low)) ** 2, 4.0 / (high + low) ** 2
    assert last_error(update_rule="momentum", momentum_decay=beta, learning_rate=rate) < 1e-12
    best_of_gradient = last_error(learning_rate=2.0 / (high**2 + low**2))
    assert_allclose(best_of_gradient, 3.0 * (24.0 / 26.0) ** 200, rtol=1e-6)


def test_adam_goes_one_learning_rate_a_step_along_a_constant_slope() -> None:
    """Whatever its scale, from the first step on: the correction of the bias is exact."""
    found = path_of(Slope, 40, update_rule="adam", learning_rate=0.01)
    signs = np.array([[1.0, -1.0], [1.0, -1.0]])
    assert_allclose(found, -0.01 * np.arange(41)[:, np.newaxis, np.newaxis] * signs, rtol=2e-5)


@pytest.mark.slow
def test_adam_comes_as_near_as_its_learning_rate_and_no_step_is_much_longer() -> None:
    found = path_of(Bowl, 2000, update_rule="adam", learning_rate=0.01)
    # Kingma and Ba, section 2.1: at most α (1 - β_1) / √(1 - β_2) where that is above α.
    assert np.abs(np.diff(found, axis=0)).max() <= 0.01 * 0.1 / np.sqrt(0.001)
    assert np.abs(found[-1] - CENTRE).max() < 0.01
    assert np.abs(found[100] - CENTRE).max() > 1.0


# --- runs in parts ----------------------------------------------------------------------------------------------------


class StopAfterEach(Observer):
    def stops(self, state: Callable[[], History]) -> bool:
        return True


@pytest.mark.parametrize("rule", OTHERS)
@pytest.mark.parametrize("method", ["mean_cost", "gradient_descent"])
def test_a_run_in_parts_is_the_same_to_the_bit(rule: str, method: str, tmp_path: Path) -> None:
    """Every part goes through the file of the saved state, as after a kill."""
    settings = SETTINGS.replace(method=method, update_rule=rule, average_last=0.5)
    whole = training.train(TASKS, K0, settings, 3)
    assert whole.status is Status.COMPLETED
    assert bool(whole.memory) == (rule != "certified")  # which remembers nothing
    assert all(name.startswith("update_rule.") for name in whole.memory)
    saved, parts = SavedState(tmp_path / "run.nc", TASKS, K0, settings, 3, {}), 0
    history = training.train(TASKS, K0, settings, 3, [StopAfterEach()])
    while history.status is Status.INTERRUPTED:
        assert history.K_average is None
        saved.save(history)
        history = training.train(TASKS, K0, settings, 3, [StopAfterEach()], resume=saved.load())
        parts += 1
    assert parts == 6
    for name in ("K", "cost", "gradient_norm", "K_average", "cost_average"):
        assert_array_equal(getattr(history, name), getattr(whole, name), strict=True)
    assert history.memory.keys() == whole.memory.keys()
    for name, array in whole.memory.items():
        assert_array_equal(history.memory[name], array, strict=True)


class Counting(Method):
    """A method with a memory whose name is that of the rule as well."""

    name = "counting"
    kept = "velocity"

    def direction(self, state: State, stream: Stream) -> Direction:
        assert set(state.memory) <= {self.kept}
        count = state.memory.get(self.kept, np.array(0)) + 1
        return Direction(count * np.ones_like(state.K), {self.kept: count})


def test_memories_of_method_and_rule_do_not_meet() -> None:
    settings = SETTINGS.replace(update_rule="momentum", momentum_decay=0.5)
    history = run(Counting(Problem(TASKS, K0, settings)), Stream(0), 3)
    assert history.memory["velocity"] == 3
    assert_array_equal(history.memory["update_rule.velocity"], np.full((1, 2), 0.25 * 1 + 0.5 * 2 + 3))


def test_a_reserved_name_in_the_memory_of_a_method_is_refused() -> None:
    class Taken(Counting):
        kept = "update_rule.velocity"

        def direction(self, state: State, stream: Stream) -> Direction:
            return Direction(np.ones_like(state.K), {self.kept: np.array(1)})

    with pytest.raises(
        ValueError, match=r"memory: the name 'update_rule\.velocity' is reserved for the update rule; ch"
    ):
        run(Taken(Problem(TASKS, K0, SETTINGS)), Stream(0), 3)


# --- directions that are not finite -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", update_rules.names())
def test_rollouts_that_overflow_end_a_run_with_any_rule(rule: str) -> None:
    settings = SETTINGS.replace(update_rule=rule, smoothing_radius=1.0e9, rollout_length=50)
    history = training.train(TASKS, K0, settings, 1)
    assert (history.status, history.status_iteration) == (Status.DIVERGED, 0)
    assert history.gradient_norm[0] == np.inf


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_no_rule_hides_a_direction_that_is_not_finite(value: float) -> None:
    """A sign is finite, and so is that of the sum of finite directions before."""

    class Signs(UpdateRule):
        def update(self, gradient: Array, memory: Memory) -> tuple[Array, Memory]:
            return np.sign(np.nan_to_num(gradient)), memory

    class Breaks(Method):
        name = "breaks"

        def direction(self, state: State, stream: Stream) -> Direction:
            return Direction(np.array([[1.0, value if stream.iteration == 2 else 1.0]]))

    method = Breaks(Problem(TASKS, K0, SETTINGS))
    method.rule = Signs(SETTINGS)
    history = run(method, Stream(0), 5)
    assert (history.status, history.status_iteration) == (Status.DIVERGED, 2)
    assert history.gradient_norm[2] == np.inf
    assert_allclose(history.K[2], K0 - 2e-4, rtol=1e-12)


@pytest.mark.parametrize("rule", update_rules.names())
def test_a_direction_whose_norm_overflows_is_followed_as_it_is(rule: str) -> None:
    """Adam would divide it by its size: a short step, as if nothing had happened."""

    class Far(Method):
        name = "far"

        def direction(self, state: State, stream: Stream) -> Direction:
            return Direction(np.full((1, 2), 1e200))

    history = run(Far(Problem(TASKS, K0, SETTINGS.replace(update_rule=rule))), Stream(0), 5)
    assert (history.status, history.status_iteration) == (Status.DIVERGED, 1)
    assert_array_equal(history.K[1], K0 - 1e-4 * 1e200)


@pytest.mark.parametrize("rule", OTHERS)
def test_the_tolerance_is_about_the_direction_and_not_the_update(rule: str) -> None:
    """Directions of length √2 n: the third is the first below 4.5, however long the updates are."""
    settings = SETTINGS.replace(update_rule=rule, tolerance=4.5)

    class Falling(Method):
        name = "falling"

        def direction(self, state: State, stream: Stream) -> Direction:
            return Direction(np.full((1, 2), 5.0 - stream.iteration))

    history = run(Falling(Problem(TASKS, K0, settings)), Stream(0), 7)
    assert (history.status, history.status_iteration) == (Status.TOLERANCE, 2)
    assert_allclose(history.gradient_norm, np.sqrt(2.0) * np.array([5.0, 4.0, 3.0]))


# --- what they refuse -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", OTHERS)
@pytest.mark.parametrize("method", ["gauss_newton", "natural_gradient"])
def test_prescribed_steps_take_no_other_rule(rule: str, method: str) -> None:
    message = (
        f"^update_rule: {rule} cannot change the steps of method: {method}, which are its own; set update_rule: gra"
    )
    with pytest.raises(SettingsError, match=message):
        SETTINGS.replace(method=method, update_rule=rule)
    assert SETTINGS.replace(method=method, update_rule="gradient").update_rule == "gradient"


def test_a_method_with_a_step_of_its_own_takes_no_other_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "_registered", dict(methods._registered))

    @methods.register("halving")
    class Halving(Method):
        def step(self, state: State, stream: Stream) -> State:
            return State(0.5 * state.K, gradient_norm=1.0)

    with pytest.raises(SettingsError, match="update_rule: adam cannot change the steps of method: halving, which are"):
        SETTINGS.replace(method="halving", update_rule="adam")
    history = training.train(TASKS, K0, SETTINGS.replace(method="halving"), 0)
    assert_array_equal(history.K[3], K0 / 8.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"update_rule": "nesterov"},
            "update_rule: 'nesterov' is not allowed; use one of: adam, certified, gradient, momentum",
        ),
        ({"update_rule": 3}, "update_rule: 3 is not text"),
        (
            {"momentum_decay": 0.5},
            "momentum_decay: a setting of update_rule: momentum, not of gradient; remove it or c",
        ),
        ({"update_rule": "momentum", "momentum_decay": 1.0}, r"momentum_decay: 1.0 is not < 1"),
        ({"update_rule": "momentum", "momentum_decay": -0.1}, r"momentum_decay: -0.1 is not >= 0"),
        ({"update_rule": "adam", "first_moment_decay": 1}, r"first_moment_decay: 1 is not < 1"),
        ({"update_rule": "adam", "second_moment_decay": -1}, r"second_moment_decay: -1 is not >= 0"),
        ({"update_rule": "adam", "adam_epsilon": 0.0}, r"adam_epsilon: 0.0 is not > 0"),
        ({"average_last": 1.5}, r"average_last: 1.5 is not <= 1"),
        ({"average_last": -0.5}, r"average_last: -0.5 is not >= 0"),
    ],
)
def test_impossible_settings_are_told_in_a_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{message}"):
        MetaSettings(learning_rate=1e-3, adaptation_rate=0.0, **settings)


def test_the_rule_identifies_a_run_and_its_default_does_not() -> None:
    assert SETTINGS.replace(update_rule="gradient", average_last=0).changed() == SETTINGS.changed()
    changed = SETTINGS.replace(update_rule="momentum", momentum_decay=0.9, average_last=0.25).changed()
    assert changed == {**SETTINGS.changed(), "update_rule": "momentum", "average_last": 0.25}


def test_exact_methods_keep_their_plain_steps() -> None:
    """What the rates of the stage `theory` are about."""
    tasks = scalar_tasks([0.5, 0.3])
    history = training.train(tasks, [[0.0]], SETTINGS.replace(method="gradient_descent", learning_rate=0.01), 0)
    for n in range(7):
        assert_array_equal(history.K[n + 1], history.K[n] - 0.01 * lqr.gradient(tasks, history.K[n]))
