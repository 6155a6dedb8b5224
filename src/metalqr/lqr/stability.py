"""Stability of closed loops: spectral radii, counts of unstable loops, and the largest stable step along a ray."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr.lyapunov import LyapunovSolver
from metalqr.lqr.tasks import FloatArray, LQRTasks, gains_per_task

# Squarings before eigenvalues decide: the power 2^5 = 32 settles spectral radii of up to about 0.9.
MAX_SQUARINGS = 5

#: The search along a ray ends at a step this small relative to the distance covered.
MIN_STEP = 1e-11
#: Relative distance from the boundary of stability at which the search ends.
ACCURACY = 1e-10
#: Fraction of a certified step that is taken, so that rounding does not carry it over the boundary.
STEP_FRACTION = 0.999
#: Fewer than 150 are usual; more where the boundary is touched and not crossed.
MAX_STEPS = 1_000
#: Maximum distance along a ray, in units of (1 + |F|) / |C|.
MAX_DISTANCE = 1e6
#: Relative change of a characteristic polynomial that is rounding.
POLYNOMIAL_ROUNDING = 1e-12


class UnstablePolicyError(ValueError):
    """A gain does not stabilise some tasks, so its cost is infinite and its gradient does not exist.

    Parameters
    ----------
    task_indices : iterable of int
        The tasks that are not stabilised.
    radii : iterable of float
        The spectral radius of each of them.
    policy : str
        What the gain is called in the message.

    Attributes
    ----------
    task_indices : tuple of int
    radii : tuple of float
    """

    def __init__(self, task_indices: Iterable[int], radii: Iterable[float], policy: str = "the gain") -> None:
        self.task_indices = tuple(int(task) for task in task_indices)
        self.radii = tuple(float(radius) for radius in radii)
        self.policy = policy
        super().__init__(
            f"{policy} does not stabilise {self.named_tasks}: the spectral radius of A - B K must be below 1; take a "
            "smaller step, or start from metalqr.optimal.starting_gain(tasks).K"
        )

    @property
    def named_tasks(self) -> str:
        """The tasks that are not stabilised, with their spectral radii, as words of a message."""
        pairs = zip(self.task_indices, self.radii, strict=True)
        return ", ".join(f"task {task} (spectral radius {radius:.9g})" for task, radius in pairs)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Rebuild from the parts, not from the message, when a worker process hands the error over."""
        return type(self), (self.task_indices, self.radii, self.policy)


