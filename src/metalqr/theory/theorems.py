"""Requirements of Theorems 1 and 2: step sizes, accuracy, samples and iterations, in both forms."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import LQRTasks, at_optimum
from metalqr.objectives.meta import objective, task_gradients
from metalqr.optimal import DescentError, NoMamlStabilisingGainError, meta_gain
from metalqr.theory import corrected, printed
from metalqr.theory.assumptions import require
from metalqr.theory.bounds import constants_by_task, gradient_domination, worst_of_tasks
from metalqr.theory.inputs import sublevel_inputs, task_inputs
from metalqr.theory.norms import frobenius
from metalqr.theory.result import Form, Quantities, Quantity, quantity
from metalqr.theory.sample_sizes import whole_batch
from metalqr.theory.sublevel import SublevelSet

STEP_SIZES = {Form.PRINTED: printed.STEP_SIZES, Form.CORRECTED: corrected.STEP_SIZES}
REQUIREMENTS = {Form.PRINTED: printed.REQUIREMENTS, Form.CORRECTED: corrected.REQUIREMENTS}
#: Relative size of a gap of costs that counts as rounding.
GAP_ROUNDING = 1e-12
#: What the statement about the gap needs.
OF_THE_GAP = (
    "lambda_meta",
    "epsilon_0",
    "heterogeneity_bias",
    "least_heterogeneity_bias",
    "true_at_start",
    "iterations_for_gap",
    "epsilon_for_gap",
)


def largest_step_sizes(tasks: LQRTasks, K0: ArrayLike, form: Form | str, *, factor: float = 1.0) -> Quantities:
    r"""Constants at the largest ``adaptation_rate`` of Theorem 1, that rate, and the largest ``learning_rate``.

    Printed, they are those over S, with the levels :math:`J_i^* + \gamma\Delta_0^i`. A task's own cost may rise while
    the average falls, so no iterate is sure to stay in that set. The corrected proof uses the levels
    :math:`\bar J_i = J_i^* + 2\gamma\bar\Delta_0/p_i` with :math:`\bar\Delta_0 = \sum_i p_i\Delta_0^i`, which the
    average does control, and widens them to :math:`2\bar J_i` for the perturbed gains. Its step sizes come from bounds
    of the Hessian of every task alone, ``tasks_h_H`` and others, within its level; the other constants are the worst of
    the tasks, within twice the levels.

    Raises
    ------
    ValueError
        If the factor is below one, or the tasks do not meet the assumptions, see :func:`metalqr.theory.unmet`.
    """
    return _step_sizes(SublevelSet.around(tasks, K0, factor), Form(form), factor)


def _step_sizes(sublevel: SublevelSet, form: Form, factor: float) -> Quantities:
    require(sublevel.tasks, form)
    tasks, gap = sublevel.tasks, sublevel.mean_gap
    given = [quantity("first_gap", r"\bar\Delta_0", "Theorem 1", gap)]
    if form is Form.CORRECTED:
        levels = sublevel.optima.cost + 2 * factor * gap / tasks.p
        sublevel, by_task = sublevel.with_levels(2 * levels), constants_by_task(sublevel.with_levels(levels))
        given += [quantity("p", "p_i", "the tasks", tasks.p), *worst_of_tasks(constants_by_task(sublevel))]
        given += [
            quantity(f"tasks_{name}", rf"\bar {by_task[name].symbol}^i", by_task[name].source, by_task[name].value)
            for name in ("h_H", "h_hess", "h_G")
        ]
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
    every_task: bool = False,
) -> Quantities:
    r"""Requirements of Theorems 1 and 2 for reaching a target with probability :math:`1 - \delta`.

    Printed, the two theorems' conditions to the letter, which are to give
    :math:`\mathcal L(K_N) - \mathcal L(K^*) \le \epsilon_0`; :math:`\bar\lambda` is read as :math:`\min_i\lambda_i`,
    :math:`\bar\Delta_0` as :math:`\sum_i p_i\Delta_0^i`. Corrected,

    .. math:: N = \frac{4 (\mathcal L(K_0) - \sum_i p_i J_i^*)}{\alpha\tau^2}, \qquad
              \epsilon^2 = \min\Big\{\frac{\tau^2}2, \frac{\bar\Delta_0}{\alpha N}\Big\},

    which promises that :math:`\|\nabla\mathcal L(K_n)\|_F \le \tau` for some n < N. About the gap, the corrected
    theorem promises :math:`\mathcal L(K_N) \le \sum_i p_i J_i^* + \epsilon_0 + \bar V/\lambda` with
    :math:`\lambda = \min_i\lambda_i (1 - \eta\bar h_H^i)^2` and :math:`\bar V`, missing in the paper, the largest
    variance of the tasks' meta-gradients over the set: ``heterogeneity_bias`` is a bound of :math:`\bar V/\lambda`.
    Where ``true_at_start`` is 1, this holds at n = 0 already, and promises nothing; otherwise it takes
    ``iterations_for_gap`` and errors of ``epsilon_for_gap``.

    ``target`` is :math:`\tau` as a share of :math:`\|\nabla\mathcal L(K_0)\|_F`, and :math:`\epsilon_0` as one of the
    first gap :math:`\mathcal L(K_0) - \mathcal L(K^*)`; ``failure_probability`` is the :math:`\delta` of the whole run,
    and ``factor`` the :math:`\gamma` of Definition 2. With ``every_task`` no task batch is drawn, and every task counts
    with its probability.

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
    constants = _step_sizes(sublevel, form, factor)
    rate = float(constants.adaptation_rate)
    initial, gaps = objective(tasks, K0, rate), sublevel.initial_cost - sublevel.optima.cost
    try:
        gap, unknown = initial - meta_gain(tasks, rate).objective, ""
    except (DescentError, NoMamlStabilisingGainError) as error:
        gap, unknown = np.nan, f"the minimum of the meta-objective is not known: {error}"
    optimal_for = np.flatnonzero(at_optimum(tasks, K0))
    remark = unknown if form is Form.PRINTED else ""
    if gap <= GAP_ROUNDING * initial:
        remark = "the initial gain is the optimum of the meta-objective up to rounding"
    elif form is Form.PRINTED and optimal_for.size:
        remark = f"the initial gain is the optimum of task {optimal_for[0]} up to rounding"
    of_gap = quantity("meta_gap", r"\mathcal L(K_0) - \mathcal L(K^*)", "Theorem 2", gap)
    given = [
        *constants.values(),
        gradient_domination(tasks, form, sublevel.optima),
        quantity("first_gaps", r"\Delta_0^i", "Theorem 1", gaps),
        replace(of_gap, note=unknown),
        quantity("target", r"\epsilon_0 / (\mathcal L(K_0) - \mathcal L(K^*))", "Theorem 2", target),
        quantity("delta", r"\delta", "Theorem 2", failure_probability),
    ]
    if form is Form.PRINTED:
        given.append(quantity("psi_0", r"\psi_0", "Theorem 2", gap))
    else:
        given += [*_at_start(tasks, K0, rate, initial - float(tasks.p @ sublevel.optima.cost))]
        given += whole_batch(tasks.count if every_task else None)
    if remark:
        sizes = ("iterations", "smoothing_radius", "task_batch", "perturbations", "rollout_length")
        wanted = ("lambda_min", "epsilon_0", *(OF_THE_GAP if form is Form.CORRECTED else ()))
        known = REQUIREMENTS[form].evaluate(given, wanted)
        return Quantities(form, [*known.values(), *(REQUIREMENTS[form].unknown(name, remark) for name in sizes)])
    return REQUIREMENTS[form].evaluate(given)


def _at_start(tasks: LQRTasks, K0: ArrayLike, rate: float, gap: float) -> Iterator[Quantity]:
    """What the corrected Theorem 2 needs of the initial gain."""
    parts = task_gradients(tasks, K0, rate)
    mean = np.tensordot(tasks.p, parts, axes=1)
    yield quantity("initial_gap", r"\mathcal L(K_0) - \sum_i p_i J_i^*", "Theorem 2", gap)
    yield quantity("gradient_norm", r"\|\nabla\mathcal L(K_0)\|_F", "Theorem 2", frobenius(mean))
    yield quantity("initial_variance", "V(K_0)", "Theorem 2", tasks.p @ frobenius(parts - mean) ** 2)
