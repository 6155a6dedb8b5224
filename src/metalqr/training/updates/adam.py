"""Adam: momentum with a step size for each entry."""

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.registries import update_rules
from metalqr.config.settings import Real, setting
from metalqr.estimators.estimator import Array, Memory
from metalqr.training.updates.update_rule import UpdateRule


@update_rules.register("adam")
class Adam(UpdateRule):
    r"""The running mean of the directions over the root of that of their squares, entry by entry.

    .. math:: m_n = \beta_1 m_{n-1} + (1 - \beta_1) g_n, \qquad s_n = \beta_2 s_{n-1} + (1 - \beta_2) g_n^2, \qquad
              K_{n+1} = K_n - \alpha \frac{m_n / (1 - \beta_1^{n+1})}{\sqrt{s_n / (1 - \beta_2^{n+1})} + \epsilon}

    with :math:`m_{-1} = s_{-1} = 0`, which the denominators correct for. The update has no unit: every entry of the
    first step is about :math:`\alpha` long, whatever the scale of the costs, so a good ``learning_rate`` is another
    than that of ``gradient``.

    Source: Kingma, Ba (2015), *Adam: A Method for Stochastic Optimization*, Algorithm 1, with its constants.
    """

    class Settings(declared.Settings):
        """Settings of Adam."""

        first_moment_decay: Real = setting(
            0.9,
            symbol=r"\beta_1",
            about="weight of the previous running mean of the directions in the next",
            at_least=0,
            below=1,
        )
        second_moment_decay: Real = setting(
            0.999,
            symbol=r"\beta_2",
            about="weight of the previous running mean of their squares in the next",
            at_least=0,
            below=1,
        )
        adam_epsilon: Real = setting(
            1.0e-8,
            symbol=r"\epsilon",
            label="Adam's epsilon",
            about="added to the root of the mean square, so that no entry is divided by zero",
            above=0,
        )

    def init(self, K: Array) -> Memory:
        """Both moments zero, after no iteration."""
        return {"mean": np.zeros_like(K), "square": np.zeros_like(K), "count": np.array(0)}

    def update(self, gradient: Array, memory: Memory) -> tuple[Array, Memory]:
        """The ratio of the moments, each without the bias of its start at zero."""
        first, second, count = self.own.first_moment_decay, self.own.second_moment_decay, int(memory["count"]) + 1
        mean = first * memory["mean"] + (1.0 - first) * gradient
        square = second * memory["square"] + (1.0 - second) * gradient**2
        size = np.sqrt(square / (1.0 - second**count)) + self.own.adam_epsilon
        return mean / (1.0 - first**count) / size, {"mean": mean, "square": square, "count": np.array(count)}
