"""Two tasks with one state and two actions, for exact expectations of estimates.

Their finite-horizon cost is a polynomial of the gain, so an average over directions in the plane is a quadrature sum
without error. What has the noise of an estimate in it is sampled by plain NumPy rollouts.
"""

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr import LQRTasks

Array = NDArray[np.float64]
#: Steps of a rollout.
LENGTH = 4
# One entry for each task. B is small, and K far from the optimum: then an adaptation moves the gradient much, and
# estimates along normal directions have no heavy tails, in which a standard error would mean nothing.
A, Q, PSI, SIGMA0 = (np.array(values) for values in ([0.5, 0.4], [0.05, 0.1], [0.4, 0.8], [0.7, 0.3]))
B = np.array([[0.1, 0.05], [0.05, -0.1]])
R = np.array([[[1.5, 0.3], [0.3, 1.0]], [[0.8, -0.2], [-0.2, 1.2]]])
P = np.array([0.3, 0.7])
K = np.array([[0.8], [-0.7]])


def copies(count: int) -> LQRTasks:
    """Both tasks so many times, for as many independent estimates at once."""
    arrays = (A, B, Q, R, PSI, SIGMA0)
    shapes = ((1, 1), (1, 2), (1, 1), (2, 2), (1, 1), (1, 1))
    tiled = [np.tile(array.reshape(2, *shape), (count, 1, 1)) for array, shape in zip(arrays, shapes, strict=True)]
    return LQRTasks(*tiled).replace(p=np.tile(P, count) / count)


def stage_cost(gains: Array) -> Array:
    """The factor of the squared state in the cost of a step, for gains (..., 2 tasks, 2)."""
    return Q + np.einsum("...ia,iab,...ib->...i", gains, R, gains)


def cost(gains: Array) -> Array:
    """The mean cost of a rollout by the variances of its states."""
    closed_loop = A - (gains * B).sum(axis=-1)
    variance, total = SIGMA0, np.zeros_like(closed_loop)
    for _ in range(LENGTH):
        variance = closed_loop**2 * variance + PSI
        total += variance
    return stage_cost(gains) * total / LENGTH


def rollout_cost(gains: Array, noise: Array) -> Array:
    """The cost of one rollout."""
    closed_loop = A - (gains * B).sum(axis=-1)
    x, total = np.sqrt(SIGMA0) * noise[0], np.zeros_like(closed_loop)
    for w in noise[1:]:
        x = closed_loop * x + np.sqrt(PSI) * w
        total += x**2
    return stage_cost(gains) * total / LENGTH


def plane(directions: str) -> tuple[Array, Array]:
    """Nodes (q, 2) and weights of a rule for directions with r = 1: the trapezoidal one, or that of Gauss."""
    if directions == "gaussian":
        x, weight = np.polynomial.hermite_e.hermegauss(5)
        nodes = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2) / np.sqrt(2)
        return nodes, np.outer(weight, weight).ravel() / weight.sum() ** 2
    angles = 2 * np.pi * np.arange(10) / 10
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1), np.full(10, 1 / 10)


def unit_directions(rng: np.random.Generator, directions: str, count: int) -> Array:
    """The directions (count, 3, 2 tasks, 2) of inner estimates, for r = 1; orthogonal are the first two of three."""
    z = rng.standard_normal((count, 3, 2, 2))
    if directions == "gaussian":
        return z / np.sqrt(2)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    if directions == "orthogonal":
        side = rng.choice([-1.0, 1.0], size=(count, 2, 1))
        z[:, 1] = side * np.stack([-z[:, 0, :, 1], z[:, 0, :, 0]], axis=-1)
    return z
