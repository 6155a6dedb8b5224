r"""What Theorems 1 and 2 ask for: step sizes, accuracy, samples and iterations, in both forms."""

import math

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import LQRTasks
from metalqr.objectives.meta import objective
from metalqr.optimal import meta_gain
from metalqr.theory.constants import gradient_domination, sublevel_constants
from metalqr.theory.estimation import (
    gradient_length,
    gradient_radius,
    gradient_samples,
    meta_gradient_estimation,
)
from metalqr.theory.result import Form, Quantities, Quantity
from metalqr.theory.sublevel import SublevelSet

#: Relative size below which a gap is rounding.
ROUNDING = 1e-12


def theorem_constants(
    tasks: LQRTasks, K0: ArrayLike, form: Form | str, *, adaptation_rate: float = 0.0, factor: float = 1.0
) -> Quantities:
    r"""The constants that the theorems use: over S as printed, or over the widened set of the corrected proof.

    Printed, S has the levels :math:`J_i^* + \gamma\Delta_0^i`. A task's own cost may rise while the average falls, so
    no iterate is sure to stay in that set. The corrected proof uses the levels
    :math:`\bar J_i = J_i^* + 2\gamma\bar\Delta_0/p_i` with :math:`\bar\Delta_0 = \sum_i p_i\Delta_0^i`, which the
    average does control, and widens them to :math:`2\bar J_i` for the perturbed gains.

    Raises
    ------
    UnstablePolicyError
        If K0 does not stabilise every task.
    ValueError
        If the factor is below one.
    """
    return _theorem_constants(SublevelSet.around(tasks.likely(), K0, factor), Form(form), adaptation_rate, factor)


def _theorem_constants(sublevel: SublevelSet, form: Form, adaptation_rate: float, factor: float) -> Quantities:
    if form is Form.CORRECTED:
        levels = sublevel.optima.cost + 2 * factor * sublevel.mean_gap / sublevel.tasks.p
        sublevel = sublevel.with_levels(2 * levels)
    return sublevel_constants(sublevel, form, adaptation_rate=adaptation_rate)


def largest_step_sizes(
    tasks: LQRTasks, K0: ArrayLike, form: Form | str, *, factor: float = 1.0
) -> tuple[Quantities, Quantity, Quantity]:
    r"""The constants at the largest adaptation rate of Theorem 1, that rate, and the largest learning rate.

    Printed :math:`\eta \le \min\{(4(\bar h_{grad}^2 k^2 + \bar h_{grad}^2\bar h_H^2 + \bar h_H^2))^{-1/2},
    1/(4\bar h_{grad})\}` and :math:`\alpha \le 1/(2\phi_2\bar h_{grad})`. Corrected
    :math:`\eta \le \min\{1/(4\bar h_{grad}), 1/(2\bar h_H), 4\bar\Delta_0/(9 p_{\max}\bar h_G^2)\}` and
    :math:`\alpha \le 1/(4\bar h_{\mathcal L,grad})`.
    """
    form, tasks = Form(form), tasks.likely()
    sublevel = SublevelSet.around(tasks, K0, factor)
    c = _theorem_constants(sublevel, form, 0.0, factor)
    if form is Form.PRINTED:
        joint = 4 * (c.h_grad**2 * c.action_dim**2 + c.h_grad**2 * c.h_H**2 + c.h_H**2)
        rate = min(1 / math.sqrt(joint), float(1 / (4 * c.h_grad)))
        inputs: tuple[str, ...] = ("h_grad", "h_H", "action_dim")
    else:
        gap = sublevel.mean_gap
        limits = (1 / (4 * c.h_grad), 1 / (2 * c.h_H), 4 * gap / (9 * tasks.p.max() * c.h_G**2))
        rate = min(float(limit) for limit in limits)
        inputs = ("h_grad", "h_H", "h_G", "first_gap")
    c = _theorem_constants(sublevel, form, rate, factor)
    eta = Quantity("adaptation_rate", r"\eta", "Theorem 1", np.asarray(rate), inputs)
    phi_1, phi_2 = bias_factors(c)
    c = c.extended([phi_1, phi_2])
    if form is Form.PRINTED:
        alpha = Quantity("learning_rate", r"\alpha", "Theorem 1", 1 / (2 * phi_2.value * c.h_grad), ("phi_2", "h_grad"))
    else:
        alpha = Quantity("learning_rate", r"\alpha", "Theorem 1", 1 / (4 * c.h_meta_grad), ("h_meta_grad",))
    return c, eta, alpha


