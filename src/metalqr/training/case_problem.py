"""The tasks of a case and its initial gain, made from the config."""

from collections.abc import Mapping
from typing import Any

from metalqr.config.experiments import family_of
from metalqr.lqr import UnstablePolicyError
from metalqr.lqr.existence import require_optimum
from metalqr.simulation.user.family import simulated_tasks
from metalqr.systems.initial_gain import InitialGainError, gain_of, read_gain
from metalqr.training.costs import checked_gain
from metalqr.training.problem import RunProblem


def case_problem(name: str, case: Mapping[str, Any]) -> RunProblem:
    """Make the problem of a case from what :meth:`metalqr.config.plan.Plan.task_block` says of it.

    Raises
    ------
    InitialGainError
        If the initial gain does not stabilise every task; the message gives another one, which does.
    SimulatorError
        If the simulator of the case cannot be used, or has no finite cost at the initial gain.
    TasksError
        If a task has no optimum.
    FamilyError
        If the family cannot make the tasks.
    """
    family, seed = family_of(case["tasks"]), case.get("seed", 0)
    if not family.has_model:
        simulated = simulated_tasks(family)
        K0 = checked_gain(simulated, gain_of(simulated, case["initial_gain"], family, seed))
        return RunProblem(simulated, K0, {"simulator": family.digest})
    tasks = family.tasks(case["state_dim"], case["action_dim"], seed)
    require_optimum(tasks)
    try:
        return RunProblem(tasks, read_gain(tasks, case["initial_gain"], family, seed), {})
    except UnstablePolicyError as error:
        # Imported in the handler: it only makes a message, so an edit of it must not make the tasks stale.
        from metalqr.optimal import starting_gain

        start = starting_gain(tasks)
        raise InitialGainError(name, error, case["initial_gain"], start.K, start.ratio, start.excess.min()) from error
