"""The history of a training run, and the recorder that fills it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.results.files import dataset_of
from metalqr.results.runs import ENDED, RUNS, Status
from metalqr.training.method import State


@dataclass(frozen=True, eq=False)
class History:
    r"""A training run, one entry for each of the n + 1 gains it reached; iteration 0 is :math:`K_0`.

    Attributes
    ----------
    K : ndarray, shape (n + 1, k, d) or (n + 1, I, k, d)
        The gains :math:`K_0, \ldots, K_n`; one for each task where the method has one for each.
    cost : ndarray, shape (n + 1, I)
        The exact costs :math:`J_i(K_n)`; infinite where :math:`K_n` does not stabilise task i.
    gradient_norm : ndarray, shape (n + 1,)
        Frobenius norm of the direction followed at :math:`K_n`, in Algorithm 3 :math:`\|\tilde\nabla L(K_n)\|_F`;
        infinite where rollouts overflowed, and not a number at the last gain if no step was made there.
    rollout_steps : ndarray of int, shape (n + 1,)
        Simulated steps spent to reach :math:`K_n`; those of a step that led to no further gain are not among them.
    unstable_perturbations : ndarray of int, shape (n + 1,)
        Number of perturbed policies tried at :math:`K_n` that did not stabilise their task; 0 at the last gain if no
        step was made there. Their cost over a finite rollout is finite, so a method uses it.
    status : Status
    status_iteration : int
        The last iteration reached, n.
    memory : mapping of str to array
        State of the method and the update rule beside the gain, to resume from.
    K_average : ndarray, shape (k, d) or (I, k, d), optional
        Mean of the last share ``average_last`` of the gains, once the run has ended: see
        :func:`metalqr.training.averaging.with_average`. None where that setting is 0.
    cost_average : ndarray, shape (I,), optional
        Its exact costs; infinite where it does not stabilise task i.
    redrawn_tasks : int, optional
        Draws of tasks without a stabilising gain, each of which was drawn again, in all iterations. None where the
        tasks are the same in every iteration.
    cost_error : ndarray, shape (n + 1, I), optional
        Standard errors of the costs, where these are measured by rollouts of a simulator: the mean over those of
        :class:`metalqr.simulation.user.SimulatedTasks`. None where the costs are exact.
    """

    K: NDArray[np.float64]
    cost: NDArray[np.float64]
    gradient_norm: NDArray[np.float64]
    rollout_steps: NDArray[np.int64]
    unstable_perturbations: NDArray[np.int64]
    status: Status
    status_iteration: int
    memory: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    K_average: NDArray[np.float64] | None = None
    cost_average: NDArray[np.float64] | None = None
    redrawn_tasks: int | None = None
    cost_error: NDArray[np.float64] | None = None

    def to_dataset(self, settings: Mapping[str, Any], seed: int, *, case: str, perturbed_policies: int) -> xr.Dataset:
        """Return what the file of the run holds; ``perturbed_policies`` is the mean number that an iteration tries.

        A ValueError is raised if the run has not ended; :class:`metalqr.training.saved_state.SavedState` keeps such a
        run.
        """
        if self.status not in ENDED:
            raise ValueError(f"the run is {self.status} and has not ended; finish it first: pass it to train as resume")
        found = {name: getattr(self, name) for name in (*RUNS.variables, *RUNS.optional)}
        return dataset_of(
            RUNS,
            {name: array for name, array in found.items() if array is not None} | {"iteration": np.arange(len(self.K))},
            case=case,
            settings=settings,
            seed=seed,
            status=str(self.status),
            status_iteration=self.status_iteration,
            perturbed_policies=perturbed_policies,
        )


class Recorder:
    """The arrays of a run in the making, of so many entries (gains) at most and so many tasks."""

    def __init__(self, entries: int, gain_shape: tuple[int, ...], count: int, *, is_measured: bool = False) -> None:
        self._arrays: dict[str, NDArray[Any]] = {
            "K": np.empty((entries, *gain_shape)),
            "cost": np.empty((entries, count)),
            "gradient_norm": np.full(entries, np.nan),
            "rollout_steps": np.zeros(entries, dtype=np.int64),
            "unstable_perturbations": np.zeros(entries, dtype=np.int64),
        }
        if is_measured:
            self._arrays["cost_error"] = np.empty((entries, count))
        self._entries = entries
        self.state: State
        self.iteration = 0

    def reach(self, iteration: int, state: State) -> None:
        """Note a gain."""
        self.iteration, self.state = iteration, state
        self._arrays["K"][iteration] = state.K

    def evaluate(self, iteration: int, cost: NDArray[np.float64], error: NDArray[np.float64] | None = None) -> None:
        """Note the costs of a gain, with their standard errors where they are measured."""
        self._arrays["cost"][iteration] = cost
        if error is not None:
            self._arrays["cost_error"][iteration] = error

    def end_at(self, iteration: int, state: State) -> None:
        """Forget what followed a gain: the step from there, and all later ones."""
        self.iteration, self.state = iteration, state
        self._arrays["gradient_norm"][iteration] = np.nan
        self._arrays["unstable_perturbations"][iteration] = 0

    def leave(self, after: State) -> None:
        """Note the results of the step from the last gain."""
        self._arrays["gradient_norm"][self.iteration] = after.gradient_norm
        self._arrays["unstable_perturbations"][self.iteration] = after.unstable_perturbations
        if self.iteration + 1 < self._entries:
            steps = self._arrays["rollout_steps"]
            steps[self.iteration + 1] = steps[self.iteration] + after.rollout_steps

    def history(self, status: Status) -> History:
        """The run up to the last gain."""
        reached = slice(0, self.iteration + 1)
        arrays: dict[str, Any] = {name: array[reached].copy() for name, array in self._arrays.items()}
        return History(**arrays, status=status, status_iteration=self.iteration, memory=self.state.memory)

    def resume(self, history: History) -> State:
        """Copy an interrupted run, which is the beginning of this one; refuse one that cannot be."""
        if history.status is not Status.INTERRUPTED:
            raise ValueError(f"resume: the run is {history.status}; only an interrupted run can be resumed")
        count = history.status_iteration + 1
        if count > self._entries:
            raise ValueError(
                f"resume: the run has reached iteration {count - 1}, but iterations is {self._entries - 1}"
            )
        for name, array in self._arrays.items():
            found, wanted = getattr(history, name), (count, *array.shape[1:])
            if np.shape(found) != wanted:
                raise ValueError(f"resume: {name} has the shape {np.shape(found)}, not {wanted}")
            array[:count] = found
        self.iteration = history.status_iteration
        return State(history.K[-1], history.memory)
