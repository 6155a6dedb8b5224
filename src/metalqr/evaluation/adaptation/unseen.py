"""Unseen tasks: where they come from, and that no task of one set is in another."""

import itertools
from collections.abc import Mapping

from metalqr.lqr import LQRTasks
from metalqr.systems.further import digest


class SharedTaskError(ValueError):
    """Two sets of tasks that must be disjoint have a task in common."""


def require_disjoint(sets: Mapping[str, LQRTasks]) -> None:
    """Refuse sets of tasks, by name, of which two have a task in common.

    Raises
    ------
    SharedTaskError
        With the sets and the number of the task in each.
    """
    digests = {name: digest(tasks) for name, tasks in sets.items()}
    for (one, mine), (other, others) in itertools.combinations(digests.items(), 2):
        for place, found in enumerate(mine):
            if found in others:
                raise SharedTaskError(
                    f"task {others.index(found)} of the {other} tasks is task {place} of the {one} tasks, so it is not "
                    "unseen; choose other tasks in evaluation.tasks or evaluation.validation_tasks, or a family whose "
                    "tasks differ"
                )
