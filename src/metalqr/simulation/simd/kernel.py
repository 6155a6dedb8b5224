"""The compiled rollouts of many perturbed policies: how they share the vectors of ``vector.py``.

Nothing is checked here: what does not fit would read foreign memory, so ``lqr_rollouts.py`` checks it first.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import literal_unroll
from numpy.typing import NDArray

from metalqr.simulation.simd.jit import compiled, inlined
from metalqr.simulation.simd.lanes import borrowed, fma, load, loaded, store, stored
from metalqr.simulation.simd.normals import BLOCK, counter_rows, fill_directions, lane_count, rollout_start, work_rows
from metalqr.simulation.simd.vector import TILES, clear, own_times_shared, simulate, simulation_work

# Up to these dimensions the compiled code is specialised for the dimensions.
_LARGEST_IN_REGISTERS = 2


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
        for tile in literal_unroll(TILES):
            while row + len(tile) <= action_dim:
                sums = loaded(base, column * action_dim + row, tile)
                sums = own_times_shared(
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
    simulation: tuple[NDArray[np.floating], NDArray[np.floating]]  # states and action, see simulate
    counters: NDArray[np.integer]
    policy_of_lane: NDArray[np.int64]
    perturbation_of_lane: NDArray[np.int64]


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
        simulation_work(simulated),
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
    clear(work.sums, 0, len(work.sums))


class _Settings(NamedTuple):
    """What all jobs share."""

    perturbations: int
    radius: float  # of the directions; 0 for none, negative for mirrored ones
    length: int
    directions_at: NDArray[np.int64]  # addresses, see metalqr.simulation.streams.Stream.address
    rollouts_at: NDArray[np.int64]


@inlined
def _roll_out_group(shape, simulated, task, gains, settings, first_policy, work, costs, estimates):
    """Costs and estimates for some gains (n, k, d) of one task, whose roll-outs fill the vectors one after the other.

    ``first_policy`` is counter 2 of the first of them.
    """
    simulated, settings, work = borrowed((simulated, settings, work))
    count, action_dim, state_dim = gains.shape
    entries, smoothed = action_dim * state_dim, settings.radius != 0.0
    unperturbed = np.empty_like(gains)
    for policy in range(count):
        _transform(simulated.action_rotation[task], True, gains[policy], simulated.state_map[task], unperturbed[policy])
        costs[policy] = 0.0
    clear(work.sums, 0, entries)
    lanes = len(work.policy_of_lane)
    for _ in range(0, count * settings.perturbations, lanes):
        _next_roll_outs(work, settings.perturbations, unperturbed, first_policy)
        if smoothed:
            start = rollout_start(work.counters, settings.directions_at)
            fill_directions(work.directions, entries, settings.radius, start, settings.directions_at)
            _perturb(simulated, task, work.directions, work.base, work.gains)
        start = rollout_start(work.counters, settings.rollouts_at)
        lane_gains = work.gains if smoothed else work.base
        cost = simulate(
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