def closed_loop(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Closed-loop state matrices :math:`A_K = A - B K`, shape (I, d, d)."""
    gains = gains_per_task(tasks, K)
    with np.errstate(over="ignore", invalid="ignore"):
        return tasks.A - tasks.B @ gains


def spectral_radius(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Spectral radius :math:`\rho(A_i - B_i K)` of every task, shape (I,)."""
    return spectral_radii(closed_loop(tasks, K))


def is_stabilising(tasks: LQRTasks, K: ArrayLike) -> NDArray[np.bool_]:
    r"""True for each task with :math:`\rho(A_i - B_i K) < 1`, shape (I,); the paper calls such a policy stable."""
    return np.less(spectral_radius(tasks, K), 1.0)


def require_stabilising(tasks: LQRTasks, K: ArrayLike, policy: str = "the gain") -> None:
    """Refuse gains that do not stabilise every task.

    Raises
    ------
    UnstablePolicyError
        With the tasks that the gain, called ``policy`` in the message, does not stabilise.
    """
    radii = spectral_radius(tasks, K)
    unstable = np.flatnonzero(~(radii < 1.0))
    if unstable.size:
        raise UnstablePolicyError(unstable, radii[unstable], policy)


def spectral_radii(loops: FloatArray) -> FloatArray:
    """Spectral radius of every matrix, shape (n,); infinite where an entry is not finite."""
    # The product of finite matrices can overflow, and LAPACK rejects values that are not finite.
    finite = np.asarray(np.isfinite(loops).all(axis=(-2, -1)))
    found = np.abs(np.linalg.eigvals(np.where(finite[:, np.newaxis, np.newaxis], loops, 0.0))).max(axis=-1)
    return np.where(finite, found, np.inf)


def stable_loop(tasks: LQRTasks, K: ArrayLike, policy: str = "the gain") -> tuple[FloatArray, LyapunovSolver]:
    """Closed-loop matrices of a stabilising gain, with the solver of their Lyapunov equations.

    Raises
    ------
    UnstablePolicyError
        If the gain, called ``policy`` in the message, does not stabilise every task.
    """
    loops = closed_loop(tasks, K)
    found = spectral_radii(loops)
    unstable = np.flatnonzero(~(found < 1.0))
    if not unstable.size:
        solver = LyapunovSolver(loops)
        # The eigenvalues say stable but the powers do not vanish: the boundary, as far as doubles can tell.
        unstable = np.flatnonzero(~solver.converged)
    if unstable.size:
        raise UnstablePolicyError(unstable, found[unstable], policy)
    return loops, solver


def where_stabilising(
    function: Callable[[FloatArray], FloatArray], gains: FloatArray, stabilising: FloatArray
) -> FloatArray:
    """Evaluate an exact quantity at the gains where it exists.

    Parameters
    ----------
    function : callable
        From gains (I, k, d) to values (I, ...), raising :class:`UnstablePolicyError` where there is none.
    gains : array, shape (I, k, d)
        Not necessarily finite.
    stabilising : array, shape (k, d)
        A gain at which the function exists for every task; it stands in for the others.

    Returns
    -------
    array, shape (I, ...)
        Not a number where the function does not exist.

    Raises
    ------
    UnstablePolicyError
        If the function does not exist at the gain that should be stabilising.
    """
    known = np.asarray(np.isfinite(gains).all(axis=(1, 2)))
    while True:
        try:
            values = function(np.where(known[:, np.newaxis, np.newaxis], gains, stabilising))
        except UnstablePolicyError as error:
            lost = list(error.task_indices)
            if not known[lost].all():
                raise
            known[lost] = False
        else:
            return np.where(known.reshape(-1, *(1,) * (values.ndim - 1)), values, np.nan)


# A gain may be so large that its closed loop overflows: it is unstable.
@np.errstate(over="ignore", invalid="ignore")
def are_unstable(tasks: LQRTasks, gains: FloatArray, batch: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for each gain that leaves the closed loop of its task unstable, without eigenvalues where possible.

    Parameters
    ----------
    tasks : LQRTasks
    gains : array, shape (n, P, k, d)
        One that is not finite counts as unstable.
    batch : array of int, shape (n,)
        The task of each row of gains.

    Returns
    -------
    array of bool, shape (n, P)
    """
    loops = tasks.A[batch, np.newaxis] - tasks.B[batch, np.newaxis] @ gains
    # A matrix with a power of norm below 1 is stable. Powers are much faster than eigenvalues, which decide the rest.
    undecided = loops.reshape(-1, tasks.state_dim, tasks.state_dim)
    places, powers = np.arange(len(undecided)), undecided
    unstable = np.zeros(len(undecided), dtype=bool)
    for _ in range(MAX_SQUARINGS):
        powers = powers @ powers
        large = ~(np.einsum("nij,nij->n", powers, powers) < 1.0)
        undecided, powers, places = undecided[large], powers[large], places[large]
        if not len(undecided):
            break
    else:
        unstable[places] = spectral_radii(undecided) >= 1.0
    return unstable.reshape(loops.shape[:2])


def count_unstable(tasks: LQRTasks, gains: FloatArray, batch: NDArray[np.int64]) -> int:
    """Count the gains that leave the closed loop of their task unstable, as :func:`are_unstable`."""
    return int(np.count_nonzero(are_unstable(tasks, gains, batch)))


def largest_stable_step(tasks: LQRTasks, K: ArrayLike, X: ArrayLike) -> FloatArray:
    r"""Largest t such that :math:`K + sX` stabilises the task for all :math:`0 \le s < t`, for every task.

    Along the ray the closed loop is :math:`F + sC` with :math:`F = A - BK`, :math:`C = -BX`. It is followed in steps
    that cannot cross the boundary: a matrix :math:`P \succ 0` with :math:`W = P - F^\top P F \succ 0` is a Lyapunov
    function of :math:`F + sC` as well while

    .. math:: s (F^\top P C + C^\top P F) + s^2\, C^\top P C \prec W ,

    and the next step starts where that ends. Two P are tried at each: the solution of :math:`P = I + F^\top P F`, and,
    with the eigenvectors :math:`F = V \Lambda V^{-1}`, :math:`P = V^{-*} V^{-1}`, whose steps shrink faster than
    linearly at a boundary that an eigenvalue (or a pair) crosses.

    The result, shape (I,), is ``inf`` where :math:`BX = 0` or the ray never leaves: if :math:`F + sC` is stable for all
    s, the coefficients of its characteristic polynomial are bounded, and as polynomials in s constant. Otherwise it is
    a lower bound: to a relative 1e-10, unless the boundary is touched without being crossed, or is so far away that
    rounding hides it.

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.

    Examples
    --------
    The closed loop 1/2 - s leaves (-1, 1) at s = 3/2:

    >>> one = [[[1.0]]]
    >>> tasks = LQRTasks(A=[[[0.5]]], B=one, Q=one, R=one, Psi=one)
    >>> largest_stable_step(tasks, [[0.0]], [[1.0]])
    array([1.5])
    """
    changes = -tasks.B @ gains_per_task(tasks, X, name="X")
    loops, _ = stable_loop(tasks, K)
    return np.array([_follow(F, C) for F, C in zip(loops, changes, strict=True)])


def _follow(F: FloatArray, C: FloatArray) -> float:
    """Distance along the ray F + sC within which it stays stable."""
    size = float(np.linalg.norm(C))
    if size == 0:
        return float("inf")
    limit = MAX_DISTANCE * (1.0 + float(np.linalg.norm(F))) / size
    distance = 0.0
    for _ in range(MAX_STEPS):
        step = STEP_FRACTION * _certified_step(F + distance * C, C)
        if distance > limit or step <= MIN_STEP * distance:
            break
        distance += step
    beyond = F + (1.0 + ACCURACY) * distance * C
    leaves = np.abs(np.linalg.eigvals(beyond)).max() >= 1.0 or not _never_leaves(F, C)
    return distance if leaves else float("inf")


def _certified_step(F: FloatArray, C: FloatArray) -> float:
    """The longer of the two steps from F in which F + sC certainly stays stable; 0 where rounding hides that F is."""
    unit = np.eye(F.shape[0])
    solver = LyapunovSolver(F[np.newaxis])
    if not solver.converged[0]:
        return 0.0
    first = _step_with(F, C, solver.solve_adjoint(unit[np.newaxis])[0], unit)
    eigenvalues, vectors = np.linalg.eig(F)
    try:
        inverse = np.linalg.inv(vectors)
    except np.linalg.LinAlgError:  # no basis of eigenvectors
        return first
    # Real, because the eigenvectors come in conjugate pairs.
    adjoint = inverse.conj().T
    P = (adjoint @ inverse).real
    decrease = ((adjoint * (1.0 - np.abs(eigenvalues) ** 2)) @ inverse).real
    return max(first, _step_with(F, C, P, decrease))


def _step_with(F: FloatArray, C: FloatArray, P: FloatArray, decrease: FloatArray) -> float:
    """The s at which s (FᵀPC + CᵀPF) + s² CᵀPC could first fail to be below ``decrease`` = P - FᵀPF."""
    weights, basis = np.linalg.eigh(0.5 * (decrease + decrease.T))
    if not weights[0] > 0:
        return 0.0
    basis = basis / np.sqrt(weights)
    linear = basis.T @ F.T @ P @ C @ basis
    quadratic = basis.T @ C.T @ P @ C @ basis
    slope = max(0.0, float(np.linalg.eigvalsh(linear + linear.T)[-1]))
    curvature = max(0.0, float(np.linalg.eigvalsh(0.5 * (quadratic + quadratic.T))[-1]))
    bound = slope + np.sqrt(slope**2 + 4.0 * curvature)
    return float(2.0 / bound) if bound > 0 else 0.0


def _never_leaves(F: FloatArray, C: FloatArray) -> bool:
    """True if the characteristic polynomial of F + sC is the same for all s, as far as doubles can tell."""
    step = (1.0 + float(np.linalg.norm(F))) / float(np.linalg.norm(C))
    reference = np.poly(F)
    scale = POLYNOMIAL_ROUNDING * np.abs(reference).sum()
    return all(np.abs(np.poly(F + s * step * C) - reference).max() <= scale for s in (1.0, 2.0))
