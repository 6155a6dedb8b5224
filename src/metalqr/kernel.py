"""The compiled simulation: costs of many perturbed policies, the only code here whose speed matters.

A roll-out is a lane of a vector (:mod:`metalqr.lanes`); the lanes of one vector share a task and differ in gain and
noise. A task is simulated in the coordinates of :mod:`metalqr.coordinates`. Everything works in double or in single
precision, as the arrays given have it. Matrices are stored column by column. Nothing is checked here: what does not fit
would read foreign memory, so :mod:`metalqr.rollout` checks it first.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
from numba import literal_unroll
from numba.core import types
from numba.extending import overload
from numpy.typing import NDArray

from metalqr.compiled import compiled, inlined
from metalqr.lanes import (
    VECTOR,
    element,
    elements,
    filled,
    fma,
    fused,
    load,
    loaded,
    multiplied,
    scaled,
    store,
    stored,
    summed,
    weighted_gram,
    zeros,
)
from metalqr.normals import BLOCK, fill_directions, fill_normals, rollout_start, work_rows

# Rows of a matrix product whose sums are kept in registers together, largest first. A fused multiply-add takes four
# cycles and two start in each: at least eight vectors of the processor must be in work, ten of AVX2 here.
_TILES = ((0, 0, 0, 0, 0), (0, 0), (0,))

# Normals are made for as many steps at a time as fit in these rows (5 KB): long enough loops, and still in the cache.
_NOISE_ROWS = 80

# Up to these dimensions the compiled code is specialised for the dimensions.
_LARGEST_IN_REGISTERS = 2


def _product(matrix_entries, vector_entry):
    """Compiled ``result += matrix @ vector`` lane by lane.

    ``matrix_entries`` reads consecutive entries of the matrix as a tuple, ``vector_entry`` one of the vector: for all
    lanes (``elements``, ``element``), or for each lane its own (``loaded``, ``load``).
    """

    @inlined
    def multiply(matrix, offset, rows, columns, vector, first, result, result_row):
        row = 0
        for tile in literal_unroll(_TILES):
            while row + len(tile) <= rows:
                sums = loaded(result, result_row + row, tile)
                for column in range(columns):
                    factors = matrix_entries(matrix, offset + column * rows + row, tile)
                    sums = multiplied(factors, (vector_entry(vector, first + column),), sums)
                stored(result, result_row + row, sums)
                row += len(tile)

    return multiply


_multiply_shared = _product(elements, load)
_multiply_own = _product(loaded, load)
_multiply_own_by_shared = _product(loaded, element)


@inlined
def _weighted_squares(weights, offset, rows, vector, first):
    """``sum_j weights_j vector_j^2`` lane by lane, with weights that all lanes share."""
    total = filled(vector, 0.0)
    row = 0
    for tile in literal_unroll(_TILES):
        sums = zeros(vector, tile)
        while row + len(tile) <= rows:
            x = loaded(vector, first + row, tile)
            sums = fused(scaled(elements(weights, offset + row, tile), x), x, sums)
            row += len(tile)
        total = total + summed(sums)
    return total


@inlined
def _clear(rows, first, count):
    for row in range(first, first + count):
        store(rows, row, filled(rows, 0.0))


@inlined
def _noise_steps(state_dim):
    """For how many steps noise is made at a time: a multiple of a block, so that no number is left over."""
    return BLOCK * max(1, _NOISE_ROWS // (BLOCK * state_dim))


@inlined
def _fill_noise(noise, first_step, steps, state_dim, start, address):
    """The numbers of a roll-out are consecutive: d for the initial state, then d for every step."""
    blocks = (steps * state_dim + BLOCK - 1) // BLOCK
    fill_normals(noise, blocks, first_step * state_dim // BLOCK, start, address)


def _simulate(shape, simulated, task, gains, length, start, address, work):
    """Average cost over steps 1 to ``length`` of a vector of roll-outs of one task.

    Each lane has its own gain (``gains``, k d rows) and noise. ``work`` is (state, noise); ``shape`` is None, or for
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
    state, noise = work
    state_dim = simulated.state_cost.shape[1]
    action_dim = simulated.action_cost.shape[1]
    columns = state_dim + action_dim
    batch = _noise_steps(state_dim)
    total = filled(state, 0.0)
    for first in range(0, length + 1, batch):
        steps = min(batch, length + 1 - first)
        _fill_noise(noise, first, steps, state_dim, start, address)
        for step in range(steps):
            now = step * state_dim
            if first + step == 0:
                _clear(state, 0, state_dim)
                _multiply_shared(simulated.start, task * state_dim**2, state_dim, state_dim, noise, 0, state, 0)
            else:
                _multiply_shared(
                    simulated.transition, task * state_dim * columns, state_dim, columns, state, 0, noise, now
                )
                for row in range(state_dim):
                    store(state, row, load(noise, now + row))
            _clear(state, state_dim, action_dim)
            _multiply_own(gains, 0, action_dim, state_dim, state, 0, state, state_dim)
            if first + step > 0:
                total = total + _weighted_squares(simulated.state_cost, task * state_dim, state_dim, state, 0)
                total = total + _weighted_squares(
                    simulated.action_cost, task * action_dim, action_dim, state, state_dim
                )
    return total / filled(state, length)


