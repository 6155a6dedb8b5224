"""What each stage's files hold: variables with their dimensions, descriptions and units, and attributes."""

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

#: The variables of each stage's files.
VARIABLES: dict[str, dict[str, Variable]] = {
    "tasks": {
        "A": Variable(("task", "state", "state_2"), "state matrix"),
        "B": Variable(("task", "state", "action"), "input matrix"),
        "Q": Variable(("task", "state", "state_2"), "state weight"),
        "R": Variable(("task", "action", "action_2"), "input weight"),
        "Psi": Variable(("task", "state", "state_2"), "covariance of the process noise"),
        "Sigma0": Variable(("task", "state", "state_2"), "covariance of the initial state"),
        "p": Variable(("task",), "probability of the task", "1"),
    },
    "optima": {
        "K_star": Variable(("task", "action", "state"), "optimal gain of each task"),
        "P_star": Variable(("task", "state", "state_2"), "solution of each task's Riccati equation"),
        "K0": Variable(("action", "state"), "initial gain"),
        "K_shared": Variable(("action", "state"), "best single gain for all tasks"),
        **TASK_COSTS,
    },
    "runs": {"K": Variable(("iteration", "action", "state"), "gain K_n"), **PER_RUN},
    "datasets": {
        **PER_RUN,
        **TASK_COSTS,
        "K_last": Variable(("action", "state"), "last gain of the run"),
        "status": Variable((), "how the run ended: completed, tolerance or diverged"),
        "status_iteration": Variable((), "last iteration of the run"),
    },
}

TITLES = {
    "tasks": "Linear quadratic regulator tasks",
    "optima": "Exact optima of the tasks",
    "runs": "A run of meta-policy optimisation",
    "datasets": "An experiment: runs by case, swept settings and seed",
}
ATTRIBUTES = {
    "tasks": ("settings",),
    "optima": ("settings",),
    "runs": ("settings", "seed", "status", "status_iteration"),
    "datasets": ("settings", "state_dim", "action_dim"),
}

#: The coordinates of runs and datasets.
COORDINATES = {
    "iteration": Variable(("iteration",), "iteration; 0 is the initial gain"),
    "seed": Variable(("seed",), "seed of the run's random numbers"),
    "learning_rate": Variable(("learning_rate",), "learning rate alpha of the outer loop"),
    "adaptation_rate": Variable(("adaptation_rate",), "adaptation rate eta"),
    "perturbations": Variable(("perturbations",), "perturbed policies per task (outer M)"),
    "inner_perturbations": Variable(("inner_perturbations",), "perturbations of each perturbed policy (inner M)"),
    "smoothing_radius": Variable(("smoothing_radius",), "smoothing radius r"),
    "rollout_length": Variable(("rollout_length",), "length of a roll-out", "steps"),
    "iterations": Variable(("iterations",), "largest number of iterations N"),
    "tolerance": Variable(("tolerance",), "norm of the estimated meta-gradient at which training stops"),
    "task_batch": Variable(("task_batch",), "tasks drawn at every iteration"),
}
