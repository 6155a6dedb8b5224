"""A common stabilising gain, found with the model, as far from instability as possible."""

from metalqr.config.registries import initial_gains
from metalqr.initial_gains.initial_gain import InitialGain
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.systems.family import Family


@initial_gains.register("stabilising")
class Stabilising(InitialGain):
    """A gain that stabilises every task with a large margin: no perturbation of the gain below the margin destabilises.

    It is found with the model of every task, see :func:`metalqr.optimal.largest_margin_gain`.
    """

    def gain(self, tasks: LQRTasks, family: Family, seed: int) -> FloatArray:
        """Find the gain.

        Raises
        ------
        NotStabilisableError, NoCommonStabilisingGainError
            If there is none, or none was found; the message is the certificate of
            :func:`metalqr.optimal.learnability.assess`.
        """
        from metalqr.optimal import largest_margin_gain

        return largest_margin_gain(tasks).K
