"""The work that is timed: one estimate of Algorithm 2 with the tasks and settings of config.yaml, or a variation."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from metalqr import LQRTasks, MetaSettings
from metalqr.config.registries import families, methods

Array = NDArray[np.float64]

#: The cases of the paper's Figure 1.
CASES = ("d1k1", "d2k2", "d20k10")
#: What turns the estimator of the paper into others whose coefficients are weighted sums of costs.
ESTIMATORS: dict[str, dict[str, Any]] = {
    "one_point_baseline": {"estimator": "one_point_baseline"},
    "two_point": {"estimator": "two_point"},
    "two_point, common noise": {"estimator": "two_point", "common_noise": True},
}
#: The case that the sweeps start from.
SWEPT_CASE = "d2k2"


class Work(NamedTuple):
    """Algorithm 2 at one gain."""

    name: str
    tasks: LQRTasks
    gain: Array  # (k, d)
    settings: MetaSettings

    @property
    def dimensions(self) -> str:
        return f"({self.tasks.state_dim}, {self.tasks.action_dim})"

    @property
    def rollouts(self) -> int:
        return methods.get(self.settings.method).work(self.tasks.count, self.settings).rollouts

    @property
    def steps(self) -> int:
        return self.rollouts * self.settings.rollout_length

    def at(self, **changes: Any) -> "Work":
        """The same tasks and gain with other settings."""
        return self._replace(settings=self.settings.replace(**changes))


def of_case(name: str, state_dim: int | None = None, action_dim: int | None = None) -> Work:
    """The work of a case of config.yaml, as it is or with its family drawn in other dimensions."""
    config = yaml.safe_load((Path(__file__).resolve().parents[1] / "config.yaml").read_text(encoding="utf-8"))
    case = config["cases"][name]
    family = families.get(case["tasks"].pop("family"))
    dimensions = state_dim or case["state_dim"], action_dim or case["action_dim"]
    tasks = family(family.Settings(**case["tasks"])).tasks(*dimensions, config["seed"])
    settings = MetaSettings(**{**config["algorithm"], **case["algorithm"]})
    return Work(name, tasks, np.zeros((tasks.action_dim, tasks.state_dim)), settings)
