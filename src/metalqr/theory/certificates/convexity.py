r"""Local strong convexity, and with it a bound of the gap to a minimum that is not vacuous."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import positive
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.optimal.scalar import scalar_intervals
from metalqr.theory.certificates.smoothness import ObjectiveCentre

#: Radii that are tried, as shares of the least stability radius.
SHARES = np.geomspace(0.5, 1e-6, 24)


@dataclass(frozen=True)
class Convexity:
    r"""Strong convexity of L on a ball around a gain, and what follows for the gain.

    On :math:`\|\Delta\|_F \le \delta`, :math:`\nabla^2 L(K + \Delta) \succeq m I`. Where
    :math:`\|\nabla L(K)\| < m \delta / 2`, the ball has exactly one stationary point of L, a minimum :math:`K^\circ`
    inside, and

    .. math:: L(K) - L(K^\circ) \le \frac{\|\nabla L(K)\|_F^2}{2 m}, \qquad
              \|K - K^\circ\|_F \le \frac{\|\nabla L(K)\|_F}{m} .

    At a minimum :math:`K^*` itself, the first inequality holds for every gain of the ball with its own gradient.

    Attributes
    ----------
    radius, modulus, gradient_norm : float
        :math:`\delta`, m and :math:`\|\nabla L(K)\|_F`. Radius and modulus are zero where no ball is certified.
    """

    radius: float
    modulus: float
    gradient_norm: float

    @property
    def has_minimum(self) -> bool:
        """Whether the ball certainly has a minimum."""
        return self.gradient_norm < 0.5 * self.modulus * self.radius

    @property
    def gap(self) -> float:
        """Bound of L(K) less its minimum on the ball; infinite without one."""
        return self.gradient_norm**2 / (2.0 * self.modulus) if self.has_minimum else float("inf")

    @property
    def distance(self) -> float:
        """Bound of the distance from K to that minimum, in the Frobenius norm; infinite without one."""
        return self.gradient_norm / self.modulus if self.has_minimum else float("inf")


def strong_convexity(
    tasks: LQRTasks, K: ArrayLike, adaptation_rate: float = 0.0, *, radius: float | None = None
) -> Convexity:
    r"""Certify strong convexity of the meta-objective around a gain; formula 10.

    .. math:: m = \lambda_{\min}(\bar H) - v(\delta)

    with the Hessian at K but for third derivatives, :meth:`ObjectiveCentre.mean_hessian`, and the bound v of the
    difference to it on the ball, :attr:`Smoothness.variation`.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
        Such as the optimum, or the last gain of a run.
    adaptation_rate : float
        :math:`\eta`; with 0 the objective is the mean cost.
    radius : float, optional
        :math:`\delta`; by default that with the largest :math:`m \delta`, for which most gains have a certified gap.

    Raises
    ------
    UnstablePolicyError
        If K, or K adapted to a task, does not stabilise that task.
    """
    centre = ObjectiveCentre(tasks, K, adaptation_rate)
    norm, least = float(np.linalg.norm(centre.gradient)), float(np.linalg.eigvalsh(centre.mean_hessian())[0])
    if radius is not None:
        return _convexity(centre, positive("radius", radius), least, norm)
    widest = min(float(centre.stability_radius.min()), 1.0 + float(np.linalg.norm(centre.K)))
    best = Convexity(0.0, 0.0, norm)
    if least <= 0.0:
        return best
    for share in SHARES:
        found = _convexity(centre, float(share) * widest, least, norm)
        if found.modulus * found.radius > best.modulus * best.radius:
            best = found
        elif best.modulus > 0.0:  # the product has passed its maximum
            break
    return best


def _convexity(centre: ObjectiveCentre, radius: float, least: float, norm: float) -> Convexity:
    modulus = least - centre.smoothness(radius).variation
    return Convexity(radius, modulus, norm) if modulus > 0.0 else Convexity(0.0, 0.0, norm)


def scalar_strong_convexity(tasks: LQRTasks) -> FloatArray:
    r"""Modulus of strong convexity of every scalar task's cost over all stabilising gains, shape (I,).

    .. math:: J'' \ge \tfrac14 \psi b^2 \left( \alpha_-^{1/4} + \alpha_+^{1/4} \right)^4, \qquad
              \alpha_\mp = \tfrac12 \left( q + r (1 \mp a)^2 / b^2 \right) ,

    attained at one gain. So :math:`L - L^* \le (L')^2 / (2 \sum_i p_i m_i)` for the mean cost at *every* gain that
    stabilises all tasks.

    Proof. With the closed loop :math:`f = a - bK`, :math:`J = \psi (q + r (a - f)^2 / b^2) / (1 - f^2)
    = \psi (-r / b^2 + \alpha_- / (1 - f) + \alpha_+ / (1 + f))` in partial fractions, so
    :math:`J'' = 2 \psi b^2 (\alpha_- / (1 - f)^3 + \alpha_+ / (1 + f)^3)`. The derivative by f vanishes where
    :math:`(1 + f) / (1 - f) = (\alpha_+ / \alpha_-)^{1/4}`, and the value there is the bound.

    Raises
    ------
    ValueError
        If the tasks do not have d = k = 1, or a cost with a cross term S.
    """
    scalar_intervals(tasks)
    if tasks.has_cross_terms:
        raise ValueError("the tasks have a cross term S in the cost; the closed form is for S = 0")
    a, b, q, r = (array[:, 0, 0] for array in (tasks.A, tasks.B, tasks.Q, tasks.R))
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [0.5 * (q + r * (1.0 + sign * a) ** 2 / b**2) for sign in (-1.0, 1.0)]
        modulus = 0.25 * tasks.excitation[:, 0, 0] * b**2 * (ends[0] ** 0.25 + ends[1] ** 0.25) ** 4
    return np.where(b != 0.0, modulus, 2.0 * r * tasks.excitation[:, 0, 0] / (1.0 - a**2))
