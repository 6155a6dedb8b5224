"""A run whose rollouts are made elsewhere: it begins, asks for the costs of gains, and goes on with what it is told."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metalqr.config.folders import relative_to
from metalqr.config.plan import Plan
from metalqr.config.single_run import settings_of_case
from metalqr.exchange.state import PLUGINS, AskedRun, ExchangeState
from metalqr.exchange.tasks import Answer, AskedTasks, Request, UnansweredError
from metalqr.lqr import FloatArray
from metalqr.results.runs import Status
from metalqr.systems.initial_gain import gain_of
from metalqr.training.case_problem import case_problem
from metalqr.training.costs import checked_gain
from metalqr.training.history import History, Recorder
from metalqr.training.loop import train
from metalqr.training.method import State
from metalqr.training.observers import Observer


class _StopAfterEach(Observer):
    """Ends a run after every iteration, from which it then goes on."""

    def stops(self, state: Callable[[], History]) -> bool:
        """Stop."""
        return True


def identity(plan: Plan, case: str, seed: int) -> tuple[AskedRun, Mapping[str, Any]]:
    """The run of a case, without what is known of its tasks, and the block of the case.

    Raises
    ------
    ConfigError
        If there is no such case, or its settings need the model.
    """
    settings = settings_of_case(plan.checked, case, by_files=True)
    with relative_to(plan.folder):
        block = plan.origin(case, plan.checked.cases[case].family)
    return AskedRun(case, seed, settings, {**block, PLUGINS: plan.config["plugins"]}, {}), block


def begun(plan: Plan, case: str, seed: int) -> ExchangeState:
    """The state at the initial gain.

    Raises
    ------
    ConfigError
        As :func:`identity`.
    SimulatorError, TasksError, FamilyError, InitialGainError
        As :func:`metalqr.training.case_problem.case_problem`, where there is a model or a program for the initial gain.
    """
    run, block = identity(plan, case, seed)
    family = plan.checked.cases[case].family
    known: dict[str, Any] = {"count": family.count, "state_dim": block["state_dim"], "action_dim": block["action_dim"]}
    with relative_to(plan.folder):
        if family.has_program:
            tasks, K0, _ = case_problem(case, block)
            known |= {"p": tasks.p.tolist()} if family.has_model else {}
        else:
            asked = AskedTasks("", (), **known)
            K0 = checked_gain(asked, gain_of(asked, block["initial_gain"]))
    if not family.has_model:
        known["unstable_cost"] = family.settings.unstable_cost
    return _at(run._replace(tasks=known), K0)


def _at(run: AskedRun, K0: FloatArray) -> ExchangeState:
    recorder, unknown = Recorder(1, K0.shape, run.tasks["count"], is_measured=True), np.full(run.tasks["count"], np.nan)
    recorder.reach(0, State(K0))
    recorder.evaluate(0, unknown, unknown)
    return ExchangeState(run, recorder.history(Status.INTERRUPTED))


def advanced(state: ExchangeState) -> tuple[ExchangeState, Request | None]:
    """The state as far as its answers lead, and the rollouts that it asks for next; None where the run has ended.

    Raises
    ------
    ExchangeError
        If an answer is that of other gains, because the code or the machine have changed since.
    """
    run = state.run
    while not state.has_ended:
        tasks = run.asked(state.answers)
        try:
            history = train(tasks, state.initial_gain, run.settings, run.seed, [_StopAfterEach()], resume=state.history)
        except UnansweredError as error:
            return state, error.request
        state = replace(state, history=history, answers=())
    return state, None


def after(state: ExchangeState, request: Request, costs: NDArray[np.float64]) -> ExchangeState:
    """The state after the costs (n,) of the request that it asks for."""
    answer = Answer(request.identifier, costs)
    return advanced(replace(state, answers=(*state.answers, answer), last=answer))[0]
