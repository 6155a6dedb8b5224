"""The figures: one function for each, from datasets to a Matplotlib figure, and :func:`save`.

No function touches Matplotlib's global state: figures are made without ``pyplot`` and styled in a context.
"""

from metalqr.figures.estimation_error import estimation_error
from metalqr.figures.exact_methods import exact_methods
from metalqr.figures.learning_curves import figure1
from metalqr.figures.style import save
from metalqr.figures.sweeps import hyperparameters
from metalqr.figures.theory_vs_practice import theory_vs_practice

__all__ = ["estimation_error", "exact_methods", "figure1", "hyperparameters", "save", "theory_vs_practice"]
