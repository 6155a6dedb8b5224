"""The simulation of one vector of rollouts: the hot loop.

A rollout is a lane of a vector (``lanes.py``); the lanes of one vector share a task and differ in gain and noise. A
task is simulated in the coordinates of ``coordinates.py``. Everything works in double or in single precision, as the
arrays given have it. Matrices are stored column-major.
"""

import math

import numba
from numba import literal_unroll
from numba.core import types
from numba.extending import overload

from metalqr.simulation.simd.jit import inlined
from metalqr.simulation.simd.lanes import (
    AVX512,
    VECTOR,
    broadcast_element,
    broadcast_elements,
    load,
    load_rows,
    multiplied,
    scaled,
    splat,
    store,
    store_rows,
    unowned,
    weighted_gram,
    zeros,
)
from metalqr.simulation.simd.normals import BLOCK, fill_normals, work_rows

# Rows of a matrix product whose sums are kept in registers together, largest first. A vector fills two registers or
# more, a multiply-add takes four cycles and two start in each: five rows keep the processor busy. More rows use each
# loaded number more often, and AVX-512 has registers for ten. Measured on Zen 3 (AVX2) and Emerald Rapids (AVX-512).
TILES = tuple((0,) * rows for rows in ((10, 4, 1) if AVX512 else (5, 2, 1)))

# Normals are drawn for as many steps at a time as fit in these rows (5 KB), and for at least one block of steps: the
# loops are long enough, and the rows stay in the cache.
_NOISE_ROWS = 5 * 1024 // VECTOR


def _product(matrix_entries, vector_entry):
    """Compiled ``sums + matrix @ vector`` lane by lane, for as many rows of the matrix as there are sums.

    ``matrix_entries`` reads consecutive entries of the matrix as a tuple, ``vector_entry`` one of the vector: for all
    lanes (``broadcast_elements``, ``broadcast_element``), or for each lane its own (``load_rows``, ``load``).
    """

    @inlined
    def multiply(matrix, offset, rows, columns, vector, first, sums):
        for column in range(columns):
            factors = matrix_entries(matrix, offset + column * rows, sums)
            sums = multiplied(factors, (vector_entry(vector, first + column),), sums)
        return sums

    return multiply


_shared_times_own = _product(broadcast_elements, load)
_own_times_own = _product(load_rows, load)
own_times_shared = _product(load_rows, broadcast_element)


@inlined
def _weighted_squares(weights, offset, vectors, total):
    """``total + sum_j weights_j vectors_j^2`` lane by lane, with weights that all lanes share."""
    return multiplied(scaled(broadcast_elements(weights, offset, vectors), vectors), vectors, (total,))[0]


@inlined
def _copy(rows, source, target, count):
    for row in range(count):
        store(rows, target + row, load(rows, source + row))


@inlined
def clear(rows, first, count):
    """Write zeros to ``count`` rows from ``first`` on."""
    for row in range(first, first + count):
        store(rows, row, splat(rows, 0.0))


@inlined
def _move(simulated, task, matrices, states, before, now, action, cost):
    """Add matrix @ [state before; action] to the state that starts at row ``now``, and the state's cost to ``cost``."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    row = 0
    for tile in literal_unroll(TILES):
        while row + len(tile) <= state_dim:
            offset = task * state_dim * (state_dim + action_dim) + row
            sums = load_rows(states, now + row, tile)
            sums = _shared_times_own(matrices, offset, state_dim, state_dim, states, before, sums)
            sums = _shared_times_own(matrices, offset + state_dim**2, state_dim, action_dim, action, 0, sums)
            store_rows(states, now + row, sums)
            cost = _weighted_squares(simulated.state_cost, task * state_dim + row, sums, cost)
            row += len(tile)
    return cost


@inlined
def _act(simulated, task, gains, states, now, action, cost):
    """The action in the state that starts at row ``now``; adds the action's cost to ``cost``."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    row = 0
    for tile in literal_unroll(TILES):
        while row + len(tile) <= action_dim:
            sums = _own_times_own(gains, row, action_dim, state_dim, states, now, zeros(states, tile))
            store_rows(action, row, sums)
            cost = _weighted_squares(simulated.action_cost, task * action_dim + row, sums, cost)
            row += len(tile)
    return cost


