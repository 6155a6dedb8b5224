"""Existence of each task's optimum: modes that no input reaches, or that neither decay nor grow and cost nothing."""

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr.scaling import ScaledTask
from metalqr.lqr.stability import spectral_radii
from metalqr.lqr.tasks import FloatArray, LQRTasks, TasksError

#: Rounding in units of d times the norm of the matrix: an orthogonal change of the states, by which the user or an
#: algorithm has made A, is exact for a matrix that differs from A by a relative 2 d eps.
ROUNDING = 10 * np.finfo(np.float64).eps
#: Smallest absolute value of a computed eigenvalue that may be 1 in truth: in a Jordan block of 20 states rounding
#: moves it by eps^(1/20) = 0.16.
MIN_RADIUS = 0.8
#: Each step squares the distance to the eigenvalue.
MAX_STEPS = 20
#: Distance, relative to the size of the task, from which these steps begin.
NEARBY = 1e-4
#: Steps of value iteration towards a gain that stabilises one of several tasks.
VALUE_ITERATIONS = 30
#: States that a message names; the others have smaller shares.
MAX_NAMED_STATES = 4
MIN_NAMED_SHARE = 1e-6

ComplexArray = NDArray[np.complex128]


class NotStabilisableError(TasksError):
    """Some task is not stabilisable; the message names the task and the mode that no input reaches."""


class NotDetectableError(TasksError):
    """Some task has no optimum; the message names the task and the mode that its cost does not show."""


def require_optimum(tasks: LQRTasks) -> None:
    """Refuse tasks of which one has no optimal gain among those that stabilise it.

    Raises
    ------
    NotStabilisableError, NotDetectableError
        As :func:`require_stabilisable` and :func:`require_detectable`, of the first such task.
    """
    for task in range(tasks.count):
        scaled = ScaledTask.of(tasks, task)
        require_stabilisable(scaled, task)
        require_detectable(scaled, task)


def are_stabilisable(tasks: LQRTasks) -> NDArray[np.bool_]:
    """True for each task that some gain stabilises, as :func:`require_stabilisable` decides it, shape (I,).

    Of similar tasks most are stabilised by zero or by a gain for one of them, which is faster to find out.
    """
    found = spectral_radii(tasks.A) < 1.0
    undecided = np.flatnonzero(~found).tolist()
    while undecided:
        first = undecided[0]
        stabilised = spectral_radii(tasks.A[undecided] - tasks.B[undecided] @ _gain_at_hand(tasks, first)) < 1.0
        if not stabilised[0]:
            scaled = ScaledTask.of(tasks, first)
            stabilised[0] = _unreached_mode(scaled.A, scaled.B) is None
        found[undecided] |= stabilised
        undecided = [task for task in undecided[1:] if not found[task]]
    return found


# What overflows stabilises nothing.
@np.errstate(over="ignore", invalid="ignore")
def _gain_at_hand(tasks: LQRTasks, task: int) -> FloatArray:
    """A gain that is likely to stabilise a task, by value iteration."""
    A, B, Q, R = tasks.A[task], tasks.B[task], np.eye(tasks.state_dim), np.eye(tasks.action_dim)
    P, K = Q, np.zeros((tasks.action_dim, tasks.state_dim))
    for _ in range(VALUE_ITERATIONS):
        K = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        P = Q + A.T @ P @ (A - B @ K)
    return np.asarray(K)


def require_stabilisable(scaled: ScaledTask, task: int) -> None:
    r"""Refuse a task with a mode of :math:`|z| \ge 1` that no input reaches (Popov, Belevitch and Hautus).

    Such a mode exists where :math:`[A - zI, B]` has a singular value zero, and its left singular vector w is the
    combination of states :math:`w^* x` that evolves by itself. The smallest singular value is the distance to the next
    task that has such a mode at z. So a task is refused where, at some z on or outside the unit circle, this distance
    is below the rounding of its entries: the same answer in every basis of the states, and for B of every size.

    The candidates for z are the eigenvalues of A. Where rounding has moved them, because the mode shares its eigenvalue
    with others, the quotient :math:`z = w^* A w` finds the way back; and a z that has come out inside is moved to the
    circle and tested there.

    Raises
    ------
    NotStabilisableError
        With the eigenvalue and the combination of states.

    References
    ----------
    R. Eising, Between controllable and uncontrollable, Systems & Control Letters 4 (1984) 263-264.
    """
    mode = _unreached_mode(scaled.A, scaled.B)
    if mode is not None:
        raise NotStabilisableError(_refusal(task, mode[0], mode[1] / scaled.states))