def _simulate_in_registers(shape, simulated, task, gains, length, start, address, work):
    # With A - BK and the cost Q + K'RK of each lane a step needs neither the action nor its cost.
    state_like, action_like, gain_like, square_like = shape
    _, noise = work
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
    nothing = zeros(noise, state_like)
    batch = _noise_steps(state_dim)
    total = zeros(noise, (0,))
    state = nothing
    for first in range(0, length + 1, batch):
        steps = min(batch, length + 1 - first)
        _fill_noise(noise, first, steps, state_dim, start, address)
        for step in range(steps):
            normals = loaded(noise, step * state_dim, state_like)
            if first + step == 0:
                initial = elements(simulated.start, task * len(square_like), square_like)
                state = multiplied(initial, normals, nothing)
            else:
                state = multiplied(closed_loop, state, normals)
                total = multiplied(multiplied(cost, state, nothing), state, total)
    return total[0] / filled(noise, length)


@inlined
def _transform(left, left_transposed, matrix, right, right_transposed, result):
    """``result = left @ matrix @ right``, each factor transposed where its flag says so; once for a policy."""
    rows, columns = matrix.shape
    partial = np.zeros((rows, columns))
    for row in range(rows):
        for inner in range(columns):
            for column in range(columns):
                factor = right[column, inner] if right_transposed else right[inner, column]
                partial[row, column] += matrix[row, inner] * factor
    for row in range(rows):
        for column in range(columns):
            result[row, column] = 0.0
        for inner in range(rows):
            factor = left[inner, row] if left_transposed else left[row, inner]
            for column in range(columns):
                result[row, column] += factor * partial[inner, column]


@inlined
def _work(simulated):
    """Rows for the state with the action below it, and for the noise."""
    state_dim = simulated.state_cost.shape[1]
    columns = simulated.transition.shape[1]
    return work_rows(columns, simulated.state_cost), work_rows(
        _noise_steps(state_dim) * state_dim, simulated.state_cost
    )


class Kernels(NamedTuple):
    """Compiled code for one shape."""

    costs: Callable[..., NDArray[np.float64]]
    smoothed_gradients: Callable[..., NDArray[np.float64]]


@functools.cache
def kernels(state_dim: int, action_dim: int) -> Kernels:
    """The compiled code for these dimensions: small ones have their own, all others share one."""
    small = max(state_dim, action_dim) <= _LARGEST_IN_REGISTERS
    lengths = (state_dim, action_dim, action_dim * state_dim, state_dim**2)
    return _kernels(tuple((0,) * length for length in lengths) if small else None)


