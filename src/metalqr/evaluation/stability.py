"""Stability of training runs: which guarantees of Definitions 1 and 2 and Theorem 1 hold at each iteration."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from metalqr.lqr import FloatArray
from metalqr.results import dataset_of, load
from metalqr.results.files import PathLike, padded
from metalqr.results.layout import ITERATION, OF_CASE, SEEDS, Kind, Layout, NonFinite, Variable


class Guarantee(enum.StrEnum):
    """Conditions of Definitions 1 and 2 and claims of Theorem 1 about every iteration, each for all tasks at once."""

    STABILISING = "stabilising"
    """K_n stabilises every task."""
    PERTURBED_STABILISING = "perturbed_stabilising"
    """Every perturbed policy K_n + U_m of Algorithm 2 stabilises its task."""
    MAML_STABILISING = "maml_stabilising"
    """Definition 1: K_n and its exact adaptation to every task, K_n - eta grad J_i(K_n), stabilise that task."""
    ADAPTED_STABILISING = "adapted_stabilising"
    """K_n^i of Theorem 1, the adaptation by an estimate of Algorithm 1, stabilises task i."""
    IN_SUBLEVEL_SET = "in_sublevel_set"
    """Definition 2 with gamma = 1: J_i(K_n) <= J_i(K_0)."""
    ADAPTED_IN_SUBLEVEL_SET = "adapted_in_sublevel_set"
    """J_i(K_n^i) <= J_i(K_0) for the adaptation to each task. Theorem 1 claims more: also the other tasks' costs."""
    MEAN_COST_FALLS = "mean_cost_falls"
    """The mean cost, and with it the mean gap to the optima, is lower than an iteration before."""
    OBJECTIVE_FALLS = "objective_falls"
    """The meta-objective L is lower than an iteration before."""
    EVERY_COST_FALLS = "every_cost_falls"
    """The cost of each single task is lower than an iteration before."""


@dataclass(frozen=True)
class GuaranteeCheck:
    """The check of one guarantee along a run.

    It cannot be checked at every iteration: a fall not at the first, perturbed policies not where the run made no
    estimate.
    """

    guarantee: Guarantee
    checked: int  # iterations at which it was checked
    share: float  # of these, at which it holds; NaN if there are none
    first_violation: int | None  # the first iteration at which it does not hold


@dataclass(frozen=True, eq=False)
class Stability:
    r"""A run of n + 1 gains; a cost is infinite where the policy does not stabilise the task.

    Costs are exact: of :math:`K_n`, of :math:`K_n - \eta \nabla J_i(K_n)`, infinite where :math:`K_n` itself does not
    stabilise task i, and of :math:`K_n^i = K_n - \eta \tilde\nabla J_i(K_n)` of Theorem 1. A rise is the largest in one
    step, relative to the value before it; 0 if the quantity never rose.
    """

    spectral_radius: FloatArray  # (n + 1, I), of A_i - B_i K_n
    cost: FloatArray  # (n + 1, I)
    exactly_adapted_cost: FloatArray  # (n + 1, I)
    adapted_cost: FloatArray  # (n + 1, I)
    mean_cost: FloatArray  # (n + 1,)
    objective: FloatArray  # (n + 1,), the meta-objective L(K_n)
    unstable_share: FloatArray  # (n + 1,), of the perturbed policies K_n + U_m; NaN where the run made no estimate
    mean_cost_rise: float
    objective_rise: float
    cost_rise: FloatArray  # (I,)
    checks: tuple[GuaranteeCheck, ...]  # one for each guarantee, in their order

    def check_of(self, guarantee: Guarantee) -> GuaranteeCheck:
        """Return the check of one guarantee."""
        return self.checks[list(Guarantee).index(guarantee)]


_PER_RUN, _PER_TASK, _PER_GUARANTEE = ("seed", "iteration"), ("seed", "iteration", "task"), ("seed", "promise")

#: With the names of Stability; after its end a run is NaN.
_COURSES = {
    name: Variable(dims, long_name, units, may_be=NonFinite.ANY)
    for name, dims, long_name, units in (
        ("spectral_radius", _PER_TASK, "spectral radius of A_i - B_i K_n", "1"),
        ("cost", _PER_TASK, "exact cost J_i(K_n)", None),
        ("exactly_adapted_cost", _PER_TASK, "exact cost J_i(K_n - eta grad J_i(K_n))", None),
        ("adapted_cost", _PER_TASK, "exact cost of K_n adapted to task i by an estimate of Algorithm 1", None),
        ("mean_cost", _PER_RUN, "mean cost sum_i p_i J_i(K_n)", None),
        ("objective", _PER_RUN, "meta-objective L(K_n)", None),
    )
}
_COURSES["unstable_share"] = Variable(
    _PER_RUN, "share of the perturbed policies that do not stabilise their task", "1", may_be=NonFinite.NAN
)
_RISES = {
    name: Variable(dims, f"largest relative rise of {what} in one step", "1", may_be=NonFinite.INFINITE)
    for name, dims, what in (
        ("mean_cost_rise", ("seed",), "the mean cost"),
        ("objective_rise", ("seed",), "the meta-objective"),
        ("cost_rise", ("seed", "task"), "each task's cost"),
    )
}


def _violation(dataset: xr.Dataset) -> str | None:
    found, longest = dataset.sizes["iteration"], int(dataset["last_iteration"].max()) + 1
    return None if found == longest else f"it holds {found} iterations, but its longest run has {longest}"


#: The variables keep the names of existing files, where a guarantee is called a promise.
STABILITY = Layout(
    "stability",
    "Guarantees of the theory along the runs at a case's own settings",
    {
        **_COURSES,
        **_RISES,
        "checked": Variable(_PER_GUARANTEE, "iterations at which the guarantee can be checked", kind=Kind.WHOLE),
        "kept": Variable(_PER_GUARANTEE, "share of these iterations at which it holds", "1", may_be=NonFinite.NAN),
        "first_broken": Variable(
            _PER_GUARANTEE, "first iteration at which it does not hold; -1 if there is none", kind=Kind.WHOLE
        ),
        "last_iteration": Variable(("seed",), "last iteration of the run", kind=Kind.WHOLE),
    },
    OF_CASE,
    {
        "seed": SEEDS,
        "iteration": ITERATION,
        "promise": Variable(
            ("promise",), "name of the guarantee", kind=Kind.TEXT, choices=tuple(Guarantee), has_all=True
        ),
    },
    _violation,
)


def stability_dataset(runs: Mapping[int, Stability], settings: Mapping[str, Any], *, case: str) -> xr.Dataset:
    """Return what the file of a case holds, for runs by seed. A run that ended early is NaN from its end on.

    A ValueError is raised if there is no run.
    """
    if not runs:
        raise ValueError("there is no run; give at least one")
    found = list(runs.values())
    violations = [[check.first_violation for check in run.checks] for run in found]
    arrays = {
        **{name: padded([getattr(run, name) for run in found]) for name in _COURSES},
        **{name: [getattr(run, name) for run in found] for name in _RISES},
        "checked": [[check.checked for check in run.checks] for run in found],
        "kept": [[check.share for check in run.checks] for run in found],
        "first_broken": [[-1 if first is None else first for first in row] for row in violations],
        "last_iteration": [len(run.cost) - 1 for run in found],
        "seed": list(runs),
        "iteration": np.arange(max(len(run.cost) for run in found)),
        "promise": list(Guarantee),
    }
    return dataset_of(STABILITY, arrays, case=case, settings=settings)


def load_stability(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the stability of a case's runs; see :func:`metalqr.results.load`."""
    return load(path, STABILITY, case)
