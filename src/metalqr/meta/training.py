"""Algorithm 3: model-agnostic meta-policy optimisation, with the exact costs along the way."""

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr import lqr, optimal
from metalqr.estimators import estimate_with_counts
from metalqr.lqr import LQRTasks, UnstablePolicyError, common_gain
from metalqr.random import Stream
from metalqr.settings import MetaSettings


class Status(enum.StrEnum):
    """How a training run ended."""

    COMPLETED = "completed"
    """All iterations were made."""
    TOLERANCE = "tolerance"
    """The norm of the estimated meta-gradient fell to the tolerance."""
    DIVERGED = "diverged"
    """The gain left the stabilising set of a task, or a value stopped being finite."""
    INTERRUPTED = "interrupted"
    """It was asked to stop before its end, and can go on."""


@dataclass(frozen=True, eq=False)
class History:
    r"""A training run, one entry for each of the n + 1 gains it reached; iteration 0 is :math:`K_0`.

    Parameters
    ----------
    K : ndarray, shape (n + 1, k, d)
        The gains :math:`K_0, \ldots, K_n`.
    cost : ndarray, shape (n + 1, I)
        The exact costs :math:`J_i(K_n)`; infinite where :math:`K_n` does not stabilise task i.
    ratio : ndarray, shape (n + 1,)
        :math:`\sum_i (J_i(K_n) - J_i^*) / \sum_i J_i^*`, the quantity of Figure 1.
    gradient_norm : ndarray, shape (n + 1,)
        :math:`\|\tilde\nabla L(K_n)\|_F`; infinite where roll-outs overflowed, and not a number at the last gain if no
        estimate was made there.
    rollout_steps : ndarray of int, shape (n + 1,)
        Simulated steps spent to reach :math:`K_n`; those of an estimate that led to no further gain are not among them.
    unstable_perturbations : ndarray of int, shape (n + 1,)
        How many of the perturbed policies :math:`K_n + U_m` of Algorithm 2 did not stabilise their task; 0 at the last
        gain if no estimate was made there. Their cost over a finite roll-out is finite, so the algorithm uses it.
    status : Status
    status_iteration : int
        The last iteration reached, n.
    """

    K: NDArray[np.float64]
    cost: NDArray[np.float64]
    ratio: NDArray[np.float64]
    gradient_norm: NDArray[np.float64]
    rollout_steps: NDArray[np.int64]
    unstable_perturbations: NDArray[np.int64]
    status: Status
    status_iteration: int


