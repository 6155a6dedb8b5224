"""The base of all sections of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from metalqr.reporting.pages.chart import Chart
from metalqr.reporting.pages.specification import specification
from metalqr.reporting.product import Product


class Section(Product):
    """Base of all sections: a new one only needs :meth:`charts`; ``examples/own_section.py`` is a complete one.

    Attributes
    ----------
    place : int
        Sections are in the order of their places. Those of the same category stand under one heading.
    shows : tuple of str
        The figures and tables of the pipeline beneath its charts, by the names of their plug-ins. What no section names
        stands under the heading of its own category, or at the end.
    """

    category = "More"
    heading = "section"
    place: ClassVar[int] = 100
    shows: ClassVar[tuple[str, ...]] = ()

    def charts(self, datasets: Mapping[str, Any]) -> Sequence[Chart]:
        """The charts; the datasets are as in :meth:`metalqr.reporting.figures.figure.Figure.draw`."""
        raise NotImplementedError

    def make(self, datasets: Mapping[str, Any]) -> dict[str, Any]:
        """The section as it is saved; a chart without a curve is left out."""
        found = [chart for chart in self.charts(datasets) if chart.curves]
        charts = [{**asdict(chart), "spec": specification(chart)} for chart in found]
        return {"category": self.category, "place": self.place, "shows": list(self.shows), "charts": charts}
