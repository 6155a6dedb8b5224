"""A MAML-stabilising gain for all tasks at once, or a clear statement that there is none, or that none was found."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, UnstablePolicyError, common_gain, is_stabilising, spectral_radius
from metalqr.objectives.mean_cost import MeanCost
from metalqr.objectives.meta import MetaObjective, adapted_gains, is_maml_stabilising
from metalqr.optimal.newton_cg import DescentError, minimise
from metalqr.optimal.scalar import Intervals, adaptable_intervals, common_intervals, in_words, middle
from metalqr.optimal.shared import shared_gain
from metalqr.optimal.stabilising import candidate_gains, stabilising_gain

#: Accuracy and length of the descent of one round: a starting point is needed, not an optimum.
RAISING_TOLERANCE = 1e-4
RAISING_ITERATIONS = 5
RAISING_PRODUCTS = 30
MAX_RAISING_ROUNDS = 30
#: A round that raises the adaptation rate by a smaller fraction has stalled, and the consecutive rounds that may.
MIN_RAISE = 1e-2
MAX_STALLS = 2
#: Error of the ends of a scalar task's intervals, relative to the largest of them; double roots have half the digits.
ROUNDING = 1e-7


@dataclass(frozen=True, eq=False)
class Attempt:
    """A gain (k, d) that was tried, named by its origin, with the spectral radius of every task's closed loop, (I,).

    The radius after the adaptation is not a number where K does not stabilise every task.
    """

    name: str
    K: FloatArray
    radius: FloatArray
    adapted_radius: FloatArray

    @property
    def works(self) -> bool:
        """True if the gain is MAML-stabilising."""
        return bool((self.radius < 1.0).all() and (self.adapted_radius < 1.0).all())

    def __str__(self) -> str:
        before = f"{self.name}: largest spectral radius {self.radius.max():.4g}"
        return f"{before}, {self.adapted_radius.max():.4g} after the adaptation" if self.radius.max() < 1.0 else before


class NoMamlStabilisingGainError(ValueError):
    """No MAML-stabilising gain exists (d = k = 1), or none was found; the message lists what was tried.

    ``proven`` is true if none exists; then the intervals are every scalar task's own MAML-stabilising gains.
    """

    def __init__(
        self,
        message: str,
        proven: bool = False,
        attempts: Iterable[Attempt] = (),
        intervals: tuple[Intervals, ...] | None = None,
    ) -> None:
        super().__init__(message)
        self.proven, self.attempts, self.intervals = proven, tuple(attempts), intervals


def maml_stabilising_gain(
    tasks: LQRTasks, adaptation_rate: float, start: ArrayLike | None = None, name: str = "start"
) -> Attempt:
    r"""Find a MAML-stabilising gain (Definition 1): stabilising for every task before and after its adaptation.

    The first of these that is one: ``start``; zero; a gain that stabilises every task; the best single gain; every
    task's own optimum and their means; for d = k = 1 the middle of the longest common interval, which decides the
    question; the end of a continuation in the adaptation rate. Each round minimises the meta-objective at a rate for
    which the gain reached so far is MAML-stabilising, and raises the rate as far as the last gain allows, at most to
    halfway where it cannot take the whole of the rest. The meta-objective is a barrier, infinite at the boundary of the
    MAML-stabilising set.

    ``name`` is what ``start``, shape (k, d), is called in the attempts and in messages.

    Raises
    ------
    NoMamlStabilisingGainError
        If there is none (d = k = 1, with every task's intervals), or if none was found.
    NotStabilisableError
        If some task has no stabilising gain at all.
    NoCommonStabilisingGainError
        If no gain that stabilises all tasks exists (d = k = 1), or if none was found.

    Examples
    --------
    What lets these two tasks have a common gain before the adaptation is too little after it:

    >>> ones = [[[1.0]], [[1.0]]]
    >>> tasks = LQRTasks(A=[[[1.5]], [[-0.3]]], B=ones, Q=ones, R=ones, Psi=ones)
    >>> found = maml_stabilising_gain(tasks, 1.0e-3)
    >>> found.works, found.name
    (True, 'a gain that stabilises every task')
    >>> try:
    ...     maml_stabilising_gain(tasks, 0.1)
    ... except NoMamlStabilisingGainError as error:
    ...     print(str(error)[:62])
    no gain is MAML-stabilising at the adaptation rate 0.1: task 0
    """
    attempts: list[Attempt] = []
    for source, gain in _candidates(tasks, start, name):
        if not any(np.array_equal(gain, earlier.K) for earlier in attempts):
            attempts.append(_attempt(tasks, source, gain, adaptation_rate))
        if attempts[-1].works:
            return attempts[-1]
    if tasks.state_dim == tasks.action_dim == 1:
        attempts += _decide(tasks, adaptation_rate, attempts)
        reached = None
    else:
        gain, reached = _raise_rate(tasks, attempts, adaptation_rate)
        attempts.append(
            _attempt(tasks, "the end of a continuation in the adaptation rate from 0", gain, adaptation_rate)
        )
    if attempts[-1].works:
        return attempts[-1]
    tried = "".join(f"\n  {attempt}" for attempt in attempts)
    lower = "" if reached is None else f"; at {reached:.4g} there is one"
    raise NoMamlStabilisingGainError(
        f"no gain was found that is MAML-stabilising for all {tasks.count} tasks at the adaptation rate "
        f"{adaptation_rate:.6g}. Tried:{tried}\nLower the adaptation rate{lower}",
        attempts=attempts,
    )


def _candidates(tasks: LQRTasks, start: ArrayLike | None, name: str) -> Iterator[tuple[str, FloatArray]]:
    if start is not None:
        yield name, common_gain(tasks, start, name)
    candidates = candidate_gains(tasks)
    yield "zero", candidates["zero"]
    stabilising = stabilising_gain(tasks, start)
    yield "a gain that stabilises every task", stabilising
    found = any(is_stabilising(tasks, gain).all() for gain in candidates.values())
    with contextlib.suppress(DescentError):  # too near to instability to be found: then it is no help here either
        yield "the best single gain", shared_gain(tasks.replace(p=None), None if found else stabilising).K
    yield from candidates.items()


def _attempt(tasks: LQRTasks, name: str, K: FloatArray, adaptation_rate: float) -> Attempt:
    try:
        after = spectral_radius(tasks, adapted_gains(tasks, K, adaptation_rate))
    except UnstablePolicyError:
        after = np.full(tasks.count, np.nan)
    return Attempt(name=name, K=K, radius=spectral_radius(tasks, K), adapted_radius=after)


def _decide(tasks: LQRTasks, adaptation_rate: float, attempts: list[Attempt]) -> list[Attempt]:
    """The middles of the common intervals up to the first that works."""
    intervals = adaptable_intervals(tasks, adaptation_rate)
    common = common_intervals(intervals)
    # Where no more than rounding is between the intervals, nothing is proven.
    margin = ROUNDING * float(np.abs([end for own in intervals for piece in own for end in piece]).max())
    if not common_intervals(intervals, margin):
        raise NoMamlStabilisingGainError(
            f"no gain is MAML-stabilising at the adaptation rate {adaptation_rate:.6g}: {in_words(intervals)}, "
            "and these have no point in common; lower the adaptation rate, or use more similar tasks",
            proven=True,
            attempts=attempts,
            intervals=intervals,
        )
    tried: list[Attempt] = []
    for interval in common:
        tried.append(_attempt(tasks, "the middle of a common interval", middle(interval), adaptation_rate))
        if tried[-1].works:
            break
    return tried


def _raise_rate(tasks: LQRTasks, attempts: Iterable[Attempt], adaptation_rate: float) -> tuple[FloatArray, float]:
    """The last gain, and the largest adaptation rate at which a gain was MAML-stabilising."""
    # Uniform weights, because the gain must stabilise every task, however unlikely.
    uniform = tasks.replace(p=None)
    stable = [attempt.K for attempt in attempts if (attempt.radius < 1.0).all()]
    gain = min(stable, key=MeanCost(uniform).value)
    rate, stalls = 0.0, 0
    for _ in range(MAX_RAISING_ROUNDS):
        if is_maml_stabilising(tasks, gain, adaptation_rate):
            return gain, adaptation_rate
        # At most doubled, so that the steps do not depend on how far away an unreachable rate is.
        rest = min(0.5 * (adaptation_rate - rate), rate or np.inf)
        while rest > MIN_RAISE * rate and not is_maml_stabilising(tasks, gain, rate + rest):
            rest *= 0.5
        if rest > MIN_RAISE * rate:
            rate, stalls = rate + rest, 0
        elif stalls == MAX_STALLS:
            break
        else:  # down from the boundary at the same rate, and then once more
            stalls += 1
        gain = minimise(MetaObjective(uniform, rate), gain, RAISING_TOLERANCE, RAISING_ITERATIONS, RAISING_PRODUCTS).K
    return gain, rate
