"""Tasks from arrays by name, as files and toolboxes have them: aliases, one matrix for all, sampling, refusals."""

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import real_array
from metalqr.config.problems import short_repr
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.lqr.tasks import NOISES
from metalqr.systems.discretisation import euler, tustin, zero_order_hold
from metalqr.systems.family import FamilyError

#: Ways from continuous to discrete time, by their names in a config.
METHODS: dict[str, Callable[[FloatArray, FloatArray, float], tuple[FloatArray, FloatArray]]] = {
    "zoh": zero_order_hold,
    "euler": euler,
    "tustin": tustin,
}
#: The arrays of tasks: one matrix for all tasks, or one for each.
_MATRICES = ("A", "B", "Q", "R", "S", "Psi", "Sigma0")
#: Other names: those of controlgym and of MATLAB's toolboxes.
_ALIASES = {"B2": "B", "W": "Psi", "Ts": "dt"}
#: Factors of controlgym: z = C1 x + D12 u is what is weighted, B1 w the noise.
_FACTORS = ("B1", "C1", "D12")
#: Accepted and not used: the outputs that a controller without the state would measure, and x itself is known here.
_UNUSED = ("C", "C2", "D21")
_KNOWN = (*_MATRICES, *_ALIASES, *_FACTORS, *_UNUSED, "p", "K0", "noise", "initial_mean", "dt", "D", "D11", "D22", "E")


class Sampling(NamedTuple):
    """Time of a step and the way from continuous to discrete time, as a config gives them; None where it does not."""

    time: float | None = None
    method: str | None = None


class Driving(NamedTuple):
    """What is random and the variance of every state, as a config gives them; None where it does not."""

    noise: str | None = None
    variance: float | None = None


class Problem(NamedTuple):
    """Tasks, and the initial gain that came with them, if any."""

    tasks: LQRTasks
    K0: FloatArray | None


def problem_from_arrays(
    arrays: Mapping[str, Any], sampling: Sampling | None = None, driving: Driving | None = None
) -> Problem:
    r"""Tasks from arrays by name.

    A, B, Q, R, Psi, Sigma0 and S are one matrix for all tasks or one for each, (I, d, d); p and K0 as in
    :class:`metalqr.lqr.LQRTasks` and :func:`metalqr.training.train`; ``dt`` is the time of a step, 0 in continuous
    time. Controlgym's B2 is B; its C1 and D12 give :math:`Q = C_1^\top C_1`, :math:`S = C_1^\top D_{12}` and
    :math:`R = D_{12}^\top D_{12}`, and its B1 gives :math:`\Psi = B_1 B_1^\top`. Only A and B are made discrete: Q, R,
    S and Psi are per step. ``noise`` is the word process or initial_state; then Sigma0 is needed in place of Psi, and
    ``initial_mean`` is a vector for all tasks or one for each, (I, d).

    Parameters
    ----------
    arrays : mapping of str to array
    sampling : Sampling
        Its method makes continuous tasks discrete.
    driving : Driving
        Its variance times the identity is :math:`\Psi`, or :math:`\Sigma_0` with noise initial_state, where the arrays
        have none.

    Raises
    ------
    FamilyError
        If the arrays are no tasks; the message names the array, the value and the next step.
    TasksError
        As :class:`metalqr.lqr.LQRTasks`.
    """
    sampling, driving = sampling or Sampling(), driving or Driving()
    noise = _noise(arrays.get("noise"), driving.noise)
    found = _by_own_names({name: value for name, value in arrays.items() if name != "noise"})
    _refuse_other_forms(found)
    given = _with_factors(found)
    for name in ("A", "B", "Q", "R"):
        if name not in given:
            raise FamilyError(f"{name} is missing; the arrays are {', '.join(sorted(arrays)) or 'none'}; add it")
    matrices = {name: given[name] for name in _MATRICES if name in given}
    count, state_dim, mean = _count(matrices), matrices["A"].shape[-1], given.get("initial_mean")
    if mean is not None and mean.size == state_dim:
        mean = np.tile(mean.reshape(-1), (count, 1))
    elif mean is not None and count == 1 and mean.ndim == 2:  # the plants are the same, and start elsewhere
        count = len(mean)
    name, what = ("Psi", "noise") if noise == "process" else ("Sigma0", "initial state")
    if name not in matrices:
        if driving.variance is None:
            raise FamilyError(
                f"{name}, the covariance of the {what}, is missing; add it, or give noise_variance, as in "
                "noise_variance: 0.01"
            )
        matrices[name] = driving.variance * np.eye(state_dim)
    elif driving.variance is not None:
        raise FamilyError(f"noise_variance: {driving.variance} is given, and {name} too; remove one of the two")
    matrices["A"], matrices["B"] = _sampled(matrices["A"], matrices["B"], given.get("dt"), sampling)
    every: dict[str, Any] = {
        name: np.broadcast_to(matrix, (count, *matrix.shape[-2:])) if matrix.ndim == 2 else matrix
        for name, matrix in matrices.items()
    }
    every["p"] = given["p"].reshape(-1) if "p" in given else None
    return Problem(LQRTasks(**{"Psi": None} | every, noise=noise, initial_mean=mean), given.get("K0"))


