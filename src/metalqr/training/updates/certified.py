"""The plain gradient step, clipped so that it certainly stays in the stabilising set: with the model."""

from typing import TYPE_CHECKING

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.registries import update_rules
from metalqr.config.settings import Real, setting
from metalqr.estimators.estimator import Array, Memory
from metalqr.training.updates.update_rule import UpdateRule

if TYPE_CHECKING:
    from metalqr.lqr import LQRTasks


@update_rules.register("certified")
class Certified(UpdateRule):
    r"""A gradient step no longer than a share of the stability radius, which the model gives at every gain.

    .. math:: K_{n+1} = K_n - \min \left( 1, \frac{\theta\, \delta(K_n)}{\|\alpha g_n\|} \right) \alpha g_n, \qquad
              \delta(K) = \min_i \left( \max_{|z| = 1} \| (zI - A_i + B_i K)^{-1} B_i \| \right)^{-1}

    in the spectral norm. Every gain closer than :math:`\delta(K_n)` to :math:`K_n` stabilises every task, so with
    :math:`\theta < 1` no step along a finite direction leaves the stabilising set, whatever the learning rate and the
    noise. Where every task has its own gain, each step is clipped to the radius of its task. That of resampled tasks is
    the radius of the held-out tasks, which the run is judged by.

    Source: :func:`metalqr.optimal.stability_margin`, and ``docs/certificates.md``.
    """

    class Settings(declared.Settings):
        """Settings of certified steps."""

        margin_share: Real = setting(
            0.5,
            symbol=r"\theta",
            about="longest step, as a share of the stability radius",
            above=0,
            below=1,
        )

    def update(self, gradient: Array, memory: Memory) -> tuple[Array, Memory]:
        """The direction."""
        return gradient, memory

    def limited(self, step: Array, K: Array, tasks: "LQRTasks") -> Array:
        """The step, clipped."""
        from metalqr.optimal.margin import stability_margin

        radius = stability_margin(tasks, K)
        longest = self.own.margin_share * (radius if K.ndim == 3 else radius.min())
        norm = np.linalg.norm(step, 2, axis=(-2, -1))
        # Without inputs the radius is infinite, and with a step of zero nothing is clipped.
        factor = np.where(norm > longest, longest / np.where(norm > 0.0, norm, 1.0), 1.0)
        return np.asarray(factor[..., np.newaxis, np.newaxis] * step)
