"""Audit of every inequality at thousands of gains and perturbations, as printed and as corrected."""

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.validation import whole_number
from metalqr.lqr import FloatArray, LQRTasks, at_optimum, common_gain
from metalqr.optimal import DescentError, shared_gain
from metalqr.systems.random_tasks import random_task_set
from metalqr.theory.assumptions import unmet
from metalqr.theory.batch import AuditBatch, perturbation_limits
from metalqr.theory.inequalities import INEQUALITIES, Inequality
from metalqr.theory.norms import spectral
from metalqr.theory.result import Form, by_form
from metalqr.theory.sublevel import SublevelSet

#: Relative excess of the left side that counts as rounding.
RATIO_ROUNDING = 1e-9
#: Relative change of all inputs that shows the rounding of both sides, and the multiple of what it changes them by that
#: counts as rounding.
SHAKE, SHAKE_FACTOR = 2.0**-50, 10.0
#: Gains of each of the random task sets.
GAINS_OF_RANDOM_TASKS = 10
#: Batch size (gains per vectorised evaluation); it bounds the memory.
BATCH_SIZE = 100
#: Number of the audited tasks; the random ones have the numbers 0, 1, ...
OWN_TASKS = -1

FORMS = tuple(Form)


@dataclass(frozen=True, eq=False)
class Audit:
    """Result of the audit for every inequality, in each form.

    Arrays have the shape (inequality, form), in the order of ``inequalities``, their names, and of :class:`Form`.

    Attributes
    ----------
    worst_ratio : array
        Largest left side over right side; infinite where the right side is not positive, NaN where the inequality
        could not be checked in that form.
    checked, broken : array of int
        Number of gains (and tasks) at which the inequality was checked, and at which it does not hold.
    checked_equal, broken_equal : array of int
        Of these, with sets of tasks whose initial state has the covariance of the noise.
    left, right : array
        Both sides at the worst ratio.
    origin : array of int
        Tasks at the worst ratio: -1 for the audited ones, j for ``random_task_set(seed, j, ...)``.
    K, change : array, shape (inequality, form, k, d)
        Gain and perturbation there; :func:`compare` evaluates both sides again.
    eta : array
        Adaptation rate there.
    remark : str
        What was left out, and why; empty if nothing was.
    """

    inequalities = tuple(each.name for each in INEQUALITIES)
    statements = tuple(each.statement for each in INEQUALITIES)
    sources = tuple(each.source for each in INEQUALITIES)
    errata = tuple(each.erratum for each in INEQUALITIES)

    worst_ratio: FloatArray
    checked: NDArray[np.int64]
    broken: NDArray[np.int64]
    checked_equal: NDArray[np.int64]
    broken_equal: NDArray[np.int64]
    left: FloatArray
    right: FloatArray
    origin: NDArray[np.int64]
    K: FloatArray
    change: FloatArray
    eta: FloatArray
    remark: str = ""

    @classmethod
    def empty(cls, tasks: LQRTasks, remark: str = "") -> "Audit":
        """Return the audit of no gain, with room for gains of the tasks' dimensions."""
        shape = (len(INEQUALITIES), len(FORMS))
        counts = np.zeros((4, *shape), dtype=np.int64)
        worst_ratio, left, right, eta = np.full((4, *shape), np.nan)
        K, change = np.full((2, *shape, tasks.action_dim, tasks.state_dim), np.nan)
        origin = np.full(shape, OWN_TASKS)
        return cls(worst_ratio, counts[0], counts[1], counts[2], counts[3], left, right, origin, K, change, eta, remark)

    def add(self, batch: AuditBatch, origin: int, shaken: Callable[[], AuditBatch]) -> None:
        """Check every inequality at the gains of a batch, drawn for the tasks of that origin.

        ``shaken`` returns the same batch with all inputs changed by rounding. Where an inequality is violated by no
        more than both sides differ between the two, nothing is known, and the place does not count as checked.
        """
        found = [_sides(inequality, batch) for inequality in INEQUALITIES]
        if any((ratio > 1 + RATIO_ROUNDING).any() for _, _, ratio in found):
            again = shaken()
            found = [
                _beyond_rounding(sides, _sides(each, again)) for sides, each in zip(found, INEQUALITIES, strict=True)
            ]
        equal = np.array_equal(batch.tasks.Psi, batch.tasks.Sigma0)
        for row, (left, right, ratio) in enumerate(found):
            place = row, FORMS.index(batch.form)
            checked = ~np.isnan(ratio)
            counts = np.count_nonzero(checked), np.count_nonzero(ratio[checked] > 1 + RATIO_ROUNDING)
            self.checked[place] += counts[0]
            self.broken[place] += counts[1]
            if equal:
                self.checked_equal[place] += counts[0]
                self.broken_equal[place] += counts[1]
            worst = _worst(ratio)
            if checked.any() and not ratio[worst] <= self.worst_ratio[place]:
                self.worst_ratio[place], self.left[place], self.right[place] = ratio[worst], left[worst], right[worst]
                self.origin[place], self.eta[place] = origin, batch.eta
                self.K[place], self.change[place] = batch.K[worst[0]], batch.given_change[worst[0]]

    def count(self, form: Form | str) -> tuple[int, int, int]:
        """Count the inequalities checked in a form, the places at which they are violated, and all places checked."""
        column = FORMS.index(Form(form))
        checked = self.checked[:, column]
        return int(np.count_nonzero(checked)), int(self.broken[:, column].sum()), int(checked.sum())


