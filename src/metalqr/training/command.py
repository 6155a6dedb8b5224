"""The command ``metalqr run``: one training without the pipeline, with the same numbers."""

import hashlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

import metalqr
from metalqr.common.atomic import discard_leftovers
from metalqr.config.folders import relative_to
from metalqr.config.plan import Plan
from metalqr.config.single_run import settings_of_case
from metalqr.lqr import LQRTasks
from metalqr.optimal import optimal_gains
from metalqr.results.runs import Status, cost_difference_ratio, has_ratio
from metalqr.training.case_problem import case_problem
from metalqr.training.costs import AnyTasks
from metalqr.training.history import History
from metalqr.training.resampling import resampling_from
from metalqr.training.run_file import RunFiles, make_run


class OutputError(ValueError):
    """A run has no place for its file; the message says why, and the next step."""


def trained(plan: Plan, case: str, seed: int, output: Path) -> list[str]:
    """Train a case at its own settings into a file; what to print. A run that was stopped goes on where it was.

    Raises
    ------
    ConfigError
        If there is no such case, or it cannot be run with its settings.
    OutputError
        If the file is there already, or cannot be one.
    SimulatorError, TasksError, FamilyError, InitialGainError
        As :func:`metalqr.training.case_problem.case_problem`.
    InterruptionError
        If a signal stops it.
    """
    settings = settings_of_case(plan.checked, case)
    if seed < 0:
        raise OutputError(f"--seed: {seed} is not >= 0; choose another")
    if output.is_dir():
        raise OutputError(f"--output: {output} is a folder; give a file in it, such as run.nc")
    if output.exists():
        raise OutputError(f"--output: {output} is there already; delete it to train again, or give another file")
    discard_leftovers(output)
    files = RunFiles(output, output.with_suffix(".state.nc"), plan.checked.execution.checkpoint_seconds)
    if files.saved_state.exists():
        print(f"metalqr: {files.saved_state} has the state of a run that was stopped", file=sys.stderr)
    numba.set_num_threads(min(plan.checked.execution.threads, numba.config.NUMBA_NUM_THREADS))
    with relative_to(plan.folder):
        origin = plan.origin(case, plan.checked.cases[case].family)
        problem, resampling = case_problem(case, origin), resampling_from(origin)
        history = make_run(
            case,
            problem,
            resampling,
            settings,
            seed,
            files,
            code=_code(plan),
            log=logging.getLogger(__name__),
        )
    return list(_outcome(history, problem.tasks, f"{case}, seed {seed}", output))


def _code(plan: Plan) -> dict[str, str]:
    """The version of the code: of every file of the package, and of the plug-ins."""
    package = Path(metalqr.__file__).parent
    digest = hashlib.sha256()
    for file in [*sorted(package.rglob("*.py")), *map(Path, plan.config["plugins"])]:
        digest.update(file.read_bytes())
    return {"metalqr": digest.hexdigest()}


def _outcome(history: History, tasks: AnyTasks, name: str, output: Path) -> Iterator[str]:
    steps = int(history.rollout_steps[-1])
    yield f"{name}: {history.status} at iteration {history.status_iteration}, after {steps:,} rollout steps"
    first, last = history.cost[[0, -1]].mean(axis=1)
    if history.cost_error is None:
        yield f"mean cost of the tasks: {first:.6g} at first, {last:.6g} at the end"
    else:
        errors = np.sqrt((history.cost_error[[0, -1]] ** 2).sum(axis=1)) / history.cost.shape[1]
        yield (
            f"mean cost of the tasks: {first:.6g} at first, {last:.6g} at the end, measured with standard errors "
            f"{errors[0]:.2g} and {errors[1]:.2g}"
        )
    if isinstance(tasks, LQRTasks):
        optimum = optimal_gains(tasks).cost
        if has_ratio(optimum, history.cost[0]):
            ratio = cost_difference_ratio(history.cost[[0, -1]], optimum, history.cost[0])
            yield f"excess over the optimum of each task: {ratio[0]:.4g} at first, {ratio[1]:.4g} at the end"
    if history.status is Status.DIVERGED:
        yield "A run that diverges is a result; for another one, lower learning_rate or smoothing_radius."
    yield f"{output} has the gains and costs of all iterations; the last entry of K is the trained gain, u = -K x."
