"""The coordinates in which a task is simulated, chosen so that a step costs as few operations as possible.

With ``x = T y`` and ``u = V v`` the process noise has the covariance I and both costs are diagonal:

    y_{l+1} = (T^-1 A T) y_l + (T^-1 B V) v_l + z_l,   z_l ~ N(0, I),   cost = sum_j q_j y_j^2 + sum_j r_j v_j^2.

The cost of a rollout is the same number in both coordinates, and a gain K becomes V'KT. A perturbation U becomes
V'UT. With T = OH, O orthogonal and H upper triangular, that is (V'UO) H; and V'UO is as uniformly distributed on the
sphere as U is. So Algorithm 1 draws W = V'UO and needs half a matrix product for WH; the estimate it needs, Σ cost·U,
equals V (Σ cost·W) O'.

Two changes of the task come before. A cross term S is removed by the feedback -R^-1 S'x: with A - B R^-1 S',
Q - S R^-1 S' and K - R^-1 S' in place of A, Q and K, the closed loop and the cost stay what they are. And where the
noise of some task has not full rank, there is no T that makes it I. Then T = DE with the scale D of each state, so that
a unit decides nothing, and the eigenvectors E of DQD, and the noise is z_l = F n_l with as many normals n_l as the
largest rank: the columns of F that a task of smaller rank lacks are zero.
"""

import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr import LQRTasks
from metalqr.lqr.tasks import definite
from metalqr.simulation.simd.normals import BLOCK

#: Multiple of d times the rounding below which an eigenvalue of a singular covariance is zero, its diagonal being one.
ZERO_EIGENVALUE = 10.0


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
    ]  # (I, d + k, d): [T^-1 root(Sigma0), 0], from N(0, I) to the initial state, column-major
    #: (I, rank, d): F, column-major; None where the noise of a step is N(0, I) itself. The compiled code depends on it.
    noise_map: NDArray[np.floating] | None
    #: (I, d): T^-1 m, the mean of the initial state, which is then the first that costs, and alone random: the cost is
    #: the sum of the steps, not the mean. None where the process has noise. The compiled code depends on it, too.
    start_mean: NDArray[np.floating] | None
    perturbation_map: NDArray[np.floating]  # (I, d, d): H, column-major
    state_map: NDArray[np.float64]  # (I, d, d): T
    state_rotation: NDArray[np.float64]  # (I, d, d): O'
    action_rotation: NDArray[np.float64]  # (I, k, k): V


#: The arrays that every step uses.
_OF_STEPS = ("transition", "state_cost", "action_cost", "start", "noise_map", "start_mean", "perturbation_map")
_KNOWN: weakref.WeakKeyDictionary[LQRTasks, dict[str, SimulationTasks]] = weakref.WeakKeyDictionary()


def simulation_tasks(tasks: LQRTasks, precision: str = "float64") -> SimulationTasks:
    r"""The tasks in the coordinates of the simulation, computed once for each collection of tasks.

    With :math:`\Psi = LL^\top` and the eigenvectors E of :math:`L^\top Q L`, the state map is T = LE; V are the
    eigenvectors of R. If some :math:`\Psi` is singular, T is that of the module's docstring. The signs of eigenvectors
    and of H, which another linear algebra library may choose otherwise, decide which noise a rollout sees, so they are
    fixed here. (Within an eigenspace of several dimensions the basis stays the library's choice.) Everything is
    computed in double precision and rounded once to ``precision``.
    """
    known = _KNOWN.setdefault(tasks, {})
    if precision not in known:
        arrays: dict[str, Any] = _in_coordinates(tasks)._asdict()
        for name, array in arrays.items():
            if array is not None:
                arrays[name] = np.ascontiguousarray(array, precision if name in _OF_STEPS else None)
        known[precision] = SimulationTasks(**arrays)
    return known[precision]


def gain_shift(tasks: LQRTasks) -> NDArray[np.float64] | None:
    """R^-1 S' (I, k, d), by which gains are smaller in the simulation; None without cross terms."""
    return np.asarray(np.linalg.solve(tasks.R, tasks.S.mT)) if tasks.has_cross_terms else None


