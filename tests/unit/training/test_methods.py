"""Training methods: their directions against exact expectations, step by step, and what they say of their work."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import twins
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import ArrayLike
from systems import Array, random_tasks, similar_tasks

from metalqr import MetaSettings, Stream, lqr, meta, optimal, rollout, training
from metalqr.config.problems import SettingsError
from metalqr.config.registries import methods
from metalqr.evaluation import guarantees
from metalqr.lqr import LQRTasks
from metalqr.objectives import adaptation
from metalqr.optimal import moreau
from metalqr.simulation import streams
from metalqr.training import Direction, Problem, State

SETTINGS = MetaSettings(
    learning_rate=1.0e-3,
    adaptation_rate=0.02,
    perturbations=6,
    inner_perturbations=5,
    smoothing_radius=0.1,
    rollout_length=7,
    iterations=4,
)


def direction(tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream) -> Direction:
    method = methods.get(settings.method)(Problem(tasks, np.asarray(K), settings))
    return method.direction(State(np.asarray(K)), stream)


# --- mean_cost -------------------------------------------------------------------------------------------------------


def test_mean_cost_step_by_step() -> None:
    tasks, gain, stream = random_tasks(seed=7, count=2, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3)), Stream(5, 2)
    settings = SETTINGS.replace(method="mean_cost")
    estimates = [twins.outer_estimate(tasks, i, gain, settings, stream) for i in range(2)]
    expected = np.einsum("i,ikd->kd", tasks.p, estimates)
    found = direction(tasks, gain, settings, stream)
    assert_allclose(found.gradient, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())
    assert found.rollout_steps == 2 * 6 * 7


# --- reptile ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_reptile_of_one_step_is_mean_cost() -> None:
    tasks, gain = similar_tasks(seed=4, count=3, state_dim=2, action_dim=2), np.full((2, 2), 0.01)
    single = direction(tasks, gain, SETTINGS.replace(method="reptile", inner_steps=1), Stream(3, 7))
    mean = direction(tasks, gain, SETTINGS.replace(method="mean_cost"), Stream(3, 7))
    assert_allclose(single.gradient, mean.gradient, rtol=1e-12, atol=1e-12 * np.abs(mean.gradient).max())
    assert single[2:] == mean[2:]


def test_reptile_step_by_step() -> None:
    """Three inner steps: each task goes its own way, with random numbers of its own at every step."""
    tasks, gain, stream = random_tasks(seed=7, count=2, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3)), Stream(5, 2)
    settings = SETTINGS.replace(method="reptile", inner_steps=3)
    ends = np.array([gain, gain])
    for step in range(3):
        address = stream.at(2 * 3 + step)
        found = [twins.outer_estimate(tasks, i, ends[i], settings, address) for i in range(2)]
        ends = ends - settings.adaptation_rate * np.array(found)
    expected = np.einsum("i,ikd->kd", tasks.p, gain - ends) / settings.adaptation_rate
    result = direction(tasks, gain, settings, stream)
    assert_allclose(result.gradient, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    assert result.rollout_steps == 3 * 2 * 6 * 7


def test_reptile_without_an_adaptation_rate_is_refused() -> None:
    with pytest.raises(SettingsError, match="adaptation_rate: 0 is not > 0, as reptile needs it; give one, or method"):
        SETTINGS.replace(method="reptile", adaptation_rate=0.0)


# --- moreau ----------------------------------------------------------------------------------------------------------


def test_moreau_step_by_step() -> None:
    tasks, gain, stream = random_tasks(seed=7, count=2, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3)), Stream(5, 2)
    settings = SETTINGS.replace(method="moreau", inner_steps=3, proximal_weight=4.0)
    ends = np.array([gain, gain])
    for step in range(3):
        found = [twins.outer_estimate(tasks, i, ends[i], settings, stream.at(2 * 3 + step)) for i in range(2)]
        ends = ends - settings.adaptation_rate * (np.array(found) + 4.0 * (ends - gain))
    expected = 4.0 * np.einsum("i,ikd->kd", tasks.p, gain - ends)
    result = direction(tasks, gain, settings, stream)
    assert_allclose(result.gradient, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    assert result.rollout_steps == 3 * 2 * 6 * 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adaptation_rate": 0.0}, "adaptation_rate: 0 is not > 0, as moreau needs it; give one, or method: mean_cost"),
        (
            {"proximal_weight": 100.0},
            "proximal_weight: 100.0 times adaptation_rate: 0.02 is not < 2, so the inner steps diverge; lower one",
        ),
    ],
)
def test_impossible_inner_steps_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SETTINGS.replace(method="moreau", **changes)


# --- first_order_maml and hessian_maml -------------------------------------------------------------------------------

#: One state and two actions: a gain that is higher than wide.
TALL = similar_tasks(seed=11, count=3, state_dim=1, action_dim=2)
TALL_GAIN = np.array([[0.1], [-0.05]])
FORMS: dict[str, dict[str, Any]] = {
    "first order": {"method": "first_order_maml", "inner_estimator": "two_point", "inner_smoothing_radius": 0.2},
    "first order, common noise": {"method": "first_order_maml", "estimator": "two_point", "common_noise": True},
    "corrected": {"method": "hessian_maml", "hessian_perturbations": 4, "hessian_smoothing_radius": 0.3},
    "corrected, gaussian": {"method": "hessian_maml", "directions": "gaussian"},
    "corrected, common noise": {
        "method": "hessian_maml",
        "directions": "orthogonal",
        "estimator": "two_point",
        "common_noise": True,
    },
    "printed": {"method": "hessian_maml", "hessian": "toso", "hessian_perturbations": 4},
    "printed, common noise": {
        "method": "hessian_maml",
        "hessian": "toso",
        "estimator": "two_point",
        "common_noise": True,
    },
}


def twin_of_product(tasks: LQRTasks, i: int, K: Array, settings: MetaSettings, stream: Stream) -> Array:
    """(I - eta H)[g(K - eta g(K))] of a task, in which every estimate is a twin; without H of first order."""
    adapted = K - settings.adaptation_rate * twins.inner_estimate(tasks, i, K, settings, i, stream)
    outer = twins.outer_estimate(tasks, i, adapted, settings, stream)
    if settings.method == "first_order_maml":
        return outer
    values = settings.as_dict()
    M, r = values["hessian_perturbations"] or 6, values["hessian_smoothing_radius"] or 0.1
    return outer - settings.adaptation_rate * twins.hessian_product(tasks, i, K, outer, settings, M, r, stream)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", ["all", 2])
def test_methods_that_adapt_once_step_by_step(form: str, batch: Any) -> None:
    """With all tasks by their probabilities, and with a batch of two of three."""
    settings, stream = SETTINGS.replace(task_batch=batch, **FORMS[form]), Stream(5, 2)
    tasks = TALL
    if batch != "all":
        tasks = TALL.subset(streams.task_batch(stream, TALL.p, batch)).replace(p=None)
    each = [twin_of_product(tasks, i, TALL_GAIN, settings, stream) for i in range(tasks.count)]
    expected = np.einsum("i,ikd->kd", tasks.p, each)
    found = direction(TALL, TALL_GAIN, settings, stream)
    assert_allclose(found.gradient, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    assert found.rollout_steps == methods.get(settings.method).work(3, settings).rollouts * 7


@pytest.mark.parametrize("method", ["first_order_maml", "hessian_maml"])
def test_without_an_adaptation_they_are_mean_cost(method: str) -> None:
    settings = SETTINGS.replace(adaptation_rate=0.0)
    found, mean = (
        direction(TALL, TALL_GAIN, settings.replace(method=name), Stream(3)) for name in (method, "mean_cost")
    )
    assert_allclose(found.gradient, mean.gradient, rtol=1e-12)
    assert found[2:] == mean[2:]


def test_first_order_maml_keeps_the_memory_of_its_estimator() -> None:
    """The second estimate at a gain subtracts the costs of the first from its own, with the residual estimator."""
    settings = SETTINGS.replace(method="first_order_maml", estimator="residual")
    method = methods.get(settings.method)(Problem(TALL, TALL_GAIN, settings))
    first = method.direction(State(TALL_GAIN), Stream(1, 0))
    second, alone = (method.direction(State(TALL_GAIN, memory), Stream(1, 1)) for memory in (first.memory, {}))
    U = streams.perturbations(Stream(1, 1), 3, 6, 2, 1, 0.1)
    before = 2 / (0.1**2 * 6) * np.einsum("i,im,imkd->kd", TALL.p, first.memory["costs"], U)
    assert_allclose(second.gradient, alone.gradient - before, rtol=1e-9)


def test_hessians_need_known_directions_and_radii_that_rounding_keeps() -> None:
    with pytest.raises(SettingsError, match=r"hessian_smoothing_radius: 0\.0001 is not >= 0\.001 in single"):
        SETTINGS.replace(method="hessian_maml", precision="float32", hessian_smoothing_radius=1e-4)
    with pytest.raises(SettingsError, match="hessian_perturbations: a setting of method: hessian_maml, not of rept"):
        SETTINGS.replace(method="reptile", hessian_perturbations=4)


@pytest.mark.parametrize("name", ["reptile", "moreau"])
def test_inner_steps_keep_the_memory_of_their_estimator(name: str) -> None:
    """With the residual estimator each step subtracts the costs of the one before, also across iterations."""
    settings = SETTINGS.replace(method=name, estimator="residual", inner_steps=2, adaptation_rate=1e-12)
    method = methods.get(name)(Problem(TALL, TALL_GAIN, settings))
    memory: dict[str, Any] = {}
    before = np.zeros((3, 6))
    for iteration in range(2):
        found, expected = method.direction(State(TALL_GAIN, memory), Stream(1, iteration)), np.zeros((2, 1))
        for place in (Stream(1, 2 * iteration), Stream(1, 2 * iteration + 1)):
            U = streams.perturbations(place, 3, 6, 2, 1, 0.1)
            costs = rollout.costs(TALL, TALL_GAIN + U, 7, place)  # the gains hardly move
            expected += 2 / (0.1**2 * 6) * np.einsum("i,im,imkd->kd", TALL.p, costs - before, U)
            before = costs
        memory = dict(found.memory)
        assert_allclose(found.gradient, expected * (1e-12 if name == "moreau" else 1.0), rtol=1e-7)


# --- exact forms -----------------------------------------------------------------------------------------------------

EXACT: dict[str, Callable[[LQRTasks, Array], Array]] = {
    "exact_mean_cost": lambda tasks, K: np.einsum("i,ikd->kd", tasks.p, lqr.gradient(tasks, K)),
    "exact_maml": lambda tasks, K: meta.gradient(tasks, K, 0.02),
    "exact_first_order_maml": lambda tasks, K: adaptation.first_order_maml(tasks, K, 0.02),
    "exact_reptile": lambda tasks, K: adaptation.reptile(tasks, K, 0.02, 5),
    "exact_moreau": lambda tasks, K: moreau.envelope_gradient(tasks, K, 1.0),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_forms_follow_their_directions(name: str) -> None:
    """And during a warm-up the gradient of the mean cost: of Reptile, which is s times as long, s times."""
    settings = SETTINGS.replace(method=name, warm_up=1, iterations=3)
    history = training.train(TALL, TALL_GAIN, settings, 0)
    K, mean = history.K, EXACT["exact_mean_cost"](TALL, TALL_GAIN)
    factor = 5 if name == "exact_reptile" else 1
    assert_allclose(K[1], TALL_GAIN - 1e-3 * factor * mean, rtol=1e-12)
    for n in (1, 2):
        assert_allclose(K[n + 1], K[n] - 1e-3 * EXACT[name](TALL, K[n]), rtol=1e-12)
    assert not history.rollout_steps.any()


# --- all -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", methods.names())
@pytest.mark.parametrize("estimator", ["one_point", "two_point"])
@pytest.mark.parametrize("batch", ["all", 2])
def test_work_is_what_an_iteration_takes(name: str, estimator: str, batch: str | int) -> None:
    tasks = similar_tasks(seed=6, count=3, state_dim=2, action_dim=1)
    settings = SETTINGS.replace(method=name, estimator=estimator, task_batch=batch)
    settings = settings.replace(learning_rate=1.0e-6, adaptation_rate=1.0e-6)
    history = training.train(tasks, np.zeros((1, 2)), settings, 0)
    work = methods.get(name).work(3, settings)
    assert_array_equal(history.rollout_steps, np.arange(5) * work.rollouts * settings.rollout_length)
    assert (work.policies == 0) == methods.get(name).is_exact


@pytest.mark.parametrize("name", [name for name in methods.names() if not methods.get(name).is_exact])
def test_no_more_perturbed_policies_are_unstable_than_are_tried(name: str) -> None:
    """With so large a radius all of them are."""
    tasks = similar_tasks(seed=6, count=2, state_dim=1, action_dim=1)
    settings = SETTINGS.replace(method=name, smoothing_radius=100.0, adaptation_rate=1e-50, learning_rate=1e-50)
    history = training.train(tasks, np.zeros((1, 1)), settings, 0)
    tried = methods.get(name).work(2, settings).tried
    assert_array_equal(history.unstable_perturbations, [tried] * 4 + [0])
    guarantees.check(
        tasks, np.zeros((1, 1)), history.K, history.unstable_perturbations, history.gradient_norm, settings, 0
    )


@pytest.mark.parametrize("name", [name for name in methods.names() if methods.get(name).is_exact])
def test_exact_methods_lower_their_objective(name: str) -> None:
    tasks = similar_tasks(seed=8, count=2, state_dim=2, action_dim=1)
    rate = {"gauss_newton": 0.5, "natural_gradient": 0.1, "exact_reptile": 0.004}.get(name, 0.02)
    settings = SETTINGS.replace(method=name, learning_rate=rate, adaptation_rate=1e-3, iterations=30)
    history = training.train(tasks, np.zeros((1, 2)), settings, 0)
    assert history.status is training.Status.COMPLETED
    if methods.get(name).gain_per_task:
        assert history.K.shape == (31, 2, 1, 2)
        assert np.all(np.diff(history.cost, axis=0) <= 1e-12 * history.cost[:-1])
    else:
        adaptation_rate = 0.0 if name == "exact_mean_cost" else 1e-3
        objective = [meta.objective(tasks, K, adaptation_rate) for K in history.K]
        assert np.all(np.diff(objective) <= 1e-12 * objective[0])
    if name == "gauss_newton":
        assert_allclose(history.K[-1], optimal.optimal_gains(tasks).K, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "dim", "rate"), [("reptile", 1, 1e5), ("reptile", 2, 1e5), ("reptile", 3, 1e5), ("exact_maml", 2, 10.0)]
)
def test_a_method_whose_adapted_gains_are_unstable_diverges(method: str, dim: int, rate: float) -> None:
    """Above d = 2 unstable policies are told by eigenvalues, which a gain that is not finite has not."""
    tasks = similar_tasks(seed=6, count=2, state_dim=dim, action_dim=1)
    settings = SETTINGS.replace(method=method, adaptation_rate=rate)
    history = training.train(tasks, np.zeros((1, dim)), settings, 0)
    assert (history.status, history.status_iteration) == (training.Status.DIVERGED, 0)
    assert history.gradient_norm[0] == np.inf
