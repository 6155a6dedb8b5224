"""What the files of tasks, optima and runs hold: variables with their dimensions, descriptions and units, attributes.

That of experiments is in `experiments.py`, so that the runs do not depend on it.
"""

from typing import NamedTuple

CONVENTIONS = "metalqr-1"


class Variable(NamedTuple):
    """What a variable of a file must look like."""

    dims: tuple[str, ...]
    long_name: str
    units: str | None = None

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the variable in a file."""
        return {"long_name": self.long_name} | ({"units": self.units} if self.units else {})


class Layout(NamedTuple):
    """What the files of a stage hold; the attributes are those beside the ones of every file."""

    stage: str
    title: str
    variables: dict[str, Variable]
    attributes: tuple[str, ...]


PER_RUN = {
    "cost": Variable(("iteration", "task"), "exact cost J_i(K_n)"),
    "ratio": Variable(("iteration",), "average cost difference ratio sum_i (J_i(K_n) - J_i*) / sum_i J_i*", "1"),
    "gradient_norm": Variable(("iteration",), "Frobenius norm of the estimated meta-gradient at K_n"),
    "rollout_steps": Variable(("iteration",), "simulated steps spent to reach K_n", "steps"),
    "unstable_perturbations": Variable(("iteration",), "perturbed policies K_n + U_m that do not stabilise their task"),
}
TASK_COSTS = {
    "J_star": Variable(("task",), "optimal cost of each task"),
    "J0": Variable(("task",), "cost of the initial gain"),
    "J_shared": Variable(("task",), "cost of the best single gain"),
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
    },
    ("case", "settings"),
)
OPTIMA = Layout(
    "optima",
    "Exact optima of the tasks",
    {
        "K_star": Variable(("task", "action", "state"), "optimal gain of each task"),
        "P_star": Variable(("task", "state", "state_2"), "solution of each task's Riccati equation"),
        "K0": Variable(("action", "state"), "initial gain"),
        "K_shared": Variable(("action", "state"), "best single gain for all tasks"),
        **TASK_COSTS,
    },
    ("case", "settings"),
)
RUNS = Layout(
    "runs",
    "A run of meta-policy optimisation",
    {"K": Variable(("iteration", "action", "state"), "gain K_n"), **PER_RUN},
    ("case", "settings", "seed", "status", "status_iteration"),
)

#: The coordinate of runs and datasets.
ITERATION = Variable(("iteration",), "iteration; 0 is the initial gain")
