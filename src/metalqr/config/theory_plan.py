"""The stage `theory` of a config: its cases, and the files and params of its rules."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metalqr.config.files import RUN_FILE, meta_optimum_file
from metalqr.config.identity import configuration_digest
from metalqr.config.model import Config
from metalqr.config.registries import estimators

#: The folders of `results/` with a file for each case of the stage.
FOLDERS = ("theory", "estimation_error", "exact_methods", "stability", "certificates")
#: Those of them that are made of runs.
OF_RUNS = ("stability", "certificates")


@dataclass(frozen=True)
class TheoryPlan:
    """The stage `theory` of a checked config."""

    config: Config

    @property
    def cases(self) -> list[str]:
        """The cases of the stage, in the config's order."""
        return self.config.theory_cases

    @property
    def trained_cases(self) -> list[str]:
        """The cases of the stage with runs at their own settings."""
        return [case for case in self.cases if self.config.seeds_without_axes(case)]

    # Params.

    def settings(self, wildcards: Any) -> dict[str, Any]:
        """The algorithm's settings of a case that are not at their defaults."""
        return self.config.own_settings[wildcards.case].changed()

    def plugins(self, wildcards: Any) -> list[Path]:
        """The file of a case's estimator."""
        return [estimators.get(self.config.own_settings[wildcards.case].estimator).source]

    # Files.

    @property
    def meta_optima(self) -> dict[str, str]:
        """The optima of the meta-objective at the cases' own adaptation rates."""
        own = self.config.own_settings
        return {case: meta_optimum_file(case, own[case].adaptation_rate) for case in self.cases}

    def runs_of(self, case: str) -> list[str]:
        """The runs of a case at its own settings, of the experiments without an axis."""
        configuration = configuration_digest(self.config.own_settings[case])
        seeds = self.config.seeds_without_axes(case)
        return [RUN_FILE.format(case=case, configuration=configuration, seed=seed) for seed in seeds]

    def files_in(self, folder: str) -> dict[str, str]:
        """The files in a folder of `results/` by case; one without a run has none of those made of runs."""
        cases = self.trained_cases if folder in OF_RUNS else self.cases
        return {case: f"results/{folder}/{case}.nc" for case in cases}

    @property
    def run_files(self) -> list[str]:
        """All runs whose stability is checked."""
        return [file for case in self.trained_cases for file in self.runs_of(case)]

    @property
    def files(self) -> list[str]:
        """Everything that the stage makes, but for figures and tables."""
        return [file for folder in FOLDERS for file in self.files_in(folder).values()]
