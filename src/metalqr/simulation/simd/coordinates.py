"""The coordinates in which a task is simulated, chosen so that a step costs as few operations as possible.

With ``x = T y`` and ``u = V v`` the process noise has the covariance I and both costs are diagonal:

    y_{l+1} = (T^-1 A T) y_l + (T^-1 B V) v_l + z_l,   z_l ~ N(0, I),   cost = sum_j q_j y_j^2 + sum_j r_j v_j^2.

The cost of a rollout is the same number in both coordinates, and a gain K becomes V'KT. A perturbation U becomes
V'UT. With T = OH, O orthogonal and H upper triangular, that is (V'UO) H; and V'UO is as uniformly distributed on the
sphere as U is. So Algorithm 1 draws W = V'UO and needs half a matrix product for WH; the estimate it needs, Σ cost·U,
equals V (Σ cost·W) O'.
"""

import weakref
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr import LQRTasks


class SimulationTasks(NamedTuple):
    """All tasks in the coordinates of the simulation; one array a field, because compiled code takes it as it is.

    Arrays that every step uses have the precision of the simulation, the others are double. "Column-major" means that
    the last two dimensions of a matrix are swapped.
    """

    transition: NDArray[np.floating]  # (I, d + k, d): [T^-1 A T, -T^-1 B V], applied to [y; v], column-major
    state_cost: NDArray[np.floating]  # (I, d): q
    action_cost: NDArray[np.floating]  # (I, k): r
    start: NDArray[
        np.floating
    ]  # (I, d + k, d): [T^-1 chol(Sigma0), 0], from N(0, I) to the initial state, column-major
    perturbation_map: NDArray[np.floating]  # (I, d, d): H, column-major
    state_map: NDArray[np.float64]  # (I, d, d): T
    state_rotation: NDArray[np.float64]  # (I, d, d): O'
    action_rotation: NDArray[np.float64]  # (I, k, k): V


_KNOWN: weakref.WeakKeyDictionary[LQRTasks, dict[str, SimulationTasks]] = weakref.WeakKeyDictionary()


def simulation_tasks(tasks: LQRTasks, precision: str = "float64") -> SimulationTasks:
    r"""The tasks in the coordinates of the simulation, computed once for each collection of tasks.

    With :math:`\Psi = LL^\top` and the eigenvectors E of :math:`L^\top Q L`, the state map is T = LE; V are the
    eigenvectors of R. The signs of eigenvectors and of H, which another linear algebra library may choose otherwise,
    decide which noise a rollout sees, so they are fixed here. (Within an eigenspace of several dimensions the basis
    stays the library's choice.) Everything is computed in double precision and rounded once to ``precision``.
    """
    known = _KNOWN.setdefault(tasks, {})
    if precision not in known:
        exact = _in_coordinates(tasks)
        known[precision] = SimulationTasks(
            *(np.ascontiguousarray(array, precision) for array in exact[:5]),
            *(np.ascontiguousarray(array) for array in exact[5:]),
        )
    return known[precision]


def _eigenvectors(matrices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues and eigenvectors of symmetric matrices, each vector with a positive product with a generic one."""
    eigenvalues, vectors = np.linalg.eigh(matrices)
    generic = np.cos(np.arange(1.0, matrices.shape[-1] + 1.0))
    return eigenvalues, vectors * np.where(generic @ vectors < 0, -1.0, 1.0)[:, np.newaxis]


def _in_coordinates(tasks: LQRTasks) -> SimulationTasks:
    noise = np.linalg.cholesky(tasks.Psi)
    state_cost, vectors = _eigenvectors(np.swapaxes(noise, -1, -2) @ tasks.Q @ noise)
    action_cost, action_rotation = _eigenvectors(tasks.R)
    state_map = noise @ vectors
    columns = np.concatenate([tasks.A @ state_map, -tasks.B @ action_rotation], axis=-1)
    initial = np.linalg.solve(state_map, np.linalg.cholesky(tasks.Sigma0))
    rotation, triangular = np.linalg.qr(state_map)
    signs = np.sign(np.diagonal(triangular, axis1=-2, axis2=-1))
    return SimulationTasks(
        transition=np.swapaxes(np.linalg.solve(state_map, columns), -1, -2),
        state_cost=state_cost,
        action_cost=action_cost,
        start=np.swapaxes(np.concatenate([initial, np.zeros_like(tasks.B)], axis=-1), -1, -2),
        perturbation_map=np.swapaxes(signs[..., np.newaxis] * triangular, -1, -2),
        state_map=state_map,
        state_rotation=np.swapaxes(rotation * signs[:, np.newaxis], -1, -2),
        action_rotation=action_rotation,
    )
