"""A run of a case by itself, outside of any experiment: its settings, checked as those of an experiment are."""

from collections.abc import Iterator

from metalqr.config.algorithm import MetaSettings
from metalqr.config.checks import of_several, resampling_problems
from metalqr.config.experiments import Base
from metalqr.config.model import Config
from metalqr.config.problems import ConfigError, SettingsError, nearest
from metalqr.config.simulated import needing_the_model


def settings_of_case(config: Config, case: str, *, by_files: bool = False) -> MetaSettings:
    """The settings of a run of a case: its own. ``by_files`` says that the costs of its rollouts are told.

    Raises
    ------
    ConfigError
        If there is no such case, or it cannot be run with them.
    """
    if case not in config.cases:
        raise ConfigError([f"--case: there is no case {case!r}; {nearest(case, list(config.cases))}"])
    try:
        settings = Base(config.given(case), {}).settings()
    except SettingsError as error:
        raise ConfigError([of_several(f"cases.{case}", error)]) from None
    if lines := list(_problems(config, case, settings, by_files)):
        raise ConfigError(lines)
    return settings


def _problems(config: Config, case: str, settings: MetaSettings, by_files: bool) -> Iterator[str]:
    family, key = config.cases[case].family, f"cases.{case}"
    if not family.has_program and not by_files:
        yield (
            f"{key}.simulator: it has no path to a program, so that its rollouts are made elsewhere; train it with "
            "metalqr ask and metalqr tell, or give path"
        )
    if by_files or not family.has_model:
        for name, reason in needing_the_model(settings):
            yield f"{key}.algorithm.{name}: {reason}"
    if family.resamples and by_files:
        yield f"{key}.tasks.resample: a plant stays the same in every iteration; write resample: never"
    elif family.resamples:
        for problem in resampling_problems(settings):
            yield f"{key}.tasks.resample: each_iteration changes the tasks, but {problem}, or resample: never"
