"""Random systems, published systems and finite differences for the tests of the exact layer."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr import LQRTasks

Array = NDArray[np.float64]


def definite(rng: np.random.Generator, count: int, dim: int) -> Array:
    """Random symmetric positive definite matrices with eigenvalues of at least 0.2."""
    factors = rng.standard_normal((count, dim, dim))
    return factors @ factors.mT / dim + 0.2 * np.eye(dim)


def random_tasks(
    seed: int, count: int = 3, state_dim: int = 3, action_dim: int = 2, radius: float = 0.9, spread: float = 1.0
) -> LQRTasks:
    """Random tasks with spectral radius ``radius`` each; ``spread`` mixes between equal and independent dynamics."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((1, state_dim, state_dim)) + spread * rng.standard_normal((count, state_dim, state_dim))
    A *= (radius / np.abs(np.linalg.eigvals(A)).max(axis=1))[:, np.newaxis, np.newaxis]
    B = rng.standard_normal((1, state_dim, action_dim)) + spread * rng.standard_normal((count, state_dim, action_dim))
    weights = rng.uniform(0.2, 1.0, count)
    return LQRTasks(
        A,
        B,
        definite(rng, count, state_dim),
        definite(rng, count, action_dim),
        definite(rng, count, state_dim),
        definite(rng, count, state_dim),
        weights / weights.sum(),
    )


#: Similar and well damped, so that one gain serves all and small steps stay stable.
similar_tasks = functools.partial(random_tasks, radius=0.6, spread=0.2)


def semidefinite_tasks(seed: int, count: int = 3, state_dim: int = 3, action_dim: int = 2) -> LQRTasks:
    """Random tasks with cross terms, singular costs, and singular covariances whose ranks differ between the tasks.

    Task i has noise of rank d - 1 - i, but at least 1 of the first, and 0 at the end; one initial state; and the cost
    of k + 1 outputs.
    """
    rng = np.random.default_rng(seed)
    tasks = random_tasks(seed, count, state_dim, action_dim, radius=0.8)
    C = rng.standard_normal((count, action_dim + 1, state_dim + action_dim))
    cost = C.mT @ C
    factors = rng.standard_normal((2, count, state_dim, state_dim))
    for i in range(count):
        factors[0, i, :, max(state_dim - 1 - i, int(i == 0)) :] = 0.0
    factors[1, :, :, 1:] = 0.0
    Psi, Sigma0 = factors @ factors.mT
    return LQRTasks(
        tasks.A,
        tasks.B,
        cost[:, :state_dim, :state_dim],
        cost[:, state_dim:, state_dim:],
        Psi,
        Sigma0,
        tasks.p,
        S=cost[:, :state_dim, state_dim:],
    )


def initial_state_tasks(seed: int, count: int = 3, state_dim: int = 3, action_dim: int = 2) -> LQRTasks:
    """Random tasks with cross terms, without process noise, whose initial states have a mean and a singular spread."""
    tasks = semidefinite_tasks(seed, count, state_dim, action_dim)
    mean = np.random.default_rng([seed, 2]).standard_normal((count, state_dim))
    return LQRTasks(
        tasks.A, tasks.B, tasks.Q, tasks.R, None, tasks.Sigma0, tasks.p,
        S=tasks.S, noise="initial_state", initial_mean=mean,
    )  # fmt: skip


def without_cross_terms(tasks: LQRTasks) -> tuple[LQRTasks, Array]:
    """The same closed loops and costs without S, at gains that are smaller by the second result, R⁻¹Sᵀ."""
    shift: Array = np.asarray(np.linalg.solve(tasks.R, tasks.S.mT), dtype=np.float64)
    Q = tasks.Q - tasks.S @ shift
    return tasks.replace(A=tasks.A - tasks.B @ shift, S=None).replace(Q=0.5 * (Q + Q.mT)), shift


def stable_gain(tasks: LQRTasks, seed: int, per_task: bool = False) -> Array:
    """A random gain, halved until every spectral radius is below 0.97; zero stabilises ``random_tasks``."""
    rng = np.random.default_rng([seed, 1])
    shape = (tasks.action_dim, tasks.state_dim)
    gain = rng.standard_normal((tasks.count, *shape) if per_task else shape)
    while np.abs(np.linalg.eigvals(tasks.A - tasks.B @ gain)).max() >= 0.97:
        gain = gain / 2
    return gain


