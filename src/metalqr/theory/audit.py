"""The audit: every inequality at thousands of gains and perturbations, as printed and as corrected."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr import FloatArray, LQRTasks, common_gain
from metalqr.theory.inequalities import INEQUALITIES
from metalqr.theory.result import Form
from metalqr.theory.situation import Situation, perturbation_limits
from metalqr.theory.sublevel import SublevelSet

#: Relative excess of the left side that counts as rounding.
ROUNDING = 1e-9
#: Gains of each of the random task sets.
GAINS_OF_RANDOM_TASKS = 10
#: Gains that are looked at together: bounds the memory of a batch.
CHUNK = 100
#: The set of tasks that is audited, in the numbering in which the random ones are 0, 1, ...
OWN_TASKS = -1

FORMS = tuple(Form)


@dataclass(frozen=True, eq=False)
class Audit:
    """What became of every inequality, in each form.

    Arrays have the shape (inequality, form), in the order of ``inequalities`` and of :class:`Form`.

    Attributes
    ----------
    inequalities : tuple of str
    statements, sources : tuple of str
    errata : tuple of int
        Entries of ``docs/errata.md``.
    worst_ratio : array
        The largest left side over right side; infinite where the right side is not positive, NaN where the inequality
        could not be checked in that form.
    checked, broken : array of int
        At how many gains (and tasks) the inequality was checked, and at how many it does not hold.
    left, right : array
        The two sides at the worst ratio.
    origin : array of int
        The tasks at the worst ratio: -1 for the audited ones, j for ``random_task_set(seed, j, ...)``.
    K, change : array, shape (inequality, form, k, d)
        The gain and its perturbation there; :func:`compare` compares both sides again.
    eta : array
        The adaptation rate there.
    """

    inequalities: tuple[str, ...]
    statements: tuple[str, ...]
    sources: tuple[str, ...]
    errata: tuple[int, ...]
    worst_ratio: FloatArray
    checked: NDArray[np.int64]
    broken: NDArray[np.int64]
    left: FloatArray
    right: FloatArray
    origin: NDArray[np.int64]
    K: FloatArray
    change: FloatArray
    eta: FloatArray

    def count(self, form: Form | str) -> tuple[int, int, int]:
        """Number of inequalities checked in a form, of places at which they were broken, and of places looked at."""
        column = FORMS.index(Form(form))
        checked = self.checked[:, column]
        return int(np.count_nonzero(checked)), int(self.broken[:, column].sum()), int(checked.sum())


class _Record:
    """The audit while it is made."""

    def __init__(self, tasks: LQRTasks) -> None:
        shape = (len(INEQUALITIES), len(FORMS))
        self.worst, self.left, self.right, self.eta = (np.full(shape, np.nan) for _ in range(4))
        self.checked, self.broken = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        self.origin = np.full(shape, OWN_TASKS)
        self.K, self.change = (np.full((*shape, tasks.action_dim, tasks.state_dim), np.nan) for _ in range(2))

    def add(self, situation: Situation, column: int, origin: int) -> None:
        for row, inequality in enumerate(INEQUALITIES):
            place = row, column
            left, right = np.broadcast_arrays(*inequality.sides(situation))
            ratio = ratio_of(left, right)
            said = ~np.isnan(ratio)
            self.checked[place] += np.count_nonzero(said)
            self.broken[place] += np.count_nonzero(ratio[said] > 1 + ROUNDING)
            if not said.any():
                continue
            worst = np.unravel_index(int(np.nanargmax(ratio)), ratio.shape)
            if not ratio[worst] <= self.worst[place]:
                self.worst[place], self.left[place], self.right[place] = ratio[worst], left[worst], right[worst]
                self.origin[place], self.eta[place] = origin, situation.eta
                self.K[place], self.change[place] = situation.K[worst[0]], situation.given[worst[0]]

    def result(self) -> Audit:
        return Audit(
            inequalities=tuple(inequality.name for inequality in INEQUALITIES),
            statements=tuple(inequality.statement for inequality in INEQUALITIES),
            sources=tuple(inequality.source for inequality in INEQUALITIES),
            errata=tuple(inequality.erratum for inequality in INEQUALITIES),
            worst_ratio=self.worst,
            checked=self.checked,
            broken=self.broken,
            left=self.left,
            right=self.right,
            origin=self.origin,
            K=self.K,
            change=self.change,
            eta=self.eta,
        )


def ratio_of(left: FloatArray, right: FloatArray) -> FloatArray:
    """Left over right: 0 where both are 0, infinite where only the right side is not positive, NaN where one is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(right > 0, left / right, np.where(left > right, np.inf, np.where(left <= 0, 0.0, 1.0)))
    return np.where(np.isnan(left) | np.isnan(right), np.nan, ratio)


