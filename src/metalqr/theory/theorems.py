"""Requirements of Theorems 1 and 2: step sizes, accuracy, samples and iterations, in both forms."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import LQRTasks, at_optimum
from metalqr.objectives.meta import objective
from metalqr.optimal import DescentError, NoMamlStabilisingGainError, meta_gain
from metalqr.theory import corrected, printed
from metalqr.theory.assumptions import require
from metalqr.theory.bounds import gradient_domination
from metalqr.theory.inputs import sublevel_inputs, task_inputs
from metalqr.theory.result import Form, Quantities, quantity
from metalqr.theory.sublevel import SublevelSet

STEP_SIZES = {Form.PRINTED: printed.STEP_SIZES, Form.CORRECTED: corrected.STEP_SIZES}
REQUIREMENTS = {Form.PRINTED: printed.REQUIREMENTS, Form.CORRECTED: corrected.REQUIREMENTS}
#: Relative size of a gap of costs that counts as rounding.
GAP_ROUNDING = 1e-12


def largest_step_sizes(tasks: LQRTasks, K0: ArrayLike, form: Form | str, *, factor: float = 1.0) -> Quantities:
    r"""Constants at the largest ``adaptation_rate`` of Theorem 1, that rate, and the largest ``learning_rate``.

    Printed, they are those over S, with the levels :math:`J_i^* + \gamma\Delta_0^i`. A task's own cost may rise while
    the average falls, so no iterate is sure to stay in that set. The corrected proof uses the levels
    :math:`\bar J_i = J_i^* + 2\gamma\bar\Delta_0/p_i` with :math:`\bar\Delta_0 = \sum_i p_i\Delta_0^i`, which the
    average does control, and widens them to :math:`2\bar J_i` for the perturbed gains.

    Raises
    ------
    ValueError
        If the factor is below one, or the tasks do not meet the assumptions, see :func:`metalqr.theory.unmet`.
    """
    return _step_sizes(SublevelSet.around(tasks, K0, factor), Form(form), factor)


def _step_sizes(sublevel: SublevelSet, form: Form, factor: float) -> Quantities:
    require(sublevel.tasks, form)
    tasks, gap = sublevel.tasks, sublevel.mean_gap
    if form is Form.CORRECTED:
        sublevel = sublevel.with_levels(2 * (sublevel.optima.cost + 2 * factor * gap / tasks.p))
    given = (
        quantity("first_gap", r"\bar\Delta_0", "Theorem 1", gap),
        quantity("p_max", r"p_{\max}", "the tasks", tasks.p.max()),
    )
    return STEP_SIZES[form].evaluate([*task_inputs(tasks), *sublevel_inputs(sublevel), *given])


def absent_requirements(form: Form | str, reason: str) -> Quantities:
    """Return the requirements of tasks at which they cannot be computed: NaN, with the reason as their note."""
    tables = STEP_SIZES[Form(form)], REQUIREMENTS[Form(form)]
    return Quantities(Form(form), [each for table in tables for each in table.absent(reason).values()])


def requirements(
    tasks: LQRTasks,
    K0: ArrayLike,
    form: Form | str,
    *,
    target: float = 0.1,
    failure_probability: float = 0.1,
    factor: float = 1.0,
) -> Quantities:
    r"""Requirements of Theorems 1 and 2 for reaching :math:`\epsilon_0` with probability :math:`1 - \delta`.

    Printed, the two theorems' conditions to the letter; :math:`\bar\lambda` is read as :math:`\min_i\lambda_i`,
    :math:`\bar\Delta_0` as :math:`\sum_i p_i\Delta_0^i`. Corrected, with
    :math:`\lambda = \min_i\lambda_i (1 - \eta\bar h_H)^2`,

    .. math:: N = \frac{4}{\alpha\lambda}\log\frac{2\psi_0}{\epsilon_0}, \qquad
              \epsilon^2 = \min\Big\{\frac{\lambda\epsilon_0}{6}, \frac{2\bar\Delta_0}{3\alpha N}\Big\},

    which promises :math:`\mathcal L(K_N) \le \sum_i p_i J_i^* + \epsilon_0 + \bar V/\lambda`, where :math:`\bar V` is
    the variance of the tasks' meta-gradients: zero for equal tasks, and missing in the paper.

    ``target`` is :math:`\epsilon_0` as a share of the first gap :math:`\mathcal L(K_0) - \mathcal L(K^*)`,
    ``failure_probability`` the :math:`\delta` of the whole run, and ``factor`` the :math:`\gamma` of Definition 2.

    Among the result are ``learning_rate``, ``adaptation_rate``, ``smoothing_radius``, ``rollout_length``,
    ``perturbations``, ``task_batch`` and ``iterations``, named as in the config. Sizes are NaN, with a note, where K0,
    shape (k, d), is already optimal for the meta-objective, or, printed, for a task, so that its
    :math:`\varepsilon_i` is zero.
    """
    form = Form(form)
    if not 0 < target <= 1 or not 0 < failure_probability < 1:
        raise ValueError(
            f"target {target!r} must be in (0, 1] and failure_probability {failure_probability!r} in (0, 1)"
        )
    sublevel = SublevelSet.around(tasks, K0, factor)
    best = sublevel.optima.cost
    constants = _step_sizes(sublevel, form, factor)
    rate = float(constants.adaptation_rate)
    initial, gaps = objective(tasks, K0, rate), sublevel.initial_cost - best
    try:
        gap, remark = initial - meta_gain(tasks, rate).objective, ""
    except (DescentError, NoMamlStabilisingGainError) as error:
        gap, remark = np.nan, f"the minimum of the meta-objective is not known: {error}"
    optimal_for = np.flatnonzero(at_optimum(tasks, K0))
    if gap <= GAP_ROUNDING * initial:
        remark = "the initial gain is the optimum of the meta-objective up to rounding"
    elif form is Form.PRINTED and optimal_for.size:
        remark = f"the initial gain is the optimum of task {optimal_for[0]} up to rounding"
    given = [
        *constants.values(),
        gradient_domination(tasks, form, sublevel.optima),
        quantity("first_gaps", r"\Delta_0^i", "Theorem 1", gaps),
        quantity("meta_gap", r"\mathcal L(K_0) - \mathcal L(K^*)", "Theorem 2", gap),
        quantity("psi_0", r"\psi_0", "Theorem 2", gap if form is Form.PRINTED else initial - tasks.p @ best),
        quantity("target", r"\epsilon_0 / (\mathcal L(K_0) - \mathcal L(K^*))", "Theorem 2", target),
        quantity("delta", r"\delta", "Theorem 2", failure_probability),
    ]
    if remark:
        sizes = ("iterations", "smoothing_radius", "task_batch", "perturbations", "rollout_length")
        known = REQUIREMENTS[form].evaluate(given, ("lambda_min", "epsilon_0"))
        return Quantities(form, [*known.values(), *(REQUIREMENTS[form].unknown(name, remark) for name in sizes)])
    return REQUIREMENTS[form].evaluate(given)
