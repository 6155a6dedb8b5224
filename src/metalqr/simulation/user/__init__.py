"""A user's own simulator, in place of matrices.

:class:`SimulatedTasks` stands where tasks do. A simulator is a class or function of a few lines; see
``docs/own-simulator.md`` and ``examples``.
"""

from typing import TYPE_CHECKING

from metalqr.common.lazy import lazy_names

if TYPE_CHECKING:
    from metalqr.simulation.user.errors import SimulatorError
    from metalqr.simulation.user.simulator import UserSimulator
    from metalqr.simulation.user.tasks import SimulatedTasks

__all__ = ["SimulatedTasks", "SimulatorError", "UserSimulator"]

__getattr__ = lazy_names(
    __name__,
    {
        "SimulatedTasks": "metalqr.simulation.user.tasks",
        "SimulatorError": "metalqr.simulation.user.errors",
        "UserSimulator": "metalqr.simulation.user.simulator",
    },
)
