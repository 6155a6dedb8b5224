"""Adaptation of gains to unseen tasks: gaps to the optima after each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from metalqr.config.registries import figures
from metalqr.reporting import adaptation
from metalqr.reporting.figures.adaptation_panels import Row, draw_panels
from metalqr.reporting.figures.figure import Figure

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr


@figures.register("adaptation")
class Adaptation(Figure):
    """Adaptation to unseen tasks: the gap ``(J_i(K) - J_i*) / J_i*`` after each step, a column for each case.

    The first row has steps of the exact gradient, the second those of an estimate, against the rollout steps that it
    takes on a task; step sizes are tuned on other unseen tasks, for each starting gain. Thick lines are medians over
    all tasks, repetitions and seeds, thin dashed lines 90 % quantiles. A gain that does not stabilise a task counts as
    infinite, so that a line ends where its share of such gains is too large; the last row shows that share, for the
    estimate. Lines with markers start from trained gains, black and grey ones from the gains that they are compared
    with. Certainty equivalence takes no step: it identifies each task from as many rollout steps, whose states it sees,
    and where the others see costs alone. Where an optimum costs nothing the gap is absolute.
    """

    reads = "evaluation"
    category = "Adaptation"

    def details(self, config: Mapping[str, object], names: Sequence[str]) -> list[str]:
        """The rules of the evaluation, and the experiments."""
        return adaptation.details(config, names)

    def draw(self, datasets: Mapping[str, xr.Dataset]) -> matplotlib.figure.Figure:
        """Three panels for each case."""
        rows = [
            Row("gap", "gap, exact steps", is_exact=True),
            Row("gap", "gap, estimated steps"),
            Row("unstable", "unstable", height=0.45),
        ]
        return draw_panels(datasets, rows)
