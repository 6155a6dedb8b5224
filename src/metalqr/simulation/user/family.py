"""The tasks of the one family without a model: what a case says of its simulator, made."""

from metalqr.simulation.user.errors import SimulatorError
from metalqr.simulation.user.tasks import SimulatedTasks
from metalqr.systems.family import Family

_OPTIONS = ("state_dim", "action_dim", "timeout", "unstable_cost", "evaluation_rollouts", "evaluation_length")


def simulated_tasks(family: Family) -> SimulatedTasks:
    """The tasks of :class:`metalqr.systems.simulator.Simulator`, which training has in place of matrices.

    Raises
    ------
    SimulatorError
        If there is no such simulator, or it does not take the parameters.
    """
    path, settings = getattr(family, "located_path", None), family.settings
    if path is None:
        raise SimulatorError("the simulator has no path to a program; use metalqr ask and metalqr tell")
    return SimulatedTasks(path, settings.tasks, **{name: getattr(settings, name) for name in _OPTIONS})
