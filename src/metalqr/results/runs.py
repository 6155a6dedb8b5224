"""Files of training runs."""

import enum
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.results.files import PathLike, load
from metalqr.results.layout import ITERATION, OF_CASE, SEED, Attribute, Kind, Layout, NonFinite, Variable


class Status(enum.StrEnum):
    """The way a training run ended."""

    COMPLETED = "completed"
    """All iterations were made."""
    TOLERANCE = "tolerance"
    """The norm of the gradient fell to the tolerance."""
    DIVERGED = "diverged"
    """The gain left the stabilising set of a task, or a value stopped being finite."""
    INTERRUPTED = "interrupted"
    """An observer stopped it before its end; it can be resumed."""


#: Sum of optimal costs, as a part of that of the initial gain, that is rounding.
ZERO_COST = 1e-14
#: The status of a run that has a file; a saved state keeps the others.
ENDED = tuple(status for status in Status if status is not Status.INTERRUPTED)

PER_RUN = {
    # A run that diverged ends with a gain that does not stabilise every task.
    "cost": Variable(
        ("iteration", "task"),
        "cost J_i(K_n): exact, or measured where there is cost_error",
        may_end_as=NonFinite.INFINITE,
    ),
    "gradient_norm": Variable(
        ("iteration",),
        "Frobenius norm of the direction followed at K_n",
        may_be=NonFinite.INFINITE,  # where rollouts overflowed
        may_end_as=NonFinite.NAN,  # no step is made at the last gain
    ),
    "rollout_steps": Variable(("iteration",), "simulated steps spent to reach K_n", "steps", kind=Kind.WHOLE),
    "unstable_perturbations": Variable(
        ("iteration",), "perturbed policies tried at K_n that do not stabilise their task", kind=Kind.WHOLE
    ),
}
#: Of runs with ``average_last``.
OF_AVERAGE = {
    "K_average": Variable(
        ("task", "action", "state"), "mean of the last gains, the share average_last", optional="task"
    ),
    "cost_average": Variable(("task",), "cost J_i(K_average), exact or measured", may_be=NonFinite.INFINITE),
}

#: Of runs by a user's own simulator, whose costs are means over rollouts.
OF_MEASURED = {
    "cost_error": Variable(
        ("iteration", "task"), "standard error of the measured cost J_i(K_n)", may_end_as=NonFinite.NAN
    )
}

#: Of runs whose tasks are drawn anew in every iteration.
OF_RESAMPLING = {
    "redrawn_tasks": Variable(
        (),
        "draws without a stabilising gain, drawn again; every iteration has new tasks, and costs are of held-out ones",
        kind=Kind.WHOLE,
    )
}


def _violation(dataset: xr.Dataset) -> str | None:
    found, wanted = dataset.sizes["iteration"], dataset.attrs["status_iteration"] + 1
    if found != wanted:
        return f"it holds {found} iterations, but its status implies {wanted}"
    missing = [name for name in OF_AVERAGE if name not in dataset.variables]
    if missing and json.loads(dataset.attrs["settings"]).get("average_last"):
        return f"it lacks variable {', variable '.join(missing)}, which its average_last implies"
    return None


RUNS = Layout(
    "runs",
    "A training run",
    {"K": Variable(("iteration", "task", "action", "state"), "gain K_n", optional="task"), **PER_RUN},
    {
        **OF_CASE,
        "seed": SEED,
        "status": Attribute(choices=ENDED),
        "status_iteration": Attribute(Kind.WHOLE),
        "perturbed_policies": Attribute(Kind.WHOLE),
    },
    {"iteration": ITERATION},
    _violation,
    OF_AVERAGE | OF_RESAMPLING | OF_MEASURED,
)


def load_run(path: PathLike, case: str | None = None, settings: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Read a run; its case, settings, seed and status are attributes."""
    return load(path, RUNS, case, settings=settings)


def has_ratio(optimal_cost: NDArray[np.float64], initial_cost: NDArray[np.float64]) -> bool:
    r"""False if :math:`\sum_i J_i^*` is zero up to the rounding of the costs of the initial gain, shape (I,) each."""
    return bool(optimal_cost.sum() > ZERO_COST * initial_cost.sum())


def cost_difference_ratio(
    cost: NDArray[np.float64], optimal_cost: NDArray[np.float64], initial_cost: NDArray[np.float64]
) -> NDArray[np.float64]:
    r""":math:`\sum_i (J_i(K) - J_i^*) / \sum_i J_i^*`, the quantity of Figure 1, of costs (..., I).

    NaN without :func:`has_ratio`: of tasks whose optima cost nothing there is :func:`cost_gap` alone.
    """
    if not has_ratio(optimal_cost, initial_cost):
        return np.full(cost.shape[:-1], np.nan)
    return np.asarray(cost.sum(axis=-1) / optimal_cost.sum() - 1.0)


def cost_gap(cost: NDArray[np.float64], optimal_cost: NDArray[np.float64]) -> NDArray[np.float64]:
    r""":math:`\sum_i (J_i(K) - J_i^*)` of costs (..., I)."""
    return np.asarray((cost - optimal_cost).sum(axis=-1))


def ratio_or_gap(
    cost: NDArray[np.float64], optimal_cost: NDArray[np.float64], initial_cost: NDArray[np.float64]
) -> NDArray[np.float64]:
    """:func:`cost_difference_ratio` where there is one, otherwise :func:`cost_gap`."""
    if has_ratio(optimal_cost, initial_cost):
        return cost_difference_ratio(cost, optimal_cost, initial_cost)
    return cost_gap(cost, optimal_cost)
