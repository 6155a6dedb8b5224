"""The compiled simulation: costs of many perturbed policies, the only code here whose speed matters.

A roll-out is a lane of a vector (:mod:`metalqr.lanes`); the lanes of one vector share a task and differ in gain and
noise. A task is simulated in the coordinates of :mod:`metalqr.coordinates`. Everything works in double or in single
precision, as the arrays given have it. Matrices are stored column by column. Nothing is checked here: what does not fit
would read foreign memory, so :mod:`metalqr.rollout` checks it first.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import literal_unroll
from numba.core import types
from numba.extending import overload
from numpy.typing import NDArray

from metalqr.compiled import compiled, inlined
from metalqr.lanes import (
    AVX512,
    VECTOR,
    borrowed,
    element,
    elements,
    filled,
    fma,
    load,
    loaded,
    multiplied,
    scaled,
    store,
    stored,
    weighted_gram,
    zeros,
)
from metalqr.normals import (
    BLOCK,
    counter_rows,
    fill_directions,
    fill_normals,
    lane_count,
    rollout_start,
    work_rows,
)

# Rows of a matrix product whose sums are kept in registers together, largest first. A vector fills two registers or
# more, a multiply-add takes four cycles and two start in each: five rows keep the processor busy. More rows use each
# loaded number more often, and AVX-512 has registers for ten. Measured on Zen 3 (AVX2) and Emerald Rapids (AVX-512).
_TILES = tuple((0,) * rows for rows in ((10, 4, 1) if AVX512 else (5, 2, 1)))

# Normals are made for as many steps at a time as fit in these rows (5 KB), and for a block's worth of steps at least:
# long enough loops, and still in the cache.
_NOISE_ROWS = 5 * 1024 // VECTOR

# Up to these dimensions the compiled code is specialised for the dimensions.
_LARGEST_IN_REGISTERS = 2


def _product(matrix_entries, vector_entry):
    """Compiled ``sums + matrix @ vector`` lane by lane, for as many rows of the matrix as there are sums.

    ``matrix_entries`` reads consecutive entries of the matrix as a tuple, ``vector_entry`` one of the vector: for all
    lanes (``elements``, ``element``), or for each lane its own (``loaded``, ``load``).
    """

    @inlined
    def multiply(matrix, offset, rows, columns, vector, first, sums):
        for column in range(columns):
            factors = matrix_entries(matrix, offset + column * rows, sums)
            sums = multiplied(factors, (vector_entry(vector, first + column),), sums)
        return sums

    return multiply


_shared_times_own = _product(elements, load)
_own_times_own = _product(loaded, load)
_own_times_shared = _product(loaded, element)


@inlined
def _weighted_squares(weights, offset, vectors, total):
    """``total + sum_j weights_j vectors_j^2`` lane by lane, with weights that all lanes share."""
    return multiplied(scaled(elements(weights, offset, vectors), vectors), vectors, (total,))[0]


@inlined
def _copy(rows, source, target, count):
    for row in range(count):
        store(rows, target + row, load(rows, source + row))


@inlined
def _clear(rows, first, count):
    for row in range(first, first + count):
        store(rows, row, filled(rows, 0.0))


@inlined
def _move(simulated, task, matrices, states, before, now, action, cost):
    """Add matrix @ [state before; action] to the state that starts at row ``now``, and the state's cost to ``cost``."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    row = 0
    for tile in literal_unroll(_TILES):
        while row + len(tile) <= state_dim:
            offset = task * state_dim * (state_dim + action_dim) + row
            sums = loaded(states, now + row, tile)
            sums = _shared_times_own(matrices, offset, state_dim, state_dim, states, before, sums)
            sums = _shared_times_own(matrices, offset + state_dim**2, state_dim, action_dim, action, 0, sums)
            stored(states, now + row, sums)
            cost = _weighted_squares(simulated.state_cost, task * state_dim + row, sums, cost)
            row += len(tile)
    return cost


