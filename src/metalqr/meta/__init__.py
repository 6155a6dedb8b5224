"""The meta-objective with its exact gradient, and training with the ratio of Figure 1."""

from metalqr.meta.training import History, train
from metalqr.objective import adapted_gains, gradient, is_maml_stabilising, objective
from metalqr.training.history import Status

__all__ = ["History", "Status", "adapted_gains", "gradient", "is_maml_stabilising", "objective", "train"]
