"""Compiled rollouts of a user's step function, with the random numbers of the linear ones.

Two loops share the work. :func:`rollouts` runs over vectors of rollouts and draws their noise. It knows no system, so
it is compiled once and kept on disk. The inner loop, over a few steps of one vector, contains the user's functions;
:func:`advance` compiles it in each process, in about a second, and the outer loop calls it through a pointer. So no
cache has to notice what the user's functions call.

The random numbers of a rollout have the place of its seed: counters 1 and 2 of Philox are the low and the high half of
the seed, counter 3 is 0 for the initial state and 1 for the noise. Philox is a bijection of the counter, so no two
seeds share a number. The key is that of seed 0 and purpose 15 in :mod:`metalqr.simulation.streams`, where no number has
this purpose.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.core.errors import NumbaError
from numba.extending import is_jitted
from numba.np.unsafe.ndarray import to_fixed_tuple

from metalqr.simulation.simd.jit import compiled
from metalqr.simulation.simd.lanes import lanes
from metalqr.simulation.simd.normals import BLOCK, LOW_HALF, counter_rows, fill_normals, rollout_start, work_rows
from metalqr.simulation.streams import round_keys

_LANES = lanes(np.float64)
#: Steps that one call of the inner loop makes: a multiple of the numbers in a block.
_STEPS = 4 * BLOCK

_INITIAL_STATE = np.array([0, *round_keys(15, 0)], dtype=np.int64)
_NOISE = np.array([1, *round_keys(15, 0)], dtype=np.int64)

_VECTOR, _MATRIX, _GAINS = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
_SYSTEM = (_VECTOR, _VECTOR, _MATRIX, _MATRIX)
_ADVANCE = types.void(_MATRIX, _GAINS, _MATRIX, *_SYSTEM, _VECTOR, types.boolean, _VECTOR, _VECTOR)


class System(NamedTuple):
    """The functions of a system and its sizes: what the compiled code depends on."""

    name: str
    step: Callable[..., Any]
    stage_cost: Callable[..., Any] | None
    is_lost: Callable[..., Any] | None
    state_dim: int
    action_dim: int
    noise_dim: int
    parameter_count: int
    #: The class of the parameters, with names for them; otherwise ``tuple``.
    parameters: type


def _quadratic(x, u, parameters, Q, R):
    cost = 0.0
    for row in range(len(x)):
        for column in range(len(x)):
            cost += x[row] * Q[row, column] * x[column]
    for row in range(len(u)):
        for column in range(len(u)):
            cost += u[row] * R[row, column] * u[column]
    return cost


def _stage_cost(own):
    """The cost of a step as a function of Q and R too."""
    if own is None:
        return _quadratic

    def stage_cost(x, u, parameters, Q, R):
        return own(x, u, parameters)

    return stage_cost


def _never(x, parameters):
    return False


def _function(system: System, name: str, arguments: str) -> tuple[Any, Any]:
    """A compiled function of the user, and the type of what it returns."""
    function, tuples = getattr(system, name), types.UniTuple
    all_types = {
        "x": tuples(types.float64, system.state_dim),
        "u": tuples(types.float64, system.action_dim),
        "w": tuples(types.float64, system.noise_dim),
        "parameters": (
            tuples(types.float64, system.parameter_count)
            if system.parameters is tuple
            else types.NamedUniTuple(types.float64, system.parameter_count, system.parameters)
        ),
    }
    given = tuple(all_types[each] for each in arguments.split(", "))
    code = function if is_jitted(function) else numba.njit(error_model="numpy")(function)
    try:
        code.compile(given)
    except (NumbaError, TypeError) as error:
        # Numba puts the stage before what is wrong, and the place after it.
        reason = str(error).removeprefix("Failed in nopython mode pipeline (step: nopython frontend)\n")
        raise ValueError(
            f"{system.name}.{name}({arguments}) cannot be compiled: {reason.strip()}\nGive it these arguments, and "
            "write numbers, tuples and functions of math; a function of your own that it calls needs @numba.njit"
        ) from error
    return code, code.overloads[given].signature.return_type


def _functions(system: System) -> tuple[Any, Any, Any]:
    """The user's compiled functions; what they return is checked."""
    step, found = _function(system, "step", "x, u, w, parameters")
    count = len(found) if isinstance(found, types.BaseTuple) else None
    if count != system.state_dim:
        what = f"{found}" if count is None else f"{count} numbers"
        raise ValueError(
            f"{system.name}.step returns {what}, but state_dim is {system.state_dim}; return a tuple of the next states"
        )
    if not isinstance(found, types.UniTuple) or not isinstance(found.dtype, types.Float | types.Integer):
        raise ValueError(
            f"{system.name}.step returns {found}, but states are float64; write 0.0 in place of 0, for example"
        )
    stage_cost = is_lost = None
    if system.stage_cost is not None:
        stage_cost, found = _function(system, "stage_cost", "x, u, parameters")
        if not isinstance(found, types.Float | types.Integer):
            raise ValueError(f"{system.name}.stage_cost returns {found}; return one number")
    if system.is_lost is not None:
        is_lost, found = _function(system, "is_lost", "x, parameters")
        if not isinstance(found, types.Boolean):
            raise ValueError(f"{system.name}.is_lost returns {found}; return True or False")
    return step, stage_cost, is_lost


