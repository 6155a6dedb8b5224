"""Regret of adaptation to unseen tasks: the excess costs that the steps have caused."""

from __future__ import annotations

from metalqr.config.registries import figures
from metalqr.reporting.figures.adaptation_panels import AdaptationFigure, Row


@figures.register("regret")
class Regret(AdaptationFigure):
    """Regret of adaptation to unseen tasks, a column for each case.

    The regret after s steps is the sum of ``J_i(K) - J_i*`` over the gains at which the steps were taken. The first row
    has it in units of cost for steps of the exact gradient; the second in costs of all rollouts that an estimate takes
    on a task, each at the cost of the gain that is perturbed. Lines are those of the figure ``adaptation``, with the
    same tuned step sizes; one ends where a gain was unstable in half of all cases. Certainty equivalence pays for
    rollouts of K_0, and for exploring with them.
    """

    see = "What adaptation costs while it lasts: a lower line has paid less for all steps so far."
    rows = (
        Row("regret", "regret, exact steps", is_exact=True),
        Row("regret", "regret, costs of rollouts"),
    )
