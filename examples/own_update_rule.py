"""An update rule of your own: AdaGrad, whose steps shorten where the directions have been large.

Write its name into the config, beside the file:

    plugins: [own_update_rule.py]
    algorithm: {update_rule: adagrad, adagrad_offset: 1.0e-6}
"""

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.registries import update_rules
from metalqr.config.settings import Real, setting
from metalqr.estimators.estimator import Array, Memory
from metalqr.training import UpdateRule


@update_rules.register("adagrad")
class AdaGrad(UpdateRule):
    r"""Each direction over the root of the sum of all squares so far, entry by entry.

    .. math:: s_n = s_{n-1} + g_n^2, \qquad K_{n+1} = K_n - \alpha \frac{g_n}{\sqrt{s_n} + \epsilon}

    Source: Duchi, Hazan, Singer (2011).
    """

    class Settings(declared.Settings):
        """Settings of this rule, given in ``algorithm`` like the shared ones."""

        adagrad_offset: Real = setting(
            1.0e-8,
            symbol=r"\epsilon",
            label="AdaGrad's offset",
            about="added to the root of the sum, so that no entry is divided by zero",
            above=0,
        )

    def init(self, K: Array) -> Memory:
        """A sum of zero, of the shape of the gain."""
        return {"squares": np.zeros_like(K)}

    def update(self, gradient: Array, memory: Memory) -> tuple[Array, Memory]:
        """The scaled direction, and the next sum: a new array, since the memory is also that of a saved state."""
        squares = memory["squares"] + gradient**2
        return gradient / (np.sqrt(squares) + self.own.adagrad_offset), {"squares": squares}
