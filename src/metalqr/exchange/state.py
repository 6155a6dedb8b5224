"""The file of a run whose rollouts are made elsewhere: what it is, and how far it has come."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from metalqr.common import atomic
from metalqr.config.algorithm import MetaSettings
from metalqr.config.registry import load_plugins
from metalqr.exchange.errors import ExchangeError
from metalqr.exchange.tasks import Answer, AskedTasks
from metalqr.lqr import FloatArray
from metalqr.results.files import StorageError, dataset_of, load, save
from metalqr.results.layout import SEED, Attribute, Kind, Layout
from metalqr.results.runs import OF_AVERAGE, RUNS, Status
from metalqr.training.history import History

#: Of a run without costs of its gains, which nothing measures.
_HISTORY = {name: variable for name, variable in RUNS.variables.items() if name != "cost"}
ASKED_RUNS = Layout(
    "asked_runs",
    "A training run whose rollouts are made elsewhere",
    _HISTORY,
    {
        "case": Attribute(),
        "seed": SEED,
        "status": Attribute(choices=tuple(Status)),
        "iteration": Attribute(Kind.WHOLE),
        "round": Attribute(Kind.WHOLE, at_least=1),
        **dict.fromkeys(("settings", "origin", "tasks", "answers"), Attribute(Kind.JSON)),
    },
    optional={"K_average": OF_AVERAGE["K_average"]},
)
#: Prefixes in a file of the names of a method's memory, and of the costs that were told.
_MEMORY, _COSTS = "memory_", "costs_"
#: The key of the files of plug-ins in what a run is made from.
PLUGINS = "plugins"
#: The costs that were told last, which may be those of the iteration before.
_LAST = "last"


class AskedRun(NamedTuple):
    """What a run is, from its beginning to its end."""

    case: str
    seed: int
    settings: MetaSettings
    #: What the tasks and the initial gain are made from, as the config says it, and the files of plug-ins.
    origin: Mapping[str, Any]
    #: What training knows of the tasks: arguments of :class:`AskedTasks`.
    tasks: Mapping[str, Any]

    def asked(self, answers: Sequence[Answer]) -> AskedTasks:
        """The tasks of an iteration with these answers."""
        words = json.dumps([self.case, self.seed, self.settings.as_dict(), self.origin, self.tasks], sort_keys=True)
        return AskedTasks(words, answers, **self.tasks)


@dataclass(frozen=True, eq=False)
class ExchangeState:
    """A run, its history so far, and the costs that were told.

    Attributes
    ----------
    answers : tuple of Answer
        Those of the present iteration.
    last : Answer or None
        The one that was told last, which may belong to the iteration before.
    """

    run: AskedRun
    history: History
    answers: tuple[Answer, ...] = ()
    last: Answer | None = None

    @property
    def has_ended(self) -> bool:
        """True if nothing is asked for any more."""
        return self.history.status is not Status.INTERRUPTED

    @property
    def initial_gain(self) -> FloatArray:
        """The gain (k, d) that training started from."""
        first = self.history.K[0]
        return np.array(first if first.ndim == 2 else first[0])


def save_state(path: Path, state: ExchangeState) -> None:
    """Write the file in place of an earlier one, which stays where this fails."""
    run, history = state.run, state.history
    names = [*_HISTORY, *(["K_average"] if history.K_average is not None else [])]
    told = {str(place): answer for place, answer in enumerate(state.answers)}
    told |= {_LAST: state.last} if state.last is not None else {}
    dataset = dataset_of(
        ASKED_RUNS,
        {name: getattr(history, name) for name in names},
        case=run.case,
        seed=run.seed,
        settings=run.settings.as_dict(),
        origin=run.origin,
        tasks=run.tasks,
        status=str(history.status),
        iteration=history.status_iteration,
        round=len(state.answers) + 1,
        answers={name: answer.identifier for name, answer in told.items()},
    )
    arrays = {f"{_MEMORY}{name}": array for name, array in history.memory.items()}
    arrays |= {f"{_COSTS}{name}": answer.costs for name, answer in told.items()}
    more = {
        name: xr.Variable([f"{name}_{axis}" for axis in range(np.ndim(array))], array) for name, array in arrays.items()
    }
    save(path, dataset.assign(more))


def load_state(path: Path) -> ExchangeState:
    """Read the file.

    Raises
    ------
    ExchangeError
        If there is none, or it cannot be used.
    """
    atomic.discard_leftovers(path)
    if not path.exists():
        raise ExchangeError(f"{path}: there is no such file; begin a run with metalqr ask {path} CONFIG --case NAME")
    try:
        dataset = load(path, ASKED_RUNS)
    except StorageError as error:
        raise ExchangeError(
            f"{path}: {error.reason}; give the state file of metalqr ask, or a copy of it from before"
        ) from error
    stored: dict[str, Any] = {str(name): array.values for name, array in dataset.items()}
    attributes = dataset.attrs
    unknown = np.full((dataset.sizes["iteration"], json.loads(attributes["tasks"])["count"]), np.nan)
    history = History(
        **{name: stored[name] for name in _HISTORY},
        cost=unknown,
        cost_error=unknown.copy(),
        status=Status(attributes["status"]),
        status_iteration=int(attributes["iteration"]),
        memory={name.removeprefix(_MEMORY): array for name, array in stored.items() if name.startswith(_MEMORY)},
        K_average=stored.get("K_average"),
    )
    origin = json.loads(attributes["origin"])
    try:
        load_plugins(origin[PLUGINS], path.parent)
        settings = MetaSettings(**json.loads(attributes["settings"]))
    except ValueError as error:  # a plug-in that is gone, or changed
        raise ExchangeError(f"{path}: its run cannot go on here: {error}") from error
    run = AskedRun(
        attributes["case"],
        int(attributes["seed"]),
        settings,
        origin,
        json.loads(attributes["tasks"]),
    )
    identifiers = json.loads(attributes["answers"])
    told = {name: Answer(identifier, stored[f"{_COSTS}{name}"]) for name, identifier in identifiers.items()}
    answers = tuple(told[str(place)] for place in range(int(attributes["round"]) - 1))
    return ExchangeState(run, history, answers, told.get(_LAST))
