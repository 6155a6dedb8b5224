"""The residual zeroth-order estimator: one rollout a perturbation, against the rollout of the iteration before."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metalqr.config.registries import estimators
from metalqr.estimators.estimator import Array, Estimator, Memory

if TYPE_CHECKING:
    from metalqr.estimators.neighbourhood import Neighbourhood


@estimators.register("residual")
class Residual(Estimator):
    r"""The change of the cost since the iteration before.

    .. math:: c_m = f_t(K_t + U_m^t) - f_{t-1}(K_{t-1} + U_m^{t-1})

    The second value is the m-th one of the same task at the last iteration that used it, and 0 for a task not used
    before: there the estimate is that of ``one_point``. It is independent of :math:`U_m^t`, so the mean is that of
    ``one_point`` too; where the gain moves slowly most of F cancels. Inside Algorithm 2 no iteration precedes another,
    so ``inner_estimator`` is ``one_point_baseline`` by default, and cannot be ``residual``.

    Source: Zhang, Zhou, Ji, Zavlanos (2022), *A New One-Point Residual-Feedback Oracle for Black-Box Learning and
    Control*.
    """

    inner_default = "one_point_baseline"
    is_outer_only = True
    remembers_tasks = True
    needs = "memory of the costs of the iteration before"

    def covariance(self, near: "Neighbourhood") -> Array:
        """As :meth:`metalqr.estimators.Estimator.covariance`; the old value varies independently of the new one."""
        old = near.before
        level = old.mean(old.cost())
        spread = old.mean((old.cost() - level) ** 2 + old.variance())
        return near.terms(near.cost() - level, near.variance() + spread)

    def coefficients(self, values: Array, memory: Memory, tasks: NDArray[Any]) -> tuple[Array, Memory]:
        """The differences, and the costs for the next iteration; of a task drawn twice, those of its last place."""
        costs = values[:, 0]
        known = np.asarray(memory.get("tasks", np.empty(0, dtype=np.int64)))
        before = np.zeros((max(tasks.max(), known.max(initial=-1)) + 1, costs.shape[1]))
        if len(known):
            before[known] = memory["costs"]
        coefficients = costs - before[tasks]
        before[tasks] = costs
        seen = np.union1d(known, tasks)
        return coefficients, {"tasks": seen, "costs": before[seen]}
