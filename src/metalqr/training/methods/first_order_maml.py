"""First-order MAML: the gradient at the adapted gains, in place of that of the adapted cost."""

from typing import TYPE_CHECKING

import numpy as np

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Direction
from metalqr.training.method import State, Work, batch_size, work_of_layers
from metalqr.training.rollout_method import RolloutMethod

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.simulation.streams import Stream


@methods.register("first_order_maml")
class FirstOrderMAML(RolloutMethod):
    r"""Descent along the mean gradient of the tasks after one step of adaptation each.

    .. math:: g = \sum_i p_i \hat g_i(K - \eta \hat g_i(K))

    The inner estimate is that of Algorithm 1 inside Algorithm 2, one for each task; the outer one has the settings of
    the outer layer, and random numbers of its own. Its mean lacks :math:`-\eta \nabla^2 J_i(K)` before the gradient,
    so that it is no gradient of the meta-objective; :func:`metalqr.objectives.adaptation.bias` is what is missing.

    Source: Finn, Abbeel, Levine (2017), *Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks*, Section
    5.2; Nichol, Achiam, Schulman (2018).
    """

    is_adaptive = True
    has_inner_layer = True

    @classmethod
    def work(cls, count: int, settings: "MetaSettings") -> Work:
        """One estimate for each task before its adaptation, and one afterwards."""
        return work_of_layers(count, settings, batch_size(count, settings))

    def direction(self, state: State, stream: "Stream") -> Direction:
        """An estimate of the mean gradient at the adapted gains."""
        batch = self.estimation.batch(stream)
        gains, inner_steps = self.estimation.adapted(state.K, stream, batch.tasks)
        found = self.estimation.task_gradients(gains, stream, batch.tasks, state.memory)
        gradient = np.einsum("i,ikd->kd", batch.weights, found.gradient)
        return found._replace(gradient=gradient, rollout_steps=inner_steps + found.rollout_steps)
