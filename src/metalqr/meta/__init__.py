"""The meta-objective with its exact gradient, and Algorithm 3."""

from metalqr.meta.objective import adapted_gains, gradient, is_maml_stabilising, objective
from metalqr.meta.training import History, Status, train

__all__ = ["History", "Status", "adapted_gains", "gradient", "is_maml_stabilising", "objective", "train"]
