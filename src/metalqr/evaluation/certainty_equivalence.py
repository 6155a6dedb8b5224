"""Certainty equivalence: the optimal gain of dynamics that are estimated from rollouts of the task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.frozen import ReadOnlyArrays
from metalqr.common.validation import positive, whole_number
from metalqr.lqr import FloatArray, LQRTasks, cost, gains_per_task
from metalqr.optimal import NotDetectableError, NotStabilisableError, RiccatiError, optimal_gains
from metalqr.simulation.streams import Stream

#: The last word of an address, which no address of tasks has in that place, nor any other use of NumPy's generators.
_TAG = 0xCE
_WORD = 2**32 - 1
#: Numbers that are drawn at a time.
_NUMBERS = 2**22
#: Smallest eigenvalue of the moments of states and inputs, in units in which their diagonal is one, below which they
#: leave a direction of (A, B) undetermined.
UNDETERMINED = 1e-13


@dataclass(frozen=True, eq=False)
class CertaintyEquivalence(ReadOnlyArrays):
    """Gains from estimated dynamics, for every task (I), repetition (N) and budget (S).

    Attributes
    ----------
    steps : ndarray of int, shape (S,)
        Rollout steps that each estimate is from.
    A, B : ndarray, shapes (I, N, S, d, d) and (I, N, S, d, k)
        The estimates; NaN where the data leave them undetermined.
    K : ndarray, shape (I, N, S, k, d)
        Optimal gains of the estimates; NaN where the Riccati equation has no solution.
    cost : ndarray, shape (I, N, S)
        Exact costs of the gains on the true tasks; infinite where there is none, or where it does not stabilise.
    """

    steps: NDArray[np.int64]
    A: FloatArray
    B: FloatArray
    K: FloatArray
    cost: FloatArray


def certainty_equivalence(
    tasks: LQRTasks,
    K: ArrayLike,
    steps: Sequence[int],
    exploration: float,
    stream: Stream,
    *,
    rollout_length: int,
    repetitions: int = 1,
) -> CertaintyEquivalence:
    r"""Estimate the dynamics of every task from rollouts of a gain with exploration, and take the optimal gain of that.

    Rollouts start at :math:`x_0 \sim N(m, \Sigma_0)` and have the noise of the task,

    .. math:: x_{l+1} = A x_l + B u_l + w_l, \qquad u_l = -K x_l + v_l, \quad v_l \sim N(0, \sigma_u^2 I),

    and the estimate is that of least squares over all steps,

    .. math:: (\hat A, \hat B) = \arg\min \sum \|x_{l+1} - \hat A x_l - \hat B u_l\|^2 .

    All states share the regressors :math:`(x_l, u_l)`, so that weighting with :math:`\Psi^{-1}` would change nothing:
    it is the estimate of maximum likelihood. The gain is optimal for :math:`(\hat A, \hat B)` and the true Q, R and S.
    It sees states, where the methods of this package see costs alone: an honest rival needs that said. With process
    noise the error falls with the square root of the number of steps, and the excess cost with the number itself.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
        The gain of the rollouts. It need not stabilise a task, whose rollouts then grow with their length.
    steps : sequence of int
        Rollout steps to estimate from, whole rollouts each; the data of fewer steps are the first of those of more.
    exploration : float
        :math:`\sigma_u`, above zero.
    stream : Stream
        Address of the random numbers; a repetition of a task has numbers of its own.
    rollout_length : int
    repetitions : int
        Independent repetitions.

    Returns
    -------
    CertaintyEquivalence

    Raises
    ------
    ValueError
        If there is no exploration, or if the steps are no whole rollouts, or fewer than the unknowns of a row, so that
        the data cannot determine the dynamics.

    References
    ----------
    H. Mania, S. Tu, B. Recht, Certainty equivalence is efficient for linear quadratic control, NeurIPS 2019.
    """
    gains = gains_per_task(tasks, K)
    length, count = whole_number("rollout_length", rollout_length), whole_number("repetitions", repetitions)
    if exploration == 0:
        raise ValueError(
            "exploration: 0 leaves B undetermined, because the inputs are then a function of the states alone; give "
            "the standard deviation of the inputs, above zero"
        )
    positive("exploration", exploration)
    unknowns = tasks.state_dim + tasks.action_dim
    budgets = [whole_number("steps", each) for each in steps]
    for each in budgets:
        if each % length:
            raise ValueError(f"steps: {each} are no whole rollouts of {length} steps; give a multiple")
        if each < unknowns:
            raise ValueError(f"steps: {each} cannot determine d + k = {unknowns} unknowns of each state; give more")
    moments = _Moments(tasks, gains, float(exploration), stream, length, count)
    shape = tasks.count, count, len(budgets), tasks.state_dim
    A, B = np.empty((*shape, tasks.state_dim)), np.empty((*shape, tasks.action_dim))
    for place in np.argsort(budgets).tolist():
        moments.extend(budgets[place] // length)
        A[:, :, place], B[:, :, place] = moments.estimate()
    found = np.full((*A.shape[:3], tasks.action_dim, tasks.state_dim), np.nan)
    costs = np.full(A.shape[:3], np.inf)
    for index in np.ndindex(*A.shape[:3]):
        if np.isfinite(A[index]).all() and np.isfinite(B[index]).all():
            estimated = tasks.subset([index[0]]).replace(A=A[index][np.newaxis], B=B[index][np.newaxis])
            try:
                found[index] = optimal_gains(estimated).K[0]
            except (NotStabilisableError, NotDetectableError, RiccatiError):
                continue
    for task in range(tasks.count):
        known = np.isfinite(found[task]).all(axis=(-2, -1))
        some = found[task][known]
        if len(some):
            costs[task, known] = cost(tasks.subset(np.full(len(some), task)), some)
    return CertaintyEquivalence(np.array(budgets), A, B, found, costs)


class _Moments:
    """The sums over all steps that the estimates are made from."""

    def __init__(
        self, tasks: LQRTasks, gains: FloatArray, exploration: float, stream: Stream, length: int, repetitions: int
    ) -> None:
        self._tasks, self._gains, self._exploration, self._length = tasks, gains, exploration, length
        self._generators = [
            [_generator(stream, task, number) for number in range(repetitions)] for task in range(tasks.count)
        ]
        d, size = tasks.state_dim, tasks.state_dim + tasks.action_dim
        self._rollouts = 0
        self._squares = np.zeros((tasks.count, repetitions, size, size))
        self._products = np.zeros((tasks.count, repetitions, d, size))
        self._initial, self._noise = _root(tasks.Sigma0), _root(tasks.Psi)

    # Rollouts of a gain that does not stabilise may overflow, and the estimate is then not finite.
    @np.errstate(over="ignore", invalid="ignore")
    def extend(self, rollouts: int) -> None:
        """Add rollouts until there are so many of each task and repetition."""
        numbers = self._tasks.state_dim + self._length * (self._tasks.state_dim + self._tasks.action_dim)
        together = max(1, _NUMBERS // (numbers * sum(map(len, self._generators))))
        while self._rollouts < rollouts:
            count = min(together, rollouts - self._rollouts)
            # Rollout by rollout, so that more of them leave the first ones as they are.
            self._add(np.array([[rng.standard_normal((count, numbers)) for rng in row] for row in self._generators]))
            self._rollouts += count

    def _add(self, normals: FloatArray) -> None:
        """Simulate rollouts with these normals, (I, N, n, numbers of a rollout), and add their steps."""
        d, (A, B) = self._tasks.state_dim, (each[:, np.newaxis].mT for each in (self._tasks.A, self._tasks.B))
        gains, noise = self._gains[:, np.newaxis].mT, self._noise[:, np.newaxis].mT
        x = normals[..., :d] @ self._initial[:, np.newaxis].mT + self._tasks.initial_mean[:, np.newaxis, np.newaxis]
        steps = normals[..., d:].reshape(*normals.shape[:3], self._length, -1)
        for step in range(self._length):
            u = self._exploration * steps[..., step, d:] - x @ gains
            after = x @ A + u @ B + steps[..., step, :d] @ noise
            regressors = np.concatenate([x, u], axis=3)
            self._squares += regressors.mT @ regressors
            self._products += after.mT @ regressors
            x = after

    def estimate(self) -> tuple[FloatArray, FloatArray]:
        """Least squares of all tasks and repetitions; NaN where it is not unique."""
        d = self._tasks.state_dim
        scale = np.sqrt(np.einsum("inaa->ina", self._squares))
        finite = np.isfinite(self._squares).all(axis=(2, 3)) & np.isfinite(self._products).all(axis=(2, 3))
        usable = finite & (scale > 0).all(axis=2)
        scale = np.where(usable[..., np.newaxis], scale, 1.0)
        squares = self._squares / (scale[..., np.newaxis] * scale[..., np.newaxis, :])
        squares = np.where(usable[..., np.newaxis, np.newaxis], squares, np.eye(scale.shape[2]))
        determined = usable & (np.linalg.eigvalsh(squares)[..., 0] > UNDETERMINED)
        squares = np.where(determined[..., np.newaxis, np.newaxis], squares, np.eye(scale.shape[2]))
        products = np.where(determined[..., np.newaxis, np.newaxis], self._products / scale[..., np.newaxis, :], np.nan)
        found = np.linalg.solve(squares, products.mT).mT / scale[..., np.newaxis, :]
        return found[..., :d], found[..., d:]


def _root(covariances: FloatArray) -> FloatArray:
    """Factors F of positive semidefinite matrices F Fᵀ, (I, d, d)."""
    eigenvalues, basis = np.linalg.eigh(covariances)
    return np.asarray(basis * np.sqrt(np.maximum(eigenvalues, 0.0))[:, np.newaxis])


def _generator(stream: Stream, task: int, repetition: int) -> np.random.Generator:
    """A generator of its own for each task and repetition of a stream: eight words, each in a place of its own."""
    seed = int(stream.seed)
    words = [seed & _WORD, seed >> 32, int(stream.iteration), int(stream.use), task, repetition, 0, _TAG]
    return np.random.default_rng(np.array(words, dtype=np.uint32))
