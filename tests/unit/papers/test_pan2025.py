"""What the later code of the paper's authors runs: the entries of docs/errata.md."""

from typing import Any

import numpy as np
import pytest
import yaml
from places import ROOT

from metalqr import LQRTasks, MetaSettings, lqr, optimal
from metalqr.config.registries import families, methods
from metalqr.config.registry import load_plugins
from metalqr.estimators.estimator import Array
from metalqr.lqr import evaluate
from metalqr.simulation.streams import Purpose, Stream
from metalqr.training.method import Method, Problem, State

FOLDER = ROOT / "config" / "papers"
CONFIG = yaml.safe_load((FOLDER / "pan2025.yaml").read_text(encoding="utf-8"))
K0 = np.array(CONFIG["cases"]["pan2025_alike"]["initial_gain"])


@pytest.fixture(autouse=True)
def plugins(forgotten: None) -> None:
    load_plugins([FOLDER / "pan2025.py"], FOLDER)


def tasks_of(case: str, **changes: Any) -> LQRTasks:
    plugin = families.get("perturbed")
    block = CONFIG["cases"][case]["tasks"]
    return plugin(
        plugin.Settings(**{name: value for name, value in block.items() if name != "family"} | changes)
    ).tasks(4, 2, 2025)


def method(variant: str, tasks: LQRTasks) -> Method:
    chosen = (
        CONFIG["cases"]["pan2025_alike"]["algorithm"] | CONFIG["experiments"]["pan2025_curves"]["variants"][variant]
    )
    return methods.get(chosen["method"])(Problem(tasks, K0, MetaSettings(**chosen)))


def test_their_initial_gain_is_that_of_their_first_round() -> None:
    nominal = optimal.optimal_gains(tasks_of("pan2025_alike", count=1)).K[0]
    drawn = np.random.RandomState(2025).normal(0.0, 0.5, (2, 4))
    np.testing.assert_allclose(K0, nominal + 0.25 * drawn, atol=1e-8)


def test_tasks_are_so_alike_that_the_nominal_gain_is_optimal_for_all() -> None:
    """Within 3e-6 of the optimum of each while training, and of 3e-8 of it for the unseen ones; not where they vary."""
    excess = {}
    for case, changes in (
        ("pan2025_alike", {}),
        ("pan2025_alike", {"perturbation": 1.0e-4}),
        ("pan2025_varied", {}),
    ):
        tasks = tasks_of(case, **changes)
        found = optimal.optimal_gains(tasks)
        excess[case, *changes] = float((lqr.cost(tasks, found.K[0]) / found.cost - 1.0).max())
    assert excess["pan2025_alike",] < 3e-6
    assert excess["pan2025_alike", "perturbation"] < 3e-8
    assert excess["pan2025_varied",] > 0.01


def test_their_hessian_has_no_curvature() -> None:
    """Its mean over the sphere for a quadratic cost, exactly, by the signed axes and pairs of axes of a design.

    The points +-e_a and (+-e_a +-e_b) / sqrt(2) have the moments of the sphere up to the fourth order in the weights
    below, so that the weighted mean is that over the sphere.
    """
    module = __import__(methods.get("pan2025_zomaml").__module__)
    n, r = 8, 1.1e-3
    curvature = np.diag([*[0.0] * (n - 1), 1.0])
    axes = np.concatenate([np.eye(n), -np.eye(n)])
    signs = [(first, second) for first in (1, -1) for second in (1, -1)]
    pairs = np.array([s * np.eye(n)[a] + t * np.eye(n)[b] for a in range(n) for b in range(a) for s, t in signs])
    means = []
    for points in (axes, pairs / np.sqrt(2.0)):
        U = r * points.reshape(1, -1, 2, 4)
        change = 0.5 * np.einsum("ima,ab,imb->im", r * points[None], curvature, r * points[None])
        means.append(module.printed_hessian(change, U)[0])
    # E x_a^4 = 3 / (n (n + 2)) on the sphere; 1 / n over the axes, 1 / (2 n) over the pairs.
    weight = (3.0 / (n + 2) - 0.5) / 0.5
    mean = weight * means[0] + (1.0 - weight) * means[1]
    np.testing.assert_allclose(mean, -0.5 * np.trace(curvature) * np.eye(n), atol=1e-5)


def test_stability_is_not_the_largest_real_part() -> None:
    """Their test of a perturbed A takes the largest real part of its eigenvalues: below 1 here, at the radius 1.5."""
    eigenvalues = np.linalg.eigvals(np.diag([-1.5, 0.5]))
    assert eigenvalues.real.max() < 1.0
    assert np.abs(eigenvalues).max() > 1.0


@pytest.mark.slow
def test_every_update_of_their_hessian_free_method_is_clipped() -> None:
    """Even at the optimum: the noise of its one-point half alone is above the bound, so that it does not converge."""
    tasks = tasks_of("pan2025_alike")
    best = optimal.shared_gain(tasks).K
    hessian_free = method("hessian_free_code", tasks)
    for seed in range(3):
        assert np.linalg.norm(hessian_free.direction(State(best), Stream(seed)).gradient) == pytest.approx(10.0)


def test_their_hessian_free_method_uses_the_model() -> None:
    """Without its one-point half it is the natural gradient of the model, M times."""
    module = __import__(methods.get("pan2025_hessian_free").__module__)
    tasks = tasks_of("pan2025_alike", count=2, perturbation=0.0)
    found = method("hessian_free_code", tasks)
    one_point = 1.0 - module.REPTILE_WEIGHT
    batch, stream = tasks.subset([0]), Stream(1)
    whole = found.mean(batch, K0, stream)  # type: ignore[attr-defined]
    U = found.drawn(1, (2, 4), stream, Purpose.PERTURBATION)[0]  # type: ignore[attr-defined]
    repeated = batch.subset([0] * len(U))
    values = evaluate(repeated, K0 + U)
    natural: Array = values.gradient() @ np.linalg.inv(values.state_covariance + 1e-4 * np.eye(4))
    natural = natural * np.minimum(1.0, 10.0 / np.linalg.norm(natural, axis=(1, 2), keepdims=True))
    costs = lqr.cost(repeated, K0 + U - 8.0e-5 * natural)
    noise = 8 / 1.1e-3**2 * np.einsum("m,mkd->kd", costs, U) / len(U)
    np.testing.assert_allclose(whole, module.REPTILE_WEIGHT * natural.sum(axis=0) + one_point * noise, rtol=1e-8)
