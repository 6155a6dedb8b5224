"""Tuning: settings of a run that a stated rule chooses from a grid, instead of the config."""

import itertools
from collections.abc import Mapping
from typing import Any, Literal

from metalqr.config.settings import Distinct, Real, Seed, Settings, setting

#: The key of the block in a variant, in the identity of a run, and in the settings that its file states.
TUNE = "tune"


class Tune(Settings):
    """The rule of a tuning; the block of a config also has a list of values for each setting to choose."""

    seeds: Distinct[Seed] = setting(about="seeds of the tuning runs, none of them a seed of the experiment")
    by: Literal["steps_to_target"] = setting(
        "steps_to_target",
        about="the value with the fewest rollout steps to the target, in the median over the seeds; the lowest final "
        "ratio decides between equals, and where no value reaches the target",
    )
    target: Real = setting(
        1.2,
        about="ratio to reach, as a multiple of the ratio of the best single gain",
        at_least=1,
    )


def grid(block: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The values that a block tries, by setting, the last setting fastest; without a block, nothing is changed."""
    tried = tuned(block)
    return [dict(zip(tried, values, strict=True)) for values in itertools.product(*tried.values())]


def tuned(block: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings that a block chooses, with the values that it tries."""
    return {name: values for name, values in (block or {}).items() if name not in Tune.names()}


def stated(settings: Mapping[str, Any], block: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings of a run with the block that chose some of them, as its file states them."""
    return {**settings, **({TUNE: dict(block)} if block else {})}
