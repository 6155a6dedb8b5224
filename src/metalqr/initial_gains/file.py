"""The gain that came with the tasks, in their file."""

from metalqr.config.registries import initial_gains
from metalqr.initial_gains.initial_gain import InitialGain
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.systems.family import Family, FamilyError


@initial_gains.register("file")
class FromFile(InitialGain):
    """The array K0 of the file of tasks, u = -K0 x."""

    def gain(self, tasks: LQRTasks, family: Family, seed: int) -> FloatArray:
        """Read the gain.

        Raises
        ------
        FamilyError
            If the tasks come from no file, or it has no K0, or one of another shape.
        """
        found, shape = family.initial_gain(), (tasks.action_dim, tasks.state_dim)
        if found is None:
            raise FamilyError("initial_gain: file needs an array K0 in the tasks' file; add it, or write stabilising")
        if found.shape != shape:
            raise FamilyError(f"K0 has shape {found.shape}, expected {shape}: one gain for all tasks")
        return found.copy()
