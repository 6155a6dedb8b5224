"""The block ``prediction`` of the config: learning curves that are predicted, and which runs a prediction covers."""

from typing import TYPE_CHECKING

from metalqr.config.algorithm import MetaSettings
from metalqr.config.settings import AllOrListed, Settings, setting

if TYPE_CHECKING:
    from metalqr.systems.family import Family

#: Methods and update rules whose recursion is known.
METHODS, UPDATE_RULES = ("zeroth_order_maml", "mean_cost"), ("gradient", "momentum")
#: Numbers in a gain up to which matrices of its square, and a time with the cube of it, are spent unasked.
LARGEST_GAIN = 500


class Prediction(Settings):
    """Learning curves predicted without simulation, beside those of the runs."""

    experiments: AllOrListed = setting(
        "all",
        about="experiments whose learning curves are predicted: all, or a list of names; [] skips the stage",
    )


def why_not_predicted(settings: MetaSettings, family: "Family", gain: int) -> str:
    """Why the stage `predictions` leaves a configuration out, whose gain has so many numbers; empty if it does not."""
    if not family.has_model:
        return "a simulator in place of a model"
    if settings.method not in METHODS:
        return f"method {settings.method}"
    if settings.update_rule not in UPDATE_RULES:
        return f"update rule {settings.update_rule}"
    if family.resamples:
        return "resampled tasks"
    return f"over {LARGEST_GAIN} numbers in a gain" if gain > LARGEST_GAIN else ""
