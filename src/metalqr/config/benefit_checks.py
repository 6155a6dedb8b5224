"""Checks of the block ``evaluation.benefit``: its cases and their families."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from metalqr.config.problems import SettingsError

if TYPE_CHECKING:
    from metalqr.config.model import Config

_KEY = "evaluation.benefit"


def benefit_problems(config: "Config") -> Iterator[str]:
    """Cases whose families cannot be compared; all of them exist."""
    block = config.evaluation.benefit
    for case in config.benefit_cases:
        family = config.cases[case].family
        if reason := family.why_fixed:
            yield (
                f"cases.{case}.meta_benefit: true needs {block.draws} draws of tasks and unseen ones: {reason}; "
                "or leave it out"
            )
            continue
        differences = [each for each in block.differences if each in family.differences]
        if not differences:
            yield (
                f"{_KEY}.differences: none of {', '.join(block.differences)} can be told apart in {case}, of the "
                f"family {family.name}; add {' or '.join(family.differences)}, or leave out the case"
            )
        for difference in differences:
            for place, factor in enumerate(block.heterogeneity):
                try:
                    family.varied(factor, difference)
                except ValueError as error:  # of a setting, or of the family
                    text = str(error).replace(": ", " ", 1) if isinstance(error, SettingsError) else str(error)
                    yield f"{_KEY}.heterogeneity[{place}]: {factor:g} times the differences of {case}: {text}"
