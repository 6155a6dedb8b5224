"""Files of tunings: the values that were tried, how their runs scored, and the choice."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from metalqr.config.algorithm import MetaSettings
from metalqr.config.tuning import TUNE
from metalqr.results.files import PathLike, load
from metalqr.results.layout import OF_CASE, Kind, Layout, NonFinite, Variable

_SCORES = ("candidate", "seed")


def _violation(dataset: xr.Dataset) -> str | None:
    chosen, count = dataset["chosen"].item(), dataset.sizes["candidate"]
    return None if 0 <= chosen < count else f"its choice is {chosen}, but it holds {count} candidates"


TUNED = Layout(
    "tuned",
    "A tuning: values of settings, tried in runs of their own",
    {
        "values": Variable(("candidate",), "the values of the settings, as JSON", kind=Kind.TEXT),
        "steps_to_target": Variable(
            _SCORES,
            "simulated steps until the ratio first reached the target; infinite if it did not, or the run diverged",
            "steps",
            may_be=NonFinite.INFINITE,
        ),
        "final_ratio": Variable(
            _SCORES, "ratio at the end; infinite if the run diverged", "1", may_be=NonFinite.INFINITE
        ),
        "rollout_steps": Variable(_SCORES, "simulated steps of the run", "steps", kind=Kind.WHOLE),
        "target_ratio": Variable((), "the target: a multiple of the ratio of the best single gain", "1"),
        "chosen": Variable((), "the candidate that is chosen", kind=Kind.WHOLE),
        "target_reached": Variable((), "1 if the median run of the choice reached the target", kind=Kind.WHOLE),
    },
    OF_CASE,
    {"seed": Variable(("seed",), "seed of the tuning run", kind=Kind.WHOLE)},
    _violation,
)


def load_tuned(path: PathLike, case: str | None = None, settings: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Read a tuning; the settings are all those of its runs, with the block ``tune``."""
    return load(path, TUNED, case, settings=settings)


def settings_of_run(
    given: Mapping[str, Any], tuned: Sequence[PathLike], case: str
) -> tuple[MetaSettings, Mapping[str, Any] | None]:
    """The settings of a run and the block that tunes it, if there is one, whose choice is in the one file of the list.

    ``given`` are those of :attr:`metalqr.config.plan.Run.changed`.
    """
    given = dict(given)
    block = given.pop(TUNE, None)
    chosen = choice(load_tuned(tuned[0], case)) if block else {}
    return MetaSettings(**given, **chosen), block


def choice(dataset: xr.Dataset) -> dict[str, Any]:
    """The chosen value of each setting that was tuned."""
    values: dict[str, Any] = json.loads(dataset["values"].values[dataset["chosen"].item()])
    return values
