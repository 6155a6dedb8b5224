"""Optimal gains: of every task, for all tasks together, after adaptation, and gains that stabilise all tasks."""

from metalqr.optimal.adaptable import Attempt, NoMamlStabilisingGainError, maml_stabilising_gain
from metalqr.optimal.meta import MetaGain, meta_gain
from metalqr.optimal.newton_cg import DescentError
from metalqr.optimal.riccati import NotStabilisableError, OptimalGains, RiccatiError, optimal_gains
from metalqr.optimal.scalar import adaptable_intervals
from metalqr.optimal.shared import SharedGain, shared_gain
from metalqr.optimal.stabilising import NoCommonStabilisingGainError, scalar_intervals, stabilising_gain

__all__ = [
    "Attempt",
    "DescentError",
    "MetaGain",
    "NoCommonStabilisingGainError",
    "NoMamlStabilisingGainError",
    "NotStabilisableError",
    "OptimalGains",
    "RiccatiError",
    "SharedGain",
    "adaptable_intervals",
    "maml_stabilising_gain",
    "meta_gain",
    "optimal_gains",
    "scalar_intervals",
    "shared_gain",
    "stabilising_gain",
]
