r"""Distances between tasks: of their matrices, of their gradients at a gain, and of what they do under it."""

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, LyapunovSolver, closed_loop, common_gain, gradient, require_stabilising

#: Matrices with a distance.
MATRICES = ("A", "B", "Q", "R", "Psi", "S")


def matrix_distances(tasks: LQRTasks) -> dict[str, float]:
    r"""Largest distance of two tasks in each matrix, :math:`\max_{ij} \|A_i - A_j\|_2` and so on, in spectral norms.

    Keys are the names of the matrices, A, B, Q, R, Psi and S. Of a single task all are zero.
    """
    pairs = _pairs(tasks)
    found = {}
    for name in MATRICES:
        array = getattr(tasks, name)
        differences = array[pairs[0]] - array[pairs[1]]
        found[name] = float(np.linalg.norm(differences, 2, axis=(1, 2)).max(initial=0.0))
    return found


def gradient_distance(tasks: LQRTasks, K: ArrayLike) -> float:
    r"""Largest distance of a task's gradient from the mean of all.

    .. math:: \max_i \Bigl\| \nabla J_i(K) - \sum_j p_j \nabla J_j(K) \Bigr\|_F

    At the best single gain the mean is zero, so that it is the largest gradient there.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
        Such as that of :func:`metalqr.optimal.shared_gain`.

    Returns
    -------
    float

    Raises
    ------
    UnstablePolicyError
        If the gain does not stabilise every task.
    """
    gradients = gradient(tasks, common_gain(tasks, K))
    return float(np.linalg.norm(gradients - np.tensordot(tasks.p, gradients, axes=1), axis=(1, 2)).max())


def bisimulation_distance(tasks: LQRTasks, K: ArrayLike) -> float:
    r"""Largest distance of what two tasks do under a gain, in the root of cost units.

    Let :math:`z_i = W_i^{1/2} (x_i, u_i)`, with :math:`W = \begin{pmatrix} Q & S \\ S^\top & R \end{pmatrix}` and
    symmetric roots, so that :math:`\|z_i\|^2` is the stage cost, and let both tasks see the same noise,
    :math:`w_i = \Psi_i^{1/2} \epsilon`. The distance of two tasks is

    .. math:: d_{ij}(K) = \Bigl( \lim_{t \to \infty} E \|z_{i,t} - z_{j,t}\|^2 \Bigr)^{1/2}
              = \mathrm{Tr}(M \Psi_{ij})^{1/2}, \qquad M = C^\top C + F^\top M F,

    with :math:`F = \mathrm{diag}(A_i - B_i K, A_j - B_j K)` and :math:`C = (C_i, -C_j)`. The quadratic form of M is the
    bisimulation metric of the two closed loops: the only solution of
    :math:`m(x, y) = \|C_i x - C_j y\|^2 + m(F_i x, F_j y)`, and zero exactly where both give the same outputs for ever.
    With ``noise="initial_state"`` it is the sum over all steps, from the second moment of the initial state.

    It is a pseudometric, and :math:`|J_i(K)^{1/2} - J_j(K)^{1/2}| \le d_{ij}(K)` by the triangle inequality. It belongs
    to one gain, and to the coupling by the same noise. The metric over all policies, in which the adversary chooses the
    input of one task, is left out: inputs are not bounded, and it is infinite as soon as two tasks differ.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)

    Returns
    -------
    float

    Raises
    ------
    UnstablePolicyError
        If the gain does not stabilise every task.

    References
    ----------
    P. S. Castro, Scalable methods for computing state similarity in deterministic Markov decision processes, AAAI
    2020: the metric of a policy, here with outputs in place of rewards. A. Girard, G. J. Pappas, Approximation metrics
    for discrete and continuous systems, IEEE Trans. Automatic Control 52 (2007) 782-798: bisimulation functions of
    linear systems.
    """
    gain = common_gain(tasks, K)
    require_stabilising(tasks, gain)
    first, second = _pairs(tasks)
    if not len(first):
        return 0.0
    d = tasks.state_dim
    loops, outputs, roots = closed_loop(tasks, gain), _outputs(tasks, gain), _roots(tasks.excitation)
    F = np.zeros((len(first), 2 * d, 2 * d))
    F[:, :d, :d], F[:, d:, d:] = loops[first], loops[second]
    C = np.concatenate([outputs[first], -outputs[second]], axis=2)
    noise = np.concatenate([roots[first], roots[second]], axis=1)
    M = LyapunovSolver(F).solve_adjoint(C.mT @ C)
    # As the square of a factor, so that rounding makes nothing negative.
    squares = np.einsum("nai,nab,nbi->n", noise, M, noise)
    return float(np.sqrt(np.maximum(squares, 0.0)).max())


def _pairs(tasks: LQRTasks) -> tuple[list[int], list[int]]:
    """All pairs of tasks."""
    pairs = list(combinations(range(tasks.count), 2))
    return [one for one, _ in pairs], [other for _, other in pairs]


def _outputs(tasks: LQRTasks, K: FloatArray) -> FloatArray:
    """The matrices from the state to z, (I, d + k, d)."""
    weight = np.concatenate(
        [np.concatenate([tasks.Q, tasks.S], axis=2), np.concatenate([tasks.S.mT, tasks.R], axis=2)], axis=1
    )
    return np.asarray(_roots(weight) @ np.concatenate([np.eye(tasks.state_dim), -K]))


def _roots(matrices: FloatArray) -> FloatArray:
    """The symmetric roots of positive semidefinite matrices."""
    eigenvalues, basis = np.linalg.eigh(matrices)
    return np.asarray((basis * np.sqrt(np.maximum(eigenvalues, 0.0))[:, np.newaxis]) @ basis.mT)
