"""One task in units in which its weights are near one, so that the units of the user decide nothing."""

from dataclasses import dataclass

import numpy as np

from metalqr.lqr.tasks import FloatArray, LQRTasks

#: Units change by powers of 2^8 alone: no entry is rounded, and a task with weights from 2^-8 to 2^8 stays as it is.
UNIT_EXPONENT = 8


@dataclass(frozen=True, eq=False)
class ScaledTask:
    r"""A task without cross term in the coordinates :math:`x = D z`, :math:`u = T v - R^{-1} S^\top x`, D, T diagonal.

    .. math:: A' = D^{-1} (A - B R^{-1} S^\top) D, \quad B' = D^{-1} B T, \quad
              Q' = D (Q - S R^{-1} S^\top) D, \quad R' = T R T, \quad
              P = D^{-1} P' D^{-1}, \quad K = T K' D^{-1} + R^{-1} S^\top.

    The closed loop and the cost stay what they are. D and T are those powers of :math:`2^8` that bring the diagonals of
    D Q D and R' nearest to one; a state without weight has that of the first later state that it leads to. They follow
    a change of the unit of a state, of an input, or of the cost, so that the task is the same problem in any units.

    Attributes
    ----------
    A, B, Q, R : array
        Matrices of the scaled task.
    states : array, shape (d,)
        The diagonal of D.
    inputs : array, shape (k,)
        The diagonal of T.
    shift : array, shape (k, d), or None
        :math:`R^{-1} S^\top` in the task's own units; None without cross term.
    weight : float
        Norm of :math:`D Q D`, in units of whose rounding Q' is known.
    """

    A: FloatArray
    B: FloatArray
    Q: FloatArray
    R: FloatArray
    states: FloatArray
    inputs: FloatArray
    shift: FloatArray | None
    weight: float

    @classmethod
    def of(cls, tasks: LQRTasks, task: int) -> "ScaledTask":
        """Scale a task."""
        A, B, Q, R, S = (getattr(tasks, name)[task] for name in ("A", "B", "Q", "R", "S"))
        states, inputs = _units(_weights_of_states(A, Q)), _units(np.diagonal(R))
        weight, shift = float(np.linalg.norm(Q * states * states[:, np.newaxis])), None
        if S.any():
            shift = np.linalg.solve(R, S.T)
            A, Q = A - B @ shift, Q - S @ shift
            Q = 0.5 * (Q + Q.T)
        return cls(
            A * states / states[:, np.newaxis],
            B * inputs / states[:, np.newaxis],
            Q * states * states[:, np.newaxis],
            R * inputs * inputs[:, np.newaxis],
            states,
            inputs,
            shift,
            weight,
        )

    def value_matrix(self, P: FloatArray) -> FloatArray:
        """P in the task's own units, of a P of the scaled task."""
        return P / self.states / self.states[:, np.newaxis]

    def gain(self, K: FloatArray) -> FloatArray:
        """K in the task's own units, of a K of the scaled task."""
        gain = K * self.inputs[:, np.newaxis] / self.states
        return gain if self.shift is None else gain + self.shift


def _weights_of_states(A: FloatArray, Q: FloatArray) -> FloatArray:
    """The diagonal of Q, and where that is zero the first of the (Aᵗ)ᵀ Q Aᵗ that is not; 1 if all are."""
    weights, later = np.diagonal(Q).copy(), Q
    for _ in range(len(A)):
        if (weights > 0.0).all():
            break
        later = A.T @ later @ A
        weights = np.where(weights > 0.0, weights, np.diagonal(later))
    return np.where(np.isfinite(weights) & (weights > 0.0), weights, 1.0)


def _units(weights: FloatArray) -> FloatArray:
    """The nearest powers of 2^8 to the inverse roots of the weights."""
    exponents = np.round(-0.5 * np.log2(weights) / UNIT_EXPONENT)
    return np.asarray(np.exp2(UNIT_EXPONENT * exponents))