def numbers_of_rollout(simulated: SimulationTasks, length: int) -> int:
    """Random numbers that a rollout has, or has passed over."""
    state_dim = simulated.state_cost.shape[1]
    if simulated.noise_map is None:
        return (length + 1) * state_dim
    return -(-state_dim // BLOCK) * BLOCK + (length + 1) * simulated.noise_map.shape[1]


def _eigenvectors(matrices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues and eigenvectors of symmetric matrices, each vector with a positive product with a generic one."""
    eigenvalues, vectors = np.linalg.eigh(matrices)
    generic = np.cos(np.arange(1.0, matrices.shape[-1] + 1.0))
    return eigenvalues, vectors * np.where(generic @ vectors < 0, -1.0, 1.0)[:, np.newaxis]


def _in_coordinates(tasks: LQRTasks) -> SimulationTasks:
    A, Q, shift = tasks.A, tasks.Q, gain_shift(tasks)
    if shift is not None:
        A, Q = A - tasks.B @ shift, Q - tasks.S @ shift
        Q = 0.5 * (Q + Q.mT)
    action_cost, action_rotation = _eigenvectors(tasks.R)
    noise_map = start_mean = None
    if definite(tasks.Psi).all():
        noise = np.linalg.cholesky(tasks.Psi)
        state_cost, vectors = _eigenvectors(np.swapaxes(noise, -1, -2) @ Q @ noise)
        state_map = noise @ vectors
    else:
        scales = _scales(tasks)
        state_cost, vectors = _eigenvectors(scales[:, :, np.newaxis] * Q * scales[:, np.newaxis])
        state_map = scales[:, :, np.newaxis] * vectors
        factors = np.stack([_factor(covariance) for covariance in tasks.Psi])
        rank = int(np.count_nonzero(factors.any(axis=1), axis=1).max())
        noise_map = np.swapaxes(np.linalg.solve(state_map, factors[:, :, :rank]), -1, -2)
    columns = np.concatenate([A @ state_map, -tasks.B @ action_rotation], axis=-1)
    initial = np.linalg.solve(state_map, _root(tasks.Sigma0))
    if tasks.noise == "initial_state":
        start_mean = np.linalg.solve(state_map, tasks.initial_mean[:, :, np.newaxis])[:, :, 0]
    rotation, triangular = np.linalg.qr(state_map)
    signs = np.sign(np.diagonal(triangular, axis1=-2, axis2=-1))
    return SimulationTasks(
        transition=np.swapaxes(np.linalg.solve(state_map, columns), -1, -2),
        state_cost=state_cost,
        action_cost=action_cost,
        start=np.swapaxes(np.concatenate([initial, np.zeros_like(tasks.B)], axis=-1), -1, -2),
        noise_map=noise_map,
        start_mean=start_mean,
        perturbation_map=np.swapaxes(signs[..., np.newaxis] * triangular, -1, -2),
        state_map=state_map,
        state_rotation=np.swapaxes(rotation * signs[:, np.newaxis], -1, -2),
        action_rotation=action_rotation,
    )


def _scales(tasks: LQRTasks) -> NDArray[np.float64]:
    """The deviation of each state without control, at most d steps after the start, and 1 where it never moves."""
    covariance, variances = tasks.Sigma0 + tasks.excitation, np.zeros(tasks.A.shape[:2])
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(tasks.state_dim):
            found = covariance.diagonal(axis1=1, axis2=2)
            # The first one of each state: later ones of an unstable task say more of the task than of the unit.
            variances = np.where(variances > 0.0, variances, np.where(np.isfinite(found), found, 0.0))
            covariance = tasks.A @ covariance @ tasks.A.mT
    return np.sqrt(np.where(variances > 0.0, variances, 1.0))


def _root(covariances: NDArray[np.float64]) -> NDArray[np.float64]:
    """A square factor of each covariance: that of Cholesky, or where it is singular that of its eigenvectors."""
    if definite(covariances).all():
        return np.asarray(np.linalg.cholesky(covariances))
    roots = np.stack([_factor(each) for each in covariances])
    known = definite(covariances)
    roots[known] = np.linalg.cholesky(covariances[known])
    return roots


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """A square factor of a covariance that may be singular: its rank is the number of columns before those of zeros."""
    variances = np.diagonal(covariance)
    units = np.sqrt(np.where(variances > 0.0, variances, 1.0))
    found, vectors = _eigenvectors((covariance / units / units[:, np.newaxis])[np.newaxis])
    largest_first = slice(None, None, -1)
    eigenvalues, vectors = found[0, largest_first], vectors[0, :, largest_first]
    zero = ZERO_EIGENVALUE * len(units) * np.finfo(np.float64).eps * max(eigenvalues[0], 0.0)
    kept = np.where(eigenvalues > zero, eigenvalues, 0.0)
    return np.asarray(units[:, np.newaxis] * np.where(kept > 0.0, vectors, 0.0) * np.sqrt(kept))
