"""The paper's numerical section: config.yaml - tasks - runs, optima - datasets - figures, tables; evaluation and theory are
separate branches.

Targets: all (default), and each stage's name. As a module of another workflow: docs/module.md.
"""

import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version, update_config

min_version("9.20")

if not isinstance(workflow.current_basedir, os.PathLike):
    raise WorkflowError(
        f"{workflow.current_basedir}: a single file of metalqr is not enough; name workflow/Snakefile"
    )

# Every path below starts at the Snakefile, so that the workflow runs from any folder, with --directory, and as a module.
ROOT = Path(workflow.current_basedir)
# A module leaves to the workflow that uses it: config files, the report's text, and locks.
IS_MODULE = not workflow.modifier.is_main_snakefile()
# A rule of that workflow above the module is what it makes by default.
IS_DEFAULT = not IS_MODULE or workflow.default_target is None
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "workflow" / "lib")]

from metalqr.common.python_path import installed_first

installed_first()

from metalqr.config import ConfigError, Plan, read_arguments, read_configs
from metalqr.config.differences import differences
from metalqr.config.plan import quick
from metalqr.reporting.tables import learnability
from pipeline import (
    FolderError,
    Sources,
    over_default,
    planned_jobs,
    remove_stale_locks,
    require_plain,
    require_writable,
    saved_state,
)

# Snakemake pastes it into a shell command, where a space would end it (its issue 2645).
if Path(sys.executable).exists():
    sys.executable = shlex.quote(sys.executable)

# Before Snakemake reads config.yaml, because it would silently use the second of two equal keys.
try:
    require_plain(ROOT)
    require_writable(Path.cwd())
    overlays = [] if IS_MODULE else workflow.overwrite_configfiles
    (paper, *_), folder = read_configs([ROOT / "config.yaml", *overlays])
except (ConfigError, FolderError) as error:
    raise WorkflowError(str(error)) from None

if IS_MODULE:
    config = over_default(ROOT, config)
    folder = Path.cwd()
else:
    if workflow.is_main_process and remove_stale_locks(Path(".snakemake")):
        logger.info(
            "Removed the locks of an earlier Snakemake that was killed in this folder."
        )

    configfile: str(ROOT / "config.yaml")

    report: "workflow/report/workflow.rst"


try:
    if not IS_MODULE:
        for argument in read_arguments(workflow.config_settings.config_args):
            update_config(config, argument)
    plan = Plan(config, folder)
except ConfigError as error:
    raise WorkflowError(str(error)) from None
if workflow.is_main_process:
    for warning in plan.warnings:
        logger.warning(f"Warning: {warning}")
# Of config.yaml, for the page.
changes = [list(change) for change in differences(paper, config)]
# For the captions of the report and the scripts: without an overlay's `key: null`, with every default, and with the paths of
# the plug-ins. A job's Snakemake also runs this. None of it makes a result stale.
config.clear()
config.update(plan.config)
sources = Sources(ROOT)


wildcard_constraints:
    case="|".join(plan.task_sets),
    experiment="|".join(plan.experiments),
    configuration="[0-9a-f]{12}",
    rate="[0-9][-+.0-9e]*",
    seed="[0-9]+",


include: "workflow/rules/tasks.smk"
include: "workflow/rules/optima.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/benefit.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/predictions.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/theory.smk"
include: "workflow/rules/pages.smk"


# For the time left, which `--logger metalqr` shows.
onstart:
    if workflow.is_main_process:
        logger.info(None, extra={"planned": planned_jobs(workflow.dag, plan)})


# Shown last after every successful call, because they matter before any run is started.
onsuccess:
    if workflow.is_main_process:
        for warning in learnability.warnings(
            Path("results/tables/learnability.csv")
        ):
            logger.warning(f"Warning: {warning}")


# Each target rule also requests the files of the stages before it: otherwise Snakemake does not recreate a deleted
# intermediate file while everything made from it still exists.
rule all:
    default_target: IS_DEFAULT
    input:
        rules.figures.input,
        plan.tables.files("datasets"),
        rules.theory.input,
        rules.pages.input,
