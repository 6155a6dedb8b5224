"""Sample sizes and rollout lengths from concentration inequalities, for means of matrices and for quadratic forms.

All sizes are real numbers: they are far too large to round.
"""

import math


def bernstein_sample_size(
    rows: float, columns: float, variance: float, bound: float, error: float, failure_probability: float
) -> float:
    r"""Sample size of the matrix Bernstein inequality (Lemma 13).

    .. math:: m \ge \frac{2 \min(d_1, d_2)}{\epsilon^2} \Big(\sigma^2 + \frac{B\epsilon}{3\sqrt{\min(d_1, d_2)}}\Big)
              \log\frac{d_1 + d_2}{\delta}

    samples of independent :math:`d_1 \times d_2` matrices with :math:`\|Z_i - Z\| \le B` and
    :math:`\max(\|E Z_iZ_i^\top - ZZ^\top\|, \|E Z_i^\top Z_i - Z^\top Z\|) \le \sigma^2` have
    :math:`P(\|\hat Z - Z\|_F \le \epsilon) \ge 1 - \delta`: Tropp's
    :math:`P(\|\hat Z - Z\| \ge t) \le (d_1 + d_2) \exp(-m t^2/2 / (\sigma^2 + Bt/3))` at
    :math:`t = \epsilon/\sqrt{\min(d_1, d_2)}`. Printed as it holds.

    References
    ----------
    J. A. Tropp, User-friendly tail bounds for sums of random matrices, Found. Comput. Math. 12 (2012) 389-434.
    """
    if not 0 < failure_probability < 1 or not error > 0:
        raise ValueError(f"error {error!r} must be > 0 and failure_probability {failure_probability!r} in (0, 1)")
    smaller = min(rows, columns)
    scaled = variance / error / error + bound / error / (3 * math.sqrt(smaller))
    return 2 * smaller * scaled * math.log((rows + columns) / failure_probability)


def perturbation_count(d: float, k: float, sample: float, mean: float, error: float, failure: float) -> float:
    """Number of samples of an estimate, from bounds of the norms of one sample and of their mean (Lemmas 6 and 7)."""
    return bernstein_sample_size(k, d, sample**2 + mean**2, sample + mean, error, failure)


def task_count(d: float, k: float, norm: float, error: float, failure: float) -> float:
    """Task batch of Lemma 7, from a bound of the norms of the tasks' meta-gradients."""
    return bernstein_sample_size(k, d, 2 * norm**2, 2 * norm, error / 2, failure / 2)


def noise_horizon(gain: float, cost: float, error: float, failure_probability: float) -> float:
    r"""Rollout length for which the cost of one rollout is within ``error`` of its mean (:math:`h_{\ell,var}`).

    The paper only says that it exists. The cost is :math:`\xi^\top G \xi` with a standard normal :math:`\xi` and
    :math:`\|G\| \le g/\ell`. With :math:`t = \log(2/\delta)`, a Gaussian quadratic form deviates from its mean
    :math:`J^{(\ell)}` by more than :math:`2\sqrt{g J^{(\ell)} t/\ell} + 2gt/\ell` with probability at most
    :math:`\delta`; this is at most :math:`e` when

    .. math:: \ell \ge \frac{4 g t}{(\sqrt{J + 2e} - \sqrt{J})^2}, \qquad J^{(\ell)} \le J = \bar J + e.

    Here :math:`g` is the ``gain``, the ``rollout_gain`` of :func:`metalqr.theory.horizons`, :math:`\bar J` the ``cost``
    and :math:`e` the ``error``, which may be infinite.

    References
    ----------
    B. Laurent, P. Massart, Adaptive estimation of a quadratic functional by model selection, Ann. Statist. 28 (2000)
    1302-1338, Lemma 1.
    """
    if math.isinf(error):
        return 0.0
    mean = cost + error
    root = 2 * error / (math.sqrt(mean + 2 * error) + math.sqrt(mean))
    return 4 * gain * math.log(2 / failure_probability) / root**2
