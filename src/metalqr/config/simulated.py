"""Settings of runs that need the model of the tasks, which a case with a simulator does not have."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from metalqr.config.registries import methods, update_rules

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings


def needing_the_model(settings: "MetaSettings") -> Iterator[tuple[str, str]]:
    """The settings that need it: the name of each, and the reason with the next step."""
    if methods.get(settings.method).is_exact:
        yield (
            "method",
            f"{settings.method} uses the model of the tasks, and a simulator gives none; choose one that simulates, "
            "such as mean_cost or zeroth_order_maml",
        )
    if update_rules.get(settings.update_rule).uses_model():
        yield (
            "update_rule",
            f"{settings.update_rule} uses the model of the tasks, and a simulator gives none; choose another, such as "
            "gradient or adam",
        )
    if settings.precision != "float64":
        yield (
            "precision",
            f"{settings.precision} is that of rollouts of linear tasks, and a simulator has its own; leave it out",
        )
