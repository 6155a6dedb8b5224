"""The compiled rollouts of many policies: how they share the vectors of ``vector.py``.

Nothing is checked here: wrong shapes would read out of bounds, so ``lqr_rollouts.py`` checks them first.
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
from metalqr.simulation.simd.lanes import fma, load, load_rows, store, store_rows, unowned
from metalqr.simulation.simd.normals import (
    BLOCK,
    counter_rows,
    fill_perturbations,
    lane_count,
    rollout_start,
    work_rows,
)
from metalqr.simulation.simd.vector import TILES, clear, own_times_shared, simulate, simulation_work

# Up to these dimensions the compiled code is specialised for the dimensions.
_MAX_DIM_IN_REGISTERS = 2


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
def _perturb(simulated, task, perturbations, base, gains):
    """The perturbed gains W H + ``base`` in the coordinates of the simulation, where H is upper triangular."""
    state_dim, action_dim = simulated.state_cost.shape[1], simulated.action_cost.shape[1]
    for column in range(state_dim):
        factors = (task * state_dim + column) * state_dim
        row = 0
        for tile in literal_unroll(TILES):
            while row + len(tile) <= action_dim:
                sums = load_rows(base, column * action_dim + row, tile)
                sums = own_times_shared(
                    perturbations, row, action_dim, column + 1, simulated.perturbation_map, factors, sums
                )
                store_rows(gains, column * action_dim + row, sums)
                row += len(tile)


@inlined
def _set_lane(rows, lane, gain):
    """Write a gain to one lane, column-major."""
    action_dim, state_dim = gain.shape
    for column in range(state_dim):
        for row in range(action_dim):
            rows[column * action_dim + row, lane] = gain[row, column]


class _Work(NamedTuple):
    """The arrays of one job, made for it; kd rows are a gain, column-major."""

    base: NDArray[np.floating]  # kd rows: unperturbed gain of each lane
    perturbations: NDArray[np.floating]  # kd rows, rounded up to whole blocks
    gains: NDArray[np.floating]  # kd rows: perturbed gain of each lane
    sums: NDArray[np.floating]  # kd rows: of cost times perturbation, for the policy in work
    costs: NDArray[np.floating]  # 2 rows: of all rollouts, and of those of the policy in work
    simulation: tuple[NDArray[np.floating], NDArray[np.floating]]  # states and action, see simulate
    counters: NDArray[np.integer]
    policy_of_lane: NDArray[np.int64]
    perturbation_of_lane: NDArray[np.int64]


@inlined
def _work(simulated, perturbations):
    """The arrays of a job; its lanes stand at the vector before its first one, see :func:`_next_rollouts`."""
    like, entries = simulated.transition, simulated.state_cost.shape[1] * simulated.action_cost.shape[1]
    lanes = lane_count(like)
    return _Work(
        work_rows(entries, like),
        work_rows(entries + BLOCK, like),
        work_rows(entries, like),
        work_rows(entries, like),
        work_rows(2, like),
        simulation_work(simulated),
        counter_rows(like),
        np.full(lanes, -1),
        np.arange(perturbations - lanes, perturbations),
    )


@inlined
def _next_rollouts(work, perturbations, gains, first_policy):
    """Move the lanes on to the rollouts that follow: policy, perturbation, counters and unperturbed gain of each."""
    lanes = len(work.policy_of_lane)
    for lane in range(lanes):
        work.perturbation_of_lane[lane] += lanes
        if work.perturbation_of_lane[lane] >= perturbations:
            while work.perturbation_of_lane[lane] >= perturbations:
                work.perturbation_of_lane[lane] -= perturbations
                work.policy_of_lane[lane] += 1
            # Lanes past the end repeat the last gain; their costs are not used.
            _set_lane(work.base, lane, gains[min(work.policy_of_lane[lane], len(gains) - 1)])
        work.counters[0, lane] = work.perturbation_of_lane[lane]
        work.counters[1, lane] = first_policy + work.policy_of_lane[lane]


@inlined
def _add_up(work, policy):
    """Add cost times perturbation to the sums, for the lanes of one policy."""
    for lane in range(len(work.policy_of_lane)):
        work.costs[1, lane] = work.costs[0, lane] if work.policy_of_lane[lane] == policy else 0.0
    cost = load(work.costs, 1)
    for entry in range(len(work.sums)):
        store(work.sums, entry, fma(cost, load(work.perturbations, entry), load(work.sums, entry)))


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


@inlined
def _in_simulated_coordinates(simulated, task, gains):
    """The gains (n, k, d) of one task as the simulation takes them."""
    transformed = np.empty_like(gains)
    for policy in range(len(gains)):
        _transform(simulated.action_rotation[task], True, gains[policy], simulated.state_map[task], transformed[policy])
    return transformed


@inlined
def _fill_costs(shape, simulated, task, gains, first_policy, length, address, work, costs):
    """Costs of gains (n, k, d) of one task, which share one vector; ``first_policy`` is counter 2 of the first."""
    simulated, address, work = unowned((simulated, address, work))
    _next_rollouts(work, 1, _in_simulated_coordinates(simulated, task, gains), first_policy)
    start = rollout_start(work.counters, address)
    store(work.costs, 0, simulate(shape, simulated, task, work.base, length, start, address, work.simulation))
    for lane in range(len(gains)):
        costs[lane] = work.costs[0, lane]


class Settings(NamedTuple):
    """Settings of an estimate."""

    perturbations: int
    radius: float
    sign: float  # -1 to mirror every perturbation
    length: int
    perturbations_at: NDArray[np.int64]  # addresses, see metalqr.simulation.streams.Stream.address
    rollouts_at: NDArray[np.int64]


@inlined
def _fill_estimates(shape, simulated, task, gains, settings, first_policy, work, estimates):
    """Estimates at gains (n, k, d) of one task, whose rollouts fill the vectors one after the other."""
    simulated, settings, work = unowned((simulated, settings, work))
    count, action_dim, state_dim = gains.shape
    entries, lanes = action_dim * state_dim, len(work.policy_of_lane)
    scale = entries / (settings.radius**2 * settings.perturbations)
    unperturbed = _in_simulated_coordinates(simulated, task, gains)
    clear(work.sums, 0, entries)
    for _ in range(0, count * settings.perturbations, lanes):
        _next_rollouts(work, settings.perturbations, unperturbed, first_policy)
        start = rollout_start(work.counters, settings.perturbations_at)
        signed_radius = settings.sign * settings.radius
        fill_perturbations(work.perturbations, entries, signed_radius, start, settings.perturbations_at)
        _perturb(simulated, task, work.perturbations, work.base, work.gains)
        start = rollout_start(work.counters, settings.rollouts_at)
        cost = simulate(
            shape, simulated, task, work.gains, settings.length, start, settings.rollouts_at, work.simulation
        )
        store(work.costs, 0, cost)
        last = work.policy_of_lane[lanes - 1]
        for policy in range(work.policy_of_lane[0], min(last, count - 1) + 1):
            _add_up(work, policy)
            # Complete if another policy follows in this vector, or its last perturbation was in the last lane.
            if policy < last or work.perturbation_of_lane[lanes - 1] == settings.perturbations - 1:
                _finish(simulated, task, work, scale, estimates[policy])


@inlined
def _job(number, count, groups):
    """The slot of a job, and the range of its policies: one of the groups of nearly the same size."""
    slot, group = number // groups, number % groups
    return slot, group * count // groups, (group + 1) * count // groups


def _specialised(
    code_for: Callable[[tuple[tuple[int, ...], ...] | None, Any], Callable[..., Any]],
) -> Callable[..., NDArray[np.float64]]:
    """Compile a function of (simulated, task_of_slot, gains, ...) for each precision, and for each small shape."""
    code_for = functools.cache(code_for)

    def call(simulated, task_of_slot, gains, *rest):
        action_dim, state_dim = gains.shape[-2:]
        lengths = (state_dim, action_dim, action_dim * state_dim, state_dim**2)
        small = max(state_dim, action_dim) <= _MAX_DIM_IN_REGISTERS
        shape = tuple((0,) * length for length in lengths) if small else None
        return code_for(shape, simulated.transition.dtype)(simulated, task_of_slot, gains, *rest)

    return call


@_specialised
def costs(shape, precision):
    """Cost of a rollout of every gain, shape (slots, count), for gains (slots, count, k, d)."""

    @compiled(parallel=True)
    def simulate_all(simulated, task_of_slot, gains, length, address):
        slots, count, _, _ = gains.shape
        lanes = lane_count(simulated.transition)
        groups = (count + lanes - 1) // lanes
        found = np.empty((slots, count))
        for number in numba.prange(slots * groups):
            slot, first, end = _job(number, count, groups)
            work, policies = _work(simulated, 1), gains[slot, first:end]
            task, first_policy, result = task_of_slot[slot], slot * count + first, found[slot, first:end]
            _fill_costs(shape, simulated, task, policies, first_policy, length, address, work, result)
        return found

    return simulate_all


@_specialised
def smoothed_gradients(shape, precision):
    """One-point estimate of the gradient at every gain, for gains (slots, count, k, d) and :class:`Settings`."""

    @compiled(parallel=True)
    def estimate_all(simulated, task_of_slot, gains, settings):
        slots, count, _, _ = gains.shape
        # Where there are enough, so many policies that their rollouts together are a multiple of the lanes.
        lanes = lane_count(simulated.transition)
        most = lanes // math.gcd(lanes, settings.perturbations)
        groups = (count + most - 1) // most
        found = np.empty(gains.shape)
        for number in numba.prange(slots * groups):
            slot, first, end = _job(number, count, groups)
            work, policies = _work(simulated, settings.perturbations), gains[slot, first:end]
            task, first_policy, result = task_of_slot[slot], slot * count + first, found[slot, first:end]
            _fill_estimates(shape, simulated, task, policies, settings, first_policy, work, result)
        return found

    return estimate_all
