"""Figures and tables, made from the pipeline's files. This package knows no mathematics of its own."""
