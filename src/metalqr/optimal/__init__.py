"""Optimal gains: of every task, the best single gain for all tasks, and a gain that stabilises all of them."""

from metalqr.optimal.riccati import NotStabilisableError, OptimalGains, RiccatiError, optimal_gains
from metalqr.optimal.shared import DescentError, SharedGain, shared_gain
from metalqr.optimal.stabilising import NoCommonStabilisingGainError, scalar_intervals, stabilising_gain

__all__ = [
    "DescentError",
    "NoCommonStabilisingGainError",
    "NotStabilisableError",
    "OptimalGains",
    "RiccatiError",
    "SharedGain",
    "optimal_gains",
    "scalar_intervals",
    "shared_gain",
    "stabilising_gain",
]
