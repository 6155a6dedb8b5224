"""The base of all figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metalqr.reporting.product import Product

if TYPE_CHECKING:
    import matplotlib.figure


class Figure(Product):
    """Base of all figures: a new one only needs :meth:`draw`; ``examples/own_figure.py`` is a complete one."""

    category = "Figures"
    heading = "figure"

    def draw(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw the datasets, by name of the experiment (a DataTree of cases) or case, in the house style.

        A :class:`metalqr.reporting.summaries.DatasetError` says that one is not what the figure needs.
        """
        raise NotImplementedError

    def make(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw in the house style, laid out once for all formats."""
        from metalqr.reporting.figures.style import settle, styled

        with styled():
            figure = self.draw(datasets)
            settle(figure)
        return figure
