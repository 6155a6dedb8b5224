"""Constants of Lemmas 8 to 12 at given gains, and bounds of them over a sub-level set."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import real_array
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation
from metalqr.optimal import OptimalGains, optimal_gains
from metalqr.theory import corrected, printed
from metalqr.theory.assumptions import require
from metalqr.theory.inputs import gain_inputs, sublevel_inputs, task_inputs, task_norms
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


def constants_by_task(sublevel: SublevelSet) -> Quantities:
    r"""Corrected bounds over a sub-level set for every task, shape (I,): what needs no adaptation rate, and Lemma 14.

    Each is from the norms, the level and the optimum of one task alone, for all gains at which that task is within its
    level; :func:`sublevel_constants` mixes the worst of them. Perturbations are at most as large as the least
    :math:`h_\Delta` of the tasks.
    """
    require(sublevel.tasks, Form.CORRECTED)
    sets = [sublevel.of_task(task) for task in range(sublevel.tasks.count)]
    inputs = [[*task_norms(each.tasks), *sublevel_inputs(each)] for each in sets]
    limits = [corrected.BY_TASK.evaluate(each, ["h_Delta_largest"])["h_Delta_largest"] for each in inputs]
    limit = min(limits, key=lambda each: float(each.value))
    names = [name for name in corrected.BY_TASK if not name.startswith("h_meta")]
    found = [corrected.BY_TASK.evaluate([*each, limit], names) for each in inputs]
    members = (replace(found[0][name], value=np.stack([each[name].value for each in found])) for name in found[0])
    return Quantities(Form.CORRECTED, members)


def worst_of_tasks(by_task: Quantities) -> list[Quantity]:
    r"""The largest bound of each constant, and the smallest of :math:`h_\Delta`, which hold for every task."""
    worst = {name: np.min if name in ("h_Delta", "h_Delta_largest") else np.max for name in corrected.BY_TASK}
    return [replace(each, value=np.asarray(worst[name](each.value))) for name, each in by_task.items() if name in worst]


def absent_constants(form: Form | str, reason: str) -> Quantities:
    """Return the constants of tasks at which they cannot be computed: NaN, with the reason as their note."""
    return CONSTANTS[Form(form)].absent(reason)


def gradient_domination(tasks: LQRTasks, form: Form | str, optima: OptimalGains | None = None) -> Quantity:
    r"""Constants :math:`\lambda_i` of Lemmas 3 and 10, shape (I,).

    .. math:: J_i(K) - J_i^* \le \frac{1}{\lambda_i} \|\nabla J_i(K)\|_F^2, \qquad
              \lambda_i = 4 \sigma_{\min}(\Psi_i) \lambda_{\min}\bigl((\Sigma^i_{K_i^*})^{-1} \Psi_i\bigr)
              \sigma_{\min}(R_i + B_i^\top P_i B_i)

    as corrected. Printed, :math:`\mu^2 \sigma_{\min}(R_i) / \|\Sigma^i_{K_i^*}\|` with
    :math:`\mu = \min_i \sigma_{\min}(\Sigma_{0,i})`, as in Lemma 3 with the optimum of the task; Lemma 10 has that of
    the meta-objective there, with which it fails.
    """
    form = Form(form)
    best = optimal_gains(tasks) if optima is None else optima
    if form is Form.PRINTED:
        rho = np.linalg.eigvalsh(tasks.R)[:, 0]
        value = noise_floor(tasks, form) ** 2 * rho / covariance_norms(tasks, best.K)
        return quantity("lambda_i", r"\lambda_i", "Lemma 3", value)
    at_best = PolicyEvaluation(tasks, best.K)
    root = np.linalg.cholesky(at_best.state_covariance)
    share = np.linalg.eigvalsh(np.linalg.solve(root, np.linalg.solve(root, tasks.Psi).mT))[:, 0]
    value = 4 * noise_floor(tasks, form) * share * np.linalg.eigvalsh(at_best.input_curvature)[:, 0]
    return quantity("lambda_i", r"\lambda_i", "Lemmas 3 and 10", value)


def noise_floor(tasks: LQRTasks, form: Form) -> FloatArray:
    r"""Return the :math:`\mu` of Lemma 10, shape (1,) as printed and (I,) as corrected.

    Printed, the least :math:`\sigma_{\min}(\Sigma_{0,i})`; corrected, :math:`\sigma_{\min}(\Psi_i)` of every task.
    """
    if form is Form.PRINTED:
        return np.asarray(np.linalg.eigvalsh(tasks.Sigma0)[:, 0].min(keepdims=True))
    return np.asarray(np.linalg.eigvalsh(tasks.Psi)[:, 0])


def covariance_norms(tasks: LQRTasks, K: FloatArray) -> FloatArray:
    r""":math:`\|\Sigma^i_K\|`, shape (I,), of one gain for all tasks or one for each."""
    return spectral(PolicyEvaluation(tasks, K).state_covariance)
