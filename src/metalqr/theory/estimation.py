r"""How many samples, how long and how near: Lemmas 6, 7, 13 and 14 in both forms.

Lemmas 13 and 14 hold at single gains, too: their functions take constants of any shape. The others take the constants
over a sub-level set (:func:`metalqr.theory.sublevel_constants`), and return the least number, the least length or the
largest radius that the lemma asks for, as real numbers: they are far too large to round.
For the corrected form the constants are those of the *widened* set, with twice the levels of S: the perturbed gains of
the algorithms are not in S, and :math:`\bar J` of the formulas is twice that of S.
"""

import math
from dataclasses import dataclass

import numpy as np

from metalqr.lqr import FloatArray
from metalqr.theory.result import Form, Quantities, Quantity

#: Iterations of the fixed point in which the number of perturbations stands inside its own logarithm.
FIXED_POINT_STEPS = 100
ROUNDING = 1e-9


def bernstein_sample_size(
    rows: int, columns: int, variance: float, bound: float, error: float, failure_probability: float
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


def horizon(constants: Quantities, error: float) -> FloatArray:
    r"""Roll-out length after which the finite-horizon cost is within ``error`` of the ergodic one (Lemma 14).

    Printed :math:`\ell \ge d \bar J^2 (\|Q\| + \|R\| \|K\|^2) / (\epsilon \mu q^2)`. Corrected
    :math:`\ell \ge \bar J \max(\mathrm{Tr} \Sigma_0, \bar J/q) / (\epsilon \mu)`, which holds for every
    :math:`\Sigma_0`.
    """
    c = constants
    if c.form is Form.PRINTED:
        weight = c.Q_max + c.R_max * c.K_norm**2
        return np.asarray(c.state_dim * c.J_max**2 * weight / (c.mu_0 * c.q**2) / error)
    return np.asarray(c.J_max * np.maximum(c.Sigma0_trace, c.J_max / c.q) / c.mu / error)


def covariance_horizon(constants: Quantities, error: float) -> FloatArray:
    r"""Roll-out length after which :math:`\|\Sigma_K^{(\ell)} - \Sigma_K\| \le` ``error`` (Lemma 14).

    Printed :math:`\ell \ge d \bar J^2/(\epsilon\mu q^2)`, corrected
    :math:`\ell \ge \nu \max(\|\Sigma_0\|, \bar J/q)/\epsilon`.
    """
    c = constants
    if c.form is Form.PRINTED:
        return np.asarray(c.state_dim * c.J_max**2 / (c.mu_0 * c.q**2) / error)
    return np.asarray(c.nu * np.maximum(c.Sigma0_max, c.J_max / c.q) / error)


def rollout_gain(constants: Quantities) -> FloatArray:
    r"""Bound :math:`g` on the quadratic form behind a roll-out's cost.

    The cost of a roll-out is :math:`\tilde J = \xi^\top G \xi` with a standard normal :math:`\xi`, and
    :math:`\|G\| \le g/\ell`, :math:`g = 4 \|P_K\|^2 \max(\|\Psi\|, \|\Sigma_0\|)/q`.
    """
    c = constants
    return np.asarray(4 * (c.J_max / c.mu) ** 2 * np.maximum(c.Psi_max, c.Sigma0_max) / c.q)


def noise_horizon(constants: Quantities, error: float, failure_probability: float) -> float:
    r"""Roll-out length for which one roll-out's cost is within ``error`` of its mean (:math:`h_{\ell,var}`).

    The paper only says that it exists. With :math:`g` of :func:`rollout_gain` and :math:`t = \log(2/\delta)`, a
    Gaussian quadratic form deviates from its mean :math:`J^{(\ell)}` by more than
    :math:`2\sqrt{g J^{(\ell)} t/\ell} + 2gt/\ell` with probability at most :math:`\delta`; this is at most :math:`e`
    when

    .. math:: \ell \ge \frac{4 g t}{(\sqrt{J + 2e} - \sqrt{J})^2}, \qquad J^{(\ell)} \le J = \bar J + e.

    NaN for the printed form.

    References
    ----------
    B. Laurent, P. Massart, Adaptive estimation of a quadratic functional by model selection, Ann. Statist. 28 (2000)
    1302-1338, Lemma 1.
    """
    if constants.form is Form.PRINTED:
        return math.nan
    mean = float(constants.J_max) + error
    root = 2 * error / (math.sqrt(mean + 2 * error) + math.sqrt(mean))
    return float(4 * rollout_gain(constants) * math.log(2 / failure_probability) / root**2)


@dataclass(frozen=True)
class _Sizes:
    """Numbers that Lemmas 6 and 7 share."""

    d: int
    k: int

    @classmethod
    def of(cls, constants: Quantities) -> "_Sizes":
        return cls(int(constants.state_dim), int(constants.action_dim))

    def samples(self, variance: float, bound: float, error: float, failure_probability: float) -> float:
        return bernstein_sample_size(self.k, self.d, variance, bound, error, failure_probability)


def gradient_radius(constants: Quantities, error: float) -> float:
    r"""Largest smoothing radius of Lemma 6, :math:`h_r^1`.

    Printed :math:`\min\{1/\bar h_{cost}, \underline h_\Delta, \epsilon/(4\bar h_{grad})\}`; corrected, the first two
    are halved, so that a gain that is perturbed twice (Algorithm 1 inside Algorithm 2) stays in the widened set.
    """
    c = constants
    halves = 1.0 if c.form is Form.PRINTED else 0.5
    return float(min(halves / c.h_cost, halves * c.h_Delta, error / (4 * c.h_grad)))


def gradient_samples(constants: Quantities, error: float, failure_probability: float, radius: float) -> float:
    r"""Number of perturbations of Lemma 6 that brings the sampling error below ``error``, :math:`h_{sample}`."""
    c, sizes = constants, _Sizes.of(constants)
    sample, mean = _sample_norm(c, radius), float(c.h_grad * radius + c.h_G)
    return sizes.samples(sample**2 + mean**2, sample + mean, error, failure_probability)


def _sample_norm(c: Quantities, radius: float) -> float:
    """Norm of one sample (dk/r²) J(K + U) U; corrected, the cost of a perturbed gain is bounded by the widened set."""
    growth = 1 + radius * c.h_cost if c.form is Form.PRINTED else 1.0
    return float(c.state_dim * c.action_dim / radius * growth * c.J_max)


def gradient_estimation(constants: Quantities, error: float, failure_probability: float) -> Quantities:
    r"""Radius, number of perturbations and roll-out length of Lemma 6.

    With them Algorithm 1 has :math:`\|\tilde\nabla J_i(K) - \nabla J_i(K)\|_F \le \epsilon` with probability
    :math:`1 - 2\delta`.

    Parameters
    ----------
    constants : Quantities
        :func:`metalqr.theory.sublevel_constants`; for the corrected form those of the widened set.
    error, failure_probability : float
        :math:`\epsilon` and :math:`\delta`.

    Returns
    -------
    Quantities
        The constants and ``h_r_1``, ``h_M_1``, ``h_l_grad``, ``h_l_var``, ``h_l_1``.
    """
    mu = "mu_0" if constants.form is Form.PRINTED else "mu"
    radius = gradient_radius(constants, error)
    perturbations = gradient_samples(constants, error / 4, failure_probability, radius)
    length = gradient_length(constants, error, radius)
    noise = noise_horizon(
        constants, _cost_error(constants, error / 4, radius), failure_probability / max(1.0, perturbations)
    )
    return constants.extended(
        [
            _quantity("epsilon", r"\epsilon", "Lemma 6", error),
            _quantity("delta", r"\delta", "Lemma 6", failure_probability),
            _quantity("h_r_1", "h_r^1", "Lemma 6", radius, "h_cost", "h_Delta", "h_grad", "epsilon"),
            _quantity(
                "h_M_1",
                "h_M^1",
                "Lemma 6",
                perturbations,
                "h_r_1",
                "h_cost",
                "J_max",
                "h_grad",
                "h_G",
                "epsilon",
                "delta",
            ),
            _quantity("h_l_grad", r"h_{\ell,grad}", "Lemma 6", length, "J_max", "q", mu, "h_r_1", "epsilon"),
            _quantity(
                "h_l_var",
                r"h_{\ell,var}",
                "Lemma 6",
                noise,
                "J_max",
                "h_r_1",
                "h_M_1",
                "epsilon",
                "delta",
                note="the paper only says that it exists" if constants.form is Form.PRINTED else "",
            ),
            _quantity("h_l_1", r"h_\ell^1", "Lemma 6", _largest(length, noise), "h_l_grad", "h_l_var"),
        ]
    )


def gradient_length(constants: Quantities, error: float, radius: float) -> float:
    r"""Roll-out length of Lemma 6, :math:`h_{\ell,grad}`.

    Printed :math:`16 d^2k^2 \bar J^2(\|Q\| + \|R\| \|K\|^2)/(\epsilon r\mu q^2)`; corrected, :func:`horizon` with the
    error :math:`\epsilon r/(4dk)` of one cost.
    """
    if constants.form is Form.PRINTED:
        return _printed_length(constants, 16.0, error, radius)
    return float(horizon(constants, _cost_error(constants, error / 4, radius)))


def _printed_length(c: Quantities, factor: float, error: float, radius: float) -> float:
    weight = c.Q_max + c.R_max * c.K_norm**2
    size = (c.state_dim * c.action_dim) ** 2
    return float(factor * size * c.J_max**2 * weight / (c.mu_0 * c.q**2) / error / radius)


def _cost_error(c: Quantities, error: float, radius: float) -> float:
    """The error of every cost that shifts an estimate by no more than ``error``."""
    return float(error * radius / (c.state_dim * c.action_dim))


def meta_gradient_estimation(
    constants: Quantities, error: float, failure_probability: float, largest_radius: float = math.inf
) -> Quantities:
    r"""Task batch, radius, number of perturbations and roll-out length of Lemma 7.

    With them Algorithm 2 has :math:`\|\tilde\nabla\mathcal L(K) - \nabla\mathcal L(K)\|_F \le \epsilon` with
    probability :math:`1 - \delta`.

    Parameters
    ----------
    constants : Quantities
        As for :func:`gradient_estimation`, at the adaptation rate.
    error, failure_probability : float
        :math:`\epsilon` and :math:`\delta`.
    largest_radius : float
        A further limit of the radius, on which the other numbers depend.

    Returns
    -------
    Quantities
        The constants and ``h_sample_task``, ``h_r_2``, ``radius``, ``h_M_2``, ``perturbations``, ``h_l_grad_2``,
        ``h_l_var_2``, ``length``.

    Raises
    ------
    ValueError
        If, for the corrected form, the adaptation rate is above :math:`1/(4\bar h_{grad})`: an adapted gain might leave
        the set over which the constants hold.
    """
    if constants.form is Form.CORRECTED and constants.eta * constants.h_grad > 0.25 * (1 + ROUNDING):
        raise ValueError(
            f"the adaptation rate {float(constants.eta):.3g} is above 1/(4 h_grad) = "
            f"{0.25 / float(constants.h_grad):.3g}, where Lemma 7 is proved; lower it"
        )
    lemma = _printed_lemma_7 if constants.form is Form.PRINTED else _corrected_lemma_7
    return constants.extended(lemma(constants, error, failure_probability, largest_radius))


def _task_batch(c: Quantities, error: float, failure_probability: float) -> float:
    norm = float((1 + c.eta * c.h_H) * c.h_G)
    return _Sizes.of(c).samples(2 * norm**2, 2 * norm, error / 2, failure_probability / 2)


def _printed_lemma_7(c: Quantities, error: float, failure_probability: float, largest_radius: float) -> list[Quantity]:
    sizes = _Sizes.of(c)
    dk, smaller = sizes.d * sizes.k, min(sizes.d, sizes.k)
    batch = _task_batch(c, error, failure_probability)
    per_task = failure_probability / batch
    curvature = (1 + c.eta * c.h_H + c.eta * c.h_grad + c.eta**2 * c.h_H * c.h_grad) * c.h_grad
    radius_2 = float(1 / (6 * (c.eta * c.h_hess * c.h_G + curvature)))
    radius = min(radius_2, gradient_radius(c, error), largest_radius)
    inner, sixth = float(error / (6 * dk / radius * c.h_cost * c.J_max)), error / 6
    growth = 1 + radius * c.h_cost * (1 + c.eta * dk / radius * (c.h_G + sixth))
    sample = float(dk / radius * growth * c.J_max)
    mean = float(c.h_grad * (1 + c.eta * dk / radius * (c.h_H + sixth)) * radius + c.h_G)
    scaled = (sample**2 + mean**2) / error / error + (sample + mean) / error / (18 * math.sqrt(smaller))
    samples_2 = 96 * smaller * scaled * math.log(4 * (sizes.d + sizes.k) / per_task)
    samples_1 = gradient_samples(c, sixth / 4, failure_probability / 4, radius)
    length_1, length_2 = gradient_length(c, inner, radius), _printed_length(c, 32.0, error, radius)
    return _lemma_7(
        c, error, failure_probability, batch, radius_2, radius, inner, samples_2, max(samples_1, samples_2),
        length_2, math.nan, max(length_1, length_2),
    )  # fmt: skip


def _corrected_lemma_7(
    c: Quantities, error: float, failure_probability: float, largest_radius: float
) -> list[Quantity]:
    sizes = _Sizes.of(c)
    dk, part = sizes.d * sizes.k, error / 12
    batch = max(1.0, _task_batch(c, error, failure_probability))
    per_task = failure_probability / (2 * batch)
    radius_2 = float(part / c.h_meta_grad)
    limits = (radius_2, 0.5 / c.h_cost, 0.5 * c.h_Delta, c.J_min / error, largest_radius)
    radius = min(float(limit) for limit in limits)
    # Without adaptation there is no inner estimate, and its error may be infinite.
    with np.errstate(divide="ignore"):
        inner = float(np.minimum(part * radius / (dk * c.h_cost * c.J_max), c.h_Delta) / c.eta)
    outer_sample, outer_mean = _sample_norm(c, radius), float((1 + c.eta * c.h_H) * c.h_G)
    variance, bound = outer_sample**2 + outer_mean**2, outer_sample + outer_mean
    samples_2 = sizes.samples(variance, bound, part, per_task / 4)
    perturbations = samples_2
    if math.isfinite(inner):
        for _ in range(FIXED_POINT_STEPS):
            wanted = max(samples_2, gradient_samples(c, inner / 3, per_task / (4 * perturbations), radius))
            if wanted <= perturbations:
                break
            perturbations = wanted
    outer_cost, inner_cost = _cost_error(c, part, radius), _cost_error(c, inner / 3, radius)
    lengths, noises = [float(horizon(c, outer_cost))], [noise_horizon(c, outer_cost, per_task / (4 * perturbations))]
    if math.isfinite(inner):
        lengths.append(float(horizon(c, inner_cost)))
        noises.append(noise_horizon(c, inner_cost, per_task / (4 * perturbations**2)))
    return _lemma_7(
        c, error, failure_probability, batch, radius_2, radius, inner, samples_2, perturbations,
        max(lengths), max(noises), max(*lengths, *noises),
    )  # fmt: skip


def _lemma_7(
    c: Quantities,
    error: float,
    failure_probability: float,
    batch: float,
    radius_2: float,
    radius: float,
    inner: float,
    samples_2: float,
    perturbations: float,
    length_2: float,
    noise_2: float,
    length: float,
) -> list[Quantity]:
    no_noise = "the paper only says that it exists" if c.form is Form.PRINTED else ""
    tilde = c["h_hess"].note
    epsilon_delta = ("epsilon_meta", "delta_meta")
    return [
        _quantity("epsilon_meta", r"\epsilon", "Lemma 7", error),
        _quantity("delta_meta", r"\delta", "Lemma 7", failure_probability),
        _quantity("h_sample_task", r"h_{sample,task}", "Lemma 7", batch, "eta", "h_H", "h_G", *epsilon_delta),
        _quantity("h_r_2", "h_r^2", "Lemma 7", radius_2, "eta", "h_hess", "h_G", "h_H", "h_grad", note=tilde),
        _quantity("radius", "r", "Lemma 7", radius, "h_r_2", "h_cost", "h_Delta", "h_grad", "epsilon_meta", note=tilde),
        _quantity("epsilon_inner", r"\epsilon'", "Lemma 7", inner, "radius", "h_cost", "J_max", "epsilon_meta"),
        _quantity("h_M_2", "h_M^2", "Lemma 7", samples_2, "radius", "J_max", "h_G", "h_H", *epsilon_delta),
        _quantity("perturbations", "M", "Lemma 7", perturbations, "h_M_2", "epsilon_inner", "h_grad", "h_G"),
        _quantity("h_l_grad_2", r"h^2_{\ell,grad}", "Lemma 7", length_2, "radius", "J_max", "q", "epsilon_meta"),
        _quantity(
            "h_l_var_2", r"h^2_{\ell,var}", "Lemma 7", noise_2, "radius", "J_max", "perturbations", note=no_noise
        ),
        _quantity("length", r"\ell", "Lemma 7", length, "h_l_grad_2", "h_l_var_2", "epsilon_inner", note=no_noise),
    ]


def _largest(*values: float) -> float:
    """The largest of the values that can be evaluated."""
    return max(value for value in values if not math.isnan(value))


def _quantity(name: str, symbol: str, source: str, value: float, *inputs: str, note: str = "") -> Quantity:
    return Quantity(name, symbol, source, np.asarray(value, dtype=np.float64), inputs, note)
