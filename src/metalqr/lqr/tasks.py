"""The tasks: a frozen, validated collection of linear-quadratic regulators that share their dimensions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.frozen import ReadOnlyArrays
from metalqr.common.validation import finite_array, real_array

FloatArray = NDArray[np.float64]

#: Relative asymmetry up to which a matrix counts as symmetric; it is then made exactly symmetric.
SYMMETRY_TOLERANCE = 1e-10
#: Negative eigenvalue, in units in which the diagonal is one, up to which a matrix counts as semidefinite: that is what
#: rounding leaves of a zero.
SEMIDEFINITE_TOLERANCE = 1e-10
#: Models of the noise.
NOISES = ("process", "initial_state")
#: Tolerance for the sum of the task distribution, which must be one.
PROBABILITY_TOLERANCE = 1e-9


class TasksError(ValueError):
    """A matrix of the tasks is impossible; the message names the task, the matrix, the value and the next step."""


@dataclass(frozen=True, init=False, eq=False)
class LQRTasks(ReadOnlyArrays):
    r"""A finite set of linear-quadratic regulator tasks of the same dimensions.

    Task :math:`i` has the dynamics and the stage cost (Section 3.1 of the paper, which has no cross term :math:`S_i`)

    .. math::

        x_{t+1} = A_i x_t + B_i u_t + w_t, \quad w_t \sim N(0, \Psi_i), \qquad
        g_i(x, u) = x^\top Q_i x + 2 x^\top S_i u + u^\top R_i u .

    The arrays are copied, made double precision and contiguous, and cannot be written to afterwards, not even those of
    a deep copy or of unpickled tasks.

    Parameters
    ----------
    A : array_like, shape (I, d, d)
        State matrices.
    B : array_like, shape (I, d, k)
        Input matrices (the paper prints d×d).
    Q : array_like, shape (I, d, d)
        State weights, symmetric and positive semidefinite.
    R : array_like, shape (I, k, k)
        Input weights, symmetric and positive definite.
    Psi : array_like, shape (I, d, d)
        Covariances of the process noise, symmetric and positive semidefinite.
    Sigma0 : array_like, shape (I, d, d), optional
        Covariances of the initial state, symmetric and positive semidefinite. Default: ``Psi``.
    p : array_like, shape (I,), optional
        Distribution of the tasks, positive: a task counts everywhere, or is left out with :meth:`subset`. Default:
        uniform.
    S : array_like, shape (I, d, k), optional
        Weights of the products of states and inputs, with :math:`\begin{pmatrix} Q & S \\ S^\top & R \end{pmatrix}`
        positive semidefinite, so that no stage cost is negative. Default: zero.
    noise : {"process", "initial_state"}
        ``initial_state`` is the model of Fazel, Ge, Kakade and Mesbahi: no process noise, so that ``Psi`` is zero or
        None, :math:`x_0 \sim N(m, \Sigma_0)`, and the cost of a rollout is the *sum* of its stage costs at
        :math:`x_0, \ldots, x_{\ell-1}`, not the mean: step sizes compare after division by :math:`\ell`.
    initial_mean : array_like, shape (I, d), optional
        m, with ``initial_state`` alone. Default: zero.

    Raises
    ------
    TasksError
        If an array has the wrong shape, holds something that is not a finite number, or is not symmetric, or not
        positive (semi)definite where it must be, or if ``p`` is no probability distribution.

    Notes
    -----
    A matrix whose asymmetry is below 1e-10 of its largest entry (rounding) is replaced by its symmetric part.
    """

    A: FloatArray
    B: FloatArray
    Q: FloatArray
    R: FloatArray
    Psi: FloatArray
    Sigma0: FloatArray
    p: FloatArray
    S: FloatArray
    noise: str
    initial_mean: FloatArray

    def __init__(
        self,
        A: ArrayLike,
        B: ArrayLike,
        Q: ArrayLike,
        R: ArrayLike,
        Psi: ArrayLike | None,
        Sigma0: ArrayLike | None = None,
        p: ArrayLike | None = None,
        *,
        S: ArrayLike | None = None,
        noise: str = "process",
        initial_mean: ArrayLike | None = None,
    ) -> None:
        A, B = _numbers("A", A), _numbers("B", B)
        if A.ndim != 3 or A.shape[1] != A.shape[2] or not A.size:
            raise TasksError(
                f"A has shape {A.shape}, expected (I, d, d) with I, d >= 1: one square matrix for each task (for a "
                "single task give A[np.newaxis])"
            )
        if B.ndim != 3 or B.shape[:2] != A.shape[:2] or not B.size:
            raise TasksError(
                f"B has shape {B.shape}, expected ({A.shape[0]}, {A.shape[1]}, k) with k >= 1, because A has shape "
                f"{A.shape}: one d-by-k matrix for each task"
            )
        dims = A.shape[1], B.shape[2]
        if noise not in NOISES:
            raise TasksError(f"noise: {noise!r} is not {' or '.join(NOISES)}")
        if noise == "initial_state":
            Psi = np.zeros_like(A) if Psi is None else Psi
            if Sigma0 is None:
                raise TasksError("Sigma0 is missing: with noise initial_state it is all that varies; give it")
        given = {"A": A, "B": B, "Q": Q, "R": R, "Psi": Psi, "Sigma0": Psi if Sigma0 is None else Sigma0, "p": p}
        given |= {"S": S, "initial_mean": initial_mean}
        arrays = {name: _checked(name, values, len(A), *dims) for name, values in given.items()}
        self.__setstate__({**arrays, "noise": noise})
        _require_semidefinite_cost(self)
        _require_own_noise(self)

    @property
    def count(self) -> int:
        """Number of tasks, I."""
        return int(self.A.shape[0])

    @property
    def state_dim(self) -> int:
        """State dimension, d."""
        return int(self.A.shape[1])

    @property
    def action_dim(self) -> int:
        """Action dimension, k."""
        return int(self.B.shape[2])

    @property
    def has_cross_terms(self) -> bool:
        """True if S of some task is not zero."""
        return bool(self.S.any())

    @property
    def excitation(self) -> FloatArray:
        r"""The covariance that drives the infinite-horizon quantities, shape (I, d, d).

        :math:`\Psi`, or with ``initial_state`` :math:`\Sigma_0 + m m^\top`, the second moment of :math:`x_0`.
        """
        if self.noise == "process":
            return self.Psi
        return self.Sigma0 + self.initial_mean[:, :, np.newaxis] * self.initial_mean[:, np.newaxis]

    def replace(self, **arrays: ArrayLike | None) -> "LQRTasks":
        """Copy with other arrays of the same shapes, which alone are checked; ``p=None`` and such are the defaults.

        Raises
        ------
        TasksError
            As in the constructor.
        """
        dims = self.count, self.state_dim, self.action_dim
        replaced = self._with({name: _checked(name, values, *dims) for name, values in arrays.items()})
        if not arrays.keys().isdisjoint(("Q", "R", "S")):
            _require_semidefinite_cost(replaced)
        _require_own_noise(replaced)
        return replaced

    def subset(self, indices: Sequence[int] | NDArray[np.int_]) -> "LQRTasks":
        """Choose the tasks with these indices, in this order, and scale their ``p`` to the sum one.

        Raises
        ------
        TasksError
            If no index is given, or if one does not exist.
        """
        chosen = np.asarray(indices, dtype=int).reshape(-1)
        if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= self.count:
            raise TasksError(
                f"cannot choose the tasks {chosen.tolist()}: give at least one index from 0 to {self.count - 1}"
            )
        parts = {name: array[chosen] for name, array in vars(self).items() if name != "noise"}
        return self._with({**parts, "p": parts["p"] / parts["p"].sum()})

    def _with(self, arrays: Mapping[str, FloatArray]) -> "LQRTasks":
        """Copy with other arrays, unchecked: large batches are made of few tasks."""
        tasks = object.__new__(LQRTasks)
        tasks.__setstate__({**vars(self), **arrays})
        return tasks


def tiled(tasks: LQRTasks, times: int) -> LQRTasks:
    """All tasks, that many times over: task i of the n-th time has the index n I + i.

    So every function of (tasks, K) serves many gains, shape (n, k, d), at once, as
    ``function(tiled(tasks, n), np.repeat(gains, tasks.count, axis=0))``.
    """
    return tasks.subset(np.tile(np.arange(tasks.count), times))


def gains_per_task(tasks: LQRTasks, K: ArrayLike, name: str = "K") -> FloatArray:
    """Check a gain for all tasks or one per task, and give it the shape (I, k, d) without a copy per task."""
    common, per_task = (tasks.action_dim, tasks.state_dim), (tasks.count, tasks.action_dim, tasks.state_dim)
    meaning = f"{common} for all tasks or {per_task}, one per task"
    return np.broadcast_to(finite_array(name, K, meaning, common, per_task), per_task)


class Dimensions(Protocol):
    """Tasks of which the dimensions alone count."""

    @property
    def state_dim(self) -> int:
        """Number of states d."""

    @property
    def action_dim(self) -> int:
        """Number of inputs k."""


def common_gain(tasks: Dimensions, K: ArrayLike, name: str = "K") -> FloatArray:
    """Check a gain for all tasks, shape (k, d), and copy it."""
    shape = (tasks.action_dim, tasks.state_dim)
    return finite_array(name, K, f"{shape}: one gain for all tasks", shape).copy()


def _checked(name: str, values: ArrayLike | None, count: int, state_dim: int, action_dim: int) -> FloatArray:
    """One of the arrays of tasks of these dimensions; p, S and initial_mean may be None."""
    if name == "p":
        return np.full(count, 1.0 / count) if values is None else _distribution(values, count)
    if name in ("S", "initial_mean") and values is None:
        return np.zeros((count, state_dim, action_dim) if name == "S" else (count, state_dim))
    square = (count, state_dim, state_dim)
    shapes = dict.fromkeys(("A", "Q", "Psi", "Sigma0"), square) | {
        "B": (count, state_dim, action_dim),
        "S": (count, state_dim, action_dim),
        "initial_mean": (count, state_dim),
        "R": (count, action_dim, action_dim),
    }
    array = _numbers(name, values)
    if array.shape != shapes[name]:
        raise TasksError(
            f"{name} has shape {array.shape}, expected {shapes[name]} from the shapes of A and B: one "
            f"{'vector' if name == 'initial_mean' else 'matrix'} for each task"
        )
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        task, *entry = bad[0].tolist()
        raise TasksError(f"task {task}: {name}{entry} is {array[tuple(bad[0])]}; give finite numbers")
    if name in ("A", "B", "S", "initial_mean"):
        return array
    array = _symmetric(name, array)
    if name == "R":
        _require_definite(name, array)
    else:
        _require_semidefinite(name, array, f"add a multiple of the identity or correct {name}")
    return array


def _numbers(name: str, values: ArrayLike | None) -> FloatArray:
    try:
        return np.array(real_array(name, values), order="C")
    except ValueError as error:
        raise TasksError(str(error)) from None


def _symmetric(name: str, array: FloatArray) -> FloatArray:
    """The array, exactly symmetric, if it is so but for rounding."""
    asymmetry = np.abs(array - array.mT)
    scale = np.abs(array).max(axis=(1, 2))
    for task in np.flatnonzero(asymmetry.max(axis=(1, 2)) > SYMMETRY_TOLERANCE * scale):
        row, column = sorted(np.unravel_index(int(asymmetry[task].argmax()), array.shape[1:]))
        raise TasksError(
            f"task {task}: {name} is not symmetric: entry [{row}, {column}] is {array[task, row, column]} and "
            f"[{column}, {row}] is {array[task, column, row]}; use ({name} + {name}.T) / 2 for its symmetric part"
        )
    return np.ascontiguousarray(0.5 * (array + array.mT))


def definite(matrices: FloatArray) -> NDArray[np.bool_]:
    """True for each symmetric matrix (n, d, d) that is positive definite beyond rounding, in any units, shape (n,)."""
    scaled = _scaled_eigenvalues(matrices)
    # Below this an eigenvalue is zero up to rounding, and the matrix singular.
    threshold = len(matrices[0]) * np.finfo(np.float64).eps * np.abs(scaled).max(axis=1)
    return np.asarray(scaled[:, 0] > threshold)


def _require_definite(name: str, array: FloatArray) -> None:
    for task in np.flatnonzero(~definite(array)):
        raise TasksError(
            f"task {task}: {name} is not positive definite: its smallest eigenvalue is {_smallest(array[task])}; "
            f"add a multiple of the identity or correct {name}"
        )


def _require_semidefinite(name: str, array: FloatArray, remedy: str) -> None:
    for task in np.flatnonzero(_scaled_eigenvalues(array)[:, 0] < -SEMIDEFINITE_TOLERANCE):
        raise TasksError(
            f"task {task}: {name} is not positive semidefinite: its smallest eigenvalue is {_smallest(array[task])}; "
            f"{remedy}"
        )


def _require_semidefinite_cost(tasks: LQRTasks) -> None:
    if tasks.has_cross_terms:
        joint = np.concatenate(
            [np.concatenate([tasks.Q, tasks.S], axis=2), np.concatenate([tasks.S.mT, tasks.R], axis=2)], axis=1
        )
        _require_semidefinite("[[Q, S], [S', R]]", joint, "make S smaller, or correct Q, R or S")


def _require_own_noise(tasks: LQRTasks) -> None:
    """Refuse what the other model of the noise alone has."""
    name, other = ("initial_mean", "initial_state") if tasks.noise == "process" else ("Psi", "process")
    if task := np.flatnonzero(getattr(tasks, name).reshape(tasks.count, -1).any(axis=1)).tolist():
        raise TasksError(
            f"task {task[0]}: {name} is not zero, but noise is {tasks.noise}; leave it out, or choose noise {other}"
        )


def _scaled_eigenvalues(array: FloatArray) -> FloatArray:
    """Eigenvalues in units in which the diagonal is one, so that those of the user do not decide, ascending."""
    units = np.sqrt(np.abs(array.diagonal(axis1=1, axis2=2)))
    # Where the diagonal is zero, the largest entry of the row shall be one: it must be zero in a semidefinite matrix.
    rows = np.abs(array / np.where(units > 0.0, units, 1.0)[:, np.newaxis]).max(axis=2)
    units = np.where(units > 0.0, units, np.where(rows > 0.0, rows, 1.0))
    return np.asarray(np.linalg.eigvalsh(array / units[:, :, np.newaxis] / units[:, np.newaxis]))


def _smallest(matrix: FloatArray) -> str:
    return f"{np.linalg.eigvalsh(matrix)[0]:.6g}"


def _distribution(values: ArrayLike, count: int) -> FloatArray:
    array = _numbers("p", values)
    if array.shape != (count,):
        raise TasksError(f"p has shape {array.shape}, expected {(count,)}: one probability for each task")
    for task in np.flatnonzero(~(array >= 0) | ~np.isfinite(array)):
        raise TasksError(f"task {task}: p is {array[task]}; give a probability > 0")
    if not array.all():
        held_out = ", ".join(f"task {task}" for task in np.flatnonzero(array == 0))
        raise TasksError(
            f"{held_out}: p is 0; every task counts everywhere, so leave out what shall not count: give the tasks "
            f"without this p, and choose the others with tasks.subset({np.flatnonzero(array).tolist()})"
        )
    if abs(array.sum() - 1.0) > PROBABILITY_TOLERANCE:
        raise TasksError(f"p sums to {array.sum():.12g}, expected 1; divide it by its sum to normalise it")
    return array
