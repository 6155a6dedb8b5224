"""Continuous systems in discrete time: zero-order hold, Euler steps and the trapezoidal rule."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray


def zero_order_hold(A: ArrayLike, B: ArrayLike, dt: float) -> tuple[FloatArray, FloatArray]:
    r"""Discretise :math:`\dot x = A x + B u` exactly for inputs that are constant over each step of length dt.

    .. math:: \begin{pmatrix} A_d & B_d \\ 0 & I \end{pmatrix} = \exp \begin{pmatrix} A & B \\ 0 & 0 \end{pmatrix} dt

    A is of shape (d, d), B of shape (d, k); so are the results. In python-control, ``c2d(sys, dt)``.
    """
    from scipy.linalg import expm

    A, B = np.asarray(A, dtype=np.float64), np.asarray(B, dtype=np.float64)
    d, k = B.shape
    power = expm(dt * np.block([[A, B], [np.zeros((k, d + k))]]))
    return power[:d, :d], power[:d, d:]


def euler(A: ArrayLike, B: ArrayLike, dt: float) -> tuple[FloatArray, FloatArray]:
    r"""Discretise :math:`\dot x = A x + B u` by an Euler step of length dt: :math:`A_d = I + A\,dt, B_d = B\,dt`.

    A is of shape (d, d), B of shape (d, k); so are the results.
    """
    A, B = np.asarray(A, dtype=np.float64), np.asarray(B, dtype=np.float64)
    return np.eye(len(A)) + dt * A, dt * B


def tustin(A: ArrayLike, B: ArrayLike, dt: float) -> tuple[FloatArray, FloatArray]:
    r"""Discretise :math:`\dot x = A x + B u` by the trapezoidal rule: Tustin's bilinear map for a held input.

    .. math:: A_d = (I - \tfrac{dt}{2} A)^{-1} (I + \tfrac{dt}{2} A), \qquad B_d = (I - \tfrac{dt}{2} A)^{-1} B\,dt

    A is of shape (d, d), B of shape (d, k); so are the results. As ``scipy.signal.cont2discrete`` with ``bilinear``.
    """
    A, B = np.asarray(A, dtype=np.float64), np.asarray(B, dtype=np.float64)
    half, identity = 0.5 * dt * A, np.eye(len(A))
    solved = np.asarray(np.linalg.solve(identity - half, np.hstack([identity + half, dt * B])), dtype=np.float64)
    return solved[:, : len(A)], solved[:, len(A) :]