@inlined
def _act(simulated, task, gains, states, now, action, cost):
    """The action in the state that starts at row ``now``; adds the action's cost to ``cost``."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    row = 0
    for tile in literal_unroll(_TILES):
        while row + len(tile) <= action_dim:
            sums = _own_times_own(gains, row, action_dim, state_dim, states, now, zeros(states, tile))
            stored(action, row, sums)
            cost = _weighted_squares(simulated.action_cost, task * action_dim + row, sums, cost)
            row += len(tile)
    return cost


@inlined
def _noise_steps(state_dim):
    """For how many steps noise is made at a time: so many that no number is left over."""
    least = BLOCK // math.gcd(BLOCK, state_dim)
    return least * max(1, _NOISE_ROWS // (least * state_dim))


@inlined
def _fill_noise(noise, first_step, steps, state_dim, start, address):
    """The numbers of a roll-out are consecutive: d for the initial state, then d for every step."""
    blocks = (steps * state_dim + BLOCK - 1) // BLOCK
    fill_normals(noise, blocks, first_step * state_dim // BLOCK, start, address)


def _simulate(shape, simulated, task, gains, length, start, address, work):
    """Average cost over steps 1 to ``length`` of a vector of roll-outs of one task.

    Each lane has its own gain (``gains``, k d rows) and noise. ``work`` is (states, action); ``shape`` is None, or for
    small dimensions tuples as long as y, v, K and A, for code in which all of them stay in registers.
    """


@overload(_simulate, jit_options={"forceinline": True})
def _simulate_generate(shape, simulated, task, gains, length, start, address, work):
    if isinstance(shape, types.NoneType):
        return lambda shape, simulated, task, gains, length, start, address, work: _simulate_in_memory(
            simulated, task, gains, length, start, address, work
        )
    return _simulate_in_registers


@compiled()
def _simulate_in_memory(simulated, task, gains, length, start, address, work):
    # A state replaces its noise. Before the states of a batch stands the last one of the batch before.
    simulated, gains, address, (states, action) = borrowed((simulated, gains, address, work))
    state_dim = simulated.state_cost.shape[1]
    batch = _noise_steps(state_dim)
    zero = filled(states, 0.0)
    total = zero
    for first in range(0, length + 1, batch):
        steps = min(batch, length + 1 - first)
        _fill_noise(states[state_dim:], first, steps, state_dim, start, address)
        for step in range(steps):
            before, now = step * state_dim, (step + 1) * state_dim
            matrices = simulated.transition
            if first + step == 0:
                # The initial state is a matrix times its noise, and free.
                matrices = simulated.start
                _copy(states, now, before, state_dim)
                _clear(states, now, state_dim)
                _clear(action, 0, action.shape[0])
            cost = _move(simulated, task, matrices, states, before, now, action, zero)
            cost = _act(simulated, task, gains, states, now, action, cost)
            if first + step > 0:
                total = total + cost
        _copy(states, steps * state_dim, 0, state_dim)
    return total / filled(states, length)


def _simulate_in_registers(shape, simulated, task, gains, length, start, address, work):
    # With A - BK and the cost Q + K'RK of each lane a step needs neither the action nor its cost.
    state_like, action_like, gain_like, square_like = shape
    noise, _ = work
    state_dim = len(state_like)
    transition = task * (len(square_like) + len(gain_like))
    gain = loaded(gains, 0, gain_like)
    closed_loop = multiplied(
        elements(simulated.transition, transition + len(square_like), gain_like),
        gain,
        elements(simulated.transition, transition, square_like),
    )
    cost = weighted_gram(
        gain,
        elements(simulated.action_cost, task * len(action_like), action_like),
        elements(simulated.state_cost, task * state_dim, state_like),
    )
    zero = zeros(noise, state_like)
    batch = _noise_steps(state_dim)
    total = zeros(noise, (0,))
    state = zero
    for first in range(0, length + 1, batch):
        steps = min(batch, length + 1 - first)
        _fill_noise(noise, first, steps, state_dim, start, address)
        for step in range(steps):
            normals = loaded(noise, step * state_dim, state_like)
            if first + step == 0:
                initial = elements(simulated.start, transition, square_like)
                state = multiplied(initial, normals, zero)
            else:
                state = multiplied(closed_loop, state, normals)
                total = multiplied(multiplied(cost, state, zero), state, total)
    return total[0] / filled(noise, length)


@inlined
def _transform(left, left_transposed, matrix, right, result):
    """``result = left @ matrix @ right``, or ``left' @ matrix @ right``; once for a policy."""
    rows, columns = matrix.shape
    partial = np.zeros((rows, columns))
    for row in range(rows):
        for inner in range(columns):
            for column in range(columns):
                partial[row, column] += matrix[row, inner] * right[inner, column]
    for row in range(rows):
        for column in range(columns):
            result[row, column] = 0.0
        for inner in range(rows):
            factor = left[inner, row] if left_transposed else left[row, inner]
            for column in range(columns):
                result[row, column] += factor * partial[inner, column]


