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
    cut,
    fill_normals,
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
def _perturb(simulated, task, perturbations, base, gains, gain_row):
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
                store_rows(gains, gain_row + column * action_dim + row, sums)
                row += len(tile)


@inlined
def _set_lane(rows, lane, gain):
    """Write a gain to one lane, column-major."""
    action_dim, state_dim = gain.shape
    for column in range(state_dim):
        for row in range(action_dim):
            rows[column * action_dim + row, lane] = gain[row, column]


class _Work(NamedTuple):
    """The arrays of one job, made for it; kd rows are a gain, column-major. Members are rollouts that share noise."""

    base: NDArray[np.floating]  # kd rows: unperturbed gain of each lane
    perturbations: NDArray[np.floating]  # kd rows, rounded up to whole blocks
    signed: NDArray[np.floating]  # kd rows: perturbations times a sign
    gains: NDArray[np.floating]  # kd rows for each member: perturbed gain of each lane
    costs: NDArray[np.floating]  # a row for each member
    coefficients: NDArray[np.floating]  # a row: of all perturbations
    own: NDArray[np.floating]  # a row: of the perturbations of the policy in work, else 0
    sums: NDArray[np.floating]  # kd rows: of coefficient times perturbation, for the policy in work
    plain_sums: NDArray[np.floating]  # kd rows: of the perturbations themselves
    totals: NDArray[np.floating]  # a row: of the coefficients
    simulation: tuple[NDArray[np.floating], ...]  # see simulate
    counters: NDArray[np.integer]
    policy_of_lane: NDArray[np.int64]
    perturbation_of_lane: NDArray[np.int64]


