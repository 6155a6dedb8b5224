"""What the files of tasks, optima and runs hold: variables with their dimensions, descriptions and units, attributes.

That of experiments is in `experiments.py`, so that the runs do not depend on it. `checks.py` compares files with it.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

CONVENTIONS = "metalqr-1"

#: How a run may have ended; the values of metalqr.training.Status but `interrupted`, a test compares the two.
STATUSES = ("completed", "tolerance", "diverged")


class Kind(enum.StrEnum):
    """What a variable or an attribute holds, in the words of a message."""

    REAL = "real numbers (float64)"
    WHOLE = "whole numbers (int64)"
    TEXT = "text"
    SETTING = "numbers, truth values or text"
    JSON = "a JSON mapping"


class Special(enum.StrEnum):
    """A number that is not finite; without leave a file may hold none."""

    NAN = "not a number"
    INFINITE = "infinite"


class Variable(NamedTuple):
    """What a variable of a file must look like.

    A dimension ``state_2`` is as long as ``state``. ``may_be`` says which numbers that are not finite it may hold, and
    ``may_end_as`` which of them at the last place of its first dimension; ``choices`` are the only possible texts.
    """

    dims: tuple[str, ...]
    long_name: str
    units: str | None = None
    kind: Kind = Kind.REAL
    may_be: frozenset[Special] = frozenset()
    may_end_as: frozenset[Special] = frozenset()
    choices: tuple[str, ...] = ()

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the variable in a file."""
        return {"long_name": self.long_name} | ({"units": self.units} if self.units else {})


class Layout(NamedTuple):
    """What the files of a stage hold; the attributes are those beside the ones of every file."""

    stage: str
    title: str
    variables: Mapping[str, Variable]
    attributes: tuple[str, ...]
    coordinates: Mapping[str, Variable] = MappingProxyType({})


class Attribute(NamedTuple):
    """What an attribute of a file must look like: its kind, the least whole number, the only possible texts."""

    kind: Kind
    least: int = 0
    choices: tuple[str, ...] = ()


#: What an attribute of that name must look like, in whichever layout.
ATTRIBUTES = {
    "case": Attribute(Kind.TEXT),
    "settings": Attribute(Kind.JSON),
    "seed": Attribute(Kind.WHOLE),
    "status": Attribute(Kind.TEXT, choices=STATUSES),
    "status_iteration": Attribute(Kind.WHOLE),
    "perturbed_policies": Attribute(Kind.WHOLE),
    "state_dim": Attribute(Kind.WHOLE, least=1),
    "action_dim": Attribute(Kind.WHOLE, least=1),
}

_GAIN = ("action", "state")
_NAN = frozenset({Special.NAN})
_INFINITE = frozenset({Special.INFINITE})

# A run that diverged ends with a gain that does not stabilise every task: its cost is infinite.
PER_RUN = {
    "cost": Variable(("iteration", "task"), "exact cost J_i(K_n)", may_end_as=_INFINITE),
    "gradient_norm": Variable(
        ("iteration",),
        "Frobenius norm of the direction followed at K_n",
        may_be=_INFINITE,  # where roll-outs overflowed
        may_end_as=_NAN,  # no step is made at the last gain
    ),
    "rollout_steps": Variable(("iteration",), "simulated steps spent to reach K_n", "steps", kind=Kind.WHOLE),
    "unstable_perturbations": Variable(
        ("iteration",), "perturbed policies tried at K_n that do not stabilise their task", kind=Kind.WHOLE
    ),
}
#: What follows from the costs of a run and the optima of its tasks.
RATIO = Variable(
    ("iteration",), "average cost difference ratio sum_i (J_i(K_n) - J_i*) / sum_i J_i*", "1", may_end_as=_INFINITE
)
TASK_COSTS = {
    "J_star": Variable(("task",), "optimal cost of each task"),
    "J0": Variable(("task",), "cost of the initial gain"),
    # A task of probability zero takes no part, and the best single gain need not stabilise it.
    "J_shared": Variable(("task",), "cost of the best single gain", may_be=_INFINITE),
}

TASKS = Layout(
    "tasks",
    "Linear quadratic regulator tasks",
    {
        "A": Variable(("task", "state", "state_2"), "state matrix"),
        "B": Variable(("task", "state", "action"), "input matrix"),
        "Q": Variable(("task", "state", "state_2"), "state weight"),
        "R": Variable(("task", "action", "action_2"), "input weight"),
        "Psi": Variable(("task", "state", "state_2"), "covariance of the process noise"),
        "Sigma0": Variable(("task", "state", "state_2"), "covariance of the initial state"),
        "p": Variable(("task",), "probability of the task", "1"),
        "K0": Variable(("action", "state"), "initial gain"),
    },
    ("case", "settings"),
)
OPTIMA = Layout(
    "optima",
    "Exact optima of the tasks",
    {
        "K_star": Variable(("task", "action", "state"), "optimal gain of each task"),
        "P_star": Variable(("task", "state", "state_2"), "solution of each task's Riccati equation"),
        "K_shared": Variable(("action", "state"), "best single gain for all tasks"),
        **TASK_COSTS,
    },
    ("case", "settings"),
)
#: The coordinate of runs and datasets.
ITERATION = Variable(("iteration",), "iteration; 0 is the initial gain", kind=Kind.WHOLE)

RUNS = Layout(
    "runs",
    "A training run",
    {"K": Variable(("iteration", "action", "state"), "gain K_n"), **PER_RUN},
    ("case", "settings", "seed", "status", "status_iteration", "perturbed_policies"),
    {"iteration": ITERATION},
)


def with_gain_dims(layout: Layout, dims: tuple[str, ...]) -> Layout:
    """The layout of runs whose gains have these dimensions: a gain for each task has one more."""
    per_task = "task" in dims
    gains = {
        name: spec._replace(dims=tuple(dim for dim in spec.dims if dim not in _GAIN) + (("task",) * per_task + _GAIN))
        for name, spec in layout.variables.items()
        if name in ("K", "K_last")
    }
    return layout._replace(variables={**layout.variables, **gains})
