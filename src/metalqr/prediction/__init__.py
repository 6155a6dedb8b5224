"""Learning curves without simulation: the mean path of a training run, and the covariance around it."""

from metalqr.prediction.curve import predict
from metalqr.prediction.result import PREDICTIONS, Prediction

__all__ = ["PREDICTIONS", "Prediction", "predict"]
