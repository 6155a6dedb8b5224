"""Descent on the Moreau envelope of the tasks' costs: every task moves away from the common gain against a pull."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array
from metalqr.training.inner_steps import InnerSteps, InnerStepsMethod, refuse_no_step
from metalqr.training.proximal import Proximal

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings


@methods.register("moreau")
class Moreau(InnerStepsMethod):
    r"""Descent along :math:`\lambda \sum_i p_i (K - K_i^s)` after s steps of each task towards its proximal gain.

    .. math:: K_i^0 = K, \quad K_i^{j+1} = K_i^j - \eta (\hat g_i(K_i^j) + \lambda (K_i^j - K))

    For many steps that estimates the gradient of :math:`F_\lambda(K) = \sum_i p_i \min_{K_i} [J_i(K_i) +
    \frac\lambda2 \|K_i - K\|_F^2]`, which ``exact_moreau`` follows; s steps leave about the part
    :math:`(1 - \eta (\lambda + h))^s` of the way to :math:`K_i`, with the curvature h of the cost. They converge if
    :math:`\eta (\lambda + h) < 2`. Where nothing bends, the direction is :math:`1 - (1 - \eta \lambda)^s` times the
    gradient of the mean cost, which a ``warm_up`` follows with this factor.

    Source: Dinh, Tran, Nguyen (2020), *Personalized Federated Learning with Moreau Envelopes*; Rajeswaran et al.
    (2019), *Meta-Learning with Implicit Gradients*.
    """

    class Settings(InnerSteps, Proximal):
        """Settings of the envelope and of the steps towards it."""

    @classmethod
    def refusals(cls, settings: "MetaSettings") -> Iterator[tuple[str, str]]:
        """No step, or one that is too long for the pull alone."""
        yield from refuse_no_step(cls.name, settings)
        rate, weight = settings.adaptation_rate, settings.of(cls).proximal_weight
        if rate * weight >= 2:
            yield (
                "proximal_weight",
                f"{weight!r} times adaptation_rate: {rate!r} is not < 2, so the inner steps diverge; lower one of them",
            )

    @property
    def pull(self) -> float:
        """The weight of the envelope."""
        return float(self.own.proximal_weight)

    @property
    def mean_cost_factor(self) -> float:
        """Share of the way that s steps go where nothing bends."""
        part, steps = self.settings.adaptation_rate * self.pull, self.own.inner_steps
        return -math.expm1(steps * math.log1p(-part)) if part < 1.0 else 1.0 - (1.0 - part) ** steps

    def found(self, gradients: Array, displacement: Array) -> Array:
        """The displacement, times the weight."""
        return self.pull * displacement

    def concerns(self, K: Array) -> Iterator[str]:
        """As of other methods; and steps that are too long for the curvature at the gain."""
        yield from super().concerns(K)
        from metalqr.training.adaptable import largest_curvature

        curvature = largest_curvature(self.tasks, K).max()
        limit = 2.0 / (self.pull + curvature)
        if self.settings.adaptation_rate >= limit:
            yield (
                f"adaptation_rate: {self.settings.adaptation_rate:g} is not < 2 / (proximal_weight + h) = {limit:.3g} "
                f"with the curvature h = {curvature:.3g} of a task at this gain, so the inner steps may diverge; lower "
                "adaptation_rate"
            )