def train(
    tasks: LQRTasks,
    K0: ArrayLike,
    settings: MetaSettings,
    seed: int,
    progress: Callable[[int, float], None] | None = None,
    *,
    resume: History | None = None,
    interrupt: Callable[[Callable[[], History]], bool] | None = None,
) -> History:
    r"""Algorithm 3: :math:`K_{n+1} = K_n - \alpha \tilde\nabla L(K_n)` from :math:`K_0`, at most N times.

    It ends early when :math:`\|\tilde\nabla L(K_n)\|_F \le \varepsilon` (the paper prints the opposite inequality). It
    also ends when a gain leaves the stabilising set of a task, even one of probability zero, or a value stops being
    finite; that is a result and no error, and the history is kept, the first gain outside included.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : ndarray, shape (k, d)
        Initial gain, stabilising for every task.
    settings : MetaSettings
    seed : int
        Seed of all random numbers of the run; the run is a function of the four arguments alone.
    progress : callable, optional
        Called with the iteration and the ratio at every iteration.
    resume : History, optional
        An interrupted run with the same four arguments, to go on from. Random numbers are addressed by iteration, so
        the result is that of a run without interruption, to the last bit.
    interrupt : callable, optional
        Asked after every iteration but the last, with a function that gives the state so far; when it returns true,
        the run ends with that state, of status ``INTERRUPTED``.

    Returns
    -------
    History

    Raises
    ------
    UnstablePolicyError
        If ``K0`` does not stabilise every task.
    ValueError
        If ``K0`` does not have the shape (k, d), or holds something that is not finite; or if ``resume`` was not
        interrupted, began at another gain or with other costs, or has more iterations. That it has the same settings
        and the same seed is not checked.

    Examples
    --------
    A run in two parts:

    >>> from metalqr import LQRTasks, MetaSettings, meta
    >>> one = [[[1.0]]]
    >>> tasks = LQRTasks(A=[[[0.5]]], B=one, Q=one, R=one, Psi=one)
    >>> settings = MetaSettings(learning_rate=1.0e-3, adaptation_rate=1.0e-5, iterations=4)
    >>> first = meta.train(tasks, [[0.0]], settings, seed=0, interrupt=lambda state: True)
    >>> first.status.value, first.status_iteration
    ('interrupted', 1)
    >>> meta.train(tasks, [[0.0]], settings, seed=0, resume=first).status_iteration
    4
    """
    gain = common_gain(tasks, K0, "K0")
    radii = lqr.spectral_radius(tasks, gain)
    if np.any(radii >= 1.0):
        unstable_tasks = np.flatnonzero(radii >= 1.0)
        raise UnstablePolicyError(unstable_tasks, radii[unstable_tasks], policy="the initial gain")
    optimal_cost = optimal.optimal_gains(tasks).cost.sum()
    stream = Stream(seed)

    entries = settings.iterations + 1
    gains = np.empty((entries, tasks.action_dim, tasks.state_dim))
    costs = np.empty((entries, tasks.count))
    gradient_norm = np.full(entries, np.nan)
    rollout_steps = np.zeros(entries, dtype=np.int64)
    unstable = np.zeros(entries, dtype=np.int64)
    status = Status.COMPLETED
    first = 0
    if resume is not None:
        _require_resumable(resume, gain, lqr.cost(tasks, gain), entries)
        first, gain = resume.status_iteration, resume.K[-1]
        for array, done in (
            (gains, resume.K),
            (costs, resume.cost),
            (gradient_norm, resume.gradient_norm),
            (rollout_steps, resume.rollout_steps),
            (unstable, resume.unstable_perturbations),
        ):
            array[: first + 1] = done

    def history(status: Status, iteration: int) -> History:
        reached = slice(0, iteration + 1)
        return History(
            K=gains[reached].copy(),
            cost=costs[reached].copy(),
            ratio=costs[reached].sum(axis=1) / optimal_cost - 1.0,
            gradient_norm=gradient_norm[reached].copy(),
            rollout_steps=rollout_steps[reached].copy(),
            unstable_perturbations=unstable[reached].copy(),
            status=status,
            status_iteration=iteration,
        )

    for iteration in range(first, entries):
        gains[iteration] = gain
        costs[iteration] = lqr.cost(tasks, gain)
        if progress is not None:
            progress(iteration, costs[iteration].sum() / optimal_cost - 1.0)
        if not np.all(np.isfinite(costs[iteration])):
            status = Status.DIVERGED
            break
        if iteration == settings.iterations:
            break
        # Not before the first iteration of this call, so that every call gets on.
        if (
            interrupt is not None
            and iteration > first
            and interrupt(functools.partial(history, Status.INTERRUPTED, iteration))
        ):
            status = Status.INTERRUPTED
            break

        estimate = estimate_with_counts(tasks, gain, settings, stream.at(iteration))
        # Where unstable roll-outs overflowed, the estimate is not finite; that is seen and kept below.
        with np.errstate(over="ignore", invalid="ignore"):
            norm = np.linalg.norm(estimate.gradient)
            gradient_norm[iteration] = norm if np.isfinite(norm) else np.inf
            gain = gain - settings.learning_rate * estimate.gradient
        unstable[iteration] = estimate.unstable_perturbations
        if gradient_norm[iteration] <= settings.tolerance:
            status = Status.TOLERANCE
            break
        if not np.all(np.isfinite(gain)):
            status = Status.DIVERGED
            break
        rollout_steps[iteration + 1] = rollout_steps[iteration] + estimate.rollout_steps

    return history(status, iteration)


def _require_resumable(
    resume: History, initial_gain: NDArray[np.float64], initial_cost: NDArray[np.float64], entries: int
) -> None:
    """Refuse a history that cannot be the beginning of the run."""
    if resume.status is not Status.INTERRUPTED:
        raise ValueError(f"resume: the run is {resume.status}; only an interrupted one can go on")
    count = resume.status_iteration + 1
    if count > entries:
        raise ValueError(f"resume: the run has reached iteration {count - 1}, but iterations is {entries - 1}")
    shapes = {
        "K": (count, *initial_gain.shape),
        "cost": (count, *initial_cost.shape),
        **dict.fromkeys(("gradient_norm", "rollout_steps", "unstable_perturbations"), (count,)),
    }
    for name, shape in shapes.items():
        found = getattr(resume, name).shape
        if found != shape:
            raise ValueError(f"resume: {name} has the shape {found}, not {shape}")
    if not np.array_equal(resume.K[0], initial_gain):
        raise ValueError("resume: the run began at another gain than K0")
    if not np.array_equal(resume.cost[0], initial_cost):
        raise ValueError("resume: the run began with other costs than these tasks have at K0")
