"""The tables, one file each (see :class:`metalqr.reporting.tables.table.Table`), and their Markdown."""
