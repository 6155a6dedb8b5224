"""Meta-policy optimisation of linear quadratic regulators from rollouts (Pan, Li, Zhu), exact and fast."""

from typing import TYPE_CHECKING

from metalqr.common.lazy import lazy_names

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.lqr import LQRTasks, UnstablePolicyError
    from metalqr.simulation import lqr_rollouts as rollout
    from metalqr.simulation.streams import Stream

__version__ = "0.1.0"

__all__ = ["LQRTasks", "MetaSettings", "Stream", "UnstablePolicyError", "rollout"]

__getattr__ = lazy_names(
    __name__,
    {
        "LQRTasks": "metalqr.lqr",
        "MetaSettings": "metalqr.config.algorithm",
        "Stream": "metalqr.simulation.streams",
        "UnstablePolicyError": "metalqr.lqr",
        "rollout": "metalqr.simulation.lqr_rollouts:",
    },
)