@inlined
def _perturb(simulated, task, directions, base, gains):
    """The perturbed gains W H + ``base`` in the coordinates of the simulation, where H is upper triangular."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    for column in range(state_dim):
        factors = (task * state_dim + column) * state_dim
        row = 0
        for tile in literal_unroll(_TILES):
            while row + len(tile) <= action_dim:
                sums = loaded(base, column * action_dim + row, tile)
                sums = _own_times_shared(
                    directions, row, action_dim, column + 1, simulated.perturbation_map, factors, sums
                )
                stored(gains, column * action_dim + row, sums)
                row += len(tile)


class _Work(NamedTuple):
    """The arrays of one job, made for it; kd rows are a gain by columns."""

    base: NDArray[np.floating]  # kd rows: unperturbed gain of each lane
    directions: NDArray[np.floating]  # kd rows, rounded up to whole blocks
    gains: NDArray[np.floating]  # kd rows: perturbed gain of each lane
    sums: NDArray[np.floating]  # kd rows: of cost times direction, for the policy in work
    costs: NDArray[np.floating]  # 2 rows: of all roll-outs, and of those of the policy in work
    simulation: tuple[NDArray[np.floating], NDArray[np.floating]]  # states and action, see _simulate
    counters: NDArray[np.integer]
    policy_of_lane: NDArray[np.int64]
    perturbation_of_lane: NDArray[np.int64]


@inlined
def _simulation_work(simulated):
    """Rows for the states of a batch and the one before, rounded up to whole blocks, and rows for the action."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    rows = (1 + _noise_steps(state_dim)) * state_dim + BLOCK
    return work_rows(rows, simulated.transition), work_rows(action_dim, simulated.transition)


@inlined
def _set_lane(rows, lane, gain):
    """Write a gain to one lane."""
    action_dim, state_dim = gain.shape
    for column in range(state_dim):
        for row in range(action_dim):
            rows[column * action_dim + row, lane] = gain[row, column]


@inlined
def _work(simulated, perturbations):
    """The arrays of a job; its lanes stand at the vector before its first one, see :func:`_next_roll_outs`."""
    entries = simulated.state_cost.shape[1] * simulated.action_cost.shape[1]
    lanes = lane_count(simulated.transition)
    return _Work(
        work_rows(entries, simulated.transition),
        work_rows(entries + BLOCK, simulated.transition),
        work_rows(entries, simulated.transition),
        work_rows(entries, simulated.transition),
        work_rows(2, simulated.transition),
        _simulation_work(simulated),
        counter_rows(simulated.transition),
        np.full(lanes, -1),
        np.arange(perturbations - lanes, perturbations),
    )


@inlined
def _next_roll_outs(work, perturbations, gains, first_policy):
    """Move the lanes on to the roll-outs that follow: policy, perturbation, counters and unperturbed gain of each."""
    lanes = len(work.policy_of_lane)
    for lane in range(lanes):
        work.perturbation_of_lane[lane] += lanes
        if work.perturbation_of_lane[lane] >= perturbations:
            while work.perturbation_of_lane[lane] >= perturbations:
                work.perturbation_of_lane[lane] -= perturbations
                work.policy_of_lane[lane] += 1
            # Lanes past the end go on with the last gain; their costs are not used.
            _set_lane(work.base, lane, gains[min(work.policy_of_lane[lane], len(gains) - 1)])
        work.counters[0, lane] = work.perturbation_of_lane[lane]
        work.counters[1, lane] = first_policy + work.policy_of_lane[lane]


@inlined
def _add_up(work, policy, smoothed):
    """The sum of the costs of one policy's lanes; where ``smoothed``, add cost times direction to the sums."""
    total = 0.0
    for lane in range(len(work.policy_of_lane)):
        work.costs[1, lane] = work.costs[0, lane] if work.policy_of_lane[lane] == policy else 0.0
        total += work.costs[1, lane]
    if smoothed:
        cost = load(work.costs, 1)
        for entry in range(len(work.sums)):
            store(work.sums, entry, fma(cost, load(work.directions, entry), load(work.sums, entry)))
    return total


