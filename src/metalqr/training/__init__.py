"""Training: one loop for every method, and one file for each method."""

from typing import TYPE_CHECKING

from metalqr.common.lazy import lazy_names

if TYPE_CHECKING:
    from metalqr.estimators.estimator import Direction
    from metalqr.results.runs import Status
    from metalqr.training.history import History
    from metalqr.training.loop import train
    from metalqr.training.method import Method, Problem, State, Work
    from metalqr.training.observers import Observer
    from metalqr.training.progress import Progress
    from metalqr.training.updates.update_rule import UpdateRule

__all__ = [
    "Direction",
    "History",
    "Method",
    "Observer",
    "Problem",
    "Progress",
    "State",
    "Status",
    "UpdateRule",
    "Work",
    "train",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Direction": "metalqr.estimators.estimator",
        **dict.fromkeys(("Method", "Problem", "State", "Work"), "metalqr.training.method"),
        "History": "metalqr.training.history",
        "Status": "metalqr.results.runs",
        "Observer": "metalqr.training.observers",
        "Progress": "metalqr.training.progress",
        "UpdateRule": "metalqr.training.updates.update_rule",
        "train": "metalqr.training.loop",
    },
)