def scalar_tasks(
    a: ArrayLike, b: ArrayLike = 1.0, q: ArrayLike = 1.0, r: ArrayLike = 1.0, psi: ArrayLike = 1.0, **rest: ArrayLike
) -> LQRTasks:
    """Tasks with d = k = 1; a single number holds for every task."""
    values = np.broadcast_arrays(np.atleast_1d(a), b, q, r, psi)
    others: dict[str, Any] = dict(rest)
    return LQRTasks(*(value.reshape(-1, 1, 1) for value in values), **others)


def opposed_tasks() -> LQRTasks:
    """B and -B with an unstable A: what damps one task excites the other."""
    two = np.stack([np.eye(2)] * 2)
    return LQRTasks(1.5 * two, np.stack([np.eye(2), -np.eye(2)]), two, two, two)


def uncontrollable_tasks() -> LQRTasks:
    """Two tasks, the second with an unstable mode that no input reaches."""
    two, one = np.stack([np.eye(2)] * 2), np.ones((2, 1, 1))
    A = [np.diag([0.5, 0.5]), np.diag([0.5, 1.5])]
    return LQRTasks(np.array(A), [[[1.0], [1.0]], [[1.0], [0.0]]], two, one, two)


def tasks_and_gains(per_task: bool = False) -> st.SearchStrategy[tuple[LQRTasks, Array]]:
    """Strategy for tasks with a gain that stabilises them."""

    def build(seed: int, count: int, state_dim: int, action_dim: int, radius: float) -> tuple[LQRTasks, Array]:
        tasks = random_tasks(seed, count, state_dim, action_dim, radius)
        return tasks, stable_gain(tasks, seed, per_task)

    return st.builds(
        build, st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.floats(0.1, 0.95)
    )


def central_difference(function: Callable[[Array], Any], point: Array, direction: Array, step: float) -> Array:
    """Fourth-order central difference of ``function`` along ``direction``."""
    near = function(point + step * direction) - function(point - step * direction)
    far = function(point + 2 * step * direction) - function(point - 2 * step * direction)
    return np.asarray((8.0 * near - far) / (12.0 * step))


def check_derivative(
    function: Callable[[Array], Array],
    K: Array,
    derivative: Callable[[Array], Array],
    tolerance: float,
    step: float = 1e-4,
) -> None:
    """Compare a directional derivative with central differences, along each entry of the gains."""
    for unit in bases(K.shape[-2:]):
        exact = derivative(unit)
        slope = central_difference(function, K, unit, step)
        np.testing.assert_allclose(exact, slope, atol=tolerance * np.abs(exact).max())


def bases(shape: tuple[int, ...]) -> Iterable[Array]:
    """The unit matrices of this shape."""
    return np.eye(int(np.prod(shape))).reshape(-1, *shape)


@dataclass(frozen=True)
class PublishedSystem:
    """A discrete-time regulator whose solution someone else printed, with the accuracy of the printed digits."""

    source: str
    A: ArrayLike
    B: ArrayLike
    Q: ArrayLike
    R: ArrayLike
    P: ArrayLike
    relative: float = 1e-12
    absolute: float = 0.0
    K: ArrayLike | None = None
    poles: ArrayLike | None = None

    def tasks(self) -> LQRTasks:
        """The system as a single task with unit noise."""
        A, B, Q, R = (np.array([matrix]) for matrix in (self.A, self.B, self.Q, self.R))
        return LQRTasks(A, B, Q, R, np.eye(A.shape[1])[np.newaxis])


#: Examples have their numbers in the second version, which BB02AD generates; in brackets those of the first, if known.
DAREX = (
    "J. Abels, P. Benner, DAREX - a collection of benchmark examples for discrete-time algebraic Riccati equations "
    "(version 2.0), SLICOT Working Note 1999-16; P. Benner, A. Laub, V. Mehrmann, A collection of benchmark examples "
    "for the numerical solution of algebraic Riccati equations II: discrete-time case, Tech. Rep. SPC 95_23, TU "
    "Chemnitz-Zwickau, 1995; closed form of example "
)
REFLECTION = np.eye(3) - 2.0 / 3.0 * np.ones((3, 3))

