"""Files of the exact optima of a case's tasks."""

import xarray as xr

from metalqr.lqr import LQRTasks
from metalqr.results.files import PathLike, load
from metalqr.results.layout import OF_CASE, Layout, Variable

TASK_COSTS = {
    "J_star": Variable(("task",), "optimal cost of each task"),
    "J0": Variable(("task",), "cost of the initial gain"),
    "J_shared": Variable(("task",), "cost of the best single gain"),
}
OPTIMA = Layout(
    "optima",
    "Exact optima of the tasks",
    {
        "K_star": Variable(("task", "action", "state"), "optimal gain of each task"),
        "P_star": Variable(("task", "state", "state_2"), "solution of each task's Riccati equation"),
        "K_shared": Variable(("action", "state"), "best single gain for all tasks"),
        **TASK_COSTS,
    },
    OF_CASE,
)


def load_optima(path: PathLike, case: str | None = None, tasks: LQRTasks | None = None) -> xr.Dataset:
    """Read the optima."""
    return load(path, OPTIMA, case, tasks)
