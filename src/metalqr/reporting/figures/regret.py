"""Regret of adaptation to unseen tasks: the excess costs that the steps have caused."""

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


@figures.register("regret")
class Regret(Figure):
    """Regret of adaptation to unseen tasks, a column for each case.

    The regret after s steps is the sum of ``J_i(K) - J_i*`` over the gains at which the steps were taken. The first row
    has it in units of cost for steps of the exact gradient; the second in costs of all rollouts that an estimate takes
    on a task, each at the cost of the gain that is perturbed. Lines are those of the figure ``adaptation``, with the
    same tuned step sizes; one ends where a gain was unstable in half of all cases. Certainty equivalence pays for
    rollouts of K_0, and for exploring with them.
    """

    reads = "evaluation"
    category = "Adaptation"

    def details(self, config: Mapping[str, object], names: Sequence[str]) -> list[str]:
        """The rules of the evaluation, and the experiments."""
        return adaptation.details(config, names)

    def draw(self, datasets: Mapping[str, xr.Dataset]) -> matplotlib.figure.Figure:
        """Two panels for each case."""
        rows = [
            Row("regret", "regret, exact steps", is_exact=True),
            Row("regret", "regret, costs of rollouts"),
        ]
        return draw_panels(datasets, rows)
