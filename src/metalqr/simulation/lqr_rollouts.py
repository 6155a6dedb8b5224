"""The compiled rollouts of linear quadratic tasks, at many gains at once."""

import math
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import positive, real_array, whole_number
from metalqr.config.algorithm import Precision
from metalqr.lqr import LQRTasks
from metalqr.lqr.stability import count_unstable
from metalqr.simulation.simd import jury, kernel
from metalqr.simulation.simd.coordinates import SimulationTasks, gain_shift, numbers_of_rollout, simulation_tasks
from metalqr.simulation.simulator import Array, CompiledSimulator, Tasks, WeightedDirections
from metalqr.simulation.streams import Purpose, Stream, require_addressable

#: Distributions that the compiled loop draws, by their names in :class:`WeightedDirections`.
_DISTRIBUTIONS = {"sphere": kernel.SPHERE, "gaussian": kernel.NORMAL}


class LQRSimulator(CompiledSimulator):
    r"""Compiled rollouts of linear quadratic tasks.

    .. math:: \tilde J^{(\ell)}(K) = \frac1\ell \sum_{l=1}^{\ell} x_l^\top (Q + K^\top R K - S K - K^\top S^\top) x_l,
              \qquad x_{l+1} = (A - BK) x_l + w_l,\quad x_0 \sim N(0, \Sigma_0),\quad w_l \sim N(0, \Psi)

    as in Algorithms 1 and 2. Of tasks with ``noise="initial_state"`` it is the sum over
    :math:`x_0, \ldots, x_{\ell-1}`, not divided by :math:`\ell`. The expectation of a cost is
    :func:`metalqr.lqr.finite_horizon_cost`. It exists for every gain; where the closed loop is so unstable that the
    cost overflows, it is infinite or not a number.

    Parameters
    ----------
    tasks : LQRTasks
    precision : {"float64", "float32"}
        Precision of the simulation; the noise is the same numbers, rounded.

    Attributes
    ----------
    simulated_steps : int
        Steps simulated so far, all rollouts together.
    replays_noise : bool
        True: noise has an address.

    Raises
    ------
    ValueError
        If there is no such precision. By the methods: if the gains do not have the shape (n, P, k, d), a number is out
        of range, there is no such task, or the sizes exceed the range of the random counters.
    """

    replays_noise = True

    def __init__(self, tasks: LQRTasks, precision: str = "float64") -> None:
        if precision not in get_args(Precision):
            raise ValueError(f"precision: {precision!r} is not {' or '.join(get_args(Precision))}")
        self._tasks, self._simulated, self._shift = tasks, simulation_tasks(tasks, precision), gain_shift(tasks)
        self.count, self.state_dim, self.action_dim = tasks.count, tasks.state_dim, tasks.action_dim
        self.simulated_steps = 0
        self._precision = precision
        self._last_discounted: tuple[float, SimulationTasks] | None = None
        # What has been checked: a run asks for the same in every iteration, and its rollouts may be short.
        self._known_tasks: tuple[ArrayLike | None, Tasks] = None, np.arange(tasks.count)
        self._known_sizes: set[tuple[int, int, int]] = set()
        self._known_settings: tuple[WeightedDirections | None, int, tuple[Any, ...]] = None, 0, ()

    def costs(
        self,
        gains: ArrayLike,
        length: int,
        stream: Stream,
        *,
        tasks: ArrayLike | None = None,
        purpose: Purpose = Purpose.ROLLOUT,
        sharing: int = 1,
        discount: float = 1.0,
    ) -> Array:
        r"""As :meth:`metalqr.simulation.simulator.Simulator.costs`; by default of every task once, in order.

        Discounted costs are those of the tasks :math:`(\sqrt\gamma A, \sqrt\gamma B)`, exactly:
        :math:`y_t = \gamma^{t/2} x_t` has :math:`y_0 = x_0`, :math:`y_{t+1} = \sqrt\gamma (A - BK) y_t` and
        :math:`\sum_t y_t^\top S_K y_t = \sum_t \gamma^t x_t^\top S_K x_t` with the weight :math:`S_K` of a state.
        """
        task_of_slot = self._task_of_slot(tasks)
        checked = self._gains(gains, task_of_slot, whole_number("length", length))
        slots, policies, action_dim, state_dim = checked.shape
        if policies % whole_number("sharing", sharing):
            raise ValueError(f"sharing: {policies} gains cannot share noise in groups of {sharing}")
        members = checked.reshape(slots, sharing, policies // sharing, action_dim, state_dim)
        simulated = self._simulated if discount == 1.0 else self._discounted(discount)
        found = kernel.costs(simulated, task_of_slot, members, int(length), stream.address(purpose))
        return found.reshape(slots, policies)

    def count_unstable(self, gains: Array, tasks: Tasks) -> int:
        """Number of the gains (n, P, k, d) that leave the closed loop of their task unstable, with the model."""
        if self.state_dim > jury.MAX_STATES:
            return count_unstable(self._tasks, gains, tasks)
        return int(jury.count_unstable(self._tasks.A, self._tasks.B, tasks, gains))

    def weighted_directions(
        self,
        gains: ArrayLike,
        directions: WeightedDirections,
        length: int,
        stream: Stream,
        *,
        tasks: ArrayLike | None = None,
        first_policy: Tasks | None = None,
    ) -> Array:
        """As :meth:`metalqr.simulation.simulator.CompiledSimulator.weighted_directions`; by default of every task once.

        Perturbations that are not given, and costs, exist in the compiled loop alone, so memory does not grow with
        their number.
        """
        task_of_slot, checked_settings = self._task_of_slot(tasks), self._checked_settings(directions, length)
        count = checked_settings[0]
        checked = self._gains(gains, task_of_slot, checked_settings[-1], count * len(directions.signs))
        slots, policies, *shape = checked.shape
        if isinstance(directions.drawn, str):
            given = np.empty((1, 0, 0, *shape))
        else:
            given = directions.drawn
            if given.shape[1:] != (policies, count, *shape):
                wanted = f"(n, {policies}, {count}, {shape[0]}, {shape[1]})"
                raise ValueError(f"directions have shape {given.shape}, expected {wanted}")
        addresses = stream.address(Purpose.INNER_PERTURBATION), stream.address(Purpose.INNER_ROLLOUT)
        settings = kernel.Settings._make((*checked_settings, *addresses))
        first = np.arange(slots) * policies if first_policy is None else first_policy
        return kernel.smoothed_gradients(self._simulated, task_of_slot, checked, given, first, settings)

    def _checked_settings(self, directions: WeightedDirections, length: int) -> tuple[Any, ...]:
        """Those of the kernel before its addresses, kept while the same come again."""
        known, known_length, settings = self._known_settings
        if directions is not known or length != known_length:
            settings = (
                whole_number("perturbations", directions.perturbations),
                positive("radius", directions.radius),
                _DISTRIBUTIONS[directions.drawn] if isinstance(directions.drawn, str) else kernel.GIVEN,
                np.array(directions.signs, dtype=np.float64),
                np.array(directions.weights, dtype=np.float64),
                directions.common_noise,
                directions.leaves_one_out,
                whole_number("length", length),
            )
            if isinstance(directions.drawn, str):  # others are large, and never come again
                self._known_settings = directions, length, settings
        return settings

    def _discounted(self, discount: float) -> SimulationTasks:
        """The tasks whose plain cost is the discounted one. The last ones are kept: many rollouts have one discount."""
        if self._tasks.noise != "initial_state":
            raise ValueError(f"discount: {discount!r} needs tasks with noise: initial_state, or 1")
        if not 0.0 < discount < 1.0:
            raise ValueError(f"discount: {discount!r} is not in (0, 1]")
        if self._last_discounted is None or self._last_discounted[0] != discount:
            root = math.sqrt(discount)
            damped = self._tasks.replace(A=root * self._tasks.A, B=root * self._tasks.B)
            self._last_discounted = discount, simulation_tasks(damped, self._precision)
        return self._last_discounted[1]

    # The compiled code checks nothing: wrong shapes would read out of bounds.

    def _task_of_slot(self, tasks: ArrayLike | None) -> Tasks:
        """The task of each entry of the leading dimension."""
        known, slots = self._known_tasks
        if tasks is known:
            return slots
        if tasks is None:
            return np.arange(self.count)
        slots = np.asarray(tasks)
        are_whole = slots.ndim == 1 and slots.dtype.kind in "iu"
        if not are_whole or (slots.size and not 0 <= slots.min() <= slots.max() < self.count):
            raise ValueError(
                f"task_of_slot: {slots.tolist()} is not a list of whole numbers from 0 to {self.count - 1}"
            )
        checked = slots.astype(np.int64)  # a copy: the compiled code takes arrays that can be written to
        if not slots.flags.writeable:  # nor can it have changed when it comes again
            self._known_tasks = tasks, checked
        return checked

    def _gains(self, K: ArrayLike, task_of_slot: Tasks, length: int, perturbations: int = 1) -> Array:
        """Check the gains (slots, P, k, d) and the sizes; only then copy them into one piece, and count the steps.

        Those of a task with a cross term become those of the simulated task, which has none.
        """
        gains, action_dim, state_dim, slots = real_array("K", K), self.action_dim, self.state_dim, len(task_of_slot)
        if gains.ndim != 4 or (gains.shape[0], *gains.shape[2:]) != (slots, action_dim, state_dim):
            raise ValueError(
                f"K has shape {gains.shape}, expected ({slots}, M, {action_dim}, {state_dim}): M gains for each task"
            )
        policies = slots * gains.shape[1]
        size = policies, length, perturbations
        if size not in self._known_sizes:
            numbers = max(numbers_of_rollout(self._simulated, length), action_dim * state_dim)
            require_addressable(policies, numbers, perturbations)
            self._known_sizes.add(size)
        self.simulated_steps += policies * perturbations * length
        if self._shift is not None:
            gains = gains - self._shift[task_of_slot, np.newaxis]
        # The one type that is compiled.
        return gains if gains.flags.carray else np.require(gains, requirements=["C", "ALIGNED", "WRITEABLE"])


def costs(
    tasks: LQRTasks,
    K: ArrayLike,
    length: int,
    stream: Stream,
    task_of_slot: ArrayLike | None = None,
    precision: str = "float64",
    purpose: Purpose = Purpose.ROLLOUT,
) -> Array:
    r"""The cost of one noisy rollout of every gain, by :class:`LQRSimulator`.

    Parameters
    ----------
    tasks : LQRTasks
    K : ndarray, shape (I, M, k, d)
        A gain for each rollout.
    length : int
        :math:`\ell`, steps of a rollout.
    stream : Stream
    task_of_slot : array_like of int, optional
        Task of each entry of the leading dimension of ``K``, if not every task once in order.
    precision : {"float64", "float32"}
    purpose : Purpose
        Purpose of the noise: two purposes never share a number.

    Returns
    -------
    ndarray, shape (I, M)

    Raises
    ------
    ValueError
        As :class:`LQRSimulator`.
    """
    return LQRSimulator(tasks, precision).costs(K, length, stream, tasks=task_of_slot, purpose=purpose)
