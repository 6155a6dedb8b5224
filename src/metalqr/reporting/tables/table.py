"""The base of all tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.reporting.product import Product

if TYPE_CHECKING:
    import pandas as pd

    from metalqr.reporting.tables.markdown import Columns


class Table(Product):
    """Base of all tables: :meth:`tabulate` is all that a new one must have; most have a :meth:`caption`.

    Attributes
    ----------
    columns : mapping of str to Column or None
        How its columns look in Markdown, by their names in the frame; None for one that is part of another. Those that
        are not named are headed by their names.
    """

    category = "Tables"
    columns: ClassVar[Columns] = {}

    def labels(self, file: str) -> dict[str, str]:
        """``table`` with the name of the file."""
        return {"table": file}

    def tabulate(self, datasets: Mapping[str, Any]) -> pd.DataFrame:
        """Make the table of the datasets, which are as in :meth:`metalqr.reporting.figures.figure.Figure.draw`."""
        raise NotImplementedError

    def make(self, datasets: Mapping[str, Any]) -> pd.DataFrame:
        """Make the table.

        Raises
        ------
        metalqr.reporting.summaries.DatasetError
            If there is no dataset, or one is not what the table needs.
        """
        self._require(datasets)
        return self.tabulate(datasets)
