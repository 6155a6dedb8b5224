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
from metalqr.simulation.simd.normals import BLOCK, cut, fill_normals, work_rows

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
def _copy(source, source_row, target, target_row, count):
    for row in range(count):
        store(target, target_row + row, load(source, source_row + row))


@inlined
def clear(rows, first, count):
    """Write zeros to ``count`` rows from ``first`` on."""
    for row in range(first, first + count):
        store(rows, row, splat(rows, 0.0))


@inlined
def _move(simulated, task, matrices, noise, noise_row, states, before, now, actions, action_row, cost):
    """The state at row ``now`` is noise + matrix @ [state before; action]; its cost is added to ``cost``."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    row = 0
    for tile in literal_unroll(TILES):
        while row + len(tile) <= state_dim:
            offset = task * state_dim * (state_dim + action_dim) + row
            sums = load_rows(noise, noise_row + row, tile)
            sums = _shared_times_own(matrices, offset, state_dim, state_dim, states, before, sums)
            sums = _shared_times_own(matrices, offset + state_dim**2, state_dim, action_dim, actions, action_row, sums)
            store_rows(states, now + row, sums)
            cost = _weighted_squares(simulated.state_cost, task * state_dim + row, sums, cost)
            row += len(tile)
    return cost


@inlined
def _act(simulated, task, gains, gain_row, states, now, actions, action_row, cost):
    """The action in the state at row ``now``, by the gain at row ``gain_row``; its cost is added to ``cost``."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    row = 0
    for tile in literal_unroll(TILES):
        while row + len(tile) <= action_dim:
            sums = _own_times_own(gains, gain_row + row, action_dim, state_dim, states, now, zeros(states, tile))
            store_rows(actions, action_row + row, sums)
            cost = _weighted_squares(simulated.action_cost, task * action_dim + row, sums, cost)
            row += len(tile)
    return cost


