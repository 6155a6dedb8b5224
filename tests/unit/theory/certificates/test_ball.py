import hostile
import numpy as np
import pytest
from systems import scalar_tasks, semidefinite_tasks, stable_gain

from metalqr import lqr
from metalqr.lqr import FloatArray, LQRTasks, tiled
from metalqr.theory.certificates import Centre

ROUNDING = 1e-9


def check_ball(tasks: LQRTasks, K: FloatArray, share: float, seed: int, count: int) -> float:
    """Compare all bounds of a ball with exact values at perturbed gains; the tightness of that of the Hessian."""
    centre = Centre(tasks, K)
    radius = share * centre.stability_radius[0]
    ball = centre.ball(radius)
    changes = hostile.perturbations(tasks, K, radius, count, seed)
    batch, gains = tiled(tasks, count), K + changes
    assert (lqr.spectral_radius(batch, gains) < 1).all()
    exact = lqr.PolicyEvaluation(batch, gains)
    for bound, values in ((ball.value, exact.value_matrix), (ball.covariance, exact.state_covariance)):
        if np.isfinite(bound).all():
            assert np.linalg.eigvalsh(bound[0] - values)[:, 0].min() >= -ROUNDING * np.linalg.norm(bound[0], 2)
    hessians = np.abs(np.linalg.eigvalsh(lqr.hessian_matrix(batch, gains))).max(axis=1)
    # The derivative in the direction of the perturbation is the worst where the boundary is near.
    X = changes + ROUNDING * radius * np.random.default_rng([seed, 3]).standard_normal(changes.shape)
    X /= np.linalg.norm(X, axis=(1, 2), keepdims=True)
    third = np.abs(np.einsum("nab,nab->n", lqr.third_derivative(batch, gains, X, X), X))
    pairs = [
        (ball.curvature, np.linalg.norm(exact.input_curvature, 2, axis=(1, 2))),
        (ball.advantage, np.linalg.norm(exact.advantage, 2, axis=(1, 2))),
        (ball.hessian, hessians),
        (ball.third_derivative, third),
    ]
    for bound, values in pairs:
        assert not (values > bound[0] * (1 + ROUNDING)).any(), (bound, values.max())
    return float(ball.hessian[0] / max(hessians.max(), 1e-300))  # without noise there is no cost


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_no_perturbation_breaks_a_bound(kind: str) -> None:
    tasks, K = hostile.hostile_task(0, kind)
    for share in (0.1, 0.6):
        check_ball(tasks, K, share, 0, 16)


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_the_stability_radius_is_exact(kind: str) -> None:
    """Against the resolvent on a fine grid, and a perturbation of that size and of rank one that destabilises."""
    tasks, K = hostile.hostile_task(3, kind)
    F, B = lqr.closed_loop(tasks, K)[0], tasks.B[0]
    size = Centre(tasks, K).stability_radius[0]
    poles = np.abs(np.angle(np.linalg.eigvals(F)))
    angles = np.concatenate([np.linspace(0, np.pi, 4001), *(pole + np.linspace(-1e-3, 1e-3, 401) for pole in poles)])
    responses = np.linalg.solve(np.exp(1j * angles)[:, None, None] * np.eye(len(F)) - F, B.astype(complex))
    heights = np.linalg.norm(responses, 2, axis=(1, 2))
    assert 0.998 / heights.max() < size <= (1 + 1e-8) / heights.max()
    u, _, v = np.linalg.svd(responses[heights.argmax()])
    U = -np.outer(v[0].conj(), u[:, 0].conj()) / heights.max()
    assert np.abs(np.linalg.eigvals(F - B @ U)).max() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow  # ten thousand perturbations of each kind of task
@pytest.mark.parametrize("kind", hostile.KINDS)
def test_no_perturbation_of_ten_thousand_breaks_a_bound(kind: str) -> None:
    tightness = []
    for seed in range(100, 150):
        tasks, K = hostile.hostile_task(seed, kind)
        for share in (1e-3, 0.1, 0.3, 0.6, 0.9):
            tightness.append(check_ball(tasks, K, share, seed, 40))
    certified = np.array(tightness)[np.isfinite(tightness)]
    assert len(certified) > 0.7 * len(tightness)
    assert np.median(certified) < (30.0 if kind in ("near_instability", "not_normal") else 3.0)


def test_a_ball_of_radius_zero_is_the_gain() -> None:
    """Value, covariance, curvature and advantage exactly; the Hessian of a scalar task too."""
    tasks = scalar_tasks(a=[0.5, 0.9], b=[1.0, 0.3])
    K = np.array([[0.2]])
    exact, ball = lqr.evaluate(tasks, K), Centre(tasks, K).ball(0.0)
    np.testing.assert_allclose(ball.value, exact.value_matrix, rtol=1e-6)
    np.testing.assert_allclose(ball.covariance, exact.state_covariance, rtol=1e-6)
    np.testing.assert_allclose(ball.advantage, np.abs(exact.advantage[:, 0, 0]), rtol=1e-6)
    # Above the Hessian by 8 |E F| instead of the signed term.
    product = np.abs(exact.advantage * exact.closed_loop)[:, 0, 0] * exact.state_covariance[:, 0, 0]
    slope = 8.0 * np.abs(tasks.B[:, 0, 0]) * product / (1.0 - exact.closed_loop[:, 0, 0] ** 2)
    flat = 2.0 * exact.input_curvature[:, 0, 0] * exact.state_covariance[:, 0, 0]
    np.testing.assert_allclose(ball.hessian, flat + slope, rtol=1e-6)


def test_larger_balls_have_larger_bounds_until_there_is_none() -> None:
    tasks = scalar_tasks(a=0.5)
    centre = Centre(tasks, [[0.0]])
    found = [centre.ball(radius).hessian[0] for radius in (0.0, 0.1, 0.2, 0.3)]
    assert (np.diff(found) > 0).all()
    assert np.isnan(centre.ball(0.5).hessian[0])
    assert np.isnan(centre.ball(7.0).value).all()


@pytest.mark.parametrize("seed", range(3))
def test_cross_terms_and_singular_costs_and_noise_are_covered(seed: int) -> None:
    tasks = semidefinite_tasks(seed)
    K = stable_gain(tasks, seed)
    for task in range(tasks.count):
        assert np.isfinite(check_ball(tasks.subset([task]), K, 0.2, seed, 16))


def test_every_task_has_a_radius_of_its_own() -> None:
    tasks = scalar_tasks(a=[0.5, 0.9])
    centre = Centre(tasks, [[0.0]])
    both, second = centre.ball([0.2, 0.01]), Centre(tasks.subset([1]), [[0.0]]).ball(0.01)
    assert both.hessian[1] == pytest.approx(second.hessian[0], rel=1e-9)
    assert both.hessian[0] == pytest.approx(centre.ball(0.2).hessian[0], rel=1e-9)


@pytest.mark.parametrize("radius", [-0.1, np.nan, np.inf])
def test_a_radius_that_is_none_is_refused(radius: float) -> None:
    with pytest.raises(ValueError, match="radius"):
        Centre(scalar_tasks(a=0.5), [[0.0]]).ball(radius)


def test_a_gain_without_effect_has_an_infinite_radius_and_a_flat_cost() -> None:
    centre = Centre(scalar_tasks(a=0.5, b=0.0, r=3.0), [[0.0]])
    ball = centre.ball(0.4)
    assert centre.stability_radius[0] == np.inf
    # J'' = 2 r Sigma, and no third derivative.
    assert ball.hessian[0] == pytest.approx(2 * 3.0 / 0.75, rel=1e-6)
    assert ball.third_derivative[0] == 0.0
