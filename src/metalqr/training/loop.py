"""The only training loop: it runs every method from K_0, with the exact costs along the way."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import methods
from metalqr.config.simulated import needing_the_model
from metalqr.lqr import LQRTasks, UnstablePolicyError
from metalqr.results.runs import Status
from metalqr.simulation.streams import Stream
from metalqr.training.averaging import with_average
from metalqr.training.costs import AnyTasks, checked_gain, costs_of
from metalqr.training.history import History, Recorder
from metalqr.training.method import Method, Problem, State, TaskSource
from metalqr.training.observers import Observer
from metalqr.training.waiting import Waiting

#: Exact costs of so many gains are computed together at most, fewer of large tasks: a step takes longer there, and a
#: run that leaves the stabilising set goes on by that many before it is noticed.
MAX_BLOCK = 128
_BLOCK_ENTRIES = 4096

_log = logging.getLogger(__name__)


def train(
    tasks: AnyTasks,
    K0: ArrayLike,
    settings: MetaSettings,
    seed: int,
    observers: Sequence[Observer] = (),
    *,
    resume: History | None = None,
    resampled: TaskSource | None = None,
) -> History:
    r"""Train with the method that the settings name, from :math:`K_0`, at most N iterations.

    By default Algorithm 3: :math:`K_{n+1} = K_n - \alpha \tilde\nabla L(K_n)`; with another ``update_rule``, a step
    along what that makes of the directions, after a warm-up and with a decaying learning rate where the settings say
    so. A run ends early when
    :math:`\|\tilde\nabla L(K_n)\|_F \le \varepsilon` (the paper prints the opposite inequality). It also ends when a
    gain leaves the stabilising set of a task, or a value stops being finite; that is a
    result and no error, and the history is kept, the first gain outside included. A warning is logged if a method that
    adapts its gain to the tasks begins that at one that is not MAML-stabilising.

    Parameters
    ----------
    tasks : LQRTasks or SimulatedTasks
        Those of a simulator have no exact costs: the history then has measured ones, with their standard errors.
    K0 : ndarray, shape (k, d)
        Initial gain, stabilising for every task.
    settings : MetaSettings
    seed : int
        Seed of all random numbers of the run; the run is a function of the four arguments alone, and ``resampled``.
    observers : sequence of Observer
        Called at every gain, and after every iteration, when they may stop the run.
    resume : History, optional
        An interrupted run with the same four arguments. Random numbers are addressed by iteration, so the result is
        that of a run without interruption, to the last bit.
    resampled : TaskSource, optional
        The tasks of every iteration, where they are drawn anew; ``tasks`` are then held out: the costs of the history,
        and the stopping of a run that no longer stabilises a task, are theirs.

    Raises
    ------
    UnstablePolicyError
        If ``K0`` does not stabilise every task.
    SimulatorError
        If a simulator cannot be used, or has no finite cost at ``K0``.
    ValueError
        If the settings need the model and ``tasks`` have none; if ``K0`` does not have the shape (k, d), or holds
        something that is not finite; or if ``resume`` was not interrupted, began at another gain or with other costs,
        or has more iterations. That it has the same settings and the same seed is not checked.
    """
    if not isinstance(tasks, LQRTasks):
        for name, reason in needing_the_model(settings):
            raise ValueError(f"{name}: {reason}")
    gain = checked_gain(tasks, K0)
    # A method that needs more of tasks than their number and dimensions has been refused.
    method: Method = methods.get(settings.method)(Problem(cast(LQRTasks, tasks), gain, settings, resampled))
    if resampled is not None and not method.can_resample:
        raise ValueError(f"resampled: the method {method.name} cannot have other tasks in every iteration")
    return run(method, Stream(seed), settings.iterations, observers, resume=resume)


def run(
    method: Method,
    stream: Stream,
    iterations: int,
    observers: Sequence[Observer] = (),
    *,
    resume: History | None = None,
) -> History:
    """The loop of :func:`train` for a method that is made already.

    Raises
    ------
    ValueError
        If a step of the method gives no norm; or as :func:`train`.
    """
    history = _run(method, stream, iterations, observers, resume)
    if method.resampled is not None:
        history = replace(history, redrawn_tasks=method.resampled.redrawn(stream.seed, history.status_iteration))
    return with_average(history, method.tasks, method.settings.average_last)


def _run(
    method: Method, stream: Stream, iterations: int, observers: Sequence[Observer], resume: History | None
) -> History:
    """The loop itself."""
    state, tasks, tolerance = method.init(), method.tasks, method.settings.tolerance
    recorder = Recorder(iterations + 1, state.K.shape, tasks.count, is_measured=not isinstance(tasks, LQRTasks))
    if resume is not None:
        K0, state = state.K, recorder.resume(resume)
        if not np.array_equal(resume.K[0], K0):
            raise ValueError("resume: the run started from a gain other than K0")
        repeats = isinstance(tasks, LQRTasks) or tasks.replays_noise
        if repeats and not np.array_equal(resume.cost[0], costs_of(tasks, K0[np.newaxis]).cost[0], equal_nan=True):
            raise ValueError("resume: its first costs are not those of these tasks at K0")
    first, block = recorder.iteration, _block(method, observers)
    waiting = Waiting(recorder, tasks, observers)
    for iteration in range(first, iterations + 1):
        waiting.reach(iteration, state)
        if (len(waiting) >= block or iteration == iterations) and waiting.diverged():
            return recorder.history(Status.DIVERGED)
        if iteration == iterations:
            break
        # Skip the first iteration, so that every call makes progress. Every observer is called: one may have to save
        # the state when another stops the run.
        stops = [observer.stops(waiting.snapshot) for observer in observers] if iteration > first else []
        if waiting.has_diverged:  # an observer that saves the state has had the costs computed
            return recorder.history(Status.DIVERGED)
        if any(stops):
            return waiting.snapshot()
        if iteration == method.settings.warm_up:
            _warn(method, state)
        try:
            here = stream.at(iteration)
            method.begin(here)
            state = method.step(state, here)
        except Exception:
            # A method may fail at a gain that lies beyond the end of the run.
            if waiting.diverged():
                return recorder.history(Status.DIVERGED)
            raise
        if math.isnan(state.gradient_norm):
            raise ValueError(f"the method {method.name} sets no gradient_norm; set it in the State that step returns")
        recorder.leave(state)
        is_finite = bool(np.isfinite(state.K).all())
        if state.gradient_norm <= tolerance or not is_finite:
            ended = Status.TOLERANCE if state.gradient_norm <= tolerance else Status.DIVERGED
            return recorder.history(Status.DIVERGED if waiting.diverged() else ended)
    return recorder.history(Status.COMPLETED)


def _warn(method: Method, state: State) -> None:
    """Log why the run may fail from here on, once its method does what it is for."""
    if not isinstance(method.tasks, LQRTasks):  # they are computed with the model
        return
    try:
        for concern in method.concerns(state.K):
            _log.warning("%s", concern)
    except UnstablePolicyError:  # the run ends at this gain
        pass


def _block(method: Method, observers: Sequence[Observer]) -> int:
    """Number of gains whose exact costs are computed together, where that saves time and no observer waits for them."""
    all_wait = all(type(each).reached is Observer.reached or each.can_wait for each in observers)
    if method.is_exact or not all_wait or not isinstance(method.tasks, LQRTasks):
        return 1
    return max(1, min(MAX_BLOCK, _BLOCK_ENTRIES // (method.tasks.count * method.tasks.state_dim**2)))
