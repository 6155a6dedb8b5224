"""The optimum of the nominal system for heavier states: a gain that a designer without the tasks would start from."""

from metalqr.config import settings
from metalqr.config.registries import initial_gains
from metalqr.config.settings import Real, setting
from metalqr.initial_gains.initial_gain import InitialGain
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.systems.family import Family


@initial_gains.register("detuned")
class Detuned(InitialGain):
    """The optimal gain of the nominal system with its state weight Q multiplied by a factor.

    It is as in Song and Iannelli, arXiv 2502.19977, who take 40: more aggressive than optimal, so that there is
    something to learn, and stabilising for systems near the nominal one.
    """

    needs_nominal = True
    example = "{detuned: 40}"

    class Settings(settings.Settings):
        """The factor."""

        factor: Real = setting(label="factor on Q", about="factor on the state weights of the nominal system", above=0)

    def gain(self, tasks: LQRTasks, family: Family, seed: int) -> FloatArray:
        """The optimum of the changed nominal system."""
        from metalqr.optimal import optimal_gains

        nominal = family.nominal(tasks.state_dim, tasks.action_dim, seed)
        return optimal_gains(nominal.replace(Q=self.settings.factor * nominal.Q)).K[0].copy()
