"""The block ``evaluation.benefit`` of the config: where meta-learning pays, by exact values."""

from typing import Annotated, Literal

from pydantic import Field

from metalqr.config.settings import Count, Distinct, Settings, setting

#: What differs between the tasks of a family: A and B, Q and R, or everything.
Difference = Literal["dynamics", "costs", "both"]


class Benefit(Settings):
    """Exact comparison of the optimum of the meta-objective with the best single gain, by heterogeneity.

    For the cases with ``meta_benefit: true``.
    """

    heterogeneity: Distinct[Annotated[float, Field(gt=0)]] = setting(
        (0.5, 1.0, 1.5), about="factors of the differences between the tasks of a case"
    )
    differences: Distinct[Difference] = setting(
        ("dynamics", "costs", "both"),
        about="what differs between tasks: A and B, Q and R, or all that differs in the case; those that its family "
        "cannot tell apart are left out",
    )
    adaptation_rates: Distinct[Annotated[float, Field(gt=0, le=1)]] = setting(
        (0.01, 0.03, 0.1, 0.15, 0.2, 0.3, 0.5, 0.9),
        symbol=r"\eta / \eta_{max}",
        about="shares of the largest adaptation rate at which the best single gain is MAML-stabilising",
    )
    draws: Count = setting(5, about="draws of training tasks; the first are those of the case", size=True, at_most=1000)
    unseen_tasks: Count = setting(50, about="tasks that are in no draw, the same for all draws", size=True)