_Sides = tuple[FloatArray, FloatArray, FloatArray]


def _sides(inequality: Inequality, batch: AuditBatch) -> _Sides:
    """Both sides, shape (n, I) or (n, 1), and left over right.

    The ratio is 0 where both are 0, infinite where only the right side is not positive, NaN where one is NaN.
    """
    left, right = np.broadcast_arrays(*inequality.sides(batch))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(right > 0, left / right, np.where(left > right, np.inf, np.where(left <= 0, 0.0, 1.0)))
    return left, right, np.where(np.isnan(left) | np.isnan(right), np.nan, ratio)


def _beyond_rounding(sides: _Sides, shaken: _Sides) -> _Sides:
    """The sides, with a ratio of NaN where they are violated by no more than their rounding."""
    left, right, ratio = sides
    with np.errstate(invalid="ignore"):
        rounding = SHAKE_FACTOR * (np.abs(left - shaken[0]) + np.abs(right - shaken[1]))
        decided = (ratio <= 1 + RATIO_ROUNDING) | (left - right > rounding)
    return left, right, np.where(decided, ratio, np.nan)


def _shaken(tasks: LQRTasks) -> LQRTasks:
    """The tasks with every entry changed by a relative ``SHAKE`` or less, up or down."""
    generator = np.random.default_rng(0)

    def changed(matrices: FloatArray) -> FloatArray:
        return matrices * (1.0 + SHAKE * generator.uniform(-1.0, 1.0, size=matrices.shape))

    symmetric = {name: changed(getattr(tasks, name)) for name in ("Q", "R", "Psi", "Sigma0")}
    halves = {name: 0.5 * (each + each.mT) for name, each in symmetric.items()}
    return tasks.replace(A=changed(tasks.A), B=changed(tasks.B), **halves)


