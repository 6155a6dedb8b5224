"""Addresses of the random numbers of an evaluation."""

import enum

from metalqr.common.validation import whole_number
from metalqr.config.settings import MAX_SEED
from metalqr.simulation.streams import Stream

#: Room of a seed of a config: 32 of the 56 bits of a stream's seed.
_SEEDS = MAX_SEED + 1


class Part(enum.IntEnum):
    """Part of an evaluation; no two share a number."""

    VALIDATION = 0
    """Adaptation to validation tasks, by which a step size is chosen."""
    TEST = 1
    """Adaptation to the tasks whose results are reported."""
    IDENTIFICATION = 2
    """Rollouts from which certainty equivalence identifies the tasks."""


#: Numbers of parts of a repetition, some of them free.
_PARTS = 4
#: Repetitions for which the upper 24 bits of a stream's seed have room, less the zero of training.
MAX_REPEATS = 2**24 // _PARTS - 1


def noise(seed: int, repeat: int, part: Part) -> Stream:
    r"""Stream of a repetition, at adaptation step 0; ``.at(step)`` is that of another step.

    Its seed is :math:`\text{seed} + 2^{32} (1 + 4\,\text{repeat} + \text{part})`. The seeds of a config are below
    :math:`2^{32}`, so no training or tuning run, whose stream has a config's seed itself, has the same key, and two
    different (seed, repeat, part) have different ones. The starting gain is not in the address: all of them see the
    same perturbations, initial states and noise. Nor is the estimator, of which each has a result of its own.

    Raises
    ------
    ValueError
        If ``seed`` or ``repeat`` is out of range.
    """
    whole_number("seed", seed, 0, MAX_SEED)
    whole_number("repeat", repeat, 0, MAX_REPEATS - 1)
    return Stream(seed + _SEEDS * (1 + _PARTS * repeat + part))
