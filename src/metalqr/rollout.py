"""The compiled simulation: costs of many perturbed policies, the only code here whose speed matters.

A roll-out is a lane of an eight-lane vector (:mod:`metalqr.lanes`); the lanes of one vector share a task and differ in
gain and noise. To spend as few operations on a step as possible, a task is simulated in coordinates ``x = T y`` and
``u = S v`` in which the process noise has the covariance I, the state cost is diagonal and the action cost is I:

    y_{l+1} = (T^-1 A T) y_l + (T^-1 B S) v_l + z_l,   z_l ~ N(0, I),   cost = sum_j weights_j y_j^2 + |v|^2.

The cost of a roll-out is the same number in both coordinates; gains become S^-1 K T.
"""

import weakref
from typing import NamedTuple

import numba
import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from metalqr.compiled import compiled, inlined
from metalqr.lanes import LANES, doubles, element, fma, lane_numbers, load, store, words
from metalqr.lqr import LQRTasks
from metalqr.random import BLOCK, Purpose, Stream, fill_directions, fill_normals, require_addressable


class SimulationTasks(NamedTuple):
    """All tasks in the coordinates of the simulation; one array a field, because compiled code takes it as it is."""

    transition: NDArray[np.float64]  # (I, d, d + k): [T^-1 A T, -T^-1 B S], applied to [y; K y]
    state_cost: NDArray[np.float64]  # (I, d): the diagonal of T'QT
    start: NDArray[np.float64]  # (I, d, d): maps N(0, I) to the initial state, T^-1 chol(Sigma0)
    state_map: NDArray[np.float64]  # (I, d, d): T', so that each row of U T is T' times a row of U
    action_map: NDArray[np.float64]  # (I, k, k): S^-1, upper triangular


_KNOWN: weakref.WeakKeyDictionary[LQRTasks, SimulationTasks] = weakref.WeakKeyDictionary()


def simulation_tasks(tasks: LQRTasks) -> SimulationTasks:
    r"""The tasks in the coordinates of the simulation, computed once for each collection of tasks.

    With :math:`\Psi = LL^\top` and the eigenvectors V of :math:`L^\top Q L`, the state map is T = LV; with
    :math:`R = CC^\top`, the action map is :math:`S = C^{-\top}`. The signs of the eigenvectors, which another linear
    algebra library may choose otherwise, decide which noise a roll-out sees, so they are fixed here. (Within an
    eigenspace of several dimensions the basis stays the library's choice.)
    """
    if tasks in _KNOWN:
        return _KNOWN[tasks]
    noise = np.linalg.cholesky(tasks.Psi)
    state_cost, rotation = np.linalg.eigh(np.swapaxes(noise, -1, -2) @ tasks.Q @ noise)
    generic = np.cos(np.arange(1.0, tasks.state_dim + 1.0))
    signs = np.where(generic @ rotation < 0, -1.0, 1.0)
    state_map = noise @ (rotation * signs[:, np.newaxis])
    action_cost = np.linalg.cholesky(tasks.R)
    # B S = B C^-T, by solving C (B S)' = B' for each task.
    scaled_input = np.stack(
        [
            scipy.linalg.solve_triangular(factor, matrix.T, lower=True).T
            for factor, matrix in zip(action_cost, tasks.B, strict=True)
        ]
    )
    transition = np.linalg.solve(state_map, np.concatenate([tasks.A @ state_map, -scaled_input], axis=-1))
    start = np.linalg.solve(state_map, np.linalg.cholesky(tasks.Sigma0))
    result = SimulationTasks(
        *map(
            np.ascontiguousarray,
            (transition, state_cost, start, np.swapaxes(state_map, -1, -2), np.swapaxes(action_cost, -1, -2)),
        )
    )
    _KNOWN[tasks] = result
    return result


@inlined
def _shared(matrix, index):
    """An entry of a matrix that all lanes share."""
    return element(matrix, index)


@inlined
def _own(matrix, index):
    """An entry of a matrix of which every lane has its own."""
    return load(matrix, index)


