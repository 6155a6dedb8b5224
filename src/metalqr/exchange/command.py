"""The commands ``metalqr ask`` and ``metalqr tell``."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metalqr.config.plan import Plan
from metalqr.exchange.errors import ExchangeError
from metalqr.exchange.exchange import advanced, after, begun, identity
from metalqr.exchange.matching import costs_of_request, is_told_already
from metalqr.exchange.state import ExchangeState, load_state, save_state
from metalqr.exchange.tables import read_costs, write_gains

_log = logging.getLogger(__name__)


class Begin(NamedTuple):
    """The run that a call names; None is what it does not name."""

    plan: Plan
    case: str | None
    seed: int | None


def asked(path: Path, begin: Begin | None, output: Path) -> tuple[list[str], bool]:
    """Write the gains that the run of a state file needs next; what to print, and whether the run has ended.

    The file is made where there is none.

    Raises
    ------
    ExchangeError
        If there is no state file and nothing says what to begin, or it is of another run; or as its other functions.
    """
    is_new = not path.exists()
    before = _begun(path, begin) if is_new else load_state(path)
    if not is_new and begin is not None:
        _require_same_run(path, before, begin)
    state, request = advanced(before)
    if is_new or state is not before:
        save_state(path, state)
    if request is None:
        return list(_trained(path, state)), True
    write_gains(output, request)
    rollouts = f"{len(request.gains)} rollouts" if len(request.gains) > 1 else "1 rollout"
    return [
        f"{output}: {rollouts} to make, {request.length} steps long, for {_next_round(state)}.",
        f"Then write the columns request, row and cost, and run: metalqr tell {path} costs.csv",
    ], False


def told(path: Path, costs_path: Path) -> list[str]:
    """Take the costs of the gains that the run of a state file waits for; what to print.

    Raises
    ------
    ExchangeError
        If the costs are not those of all gains that were asked for; or the run has ended.
    """
    state, lines = load_state(path), read_costs(costs_path)
    if is_told_already(costs_path, lines, state.last):
        return [f"{costs_path}: these costs are told already; nothing is changed.", *_what_next(path, state)]
    state, request = advanced(state)
    if request is None:
        raise ExchangeError(f"{path}: its run has ended and waits for no costs; metalqr ask {path} prints its gain")
    costs = costs_of_request(costs_path, lines, request.identifier, len(request.gains))
    state = after(state, request, costs)
    save_state(path, state)
    lost = int(np.isinf(costs).sum())
    without = f", {lost} of them of rollouts without a finite one" if lost else ""
    return [f"{costs_path}: {len(costs)} costs told{without}.", *_what_next(path, state)]


def _begun(path: Path, begin: Begin | None) -> ExchangeState:
    how = f"begin a run with metalqr ask {path} CONFIG --case NAME"
    if begin is None:
        raise ExchangeError(f"{path}: there is no such file; {how}")
    if begin.case is None:
        raise ExchangeError(f"--case: missing; {how}")
    if begin.seed is not None and begin.seed < 0:
        raise ExchangeError(f"--seed: {begin.seed} is not >= 0; choose another")
    state = begun(begin.plan, begin.case, begin.seed or 0)
    if state.run.tasks.get("unstable_cost", 0.0) is None:
        _log.warning(
            "a rollout without a finite cost will end the run as diverged; cases.%s.simulator.unstable_cost gives it a "
            "cost instead",
            begin.case,
        )
    return state


def _require_same_run(path: Path, state: ExchangeState, begin: Begin) -> None:
    go_on = f"give another state file, or go on with metalqr ask {path}"
    if begin.case is None:
        raise ExchangeError(f"--case: missing, and {path} is there already; {go_on}")
    run, (wanted, _) = state.run, identity(begin.plan, begin.case, begin.seed or 0)
    for name in ("case", "seed", "settings", "origin"):
        has, asks = getattr(run, name), getattr(wanted, name)
        if has != asks:
            what = f"{name} {has}, not {asks}" if name in ("case", "seed") else f"other {_WORDS[name]}"
            raise ExchangeError(f"{path}: it is of a run with {what}; {go_on}")


_WORDS = {"settings": "settings of the algorithm", "origin": "tasks, initial gain or plug-ins"}


def _next_round(state: ExchangeState) -> str:
    place = f"iteration {state.history.status_iteration} of {state.run.settings.iterations}"
    return f"{place}, round {len(state.answers) + 1}" if state.answers else place


def _what_next(path: Path, state: ExchangeState) -> list[str]:
    return list(_trained(path, state)) if state.has_ended else [f"Next is {_next_round(state)}: metalqr ask {path}"]


def _trained(path: Path, state: ExchangeState) -> Iterator[str]:
    history = state.history
    yield f"The run has ended: {history.status} at iteration {history.status_iteration}. Its gain, u = -K x:"
    with np.printoptions(floatmode="unique", threshold=200):
        yield str(history.K[-1])
    more = "; K_average is the mean of the last gains" if history.K_average is not None else ""
    yield f"It is the last entry of K in {path}, which has those of all iterations{more}."
