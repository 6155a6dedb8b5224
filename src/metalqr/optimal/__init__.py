"""Optimal gains: of every task, for all tasks together, after adaptation, and gains that stabilise all tasks."""

from metalqr.lqr.existence import NotDetectableError, NotStabilisableError
from metalqr.optimal.adaptable import Attempt, NoMamlStabilisingGainError, maml_stabilising_gain
from metalqr.optimal.margin import MarginGain, destabilising_size, largest_margin_gain, stability_margin
from metalqr.optimal.meta import meta_gain
from metalqr.optimal.newton_cg import DescentError, Minimum
from metalqr.optimal.riccati import OptimalGains, RiccatiError, optimal_gains
from metalqr.optimal.scalar import adaptable_intervals, scalar_intervals
from metalqr.optimal.shared import shared_gain
from metalqr.optimal.stabilising import NoCommonStabilisingGainError, stabilising_gain
from metalqr.optimal.starting import StartingGain, starting_gain

__all__ = [
    "Attempt",
    "DescentError",
    "MarginGain",
    "Minimum",
    "NoCommonStabilisingGainError",
    "NoMamlStabilisingGainError",
    "NotDetectableError",
    "NotStabilisableError",
    "OptimalGains",
    "RiccatiError",
    "StartingGain",
    "adaptable_intervals",
    "destabilising_size",
    "largest_margin_gain",
    "maml_stabilising_gain",
    "meta_gain",
    "optimal_gains",
    "scalar_intervals",
    "shared_gain",
    "stabilising_gain",
    "stability_margin",
    "starting_gain",
]
