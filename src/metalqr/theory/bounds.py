"""The constants of Lemmas 8 to 12 at given gains and over a sub-level set."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation
from metalqr.optimal import OptimalGains, optimal_gains
from metalqr.theory import corrected, printed
from metalqr.theory.inputs import gain_inputs, sublevel_inputs, task_inputs
from metalqr.theory.result import Form, Quantities, Quantity
from metalqr.theory.sublevel import SublevelSet

CONSTANTS = {Form.PRINTED: printed.CONSTANTS, Form.CORRECTED: corrected.CONSTANTS}


def constants(
    tasks: LQRTasks, K: ArrayLike, form: Form | str, *, adaptation_rate: float = 0.0, K0: ArrayLike | None = None
) -> Quantities:
    r"""The constants of Lemmas 8, 9, 11 and 12 at given gains.

    :math:`h_G, h_H, h_c, \tilde\xi` (Lemma 8), :math:`h_\Delta, h_{cost}, h_{grad}, h_{hess}, \nu` and :math:`h_0` to
    :math:`h_9` (Lemma 9; there is no :math:`h_5`), :math:`h_{G,\mathcal L}` (Lemma 11),
    :math:`h_{\mathcal L,cost}, h_{\mathcal L,grad}` (Lemma 12), with everything that they are computed from.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (n, k, d)
        One gain for all tasks, or n of them.
    form : {"printed", "corrected"}
    adaptation_rate : float
        :math:`\eta`; Lemmas 11 and 12 need it.
    K0 : array_like, shape (k, d), optional
        The initial gain, at which the paper evaluates :math:`\tilde\xi`. Default: zero.

    Returns
    -------
    Quantities
        Of shape (n,), or scalars for one gain.

    Raises
    ------
    UnstablePolicyError
        If a gain does not stabilise every task.
    """
    gains = np.asarray(K, dtype=np.float64)
    initial = np.zeros((tasks.action_dim, tasks.state_dim)) if K0 is None else K0
    found = gain_constants(
        SublevelSet.around(tasks, initial), gains.reshape(-1, *gains.shape[-2:]), form, adaptation_rate
    )
    if gains.ndim == 3:
        return found
    scalars = [replace(quantity, value=quantity.value.reshape(-1)[0]) for quantity in found.values()]
    return Quantities(found.form, scalars)


def gain_constants(
    sublevel: SublevelSet, gains: FloatArray, form: Form | str, adaptation_rate: float = 0.0
) -> Quantities:
    """The same at gains (n, k, d), with what a sub-level set has computed already."""
    inputs = (*task_inputs(sublevel.tasks, adaptation_rate), *gain_inputs(sublevel, gains))
    return CONSTANTS[Form(form)].evaluate(inputs)


def sublevel_constants(sublevel: SublevelSet, form: Form | str, *, adaptation_rate: float = 0.0) -> Quantities:
    r"""Upper bounds of the constants over all gains of a sub-level set, and a lower bound of :math:`h_\Delta`.

    What the paper writes with a bar above (supremum) or below (infimum). The norms that enter are bounded as
    :func:`metalqr.theory.inputs.sublevel_inputs` proves; nothing is sampled.

    Parameters
    ----------
    sublevel : SublevelSet
    form : {"printed", "corrected"}
    adaptation_rate : float

    Returns
    -------
    Quantities
        Scalars under the same names as those of :func:`constants`.
    """
    inputs = (*task_inputs(sublevel.tasks, adaptation_rate), *sublevel_inputs(sublevel))
    return CONSTANTS[Form(form)].evaluate(inputs)


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
    return Quantity("lambda_i", r"\lambda_i", "Lemmas 3 and 10", value)


def noise_floor(tasks: LQRTasks, form: Form) -> FloatArray:
    r"""The :math:`\mu` of Lemma 10, shape () as printed and (I,) as corrected.

    Printed, the least :math:`\sigma_{\min}(\Sigma_{0,i})`; corrected, :math:`\sigma_{\min}(\Psi_i)` of every task.
    """
    noise = tasks.Sigma0 if form is Form.PRINTED else tasks.Psi
    smallest = np.linalg.eigvalsh(noise)[:, 0]
    return np.asarray(smallest.min() if form is Form.PRINTED else smallest)


def optimal_covariance(tasks: LQRTasks, optima: OptimalGains) -> FloatArray:
    r""":math:`\|\Sigma^i_{K_i^*}\|`, shape (I,)."""
    return np.asarray(np.linalg.norm(PolicyEvaluation(tasks, optima.K).state_covariance, ord=2, axis=(1, 2)))
