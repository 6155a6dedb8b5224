"""Timing several contestants on the same work so that a passing disturbance cannot favour one of them."""

import math
import time
from collections.abc import Mapping, Sequence

from benchmarks.contestants import Contestant
from benchmarks.work import Work

#: A measurement repeats short work until it lasts this long.
LEAST_SECONDS = 0.15


def iteration_seconds(work: Work, contestants: Mapping[str, Contestant], rounds: int) -> dict[str, float]:
    """Seconds of the work for each contestant: the shortest of several measurements, which take turns.

    Everything else on the machine only adds time. Compilation and first touches are left out. Where a contestant's
    timed part is smaller than the work, its time is scaled by the number of steps.
    """
    parts = {key: work._replace(settings=each.timed_part(work.settings)) for key, each in contestants.items()}
    calls = {}
    for key, each in contestants.items():
        _seconds(each, parts[key], range(1))
        calls[key] = max(1, math.ceil(LEAST_SECONDS / _seconds(each, parts[key], range(1, 2))))
    best = dict.fromkeys(contestants, math.inf)
    for turn in range(rounds):
        for key, each in contestants.items():
            seeds = range(turn * calls[key], (turn + 1) * calls[key])
            best[key] = min(best[key], _seconds(each, parts[key], seeds) / len(seeds))
    return {key: seconds * work.steps / parts[key].steps for key, seconds in best.items()}


def _seconds(contestant: Contestant, work: Work, seeds: Sequence[int]) -> float:
    start = time.perf_counter()
    for seed in seeds:
        contestant.estimate(work.tasks, work.gain, work.settings, seed)
    return time.perf_counter() - start
