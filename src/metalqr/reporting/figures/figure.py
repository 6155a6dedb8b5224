"""The base of all figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metalqr.reporting.product import Product

if TYPE_CHECKING:
    import matplotlib.figure


class Figure(Product):
    """Base of all figures: :meth:`draw` is all that a new one must have; most have a :meth:`caption`.

    Examples
    --------
    ``examples/own_figure.py`` is a complete one.
    """

    category = "Figures"

    def labels(self, file: str) -> dict[str, str]:
        """``figure`` with the name of the file."""
        return {"figure": file}

    def draw(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw, inside the house style (see :func:`metalqr.reporting.figures.style.new_figure`).

        Parameters
        ----------
        datasets : mapping of str to xarray.DataTree or xarray.Dataset
            What it reads, by the name of the experiment or case: a tree of cases for an experiment.
        """
        raise NotImplementedError

    def make(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw in the house style, laid out once for all formats.

        Raises
        ------
        metalqr.reporting.summaries.DatasetError
            If there is no dataset, or one is not what the figure needs.
        """
        from metalqr.reporting.figures.style import settle, styled

        self._require(datasets)
        with styled():
            figure = self.draw(datasets)
            settle(figure)
        return figure
