"""The benefit of meta-learning for families of tasks that differ more and less, in several draws of training tasks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metalqr.config.benefit import Difference
from metalqr.evaluation.adaptation.unseen import require_disjoint
from metalqr.evaluation.heterogeneity import MATRICES, bisimulation_distance, gradient_distance, matrix_distances
from metalqr.evaluation.meta_benefit import STARTS, STEPS, MetaBenefit, NoRelativeGapError, meta_benefit
from metalqr.lqr import LQRTasks
from metalqr.lqr.existence import NotStabilisableError
from metalqr.optimal import DescentError, NoCommonStabilisingGainError
from metalqr.optimal.riccati import RiccatiError
from metalqr.systems.addresses import Pool
from metalqr.systems.family import Family, FamilyError
from metalqr.systems.further import Drawn, further_tasks

#: What a draw may be without; it is then recorded with the reason.
FAILURES = (
    FamilyError,
    NotStabilisableError,
    NoCommonStabilisingGainError,
    DescentError,
    RiccatiError,
    NoRelativeGapError,
)


@dataclass(frozen=True)
class Comparison:
    """What is compared: the levels of heterogeneity, the draws of training tasks and the adaptation rates.

    Attributes
    ----------
    differences : sequence of str
        What differs between tasks, of :attr:`metalqr.systems.family.Family.differences`.
    heterogeneity : sequence of float
        Factors of the differences, see :meth:`metalqr.systems.family.Family.varied`.
    draws : int
        Draws of as many training tasks as the family has. The first are those of the case, the others the next
        training tasks of the same family, so that all draws have the common part of the family and the unseen tasks.
    unseen_tasks : int
        Number of unseen tasks.
    adaptation_rates : sequence of float
        Shares of the largest adaptation rate of a draw, see :func:`metalqr.evaluation.meta_benefit.largest_rate`.
    """

    differences: Sequence[Difference]
    heterogeneity: Sequence[float]
    draws: int
    unseen_tasks: int
    adaptation_rates: Sequence[float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of differences, factors and draws."""
        return len(self.differences), len(self.heterogeneity), self.draws


def compare(
    family: Family, state_dim: int, action_dim: int, seed: int, comparison: Comparison
) -> dict[str, NDArray[Any]]:
    """Compare one step from the best single gain with one from the optimum of L, at every level and in every draw.

    Parameters
    ----------
    family : Family
    state_dim, action_dim : int
    seed : int
        Seed of the tasks of the case.
    comparison : Comparison

    Returns
    -------
    dict
        The variables of :data:`metalqr.evaluation.benefit.dataset.META_BENEFIT`. A draw without a result, or a rate of
        it, has NaN everywhere and the reason in ``failure``.

    Raises
    ------
    metalqr.evaluation.adaptation.unseen.SharedTaskError
        If an unseen task is one of training: where the family makes all tasks the same.
    """
    found: list[dict[str, Any]] = []
    for difference in comparison.differences:
        for factor in comparison.heterogeneity:
            varied = family.varied(factor, difference)
            found += _draws(varied, state_dim, action_dim, seed, comparison)
    return {
        name: np.array([each[name] for each in found]).reshape(*comparison.shape, *np.shape(found[0][name]))
        for name in found[0]
    }


def _draws(family: Family, d: int, k: int, seed: int, comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The variables of every draw of one level."""
    rates, count = comparison.adaptation_rates, family.count
    unseen: Drawn | None = None
    for draw in range(comparison.draws):
        values = _nothing(d, k, count, comparison)
        try:
            if unseen is None:
                unseen = further_tasks(family, d, k, seed, Pool.TEST, comparison.unseen_tasks)
            training = further_tasks(family, d, k, seed, Pool.TRAINING, count, draw * count)
            values["redrawn"], values["unseen_redrawn"] = training.redrawn, unseen.redrawn
            require_disjoint({"training": training.tasks, "test": unseen.tasks})
            values["matrix_distance"] = list(matrix_distances(training.tasks).values())
            benefit = meta_benefit(training.tasks, unseen.tasks, rates)
            values |= _results(training.tasks, benefit)
        except FAILURES as error:
            values["failure"] = [" ".join(str(error).split())] * len(rates)
        yield values


def _nothing(d: int, k: int, count: int, comparison: Comparison) -> dict[str, Any]:
    """The variables of a draw without a result."""
    rates = len(comparison.adaptation_rates)
    gaps = rates, len(STARTS), len(STEPS)
    shapes: Mapping[str, tuple[int, ...]] = {
        "training_gap": (*gaps, count),
        "unseen_gap": (*gaps, comparison.unseen_tasks),
        "largest_rate": (),
        "objective": (rates,),
        "K_meta": (rates, k, d),
        "K_shared": (k, d),
        "matrix_distance": (len(MATRICES),),
        "gradient_distance": (),
        "bisimulation_distance": (),
    }
    counts = {"restarts": [0] * rates, "better_seen": [0] * rates, "redrawn": 0, "unseen_redrawn": 0}
    return {**{name: np.full(shape, np.nan) for name, shape in shapes.items()}, **counts, "failure": [""] * rates}


def _results(training: LQRTasks, benefit: MetaBenefit) -> dict[str, Any]:
    meta = benefit.meta
    return {
        "training_gap": benefit.training,
        "unseen_gap": benefit.unseen,
        "largest_rate": benefit.largest_rate,
        "objective": meta.objective,
        "K_meta": meta.K,
        "K_shared": benefit.shared,
        "gradient_distance": gradient_distance(training, benefit.shared),
        "bisimulation_distance": bisimulation_distance(training, benefit.shared),
        "restarts": meta.restarts,
        "better_seen": meta.better_seen.astype(np.int64),
        "failure": list(meta.failures),
    }
