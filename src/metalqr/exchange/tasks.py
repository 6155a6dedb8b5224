"""Tasks whose rollouts are made elsewhere: costs that were told answer the estimates, one round after the other."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.exchange.errors import ExchangeError
from metalqr.simulation.user import SimulatedTasks

Array = NDArray[np.float64]


class Request(NamedTuple):
    """Rollouts to make, one for each of n gains."""

    #: A whole number below 2^53, which tells these rollouts from all others.
    identifier: int
    gains: Array  # (n, k, d)
    tasks: NDArray[np.int64]  # (n,)
    seeds: NDArray[np.int64]  # (n,)
    length: int


class Answer(NamedTuple):
    """Costs of the rollouts of a request, (n,), infinite where there is no finite one."""

    identifier: int
    costs: Array


class UnansweredError(Exception):
    """The costs of a request are not known yet."""

    def __init__(self, request: Request) -> None:
        super().__init__(f"the costs of request {request.identifier} are not told yet")
        self.request = request


class AskedTasks(SimulatedTasks):
    """Tasks that are known by the costs that were told.

    An iteration asks for rollouts in one round, or in several where later gains depend on earlier costs. It is repeated
    from its beginning with the answers so far; the first round without one raises an :class:`UnansweredError`.

    Parameters
    ----------
    run : str
        What the rollouts belong to beside their gains and seeds: those of other runs have other identifiers.
    answers : sequence of Answer
        Those of the present iteration, in the order of its rounds.
    count, state_dim, action_dim : int
    p : array, shape (I,), optional
        Probabilities of the tasks; by default all the same.
    unstable_cost : float, optional
        As in :class:`metalqr.simulation.user.SimulatedTasks`.
    """

    def __init__(
        self,
        run: str,
        answers: Sequence[Answer],
        *,
        count: int,
        state_dim: int,
        action_dim: int,
        p: ArrayLike | None = None,
        unstable_cost: float | None = None,
    ) -> None:
        super().__init__(
            None,
            [{} for _ in range(count)],
            state_dim=state_dim,
            action_dim=action_dim,
            unstable_cost=unstable_cost,
            evaluation_rollouts=0,
        )
        if p is not None:
            self.p = np.asarray(p, dtype=np.float64)
        self._run, self._answers, self._round = run, answers, 0

    def try_out(self, K: ArrayLike) -> None:
        """Do nothing: there is no program to try."""

    def costs_of_all(
        self, tasks: NDArray[np.int64], gains: Array, length: int, seeds: NDArray[np.int64], **options: Any
    ) -> Array:
        """The costs of the next round, of the shape of the seeds.

        Raises
        ------
        UnansweredError
            If they are not told yet.
        ExchangeError
            If the costs that were told for this round are those of other gains.
        """
        request = self._request(np.repeat(tasks, seeds.shape[1]), gains, length, seeds.ravel())
        if self._round == len(self._answers):
            raise UnansweredError(request)
        answer = self._answers[self._round]
        self._round += 1
        if answer.identifier != request.identifier:
            raise ExchangeError(
                f"the costs told in round {self._round} are those of request {answer.identifier}, but the gains are "
                f"now those of request {request.identifier}, because metalqr, its libraries or the machine are others "
                "than before; go on with those"
            )
        return answer.costs.reshape(seeds.shape)

    def _request(self, tasks: NDArray[np.int64], gains: Array, length: int, seeds: NDArray[np.int64]) -> Request:
        each = gains.reshape(-1, self.action_dim, self.state_dim)
        digest = hashlib.sha256(f"{self._run} {self._round} {length} {each.shape}".encode())
        for array in (each, tasks, seeds):
            digest.update(np.ascontiguousarray(array).tobytes())
        return Request(int.from_bytes(digest.digest()[:8], "little") >> 11, each, tasks, seeds, length)
