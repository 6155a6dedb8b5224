"""The paper's method with a pause in every iteration: runs last some seconds, however fast the machine is."""

import time
from typing import TYPE_CHECKING

from metalqr.config import settings as declared
from metalqr.config.registries import methods
from metalqr.config.settings import Real, setting
from metalqr.estimators.estimator import Direction
from metalqr.training.method import State
from metalqr.training.methods.zeroth_order_maml import ZerothOrderMAML

if TYPE_CHECKING:
    from metalqr.simulation.streams import Stream


@methods.register("unhurried")
class Unhurried(ZerothOrderMAML):
    """Algorithm 3, and a pause."""

    class Settings(declared.Settings):
        """The pause."""

        pause: Real = setting(3.0e-4, unit="s", about="pause in every iteration", at_least=0)

    def direction(self, state: State, stream: "Stream") -> Direction:
        """The direction of Algorithm 3."""
        time.sleep(self.own.pause)
        return super().direction(state, stream)
