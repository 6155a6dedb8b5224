"""Checks of a config: its model, then the consistency of its keys; each problem is one line."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from metalqr.config.algorithm import MetaSettings, applicable, not_applicable, plugins_named, taken_names
from metalqr.config.benefit_checks import benefit_problems
from metalqr.config.evaluation_checks import evaluation_problems
from metalqr.config.experiments import TASKS, VARIANT, Base, Experiment, Point
from metalqr.config.folders import relative_to
from metalqr.config.memory_limit import memory_problems
from metalqr.config.model import Config, ExperimentBlock
from metalqr.config.outputs import reserved_by
from metalqr.config.plugin_types import config_model, sweepable
from metalqr.config.problems import ConfigError, SettingsError, described, key_path, nearest, shape_problem
from metalqr.config.registries import estimators, families, initial_gains, methods
from metalqr.config.registry import PluginError, load_plugins
from metalqr.config.settings import Settings
from metalqr.config.simulated import needing_the_model
from metalqr.config.tuning import TUNE, tuned

if TYPE_CHECKING:
    from metalqr.systems.family import Family

#: Maximum number of runs of an experiment. Snakemake takes minutes to plan a tenth of these.
MAX_RUNS = 100_000


def check_config(config: Mapping[str, Any], folder: Path | None = None) -> Config:
    """Check the whole config, without the keys that an overlay removed (`key: null`).

    The paths of ``plugins`` and ``tasks`` are relative to the folder, by default the working directory.

    Raises
    ------
    ConfigError
        With every problem found. Wrong types and values come first, alone: the later checks need these; and the memory
        of the jobs comes last, since it is computed from values that are possible.
    """
    cleaned, folder = _chosen(_without_nulls(config)), folder or Path.cwd()
    try:
        load_plugins(_plugins_of(cleaned), folder)
    except PluginError as error:
        raise ConfigError([str(error)]) from None
    with relative_to(folder):
        return _checked(cleaned)


def _checked(cleaned: Mapping[str, Any]) -> Config:
    if taken := list(taken_names()):
        raise ConfigError(taken)
    model = config_model()
    try:
        checked = model.model_validate(cleaned)
    except ValidationError as error:
        found = sorted(described(error, model), key=lambda problem: [str(key) for key in problem[0]])
        raise ConfigError(dict.fromkeys(f"{key_path(path)}: {text}" for path, text in found)) from None
    for problems in (_cross_problems, memory_problems):
        if lines := list(dict.fromkeys(problems(checked))):
            raise ConfigError(lines)
    return checked


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(entry) for key, entry in value.items() if entry is not None}
    return value


def _chosen(config: dict[str, Any]) -> dict[str, Any]:
    """The config without the experiments that ``only_experiments`` leaves out, so that nothing asks for them.

    As it is where the model will refuse what stands there.

    Raises
    ------
    ConfigError
        If there is no experiment of that name.
    """
    wanted, experiments = config.get("only_experiments"), config.get("experiments")
    if not isinstance(wanted, list) or not isinstance(experiments, dict):
        return config
    unknown = [
        f"only_experiments[{place}]: there is no experiment {name!r}; {nearest(name, list(experiments))}"
        for place, name in enumerate(wanted)
        if isinstance(name, str) and name not in experiments
    ]
    if unknown:
        raise ConfigError(unknown)
    return {**config, "experiments": {name: block for name, block in experiments.items() if name in wanted}}


def _plugins_of(config: Mapping[str, Any]) -> list[str]:
    """The files of plug-ins; none where the model will refuse what stands there."""
    files = config.get("plugins", [])
    return files if isinstance(files, list) and all(isinstance(file, str) for file in files) else []


def _cross_problems(config: Config) -> Iterator[str]:
    yield from _name_problems("cases", config.cases)
    yield from _name_problems("experiments", config.experiments)
    incomplete = [problem for case in config.cases for problem in _case_problems(config, case)]
    incomplete += [problem for name in config.experiments for problem in _block_problems(config, name)]
    if config.theory.cases != "all":
        incomplete += _unknown_cases(config, "theory.cases", config.theory.cases)
        incomplete += [
            f"theory.cases[{place}]: {case} has a simulator and no model, which the theory is about; remove it"
            for place, case in enumerate(config.theory.cases)
            if case in config.cases and not config.cases[case].family.has_model
        ]
    incomplete += _unknown_experiments(config)
    yield from incomplete
    if incomplete:
        return  # the runs cannot be listed
    impossible = [problem for experiment in config.resolved.values() for problem in _point_problems(config, experiment)]
    yield from impossible
    yield from _theory_problems(config)
    yield from benefit_problems(config)
    if not impossible:
        yield from evaluation_problems(config)
        yield from _unused_settings(config)


def _name_problems(kind: str, names: Iterable[str]) -> Iterator[str]:
    """Names that share their files where the file system does not distinguish capitals, as on macOS."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(name.lower(), name)
        if other != name:
            reason = f"differs from {other} only in capitals, so they share files on macOS"
            yield f"{kind}.{name}: {reason}; choose another name"


