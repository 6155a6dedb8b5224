"""Inputs of the formulas: norms of the tasks, and of a gain or of all gains of a sub-level set."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, tiled
from metalqr.lqr.performance_difference import optimality_gap
from metalqr.theory.norms import frobenius, spectral
from metalqr.theory.result import Quantity, quantity
from metalqr.theory.sublevel import SublevelSet


def task_inputs(tasks: LQRTasks, adaptation_rate: float | None = None) -> list[Quantity]:
    r"""Norms of the task matrices, each the worst over the tasks, and the adaptation rate if it is known.

    ``mu`` and ``Psi_trace`` are those of the process noise; ``mu_0`` and ``Sigma0_trace`` those of the initial state,
    which the paper prints in their place.

    Raises
    ------
    ValueError
        If B is zero for every task: no gain has an effect then, and the constants divide by its norm.
    """
    if not tasks.B.any():
        raise ValueError("B is zero for every task: no gain has an effect, and the constants are undefined; change B")
    return task_norms(tasks, adaptation_rate)


def task_norms(tasks: LQRTasks, adaptation_rate: float | None = None) -> list[Quantity]:
    """Norms of the task matrices as :func:`task_inputs`, also where no gain has an effect."""
    smallest = {name: np.linalg.eigvalsh(getattr(tasks, name))[:, 0] for name in ("Psi", "Sigma0", "Q", "R")}
    norms = {name: spectral(getattr(tasks, name)) for name in ("A", "B", "Q", "R", "Psi", "Sigma0")}
    traces = {name: np.trace(getattr(tasks, name), axis1=1, axis2=2) for name in ("Psi", "Sigma0", "R")}
    values: list[tuple[str, str, ArrayLike | None]] = [
        ("state_dim", "d", tasks.state_dim),
        ("action_dim", "k", tasks.action_dim),
        ("eta", r"\eta", adaptation_rate),
        ("mu", r"\mu = \min_i \sigma_{\min}(\Psi_i)", smallest["Psi"].min()),
        ("mu_0", r"\min_i \sigma_{\min}(\Sigma_{0,i})", smallest["Sigma0"].min()),
        ("q", r"\min_i \sigma_{\min}(Q_i)", smallest["Q"].min()),
        ("q_largest", r"\max_i \sigma_{\min}(Q_i)", smallest["Q"].max()),
        ("rho", r"\min_i \sigma_{\min}(R_i)", smallest["R"].min()),
        ("A_max", r"\|A\|_{\max}", norms["A"].max()),
        ("B_max", r"\|B\|_{\max}", norms["B"].max()),
        ("Q_max", r"\|Q\|_{\max}", norms["Q"].max()),
        ("Q_min", r"\|Q\|_{\min}", norms["Q"].min()),
        ("R_max", r"\|R\|_{\max}", norms["R"].max()),
        ("R_trace", r"\max_i \mathrm{Tr}(R_i)", traces["R"].max()),
        ("Psi_max", r"\max_i \|\Psi_i\|", norms["Psi"].max()),
        ("Sigma0_max", r"\max_i \|\Sigma_{0,i}\|", norms["Sigma0"].max()),
        ("Psi_trace", r"\max_i \mathrm{Tr}(\Psi_i)", traces["Psi"].max()),
        ("Sigma0_trace", r"\max_i \mathrm{Tr}(\Sigma_{0,i})", traces["Sigma0"].max()),
    ]
    return [quantity(name, symbol, "the tasks", value) for name, symbol, value in values if value is not None]


def gain_inputs(sublevel: SublevelSet, gains: FloatArray) -> list[Quantity]:
    """Norms at each of n gains (n, k, d), exactly: values of shape (n,), each the worst over the tasks."""
    tasks, count = sublevel.tasks, len(gains)
    batch, per_task = tiled(tasks, count), np.repeat(gains, tasks.count, axis=0)
    evaluation = PolicyEvaluation(batch, per_task)
    least = sublevel.optima.cost.min()
    # J_max - J_min without the cancellation near an optimum.
    spans = optimality_gaps(sublevel, evaluation, per_task) + np.tile(sublevel.optima.cost - least, count)

    def worst(values: FloatArray) -> FloatArray:
        return np.asarray(values.reshape(count, tasks.count).max(axis=1))

    input_value = batch.B.mT @ evaluation.value_matrix @ batch.A
    cost, closed_loop = worst(evaluation.cost()), worst(spectral(evaluation.closed_loop))
    return _gain_quantities(
        source="the gain",
        J_max=cost,
        J_min=least,
        J_span=worst(spans),
        J_least=cost,
        J_initial=sublevel.initial_cost.max(),
        K_norm=spectral(gains),
        M_max=worst(spectral(evaluation.input_curvature)),
        BPA=worst(spectral(input_value)),
        BPA_frobenius=worst(frobenius(input_value)),
        A_K=closed_loop,
        A_K_least=closed_loop,
        A_K_trace=worst(np.trace(evaluation.closed_loop, axis1=1, axis2=2)),
    )


def sublevel_inputs(sublevel: SublevelSet) -> list[Quantity]:
    r"""Upper bounds of these norms over all gains of a sub-level set, not sampled: ``docs/errata.md`` proves them.

    Every corrected formula increases in each of these, except :math:`h_\Delta`, which decreases: they bound the
    suprema from above and its infimum from below. Where other constants contain :math:`h_\Delta`, they use its largest
    value over the set, from :math:`J_{\max}(K) \ge \max_i J_i^*` and :math:`\|A_K\| \ge 0`. Printed formulas do not
    increase where :math:`\tilde\xi` or :math:`h_6` is negative, and are no bounds then.
    """
    tasks = sublevel.tasks
    given = {each.name: float(each.value) for each in task_norms(tasks)}
    level, least = float(sublevel.levels.max()), sublevel.optima.cost.min()
    value = level / given["mu"]
    closed_loop = np.sqrt(max(0.0, value / given["q"] - 1.0))
    input_value = given["B_max"] * given["A_max"] * value
    return _gain_quantities(
        source="the sub-level set",
        J_max=level,
        J_min=least,
        J_span=level - least,
        J_least=sublevel.optima.cost.max(),
        J_initial=sublevel.initial_cost.max(),
        K_norm=np.sqrt(max(0.0, value - given["q"]) / given["rho"]),
        M_max=given["R_max"] + given["B_max"] ** 2 * value,
        BPA=input_value,
        BPA_frobenius=input_value,
        A_K=closed_loop,
        A_K_least=0.0,
        A_K_trace=tasks.state_dim * closed_loop,
    )


def _gain_quantities(source: str, **values: ArrayLike) -> list[Quantity]:
    symbols = {
        "J_max": r"J_{\max}(K)",
        "J_min": r"J_{\min} = \min_i J_i^*",
        "J_span": r"J_{\max}(K) - J_{\min}",
        "J_least": r"\inf J_{\max}",
        "J_initial": r"J_{\max}(K_0)",
        "K_norm": r"\|K\|",
        "M_max": r"\max_i \|R_i + B_i^\top P_K^i B_i\|",
        "BPA": r"\max_i \|B_i^\top P_K^i A_i\|",
        "BPA_frobenius": r"\max_i \|B_i^\top P_K^i A_i\|_F",
        "A_K": r"\|A - BK\|_{\max}",
        "A_K_least": r"\inf \|A - BK\|_{\max}",
        "A_K_trace": r"\max_i \mathrm{Tr}(A_i - B_i K)",
    }
    return [quantity(name, symbol, source, values[name]) for name, symbol in symbols.items()]


def optimality_gaps(sublevel: SublevelSet, evaluation: PolicyEvaluation, gains: FloatArray) -> FloatArray:
    """Gaps J_i(K) - J_i* of gains (n I, k, d), one for each task of a batch, without cancellation near the optimum."""
    count = len(gains) // sublevel.tasks.count
    best = np.tile(sublevel.optima.K, (count, 1, 1))
    optimal = PolicyEvaluation(tiled(sublevel.tasks, count), best)
    return optimality_gap(optimal, evaluation, gains - best)
