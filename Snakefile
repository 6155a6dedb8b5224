"""The paper's numerical section: config.yaml - tasks - optima - runs - datasets - figures, tables.

Targets: all (default), and each stage's name.
"""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.20")

# Every path below starts at the Snakefile, so that the workflow runs from any folder and with --directory.
ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "workflow" / "lib"))

from pipeline import (
    ConfigError,
    FolderError,
    Plan,
    Sources,
    read_configs,
    remove_stale_locks,
    require_writable,
)

# Before Snakemake reads config.yaml: it would take the second of two equal keys without a word.
try:
    require_writable(Path.cwd())
    read_configs([ROOT / "config.yaml", *workflow.overwrite_configfiles])
except (ConfigError, FolderError) as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process and remove_stale_locks(Path(".snakemake")):
    logger.info(
        "Removed the locks of an earlier Snakemake that was killed in this folder."
    )


configfile: str(ROOT / "config.yaml")


report: "workflow/report/workflow.rst"


try:
    plan = Plan(config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None
# The captions of the report read the config, and an overlay's `key: null` must not reach them.
config.clear()
config.update(plan.config)
sources = Sources(ROOT)


wildcard_constraints:
    case="|".join(plan.cases),
    experiment="|".join(plan.experiments),
    setting="[0-9a-f]{12}",
    rate="[0-9][-+.0-9e]*",
    seed="[0-9]+",


include: "workflow/rules/tasks.smk"
include: "workflow/rules/optima.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/tables.smk"


# Each stage's target asks for the files of the stages before it as well: otherwise Snakemake does not make a deleted run
# again while everything made from it is still there.
rule all:
    default_target: True
    input:
        rules.figures.input,
        plan.table_files,