def require_detectable(scaled: ScaledTask, task: int) -> None:
    r"""Refuse a task with a mode of :math:`|z| = 1` that costs nothing under :math:`u = -R^{-1} S^\top x`.

    That is a mode of :math:`A - B R^{-1} S^\top` on which :math:`Q - S R^{-1} S^\top` vanishes. Then, and only then,
    the symplectic pencil of the Riccati equation of a stabilisable task has an eigenvalue on the unit circle: costs
    fall towards a gain that is not stabilising, so that no gain is optimal. A mode of :math:`|z| > 1` that costs
    nothing is no obstacle, since a stabilising gain has to move it, for which inputs are paid: the stabilising
    solution of the equation has the least cost of all stabilising gains, although leaving the mode alone costs less.

    The test is that of :func:`require_stabilisable`, for the transposed matrices and on the circle.

    Raises
    ------
    NotDetectableError
        With the eigenvalue and the combination of states.

    References
    ----------
    P. Lancaster, L. Rodman, Algebraic Riccati Equations, Oxford (1995), chapter 13.
    """
    values, vectors = np.linalg.eigh(scaled.Q)
    shown = values > len(values) * np.finfo(np.float64).eps * scaled.weight
    if shown.all():
        return
    output = vectors[:, shown] * np.sqrt(values[shown])
    mode = _unreached_mode(scaled.A.T, output, on_circle=True)
    if mode is not None:
        z, states = mode[0], mode[1].conj() * scaled.states
        policy = "" if scaled.shift is None else ", under u = -inv(R) S' x,"
        raise NotDetectableError(
            f"task {task} has no optimal gain: its mode with eigenvalue {_number(z)}, on the unit circle,{policy} "
            f"neither decays nor costs anything, and the states move in it as {_combination(states)}; give a state of "
            "this mode a weight in Q, leave the mode out of the states, or leave out the task"
        )


def _unreached_mode(A: FloatArray, B: FloatArray, on_circle: bool = False) -> tuple[complex, ComplexArray] | None:
    """The eigenvalue of a mode that no input reaches, on the circle or also outside, and its combination of states."""
    sizes = np.abs(B).max(axis=0)
    B = B / np.where(sizes > 0, sizes, 1.0) * np.linalg.norm(A)  # an input may be weak
    rounding = ROUNDING * len(A) * float(np.linalg.norm(np.hstack([A, B])))
    eigenvalues = sorted(np.linalg.eigvals(A), key=abs, reverse=True)
    for candidate in [1.0, -1.0, *(value for value in eigenvalues if abs(value) >= MIN_RADIUS and value.imag >= 0.0)]:
        z, distance, w = _nearest_unreached(A, B, candidate)
        if distance <= rounding and (on_circle or abs(z) < 1.0):
            z /= abs(z)
            distance, w = _smallest_singular_value(A, B, z)
        if distance <= rounding:
            return complex(z), w
    return None


def _nearest_unreached(A: FloatArray, B: FloatArray, z: complex) -> tuple[complex, float, ComplexArray]:
    """Local minimum of the distance to a task with an unreached mode at z: where, how far, and which states."""
    distance, w = _smallest_singular_value(A, B, z)
    for _ in range(MAX_STEPS if distance <= NEARBY * np.linalg.norm(A) else 0):
        moved = complex(w.conj() @ A @ w)
        smaller, vector = _smallest_singular_value(A, B, moved)
        if not smaller < 0.5 * distance:
            break
        z, distance, w = moved, smaller, vector
    return z, distance, w


def _smallest_singular_value(A: FloatArray, B: FloatArray, z: complex) -> tuple[float, ComplexArray]:
    """The smallest singular value of [A - zI, B], and w of length one with w*[A - zI, B] that small."""
    left, values, _ = np.linalg.svd(np.hstack([A - z * np.eye(len(A)), B]), full_matrices=False)
    return float(values[-1]), left[:, -1]


def _refusal(task: int, eigenvalue: complex, direction: ComplexArray) -> str:
    return (
        f"task {task} cannot be stabilised by any gain: no input reaches its mode with eigenvalue "
        f"{_number(eigenvalue)} (absolute value {abs(eigenvalue):.6g} >= 1), in which the states enter as "
        f"{_combination(direction.conj())}; leave this mode out of the states (a constant load "
        "shifts the operating point), give it an input in B, or leave out the task"
    )


def _combination(shares: ComplexArray) -> str:
    """The largest shares of the states, the largest of all as 1."""
    shares = shares / shares[np.abs(shares).argmax()]
    named = [state for state in np.argsort(-np.abs(shares)) if abs(shares[state]) > MIN_NAMED_SHARE]
    listed = " + ".join(f"{_number(shares[state])} x[{state}]" for state in sorted(named[:MAX_NAMED_STATES]))
    return f"{listed}{' + ...' if len(named) > MAX_NAMED_STATES else ''}"


def _number(value: complex) -> str:
    """Few digits, and no real or imaginary part where it is rounding."""
    if abs(value.imag) <= 1e-9 * abs(value):
        return f"{value.real:.4g}"
    return f"{value.imag:.4g}j" if abs(value.real) <= 1e-9 * abs(value) else f"({value:.4g})"