def _worst(ratio: FloatArray) -> tuple[np.intp, ...]:
    """Place of the largest ratio, or the first where there is none."""
    return np.unravel_index(int(np.argmax(np.nan_to_num(ratio, nan=-np.inf, posinf=np.inf))), ratio.shape)


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
    r"""Compare both sides of every inequality at gains drawn in the sub-level set, and on further random tasks.

    K0, shape (k, d), and the factor :math:`\gamma` of Definition 2 define the set. Each of the ``gains`` has as many
    ``perturbations``. ``random_tasks`` is the number of further sets of tasks of the same dimensions, with ten gains
    each. To the gains drawn comes the best single gain that a descent from K0 finds, if it is in the set: there the
    mean of the gradients vanishes, and the gradients do not. Where K0 is the optimum of a task, S is this one gain, at
    which an inequality shows nothing: then the random tasks alone are checked, and the remark of the result says so;
    and so for a form whose assumptions the tasks do not meet, see :func:`metalqr.theory.unmet`.

    Raises
    ------
    ValueError
        If a count is no such number, or the factor is below one.
    """
    whole_number("gains", gains)
    whole_number("perturbations", perturbations)
    whole_number("random_tasks", random_tasks, at_least=0)
    found = Audit.empty(tasks)

    def check(tasks: LQRTasks, K0: ArrayLike, count: int, generator: np.random.Generator, origin: int) -> None:
        sublevel, rounded = (SublevelSet.around(each, K0, sublevel_factor) for each in (tasks, _shaken(tasks)))
        gains = np.concatenate([sublevel.draw(count, generator), _best_single_gain(sublevel)])
        drawn = np.repeat(gains, perturbations, axis=0)
        for chunk in np.array_split(drawn, -(-len(drawn) // BATCH_SIZE)):
            directions = _directions(chunk.shape, generator)
            for form in FORMS:
                if unmet(tasks, form):
                    continue
                change = perturbation_limits(sublevel, chunk, form)[:, np.newaxis, np.newaxis] * directions
                same = copy.deepcopy(generator)  # the batch draws directions
                again = functools.partial(
                    AuditBatch, rounded, chunk * (1.0 + SHAKE), change, form, adaptation_rate, same
                )
                found.add(AuditBatch(sublevel, chunk, change, form, adaptation_rate, generator), origin, again)

    optimal_for = np.flatnonzero(at_optimum(tasks, common_gain(tasks, K0, "K0")))
    without = {form: reason for form in FORMS if (reason := unmet(tasks, form))}
    if without:
        found = replace(found, remark=f"{by_form(without)}; there only the random tasks were checked")
    if len(without) == len(FORMS):
        pass
    elif optimal_for.size:
        remark = (
            f"K_0 is the optimum of task {optimal_for[0]} up to rounding, so the set of Definition 2 is one gain: only "
            "the random tasks were checked"
        )
        found = replace(found, remark="; ".join(filter(None, (found.remark, remark))))
    else:
        check(tasks, K0, gains, np.random.default_rng([seed, 0]), OWN_TASKS)
    shape = (tasks.action_dim, tasks.state_dim)
    for index in range(random_tasks):
        further = random_task_set(seed, index, *shape)
        check(further, np.zeros(shape), GAINS_OF_RANDOM_TASKS, np.random.default_rng([seed, 2, index]), index)
    return found


def _best_single_gain(sublevel: SublevelSet) -> FloatArray:
    """The best single gain that a descent from K0 finds, shape (1, k, d), or (0, k, d) where it is not in the set."""
    try:
        gain = shared_gain(sublevel.tasks, sublevel.K0).K[np.newaxis]
    except DescentError:
        return np.empty((0, *sublevel.K0.shape))
    return gain[sublevel.contains(gain)]


def _directions(shape: tuple[int, ...], generator: np.random.Generator) -> FloatArray:
    """Random perturbations of spectral norm at most one; half have exactly one, and half are of rank one."""
    directions = generator.standard_normal(shape)
    thin = generator.standard_normal((len(directions[::2]), shape[1], 1))
    directions[::2] = thin @ generator.standard_normal((len(thin), 1, shape[2]))
    sizes = np.minimum(1.0, 2 * generator.uniform(size=(shape[0], 1, 1)))
    return np.asarray(sizes * directions / spectral(directions)[:, np.newaxis, np.newaxis])


@dataclass(frozen=True)
class Comparison:
    """Both sides of one inequality at one gain, in one form, at the worst task if the inequality is one for each."""

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
    """Compare both sides of every inequality at one gain and its perturbation, such as a counterexample of the audit.

    Gains have the shape (k, d); K0 defines the sub-level set.
    """
    gain, perturbation = common_gain(tasks, K), common_gain(tasks, change, "change")
    sublevel, generator = SublevelSet.around(tasks, K0, sublevel_factor), np.random.default_rng(0)
    batch = AuditBatch(sublevel, gain[np.newaxis], perturbation[np.newaxis], Form(form), adaptation_rate, generator)
    found = []
    for each in INEQUALITIES:
        sides = _sides(each, batch)
        left, right, ratio = (float(values[_worst(sides[2])]) for values in sides)
        found.append(Comparison(each.name, each.statement, each.source, batch.form, left, right, ratio))
    return tuple(found)