def audit(
    tasks: LQRTasks,
    K0: ArrayLike,
    adaptation_rate: float,
    *,
    gains: int,
    perturbations: int,
    random_tasks: int,
    sublevel_factor: float = 1.0,
    seed: int = 0,
) -> Audit:
    """Compare both sides of every inequality at gains drawn in the sub-level set, and on further random tasks.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array_like, shape (k, d)
        The gain that defines the sub-level set; it must stabilise every task.
    adaptation_rate : float
    gains : int
        Number of gains drawn in the sub-level set.
    perturbations : int
        Number of perturbations of each gain.
    random_tasks : int
        Number of further sets of random tasks of the same dimensions, with ten gains each.
    sublevel_factor : float
    seed : int

    Returns
    -------
    Audit

    Raises
    ------
    UnstablePolicyError
        If K0 does not stabilise every task.
    ValueError
        If a count is not positive, or the factor is below one.
    """
    for name, value, least in (
        ("gains", gains, 1),
        ("perturbations", perturbations, 1),
        ("random_tasks", random_tasks, 0),
    ):
        if value < least:
            raise ValueError(f"{name} is {value!r}; give a whole number >= {least}")
    record = _Record(tasks)
    own = SublevelSet.around(tasks, K0, sublevel_factor)
    _add(record, own, adaptation_rate, gains, perturbations, np.random.default_rng([seed, 0]), OWN_TASKS)
    for index in range(random_tasks):
        further = random_task_set(seed, index, tasks.action_dim, tasks.state_dim)
        sublevel = SublevelSet.around(further, np.zeros((tasks.action_dim, tasks.state_dim)), sublevel_factor)
        generator = np.random.default_rng([seed, 2, index])
        _add(record, sublevel, adaptation_rate, GAINS_OF_RANDOM_TASKS, perturbations, generator, index)
    return record.result()


def _add(
    record: _Record,
    sublevel: SublevelSet,
    adaptation_rate: float,
    gains: int,
    perturbations: int,
    generator: np.random.Generator,
    origin: int,
) -> None:
    drawn = sublevel.draw(gains, generator)
    for chunk in np.array_split(np.repeat(drawn, perturbations, axis=0), -(-gains * perturbations // CHUNK)):
        shares = _directions(chunk.shape, generator)
        for column, form in enumerate(FORMS):
            limits = perturbation_limits(sublevel, chunk, form)
            change = limits[:, np.newaxis, np.newaxis] * shares
            record.add(Situation(sublevel, chunk, change, form, adaptation_rate, generator), column, origin)


def _directions(shape: tuple[int, ...], generator: np.random.Generator) -> FloatArray:
    """Random perturbations of at most one in the spectral norm; half of them of exactly one, and half of rank one."""
    directions = generator.standard_normal(shape)
    thin = generator.standard_normal((len(directions[::2]), shape[1], 1))
    directions[::2] = thin @ generator.standard_normal((len(thin), 1, shape[2]))
    sizes = np.minimum(1.0, 2 * generator.uniform(size=(shape[0], 1, 1)))
    return np.asarray(sizes * directions / np.linalg.norm(directions, ord=2, axis=(1, 2))[:, np.newaxis, np.newaxis])


@functools.cache
def random_task_set(seed: int, index: int, action_dim: int, state_dim: int) -> LQRTasks:
    """Three random tasks that zero stabilises, unlike those of any case: the set with that number of that seed.

    Spectral radii between 0 and 0.95, scales of B, Q, R and Ψ over two decades, conditions up to a hundred; in every
    second set the initial state has another covariance than the noise.
    """
    generator = np.random.default_rng([seed, 1, index])
    count = 3
    A = generator.standard_normal((count, state_dim, state_dim))
    radii = np.abs(np.linalg.eigvals(A)).max(axis=1)
    A *= (generator.uniform(0.0, 0.95, count) / radii)[:, np.newaxis, np.newaxis]
    B = _scale(generator) * generator.standard_normal((count, state_dim, action_dim))
    Q, Psi, Sigma0 = (_definite(generator, count, state_dim) for _ in range(3))
    weights = generator.uniform(0.2, 1.0, count)
    R = _definite(generator, count, action_dim)
    return LQRTasks(A, B, Q, R, Psi, Sigma0 if index % 2 else Psi, weights / weights.sum())


def _scale(generator: np.random.Generator) -> float:
    return float(10 ** generator.uniform(-1, 1))


def _definite(generator: np.random.Generator, count: int, dim: int) -> FloatArray:
    basis = np.linalg.qr(generator.standard_normal((count, dim, dim)))[0]
    eigenvalues = _scale(generator) * 10 ** generator.uniform(-2, 0, (count, 1, dim))
    return np.asarray((basis * eigenvalues) @ basis.swapaxes(1, 2))


@dataclass(frozen=True)
class Comparison:
    """Both sides of one inequality at one gain, in one form; the worst task where it is said of every task."""

    name: str
    statement: str
    source: str
    form: Form
    left: float
    right: float
    ratio: float


def compare(
    tasks: LQRTasks,
    K0: ArrayLike,
    K: ArrayLike,
    change: ArrayLike,
    form: Form | str,
    adaptation_rate: float = 0.0,
    *,
    sublevel_factor: float = 1.0,
) -> tuple[Comparison, ...]:
    """Both sides of every inequality at one gain: how a counterexample of the audit is seen again.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array_like, shape (k, d)
        The gain that defines the sub-level set.
    K, change : array_like, shape (k, d)
        A gain and its perturbation.
    form : {"printed", "corrected"}
    adaptation_rate : float
    sublevel_factor : float

    Returns
    -------
    tuple of Comparison

    Raises
    ------
    UnstablePolicyError
        If K0 or K does not stabilise every task.
    """
    form = Form(form)
    gain, perturbation = common_gain(tasks, K), common_gain(tasks, change, "change")
    situation = Situation(
        SublevelSet.around(tasks, K0, sublevel_factor),
        gain[np.newaxis],
        perturbation[np.newaxis],
        form,
        adaptation_rate,
        np.random.default_rng(0),
    )
    found = []
    for inequality in INEQUALITIES:
        left, right = np.broadcast_arrays(*inequality.sides(situation))
        ratio = ratio_of(left, right).ravel()
        worst = int(np.nanargmax(ratio)) if not np.isnan(ratio).all() else 0
        values = (float(left.ravel()[worst]), float(right.ravel()[worst]), float(ratio[worst]))
        found.append(Comparison(inequality.name, inequality.statement, inequality.source, form, *values))
    return tuple(found)