@functools.cache
def advance(system: System) -> Any:
    """The inner loop, compiled for one system: a few steps of the rollouts of a vector.

    Raises
    ------
    ValueError
        If a function cannot be compiled, or returns something else than it should.
    """
    step, own_cost, own_limit = _functions(system)
    stage_cost, is_lost = numba.njit(_stage_cost(own_cost)), own_limit or numba.njit(_never)
    state_dim, action_dim, noise_dim = system.state_dim, system.action_dim, system.noise_dim
    parameter_count, named, make = system.parameter_count, system.parameters is not tuple, system.parameters

    @numba.njit
    def parameters_of(values):
        return to_fixed_tuple(values, parameter_count)

    @numba.njit
    def named_parameters_of(values):
        return make(*to_fixed_tuple(values, parameter_count))

    read_parameters = named_parameters_of if named else parameters_of

    @numba.cfunc(_ADVANCE, error_model="numpy")
    def code(states, gains, normals, deviations, values, Q, R, weights, ends, totals, finished):
        parameters, action, noise = read_parameters(values), np.empty(action_dim), np.empty(noise_dim)
        for number in range(len(weights)):
            for lane in range(_LANES):
                if totals[lane] == np.inf:
                    continue
                x = to_fixed_tuple(states[lane], state_dim)
                if ends and is_lost(x, parameters):
                    totals[lane] = np.inf
                    continue
                for row in range(action_dim):
                    action[row] = 0.0
                    for column in range(state_dim):
                        action[row] -= gains[lane, row, column] * x[column]
                for entry in range(noise_dim):
                    noise[entry] = deviations[entry] * normals[number * noise_dim + entry, lane]
                u = to_fixed_tuple(action, action_dim)
                totals[lane] += weights[number] * stage_cost(x, u, parameters, Q, R)
                x = step(x, u, to_fixed_tuple(noise, noise_dim), parameters)
                for entry in range(state_dim):
                    states[lane, entry] = x[entry]
        # An exception of the user's functions ends this call, and the outer loop hears of it here alone.
        finished[0] += len(weights)

    return code


def _with_version(function):
    """Name the version of this file too: the cache on disk knows the name, and only the files of ``simd``."""
    function.__qualname__ += f"_{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:32]}"
    return function


@compiled(parallel=True)
@_with_version
def rollouts(advance, gains, seeds, weights, initial_mean, initial_deviation, deviations, parameters, Q, R, ends):
    """The sum of weight times stage cost of a rollout of each gain (n, k, d), shape (n,), and whether nothing raised.

    It is infinite where the rollout was lost, if that ``ends`` it.
    """
    count, _, state_dim = gains.shape
    noise_dim, is_noisy = len(deviations), (deviations != 0.0).any()
    blocks = (count + _LANES - 1) // _LANES
    found, is_whole = np.empty(count), np.zeros(blocks, np.bool_)
    for block in numba.prange(blocks):
        first = block * _LANES
        normals = work_rows(max(_STEPS * noise_dim, state_dim + BLOCK), found)
        normals[:] = 0.0
        counters, states, own = counter_rows(found), np.empty((_LANES, state_dim)), np.empty((_LANES, *gains.shape[1:]))
        totals, finished = np.zeros(_LANES), np.zeros(1)
        for lane in range(_LANES):
            # Lanes past the end repeat the last rollout; their costs are not used.
            place = min(first + lane, count - 1)
            own[lane] = gains[place]
            counters[0, lane], counters[1, lane] = seeds[place] & LOW_HALF, seeds[place] >> 32
        start = rollout_start(counters, _INITIAL_STATE)
        fill_normals(normals, (state_dim + BLOCK - 1) // BLOCK, 0, start, _INITIAL_STATE)
        for lane in range(_LANES):
            for entry in range(state_dim):
                states[lane, entry] = initial_mean[entry] + initial_deviation[entry] * normals[entry, lane]
        start = rollout_start(counters, _NOISE)
        for begin in range(0, len(weights), _STEPS):
            if is_noisy:
                filled = _STEPS // BLOCK * noise_dim
                fill_normals(normals, filled, begin // _STEPS * filled, start, _NOISE)
            part = weights[begin : begin + _STEPS]
            advance(states, own, normals, deviations, parameters, Q, R, part, ends, totals, finished)
        is_whole[block] = finished[0] == len(weights)
        for lane in range(min(_LANES, count - first)):
            found[first + lane] = totals[lane]
    return found, is_whole.all()
