"""The block ``evaluation`` of the config: adaptation of trained gains to unseen tasks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from metalqr.config.algorithm import MetaSettings
from metalqr.config.benefit import Benefit
from metalqr.config.experiments import family_of
from metalqr.config.registries import directions, estimators
from metalqr.config.settings import Count, Distinct, Listed, Real, Seed, Settings, TextOr, no_twins, setting

if TYPE_CHECKING:
    from metalqr.systems.family import Family

#: The estimate that needs no settings: the exact gradient. Every evaluation has it.
EXACT = "exact"
#: Settings of an estimate that are those of the case, unless the evaluation gives them.
_OF_CASE = ("smoothing_radius", "rollout_length", "precision")
#: Settings of a run that an estimate has, beside those of its plug-ins.
_OF_ESTIMATE = ("estimator", "directions", "common_noise", "perturbations", *_OF_CASE)
#: Pools of unseen tasks, by the names of their files, with the setting that says what they are.
POOLS = {"validation": "validation_tasks", "test": "tasks"}

#: A number of tasks to draw, the name of a case, or the path of a file.
Unseen = TextOr[str, Count]
Comparator = Literal["initial_gain", "best_single_gain", "meta_optimum", "certainty_equivalence"]
#: As many rollouts a step each.
ESTIMATORS: dict[str, dict[str, Any]] = {
    "common_noise": {"estimator": "two_point", "common_noise": True, "directions": "orthogonal", "perturbations": 8},
    "two_point": {"estimator": "two_point", "perturbations": 8},
    "baseline": {"estimator": "one_point_baseline", "perturbations": 16},
}


class Evaluation(Settings):
    """The stage ``evaluation`` of the experiments with ``evaluated: true``."""

    tasks: Unseen = setting(
        20,
        about="unseen tasks: a number to draw from the family of each case, the name of a case, or a file",
        size=True,
    )
    validation_tasks: Unseen = setting(10, about="the same, of the tasks by which step sizes are chosen", size=True)
    seed: Seed = setting(0, about="seed of the rollouts of adaptation, which no training or tuning has in common")
    repeats: Count = setting(
        5, about="repetitions of the adaptation by rollouts, with other noise", size=True, at_most=1000
    )
    steps: Count = setting(5, about="adaptation steps", size=True, at_most=20)
    estimators: dict[str, dict[str, Any]] = setting(
        ESTIMATORS,
        about="estimates of the gradient, beside the exact one: settings for each name; perturbations are its budget a "
        "step; smoothing_radius, rollout_length and precision are those of the case unless given",
    )
    learning_rates: Distinct[Annotated[float, Field(ge=0)]] = setting(
        (1.0e-4, 3.0e-4, 1.0e-3, 3.0e-3, 1.0e-2, 3.0e-2, 1.0e-1, 3.0e-1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
        symbol=r"\eta",
        about="step sizes of the adaptation to choose from, on the validation tasks, beside that of the training",
    )
    comparators: Annotated[Listed[Comparator], AfterValidator(no_twins)] = setting(
        ("initial_gain", "best_single_gain", "meta_optimum", "certainty_equivalence"),
        about="what else is evaluated: adaptation from K_0, from the best single gain and from the optimum of the "
        "meta-objective of the training tasks, and certainty equivalence",
    )
    exploration: Real = setting(
        1.0,
        symbol=r"\sigma_u",
        about="standard deviation of the inputs that certainty equivalence adds to those of K_0",
        above=0,
    )
    benefit: Benefit = setting(Benefit(), about="where meta-learning pays, by exact values")


def tasks_of_file(path: str) -> "Family":
    """The family of the tasks in a file.

    Raises
    ------
    metalqr.config.problems.SettingsError
        If it cannot be read.
    """
    return family_of({"family": "file", "path": path})


def of_estimate(name: str) -> bool:
    """True if a setting of a run is one of an estimate."""
    plugins = (*estimators, *directions)
    return name in _OF_ESTIMATE or any(name in plugin.Settings.names() for plugin in plugins)


def estimate_settings(given: Mapping[str, Any], chosen: Mapping[str, Any]) -> MetaSettings:
    """The settings of an estimate of one task's gradient: those that are chosen, and of the given ones the case's own.

    Raises
    ------
    metalqr.config.problems.SettingsError
        If they are impossible together.
    """
    of_case = {name: given[name] for name in _OF_CASE if name in given}
    # Without adaptation inside: the estimate is one of the outer layer, and the step sizes are those of the evaluation.
    fixed = {"method": "mean_cost", "learning_rate": 1.0, "adaptation_rate": 0.0}
    return MetaSettings(**{**of_case, **chosen, **fixed})
