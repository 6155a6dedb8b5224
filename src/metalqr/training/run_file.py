"""A run that is trained into its file, with a saved state meanwhile."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from metalqr.config.algorithm import MetaSettings
from metalqr.config.tuning import stated
from metalqr.results.files import save
from metalqr.training.history import History
from metalqr.training.loop import train
from metalqr.training.method import tried_policies
from metalqr.training.problem import RunProblem
from metalqr.training.progress import Progress
from metalqr.training.resampling import Resampling
from metalqr.training.saved_state import SavedState, StateSaver


class RunFiles(NamedTuple):
    """The file of a run, and that of its state until it has ended, which is saved after so many seconds."""

    output: Path
    saved_state: Path
    seconds: float


def make_run(
    case: str,
    problem: RunProblem,
    resampling: Resampling,
    settings: MetaSettings,
    seed: int,
    files: RunFiles,
    *,
    code: Mapping[str, str],
    tuned: Mapping[str, Any] | None = None,
    log: logging.Logger,
) -> History:
    """Train from the state that is saved, or from the initial gain, and write the file of the run.

    ``code`` is the version of the code, as :class:`SavedState` has it, and ``tuned`` the block that chose settings.

    Raises
    ------
    InterruptionError
        If a signal stops it; the message says where its state is.
    """
    code = {**code, **resampling.origin, **problem.code}
    saved = SavedState(files.saved_state, problem.tasks, problem.K0, settings, seed, code)
    progress = Progress(settings.iterations, f"{case}, seed {seed}", log)
    with progress, StateSaver(saved, files.seconds) as saver:
        history = train(
            problem.tasks,
            problem.K0,
            settings,
            seed,
            [progress, saver],
            resume=saved.load(),
            resampled=resampling.tasks,
        )
        saver.require_end(history, settings.iterations)
    log.info("%s at iteration %d", history.status, history.status_iteration)
    steps = max(1, int((~np.isnan(history.gradient_norm)).sum()))
    tried = tried_policies(problem.tasks.count, settings, steps)
    all_settings, policies = stated(settings.as_dict(), tuned), round(float(tried.mean()))
    save(files.output, history.to_dataset(all_settings, seed, case=case, perturbed_policies=policies))
    saved.remove()
    return history
