"""The tasks that a training draws in every iteration, from what the file of its tasks says."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from metalqr.config.experiments import family_of
from metalqr.results.files import PathLike
from metalqr.results.tasks import load_origin
from metalqr.training.method import TaskSource


class Resampling(NamedTuple):
    """The tasks of every iteration, None where they are always those of the file, and what they depend on, in words."""

    tasks: TaskSource | None
    origin: dict[str, str]


def resampling_of(path: PathLike, case: str) -> Resampling:
    """Read from a file of tasks whether training draws its own; a family's own files are found as in planning.

    The family is looked up by its name, so that training depends on the code of no other one.
    """
    return resampling_from(load_origin(path, case))


def resampling_from(origin: Mapping[str, Any]) -> Resampling:
    """The same from what tasks are made from."""
    if origin["tasks"].get("resample", "never") == "never":
        return Resampling(None, {})
    sizes = origin["state_dim"], origin["action_dim"], origin.get("seed", 0)
    words = json.dumps([origin["tasks"], *sizes])
    return Resampling(family_of(origin["tasks"]).resampled(*sizes), {"resampled": words})
