"""Evaluations of the form of the stage, of numbers made by hand: gaps that fall with known rates."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from systems import Array, similar_tasks

from metalqr.config.evaluation import EXACT, estimate_settings
from metalqr.evaluation.adaptation import measures
from metalqr.evaluation.adaptation.assessment import with_optima
from metalqr.evaluation.adaptation.dataset import Start, Started, evaluation_dataset, joined
from metalqr.evaluation.adaptation.protocol import Assessment, Protocol

TASKS, REPEATS, STEPS, OWN = 10, 2, 3, 0.1
ESTIMATE = estimate_settings({"rollout_length": 5}, {"estimator": "two_point", "perturbations": 2})
PROTOCOL = Protocol({EXACT: None, "pairs": ESTIMATE}, (0.01, 0.1), STEPS, REPEATS, 0)
UNSEEN = with_optima(similar_tasks(4, count=TASKS, state_dim=2, action_dim=1), np.zeros((1, 2)))


def gaps(first: float, rate: float, runs: int, unstable: int = 0) -> Array:
    """Gaps (S, E, 2, R, I, s + 1): task i has (1 + i/10) times the first; the estimate falls half as fast.

    So many tasks, the last ones, are unstable from the first estimated step on.
    """
    shape = (runs, 2, 2, REPEATS, TASKS, STEPS + 1)
    falls = np.array([rate, 0.5 * (1 + rate)])[:, np.newaxis] ** np.arange(STEPS + 1)
    of_task = first * (1 + np.arange(TASKS) / 10)
    of_run = 1 + np.arange(runs) / 100
    found = (
        of_run[:, None, None, None, None, None]
        * of_task[None, None, None, None, :, None]
        * falls[None, :, None, None, None, :]
    )
    found = np.broadcast_to(found, shape).copy()
    if unstable:
        found[:, 1, :, :, -unstable:, 1:] = np.inf
    return found


def part(
    kinds: Sequence[Start] = (Start.TRAINED,),
    firsts: Sequence[float] = (0.2,),
    rates: Sequence[float] = (0.5,),
    seeds: Sequence[int] = (3, 4),
    unstable: int = 0,
    tasks: str = "one",
    own: float = OWN,
    remark: str = "",
) -> xr.Dataset:
    """Starting gains of one file; the objective of the place n is 1 + n, less seed/100."""
    relative = [gaps(first, rate, len(seeds), unstable) for first, rate in zip(firsts, rates, strict=True)]
    excess = np.concatenate(relative) * UNSEEN.optimal_cost[:, np.newaxis]
    sizes = np.broadcast_to([own, 0.01], (len(excess), 2, 2))
    scores = np.broadcast_to([0.5, 0.6], (len(excess), 2, 2))
    shape = len(kinds), len(seeds)
    objective = 1.0 + np.arange(len(kinds))[:, np.newaxis] - np.array(seeds) / 100
    steps = np.full(shape, 0 if kinds[0] is not Start.TRAINED else 1000)
    started = Started(kinds, tasks, own, seeds, steps, objective, objective + 1)
    found = Assessment(excess, measures.regret(excess), sizes, scores)
    return evaluation_dataset(started, found, UNSEEN, PROTOCOL, {"steps": STEPS}, case=tasks, remark=remark)


def whole(unstable: int = 2, experiment: str = "mine", case: str = "one") -> xr.Dataset:
    """Two trained configurations and all comparators but certainty equivalence."""
    trained = {"fast": part(firsts=(0.3,), rates=(0.2,)), "slow": part(rates=(0.9,), unstable=unstable)}
    kinds = (Start.INITIAL_GAIN, Start.BEST_SINGLE_GAIN, Start.META_OPTIMUM)
    others = part(kinds, (2.0, 0.1, 0.25), (0.3, 0.8, 0.3), seeds=(0,), remark="a remark")
    return joined(trained, [others], experiment=experiment, case=case)
