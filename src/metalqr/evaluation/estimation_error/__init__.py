"""The true error of Algorithms 1 and 2: their estimates against the exact gradients, as functions of M, r and l.

Lemmas 6 and 7 of the paper bound these errors; here they are measured, beside the part of them, the bias, that more
perturbations do not remove.
"""

from metalqr.config.model import ErrorSweeps
from metalqr.evaluation.estimation_error.bias import Bias, exact_gradients, horizon_bias, smoothing_bias
from metalqr.evaluation.estimation_error.curves import PREDICTED_SLOPES, Curve, EstimationError, Slopes, Sweep
from metalqr.evaluation.estimation_error.measurement import measure

__all__ = [
    "PREDICTED_SLOPES",
    "Bias",
    "Curve",
    "ErrorSweeps",
    "EstimationError",
    "Slopes",
    "Sweep",
    "exact_gradients",
    "horizon_bias",
    "measure",
    "smoothing_bias",
]
