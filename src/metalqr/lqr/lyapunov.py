"""Discrete Lyapunov equations for a batch of stable matrices, by doubling."""

import numpy as np

from metalqr.lqr.tasks import FloatArray

#: A power of F this small in norm adds less than one unit in the last place: its contribution enters squared.
NEGLIGIBLE_POWER = 1e-9
#: Enough doublings for the largest spectral radius below one that a double can hold, and for transient growth.
MAX_DOUBLINGS = 64


class LyapunovSolver:
    r"""Solve :math:`X = S + F X F^\top` and :math:`X = S + F^\top X F` for a batch of stable :math:`F`.

    The solution is :math:`X = \sum_{t \ge 0} F^t S (F^\top)^t`. With :math:`X_j` the sum of its first :math:`2^j` terms
    and :math:`F_j = F^{2^j}`, the squared Smith iteration

    .. math:: X_{j+1} = X_j + F_j X_j F_j^\top, \qquad F_{j+1} = F_j^2, \qquad X_0 = S,\ F_0 = F,

    doubles the number of terms at each step, so it converges quadratically: about
    :math:`\log_2 (21 / (1 - \rho(F)))` steps, 9 for :math:`\rho = 0.95` and 25 for :math:`\rho = 1 - 10^{-6}`.
    All terms of the sum are positive semidefinite when S is, so there is no cancellation. The powers are computed once
    and serve every right-hand side.

    Parameters
    ----------
    F : array, shape (I, d, d)
        Matrices with spectral radius below one. The caller decides stability; this class does not test it.
    groups : int
        Number of groups of equal size that are consecutive. The matrices of a group take as many steps as the slowest
        of them, so their solutions are those of the group alone, to the last bit.

    Attributes
    ----------
    converged : array of bool, shape (I,)
        True where the powers tend to zero; false also where ``F`` is so close to instability that rounding decides.

    References
    ----------
    R. A. Smith, Matrix equation XA + BX = C, SIAM J. Appl. Math. 16 (1968) 198-201.
    """

    def __init__(self, F: FloatArray, groups: int = 1) -> None:
        powers = []
        with np.errstate(over="ignore", invalid="ignore"):
            power = F
            for _ in range(MAX_DOUBLINGS):
                negligible = _sizes(power) <= NEGLIGIBLE_POWER
                if np.all(negligible):
                    break
                if groups > 1:
                    finished = negligible.reshape(groups, -1).all(axis=1)
                    if finished.any():  # a power of zero adds nothing
                        power = np.where(finished.repeat(len(F) // groups)[:, np.newaxis, np.newaxis], 0.0, power)
                powers.append(power)
                power = np.matmul(power, power)
            else:
                negligible = _sizes(power) <= NEGLIGIBLE_POWER
        self.converged = negligible
        self._powers = powers

    def solve(self, S: FloatArray) -> FloatArray:
        """Solution of X = S + F X Fᵀ for symmetric S, shape (I, d, d)."""
        return self._sum(S, adjoint=False)

    def solve_adjoint(self, S: FloatArray) -> FloatArray:
        """Solution of X = S + Fᵀ X F for symmetric S, shape (I, d, d)."""
        return self._sum(S, adjoint=True)

    def _sum(self, S: FloatArray, adjoint: bool) -> FloatArray:
        X = S
        with np.errstate(over="ignore", invalid="ignore"):
            for power in self._powers:
                left, right = (power.mT, power) if adjoint else (power, power.mT)
                X = X + left @ X @ right
            # Rounding makes X slightly asymmetric; the exact solution is symmetric.
            return 0.5 * (X + X.mT)


def _sizes(matrices: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.einsum("iab,iab->i", matrices, matrices)))


def with_transposed(S: FloatArray) -> FloatArray:
    """S + Sᵀ, the form of most right-hand sides."""
    return np.asarray(S + S.mT)