def from_state_space(
    systems: Any | Sequence[Any],
    Q: ArrayLike,
    R: ArrayLike,
    Psi: ArrayLike | None,
    *,
    sample_time: float | None = None,
    discretisation: str | None = None,
    **more: Any,
) -> LQRTasks:
    """Tasks from state-space objects of python-control or SciPy, one for each task.

    Parameters
    ----------
    systems : StateSpace or sequence of StateSpace
        ``control.StateSpace`` or ``scipy.signal.StateSpace``, all of the same sizes and of the same ``dt``.
    Q, R, Psi : array_like
        State weights, input weights and covariances of the noise per step: one matrix, or one for each task. Psi is
        None with ``noise="initial_state"``.
    sample_time : float, optional
        Time of a step, for continuous systems, in their unit of time.
    discretisation : {"zoh", "euler", "tustin"}, optional
        The way to discrete time, for continuous systems; it is never guessed.
    **more : array_like or str
        ``Sigma0``, ``S``, ``p``, ``noise`` and ``initial_mean`` of :class:`metalqr.lqr.LQRTasks`.

    Returns
    -------
    LQRTasks

    Raises
    ------
    FamilyError
        If it is not known whether a system is continuous, or how to make it discrete; if a system has a direct
        feedthrough D; or if they differ in ``dt``.
    TasksError
        As :class:`metalqr.lqr.LQRTasks`.

    Examples
    --------
    >>> from scipy.signal import StateSpace
    >>> pendulum = StateSpace([[0, 1], [32.7, 0]], [[0], [22.2]], [[1, 0]], [[0]])
    >>> tasks = from_state_space(
    ...     pendulum, np.eye(2), [[1.0]], 0.01 * np.eye(2), sample_time=0.05, discretisation="zoh"
    ... )
    >>> tasks.A.round(3)
    array([[[1.041, 0.051],
            [1.657, 1.041]]])
    """
    several = list(systems) if isinstance(systems, Sequence) else [systems]
    times = list(dict.fromkeys(_time_of(system) for system in several))
    if len(times) != 1:
        raise FamilyError(f"the systems have the sampling times {times}; give systems of one sampling time")
    arrays = {
        "A": np.stack([np.asarray(system.A) for system in several]),
        "B": np.stack([np.asarray(system.B) for system in several]),
        "D": np.stack([np.asarray(system.D) for system in several]),
        "dt": times[0],
    }
    given = {**arrays, "Q": Q, "R": R, "Psi": Psi, **more}
    return problem_from_arrays(given, Sampling(sample_time, discretisation)).tasks


def _time_of(system: Any) -> float:
    """The sampling time of a system, 0 in continuous time."""
    dt = system.dt
    if dt is None and type(system).__name__.endswith("Continuous"):  # of SciPy, which gives these no time
        return 0.0
    if dt is None:
        raise FamilyError("the system's dt is None, which says neither continuous nor discrete; set dt to 0 or a time")
    if dt is True:
        raise FamilyError("the system's dt is True, discrete with an unknown time; set dt to the time of a step")
    return float(dt)


def _noise(given: Any, chosen: str | None) -> str:
    """The word for what is random: that of the arrays, which MATLAB has as a list, or of the config."""
    if given is None:
        return chosen or "process"
    words = np.asarray(given).reshape(-1).tolist()
    if len(words) != 1 or words[0] not in NOISES:
        shown = short_repr(words[0] if len(words) == 1 else words)
        raise FamilyError(f"noise: {shown} is not {' or '.join(NOISES)}; write one of the two words")
    if chosen not in (None, words[0]):
        raise FamilyError(f"noise is {words[0]}, and the config says {chosen}; remove one of the two")
    return str(words[0])


def _by_own_names(arrays: Mapping[str, Any]) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    for given, value in arrays.items():
        if given not in _KNOWN:
            near = difflib.get_close_matches(given, _KNOWN, 1)
            advice = f"did you mean {near[0]}?" if near else f"the names are {', '.join(_KNOWN)}; remove it"
            raise FamilyError(f"{given} is no array of tasks; {advice}")
        name = _ALIASES.get(given, given)
        if name in found:
            raise FamilyError(f"{given} is another name of {name}, and both are given; remove one of the two")
        dense = value.toarray() if hasattr(value, "toarray") else value
        if dense is None:
            continue
        try:
            found[name] = real_array(given, dense)
        except ValueError as error:
            raise FamilyError(str(error)) from None
        if bad := np.argwhere(~np.isfinite(found[name])).tolist():
            raise FamilyError(f"{given}{bad[0]} is {found[name][tuple(bad[0])]}; give finite numbers")
    return found


