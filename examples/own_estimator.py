"""An estimator of your own: one-point, less a running mean of the costs seen so far.

Write its name into the config, beside the file:

    plugins: [own_estimator.py]
    algorithm: {estimator: running_baseline, baseline_share: 0.8}
"""

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.registries import estimators
from metalqr.config.settings import Real, setting
from metalqr.estimators.estimator import Array, Estimator, Memory


@estimators.register("running_baseline")
class RunningBaseline(Estimator):
    r""":math:`c_m = f(K + U_m) - b_i`, with :math:`b_i` a running mean of the costs of task i in earlier iterations.

    The mean of U is zero, so the baseline changes no mean; where it is near the cost it takes most of the variance. At
    the first iteration, and inside Algorithm 2, it is zero.
    """

    weights = None  # not a weighted sum of the values alone
    remembers_tasks = True  # so that it is refused where every iteration has other tasks

    class Settings(declared.Settings):
        """Settings of this estimator, given in ``algorithm`` like the shared ones."""

        baseline_share: Real = setting(
            0.9,
            symbol=r"\beta",
            label="baseline share",
            about="weight of the previous baseline in the running mean",
            at_least=0,
            below=1,
        )

    def coefficients(self, values: Array, memory: Memory, tasks: np.ndarray) -> tuple[Array, Memory]:
        """The costs less the baseline, and the next baseline."""
        costs = values[:, 0]  # (n, M): one sign only
        baseline = np.array(memory.get("baseline", np.zeros(tasks.max() + 1)))
        coefficients = costs - baseline[tasks, np.newaxis]
        share = self.own.baseline_share if "baseline" in memory else 0.0
        baseline[tasks] = share * baseline[tasks] + (1.0 - share) * costs.mean(axis=1)
        return coefficients, {"baseline": baseline}
