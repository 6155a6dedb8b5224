"""Costs of gains on the tasks that they were trained on."""

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks, cost
from metalqr.objectives.meta import objective


def training_costs(tasks: LQRTasks, gains: FloatArray, adaptation_rate: float) -> tuple[FloatArray, FloatArray]:
    r"""The meta-objective L and the mean cost :math:`\sum_i p_i J_i` of n gains (n, k, d), each (n,).

    Infinite where a gain is unstable or not finite.
    """
    found = np.full((2, len(gains)), np.inf)
    for place, gain in enumerate(gains):
        if np.isfinite(gain).all():
            found[:, place] = objective(tasks, gain, adaptation_rate), tasks.p @ cost(tasks, gain)
    return found[0], found[1]
