"""Gains of a run whose costs are not known yet: they are computed together, for a few iterations at a time."""

from collections.abc import Sequence

import numpy as np

from metalqr.results.runs import Status
from metalqr.training.costs import AnyTasks, costs_of
from metalqr.training.history import History, Recorder
from metalqr.training.method import State
from metalqr.training.observers import Observer


class Waiting:
    """The gains that a run has reached since its last costs were computed.

    The record ends as if every cost had been computed at once: at the first gain that does not stabilise every task.
    """

    def __init__(self, recorder: Recorder, tasks: AnyTasks, observers: Sequence[Observer]) -> None:
        self._recorder, self._tasks, self._observers = recorder, tasks, observers
        self._states: list[State] = []
        self._first = 0
        #: True once a cost has been found infinite.
        self.has_diverged = False

    def __len__(self) -> int:
        return len(self._states)

    def reach(self, iteration: int, state: State) -> None:
        """Add a gain."""
        if not self._states:
            self._first = iteration
        self._states.append(state)
        self._recorder.reach(iteration, state)

    def diverged(self) -> bool:
        """Compute the costs, and tell the observers; true if one is infinite, and then the record ends there."""
        if self._states:
            states, self._states = self._states, []
            found = costs_of(self._tasks, np.stack([state.K for state in states]))
            for offset, state in enumerate(states):
                iteration, cost = self._first + offset, found.cost[offset]
                self._recorder.evaluate(iteration, cost, None if found.error is None else found.error[offset])
                for observer in self._observers:
                    observer.reached(iteration, state.K, cost)
                if found.ended(offset):
                    self._recorder.end_at(iteration, state)
                    self.has_diverged = True
                    break
        return self.has_diverged

    def snapshot(self) -> History:
        """The run so far, to resume from, unless it has diverged already."""
        return self._recorder.history(Status.DIVERGED if self.diverged() else Status.INTERRUPTED)
