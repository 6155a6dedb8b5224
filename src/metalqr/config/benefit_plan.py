"""The comparisons of the block `evaluation.benefit`: their cases, and the files and params of their rule."""

from dataclasses import dataclass
from typing import Any

from metalqr.config.files import META_BENEFIT_FILE
from metalqr.config.job_sizes import benefit_sizes
from metalqr.config.model import Config
from metalqr.config.sizes import Sizes


@dataclass(frozen=True)
class BenefitPlan:
    """The comparisons of a checked config."""

    config: Config

    @property
    def cases(self) -> list[str]:
        """The cases, in the config's order."""
        return self.config.benefit_cases

    def comparison(self, wildcards: Any) -> dict[str, Any]:
        """What is compared, whose order in the config does not count."""
        block, family = self.config.evaluation.benefit, self.config.cases[wildcards.case].family
        return {
            "differences": [each for each in family.differences if each in block.differences],
            "heterogeneity": sorted(block.heterogeneity),
            "adaptation_rates": sorted(block.adaptation_rates),
            "draws": block.draws,
            "unseen_tasks": block.unseen_tasks,
        }

    def sizes(self, case: str) -> list[Sizes]:
        """The sizes behind a job, for its memory and its time."""
        return [benefit_sizes(self.config, case)]

    @property
    def files(self) -> dict[str, str]:
        """The file of each case."""
        return {case: META_BENEFIT_FILE.format(case=case) for case in self.cases}
