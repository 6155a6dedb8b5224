"""The tables of an exchange: gains that are asked for, and costs that are told."""

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metalqr.common import atomic
from metalqr.config.problems import short_repr
from metalqr.exchange.errors import ExchangeError
from metalqr.exchange.tasks import Request

#: The columns of the costs; those of the gains begin with the first two.
REQUEST, ROW, COST = "request", "row", "cost"
_BEFORE_GAINS = (REQUEST, ROW, "task", "seed", "length")
#: In place of a cost, beside the words for infinite numbers.
UNSTABLE = "unstable"
_WHOLE_BELOW = 2**53
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|infinity|nan)|unstable", re.IGNORECASE)


class Told(NamedTuple):
    """A line of a table of costs."""

    line: int
    request: int
    row: int
    cost: float


def write_gains(path: Path, request: Request) -> None:
    """Write the table of gains, in place of an earlier one.

    Raises
    ------
    ExchangeError
        If there is another file in its place, or it cannot be written.
    """
    count, action_dim, state_dim = request.gains.shape
    entries = [f"K_{row}_{column}" for row in range(1, action_dim + 1) for column in range(1, state_dim + 1)]
    lines = [",".join([*_BEFORE_GAINS, *entries])]
    for row in range(count):
        whole = (request.identifier, row, request.tasks[row], request.seeds[row], request.length)
        numbers = [f"{value:.17g}" for value in request.gains[row].ravel()]
        lines.append(",".join([*map(str, whole), *numbers]))
    try:
        atomic.discard_leftovers(path)
        if path.exists() and not path.read_bytes().startswith(f"{REQUEST},{ROW},".encode()):
            raise ExchangeError(f"{path}: it is there already and is no table of gains; give another --output")
        atomic.write(path, ("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise ExchangeError(f"{path}: it cannot be written ({error.strerror}); give another --output") from error


def read_costs(path: Path) -> list[Told]:
    """Read a table of costs, in any order of its rows and columns; further columns are left alone.

    Raises
    ------
    ExchangeError
        If it cannot be read, lacks a column, or holds something else than a number where there must be one.
    """
    lines = list(csv.reader(io.StringIO(_text(path)), skipinitialspace=True))
    header = [cell.strip() for cell in lines[0]] if lines else []
    if not any(header):
        raise ExchangeError(f"{path}: it is empty; write the columns {REQUEST}, {ROW} and {COST}, with these names")
    for name in (REQUEST, ROW, COST):
        if header.count(name) != 1:
            how = "is there twice" if name in header else "is missing"
            named = short_repr(", ".join(header))
            raise ExchangeError(
                f"{path}: line 1: the column {name} {how} among {named}; write {REQUEST},{ROW},{COST} with commas"
            )
    places = [header.index(name) for name in (REQUEST, ROW, COST)]
    found = []
    for number, cells in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise ExchangeError(
                f"{path}: line {number}: {len(cells)} cells, but line 1 names {len(header)} columns; write one for "
                "each, and numbers with a decimal point"
            )
        request, row, cost = (cells[place].strip() for place in places)
        whole = [_whole(path, number, name, cell) for name, cell in ((REQUEST, request), (ROW, row))]
        if not _NUMBER.fullmatch(cost):
            raise ExchangeError(
                f"{path}: line {number}, row {whole[1]}: {COST} {short_repr(cost)} is not a number; write the cost, or "
                f"{UNSTABLE} where the rollout has none"
            )
        found.append(Told(number, whole[0], whole[1], np.inf if cost.lower() == UNSTABLE else float(cost)))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ExchangeError(f"{path}: there is no such file; write the costs into it") from None
    except OSError as error:
        raise ExchangeError(f"{path}: it cannot be read ({error.strerror}); give the table of costs") from None
    except UnicodeDecodeError:
        raise ExchangeError(f"{path}: it is no text; give the table of costs, a .csv file") from None


def _whole(path: Path, line: int, name: str, cell: str) -> int:
    try:
        number = float(cell)
    except ValueError:
        number = -1.0
    if "_" in cell or not number.is_integer() or not 0 <= number < _WHOLE_BELOW:
        raise ExchangeError(
            f"{path}: line {line}: {name} {short_repr(cell)} is not a whole number; copy it from the gains"
        )
    return int(number)
