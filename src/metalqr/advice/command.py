"""The command ``metalqr advise``."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metalqr.advice.recommend import Advice, NoAdviceError, Search
from metalqr.advice.text import report
from metalqr.config import Plan
from metalqr.config.folders import relative_to
from metalqr.config.problems import ConfigError, nearest
from metalqr.lqr import UnstablePolicyError
from metalqr.lqr.existence import require_optimum
from metalqr.systems.initial_gain import read_gain

_COLUMNS = ("rollout_steps", "ratio", "median", "lower", "upper", "path_ratio", "unstable_share", "leaving_chance")


def advised(
    plan: Plan, case: str, budget: float, *, adaptation_rate: float, common_noise: bool, output: Path | None
) -> Iterator[str]:
    """The lines that the command prints for a case; every problem is a ConfigError."""
    if case not in plan.checked.cases:
        raise ConfigError([f"--case: there is no case {case!r}; {nearest(case, list(plan.checked.cases))}"])
    if output is not None and not output.absolute().parent.is_dir():  # before a search of minutes
        raise ConfigError([f"--output: there is no folder {output.absolute().parent}; make it, or choose another"])
    if output is not None and output.is_dir():
        raise ConfigError([f"--output: {output} is a folder; give a file in it, such as curve.csv"])
    given = plan.checked.cases[case]
    if not given.family.has_model:
        raise ConfigError(
            [
                f"--case {case}: it has a simulator and no model, from which settings are computed; advise a case with "
                "a linear model that is roughly right, or measure: the spread of the costs of thirty rollouts of the "
                "initial gain, divided by the smoothing radius, is the noise of one difference"
            ]
        )
    seed = plan.checked.tasks_seed(case)
    with relative_to(plan.folder):
        tasks = given.family.tasks(given.state_dim, given.action_dim, seed)
        try:
            require_optimum(tasks)
            K0 = read_gain(tasks, given.initial_gain, given.family, seed)
            search = Search(tasks, K0, adaptation_rate=adaptation_rate, common_noise=common_noise)
            found = search.within(budget)
        except UnstablePolicyError as error:
            raise ConfigError([f"cases.{case}.initial_gain: {error}; write stabilising"]) from error
        except ValueError as error:
            raise ConfigError([f"--case {case}: {error}"]) from error
    more: Advice | None = None
    with contextlib.suppress(NoAdviceError):
        more = search.within(10 * budget, refined=1)
    if output is not None:
        _write(found, output)
    yield from report(found, case, more)


def _write(advice: Advice, output: Path) -> None:
    columns = [np.arange(len(advice.prediction.ratio)), *(getattr(advice.prediction, name) for name in _COLUMNS)]
    header = ",".join(["iteration", *_COLUMNS])
    try:
        np.savetxt(output, np.column_stack(columns), fmt="%.10g", delimiter=",", header=header, comments="")
    except OSError as error:
        raise ConfigError([f"--output: {output} cannot be written ({error.strerror})"]) from error
