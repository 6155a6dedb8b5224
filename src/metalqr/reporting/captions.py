"""Words that several captions share."""

from collections.abc import Mapping, Sequence
from typing import Any

from metalqr.config.algorithm import all_declarations


def listed(lines: Sequence[str]) -> str:
    """A list in reStructuredText, set off from the paragraph before it."""
    return "".join(f"\n\n* {line}" for line in lines) + "\n"


def joined(values: Sequence[Any]) -> str:
    """Values with commas, each as :func:`plain` writes it."""
    return ", ".join(map(plain, values))


def plain(value: Any) -> str:
    """A value in one form, so that `1` and `1.0` in a config do not make a new caption."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def case_line(config: Mapping[str, Any], case: str, settings: Sequence[str] | None = None) -> str:
    """A case with its dimensions and the algorithm's settings that it is run with, by default all.

    Examples
    --------
    >>> block = {"state_dim": 2, "action_dim": 1, "algorithm": {"perturbations": 7}}
    >>> config = {"algorithm": {"perturbations": 4, "iterations": 3}, "cases": {"d2k1": block}}
    >>> case_line(config, "d2k1")
    'd2k1: d = 2, k = 1, perturbations 7, iterations 3'
    """
    block = config["cases"][case]
    given = {**config["algorithm"], **block.get("algorithm", {})}
    # In the order of the declarations: that of the config means nothing.
    names = [each.name for each in all_declarations() if each.name in given] if settings is None else settings
    shown = [f"{name} {plain(given[name])}" for name in names]
    return ", ".join([f"{case}: d = {block['state_dim']}", f"k = {block['action_dim']}", *shown])


def sweep_words(sweep: Mapping[str, Any]) -> str:
    """The swept settings of an experiment with their values, each after a semicolon."""
    return "".join(
        f"; {setting} {f'moves with {values}' if isinstance(values, str) else joined(values)}"
        for setting, values in sweep.items()
    )
