r"""Descent with noisy estimates: in expectation for a clipped step, and the chance of leaving a sub-level set."""

import math

from metalqr.common.validation import not_negative, positive
from metalqr.theory.certificates.step import Certificate


def expected_change(certificate: Certificate, learning_rate: float, bias: float, variance: float) -> float:
    r"""Upper bound of :math:`E[L(K^+) \mid K] - L(K)` for one step along a noisy estimate, clipped to the ball.

    For :math:`\tilde g` of mean :math:`\nabla L(K) + b` and total variance :math:`V = E\|\tilde g - E\tilde g\|_F^2`,
    and :math:`K^+ = K - \alpha c \tilde g` with :math:`c = \min(1, \delta / (\alpha \|\tilde g\|_F))`,

    .. math::

        E[L(K^+) \mid K] - L(K) \le -\alpha \|\nabla L\|^2
        + \alpha \|\nabla L\| \left( \|b\| + \frac\alpha\delta S \right) + \frac{\alpha^2}2 \hat L S, \qquad
        S = (\|\nabla L\| + \|b\|)^2 + V .

    Noise enters with :math:`\alpha^2`: at a small learning rate it averages out over the iterations, however few the
    perturbations are. ``docs/certificates.md`` has the proof. The idea of a descent in expectation is that of the
    reference; the term with :math:`\alpha / \delta` is the price of the clipping, which the certificate needs.

    Parameters
    ----------
    certificate : Certificate
        Of K, from :func:`metalqr.theory.certificates.at`.
    learning_rate : float
        :math:`\alpha`, any.
    bias, variance : float
        Upper bounds of :math:`\|b\|_F` and V.

    References
    ----------
    D. Malik, A. Pananjady, K. Bhatia, K. Khamaru, P. L. Bartlett, M. J. Wainwright, Derivative-free methods for policy
    optimization: guarantees for linear quadratic systems, AISTATS 2019.
    """
    rate, wrong = positive("learning_rate", learning_rate), not_negative("bias", bias)
    slope = certificate.gradient_norm
    square = (slope + wrong) ** 2 + not_negative("variance", variance)
    if not certificate.step_size > 0.0:
        return math.inf
    clipping = rate * square / certificate.radius
    return rate * slope * (wrong + clipping - slope) + 0.5 * rate**2 * certificate.smoothness * square


def largest_expected_step(certificate: Certificate, bias: float, variance: float) -> float:
    r"""Learning rate below which :func:`expected_change` is negative: L falls in expectation.

    .. math:: \alpha < \frac{\|\nabla L\| (\|\nabla L\| - \|b\|)}{S (\|\nabla L\| / \delta + \hat L / 2)}

    Zero where the bias is at least as long as the gradient, or nothing is certified.
    """
    slope, wrong = certificate.gradient_norm, not_negative("bias", bias)
    square = (slope + wrong) ** 2 + not_negative("variance", variance)
    if not (certificate.step_size > 0.0 and slope > wrong):
        return 0.0
    return slope * (slope - wrong) / (square * (slope / certificate.radius + 0.5 * certificate.smoothness))


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