@inlined
def _multiply(entry, matrix, offset, rows, columns, vector, vector_row, result, result_row):
    """``result += matrix @ vector`` lane by lane, with ``entry`` one of the two above; four sums stay in registers."""
    row = 0
    while row + 4 <= rows:
        first = offset + row * columns
        sum_0 = load(result, result_row + row)
        sum_1 = load(result, result_row + row + 1)
        sum_2 = load(result, result_row + row + 2)
        sum_3 = load(result, result_row + row + 3)
        for column in range(columns):
            x = load(vector, vector_row + column)
            sum_0 = fma(entry(matrix, first + column), x, sum_0)
            sum_1 = fma(entry(matrix, first + columns + column), x, sum_1)
            sum_2 = fma(entry(matrix, first + 2 * columns + column), x, sum_2)
            sum_3 = fma(entry(matrix, first + 3 * columns + column), x, sum_3)
        store(result, result_row + row, sum_0)
        store(result, result_row + row + 1, sum_1)
        store(result, result_row + row + 2, sum_2)
        store(result, result_row + row + 3, sum_3)
        row += 4
    while row + 2 <= rows:
        first = offset + row * columns
        sum_0 = load(result, result_row + row)
        sum_1 = load(result, result_row + row + 1)
        for column in range(columns):
            x = load(vector, vector_row + column)
            sum_0 = fma(entry(matrix, first + column), x, sum_0)
            sum_1 = fma(entry(matrix, first + columns + column), x, sum_1)
        store(result, result_row + row, sum_0)
        store(result, result_row + row + 1, sum_1)
        row += 2
    if row < rows:
        first = offset + row * columns
        sum_0 = load(result, result_row + row)
        for column in range(columns):
            sum_0 = fma(entry(matrix, first + column), load(vector, vector_row + column), sum_0)
        store(result, result_row + row, sum_0)


@inlined
def _clear(rows, first, count):
    for row in range(first, first + count):
        store(rows, row, doubles(0.0))


@inlined
def _act(gains, action_dim, state_dim, state):
    """Write K y below y in ``state``, with a gain of its own in every lane, and return |K y|^2."""
    _clear(state, state_dim, action_dim)
    _multiply(_own, gains, 0, action_dim, state_dim, state, 0, state, state_dim)
    cost = doubles(0.0)
    for row in range(state_dim, state_dim + action_dim):
        action = load(state, row)
        cost = fma(action, action, cost)
    return cost


