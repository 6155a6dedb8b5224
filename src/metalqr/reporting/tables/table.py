"""The base of all tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.reporting.product import Product

if TYPE_CHECKING:
    import pandas as pd

    from metalqr.reporting.tables.markdown import Columns


class Table(Product):
    """Base of all tables: :meth:`tabulate` is all that a new one must have.

    Attributes
    ----------
    columns : mapping of str to Column or None
        How its columns look in Markdown, by their names in the frame; None for one that is part of another. Those that
        are not named are headed by their names.
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