@inlined
def _steps_of(rank, state_dim):
    """Number of steps whose noise is made at a time, so that no number is left over."""
    least = BLOCK // math.gcd(BLOCK, rank)
    return least * max(1, _NOISE_ROWS // (least * state_dim))


@inlined
def _fill_normals_of(noise, first_step, steps, state_dim, start, address):
    """The numbers of a rollout are consecutive: d for the initial state, then d for every step."""
    blocks = (steps * state_dim + BLOCK - 1) // BLOCK
    fill_normals(noise, blocks, first_step * state_dim // BLOCK, start, address)


def _by_field(field, without, having):
    """One of two compiled functions, by whether the tasks, the first argument, have a field that may be None."""

    def chosen(*arguments):
        pass

    @overload(chosen, jit_options={"forceinline": True}, strict=False)
    def _choose(*arguments):
        tasks = arguments[0]
        is_none = isinstance(tasks.types[tasks.fields.index(field)], types.NoneType)
        return (without if is_none else having).py_func

    return chosen


@inlined
def _noise_steps_normal(simulated):
    return _steps_of(simulated.state_cost.shape[1], simulated.state_cost.shape[1])


@inlined
def _noise_steps_mapped(simulated):
    return _steps_of(simulated.noise_map.shape[1], simulated.state_cost.shape[1])


@inlined
def _drawn_rows_normal(simulated):
    return 0


@inlined
def _drawn_rows_mapped(simulated):
    rank, state_dim = simulated.noise_map.shape[1], simulated.state_cost.shape[1]
    return max(_noise_steps_mapped(simulated) * rank, state_dim) + BLOCK


@inlined
def _fill_noise_normal(simulated, task, noise, drawn, first_step, steps, start, address):
    _fill_normals_of(noise, first_step, steps, simulated.state_cost.shape[1], start, address)


@inlined
def _fill_noise_mapped(simulated, task, noise, drawn, first_step, steps, start, address):
    rank, state_dim = simulated.noise_map.shape[1], simulated.state_cost.shape[1]
    of_start = (state_dim + BLOCK - 1) // BLOCK
    fill_normals(drawn, (steps * rank + BLOCK - 1) // BLOCK, of_start + first_step * rank // BLOCK, start, address)
    for step in range(steps):
        row = 0
        for tile in literal_unroll(TILES):
            while row + len(tile) <= state_dim:
                offset = task * rank * state_dim + row
                sums = zeros(noise, tile)
                sums = _shared_times_own(simulated.noise_map, offset, state_dim, rank, drawn, step * rank, sums)
                store_rows(noise, step * state_dim + row, sums)
                row += len(tile)
    if first_step == 0:
        fill_normals(drawn, of_start, 0, start, address)
        _copy(drawn, 0, noise, 0, state_dim)


@inlined
def _first_step_process(simulated):
    return 1


@inlined
def _first_step_initial_state(simulated):
    return 0


@inlined
def _fill_mean_process(simulated, task, states, row):
    clear(states, row, simulated.state_cost.shape[1])


@inlined
def _fill_mean_initial_state(simulated, task, states, row):
    state_dim = simulated.state_cost.shape[1]
    for entry in range(state_dim):
        store(states, row + entry, splat(states, simulated.start_mean[task, entry]))


@inlined
def _divisor_process(simulated, length):
    return length


@inlined
def _divisor_initial_state(simulated, length):
    return 1


# The first step that costs: 1, or 0 where the initial state is all that is random.
_first_step = _by_field("start_mean", _first_step_process, _first_step_initial_state)
# Write the mean of the initial state.
_fill_mean = _by_field("start_mean", _fill_mean_process, _fill_mean_initial_state)
# The number by which the sum of the costs is divided.
_divisor = _by_field("start_mean", _divisor_process, _divisor_initial_state)
# Number of steps whose noise is made at a time.
_noise_steps = _by_field("noise_map", _noise_steps_normal, _noise_steps_mapped)
# Rows for normals that are no noise yet.
_drawn_rows = _by_field("noise_map", _drawn_rows_normal, _drawn_rows_mapped)
# Write the noise of some steps, d rows for each. Where it is mapped, the normals of a rollout are whole blocks for the
# initial state, then as many for every step, from step 0 on, as the noise has rank; those of step 0 are not used.
_fill_noise = _by_field("noise_map", _fill_noise_normal, _fill_noise_mapped)


def simulate(shape, simulated, task, gains, length, start, address, work, costs):
    """Write the average cost over steps 1 to ``length`` of a vector of rollouts of one task to the rows of ``costs``.

    Where the initial state alone is random, it is the sum over steps 0 to ``length - 1``.

    Each lane has noise of its own. For every row of ``costs`` it has a gain of its own, k d rows of ``gains``, under
    the same noise, which is made once. ``work`` is that of :func:`simulation_work`; ``shape`` is None, or for small
    dimensions tuples as long as y, v, K and A, for code in which all of them stay in registers.
    """


@overload(simulate, jit_options={"forceinline": True})
def _simulate_generate(shape, simulated, task, gains, length, start, address, work, costs):
    if isinstance(shape, types.NoneType):
        return lambda shape, simulated, task, gains, length, start, address, work, costs: _simulate_in_memory(
            simulated, task, gains, length, start, address, work, costs
        )
    return _simulate_in_registers


@numba.njit
def _simulate_in_memory(simulated, task, gains, length, start, address, work, costs):
    simulated, gains, address, costs = unowned((simulated, gains, address, costs))
    noise, states, actions, drawn_rows = unowned(work)
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    batch, first_step = _noise_steps(simulated), _first_step(simulated)
    zero = splat(noise, 0.0)
    clear(costs, 0, len(costs))
    for first in range(0, length + first_step, batch):
        steps = min(batch, length + first_step - first)
        _fill_noise(simulated, task, noise, drawn_rows, first, steps, start, address)
        for member in range(len(costs)):
            # The states before and after a step change places.
            now = (2 * member + first % 2) * state_dim
            action, gain = member * action_dim, member * action_dim * state_dim
            total = load(costs, member)
            for step in range(steps):
                before, now = now, (4 * member + 1) * state_dim - now
                if first + step == 0:
                    # The initial state is a matrix times its noise, and free.
                    _copy(noise, 0, states, before, state_dim)
                    _fill_mean(simulated, task, states, now)
                    clear(actions, action, action_dim)
                    cost = _move(
                        simulated, task, simulated.start, states, now, states, before, now, actions, action, zero
                    )
                else:
                    drawn = step * state_dim
                    matrices = simulated.transition
                    cost = _move(simulated, task, matrices, noise, drawn, states, before, now, actions, action, zero)
                cost = _act(simulated, task, gains, gain, states, now, actions, action, cost)
                if first + step >= first_step:
                    total = total + cost
            store(costs, member, total)
    for member in range(len(costs)):
        store(costs, member, load(costs, member) / splat(costs, _divisor(simulated, length)))


def _simulate_in_registers(shape, simulated, task, gains, length, start, address, work, costs):
    # With A - BK and the cost Q + K'RK of each lane a step needs neither the action nor its cost.
    state_like, action_like, gain_like, square_like = shape
    noise, states, _, _ = work
    state_dim = len(state_like)
    transition = task * (len(square_like) + len(gain_like))
    zero = zeros(noise, state_like)
    batch = _steps_of(state_dim, state_dim)
    clear(costs, 0, len(costs))
    for first in range(0, length + 1, batch):
        steps = min(batch, length + 1 - first)
        _fill_normals_of(noise, first, steps, state_dim, start, address)
        for member in range(len(costs)):
            gain = load_rows(gains, member * len(gain_like), gain_like)
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
            total = load_rows(costs, member, (0,))
            state = load_rows(states, member * state_dim, state_like)
            for step in range(steps):
                normals = load_rows(noise, step * state_dim, state_like)
                if first + step == 0:
                    initial = broadcast_elements(simulated.start, transition, square_like)
                    state = multiplied(initial, normals, zero)
                else:
                    state = multiplied(closed_loop, state, normals)
                    total = multiplied(multiplied(cost, state, zero), state, total)
            store_rows(states, member * state_dim, state)
            store_rows(costs, member, total)
    for member in range(len(costs)):
        store(costs, member, load(costs, member) / splat(costs, length))


@inlined
def simulation_work(simulated, members):
    """Rows for the noise of some steps, in whole blocks, two states and an action of each member, normals to map."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    noise_rows, drawn_rows = _noise_steps(simulated) * state_dim + BLOCK, _drawn_rows(simulated)
    rest = work_rows(noise_rows + members * (2 * state_dim + action_dim) + drawn_rows, simulated.transition)
    noise, rest = cut(rest, noise_rows)
    states, rest = cut(rest, 2 * members * state_dim)
    actions, drawn = cut(rest, members * action_dim)
    return noise, states, actions, drawn