def _refuse_other_forms(found: Mapping[str, FloatArray]) -> None:
    for name in ("D", "D11", "D22"):
        if name in found and np.any(found[name]):
            raise FamilyError(
                f"{name} is not zero (its largest entry is {np.abs(found[name]).max():.6g}): inputs or noise that act "
                "on outputs at once are not part of these tasks; remove it where the cost does not need it"
            )
    if "E" in found and not np.array_equal(found["E"], np.eye(len(found["E"]))):
        raise FamilyError("E is not the identity: a descriptor system; give E^-1 A and E^-1 B where E is invertible")


def _with_factors(found: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The arrays with the products of controlgym's factors in place of these."""
    given = {name: value for name, value in found.items() if name not in (*_FACTORS, *_UNUSED)}
    products: list[tuple[str, str, str]] = [("Q", "C1", "C1"), ("S", "C1", "D12"), ("R", "D12", "D12")]
    for name, left, right in products:
        if left not in found or right not in found:
            continue
        if name in given:
            raise FamilyError(f"{name} is given, and {left} with it, of which it would be made; remove one of the two")
        if found[left].shape[-2] != found[right].shape[-2]:
            raise FamilyError(
                f"{left} has {found[left].shape[-2]} rows and {right} has {found[right].shape[-2]}; both are of the "
                "weighted outputs z, so give as many"
            )
        given[name] = found[left].mT @ found[right]
    if "B1" in found:
        if "Psi" in given:
            raise FamilyError("Psi is given, and B1 with it, of which it would be made; remove one of the two")
        given["Psi"] = found["B1"] @ found["B1"].mT
    if "S" in given and not given["S"].any():
        del given["S"]
    return given


def _count(matrices: Mapping[str, FloatArray]) -> int:
    """Number of tasks: one, unless an array has a matrix for each."""
    first: tuple[str, int] | None = None
    for name, matrix in matrices.items():
        if matrix.ndim not in (2, 3) or not matrix.size:
            raise FamilyError(
                f"{name} has shape {matrix.shape}, expected one matrix for all tasks, or (tasks, rows, columns)"
            )
        if matrix.ndim == 2:
            continue
        if first and first[1] != len(matrix):
            raise FamilyError(
                f"{name} has {len(matrix)} tasks and {first[0]} has {first[1]}; give as many, tasks first: in MATLAB, "
                "permute(A, [3 1 2])"
            )
        first = first or (name, len(matrix))
    return first[1] if first else 1


def _sampled(A: FloatArray, B: FloatArray, dt: FloatArray | None, sampling: Sampling) -> tuple[FloatArray, FloatArray]:
    """A and B in discrete time."""
    own = None if dt is None else float(dt.reshape(-1)[0])
    if own is not None and own < 0 and own != -1:  # MATLAB's discrete time of unknown length is -1
        raise FamilyError(f"dt is {own:g}; give the time of a step, or 0 for continuous time")
    if sampling.method is None:
        if own == 0:
            raise FamilyError(
                "dt is 0: A and B are in continuous time; give sample_time, and discretisation: zoh, euler or tustin"
            )
        if sampling.time is not None and own is None:
            raise FamilyError(
                f"sample_time: {sampling.time} is given, and no way to use it; give discretisation: zoh, euler or "
                "tustin where A and B are in continuous time, or remove it"
            )
        if sampling.time is not None and not math.isclose(sampling.time, own or 0.0):
            raise FamilyError(f"sample_time: {sampling.time} is not the dt of the file, {own:g}; remove it")
        return A, B
    if sampling.method not in METHODS:
        raise FamilyError(f"discretisation: {sampling.method!r} is not {', '.join(METHODS)}")
    if sampling.time is None:
        raise FamilyError(f"discretisation: {sampling.method} needs sample_time, the time of a step; add it")
    if own not in (None, 0.0):
        raise FamilyError(f"dt is {own:g}: A and B are in discrete time already; remove discretisation and sample_time")
    pairs = list(_pairs(A, B))
    discrete = [METHODS[sampling.method](a, b, sampling.time) for a, b in pairs]
    if A.ndim == B.ndim == 2:
        return discrete[0]
    return np.stack([a for a, _ in discrete]), np.stack([b for _, b in discrete])


def _pairs(A: FloatArray, B: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """A and B of each task, or once where all share both."""
    count = max(len(each) if each.ndim == 3 else 1 for each in (A, B))
    for task in range(count):
        a, b = (each[task] if each.ndim == 3 else each for each in (A, B))
        if a.shape[0] != a.shape[1] or b.shape[0] != len(a):
            shapes = f"A is {a.shape[0]} x {a.shape[1]} and B {b.shape[0]} x {b.shape[1]}"
            raise FamilyError(f"{shapes}; give d x d and d x k")
        yield a, b
