"""Stability margin of a gain: the least perturbation of it that may destabilise a task; and a gain with a large one."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, closed_loop, cost, is_stabilising
from metalqr.optimal.newton_cg import DescentError
from metalqr.optimal.riccati import RiccatiError, optimal_gains
from metalqr.optimal.shared import shared_gain
from metalqr.optimal.stabilising import candidate_gains, stabilising_gain

#: Frequencies from 0 to π at which a response is evaluated first.
FREQUENCIES = 48
#: So many angles of eigenvalues next to the unit circle are added: peaks are near these.
MAX_ANGLES = 8
#: Relative accuracy of a peak.
PEAK_TOLERANCE = 1e-9
MAX_LEVELS = 20
#: Distance from the unit circle, relative to the pencil's condition, at which an eigenvalue counts as on it.
ON_CIRCLE = 1e-6
#: Exponents of the power mean of the tasks' peaks, which replaces their maximum: first smooth, then close to it.
SHARPNESS = (10.0, 200.0)
#: A gain with more than this times the optimal cost is no start, however large its margin.
MAX_COST = 10.0
#: Steps of a descent, and the relative progress over ten of them below which it ends.
MAX_STEPS = 100
MIN_PROGRESS = 1e-3
#: Sufficient decrease and the halvings of a line search.
ARMIJO = 1e-4
MAX_HALVINGS = 30
#: Steps with less curvature, relative to their lengths, do not count for the Hessian.
MIN_CURVATURE = 1e-12


@dataclass(frozen=True, eq=False)
class MarginGain:
    """A gain K (k, d) that stabilises every task, with the margin of each, shape (I,)."""

    K: FloatArray
    margin: FloatArray


def stability_margin(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Stability margin of a gain for every task, shape (I,), and 0 where the gain does not stabilise.

    The gain K + U stabilises task i for every U with :math:`\|U\| < r_i`, in the spectral norm and so in the Frobenius
    norm, where

    .. math:: r_i = \Bigl( \max_\omega \bigl\| (e^{\mathrm{i}\omega} I - A_i + B_i K)^{-1} B_i \bigr\| \Bigr)^{-1}

    is the complex stability radius for perturbations of the gain: a complex U of that norm destabilises, a real one may
    have to be larger (Hinrichsen and Pritchard, Syst. Control Lett. 8 (1986) 105-113). The peak is found by the level
    method of Bruinsma and Steinbuch, Syst. Control Lett. 14 (1990) 287-293.
    """
    stable = is_stabilising(tasks, K)
    loops = closed_loop(tasks, K)
    found = [_highest(F, B) if fine else np.inf for F, B, fine in zip(loops, tasks.B, stable, strict=True)]
    with np.errstate(divide="ignore"):
        return 1.0 / np.array(found)


