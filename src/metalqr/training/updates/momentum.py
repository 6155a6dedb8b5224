"""Gradient descent with momentum: the heavy ball."""

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.registries import update_rules
from metalqr.config.settings import Real, setting
from metalqr.estimators.estimator import Array, Memory
from metalqr.training.updates.update_rule import UpdateRule


@update_rules.register("momentum")
class Momentum(UpdateRule):
    r"""A sum of all directions with fading weights.

    .. math:: v_n = \beta v_{n-1} + g_n, \qquad K_{n+1} = K_n - \alpha v_n, \qquad v_{-1} = 0

    A constant direction is followed with up to :math:`1 / (1 - \beta)` times the learning rate. On a quadratic with
    curvature h it converges where :math:`\alpha h < 2 (1 + \beta)`; the modulus of both roots is
    :math:`\sqrt\beta` from :math:`\alpha h = (1 - \sqrt\beta)^2` to :math:`(1 + \sqrt\beta)^2`.

    Source: Polyak (1964), *Some methods of speeding up the convergence of iteration methods*.
    """

    class Settings(declared.Settings):
        """Settings of momentum."""

        momentum_decay: Real = setting(
            0.9,
            symbol=r"\beta",
            label="momentum decay",
            about="weight of the previous velocity in the next; 0 is plain gradient descent",
            at_least=0,
            below=1,
        )

    def init(self, K: Array) -> Memory:
        """A velocity of zero."""
        return {"velocity": np.zeros_like(K)}

    def update(self, gradient: Array, memory: Memory) -> tuple[Array, Memory]:
        """The next velocity."""
        velocity = self.own.momentum_decay * memory["velocity"] + gradient
        return velocity, {"velocity": velocity}