@inlined
def _noise_steps(state_dim):
    """Number of steps whose noise is made at a time, so that no number is left over."""
    least = BLOCK // math.gcd(BLOCK, state_dim)
    return least * max(1, _NOISE_ROWS // (least * state_dim))


@inlined
def _fill_noise(noise, first_step, steps, state_dim, start, address):
    """The numbers of a rollout are consecutive: d for the initial state, then d for every step."""
    blocks = (steps * state_dim + BLOCK - 1) // BLOCK
    fill_normals(noise, blocks, first_step * state_dim // BLOCK, start, address)


def simulate(shape, simulated, task, gains, length, start, address, work):
    """Average cost over steps 1 to ``length`` of a vector of rollouts of one task.

    Each lane has its own gain (``gains``, k d rows) and noise. ``work`` is (states, action); ``shape`` is None, or for
    small dimensions tuples as long as y, v, K and A, for code in which all of them stay in registers.
    """


@overload(simulate, jit_options={"forceinline": True})
def _simulate_generate(shape, simulated, task, gains, length, start, address, work):
    if isinstance(shape, types.NoneType):
        return lambda shape, simulated, task, gains, length, start, address, work: _simulate_in_memory(
            simulated, task, gains, length, start, address, work
        )
    return _simulate_in_registers


@numba.njit
def _simulate_in_memory(simulated, task, gains, length, start, address, work):
    # A state replaces its noise. The row before the states of a batch holds the last state of the previous batch.
    simulated, gains, address, (states, action) = unowned((simulated, gains, address, work))
    state_dim = simulated.state_cost.shape[1]
    batch = _noise_steps(state_dim)
    zero = splat(states, 0.0)
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
                clear(states, now, state_dim)
                clear(action, 0, action.shape[0])
            cost = _move(simulated, task, matrices, states, before, now, action, zero)
            cost = _act(simulated, task, gains, states, now, action, cost)
            if first + step > 0:
                total = total + cost
        _copy(states, steps * state_dim, 0, state_dim)
    return total / splat(states, length)


def _simulate_in_registers(shape, simulated, task, gains, length, start, address, work):
    # With A - BK and the cost Q + K'RK of each lane a step needs neither the action nor its cost.
    state_like, action_like, gain_like, square_like = shape
    noise, _ = work
    state_dim = len(state_like)
    transition = task * (len(square_like) + len(gain_like))
    gain = load_rows(gains, 0, gain_like)
    closed_loop = multiplied(
        broadcast_elements(simulated.transition, transition + len(square_like), gain_like),
        gain,
        broadcast_elements(simulated.transition, transition, square_like),
    )
    cost = weighted_gram(
        gain,
        broadcast_elements(simulated.action_cost, task * len(action_like), action_like),
        broadcast_elements(simulated.state_cost, task * state_dim, state_like),
    )
    zero = zeros(noise, state_like)
    batch = _noise_steps(state_dim)
    total = zeros(noise, (0,))
    state = zero
    for first in range(0, length + 1, batch):
        steps = min(batch, length + 1 - first)
        _fill_noise(noise, first, steps, state_dim, start, address)
        for step in range(steps):
            normals = load_rows(noise, step * state_dim, state_like)
            if first + step == 0:
                initial = broadcast_elements(simulated.start, transition, square_like)
                state = multiplied(initial, normals, zero)
            else:
                state = multiplied(closed_loop, state, normals)
                total = multiplied(multiplied(cost, state, zero), state, total)
    return total[0] / splat(noise, length)


@inlined
def simulation_work(simulated):
    """Rows for the states of a batch and the one before, rounded up to whole blocks, and rows for the action."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    rows = (1 + _noise_steps(state_dim)) * state_dim + BLOCK
    return work_rows(rows, simulated.transition), work_rows(action_dim, simulated.transition)