def bias_factors(c: Quantities) -> tuple[Quantity, Quantity]:
    r"""The factors :math:`\phi_1, \phi_2` of Theorem 1.

    Printed :math:`\phi_1 = 2(k^2 + \eta^2 h_H^2)\eta^2 h_{grad}^2 + 2\eta^2 h_H^2` and
    :math:`\phi_2 = (k^2 + \eta^2 h_H^2)(2 + 2 h_{grad}^2\eta^2)`, said to bound
    :math:`\|E\nabla J_i - \nabla\mathcal L\|^2` and :math:`\|\nabla\mathcal L\|^2` by
    :math:`\|E\nabla J_i\|^2`. Corrected, :math:`\phi_1 = \eta^2(h_{grad} + h_H(1 + \eta h_{grad}))^2` and
    :math:`\phi_2 = (1 + \eta h_H)^2(1 + \eta h_{grad})^2` bound them by :math:`E\|\nabla J_i\|^2`.
    """
    if c.form is Form.PRINTED:
        scale = c.action_dim**2 + c.eta**2 * c.h_H**2
        one = 2 * scale * c.eta**2 * c.h_grad**2 + 2 * c.eta**2 * c.h_H**2
        two = scale * (2 + 2 * c.h_grad**2 * c.eta**2)
    else:
        one = c.eta**2 * (c.h_grad + c.h_H * (1 + c.eta * c.h_grad)) ** 2
        two = (1 + c.eta * c.h_H) ** 2 * (1 + c.eta * c.h_grad) ** 2
    inputs = ("eta", "h_H", "h_grad") + (("action_dim",) if c.form is Form.PRINTED else ())
    return (
        Quantity("phi_1", r"\phi_1", "Theorem 1", np.asarray(one), inputs),
        Quantity("phi_2", r"\phi_2", "Theorem 1", np.asarray(two), inputs),
    )


def requirements(
    tasks: LQRTasks,
    K0: ArrayLike,
    form: Form | str,
    *,
    target: float = 0.1,
    failure_probability: float = 0.1,
    factor: float = 1.0,
) -> Quantities:
    r"""Everything that Theorems 1 and 2 ask for, to reach :math:`\epsilon_0` with probability :math:`1 - \delta`.

    Printed, the two theorems' conditions to the letter, and
    :math:`N = 8/(\alpha\bar\lambda(1 - \eta^2\bar h_H^2)) \log(2\psi_0/\epsilon_0)`; :math:`\bar\lambda` is read as
    :math:`\min_i\lambda_i`, :math:`\bar\Delta_0` as :math:`\sum_i p_i\Delta_0^i`. Corrected, with
    :math:`\lambda = \min_i\lambda_i (1 - \eta\bar h_H)^2`,

    .. math:: N = \frac{4}{\alpha\lambda}\log\frac{2\psi_0}{\epsilon_0}, \qquad
              \epsilon^2 = \min\Big\{\frac{\lambda\epsilon_0}{6}, \frac{2\bar\Delta_0}{3\alpha N}\Big\},

    which promises :math:`\mathcal L(K_N) \le \sum_i p_i J_i^* + \epsilon_0 + \bar V/\lambda`, where :math:`\bar V` is
    the variance of the tasks' meta-gradients: zero for equal tasks, and missing in the paper.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array_like, shape (k, d)
        The initial gain.
    form : {"printed", "corrected"}
    target : float
        :math:`\epsilon_0` as a share of the first gap :math:`\mathcal L(K_0) - \mathcal L(K^*)`.
    failure_probability : float
        :math:`\delta`, of the whole run.
    factor : float
        :math:`\gamma` of Definition 2.

    Returns
    -------
    Quantities
        Among them ``learning_rate``, ``adaptation_rate``, ``smoothing_radius``, ``rollout_length``, ``perturbations``,
        ``task_batch`` and ``iterations``, named as in the config. Sizes are NaN, with a note, where K0 is already
        optimal for the meta-objective, or, printed, for a task, whose :math:`\varepsilon_i` is then zero.

    Notes
    -----
    Tasks of probability zero take no part.
    """
    form, tasks = Form(form), tasks.likely()
    if not 0 < target <= 1 or not 0 < failure_probability < 1:
        raise ValueError(
            f"target {target!r} must be in (0, 1] and failure_probability {failure_probability!r} in (0, 1)"
        )
    c, eta, alpha = largest_step_sizes(tasks, K0, form, factor=factor)
    sublevel = SublevelSet.around(tasks, K0, factor)
    optima = sublevel.optima
    strengths = gradient_domination(tasks, form, optima)
    rate = float(eta.value)
    first = objective(tasks, K0, rate)
    least = meta_gain(tasks, rate).objective
    gap = first - least
    psi = gap if form is Form.PRINTED else first - float(tasks.p @ optima.cost)
    weakest = float(strengths.value.min())
    found = [
        *(eta, alpha),
        _theorem("lambda_min", r"\bar\lambda", 1, weakest, note="read as the smallest" if form is Form.PRINTED else ""),
        _theorem("first_gap", r"\bar\Delta_0", 1, sublevel.mean_gap),
        _theorem("psi_0", r"\psi_0", 2, psi),
        _theorem("meta_gap", r"\mathcal L(K_0) - \mathcal L(K^*)", 2, gap),
        _theorem("epsilon_0", r"\epsilon_0", 2, target * gap, "meta_gap"),
    ]
    c = c.extended(found)
    gaps = sublevel.initial_cost - optima.cost
    if gap <= ROUNDING * first or (form is Form.PRINTED and (gaps <= ROUNDING * optima.cost).any()):
        return _nothing_to_ask(c)
    if form is Form.PRINTED:
        own = float((strengths.value * gaps).min() / 6)
        return _printed_requirements(c, own, failure_probability)
    return _corrected_requirements(c, failure_probability)