def _case_problems(config: Config, name: str) -> Iterator[str]:
    case, given = config.cases[name], config.given(name)
    owners: list[type[Settings]] = [MetaSettings, *(plugin.Settings for plugin in plugins_named(given))]
    for each in (declared for owner in owners for declared in owner.declarations()):
        if each.is_required and each.name not in given:
            yield f"cases.{name}.algorithm.{each.name}: missing; give it there or in algorithm.{each.name}"
    if isinstance(case.initial_gain, list):
        shape = (case.action_dim, case.state_dim)
        if problem := shape_problem(case.initial_gain, shape, "action_dim x state_dim"):
            yield f"cases.{name}.initial_gain: {problem}"
    elif case.gain_finder and case.gain_finder.needs_nominal and not case.family.has_nominal:
        yield (
            f"cases.{name}.initial_gain: {case.gain_finder.name} is designed for a nominal system, which the family "
            f"{case.family.name} does not have; write stabilising"
        )
    elif case.gain_finder and case.gain_finder.needs_model and not case.family.has_model:
        finders = " or ".join(each.name for each in initial_gains if not each.needs_model)
        yield (
            f"cases.{name}.initial_gain: {case.gain_finder.name} uses the model, and a simulator gives none; write "
            f"{finders}, zero, or the rows of a gain"
        )
    elif case.gain_finder and not case.family.has_program:
        yield (
            f"cases.{name}.initial_gain: {case.gain_finder.name} makes rollouts, and the simulator has no path to a "
            "program; write zero, or the rows of a gain"
        )
    if case.seed is not None and not case.family.is_random:
        yield f"cases.{name}.seed: the family {case.family.name} draws nothing; remove it"
    for path, problem in _family_problems(case.family, case.state_dim, case.action_dim):
        yield f"cases.{name}.{case.origin}.{path}: {problem}"


