r"""Descent with noisy estimates: in expectation for a clipped step, and the chance of leaving a sub-level set."""

import math

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import not_negative, positive
from metalqr.lqr import LQRTasks
from metalqr.theory.certificates.smoothness import ObjectiveCentre
from metalqr.theory.certificates.step import Certificate


def expected_change(
    certificate: Certificate, learning_rate: float, bias: float, variance: float, *, curvature: float | None = None
) -> float:
    r"""Upper bound of :math:`E[L(K^+) \mid K] - L(K)` for one step along a noisy estimate, clipped to the ball.

    For :math:`\tilde g` of mean :math:`\nabla L(K) + b` and total variance :math:`V = E\|\tilde g - E\tilde g\|_F^2`,
    and :math:`K^+ = K - \alpha c \tilde g` with :math:`c = \min(1, \delta / (\alpha \|\tilde g\|_F))`,

    .. math::

        E[L(K^+) \mid K] - L(K) \le -\alpha \|\nabla L\|^2
        + \alpha \|\nabla L\| \left( \|b\| + \frac{\alpha S}{4 \delta} \right) + \frac{\alpha^2}2 \hat L S, \qquad
        S = (\|\nabla L\| + \|b\|)^2 + V .

    Noise enters with :math:`\alpha^2`: at a small learning rate it averages out over the iterations, however few the
    perturbations are. ``docs/certificates.md`` has the proof. The idea of a descent in expectation is that of the
    reference; the term with :math:`\delta` is the price of the clipping, which the certificate needs.

    Parameters
    ----------
    certificate : Certificate
        Of K, from :func:`metalqr.theory.certificates.at`.
    learning_rate : float
        :math:`\alpha`, any.
    bias, variance : float
        Upper bounds of :math:`\|b\|_F` and V.
    curvature : float, optional
        A smaller bound in place of :math:`\hat L S`, from :func:`expected_curvature`.

    References
    ----------
    D. Malik, A. Pananjady, K. Bhatia, K. Khamaru, P. L. Bartlett, M. J. Wainwright, Derivative-free methods for policy
    optimization: guarantees for linear quadratic systems, AISTATS 2019.
    """
    rate, slope = positive("learning_rate", learning_rate), certificate.gradient_norm
    wrong = not_negative("bias", bias)
    if not certificate.step_size > 0.0:
        return math.inf
    linear, quadratic = _terms(certificate, wrong, not_negative("variance", variance), curvature)
    return rate * (slope * (wrong - slope) + rate * (slope * linear + 0.5 * quadratic))


def largest_expected_step(
    certificate: Certificate, bias: float, variance: float, *, curvature: float | None = None
) -> float:
    r"""Learning rate below which :func:`expected_change` is negative: L falls in expectation.

    .. math:: \alpha < \frac{\|\nabla L\| (\|\nabla L\| - \|b\|)}{S (\|\nabla L\| / (4 \delta) + \hat L / 2)}

    Zero where the bias is at least as long as the gradient, or nothing is certified.
    """
    slope, wrong = certificate.gradient_norm, not_negative("bias", bias)
    if not (certificate.step_size > 0.0 and slope > wrong):
        return 0.0
    linear, quadratic = _terms(certificate, wrong, not_negative("variance", variance), curvature)
    return slope * (slope - wrong) / (slope * linear + 0.5 * quadratic)


def _terms(certificate: Certificate, bias: float, variance: float, curvature: float | None) -> tuple[float, float]:
    """The shift of the mean by clipping, over the learning rate, and the second-order term."""
    square = (certificate.gradient_norm + bias) ** 2 + variance
    return square / (4.0 * certificate.radius), certificate.smoothness * square if curvature is None else curvature


def expected_curvature(
    tasks: LQRTasks, K: ArrayLike, adaptation_rate: float, radius: float, bias: float, covariance: ArrayLike
) -> float:
    r"""Bound of :math:`E \langle \tilde g, \nabla^2 L(K + \Delta) \tilde g \rangle`, Δ in the ball; second order.

    .. math:: \mathrm{Tr}(\bar H_+ C) + \lambda_{\max}(\bar H_+) (\|\nabla L\| + \|b\|)^2 + v(\delta) S ,

    with the positive part of :meth:`ObjectiveCentre.mean_hessian`, and the bound v of the difference to it on the ball.
    Noise spreads over all directions, in most of which L curves far less than in the steepest: that is the gain over
    :math:`\hat L S`. NaN where the ball has no certificate.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
    adaptation_rate : float
    radius : float
        :math:`\delta`.
    bias : float
        Upper bound of :math:`\|b\|_F`.
    covariance : array_like, shape (dk, dk)
        C of :math:`\tilde g`, entries in the order of ``K.ravel()``; for independent estimates of all tasks
        :math:`\sum_i p_i^2 C_i`.
    """
    centre, C = ObjectiveCentre(tasks, K, adaptation_rate), np.asarray(covariance, dtype=np.float64)
    if C.shape != (centre.K.size, centre.K.size):
        raise ValueError(f"covariance has shape {C.shape}, expected {(centre.K.size, centre.K.size)}: that of a gain")
    values, vectors = np.linalg.eigh(centre.mean_hessian())
    positive_part = np.maximum(values, 0.0)
    mean = (float(np.linalg.norm(centre.gradient)) + not_negative("bias", bias)) ** 2
    spread = float(positive_part @ np.einsum("ab,ac,cb->b", vectors, C, vectors))
    variation = centre.smoothness(positive("radius", radius)).variation
    return spread + float(positive_part.max()) * mean + variation * (mean + float(np.trace(C)))


def leaving_probability(gap: float, level_gap: float, budget: float) -> float:
    r"""Upper bound of the chance that L ever exceeds a level c while the known increases stay within a budget.

    .. math:: P\Bigl( \max_{n \le \tau} L(K_n) > c \Bigr) \le \frac{L(K_0) - L^* + b}{c - L^*}

    Here :math:`e_n \ge 0` bounds :math:`E[L(K_{n+1}) \mid K_n] - L(K_n)`, such as the positive part of
    :func:`expected_change` at :math:`K_n`, and the run is stopped at :math:`\tau`, before
    :math:`e_0 + \dots + e_n` would exceed the budget b: it is known along the run, without a supremum.

    Proof. :math:`Y_n = L(K_{n \wedge \tau}) - L^* + b - \sum_{j < n \wedge \tau} e_j` is a supermartingale, and not
    negative: the sum is at most b, and :math:`L \ge L^*`. Ville's inequality for it at the level :math:`c - L^*`.

    Parameters
    ----------
    gap : float
        :math:`L(K_0) - L^*`, or more; any lower bound of L serves as :math:`L^*`, such as
        :math:`\sum_i p_i J_i^*`.
    level_gap : float
        :math:`c - L^*`.
    budget : float
        b.

    References
    ----------
    J. Ville, Étude critique de la notion de collectif, Paris 1939.
    """
    start = not_negative("gap", gap) + not_negative("budget", budget)
    return min(1.0, start / positive("level_gap", level_gap))
