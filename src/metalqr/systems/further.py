"""Further tasks of a family, which are never those of the case: for validation, for tests, for resampling."""

import hashlib
from typing import NamedTuple

from metalqr.common.validation import whole_number
from metalqr.lqr import LQRTasks
from metalqr.systems.addresses import Pool, addresses
from metalqr.systems.family import Family


class Drawn(NamedTuple):
    """Tasks that were drawn, and the number of draws that had no stabilising gain, each of which was drawn again."""

    tasks: LQRTasks
    redrawn: int


def further_tasks(
    family: Family, state_dim: int, action_dim: int, seed: int, pool: Pool, count: int, first: int = 0
) -> Drawn:
    """Draw tasks of a family from one of the pools, which have no task in common.

    A task that no gain stabilises is drawn again, from the next address of its place. So each task depends on its
    place alone, and not on how many are drawn together. The first gain of the case need not stabilise these tasks.

    Tasks of two pools differ where the family makes any two tasks differ: with ``heterogeneity: 0`` or
    ``perturbed_share: 0`` all are the same, which :func:`digest` shows.

    Parameters
    ----------
    family : Family
    state_dim, action_dim : int
    seed : int
        Seed of the tasks of the case.
    pool : Pool
        With ``TRAINING`` and 0 redraws, the tasks of the case and those that a larger ``count`` adds to it.
    count : int
        Number of tasks.
    first : int
        Place of the first one in the pool.

    Returns
    -------
    Drawn
        The tasks, with a uniform p.

    Raises
    ------
    FamilyError
        If the family cannot draw further tasks, or finds none with a stabilising gain.
    """
    places = range(whole_number("first", first, 0), first + whole_number("count", count))
    found = family.draw_stabilisable(state_dim, action_dim, seed, addresses(pool, places))
    return Drawn(found.tasks, int(found.redraws.sum()))


def digest(tasks: LQRTasks) -> list[str]:
    """Digest of each task, of everything but its probability: two tasks with the same one are the same task."""
    names = [name for name in vars(tasks) if name not in ("noise", "p")]
    # The sum makes a zero of a negative zero.
    return [
        hashlib.sha256(
            tasks.noise.encode() + b"".join((getattr(tasks, name)[task] + 0.0).tobytes() for name in names)
        ).hexdigest()
        for task in range(tasks.count)
    ]
