"""The chance to have left the stabilising set, against closed forms; and what makes fluctuations grow."""

import numpy as np
import pytest
from scipy import stats
from systems import Array, scalar_tasks

from metalqr.lqr import LQRTasks
from metalqr.prediction.mean_path import MeanPath, Point, Stage
from metalqr.prediction.noise import Noise
from metalqr.prediction.passage import PATHS, Passage
from metalqr.prediction.recursion import Recursion

#: Stable for gains in (-0.2, 1.8).
TASKS = scalar_tasks([0.8], [1.0])
ERROR = 4.5 * 0.5 / np.sqrt(PATHS)


def _point(iteration: int, variance: float, *, K: float = 0.4, memory: float = 1.0, leaving: float = 0.0) -> Point:
    covariance, one = np.array([[variance]]), np.ones((1, 1))
    return Point(iteration, K * one, covariance, 0.0 * one, 0.5, 1.0, covariance, memory * one, leaving, "exact")


def test_a_random_walk_leaves_as_by_the_reflection_principle() -> None:
    """Twice the chance to be beyond the edge at the end; an edge 0.5826 steps farther, as it is not seen between."""
    passage, variance, steps = Passage(TASKS, 1), 0.3**2, 200
    found = [passage.at(_point(step, variance * step / steps), 0.0, None) for step in range(steps + 1)]
    edge = 0.6 + 0.5826 * np.sqrt(variance / steps)
    assert found[-1] == pytest.approx(2.0 * stats.norm.sf(edge, 0.0, np.sqrt(variance)), abs=ERROR / 3)
    assert found[0] == 0.0
    assert (np.diff(found) >= 0.0).all()


def test_paths_without_memory_leave_independently() -> None:
    deviation, steps = 0.3, 10
    passage = Passage(TASKS, 2)
    found = [passage.at(_point(step, deviation**2 * (step > 0), memory=0.0), 0.0, None) for step in range(steps + 1)]
    each = stats.norm.cdf(1.4 / deviation) - stats.norm.cdf(-0.6 / deviation)
    assert found[-1] == pytest.approx(1.0 - each**steps, abs=ERROR)
    assert found[-1] > 5 * (1.0 - each)


def test_steps_that_leave_by_their_own_noise() -> None:
    passage = Passage(TASKS, 3)
    found = [passage.at(_point(step, 0.0, leaving=0.1 * (step < 4)), 0.0, None) for step in range(6)]
    np.testing.assert_allclose(found, [1.0 - 0.9 ** min(step, 4) for step in range(6)])


def test_paths_whose_mean_step_leaves_have_left_at_the_next_point() -> None:
    passage, deviation = Passage(TASKS, 4), 0.1
    # From above its mean, a gain moves down by 1.
    found = [
        passage.at(_point(step, deviation**2 * (step > 0)), 1.0, lambda gains: (gains > 0.4).astype(float))
        for step in range(3)
    ]
    assert found[:2] == [0.0, 0.0]
    assert found[2] == pytest.approx(0.5, abs=ERROR)


class _Line:
    """A quadratic function of one gain, whose curvature is large at first."""

    def __init__(self, tasks: LQRTasks, curvatures: list[float]) -> None:
        self.tasks, self._curvatures = tasks, iter([*curvatures, *[curvatures[-1]] * 100])

    def followed(self, K: Array) -> Array:
        return np.zeros_like(K)

    def remainder(self, K: Array) -> Array:
        return np.zeros_like(K)

    def hessian(self, K: Array) -> Array:
        return np.array([[next(self._curvatures)]])

    def at(self, K: Array, before: Array | None, rate: float) -> Noise:
        return Noise(1e-6 * np.ones((1, 1)), "exact")


@pytest.mark.parametrize(("curvatures", "grows"), [([1.0], False), ([4.0, 4.0, 1.0], False), ([2.5], True)])
def test_growth_is_that_beyond_a_random_walk(curvatures: list[float], grows: bool) -> None:
    """With a step 1: an overshoot at the start enlarges nothing for long, one that lasts does."""
    line = _Line(TASKS, curvatures)
    path = MeanPath(Recursion(), lambda iteration: 1.0, 100, False, lambda K: np.ones((1, 1)))
    stage = Stage(0, 12, line, line, None)  # type: ignore[arg-type] # alike
    points = list(path.run([stage], np.array([[0.4]])))
    assert (points[-1].growth > 1.0) == grows
    assert points[0].growth == 0.0
    if len(curvatures) == 1:
        factor = (1.0 - curvatures[0]) ** 2
        assert points[-1].growth == pytest.approx(sum(factor**step for step in range(12)) / 12, rel=1e-6)
        assert points[-1].memory.item() == pytest.approx(1.0 - curvatures[0])
