"""Tasks that only a simulator knows: what training has of them in place of matrices."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.object_path import split
from metalqr.common.validation import positive, real_array, whole_number
from metalqr.simulation.user import objects
from metalqr.simulation.user.errors import SimulatorError
from metalqr.simulation.user.worker import Worker, raised

Array = NDArray[np.float64]

_log = logging.getLogger(__name__)

#: Answers that differ by less, relative to them, are rounding.
ROUNDING = 1e-9
#: Rollouts that a simulator is tried with.
_TRIED = 3


class Measured(NamedTuple):
    """Costs measured by rollouts: the mean over them, and its standard error."""

    cost: Array
    error: Array


class SimulatedTasks:
    r"""Tasks that are known by the costs of their rollouts alone.

    It stands where :class:`metalqr.lqr.LQRTasks` does: in :func:`metalqr.training.train` and in the estimates of
    :mod:`metalqr.estimators`. There is no optimum and no exact cost. In place of the exact cost of a gain stands the
    mean cost of ``evaluation_rollouts`` rollouts, with the same seeds for every gain.

    Parameters
    ----------
    simulator : object or str
        As in :func:`metalqr.simulation.user.objects.made`; or where it is, ``my.py:Name`` or ``package.module:Name``.
    parameters : sequence of mapping
        The parameters of each task, as keywords.
    state_dim, action_dim : int
        d and k; the policy of a gain K (k, d) is u = -K x.
    timeout : float, optional
        Seconds that a call may take. The simulator then runs in a process of its own.
    unstable_cost : float, optional
        Cost of a rollout without a finite one. By default it is infinite, and a run that meets it ends as diverged.
    evaluation_rollouts, evaluation_length : int
        Rollouts by which the cost of a gain is measured, and their steps; 0 rollouts measure nothing. They are not
        among the simulated steps of a run.

    Attributes
    ----------
    count, state_dim, action_dim : int
    p : ndarray, shape (I,)
        Probabilities of the tasks, all the same.
    replays_noise : bool
        Whether the simulator gives the same cost again for the same seed, as far as it was tried.

    Raises
    ------
    SimulatorError
        If there is no such simulator, or it cannot be made for a task.

    Examples
    --------
    >>> def costs(gains, length, seeds, pole):
    ...     x = np.array([np.random.default_rng(seed).normal() for seed in seeds])
    ...     total = np.zeros(len(gains))
    ...     for _ in range(length):
    ...         u = -gains[:, 0, 0] * x
    ...         total, x = total + x**2 + u**2, pole * x + u
    ...     return total / length
    >>> tasks = SimulatedTasks(costs, [{"pole": 0.8}, {"pole": 0.9}], state_dim=1, action_dim=1)
    >>> tasks.measured(np.array([[[0.4]], [[0.5]]])).cost.shape
    (2, 2)
    """

    def __init__(
        self,
        simulator: Any,
        parameters: Sequence[Mapping[str, Any]],
        *,
        state_dim: int,
        action_dim: int,
        timeout: float | None = None,
        unstable_cost: float | None = None,
        evaluation_rollouts: int = 32,
        evaluation_length: int = 200,
    ) -> None:
        self.state_dim, self.action_dim = whole_number("state_dim", state_dim), whole_number("action_dim", action_dim)
        self.evaluation_rollouts = whole_number("evaluation_rollouts", evaluation_rollouts, 0)
        self.evaluation_length = whole_number("evaluation_length", evaluation_length)
        self.unstable_cost = np.inf if unstable_cost is None else float(unstable_cost)
        self.count = whole_number("the number of tasks", len(parameters))
        self.p = np.full(self.count, 1.0 / self.count)
        self.parameters = [dict(each) for each in parameters]
        self._timeout = None if timeout is None else positive("timeout", timeout)
        self._given = simulator
        self.replays_noise = True

    @cached_property
    def name(self) -> str:
        """The name of the simulator in messages."""
        if isinstance(self._given, str):
            place, name = split(self._given)
            return f"{Path(place).name if place.endswith('.py') else place}:{name}"
        return getattr(self._given, "__name__", type(self._given).__name__)

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers of a run depend on, beside the code of the simulator, in plain values."""
        names = ("parameters", "state_dim", "action_dim", "unstable_cost", "evaluation_rollouts", "evaluation_length")
        return {"simulator": self.name, **{name: getattr(self, name) for name in names}}

    @cached_property
    def _members(self) -> list[objects.Costs]:
        """The simulator of each task."""
        thing: Any = self._given
        if isinstance(thing, str):
            place, name = split(thing)
            is_file = place.endswith(".py")
            thing = (str(Path(place).resolve()) if is_file else place, name, is_file)
            if self._timeout is None:
                thing = objects.found(Path(thing[0]) if is_file else place, name)
        if self._timeout is not None:
            return [Worker(thing, each, self._timeout) for each in self.parameters]
        found = []
        for task, each in enumerate(self.parameters):
            try:
                found.append(objects.made(thing, each))
            except SimulatorError as error:
                raise SimulatorError(f"{self._place(task)}: {error}") from error
        return found

    @property
    def discounts(self) -> bool:
        """True if the simulator can make the costs of later steps count less."""
        return self._timeout is None and all(map(objects.takes_discount, self._members))

    def costs(self, task: int, gains: Array, length: int, seeds: NDArray[np.int64], **options: Any) -> Array:
        """Cost of one rollout of every gain (n, k, d) on a task, with a seed for each; infinite where not finite.

        Raises
        ------
        SimulatorError
            If the simulator fails, or returns anything but a number for each gain.
        """
        member = self._members[task]
        try:
            returned = member(gains, length, seeds, **options)
        except SimulatorError as error:
            raise SimulatorError(f"{self._place(task)}: {error}") from error
        except Exception as error:
            raise SimulatorError(f"{self._place(task)}: {raised(error)}") from error
        try:
            found = real_array("the cost", returned)
        except ValueError as error:
            raise SimulatorError(f"{self._place(task)}: {error}; return a number for each gain") from None
        if found.shape != (len(gains),):
            raise SimulatorError(
                f"{self._place(task)}: for {len(gains)} gains it returned an array of the shape {found.shape}, not "
                f"({len(gains)},); return the cost of one rollout for each gain"
            )
        return np.where(np.isfinite(found), found, np.inf)

    def costs_of_all(
        self, tasks: NDArray[np.int64], gains: Array, length: int, seeds: NDArray[np.int64], **options: Any
    ) -> Array:
        """Cost of one rollout of P gains on each of some tasks (n,): of gains (n, P, k, d), seeds and costs (n, P)."""
        found = np.empty(seeds.shape)
        for task in np.unique(tasks):
            rows = np.flatnonzero(tasks == task)
            each = gains[rows].reshape(-1, self.action_dim, self.state_dim)
            answered = self.costs(int(task), each, length, seeds[rows].ravel(), **options)
            found[rows] = answered.reshape(len(rows), -1)
        return found

    def _place(self, task: int) -> str:
        return f"simulator {self.name}, task {task} {self.parameters[task]}"

    def try_out(self, K: ArrayLike) -> None:
        """Call the simulator for a few rollouts of a gain (k, d), twice, together and alone.

        Where the same seed gives another cost it does not replay its noise, which is logged as a warning.

        Raises
        ------
        SimulatorError
            If it fails, or if its answer for a gain depends on the other gains of the call.
        """
        gains = np.repeat(np.asarray(K, dtype=np.float64)[np.newaxis], _TRIED, axis=0)
        seeds = evaluation_seeds(_TRIED)
        self.replays_noise = True
        for task in range(self.count):
            first, again = (self.costs(task, gains, self.evaluation_length, seeds) for _ in range(2))
            if (place := _first_difference(first, again)) is not None:
                _log.warning(
                    "%s: for seed %d it returned %r, then %r: it does not replay its noise, so the run will not have "
                    "the same numbers again, and common_noise is not possible; draw all randomness from the seed",
                    self._place(task), seeds[place], float(first[place]), float(again[place]),
                )  # fmt: skip
                self.replays_noise = False
                continue
            alone = [self.costs(task, gains[:1], self.evaluation_length, seed) for seed in np.split(seeds, _TRIED)]
            apart = np.concatenate(alone)
            if (place := _first_difference(first, apart)) is not None:
                raise SimulatorError(
                    f"{self._place(task)}: for seed {seeds[place]} it returned {float(first[place])!r} among "
                    f"{_TRIED} gains, and {float(apart[place])!r} alone; a cost may depend on its gain and seed alone"
                )

    def measured(self, gains: Array) -> Measured:
        """Costs of gains (n, k, d) on every task, or of gains (n, I, k, d) with one for each, by evaluation rollouts.

        Both results have the shape (n, I). They are NaN without evaluation rollouts; a cost is ``unstable_cost`` or
        infinite where a rollout has no finite one.
        """
        shape = len(gains), self.count
        if not self.evaluation_rollouts:
            return Measured(np.full(shape, np.nan), np.full(shape, np.nan))
        rollouts, seeds = self.evaluation_rollouts, evaluation_seeds(self.evaluation_rollouts)
        values = np.empty((*shape, rollouts))
        for task in range(self.count):
            repeated = np.repeat(gains if gains.ndim == 3 else gains[:, task], rollouts, axis=0)
            found = self.costs(task, repeated, self.evaluation_length, np.tile(seeds, len(gains)))
            values[:, task] = found.reshape(len(gains), rollouts)
        values = np.where(np.isfinite(values), values, self.unstable_cost)
        with np.errstate(invalid="ignore"):  # of infinite costs there is no error
            error = values.std(axis=-1, ddof=1) / np.sqrt(rollouts) if rollouts > 1 else np.full(shape, np.nan)
        return Measured(values.mean(axis=-1), error)


def evaluation_seeds(count: int) -> NDArray[np.int64]:
    """The seeds of evaluation rollouts: the same for every gain, run and method, (count,)."""
    return np.random.default_rng(20240617).integers(0, 2**53, size=count)


def _first_difference(first: Array, second: Array) -> int | None:
    """The first place where two answers differ by more than rounding; None if they do not."""
    places = np.flatnonzero(~np.isclose(first, second, rtol=ROUNDING, atol=0.0))
    return int(places[0]) if places.size else None