@functools.cache
def _kernels(shape: tuple[tuple[int, ...], ...] | None) -> Kernels:
    @compiled(parallel=True)
    def costs(simulated, task_of_slot, gains, length, address):
        """Costs (slots, count) of one roll-out with each of the gains (slots, count, k, d)."""
        slots, count, action_dim, state_dim = gains.shape
        lanes = VECTOR // simulated.transition.itemsize
        blocks = (count + lanes - 1) // lanes
        results = np.empty((slots, count))
        for job in numba.prange(slots * blocks):
            slot = job // blocks
            first = (job % blocks) * lanes
            task = task_of_slot[slot]
            action_rotation = simulated.action_rotation[task]
            gain = np.empty((action_dim, state_dim))
            own = work_rows(action_dim * state_dim, simulated.transition)
            work = _work(simulated)
            result = work_rows(1, simulated.transition)
            for lane in range(lanes):
                # Lanes past the end repeat the last policy; their costs are not used.
                policy = min(first + lane, count - 1)
                _transform(action_rotation, True, gains[slot, policy], simulated.state_map[task], False, gain)
                for row in range(action_dim):
                    for column in range(state_dim):
                        own[column * action_dim + row, lane] = gain[row, column]
            start = rollout_start(own, 0, 0, slot * count + first, 1, address)
            store(result, 0, _simulate(shape, simulated, task, own, length, start, address, work))
            for lane in range(min(lanes, count - first)):
                results[slot, first + lane] = result[0, lane]
        return results

    @compiled(parallel=True)
    def smoothed_gradients(simulated, task_of_policy, gains, perturbations, radius, length, directions_at, rollouts_at):
        """Algorithm 1 at each of the gains (policies, k, d)."""
        policies, action_dim, state_dim = gains.shape
        entries = action_dim * state_dim
        lanes = VECTOR // simulated.transition.itemsize
        estimates = np.empty((policies, action_dim, state_dim))
        for policy in numba.prange(policies):
            task = task_of_policy[policy]
            action_rotation, state_rotation = simulated.action_rotation[task], simulated.state_rotation[task]
            gain = np.empty((action_dim, state_dim))
            _transform(action_rotation, True, gains[policy], simulated.state_map[task], False, gain)
            directions = work_rows(entries + BLOCK, simulated.transition)
            own = work_rows(entries, simulated.transition)
            sums = work_rows(entries, simulated.transition)
            used_costs = work_rows(1, simulated.transition)
            work = _work(simulated)
            _clear(sums, 0, entries)
            for first in range(0, perturbations, lanes):
                start = rollout_start(directions, first, 1, policy, 0, directions_at)
                fill_directions(directions, entries, radius, start, directions_at)
                for column in range(state_dim):
                    for row in range(action_dim):
                        store(own, column * action_dim + row, filled(own, gain[row, column]))
                    _multiply_own_by_shared(
                        directions,
                        0,
                        action_dim,
                        column + 1,
                        simulated.perturbation_map,
                        (task * state_dim + column) * state_dim,
                        own,
                        column * action_dim,
                    )
                start = rollout_start(directions, first, 1, policy, 0, rollouts_at)
                cost = _simulate(shape, simulated, task, own, length, start, rollouts_at, work)
                store(used_costs, 0, cost)
                for lane in range(perturbations - first, lanes):
                    used_costs[0, lane] = 0.0
                cost = load(used_costs, 0)
                for entry in range(entries):
                    store(sums, entry, fma(cost, load(directions, entry), load(sums, entry)))
            estimate = np.zeros((action_dim, state_dim))
            for row in range(action_dim):
                for column in range(state_dim):
                    for lane in range(lanes):
                        estimate[row, column] += sums[column * action_dim + row, lane]
                    estimate[row, column] *= entries / (radius**2 * perturbations)
            _transform(action_rotation, False, estimate, state_rotation, True, estimates[policy])
        return estimates

    return Kernels(costs, smoothed_gradients)
