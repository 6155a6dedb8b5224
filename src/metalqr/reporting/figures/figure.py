"""The base of all figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metalqr.reporting.product import Product

if TYPE_CHECKING:
    import matplotlib.figure


class Figure(Product):
    """Base of all figures: :meth:`draw` is all that a new one must have; ``examples/own_figure.py`` is complete."""

    category = "Figures"
    heading = "figure"

    def draw(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw, inside the house style (see :func:`metalqr.reporting.figures.style.new_figure`).

        Parameters
        ----------
        datasets : mapping of str to xarray.DataTree or xarray.Dataset
            What it reads, by the name of the experiment or case: a tree of cases for an experiment.

        Raises
        ------
        metalqr.reporting.summaries.DatasetError
            If a dataset is not what the figure needs.
        """
        raise NotImplementedError

    def make(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw in the house style, laid out once for all formats."""
        from metalqr.reporting.figures.style import settle, styled

        with styled():
            figure = self.draw(datasets)
            settle(figure)
        return figure
