"""Meta-policy optimisation of linear quadratic regulators from roll-outs (Pan, Li, Zhu), exact and fast."""

from metalqr.lqr import LQRTasks, UnstablePolicyError
from metalqr.random import Stream
from metalqr.settings import MetaSettings

__version__ = "0.1.0"

__all__ = ["LQRTasks", "MetaSettings", "Stream", "UnstablePolicyError"]
