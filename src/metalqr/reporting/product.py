"""The base of figures and tables: classes that declare what they read, and draw or tabulate it.

A new one is one file with one class. Planning imports it, so it imports Matplotlib, pandas, xarray and SciPy inside its
functions only; annotations may name them with imports under ``if TYPE_CHECKING:``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registry import Plugin

if TYPE_CHECKING:
    from metalqr.config.experiments import Experiment


class Product(Plugin):
    """Base of figures and tables.

    Attributes
    ----------
    reads : str
        The kind of result that it shows, one of :data:`metalqr.config.outputs.READERS`: ``"datasets"`` of experiments,
        ``"meta_optima"`` of cases and adaptation rates, ``"evaluation"`` of experiments and cases, or results of the
        stage `theory` for each case.
    file : str
        The name of its files without a suffix, by default its own; with ``{name}``, one for each experiment or case.
    shows_predictions : bool
        True for a figure that draws the variable ``predicted`` of datasets, which those of experiments with
        ``show_prediction: true`` have.
    see : str
        What to see in it, for the page: a sentence or two that hold for any data. Empty where the caption says it.
    category, heading : str
        Its section of the report, and the heading of its file's name there.
    """

    reads: ClassVar[str] = "datasets"
    file: ClassVar[str] = ""
    shows_predictions: ClassVar[bool] = False
    see: ClassVar[str] = ""
    category: ClassVar[str]
    heading: ClassVar[str]

    def takes(self, experiment: Experiment) -> bool:
        """True for the experiments that it shows: by default, all. It counts for ``"datasets"`` only."""
        return True

    def labels(self, file: str) -> dict[str, str]:
        """The columns of the report's list of results, for one of its files."""
        return {self.heading: file}

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """Lines of the caption that depend on the config and the experiments or cases shown, by default none."""
        return []

    def caption(self, config: Mapping[str, Any], names: Sequence[str]) -> str:
        """The text beside it in the report, in reStructuredText: the docstring of the class, the details as a list."""
        text = inspect.cleandoc(type(self).__doc__ or "")
        return "\n\n* ".join([text, *self.details(config, names)])
