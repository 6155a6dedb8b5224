"""The meta-objective with its exact gradient, and Algorithm 3."""

from metalqr.meta.training import History, Status, train
from metalqr.objective import adapted_gains, gradient, is_maml_stabilising, objective

__all__ = ["History", "Status", "adapted_gains", "gradient", "is_maml_stabilising", "objective", "train"]
