"""The tasks of a run with its initial gain, from the file of the stage `tasks`."""

from typing import NamedTuple

from metalqr.config.experiments import family_of
from metalqr.lqr import FloatArray
from metalqr.results.files import PathLike
from metalqr.results.tasks import load_initial_gain, load_origin, load_problem
from metalqr.simulation.user.family import simulated_tasks
from metalqr.training.costs import AnyTasks


class RunProblem(NamedTuple):
    """The tasks of a run, its initial gain (k, d), and what else its numbers depend on: the code of a simulator."""

    tasks: AnyTasks
    K0: FloatArray
    code: dict[str, str]


def run_problem(path: PathLike, case: str) -> RunProblem:
    """Read the problem of a run; the simulator of a case that has one is found as in planning.

    Raises
    ------
    SimulatorError
        If the simulator cannot be found or made.
    """
    origin = load_origin(path, case)
    if not origin.get("simulated"):
        return RunProblem(*load_problem(path, case), {})
    family = family_of(origin["tasks"])
    return RunProblem(simulated_tasks(family), load_initial_gain(path, case), {"simulator": origin.get("digest", "")})
