"""The three cases of Figure 1: the leading order alone, as tabled before, and the whole prediction."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from predicted import problem
from systems import Array

from metalqr import MetaSettings, lqr, optimal
from metalqr.lqr import LQRTasks
from metalqr.objectives.mean_cost import mean_gradient
from metalqr.prediction import predict
from metalqr.prediction.mean_path import MeanPath, Stage
from metalqr.prediction.noise import Noise
from metalqr.prediction.recursion import Recursion

ITERATIONS = (30, 100, 400, 1200)
#: Predicted to leading order by a prototype, in the digits that were noted, at these iterations.
PREDICTED = {
    "d1k1": ("0.412", "0.149", "0.0237", "0.0123"),
    "d2k2": ("0.185", "0.049", "0.0226", "0.0230"),
    "d20k10": ("0.326", "0.149", "0.0620", "0.0663"),
}
#: The result here is the same to 2e-5 with 40 and with 100 points. A Hessian that is kept for 20 iterations makes of it
#: 0.3249, 0.1489, 0.0620 and 0.0663, which is nearly what was noted.
COARSE = {"d20k10": 0.012}
#: The mean of five seeds.
MEASURED = {
    "d1k1": (0.418, 0.152, 0.0254, 0.0124),
    "d2k2": (0.185, 0.046, 0.0218, 0.0226),
    "d20k10": (0.328, 0.169, 0.0602, 0.0673),
}


class _MeanCost:
    """The mean of the average costs, without smoothing, rollouts or adaptation."""

    def __init__(self, tasks: LQRTasks) -> None:
        self.tasks = tasks

    def followed(self, K: Array) -> Array:
        return mean_gradient(self.tasks, K)

    def remainder(self, K: Array) -> Array:
        return np.zeros_like(K)

    def hessian(self, K: Array) -> Array:
        return np.asarray(np.tensordot(self.tasks.p, lqr.hessian_matrix(self.tasks, K), axes=1))


class _Leading:
    """Only n (J² + V) / (r² M), in every direction."""

    def __init__(self, tasks: LQRTasks, settings: MetaSettings) -> None:
        self._tasks, self._settings = tasks, settings

    def at(self, K: Array, before: Array | None, rate: float) -> Noise:
        tasks, settings = self._tasks, self._settings
        moments = [each(tasks, K, settings.rollout_length) for each in (lqr.finite_horizon_cost, lqr.rollout_variance)]
        scale = K.size / (settings.smoothing_radius**2 * settings.perturbations)
        return Noise(scale * float(tasks.p**2 @ (moments[0] ** 2 + moments[1])) * np.eye(K.size), "leading")


# Seven seconds at d = 20: its 1200 gradients and 40 Hessians of 200 x 200.
@pytest.mark.slow
@pytest.mark.parametrize("name", PREDICTED)
def test_leading_order_gives_the_numbers_of_the_prototype(name: str) -> None:
    tasks, K0, settings = problem(name)
    scale = optimal.optimal_gains(tasks).cost.sum()

    def curvature(K: Array) -> Array:
        return np.asarray(lqr.hessian_matrix(tasks, K).sum(axis=0) / scale)

    path = MeanPath(Recursion(), lambda iteration: settings.learning_rate, settings.iterations + 1, False, curvature)
    stage = Stage(0, settings.iterations, _MeanCost(tasks), _Leading(tasks, settings), None)  # type: ignore[arg-type] # alike
    assert len(list(path.run([stage], K0))) > 20
    costs = np.stack([lqr.cost(tasks, K) for K in path.gains]).sum(axis=1)
    ratios = costs / scale - 1.0 + np.array(path.excess)
    for iteration, digits in zip(ITERATIONS, PREDICTED[name], strict=True):
        last_digit = 10.0 ** -len(digits.removeprefix("0."))
        allowed = max(0.52 * last_digit, COARSE.get(name, 0.0) * float(digits))  # 0.14849 was noted as 0.149
        assert abs(ratios[iteration] - float(digits)) < allowed, (name, iteration)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["d1k1", "d2k2"])
def test_whole_prediction_is_near_the_mean_of_five_seeds(name: str) -> None:
    """Five seeds of a curve whose band is wide, some 10 % of the mean."""
    found = predict(*problem(name))
    assert found.valid_until == 1200
    assert_allclose(found.ratio[list(ITERATIONS)], MEASURED[name], rtol=0.12)