@inlined
def _work(simulated, perturbations, members):
    """The arrays of a job; its lanes stand at the vector before its first one, see :func:`_next_rollouts`."""
    like, entries = simulated.transition, simulated.state_cost.shape[1] * simulated.action_cost.shape[1]
    lanes = lane_count(like)
    rest = work_rows(5 * entries + BLOCK + members * (entries + 1) + 3, like)
    base, rest = cut(rest, entries)
    drawn, rest = cut(rest, entries + BLOCK)
    signed, rest = cut(rest, entries)
    gains, rest = cut(rest, members * entries)
    sums, rest = cut(rest, entries)
    plain_sums, rest = cut(rest, entries)
    costs, rest = cut(rest, members)
    coefficients, rest = cut(rest, 1)
    own, totals = cut(rest, 1)
    return _Work(
        base,
        drawn,
        signed,
        gains,
        costs,
        coefficients,
        own,
        sums,
        plain_sums,
        totals,
        simulation_work(simulated, members),
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
def _add_multiples(factors, vectors, sums):
    """Add ``factors``, one row, times each row of vectors to the sums."""
    factor = load(factors, 0)
    for row in range(len(sums)):
        store(sums, row, fma(factor, load(vectors, row), load(sums, row)))


@inlined
def _add_up(work, policy, leaves_one_out):
    """Add coefficient times perturbation to the sums, for the lanes of one policy."""
    for lane in range(len(work.policy_of_lane)):
        work.own[0, lane] = work.coefficients[0, lane] if work.policy_of_lane[lane] == policy else 0.0
    _add_multiples(work.own, work.perturbations, work.sums)
    if leaves_one_out:
        store(work.totals, 0, load(work.totals, 0) + load(work.own, 0))
        for lane in range(len(work.policy_of_lane)):
            work.own[0, lane] = 1.0 if work.policy_of_lane[lane] == policy else 0.0
        _add_multiples(work.own, work.perturbations, work.plain_sums)


@inlined
def _finish(simulated, task, work, settings, estimate):
    """The estimate of a policy from its sums, in the task's own coordinates; the sums are zero again."""
    action_dim, state_dim = estimate.shape
    lanes, count = len(work.policy_of_lane), settings.perturbations
    scale = action_dim * state_dim / (settings.radius**2 * count)
    mean = 0.0
    if settings.leaves_one_out:
        # Each coefficient less the mean of the others is M / (M - 1) times it less the mean of all.
        for lane in range(lanes):
            mean += work.totals[0, lane]
        mean /= count
        scale *= count / (count - 1)
    simulated_estimate = np.zeros((action_dim, state_dim))
    for row in range(action_dim):
        for column in range(state_dim):
            entry = column * action_dim + row
            for lane in range(lanes):
                simulated_estimate[row, column] += work.sums[entry, lane]
            if settings.leaves_one_out:
                for lane in range(lanes):
                    simulated_estimate[row, column] -= mean * work.plain_sums[entry, lane]
            simulated_estimate[row, column] *= scale
    _transform(simulated.action_rotation[task], False, simulated_estimate, simulated.state_rotation[task], estimate)
    _clear_sums(work)


@inlined
def _clear_sums(work):
    clear(work.sums, 0, len(work.sums))
    clear(work.plain_sums, 0, len(work.plain_sums))
    clear(work.totals, 0, 1)


@inlined
def _in_simulated_coordinates(simulated, task, gains):
    """The gains (n, k, d) of one task as the simulation takes them."""
    transformed = np.empty_like(gains)
    for policy in range(len(gains)):
        _transform(simulated.action_rotation[task], True, gains[policy], simulated.state_map[task], transformed[policy])
    return transformed


@inlined
def _fill_costs(shape, simulated, task, gains, first_policy, length, address, work, costs):
    """Costs of gains (members, n, k, d) of one task, which share one vector; members share their noise.

    ``first_policy`` is counter 2 of the first of the n.
    """
    simulated, address, work = unowned((simulated, address, work))
    members, count, action_dim, state_dim = gains.shape
    entries = action_dim * state_dim
    for member in range(members):
        transformed = _in_simulated_coordinates(simulated, task, gains[member])
        for lane in range(len(work.policy_of_lane)):
            # Lanes past the end repeat the last gain; their costs are not used.
            _set_lane(work.gains[member * entries :], lane, transformed[min(lane, count - 1)])
    for lane in range(len(work.policy_of_lane)):
        work.counters[0, lane], work.counters[1, lane] = 0, first_policy + lane
    start = rollout_start(work.counters, address)
    simulate(shape, simulated, task, work.gains, length, start, address, work.simulation, work.costs)
    for member in range(members):
        for lane in range(count):
            costs[member, lane] = work.costs[member, lane]


#: Distributions that are drawn inside the loop, each on its own; others are given.
SPHERE, NORMAL, GIVEN = 0, 1, 2


class Settings(NamedTuple):
    """Settings of an estimate: the coefficient of a perturbation is the sum of weight times cost at each sign."""

    perturbations: int
    radius: float
    distribution: int
    signs: NDArray[np.float64]
    weights: NDArray[np.float64]
    shares_noise: bool  # between the rollouts of a perturbation
    leaves_one_out: bool  # subtracts from each coefficient the mean of the others
    length: int
    perturbations_at: NDArray[np.int64]  # addresses, see metalqr.simulation.streams.Stream.address
    rollouts_at: NDArray[np.int64]


@inlined
def _fill_directions(work, settings, entries, directions):
    """Write the perturbations of all lanes: drawn here, or some of those given for the policies (n, M, k, d)."""
    if settings.distribution == SPHERE:
        start = rollout_start(work.counters, settings.perturbations_at)
        fill_perturbations(work.perturbations, entries, settings.radius, start, settings.perturbations_at)
    elif settings.distribution == NORMAL:
        start = rollout_start(work.counters, settings.perturbations_at)
        fill_normals(work.perturbations, (entries + BLOCK - 1) // BLOCK, 0, start, settings.perturbations_at)
        deviation = settings.radius / math.sqrt(entries)
        for entry in range(entries):
            store(work.perturbations, entry, load(work.perturbations, entry) * deviation)
    else:
        for lane in range(len(work.policy_of_lane)):
            policy = min(work.policy_of_lane[lane], len(directions) - 1)
            _set_lane(work.perturbations, lane, directions[policy, work.perturbation_of_lane[lane]])


@inlined
def _simulate_members(shape, simulated, task, settings, entries, work):
    """Write the coefficients of all lanes, from the costs at each sign."""
    members, address = len(settings.signs), settings.rollouts_at
    for member in range(members):
        for entry in range(entries):
            store(work.signed, entry, load(work.perturbations, entry) * settings.signs[member])
        _perturb(simulated, task, work.signed, work.base, work.gains, member * entries)
    together = members if settings.shares_noise else 1
    for member in range(0, members, together):
        start = rollout_start(work.counters, address)
        gains, costs = work.gains[member * entries :], work.costs[member : member + together]
        simulate(shape, simulated, task, gains, settings.length, start, address, work.simulation, costs)
        for lane in range(len(work.policy_of_lane)):
            work.counters[0, lane] += settings.perturbations
    coefficient = load(work.costs, 0) * settings.weights[0]
    for member in range(1, members):
        coefficient = coefficient + load(work.costs, member) * settings.weights[member]
    store(work.coefficients, 0, coefficient)


@inlined
def _fill_estimates(shape, simulated, task, gains, directions, settings, first_policy, work, estimates):
    """Estimates at gains (n, k, d) of one task, whose rollouts fill the vectors one after the other."""
    simulated, settings, work = unowned((simulated, settings, work))
    count, action_dim, state_dim = gains.shape
    entries, lanes = action_dim * state_dim, len(work.policy_of_lane)
    unperturbed = _in_simulated_coordinates(simulated, task, gains)
    _clear_sums(work)
    for _ in range(0, count * settings.perturbations, lanes):
        _next_rollouts(work, settings.perturbations, unperturbed, first_policy)
        _fill_directions(work, settings, entries, directions)
        _simulate_members(shape, simulated, task, settings, entries, work)
        last = work.policy_of_lane[lanes - 1]
        for policy in range(work.policy_of_lane[0], min(last, count - 1) + 1):
            _add_up(work, policy, settings.leaves_one_out)
            # Complete if another policy follows in this vector, or its last perturbation was in the last lane.
            if policy < last or work.perturbation_of_lane[lanes - 1] == settings.perturbations - 1:
                _finish(simulated, task, work, settings, estimates[policy])


@inlined
def _job(number, count, groups):
    """The slot of a job, and the range of its policies: one of the groups of nearly the same size."""
    slot, group = number // groups, number % groups
    return slot, group * count // groups, (group + 1) * count // groups


def _specialised(
    code_for: Callable[[tuple[tuple[int, ...], ...] | None, Any, tuple[bool, bool]], Callable[..., Any]],
) -> Callable[..., NDArray[np.float64]]:
    """Compile a function of (simulated, task_of_slot, gains, ...) for each precision, small shape and kind of noise."""
    code_of_shape = functools.cache(code_for)

    @functools.cache
    def code(state_dim, action_dim, precision, mapped, starts):
        lengths = (state_dim, action_dim, action_dim * state_dim, state_dim**2)
        small = max(state_dim, action_dim) <= _MAX_DIM_IN_REGISTERS and not mapped
        shape = tuple((0,) * length for length in lengths) if small else None
        return code_of_shape(shape, precision, (mapped, starts))

    def call(simulated, task_of_slot, gains, *rest):
        action_dim, state_dim = gains.shape[-2:]
        kind = simulated.noise_map is not None, simulated.start_mean is not None
        return code(state_dim, action_dim, simulated.transition.dtype, *kind)(simulated, task_of_slot, gains, *rest)

    return call


@_specialised
def costs(shape, precision, kind):
    """Cost of a rollout of every gain, shape (slots, members, count), for gains (slots, members, count, k, d).

    Members share their noise.
    """

    @compiled(parallel=True)
    def simulate_all(simulated, task_of_slot, gains, length, address):
        slots, members, count, _, _ = gains.shape
        lanes = lane_count(simulated.transition)
        groups = (count + lanes - 1) // lanes
        found = np.empty((slots, members, count))
        for number in numba.prange(slots * groups):
            slot, first, end = _job(number, count, groups)
            work, policies = _work(simulated, 1, members), gains[slot, :, first:end]
            task, first_policy, result = task_of_slot[slot], slot * count + first, found[slot, :, first:end]
            _fill_costs(shape, simulated, task, policies, first_policy, length, address, work, result)
        return found

    return simulate_all


@_specialised
def smoothed_gradients(shape, precision, kind):
    """Estimate of the gradient at every gain, for gains (slots, count, k, d) and :class:`Settings`.

    ``first_policy`` is counter 2 of the first policy of each slot. Directions (n, count, M, k, d) that are given are in
    the coordinates of the simulation; slot s has those of s modulo n. Where they are drawn, n is 1 and the count is 0.
    """

    @compiled(parallel=True)
    def estimate_all(simulated, task_of_slot, gains, directions, first_policy, settings):
        slots, count, _, _ = gains.shape
        # Where there are enough, so many policies that their rollouts together are a multiple of the lanes.
        lanes = lane_count(simulated.transition)
        most = lanes // math.gcd(lanes, settings.perturbations)
        groups = (count + most - 1) // most
        found = np.empty(gains.shape)
        for number in numba.prange(slots * groups):
            slot, first, end = _job(number, count, groups)
            work, policies = _work(simulated, settings.perturbations, len(settings.signs)), gains[slot, first:end]
            given, place = directions[slot % len(directions), first:end], first_policy[slot] + first
            task, result = task_of_slot[slot], found[slot, first:end]
            _fill_estimates(shape, simulated, task, policies, given, settings, place, work, result)
        return found

    return estimate_all
