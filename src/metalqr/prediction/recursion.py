"""The linear recursion of a gain's fluctuations around its mean, in the eigenbasis of the curvature."""

from typing import NamedTuple

import numpy as np

from metalqr.lqr import FloatArray

#: Doublings of the stationary covariance: enough for a contraction by 1 - 1e-15 a step.
_MAX_DOUBLINGS = 60
#: Size of a power of the recursion that adds nothing: it enters squared.
_NEGLIGIBLE = 1e-9


class Sums(NamedTuple):
    """How a step adds to the sum of the gains of which the average is taken."""

    keeps: float  # 1 if earlier gains are in the sum
    adds: float  # 1 if the next one is


NO_SUM = Sums(0.0, 0.0)


class Recursion:
    r"""Fluctuations :math:`e_t = K_t - \bar K_t` of a gain that follows :math:`g_t = H e_t + \xi_t`.

    .. math:: v_{t+1} = \beta v_t + g_t, \qquad e_{t+1} = e_t - \alpha_t v_{t+1}, \qquad
              s_{t+1} = c_t s_t + a_t e_{t+1}

    with white noise :math:`\xi_t` of covariance :math:`C_t`, :math:`\beta = 0` for plain steps, and a sum s of the
    gains that are averaged. In the eigenbasis of H each pair of entries has a recursion of its own: the state
    :math:`z = (e, v, s)` of entry i has the matrix :math:`T_i` and noise enters along b, so that

    .. math:: \Sigma_{ij} \leftarrow T_i \Sigma_{ij} T_j^\top + C_{ij} b b^\top .

    Parameters
    ----------
    momentum : float
        :math:`\beta`; at 0, v is no part of the state.
    averages : bool
        With the sum s.
    """

    def __init__(self, momentum: float = 0.0, averages: bool = False) -> None:
        self.momentum = momentum
        #: Parts of the state that a step moves: the gain, and with momentum the velocity.
        self.moving = 1 + (momentum > 0)
        self.order = self.moving + averages
        self._averages = averages

    def transition(self, curvature: FloatArray, rate: float, sums: Sums = NO_SUM) -> tuple[FloatArray, FloatArray]:
        """T, shape (q, q, n), and b, shape (q,), for curvatures (n,) and a learning rate."""
        T, b = np.zeros((self.order, self.order, len(curvature))), np.zeros(self.order)
        T[0, 0], b[0] = 1.0 - rate * curvature, -rate
        if self.momentum > 0:
            T[0, 1], T[1, 0], T[1, 1], b[1] = -rate * self.momentum, curvature, self.momentum, 1.0
        if self._averages:
            T[-1], b[-1] = sums.adds * T[0], sums.adds * b[0]
            T[-1, -1] += sums.keeps
        return T, b

    def memory(self, transitions: list[FloatArray], basis: FloatArray) -> FloatArray:
        """What some steps make of a fluctuation, (m, m) in the basis of the entries, m = n or with momentum 2 n."""
        count, size = self.moving, len(basis)
        product = np.zeros((count, count, size))
        product[range(count), range(count)] = 1.0
        for T in transitions:
            product = np.einsum("abn,bcn->acn", T[:count, :count], product)
        return np.block([[(basis * product[i, j]) @ basis.T for j in range(count)] for i in range(count)])

    def radius(self, curvature: FloatArray, rate: float) -> float:
        """Spectral radius of a step, without the sum; beyond 1 it overshoots, and fluctuations grow for ever.

        Directions of negative curvature, along which they grow for as long as the mean path is there, count as flat.
        """
        T, _ = Recursion(self.momentum).transition(np.maximum(curvature, 0.0), rate)
        return float(np.abs(np.linalg.eigvals(np.moveaxis(T, -1, 0))).max())

    def stationary(self, curvature: FloatArray, rate: float, noise: FloatArray) -> FloatArray | None:
        r"""Covariance (n, n) of the gain after infinitely many steps, in the eigenbasis; None if it grows for ever.

        With :math:`\Sigma_j` the sum of the first :math:`2^j` terms, :math:`\Sigma_{j+1} = \Sigma_j + T^{2^j} \Sigma_j
        (T^{2^j})^\top`.
        """
        plain = Recursion(self.momentum)
        if curvature.min() <= 0.0 or not plain.radius(curvature, rate) < 1.0:
            return None
        power, b = plain.transition(curvature, rate)
        total = entering(b, noise)
        for _ in range(_MAX_DOUBLINGS):
            if np.abs(power).max() <= _NEGLIGIBLE:
                break
            total = total + moved(power, total)
            power = np.einsum("abn,bcn->acn", power, power)
        return np.asarray(total[0, 0])


def moved(T: FloatArray, covariance: FloatArray) -> FloatArray:
    r""":math:`T_i \Sigma_{ij} T_j^\top` for all pairs, of covariances (q, q, n, n)."""
    if len(T) == 1:
        return T[:, :, :, np.newaxis] * covariance * T[:, :, np.newaxis]
    left = np.einsum("acn,cdnm->adnm", T, covariance)
    return np.einsum("adnm,bdm->abnm", left, T)


def entering(b: FloatArray, noise: FloatArray) -> FloatArray:
    """What a step's noise of covariance (n, n) adds to a covariance (q, q, n, n)."""
    return np.asarray(np.multiply.outer(np.outer(b, b), noise))


def turned(basis: FloatArray, covariance: FloatArray) -> FloatArray:
    """Covariances (..., n, n) of the coordinates in an orthonormal basis, whose vectors are the columns."""
    return np.asarray(basis.T @ covariance @ basis)
