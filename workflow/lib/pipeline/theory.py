"""What the rules of the stage `theory` ask of a config: its cases, files, params and resources."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import demands
from pipeline.canonical import complete_settings, setting_digest, theory_block, theory_cases
from pipeline.files import FIGURE_FORMATS, RUN_FILE, TABLE_FORMATS, THEORY_FIGURES, THEORY_TABLES, meta_optimum_file
from pipeline.theory_jobs import curve_seeds, theory_jobs

#: The folders of `results/` with a file for each case of the stage.
FOLDERS = ("theory", "estimation_error", "exact_methods", "stability")


@dataclass(frozen=True)
class Theory:
    """The stage `theory` of a checked config.

    The functions that rules are given for a resource or a priority look the job up by its rule and by its wildcard
    `case`; without one, as in a rule that draws or makes tables, all cases count.
    """

    config: Mapping[str, Any]

    @property
    def cases(self) -> list[str]:
        """The cases of the stage, in the config's order."""
        return theory_cases(self.config)

    @property
    def trained_cases(self) -> list[str]:
        """The cases of the stage with runs at their own settings."""
        return [case for case in self.cases if curve_seeds(self.config, case)]

    # Params.

    @property
    def seed(self) -> int:
        """The seed of all that is drawn."""
        return int(self.config["theory"]["seed"])

    def block(self, name: str) -> dict[str, Any]:
        """One of the blocks of settings."""
        return theory_block(self.config, name)

    def settings(self, wildcards: Any) -> dict[str, Any]:
        """The algorithm's settings of a case."""
        return complete_settings(self.config, wildcards.case)

    # Resources.

    def memory(self, rule: str) -> Callable[[Any, int], int]:
        """Megabytes for the jobs of a rule."""

        def mem_mb(wildcards: Any, attempt: int) -> int:
            job = theory_jobs(self.config, wildcards.case)[rule]
            return math.ceil(attempt * (demands.SNAKEMAKE_MEGABYTES + job.memory))

        return mem_mb

    def minutes(self, rule: str) -> Callable[[Any, int], int]:
        """Minutes for the jobs of a rule."""

        def runtime(wildcards: Any, attempt: int) -> int:
            return attempt * demands.minutes(theory_jobs(self.config, wildcards.case)[rule].seconds)

        return runtime

    def priority(self, rule: str) -> Callable[[Any], int]:
        """How early the jobs of a rule should start, on the scale of the training jobs."""
        return lambda wildcards: demands.priority(theory_jobs(self.config, wildcards.case)[rule].seconds)

    def drawing_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for a figure or a table: no file holds more than the job that wrote it."""
        jobs = [max(theory_jobs(self.config, case).values(), key=lambda job: job.memory) for case in self.cases]
        data = sum(job.memory - demands.PROCESS_MEGABYTES for job in jobs)
        return math.ceil(attempt * demands.drawing_memory(data))

    # Files.

    def meta_optimum_of(self, wildcards: Any) -> str:
        """The optimum of the meta-objective at the case's own adaptation rate."""
        return self._meta_optimum(wildcards.case)

    def _meta_optimum(self, case: str) -> str:
        return meta_optimum_file(case, complete_settings(self.config, case))

    def runs_of(self, wildcards: Any) -> list[str]:
        """The runs of a case at its own settings, which experiments without a sweep ask for."""
        return self._runs(wildcards.case)

    def _runs(self, case: str) -> list[str]:
        setting = setting_digest(complete_settings(self.config, case))
        return [RUN_FILE.format(case=case, setting=setting, seed=seed) for seed in curve_seeds(self.config, case)]

    def cases_with(self, folder: str) -> list[str]:
        """The cases with a file in a folder of `results/`: a case without a run has none of its stability."""
        return self.trained_cases if folder == "stability" else self.cases

    def files_in(self, folder: str) -> list[str]:
        """The files in a folder of `results/`, for all cases that have one; in `optima` those of the meta-objective."""
        cases = self.cases_with(folder)
        if folder == "optima":
            return [self._meta_optimum(case) for case in cases]
        return [f"results/{folder}/{case}.nc" for case in cases]

    @property
    def figure_files(self) -> list[str]:
        """All figures, in all formats."""
        names = THEORY_FIGURES if self.cases else ()
        return [f"results/figures/{name}.{form}" for name in names for form in FIGURE_FORMATS]

    @property
    def tables(self) -> list[str]:
        """The names of all tables that have a case to show."""
        return [name for name, folder in THEORY_TABLES.items() if self.cases_with(folder)]

    @property
    def run_files(self) -> list[str]:
        """All runs whose stability is checked."""
        return [file for case in self.trained_cases for file in self._runs(case)]

    @property
    def files(self) -> list[str]:
        """Everything that the stage makes."""
        data = [file for folder in FOLDERS for file in self.files_in(folder)]
        tables = [f"results/tables/{name}.{form}" for name in self.tables for form in TABLE_FORMATS]
        return [*data, *self.figure_files, *tables]

    # What a rule that draws or makes tables asks for.

    def files_of(self, wildcards: Any) -> list[str]:
        """The files that a table shows."""
        return self.files_in(THEORY_TABLES[wildcards.table])

    def cases_of(self, wildcards: Any) -> list[str]:
        """The cases that a table shows."""
        return self.cases_with(THEORY_TABLES[wildcards.table])