def _family_problems(family: "Family", state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
    """Settings of a family that do not fit the dimensions, or ask for draws that it cannot make."""
    yield from family.problems(state_dim, action_dim)
    if family.resamples and family.why_fixed:
        yield "resample", f"each_iteration needs tasks to draw, but {family.why_fixed}"


def resampling_problems(settings: MetaSettings) -> Iterator[str]:
    """Settings of a run that cannot have other tasks in every iteration, each with the next step."""
    method, estimator = methods.get(settings.method), estimators.get(settings.estimator)
    if not method.can_resample:
        reason = "uses the model of those of the case" if method.is_exact else "always has those of the case"
        reason = "has a gain for each" if method.gain_per_task else reason
        yield f"the method {method.name} {reason}; choose one that simulates, such as method: zeroth_order_maml"
    if estimator.remembers_tasks:
        yield (
            f"the estimator {estimator.name} compares each with itself an iteration before; choose another, such as "
            "estimator: one_point_baseline"
        )
    if settings.task_batch != "all":
        yield (
            f"task_batch: {settings.task_batch} draws from those of the case; give the number of tasks of an iteration "
            "as the count of the family and leave out task_batch"
        )


def _block_problems(config: Config, name: str) -> Iterator[str]:
    """Problems of an experiment, apart from those of its points."""
    block: ExperimentBlock = config.experiments[name]
    if owner := reserved_by(name):
        yield f"experiments.{name}: this name is reserved for {owner}; choose another"
    yield from _unknown_cases(config, f"experiments.{name}.cases", block.cases)
    for place, case in enumerate(block.cases):
        if case in config.cases and not config.cases[case].family.has_program:
            yield (
                f"experiments.{name}.cases[{place}]: {case} has a simulator without path, so that its rollouts are "
                "made elsewhere; train it with metalqr ask and metalqr tell and remove it here, or give "
                f"cases.{case}.simulator.path"
            )
    for setting, axis in block.linked.items():
        key = key_path(["experiments", name, "sweep", setting])
        if axis not in block.axes:
            yield f"{key}: {axis!r} has no list of values in this sweep to link to; give it one, or write a list here"
            continue
        for text in _value_problems(setting, block.axes[axis]):
            yield f"{key} (linked to {axis}): {text}"
    for variant, settings in block.variants.items():
        for setting in settings:
            if setting in block.sweep:
                key = key_path(["experiments", name, "variants", variant, setting])
                yield f"{key}: the sweep of this experiment sets it too; remove one of the two"
        if TUNE in settings:
            yield from _tune_problems(block, ["experiments", name, "variants", variant], settings)


def _tune_problems(block: ExperimentBlock, path: list[str], variant: Mapping[str, Any]) -> Iterator[str]:
    """Problems of a block that tunes a variant, apart from its values."""
    tune = variant[TUNE]
    key = key_path([*path, TUNE])
    if not tuned(tune):
        yield f"{key}: no setting to choose; give one a list of values, such as learning_rate: [1.0e-3, 1.0e-2]"
    for setting in tuned(tune):
        places = [place for place, given in (("sweep", block.sweep), ("variant", variant)) if setting in given]
        if places:
            yield f"{key}.{setting}: the {places[0]} sets it too; remove one of the two"
    for place, seed in enumerate(tune["seeds"]):
        if seed in block.seeds:
            yield (
                f"{key}.seeds[{place}]: {seed} is also a seed of the experiment, whose runs the choice must not see; "
                "choose another"
            )


def _unknown_cases(config: Config, key: str, cases: Iterable[str]) -> Iterator[str]:
    for index, case in enumerate(cases):
        if case not in config.cases:
            yield f"{key}[{index}]: there is no case {case!r}; {nearest(case, list(config.cases))}"


def _unknown_experiments(config: Config) -> Iterator[str]:
    chosen = config.prediction.experiments
    for index, name in enumerate(() if chosen == "all" else chosen):
        if name not in config.experiments:
            known = nearest(name, list(config.experiments))
            yield f"prediction.experiments[{index}]: there is no experiment {name!r}; {known}"


def _value_problems(setting: str, values: Iterable[Any]) -> Iterator[str]:
    adapter = TypeAdapter(sweepable()[setting][0], config=ConfigDict(strict=True, allow_inf_nan=False))
    for value in values:
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            yield from (text for _, text in described(error, Settings))


def _point_problems(config: Config, experiment: Experiment) -> Iterator[str]:
    """Settings of a run or of moved tasks that are impossible together."""
    key = f"experiments.{experiment.name}"
    count = experiment.size * len(experiment.seeds) * len(experiment.bases)
    if count > MAX_RUNS:
        yield f"{key}: {count} runs are too many, more than {MAX_RUNS}; shorten its lists, or make several experiments"
        return
    for case, base in experiment.bases.items():
        family = base.tasks["family"]
        known = families.get(family).Settings.names()
        for axis in (*experiment.sweep, *experiment.linked):
            name = axis.removeprefix(TASKS)
            if name != axis and name not in known:
                path = key_path(["experiments", experiment.name, "sweep", axis])
                yield f"{path}: no setting of the family {family} of {case}; {nearest(name, list(known))}"
                return
        try:
            moved = experiment.families(case)
        except SettingsError as error:
            yield of_several(key, error)
            continue
        block = config.cases[case]
        for family in moved.values():
            for path, problem in _family_problems(family, block.state_dim, block.action_dim):
                yield f"{key}: tasks.{path} of {case}: {problem}"
        for point in experiment.points(case):
            for problem in resampling_problems(point.settings) if moved[point.tasks].resamples else ():
                reason = f"each_iteration changes the tasks, but {problem}, or resample: never"
                yield f"{key}: tasks.resample of {case}: {reason}"
            if not moved[point.tasks].has_model:
                yield from _problems_without_model(key, case, point)


def _problems_without_model(key: str, case: str, point: Point) -> Iterator[str]:
    """What a run of a case with a simulator cannot have."""
    for name, reason in needing_the_model(point.settings):
        yield f"{key}: {name} of {case}: {reason}"
    if point.tune:
        yield (
            f"{key}: {TUNE} of {case}: its target is a multiple of the best ratio, and a simulator has no optimum; "
            "give the settings, or make a sweep"
        )


def _theory_problems(config: Config) -> Iterator[str]:
    """Settings of the cases themselves, and radii of the estimation error, that are impossible together."""
    radii = config.theory.estimation_error.smoothing_radius
    for case in config.theory_cases:
        changes = [(f"cases.{case}", {}), *(("theory.estimation_error", {"smoothing_radius": each}) for each in radii)]
        for key, change in changes:
            try:
                Base(config.given(case), {}).settings(change)
            except SettingsError as error:
                yield of_several(key, error)


def of_several(key: str, error: SettingsError) -> str:
    """A problem of several settings together, below a key that has all of them."""
    return f"{key}: {str(error).replace(': ', ' ', 1)}"


def _unused_settings(config: Config) -> Iterator[str]:
    """Settings of a plug-in that no run has."""
    used = {case: set(applicable(config.given(case))) for case in config.cases}
    for experiment in config.resolved.values():
        path = ["experiments", experiment.name]
        for case, base in experiment.bases.items():
            had: dict[str, set[str]] = {}
            for point in experiment.points(case):
                had.setdefault(point.values.get(VARIANT, ""), set()).update(point.settings.as_dict())
            used[case].update(*had.values())
            for variant, names in had.items():
                given = experiment.variants.get(variant, {})
                settings = {name: value for name, value in given.items() if name != TUNE}
                keys = {name: [name] for name in settings} | {name: [TUNE, name] for name in tuned(given.get(TUNE))}
                for name in (each for each in keys if each not in names):
                    reason = not_applicable(name, {**base.given, **settings})
                    yield f"{key_path([*path, 'variants', variant, *keys[name]])}: {reason}"
            for axis in (*experiment.sweep, *experiment.linked):
                if not axis.startswith(TASKS) and not any(axis in names for names in had.values()):
                    yield f"{key_path([*path, 'sweep', axis])}: {not_applicable(axis, base.given)}"
    for name in config.algorithm:
        if not any(name in names for names in used.values()):
            yield f"algorithm.{name}: {not_applicable(name, config.algorithm)}"
    for case, block in config.cases.items():
        for name in (each for each in block.algorithm if each not in used[case]):
            yield f"cases.{case}.algorithm.{name}: {not_applicable(name, config.given(case))}"
