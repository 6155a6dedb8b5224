"""What is wrong with arXiv 2502.19977; see docs/errata.md, "Neighbouring papers"."""

import numpy as np
import pytest
from systems import Array

from metalqr import MetaSettings, Stream, lqr, optimal, systems
from metalqr.estimators.meta import estimate_mean_gradient
from metalqr.lqr import LQRTasks
from metalqr.lqr.rollout_variance import rollout_variance
from metalqr.simulation.lqr_rollouts import LQRSimulator


def detuned(tasks: LQRTasks, factor: float) -> Array:
    return optimal.optimal_gains(tasks.replace(Q=factor * tasks.Q)).K[0]


@pytest.mark.slow
def test_a_hundred_times_the_noise_is_a_hundredth_of_the_step() -> None:
    """The gains are the same to rounding: Σ_w = 1e-3 I with the step 8e-4 is Σ_w = 1e-5 I with 0.08."""
    ends = []
    for variance, rate in ((1e-3, 8e-4), (1e-5, 8e-2)):
        tasks = systems.named("song_iannelli", noise_variance=variance).tasks()
        settings = MetaSettings(
            learning_rate=rate, adaptation_rate=0.0, perturbations=500, smoothing_radius=0.01, rollout_length=20
        )
        K = detuned(tasks, 40.0)
        for iteration in range(20):
            K = K - rate * estimate_mean_gradient(tasks, K, settings, Stream(0, iteration)).gradient
        ends.append(K)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-9)
    assert np.abs(ends[0] - detuned(tasks, 40.0)).max() > 1e-4


def test_a_baseline_divided_twice_by_the_length_reduces_nothing() -> None:
    """The mean square of a coefficient falls by 2 %; with the baseline itself, to what the noise leaves."""
    tasks, length = systems.named("laplacian", noise_variance=1e-2).tasks(), 100
    K = detuned(tasks, 50.0)
    rollouts = LQRSimulator(tasks).costs(np.broadcast_to(K, (1, 4000, 3, 3)), length, Stream(0))[0]
    mean = float(lqr.finite_horizon_cost(tasks, K, length)[0])
    plain, as_coded, right = (np.mean((rollouts - part * mean) ** 2) for part in (0.0, 1.0 / length, 1.0))
    assert as_coded / plain == pytest.approx(0.98, abs=5e-3)
    variance = float(rollout_variance(tasks, K, length)[0])
    assert right == pytest.approx(variance, rel=0.15)
    assert right < 0.2 * plain
