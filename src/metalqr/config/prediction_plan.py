"""The stage `predictions` of a config: its jobs, and the files and params of its rules."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

from metalqr.config.experiments import Point
from metalqr.config.files import COMPARED_FILE, PREDICTION_FILE
from metalqr.config.model import Config
from metalqr.config.prediction import why_not_predicted


class Predicted(NamedTuple):
    """A configuration of an experiment, with its place among the points of its case."""

    experiment: str
    case: str
    number: int
    point: Point
    #: Why it has no prediction, or nothing.
    reason: str

    @property
    def file(self) -> str:
        """The prediction, which experiments with this configuration share."""
        return PREDICTION_FILE.format(case=self.point.tasks, configuration=self.point.configuration)


class PredictionPlan:
    """The stage `predictions` of a checked config, made where the paths of its files are relative to."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @cached_property
    def _listed(self) -> list[Predicted]:
        found = []
        for name in self.config.predicted:
            experiment = self.config.resolved[name]
            for case in experiment.bases:
                block, sets = self.config.cases[case], experiment.families(case)
                for number, point in enumerate(experiment.points(case)):
                    gain = block.state_dim * block.action_dim
                    reason = why_not_predicted(point.settings, sets[point.tasks], gain)
                    found.append(Predicted(name, case, number, point, reason))
        return found

    @cached_property
    def predicted(self) -> list[Predicted]:
        """Every configuration with a prediction: by experiment, then by case, then by point."""
        return [each for each in self._listed if not each.reason]

    def _of(self, experiment: str) -> list[Predicted]:
        return [each for each in self.predicted if each.experiment == experiment]

    # Params and inputs, by wildcards.

    def places(self, wildcards: Any) -> dict[str, list[int]]:
        """By case, the places of the predicted points among all of an experiment."""
        found: dict[str, list[int]] = {}
        for each in self._of(wildcards.experiment):
            found.setdefault(each.case, []).append(each.number)
        return found

    def left_out(self, wildcards: Any) -> dict[str, dict[str, str]]:
        """By case, the configurations of an experiment without a prediction, with the reason."""
        found: dict[str, dict[str, str]] = {}
        for each in self._listed:
            if each.experiment == wildcards.experiment and each.reason:
                found.setdefault(each.case, {})[each.point.name or each.experiment] = each.reason
        return found

    def parts_of(self, wildcards: Any) -> list[str]:
        """The predictions of an experiment, by case, then by point."""
        return [each.file for each in self._of(wildcards.experiment)]

    @property
    def wanted(self) -> list[str]:
        """The experiments whose predictions are to be shown in figures of learning curves."""
        return [name for name, block in self.config.experiments.items() if block.show_prediction]

    def warnings(self, drawn: Iterable[str]) -> Iterator[str]:
        """Experiments that are to show predictions, but have none, or are not among those that a figure draws."""
        for name in self.wanted:
            reasons = dict.fromkeys(each.reason for each in self._listed if each.experiment == name)
            key = f"experiments.{name}.show_prediction"
            if name in self.joined and name not in drawn:
                yield f"{key}: no figure has learning curves of this experiment; leave it out"
            elif reasons and name not in self.joined:
                yield f"{key}: nothing of this experiment is predicted ({', '.join(reasons)}); leave it out"

    def notes(self, names: Sequence[str]) -> list[str]:
        """Lines of the caption of a figure of some experiments, about their predicted learning curves."""
        wanted, joined = [name for name in names if name in self.wanted], self.joined
        lines = []
        if shown := [name for name in wanted if name in joined]:
            lines.append(
                f"thin lines in darker shades: medians predicted without simulation, up to their last valid iteration; "
                f"experiments {', '.join(shown)}"
            )
        for name in wanted:
            if name not in self.config.predicted:
                lines.append(f"no predicted curves of {name}, which prediction.experiments leaves out")
            for case, reasons in self.left_out(SimpleNamespace(experiment=name)).items():
                of_case = ", ".join(f"{each} ({reason})" for each, reason in reasons.items())
                lines.append(f"no predicted curves of {name} on {case}: {of_case}")
        return lines

    # Files.

    @cached_property
    def joined(self) -> dict[str, str]:
        """The file of each experiment with a prediction."""
        names = dict.fromkeys(each.experiment for each in self.predicted)
        return {name: COMPARED_FILE.format(experiment=name) for name in names}

    def shown(self, names: Sequence[str]) -> dict[str, str]:
        """Of some experiments, those whose figures show predictions, with the file of each."""
        return {name: file for name, file in self.joined.items() if name in names and name in self.wanted}

    @property
    def files(self) -> list[str]:
        """Everything that the stage makes, but for figures and tables."""
        return list(dict.fromkeys([*(each.file for each in self.predicted), *self.joined.values()]))
