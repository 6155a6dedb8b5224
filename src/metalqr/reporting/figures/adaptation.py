"""Adaptation of gains to unseen tasks: gaps to the optima after each step."""

from __future__ import annotations

from metalqr.config.registries import figures
from metalqr.reporting.figures.adaptation_panels import AdaptationFigure, Row


@figures.register("adaptation")
class Adaptation(AdaptationFigure):
    """Adaptation to unseen tasks: the gap ``(J_i(K) - J_i*) / J_i*`` after each step, a column for each case.

    The first row has steps of the exact gradient, the second those of an estimate, against the rollout steps that it
    takes on a task; step sizes are tuned on other unseen tasks, for each starting gain. Thick lines are medians over
    all tasks, repetitions and seeds, thin dashed lines 90 % quantiles. A gain that does not stabilise a task counts as
    infinite, so that a line ends where its share of such gains is too large; the last row shows that share, for the
    estimate. Lines with markers start from trained gains, black and grey ones from the gains that they are compared
    with. Certainty equivalence takes no step: it identifies each task from as many rollout steps, whose states it sees,
    and where the others see costs alone. Where an optimum costs nothing the gap is absolute.
    """

    see = (
        "Compare the first gap of a line with its last: a good start is low at once, a start worth adapting falls "
        "with the steps."
    )
    rows = (
        Row("gap", "gap, exact steps", is_exact=True),
        Row("gap", "gap, estimated steps"),
        Row("unstable", "unstable", height=0.45),
    )
