"""The prediction against real trainings, and against the table that was found without any of the corrections."""

import numpy as np
import pytest
from systems import similar_tasks

from metalqr import MetaSettings, meta
from metalqr.prediction import predict

TASKS = similar_tasks(seed=4, count=3, state_dim=2, action_dim=2)
K0 = np.array([[0.05, -0.02], [0.03, 0.04]])
SETTINGS = MetaSettings(
    method="mean_cost",
    learning_rate=1.0e-3,
    adaptation_rate=0.0,
    perturbations=10,
    smoothing_radius=0.2,
    rollout_length=5,
    iterations=40,
)
SEEDS = 150
#: Share of the logarithm's scale by which a prediction to second order may miss, beside the standard error.
BIAS = 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"estimator": "residual"},
        {"estimator": "one_point_baseline", "task_batch": 2},
        {"estimator": "two_point", "update_rule": "momentum", "momentum_decay": 0.7},
        {"estimator": "two_point", "common_noise": True, "directions": "orthogonal", "learning_rate": 0.004},
        {"learning_rate_decay": 20.0},
        {"method": "zeroth_order_maml", "adaptation_rate": 0.002, "inner_perturbations": 40, "warm_up": 10},
    ],
)
def test_mean_of_many_short_trainings(changes: dict[str, object]) -> None:
    """Mean of the logarithm within 4 standard errors and 2 %, at every tenth iteration."""
    settings = SETTINGS.replace(**changes)
    predicted = predict(TASKS, K0, settings)
    logs = np.log([meta.train(TASKS, K0, settings, seed).ratio for seed in range(SEEDS)])
    mean, error = logs.mean(axis=0), logs.std(axis=0, ddof=1) / np.sqrt(SEEDS)
    off = np.abs(mean - np.log(predicted.geometric_mean))
    assert (off[10::10] < 4 * error[10::10] + BIAS).all(), (off[10::10], error[10::10])
    # The trainings are sure enough to tell noise from none.
    assert error[-1] < 0.1
    inside = (logs > np.log(predicted.lower)) & (logs < np.log(predicted.upper))
    assert 0.82 < inside[:, 10:].mean() < 0.97
