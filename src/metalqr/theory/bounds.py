"""Constants of Lemmas 8 to 12 at given gains, and bounds of them over a sub-level set."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import real_array
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation
from metalqr.optimal import OptimalGains, optimal_gains
from metalqr.theory import corrected, printed
from metalqr.theory.assumptions import require
from metalqr.theory.inputs import gain_inputs, sublevel_inputs, task_inputs
from metalqr.theory.norms import spectral
from metalqr.theory.result import Form, Quantities, Quantity, quantity
from metalqr.theory.sublevel import SublevelSet

CONSTANTS = {Form.PRINTED: printed.CONSTANTS, Form.CORRECTED: corrected.CONSTANTS}


def constants(
    tasks: LQRTasks, K: ArrayLike, form: Form | str, *, adaptation_rate: float = 0.0, K0: ArrayLike | None = None
) -> Quantities:
    r"""Constants of Lemmas 8, 9, 11 and 12 at given gains.

    :math:`h_G, h_H, h_c, \tilde\xi` (Lemma 8), :math:`h_\Delta, h_{cost}, h_{grad}, h_{hess}, \nu` and :math:`h_0` to
    :math:`h_9` (Lemma 9; there is no :math:`h_5`), :math:`h_{G,\mathcal L}` (Lemma 11),
    :math:`h_{\mathcal L,cost}, h_{\mathcal L,grad}` (Lemma 12, which needs the adaptation rate, as Lemma 11 does), with
    everything that they are computed from: scalars for one gain K, (k, d), and of shape (n,) for n of them, (n, k, d).
    The paper evaluates :math:`\tilde\xi` at the initial gain ``K0``, by default zero.

    Raises
    ------
    ValueError
        If the tasks do not meet the assumptions, see :func:`metalqr.theory.unmet`.
    """
    gains = real_array("K", K)
    initial = np.zeros((tasks.action_dim, tasks.state_dim)) if K0 is None else K0
    sublevel = SublevelSet.around(tasks, initial)
    found = gain_constants(sublevel, gains.reshape(-1, *gains.shape[-2:]), form, adaptation_rate)
    if gains.ndim == 3:
        return found
    return Quantities(found.form, (replace(each, value=each.value.reshape(-1)[0]) for each in found.values()))


def gain_constants(
    sublevel: SublevelSet, gains: FloatArray, form: Form | str, adaptation_rate: float = 0.0
) -> Quantities:
    """Constants at gains (n, k, d), with the optima that a sub-level set has computed already."""
    require(sublevel.tasks, form)
    inputs = (*task_inputs(sublevel.tasks, adaptation_rate), *gain_inputs(sublevel, gains))
    return CONSTANTS[Form(form)].evaluate(inputs)


def sublevel_constants(sublevel: SublevelSet, form: Form | str, *, adaptation_rate: float = 0.0) -> Quantities:
    r"""Upper bounds of the constants over all gains of a sub-level set, and a lower bound of :math:`h_\Delta`.

    The paper writes them with a bar above (supremum) or below (infimum). They are computed from bounds of the norms
    that enter (:func:`metalqr.theory.inputs.sublevel_inputs`), not sampled, and have the names of :func:`constants`;
    so is the error.
    """
    require(sublevel.tasks, form)
    inputs = (*task_inputs(sublevel.tasks, adaptation_rate), *sublevel_inputs(sublevel))
    return CONSTANTS[Form(form)].evaluate(inputs)


def absent_constants(form: Form | str, reason: str) -> Quantities:
    """Return the constants of tasks at which they cannot be computed: NaN, with the reason as their note."""
    return CONSTANTS[Form(form)].absent(reason)


def gradient_domination(tasks: LQRTasks, form: Form | str, optima: OptimalGains | None = None) -> Quantity:
    r"""Constants :math:`\lambda_i` of Lemmas 3 and 10, shape (I,).

    .. math:: J_i(K) - J_i^* \le \frac{1}{\lambda_i} \|\nabla J_i(K)\|_F^2, \qquad
              \lambda_i = \frac{c\,\mu_i^2 \sigma_{\min}(R_i)}{\|\Sigma^i_{K_i^*}\|}

    with c = 1 and :math:`\mu = \min_i \sigma_{\min}(\Sigma_{0,i})` as printed. Corrected, c = 4, because
    :math:`\nabla J = 2 E \Sigma`, and :math:`\mu_i = \sigma_{\min}(\Psi_i)`.
    """
    form = Form(form)
    best = optimal_gains(tasks) if optima is None else optima
    factor = 1.0 if form is Form.PRINTED else 4.0
    rho = np.linalg.eigvalsh(tasks.R)[:, 0]
    value = factor * noise_floor(tasks, form) ** 2 * rho / optimal_covariance(tasks, best)
    return quantity("lambda_i", r"\lambda_i", "Lemmas 3 and 10", value)


def noise_floor(tasks: LQRTasks, form: Form) -> FloatArray:
    r"""Return the :math:`\mu` of Lemma 10, shape (1,) as printed and (I,) as corrected.

    Printed, the least :math:`\sigma_{\min}(\Sigma_{0,i})`; corrected, :math:`\sigma_{\min}(\Psi_i)` of every task.
    """
    if form is Form.PRINTED:
        return np.asarray(np.linalg.eigvalsh(tasks.Sigma0)[:, 0].min(keepdims=True))
    return np.asarray(np.linalg.eigvalsh(tasks.Psi)[:, 0])


def optimal_covariance(tasks: LQRTasks, optima: OptimalGains) -> FloatArray:
    r""":math:`\|\Sigma^i_{K_i^*}\|`, shape (I,)."""
    return spectral(PolicyEvaluation(tasks, optima.K).state_covariance)
