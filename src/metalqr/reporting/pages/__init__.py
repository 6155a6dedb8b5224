"""The sections of the page, one file each (see :class:`metalqr.reporting.pages.section.Section`), and what they share.

Each is saved as a file of its own; ``document`` puts them together with the figures and tables.
"""