PUBLISHED = [
    PublishedSystem(
        source="MathWorks, Control System Toolbox, documentation of dare, first example",
        A=[[-0.9, -0.3], [0.7, 0.1]],
        B=[[1.0], [1.0]],
        Q=[[1.0, 0.0], [0.0, 3.0]],
        R=[[0.1]],
        P=[[4.7687, 0.9438], [0.9438, 3.2369]],
        K=[[-0.2216, -0.1297]],
        poles=[-0.4460, -0.0027],
        relative=0.0,
        absolute=0.5e-4,
    ),
    PublishedSystem(
        source="Altair Activate 2022, Open Matrix Language reference, documentation of dlqr, example",
        A=[[9.0, 0.2], [0.0, 8.0]],
        B=[[0.0], [1.0]],
        Q=[[2.0, 1.0], [1.0, 2.0]],
        R=[[1.0]],
        P=[[1.04036e7, 2.34349e5], [2.34349e5, 5.34387e3]],
        K=[[394.61003, 16.76761]],
        poles=[0.11073, 0.12166],
        relative=5e-6,
    ),
    PublishedSystem(
        source=DAREX + "2.3 (12), Q = R = I",
        A=[[0.0, 100.0], [0.0, 0.0]],
        B=[[0.0], [1.0]],
        Q=np.eye(2),
        R=[[1.0]],
        P=np.diag([1.0, 1.0 + 100.0**2]),
        K=[[0.0, 0.0]],
    ),
    PublishedSystem(
        source=DAREX + "2.4 (13)",
        A=REFLECTION @ np.diag([0.0, 1.0, 3.0]) @ REFLECTION,
        B=np.eye(3),
        Q=100.0 * np.eye(3),
        R=100.0 * np.eye(3),
        P=100.0 * REFLECTION @ np.diag([1.0, (1.0 + np.sqrt(5.0)) / 2, (9.0 + np.sqrt(85.0)) / 2]) @ REFLECTION,
    ),
    PublishedSystem(
        source=DAREX + "4.1 (15)",
        A=np.eye(12, k=1),
        B=np.eye(12)[:, -1:],
        Q=np.eye(12),
        R=[[1.0]],
        P=np.diag(np.arange(1.0, 13.0)),
    ),
]


def _semidefinite() -> list[PublishedSystem]:
    """The closed forms of DAREX with R ≻ 0 and a singular Q.

    Of the others, 1.1, 1.2 and 1.4 have a singular R (1.2 a mixed weight too, 1.4 an indefinite Q), and 1.5 to 1.13 and
    2.2 come without a solution.
    """
    rate, weight = 0.1, 0.25
    gap = weight * ((1.0 - rate) ** 2 - 1.0) + rate**2
    first = (gap + np.sqrt(gap**2 + 4.0 * rate**2 * weight)) / (2.0 * rate**2)
    A, Q = np.array([[4.0, 3.0], [-4.5, -3.5]]), np.array([[9.0, 6.0], [6.0, 4.0]])
    return [
        PublishedSystem(
            source=DAREX + "1.3",
            A=[[0.0, 1.0], [0.0, 0.0]],
            B=[[0.0], [1.0]],
            Q=[[1.0, 2.0], [2.0, 4.0]],
            R=[[1.0]],
            P=[[1.0, 2.0], [2.0, 2.0 + np.sqrt(5.0)]],
        ),
        PublishedSystem(
            source=DAREX + "2.5 (14), D = K = 1, r = 1/4, tau = 10",
            A=[[1.0 - rate, 0.0, 0.0, 0.0], *np.eye(4)[:3].tolist()],
            B=[[rate], [0.0], [0.0], [0.0]],
            Q=np.diag([0.0, 0.0, 0.0, 1.0]),
            R=[[weight]],
            P=np.diag([first, 1.0, 1.0, 1.0]),
        ),
        *(
            PublishedSystem(
                source=DAREX + f"2.1 (1), R = {R:g}",
                A=A,
                B=[[1.0], [-1.0]],
                Q=Q,
                R=[[R]],
                P=0.5 * (1.0 + np.sqrt(1.0 + 4.0 * R)) * Q,
            )
            for R in (1.0, 1e4)
        ),
    ]


PUBLISHED_SEMIDEFINITE = _semidefinite()
