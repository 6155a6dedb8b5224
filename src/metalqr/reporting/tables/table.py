"""The base of all tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.reporting.product import Product

if TYPE_CHECKING:
    import pandas as pd

    from metalqr.reporting.tables.markdown import Columns


class Table(Product):
    """Base of all tables: a new one only needs :meth:`tabulate`.

    Attributes
    ----------
    columns : mapping of str to Column or None
        The columns in Markdown, by their names; None leaves one out. Others are headed by their names.
    """

    category = "Tables"
    heading = "table"
    columns: ClassVar[Columns] = {}

    def tabulate(self, datasets: Mapping[str, Any]) -> Iterable[dict[str, Any]] | pd.DataFrame:
        """The rows by column; the datasets are as in :meth:`metalqr.reporting.figures.figure.Figure.draw`."""
        raise NotImplementedError

    def make(self, datasets: Mapping[str, Any]) -> pd.DataFrame:
        """Make the table."""
        import pandas as pd

        return pd.DataFrame(self.tabulate(datasets))
