"""Experiments: the points of their axes, each with the settings and the tasks of its runs."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from metalqr.config.algorithm import MetaSettings, applicable
from metalqr.config.identity import configuration_digest, digest
from metalqr.config.registries import families
from metalqr.config.tuning import TUNE, grid, stated

if TYPE_CHECKING:
    from metalqr.systems.family import Family

#: The axis of the variants; no setting has this name.
VARIANT = "variant"
#: Prefix of the keys of a sweep that are settings of the task family.
TASKS = "tasks."
#: The setting of a task family by which training draws its tasks.
RESAMPLE = "resample"


def family_of(tasks: Mapping[str, Any]) -> "Family":
    """The task family behind a block ``tasks``: its name and its settings."""
    plugin = families.get(tasks["family"])
    return plugin(plugin.Settings(**{name: value for name, value in tasks.items() if name != "family"}))


class Base(NamedTuple):
    """The part of a case in all points of an experiment."""

    #: Settings of the algorithm.
    given: Mapping[str, Any]
    #: The name of the task family, ``family``, and its settings.
    tasks: Mapping[str, Any]

    def settings(self, change: Mapping[str, Any] | None = None) -> MetaSettings:
        """All settings of a run, with some changed; those that its method and estimator do not have are left out."""
        own = {name: value for name, value in (change or {}).items() if not name.startswith(TASKS)}
        return MetaSettings(**applicable({**self.given, **own}))

    def family(self, change: Mapping[str, Any]) -> "Family":
        """The task family, with some of its settings changed."""
        own = {name.removeprefix(TASKS): value for name, value in change.items() if name.startswith(TASKS)}
        return family_of({**self.tasks, **own})


class Point(NamedTuple):
    """One place on the axes of an experiment, for one case."""

    settings: MetaSettings
    #: The name of its set of tasks: that of the case, or with a digest where the sweep changes the task family.
    tasks: str
    #: The values that the point changes, by the names of the config.
    values: Mapping[str, Any]
    #: The block that tunes its runs, if there is one; the settings then have the first values of its grid.
    tune: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """Its place on the axes of the experiment, in words; empty without axes."""
        words = [f"{value}" if axis == VARIANT else f"{axis} {value}" for axis, value in self.values.items()]
        return ", ".join(words)

    @property
    def configuration(self) -> str:
        """The digest that its runs are identified by."""
        return configuration_digest(self.settings, self.tune)

    @property
    def stated(self) -> dict[str, Any]:
        """All settings in plain values, with the block that tunes some of them."""
        return stated(self.settings.as_dict(), self.tune)


@dataclass(frozen=True)
class Experiment:
    """An experiment of the config, by case."""

    name: str
    bases: Mapping[str, Base]
    seeds: Sequence[int]
    #: Named settings: the first axis, where there are any.
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Values of each setting that is swept by itself: the further axes.
    sweep: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    #: Settings that are linked to an axis, with its name.
    linked: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_block(cls, name: str, block: Mapping[str, Any]) -> Self:
        """The experiment behind a :attr:`block`."""
        bases = {case: Base(*base) for case, base in block["bases"].items()}
        return cls(name, bases, *(block[key] for key in ("seeds", "variants", "sweep", "linked")))

    @property
    def block(self) -> dict[str, Any]:
        """The experiment in plain values, without its name."""
        return {
            "bases": {case: [dict(base.given), dict(base.tasks)] for case, base in self.bases.items()},
            "seeds": list(self.seeds),
            "variants": {name: dict(settings) for name, settings in self.variants.items()},
            "sweep": {name: list(values) for name, values in self.sweep.items()},
            "linked": dict(self.linked),
        }

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The names of the axes with their values, the slowest first."""
        swept = {name: tuple(values) for name, values in self.sweep.items()}
        return {VARIANT: tuple(self.variants), **swept} if self.variants else swept

    @property
    def size(self) -> int:
        """Number of points of a case."""
        return math.prod(map(len, self.axes.values()))

    def points(self, case: str) -> list[Point]:
        """The points of a case, the last axis fastest.

        Raises
        ------
        metalqr.config.problems.SettingsError
            If a point has impossible settings.
        """
        if case not in self._points:
            self._points[case] = self._list_points(case)
        return self._points[case]

    def place(self, point: Point) -> str:
        """The values of a point on the axes, in words, without those of linked settings; empty without axes."""
        own = {axis: value for axis, value in point.values.items() if axis not in self.linked}
        return point._replace(values=own).name

    def families(self, case: str) -> dict[str, "Family"]:
        """The task family of each set of tasks of a case, by the name of the set."""
        if case not in self._families:
            values = {point.tasks: point.values for point in self.points(case)}
            self._families[case] = {name: self.bases[case].family(change) for name, change in values.items()}
        return self._families[case]

    def resamples(self, case: str) -> bool:
        """True if tasks of a case are resampled, by the settings alone: a file of tasks may be elsewhere."""
        values = (self.bases[case].tasks.get(RESAMPLE), *self.axes.get(TASKS + RESAMPLE, ()))
        return any(value not in (None, "never") for value in values)

    @cached_property
    def _families(self) -> dict[str, dict[str, "Family"]]:
        return {}

    @cached_property
    def _points(self) -> dict[str, list[Point]]:
        return {}

    def _list_points(self, case: str) -> list[Point]:
        base, points = self.bases[case], []
        names: dict[str, str] = {}
        for place in itertools.product(*self.axes.values()):
            values = dict(zip(self.axes, place, strict=True))
            values |= {name: values[axis] for name, axis in self.linked.items()}
            moved = {name: value for name, value in values.items() if name.startswith(TASKS)}
            if repr(moved) not in names:  # values may be lists
                names[repr(moved)] = _name_of_tasks(case, base, moved)
            variant = dict(self.variants.get(values.get(VARIANT, ""), {}))
            tune = variant.pop(TUNE, None)
            change = {**variant, **{name: value for name, value in values.items() if name != VARIANT}}
            # All of them, so that an impossible one is found here.
            settings = [base.settings({**change, **tried}) for tried in grid(tune)]
            points.append(Point(settings[0], names[repr(moved)], values, tune))
        return points


def _name_of_tasks(case: str, base: Base, change: Mapping[str, Any]) -> str:
    """The name of a set of tasks."""
    if not change:
        return case
    own, changed = (base.family(each).settings.changed() for each in ({}, change))
    return case if changed == own else f"{case}-{digest({'family': base.tasks['family'], **changed})}"