@inlined
def _finish(simulated, task, work, scale, estimate):
    """The estimate of a policy from its sums, in the task's own coordinates; the sums are zero again."""
    action_dim, state_dim = estimate.shape
    simulated_estimate = np.zeros((action_dim, state_dim))
    for row in range(action_dim):
        for column in range(state_dim):
            for lane in range(len(work.policy_of_lane)):
                simulated_estimate[row, column] += work.sums[column * action_dim + row, lane]
            simulated_estimate[row, column] *= scale
    _transform(simulated.action_rotation[task], False, simulated_estimate, simulated.state_rotation[task], estimate)
    _clear(work.sums, 0, len(work.sums))


class _Settings(NamedTuple):
    """What all jobs share."""

    perturbations: int
    radius: float  # of the directions; 0 for none
    length: int
    directions_at: NDArray[np.int64]  # addresses, see metalqr.random.Stream.address
    rollouts_at: NDArray[np.int64]


@inlined
def _roll_out_group(shape, simulated, task, gains, settings, first_policy, work, costs, estimates):
    """Costs and estimates for some gains (n, k, d) of one task, whose roll-outs fill the vectors one after the other.

    ``first_policy`` is counter 2 of the first of them.
    """
    simulated, settings, work = borrowed((simulated, settings, work))
    count, action_dim, state_dim = gains.shape
    entries, smoothed = action_dim * state_dim, settings.radius > 0.0
    unperturbed = np.empty_like(gains)
    for policy in range(count):
        _transform(simulated.action_rotation[task], True, gains[policy], simulated.state_map[task], unperturbed[policy])
        costs[policy] = 0.0
    _clear(work.sums, 0, entries)
    lanes = len(work.policy_of_lane)
    for _ in range(0, count * settings.perturbations, lanes):
        _next_roll_outs(work, settings.perturbations, unperturbed, first_policy)
        if smoothed:
            start = rollout_start(work.counters, settings.directions_at)
            fill_directions(work.directions, entries, settings.radius, start, settings.directions_at)
            _perturb(simulated, task, work.directions, work.base, work.gains)
        start = rollout_start(work.counters, settings.rollouts_at)
        lane_gains = work.gains if smoothed else work.base
        cost = _simulate(
            shape, simulated, task, lane_gains, settings.length, start, settings.rollouts_at, work.simulation
        )
        store(work.costs, 0, cost)
        last = work.policy_of_lane[lanes - 1]
        for policy in range(work.policy_of_lane[0], min(last, count - 1) + 1):
            costs[policy] += _add_up(work, policy, smoothed) / settings.perturbations
            # Complete if another policy follows in this vector, or its last perturbation was in the last lane.
            complete = policy < last or work.perturbation_of_lane[lanes - 1] == settings.perturbations - 1
            if smoothed and complete:
                scale = entries / (settings.radius**2 * settings.perturbations)
                _finish(simulated, task, work, scale, estimates[policy])


@functools.cache
def kernel(state_dim: int, action_dim: int) -> Callable[..., tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The compiled code for these dimensions: small ones have their own, all others share one."""
    small = max(state_dim, action_dim) <= _LARGEST_IN_REGISTERS
    lengths = (state_dim, action_dim, action_dim * state_dim, state_dim**2)
    return _kernel(tuple((0,) * length for length in lengths) if small else None)


@functools.cache
def _kernel(shape: tuple[tuple[int, ...], ...] | None) -> Callable[..., Any]:
    @compiled(parallel=True)
    def roll_out(simulated, task_of_slot, gains, perturbations, radius, length, directions_at, rollouts_at):
        """Mean costs (slots, count) of perturbed gains (slots, count, k, d), and estimates of the gradients there.

        With a radius of 0 gains are simulated as they are, and there are no estimates. A job is a group of policies of
        one slot: where they are enough, so many that their roll-outs together are a multiple of the lanes.
        """
        slots, count, action_dim, state_dim = gains.shape
        settings = _Settings(perturbations, radius, length, directions_at, rollouts_at)
        lanes = lane_count(simulated.transition)
        most = lanes // math.gcd(lanes, perturbations)
        groups = (count + most - 1) // most
        costs = np.empty((slots, count))
        estimates = np.empty((slots, count, action_dim, state_dim))
        for job in numba.prange(slots * groups):
            slot, group = job // groups, job % groups
            first, end = group * count // groups, (group + 1) * count // groups
            _roll_out_group(
                shape,
                simulated,
                task_of_slot[slot],
                gains[slot, first:end],
                settings,
                slot * count + first,
                _work(simulated, perturbations),
                costs[slot, first:end],
                estimates[slot, first:end],
            )
        return costs, estimates

    return roll_out
