"""Roll-outs of many perturbed policies at once, and the sums over them that Algorithm 1 needs."""

import math
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.config.algorithm import Precision
from metalqr.lqr import LQRTasks
from metalqr.simulation.simd.coordinates import simulation_tasks
from metalqr.simulation.simd.kernel import kernel
from metalqr.simulation.streams import Purpose, Stream, require_addressable


def costs(
    tasks: LQRTasks,
    K: ArrayLike,
    length: int,
    stream: Stream,
    task_of_slot: ArrayLike | None = None,
    precision: str = "float64",
    purpose: Purpose = Purpose.ROLLOUT,
) -> NDArray[np.float64]:
    r"""The cost of one noisy rollout of every policy.

    .. math:: \tilde J^{(\ell)}(K) = \frac1\ell \sum_{l=1}^{\ell} x_l^\top (Q + K^\top R K) x_l,\qquad
              x_{l+1} = (A - BK) x_l + w_l,\quad x_0 \sim N(0, \Sigma_0),\quad w_l \sim N(0, \Psi)

    as in Algorithms 1 and 2. Its expectation is :func:`metalqr.lqr.finite_horizon_cost`. It exists for every gain;
    where the closed loop is so unstable that the cost overflows, it is infinite or not a number.

    Parameters
    ----------
    tasks : LQRTasks
    K : ndarray, shape (I, M, k, d)
        A gain for each roll-out.
    length : int
        :math:`\ell`, steps of a roll-out.
    stream : Stream
    task_of_slot : array_like of int, optional
        Which task each entry of the leading dimension of ``K`` belongs to, if not every task once in order.
    precision : {"float64", "float32"}
        Of the simulation; the noise is the same numbers, rounded.
    purpose : Purpose
        Of the noise: two purposes never share a number.

    Returns
    -------
    ndarray, shape (I, M)

    Raises
    ------
    ValueError
        If the shape of ``K`` does not fit the tasks, a count is not a whole number >= 1, there is no such task, the
        sizes pass the range of the random counters, or there is no such precision.
    """
    _require_precision(precision)
    task_of_slot = _slots(tasks, task_of_slot)
    gains = _gains(tasks, K, len(task_of_slot), length)
    address = stream.address(purpose)
    roll_out = kernel(tasks.state_dim, tasks.action_dim)
    # One perturbation of each gain, with a radius of 0: no directions are drawn, and the first address is not used.
    return roll_out(simulation_tasks(tasks, precision), task_of_slot, gains, 1, 0.0, int(length), address, address)[0]


# The compiled code checks nothing: what does not fit would read foreign memory.


def _slots(tasks: LQRTasks, task_of_slot: ArrayLike | None) -> NDArray[np.int64]:
    """The task of each entry of the leading dimension, checked; by default every task once in order."""
    if task_of_slot is None:
        return np.arange(tasks.count)
    slots = np.asarray(task_of_slot)
    whole_numbers = slots.ndim == 1 and slots.dtype.kind in "iu"
    if not whole_numbers or (slots.size and not 0 <= slots.min() <= slots.max() < tasks.count):
        raise ValueError(f"task_of_slot: {slots.tolist()} is not a list of whole numbers from 0 to {tasks.count - 1}")
    return slots.astype(np.int64)


def _require_precision(precision: str) -> None:
    if precision not in get_args(Precision):
        raise ValueError(f"precision: {precision!r} is not {' or '.join(get_args(Precision))}")


def _require_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: {value!r} is not a whole number >= 1")


def _gains(tasks: LQRTasks, K: ArrayLike, slots: int, length: int, inner_perturbations: int = 1) -> NDArray[np.float64]:
    """Check the gains (slots, M, k, d) and the sizes, and only then copy the gains into one piece."""
    gains = np.asarray(K, dtype=np.float64)
    action_dim, state_dim = tasks.action_dim, tasks.state_dim
    if gains.ndim != 4 or (gains.shape[0], *gains.shape[2:]) != (slots, action_dim, state_dim):
        raise ValueError(
            f"K has shape {gains.shape}, expected ({slots}, M, {action_dim}, {state_dim}): M gains for each task"
        )
    _require_count("length", length)
    _require_count("perturbations", inner_perturbations)
    numbers = max((int(length) + 1) * state_dim, action_dim * state_dim)
    require_addressable(gains.shape[0] * gains.shape[1], numbers, int(inner_perturbations))
    return np.ascontiguousarray(gains)


def smoothed_gradients(
    tasks: LQRTasks,
    K: ArrayLike,
    perturbations: int,
    radius: float,
    length: int,
    stream: Stream,
    task_of_slot: ArrayLike | None = None,
    precision: str = "float64",
    mirrored: bool = False,
) -> NDArray[np.float64]:
    r"""Algorithm 1 at many gains: a zeroth-order estimate of the gradient from rollouts of perturbed policies.

    .. math:: \tilde\nabla J(K) = \frac1M \sum_{m=1}^M \frac{dk}{r^2} \tilde J^{(\ell)}(K + U_m) U_m

    Perturbations and costs live and die in the compiled loop, so memory does not grow with M or :math:`\ell`.

    Parameters
    ----------
    tasks : LQRTasks
    K : ndarray, shape (I, P, k, d)
        Gains, P for each task.
    perturbations, radius, length
        :math:`M`, :math:`r` and :math:`\ell`.
    stream : Stream
    task_of_slot : array_like of int, optional
        As in :func:`costs`.
    precision : {"float64", "float32"}
        As in :func:`costs`.
    mirrored : bool
        Take :math:`-U_m` for every :math:`U_m`, with noise of its own: the other half of a two-point estimate.

    Returns
    -------
    ndarray, shape (I, P, k, d)

    Raises
    ------
    ValueError
        As :func:`costs`, or if the radius is not finite and positive.
    """
    _require_precision(precision)
    task_of_slot = _slots(tasks, task_of_slot)
    gains = _gains(tasks, K, len(task_of_slot), length, perturbations)
    if not 0.0 < radius < math.inf:
        raise ValueError(f"radius: {radius!r} is not a finite number > 0")
    return kernel(tasks.state_dim, tasks.action_dim)(
        simulation_tasks(tasks, precision),
        task_of_slot,
        gains,
        int(perturbations),
        -float(radius) if mirrored else float(radius),
        int(length),
        stream.address(Purpose.INNER_PERTURBATION),
        stream.address(Purpose.MIRRORED_INNER_ROLLOUT if mirrored else Purpose.INNER_ROLLOUT),
    )[1]
