"""Files of the stage `evaluation`: adaptation of starting gains to unseen tasks."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from metalqr.evaluation.adaptation import measures
from metalqr.evaluation.adaptation.protocol import Assessment, Protocol, UnseenTasks
from metalqr.lqr import FloatArray
from metalqr.results.files import PathLike, dataset_of, load, unusable
from metalqr.results.layout import OF_CASE, SIZES, Attribute, Kind, Layout, NonFinite, Variable


class Start(enum.StrEnum):
    """Origin of a starting gain."""

    TRAINED = "trained"
    """The last gain of a training run."""
    AVERAGED = "averaged"
    """The mean of the last gains of a run with ``average_last``."""
    INITIAL_GAIN = "initial_gain"
    """K_0: adaptation from scratch."""
    BEST_SINGLE_GAIN = "best_single_gain"
    """The exact minimiser of the mean cost of the training tasks."""
    META_OPTIMUM = "meta_optimum"
    """The exact minimiser of the meta-objective of the training tasks."""
    CERTAINTY_EQUIVALENCE = "certainty_equivalence"
    """K_0, then the optimal gain of a model that is estimated from the states of rollouts, in place of steps."""


#: The step size of the training, and the one chosen on the validation tasks.
RATES = ("own", "tuned")
_PATH = ("start", "estimator", "rate", "seed", "repeat", "task", "step")
_PER_RUN = ("start", "seed")

#: Not a number only for what does not exist: certainty equivalence has no step size, and no exact form.
_VARIABLES = {
    "gap": Variable(_PATH, "gap (J_i(K) - J_i*) / J_i*; J_i(K) - J_i* where not relative", may_be=NonFinite.ANY),
    "excess": Variable(_PATH, "excess cost J_i(K) - J_i*; infinite where unstable", may_be=NonFinite.ANY),
    "regret": Variable(
        _PATH, "sum of the excess costs of the gains at which the steps so far were taken", may_be=NonFinite.ANY
    ),
    "J_star": Variable(("start", "task"), "optimal cost of each unseen task"),
    "relative": Variable(("start",), "1 if gaps are relative to the optimal costs", kind=Kind.WHOLE),
    "adaptation_rate": Variable(("start", "estimator", "rate"), "step size of the adaptation", may_be=NonFinite.NAN),
    "validation_gap": Variable(
        ("start", "estimator", "candidate"),
        "median gap after the last step on the validation tasks",
        may_be=NonFinite.ANY,
    ),
    "rollouts": Variable(("estimator",), "rollouts that a step takes on one task", kind=Kind.WHOLE),
    "rollout_steps": Variable(("estimator", "step"), "simulated steps spent on one task", "steps", kind=Kind.WHOLE),
    "training_steps": Variable(_PER_RUN, "simulated steps of the training", "steps", kind=Kind.WHOLE),
    "objective": Variable(
        _PER_RUN, "meta-objective of the training tasks at the own step size", may_be=NonFinite.INFINITE
    ),
    "mean_cost": Variable(_PER_RUN, "mean cost of the training tasks", may_be=NonFinite.INFINITE),
}
#: Of each starting gain.
_OF_STARTS = {
    "start": Variable(("start",), "starting gain", kind=Kind.TEXT),
    "kind": Variable(("start",), "origin of the starting gain", kind=Kind.TEXT, choices=tuple(Start)),
    "tasks": Variable(("start",), "set of training tasks", kind=Kind.TEXT),
    "own_rate": Variable(("start",), "adaptation rate eta of the training"),
}
EVALUATION = Layout(
    "evaluation",
    "Adaptation to unseen tasks",
    _VARIABLES,
    {**OF_CASE, **SIZES, "experiment": Attribute(), "remark": Attribute()},
    {
        **_OF_STARTS,
        "estimator": Variable(("estimator",), "gradient of the adaptation", kind=Kind.TEXT),
        "rate": Variable(("rate",), "choice of the step size", kind=Kind.TEXT, choices=RATES, has_all=True),
        "candidate": Variable(("candidate",), "step sizes to choose from"),
        "seed": Variable(("seed",), "seed of the training run", kind=Kind.WHOLE),
        "repeat": Variable(("repeat",), "repetition with other noise", kind=Kind.WHOLE),
        "step": Variable(("step",), "adaptation steps taken", kind=Kind.WHOLE),
    },
)


@dataclass(frozen=True, eq=False)
class Started:
    """n kinds of starting gains with S runs each, and what is known of them on the training tasks, arrays (n, S)."""

    kinds: Sequence[Start]
    tasks: str
    own_rate: float
    seeds: Sequence[int]
    training_steps: Any
    objective: FloatArray
    mean_cost: FloatArray


def evaluation_dataset(
    started: Started,
    found: Assessment,
    test: UnseenTasks,
    protocol: Protocol,
    settings: Mapping[str, Any],
    *,
    case: str,
    remark: str = "",
) -> xr.Dataset:
    """Return what a file of n kinds of starting gains with S runs each holds; the assessment is of the n S gains."""
    kinds, runs = len(started.kinds), len(started.seeds)
    excess, regret = (
        np.moveaxis(each.reshape(kinds, runs, *each.shape[1:]), 1, 3) for each in (found.excess, found.regret)
    )
    # The runs of a kind share their step sizes.
    rate, scores = (
        each.reshape(kinds, runs, *each.shape[1:])[:, 0] for each in (found.adaptation_rate, found.validation_gap)
    )
    steps = np.arange(protocol.steps + 1)
    arrays = {
        "gap": measures.gap(excess, test.optimal_cost, test.is_relative),
        "excess": excess,
        "regret": regret,
        "J_star": np.repeat(test.optimal_cost[np.newaxis], kinds, axis=0),
        "relative": np.full(kinds, int(test.is_relative)),
        "adaptation_rate": rate,
        "validation_gap": scores,
        "rollouts": list(protocol.rollouts.values()),
        "rollout_steps": [each * steps for each in protocol.rollout_steps.values()],
        **{name: getattr(started, name) for name in ("training_steps", "objective", "mean_cost")},
        "start": list(started.kinds),
        "kind": list(started.kinds),
        "tasks": [started.tasks] * kinds,
        "own_rate": np.full(kinds, started.own_rate),
        "estimator": list(protocol.estimators),
        "rate": list(RATES),
        "candidate": np.sort(np.asarray(protocol.learning_rates, dtype=np.float64)),
        "seed": np.array(started.seeds),
        "repeat": np.arange(protocol.repeats),
        "step": steps,
    }
    sizes = {"state_dim": test.tasks.state_dim, "action_dim": test.tasks.action_dim}
    return dataset_of(EVALUATION, arrays, case=case, settings=settings, experiment="", remark=remark, **sizes)


def joined(
    trained: Mapping[str, xr.Dataset], comparators: Sequence[xr.Dataset], *, experiment: str, case: str
) -> xr.Dataset:
    """Join the parts of a case of an experiment: trained gains by name, then the comparators.

    Comparators have one run, which stands for every seed. Those of several sets of tasks or adaptation rates are named
    with these.

    Raises
    ------
    ValueError
        If there is no trained gain, or the parts were made with other settings.
    """
    if not trained:
        raise ValueError("there are no trained gains; give those of at least one configuration")
    first = next(iter(trained.values()))
    parts = [part.assign_coords(start=_trained_names(name, part)) for name, part in trained.items()]
    for other in comparators:
        names = [_name(str(kind), other, comparators) for kind in other["kind"].values]
        spread = other.isel(seed=np.zeros(first.sizes["seed"], dtype=int))
        parts.append(spread.assign_coords(start=names, seed=first["seed"].values))
    if len({part.attrs["settings"] for part in parts}) > 1:
        raise ValueError("the parts were made with different settings; delete them and run the stage again")
    arrays = {}
    for name, spec in {**EVALUATION.variables, **EVALUATION.coordinates}.items():
        each = [part[name].values for part in parts]
        arrays[name] = np.concatenate(each) if "start" in spec.dims else each[0]
    remarks = "; ".join(dict.fromkeys(part.attrs["remark"] for part in parts if part.attrs["remark"]))
    attributes = {name: first.attrs[name] for name in ("settings", *SIZES)}
    return dataset_of(EVALUATION, arrays, case=case, experiment=experiment, remark=remarks, **attributes)


def _trained_names(name: str, part: xr.Dataset) -> list[str]:
    """The name of a configuration for its last gains, and for their averages with what they are."""
    return [name if kind == Start.TRAINED else f"{name}, {kind}" for kind in part["kind"].values.tolist()]


def _name(kind: str, part: xr.Dataset, comparators: Sequence[xr.Dataset]) -> str:
    """The name of a comparator: its kind, and what tells it from another of that kind."""
    words = [kind]
    for label, name in (("", "tasks"), ("adaptation_rate ", "own_rate")):
        if len({each[name].values[0] for each in comparators}) > 1:
            words.append(f"{label}{part[name].values[0]}")
    return ", ".join(words)


def load_evaluation(path: PathLike, name: str | None = None) -> xr.Dataset:
    """Read the evaluation of a case; ``name`` is that of the experiment and the case, as in ``figure1/d1k1``."""
    experiment, _, case = (name or "").partition("/")
    dataset = load(path, EVALUATION, case or None)
    if name is not None and dataset.attrs["experiment"] != experiment:
        found = dataset.attrs["experiment"]
        raise unusable(path, EVALUATION.stage, f"it belongs to the experiment {found!r}, not {experiment!r}")
    return dataset


def load_part(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the trained gains of one configuration, or comparators, of a set of tasks."""
    return load(path, EVALUATION, case)
