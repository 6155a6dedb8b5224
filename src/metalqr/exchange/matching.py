"""Costs that are told, compared with the gains that were asked for: no row missing, too many, repeated or foreign."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metalqr.exchange.errors import ExchangeError
from metalqr.exchange.tables import Told
from metalqr.exchange.tasks import Answer


def costs_of_request(path: Path, lines: Sequence[Told], identifier: int, count: int) -> NDArray[np.float64]:
    """The costs of the rows of a request, in their order, infinite where there is no finite one.

    Raises
    ------
    ExchangeError
        If a line belongs to another request, or a row is missing, unknown or repeated.
    """
    costs, seen = np.full(count, np.nan), dict[int, int]()
    for line, request, row, cost in lines:
        place = f"{path}: line {line}, row {row}"
        if request != identifier:
            raise ExchangeError(
                f"{place}: it is of request {request}, but the state waits for the costs of request {identifier}; take "
                "the gains that metalqr ask writes now"
            )
        if row >= count:
            raise ExchangeError(f"{place}: there is no such row, the gains have rows 0 to {count - 1}; remove it")
        if row in seen:
            raise ExchangeError(f"{place}: the row is there twice, first in line {seen[row]}; keep one of them")
        seen[row], costs[row] = line, cost if np.isfinite(cost) else np.inf
    if missing := [row for row in range(count) if row not in seen]:
        rows = f"row {missing[0]} is" if len(missing) == 1 else f"row {missing[0]} and {len(missing) - 1} more are"
        raise ExchangeError(
            f"{path}: {rows} missing, of {count}; add what is missing, with the cost unstable where a rollout has none"
        )
    return costs


def is_told_already(path: Path, lines: Sequence[Told], last: Answer | None) -> bool:
    """True if these are the costs that were told last, which is no mistake.

    Raises
    ------
    ExchangeError
        If they are of the same rollouts, with another cost.
    """
    if last is None or not lines or lines[0].request != last.identifier:
        return False
    costs = costs_of_request(path, lines, last.identifier, len(last.costs))
    other = np.flatnonzero(costs != last.costs)
    if len(other):
        row = int(other[0])
        raise ExchangeError(
            f"{path}: row {row}: the cost is {float(costs[row])!r}, but {float(last.costs[row])!r} was told for it "
            "before, and the run has gone on with that; take the gains that metalqr ask writes now"
        )
    return True