@compiled()
def _simulate(simulated, task, gains, length, counter_1, counter_2, address, state, noise):
    """Average cost over steps 1 to ``length`` of eight roll-outs of one task, each with its own gain and noise.

    ``state`` (d + k rows) and ``noise`` (4 d rows) are work space. The numbers of a roll-out are consecutive: d for the
    initial state, then d for every step, made for four steps at a time.
    """
    state_dim = simulated.state_cost.shape[1]
    action_dim = simulated.action_map.shape[1]
    columns = state_dim + action_dim
    transition = task * state_dim * columns
    weights = task * state_dim

    total = doubles(0.0)
    for step in range(length + 1):
        now = (step % BLOCK) * state_dim
        if now == 0:
            fill_normals(noise, state_dim, (step // BLOCK) * state_dim, counter_1, counter_2, address)
        if step == 0:
            _clear(state, 0, state_dim)
            _multiply(_shared, simulated.start, task * state_dim**2, state_dim, state_dim, noise, 0, state, 0)
            _act(gains, action_dim, state_dim, state)
        else:
            _multiply(_shared, simulated.transition, transition, state_dim, columns, state, 0, noise, now)
            cost = doubles(0.0)
            for row in range(state_dim):
                x = load(noise, now + row)
                store(state, row, x)
                cost = fma(element(simulated.state_cost, weights + row) * x, x, cost)
            total = total + cost + _act(gains, action_dim, state_dim, state)
    return total / doubles(length)


@compiled()
def _change_coordinates(simulated, task, gains, partial, result):
    """``result = S^-1 gains T`` lane by lane; ``partial`` is work space of the same k d rows."""
    state_dim = simulated.state_cost.shape[1]
    action_dim = simulated.action_map.shape[1]
    _clear(partial, 0, action_dim * state_dim)
    for row in range(action_dim):
        first = row * state_dim
        _multiply(_shared, simulated.state_map, task * state_dim**2, state_dim, state_dim, gains, first, partial, first)
    for row in range(action_dim):
        for column in range(state_dim):
            entry = doubles(0.0)
            for inner in range(row, action_dim):
                factor = element(simulated.action_map, (task * action_dim + row) * action_dim + inner)
                entry = fma(factor, load(partial, inner * state_dim + column), entry)
            store(result, row * state_dim + column, entry)


@compiled(parallel=True)
def _costs(simulated, task_of_slot, gains, length, address):
    slots, count, entries = gains.shape
    state_dim = simulated.state_cost.shape[1]
    action_dim = simulated.action_map.shape[1]
    blocks = (count + LANES - 1) // LANES
    costs = np.empty((slots, count))
    for job in numba.prange(slots * blocks):
        slot = job // blocks
        first = (job % blocks) * LANES
        task = task_of_slot[slot]
        own = np.empty((entries, LANES))
        partial = np.empty((entries, LANES))
        own_simulated = np.empty((entries, LANES))
        state = np.empty((state_dim + action_dim, LANES))
        noise = np.empty((BLOCK * state_dim, LANES))
        result = np.empty((1, LANES))
        for lane in range(LANES):
            # Lanes past the end repeat the last policy; their costs are not used.
            policy = min(first + lane, count - 1)
            for entry in range(entries):
                own[entry, lane] = gains[slot, policy, entry]
        _change_coordinates(simulated, task, own, partial, own_simulated)
        counter_2 = words(slot * count + first) + lane_numbers()
        cost = _simulate(simulated, task, own_simulated, length, words(0), counter_2, address, state, noise)
        store(result, 0, cost)
        for lane in range(min(LANES, count - first)):
            costs[slot, first + lane] = result[0, lane]
    return costs


def costs(
    tasks: LQRTasks,
    K: ArrayLike,
    length: int,
    stream: Stream,
    task_of_slot: ArrayLike | None = None,
) -> NDArray[np.float64]:
    r"""The cost of one noisy roll-out of every policy.

    .. math:: \tilde J^{(\ell)}(K) = \frac1\ell \sum_{l=1}^{\ell} x_l^\top (Q + K^\top R K) x_l,\qquad
              x_{l+1} = (A - BK) x_l + w_l,\quad x_0 \sim N(0, \Sigma_0),\quad w_l \sim N(0, \Psi)

    as in Algorithms 1 and 2. Its expectation is :func:`metalqr.lqr.finite_horizon_cost`. It exists for every gain;
    where the closed loop is so unstable that the cost overflows, it is infinite or not a number.

    Parameters
    ----------
    tasks : LQRTasks
    K : ndarray, shape (I, M, k, d)
        A gain for each roll-out.
    length : int
        :math:`\ell`, steps of a roll-out.
    stream : Stream
    task_of_slot : array_like of int, optional
        Which task each entry of the leading dimension of ``K`` belongs to, if not every task once in order.

    Returns
    -------
    ndarray, shape (I, M)

    Raises
    ------
    ValueError
        If the shape of ``K`` does not fit the tasks, a count is not a whole number >= 1, there is no such task, or the
        sizes pass the range of the random counters.
    """
    task_of_slot = _slots(tasks, task_of_slot)
    gains = _flat_gains(tasks, K, len(task_of_slot), length)
    return _costs(simulation_tasks(tasks), task_of_slot, gains, length, stream.address(Purpose.ROLLOUT))


# The compiled code checks nothing: what does not fit would read foreign memory.


def _slots(tasks: LQRTasks, task_of_slot: ArrayLike | None) -> NDArray[np.int64]:
    """The task of each entry of the leading dimension, checked; by default every task once in order."""
    slots = np.asarray(np.arange(tasks.count) if task_of_slot is None else task_of_slot)
    if slots.ndim != 1 or slots.dtype.kind not in "iu" or np.any((slots < 0) | (slots >= tasks.count)):
        raise ValueError(f"task_of_slot: {slots.tolist()} is not a list of whole numbers from 0 to {tasks.count - 1}")
    return slots.astype(np.int64)


def _require_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: {value!r} is not a whole number >= 1")


def _flat_gains(tasks: LQRTasks, K: ArrayLike, slots: int, length: int) -> NDArray[np.float64]:
    """Check the gains (slots, M, k, d) and the length of their roll-outs; give the gains the shape (slots, M, k d)."""
    gains = np.ascontiguousarray(K, dtype=np.float64)
    action_dim, state_dim = tasks.action_dim, tasks.state_dim
    if gains.ndim != 4 or (gains.shape[0], *gains.shape[2:]) != (slots, action_dim, state_dim):
        raise ValueError(
            f"K has shape {gains.shape}, expected ({slots}, M, {action_dim}, {state_dim}): M gains for each task"
        )
    _require_count("length", length)
    # Numbers are made for four steps at a time, so up to three steps more than needed.
    require_addressable(gains.shape[0] * gains.shape[1], max((length + BLOCK) * state_dim, action_dim * state_dim))
    return gains.reshape(slots, gains.shape[1], action_dim * state_dim)


@compiled(parallel=True)
def _smoothed_gradients(simulated, task_of_policy, gains, perturbations, radius, length, directions_at, rollouts_at):
    policies, entries = gains.shape
    state_dim = simulated.state_cost.shape[1]
    action_dim = simulated.action_map.shape[1]
    estimates = np.empty((policies, entries))
    for policy in numba.prange(policies):
        task = task_of_policy[policy]
        directions = np.empty((entries + BLOCK, LANES))
        perturbed = np.empty((entries, LANES))
        partial = np.empty((entries, LANES))
        simulated_gains = np.empty((entries, LANES))
        sums = np.zeros((entries, LANES))
        state = np.empty((state_dim + action_dim, LANES))
        noise = np.empty((BLOCK * state_dim, LANES))
        used_costs = np.empty((1, LANES))
        for first in range(0, perturbations, LANES):
            counter_1 = words(first) + lane_numbers()
            counter_2 = words(policy)
            fill_directions(directions, entries, radius, counter_1, counter_2, directions_at)
            for entry in range(entries):
                store(perturbed, entry, doubles(gains[policy, entry]) + load(directions, entry))
            _change_coordinates(simulated, task, perturbed, partial, simulated_gains)
            cost = _simulate(simulated, task, simulated_gains, length, counter_1, counter_2, rollouts_at, state, noise)
            store(used_costs, 0, cost)
            for lane in range(perturbations - first, LANES):
                used_costs[0, lane] = 0.0
            cost = load(used_costs, 0)
            for entry in range(entries):
                store(sums, entry, fma(cost, load(directions, entry), load(sums, entry)))
        for entry in range(entries):
            total = 0.0
            for lane in range(LANES):
                total += sums[entry, lane]
            estimates[policy, entry] = total * (entries / (radius**2 * perturbations))
    return estimates


def smoothed_gradients(
    tasks: LQRTasks,
    K: ArrayLike,
    perturbations: int,
    radius: float,
    length: int,
    stream: Stream,
    task_of_slot: ArrayLike | None = None,
) -> NDArray[np.float64]:
    r"""Algorithm 1 at many gains: a zeroth-order estimate of the gradient from roll-outs of perturbed policies.

    .. math:: \tilde\nabla J(K) = \frac1M \sum_{m=1}^M \frac{dk}{r^2} \tilde J^{(\ell)}(K + U_m) U_m

    Perturbations and costs live and die in the compiled loop, so memory does not grow with M or :math:`\ell`.

    Parameters
    ----------
    tasks : LQRTasks
    K : ndarray, shape (I, P, k, d)
        Gains, P for each task.
    perturbations, radius, length
        :math:`M`, :math:`r` and :math:`\ell`.
    stream : Stream
    task_of_slot : array_like of int, optional
        As in :func:`costs`.

    Returns
    -------
    ndarray, shape (I, P, k, d)

    Raises
    ------
    ValueError
        As :func:`costs`.
    """
    task_of_slot = _slots(tasks, task_of_slot)
    gains = _flat_gains(tasks, K, len(task_of_slot), length)
    _require_count("perturbations", perturbations)
    slots, policies, entries = gains.shape
    estimates = _smoothed_gradients(
        simulation_tasks(tasks),
        np.repeat(task_of_slot, policies),
        gains.reshape(slots * policies, entries),
        perturbations,
        radius,
        length,
        stream.address(Purpose.INNER_PERTURBATION),
        stream.address(Purpose.INNER_ROLLOUT),
    )
    return np.asarray(estimates.reshape(slots, policies, tasks.action_dim, tasks.state_dim))