def _nothing_to_ask(c: Quantities) -> Quantities:
    note = "the initial gain is optimal already, for the meta-objective or for a task"
    symbols = {
        "iterations": "N",
        "smoothing_radius": "r",
        "task_batch": r"|\mathcal T_n|",
        "perturbations": "M",
        "rollout_length": r"\ell",
    }
    return c.extended(_theorem(name, symbol, 2, math.nan, note=note) for name, symbol in symbols.items())


def _printed_requirements(c: Quantities, own: float, failure_probability: float) -> Quantities:
    phi_1, phi_2 = float(c.phi_1), float(c.phi_2)
    stable = float(c.lambda_min * c.first_gap) * (1 - 2 * phi_1) * phi_2 / (2 * (1 + 4 * phi_2 - 2 * phi_1))
    shrink = float(1 - c.eta**2 * c.h_H**2)
    close = float(c.lambda_min * c.psi_0) * shrink / 6
    iterations = 8 / float(c.learning_rate * c.lambda_min) / shrink * math.log(2 * float(c.psi_0 / c.epsilon_0))
    first = gradient_radius(c, own)
    parts = [meta_gradient_estimation(c, error, failure_probability, first) for error in (stable, close)]
    radius = min(float(part.radius) for part in parts)
    parts = [meta_gradient_estimation(c, error, failure_probability, radius) for error in (stable, close)]
    perturbations = gradient_samples(c, own / 4, failure_probability / 2, radius)
    length = gradient_length(c, own, radius)
    noise = "without h_l_var, which the paper does not give"
    return c.extended(
        [
            _theorem("epsilon_i", r"\varepsilon_i", 1, own, "lambda_i"),
            _theorem("epsilon_stable", r"\varepsilon", 1, stable, "lambda_min", "first_gap", "phi_1", "phi_2"),
            _theorem("epsilon_close", r"\bar\varepsilon", 2, close, "lambda_min", "psi_0", "eta", "h_H"),
            _theorem("iterations", "N", 2, iterations, "learning_rate", "lambda_min", "h_H", "psi_0", "epsilon_0"),
            _theorem("smoothing_radius", "r", 2, radius, "epsilon_i", "epsilon_stable", "epsilon_close", "h_hess",
                     note=c["h_hess"].note),
            _theorem("task_batch", r"|\mathcal T_n|", 2, max(float(p.h_sample_task) for p in parts), "epsilon_close"),
            _theorem("perturbations", "M", 2, max(perturbations, *(float(p.perturbations) for p in parts)),
                     "smoothing_radius", "epsilon_close"),
            _theorem("rollout_length", r"\ell", 2, max(length, *(float(p.length) for p in parts)), "smoothing_radius",
                     "epsilon_close", note=noise),
        ]
    )  # fmt: skip


def _corrected_requirements(c: Quantities, failure_probability: float) -> Quantities:
    strength = float(c.lambda_min * (1 - c.eta * c.h_H) ** 2)
    alpha, gap = float(c.learning_rate), float(c.first_gap)
    iterations = 4 / (alpha * strength) * max(math.log(2 * float(c.psi_0 / c.epsilon_0)), math.log(2.0))
    close, stable = math.sqrt(strength * float(c.epsilon_0) / 6), math.sqrt(2 * gap / (3 * alpha * iterations))
    error = min(close, stable)
    part = meta_gradient_estimation(c, error, failure_probability / max(1.0, iterations))
    return c.extended(
        [
            _theorem("lambda_meta", r"\lambda", 2, strength, "lambda_min", "eta", "h_H"),
            _theorem("iterations", "N", 2, iterations, "learning_rate", "lambda_meta", "psi_0", "epsilon_0"),
            _theorem("epsilon_stable", r"\varepsilon", 1, stable, "first_gap", "learning_rate", "iterations"),
            _theorem("epsilon_close", r"\bar\varepsilon", 2, close, "lambda_meta", "epsilon_0"),
            _theorem("smoothing_radius", "r", 2, float(part.radius), "epsilon_stable", "epsilon_close", "h_meta_grad"),
            _theorem("task_batch", r"|\mathcal T_n|", 2, float(part.h_sample_task), "epsilon_close", "iterations"),
            _theorem("perturbations", "M", 2, float(part.perturbations), "smoothing_radius", "iterations"),
            _theorem("rollout_length", r"\ell", 2, float(part.length), "smoothing_radius", "perturbations"),
        ]
    )


def _theorem(name: str, symbol: str, theorem: int, value: float, *inputs: str, note: str = "") -> Quantity:
    return Quantity(name, symbol, f"Theorem {theorem}", np.asarray(value, dtype=np.float64), inputs, note)