def destabilising_size(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Size above which some real perturbation of a gain destabilises, for every task, shape (I,); 0 if K does.

    .. math:: s_i = \min_{z = \pm 1} \bigl\| (zI - A_i + B_i K)^{-1} B_i \bigr\|^{-1} \ge r_i,

    in the spectral and in the Frobenius norm, with the :math:`r_i` of :func:`stability_margin`. With a singular pair
    u, v of the response G at :math:`z`, the perturbation :math:`U = -s v u^\top` of rank one gives the closed loop
    the characteristic polynomial :math:`\det(zI - A_i + B_i K) (1 - s \|G\|)` at z, whose sign differs from that at
    :math:`\pm\infty` for every :math:`s > s_i`: an eigenvalue is beyond z. Where the response peaks at one of the two,
    :math:`s_i = r_i`; otherwise a smaller perturbation may destabilise.
    """
    stable = is_stabilising(tasks, K)
    ends = np.array([0.0, np.pi])
    found = [
        _norms(F, B, ends).max() if fine else np.inf
        for F, B, fine in zip(closed_loop(tasks, K), tasks.B, stable, strict=True)
    ]
    with np.errstate(divide="ignore"):
        return 1.0 / np.array(found)


def largest_margin_gain(tasks: LQRTasks) -> MarginGain:
    """Find a gain that stabilises every task, with the largest margin of the worst task among those of moderate cost.

    Its mean cost is at most 10 times that of the tasks' own optima, unless no starting point is as good. The best of
    :func:`metalqr.optimal.stabilising_gain`, every task's own optimum, their means and the best single gain is improved
    by BFGS on the largest peak, as by Burke, Henrion, Lewis and Overton (HIFOO, 2006). The function has edges where the
    worst task or frequency changes, and several local optima, so the result is the best one found.

    Raises
    ------
    NotStabilisableError, NoCommonStabilisingGainError
        As in :func:`metalqr.optimal.stabilising_gain`.
    """
    starts = [gain for gain in _candidates(tasks) if is_stabilising(tasks, gain).all()]
    lowest = min(_mean_cost(tasks, gain) for gain in starts)
    limit = max(MAX_COST * float(tasks.p @ optimal_gains(tasks).cost), lowest)
    found = [gain for gain in starts if _mean_cost(tasks, gain) <= limit]
    for sharpness in SHARPNESS:
        objective = functools.partial(_height, tasks, sharpness, limit)
        found.append(_descend(objective, max(found, key=lambda gain: _rough_margin(tasks, gain))))
    K = max(found, key=lambda gain: _rough_margin(tasks, gain))
    return MarginGain(K, stability_margin(tasks, K))


def _mean_cost(tasks: LQRTasks, K: FloatArray) -> float:
    return float(tasks.p @ cost(tasks, K))


def _rough_margin(tasks: LQRTasks, K: FloatArray) -> float:
    """Minus the largest peak, which orders gains as the margin does."""
    return -max(_peak(F, B)[0] for F, B in zip(closed_loop(tasks, K), tasks.B, strict=True))


def _candidates(tasks: LQRTasks) -> Iterator[FloatArray]:
    yield stabilising_gain(tasks)
    try:
        yield from candidate_gains(tasks).values()
        yield shared_gain(tasks).K
    except (DescentError, RiccatiError):
        return


def _descend(objective: Callable[[FloatArray], tuple[float, FloatArray]], K: FloatArray) -> FloatArray:
    """BFGS with backtracking on a function that gives its value and its gradient."""
    value, gradient = objective(K)
    pairs: list[tuple[FloatArray, FloatArray]] = []
    history = [value]
    for _ in range(MAX_STEPS):
        direction = -_quasi_newton(pairs, gradient)
        slope = float(np.sum(direction * gradient))
        if slope >= 0.0:  # rounding
            break
        step = min(1.0, 0.5 * (1.0 + float(np.linalg.norm(K))) / float(np.linalg.norm(direction)))
        for _ in range(MAX_HALVINGS):
            new_value, new_gradient = objective(K + step * direction)
            if new_value <= value + ARMIJO * step * slope:
                break
            step *= 0.5
        else:
            break
        s, y = step * direction, new_gradient - gradient
        K, value, gradient = K + s, new_value, new_gradient
        if np.vdot(s, y) > MIN_CURVATURE * np.linalg.norm(s) * np.linalg.norm(y):
            pairs.append((s, y))
        history.append(value)
        if len(history) > 10 and history[-11] - value < MIN_PROGRESS:
            break
    return K


def _quasi_newton(pairs: list[tuple[FloatArray, FloatArray]], gradient: FloatArray) -> FloatArray:
    """The inverse Hessian of BFGS, from the identity, times a gradient: the recursion of two loops, over all steps."""
    found = gradient
    shares = []
    for s, y in reversed(pairs):
        shares.append(np.vdot(s, found) / np.vdot(s, y))
        found = found - shares[-1] * y
    for s, y in pairs:
        found = found + (shares.pop() - np.vdot(y, found) / np.vdot(s, y)) * s
    return found


def _height(tasks: LQRTasks, sharpness: float, limit: float, K: FloatArray) -> tuple[float, FloatArray]:
    """Logarithm of the power mean of the tasks' peaks, and its derivative by the gain; infinite over the limit."""
    if not (is_stabilising(tasks, K).all() and _mean_cost(tasks, K) <= limit):
        return np.inf, np.zeros_like(K)
    logarithms, derivatives = np.empty(tasks.count), np.empty((tasks.count, *K.shape))
    for task, (F, B) in enumerate(zip(closed_loop(tasks, K), tasks.B, strict=True)):
        height, angle = _peak(F, B)
        height = max(height, np.finfo(np.float64).tiny)  # without inputs
        G = _response(F, B, np.array([angle]))[0]
        u, _, v = np.linalg.svd(G)
        # The response changes by -G dK G.
        derivatives[task] = -np.real(np.outer(G.conj().T @ u[:, 0], (G @ v[0].conj()).conj())) / height
        logarithms[task] = np.log(height)
    weights = np.exp(sharpness * (logarithms - logarithms.max()))
    value = float(logarithms.max() + np.log(weights.sum()) / sharpness)
    return value, np.tensordot(weights / weights.sum(), derivatives, axes=1)


def _highest(F: FloatArray, B: FloatArray) -> float:
    """The largest norm of a response on the circle: a peak is raised until no frequency is above it."""
    height, _ = _peak(F, B)
    if height == 0.0:  # without inputs
        return height
    for _ in range(MAX_LEVELS):
        crossings = _crossings(F, B, height * (1.0 + PEAK_TOLERANCE))
        if crossings.size < 2:
            break
        middles = 0.5 * (crossings + np.append(crossings[1:], crossings[0] + 2.0 * np.pi))
        raised = float(_norms(F, B, middles).max())
        if raised <= height * (1.0 + PEAK_TOLERANCE):
            break
        height = raised
    return height


def _peak(F: FloatArray, B: FloatArray) -> tuple[float, float]:
    """The largest norm of a response on a grid, improved around its place, with its angle."""
    from scipy.optimize import minimize_scalar

    eigenvalues = np.linalg.eigvals(F)
    near = eigenvalues[np.argsort(-np.abs(eigenvalues))[:MAX_ANGLES]]
    angles = np.unique(np.concatenate([np.linspace(0.0, np.pi, FREQUENCIES), np.abs(np.angle(near))]))
    norms = _norms(F, B, angles)
    place = int(norms.argmax())
    ends = angles[max(place - 1, 0)], angles[min(place + 1, len(angles) - 1)]
    found = minimize_scalar(
        lambda angle: -_norms(F, B, np.array([angle]))[0], bounds=ends, method="bounded", options={"xatol": 1e-9}
    )
    return max((float(norms[place]), float(angles[place])), (float(-found.fun), float(found.x)))


def _norms(F: FloatArray, B: FloatArray, angles: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(_response(F, B, angles), 2, axis=(1, 2)))


def _response(F: FloatArray, B: FloatArray, angles: FloatArray) -> np.ndarray:
    """The response of the states to the inputs at each angle, shape (n, d, k)."""
    points = np.exp(1j * angles)[:, np.newaxis, np.newaxis]
    return np.linalg.solve(points * np.eye(len(F)) - F, np.broadcast_to(B.astype(complex), (len(angles), *B.shape)))


def _crossings(F: FloatArray, B: FloatArray, level: float) -> FloatArray:
    """The angles at which a singular value of the response has the level: eigenvalues of a pencil on the circle."""
    from scipy.linalg import eigvals

    d = len(F)
    zero, one = np.zeros((d, d)), np.eye(d)
    left = np.block([[F, zero], [-one, one]])
    right = np.block([[one, -(B @ B.T) / level**2], [zero, F.T]])
    found = eigvals(left, right)
    found = found[np.isfinite(found)]
    return np.sort(np.angle(found[np.abs(np.abs(found) - 1.0) < ON_CIRCLE]))
