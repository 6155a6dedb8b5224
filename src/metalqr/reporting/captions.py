"""Words that several captions share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metalqr.config.algorithm import all_declarations
from metalqr.config.tuning import TUNE, tuned


def joined(values: Iterable[Any]) -> str:
    """Values with commas, each as :func:`plain` writes it."""
    return ", ".join(map(plain, values))


def plain(value: Any) -> str:
    """A value in one form, so that `1` and `1.0` in a config do not make a new caption."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def case_line(config: Mapping[str, Any], case: str, settings: Sequence[str] | None = None) -> str:
    """A case with its dimensions and its settings of the algorithm, by default all.

    Examples
    --------
    >>> block = {"state_dim": 2, "action_dim": 1, "algorithm": {"perturbations": 7}}
    >>> config = {"algorithm": {"perturbations": 4, "iterations": 3}, "cases": {"d2k1": block}}
    >>> case_line(config, "d2k1")
    'd2k1: d = 2, k = 1, perturbations 7, iterations 3'
    """
    block = config["cases"][case]
    given = {**config["algorithm"], **block.get("algorithm", {})}
    # In the order of the declarations: the order in the config has no meaning.
    names = [each.name for each in all_declarations() if each.name in given] if settings is None else settings
    shown = [f"{name} {plain(given[name])}" for name in names]
    return ", ".join([f"{case}: d = {block['state_dim']}", f"k = {block['action_dim']}", *shown])


def experiment_lines(config: Mapping[str, Any], name: str) -> list[str]:
    """The seeds and the cases of an experiment."""
    experiment = config["experiments"][name]
    cases = [case_line(config, case) for case in experiment["cases"]]
    return [f"experiment {name}, seeds {joined(experiment['seeds'])}", *cases]


def variant_line(variant: str, given: Mapping[str, Any]) -> str:
    """A variant with the settings that it changes, and the rule that tunes some.

    Examples
    --------
    >>> variant_line("pairs", {"estimator": "two_point", "tune": {"learning_rate": [0.1, 1.0], "seeds": [7],
    ...     "by": "steps_to_target", "target": 2.0}})
    'pairs, estimator two_point, learning_rate tuned from 0.1, 1 (by steps_to_target 2 on seeds 7)'
    """
    words = [variant, *(f"{key} {plain(value)}" for key, value in given.items() if key != TUNE)]
    if block := given.get(TUNE):
        tried = " and ".join(f"{name} tuned from {joined(values)}" for name, values in tuned(block).items())
        words.append(f"{tried} (by {block['by']} {plain(block['target'])} on seeds {joined(block['seeds'])})")
    return ", ".join(words)


def target(config: Mapping[str, Any]) -> str:
    """The target of the requirements of Theorems 1 and 2."""
    wanted = config["theory"]["requirements"]
    share, chance = wanted["target"], wanted["failure_probability"]
    return f"target: {share} of the first gap, or of the first norm of the meta-gradient, failure probability {chance}"


def unpredicted(config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The experiments that the stage `predictions` was to predict, but of which it covers no configuration."""
    wanted = config["prediction"]["experiments"]
    lacking = [name for name in config["experiments"] if name not in names and (wanted == "all" or name in wanted)]
    return [f"without a prediction, for their methods, update rules or tasks: {', '.join(lacking)}"] if lacking else []
