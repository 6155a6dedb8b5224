"""The figures, one file each (see :class:`metalqr.reporting.figures.figure.Figure`), and what they share.

No function touches Matplotlib's global state: figures are made without ``pyplot`` and styled in a context.
"""
