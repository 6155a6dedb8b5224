"""Where tasks come from: the seeded random family of Section 6 of the paper, or matrices that the user writes down."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks, TasksError

#: Names and numbers of index levels of the matrices a user may give.
GIVEN_LEVELS = {"A": 3, "B": 3, "Q": 3, "R": 3, "Psi": 3, "Sigma0": 3, "p": 1}
OPTIONAL_GIVEN = frozenset({"Sigma0", "p"})


class FamilyError(ValueError):
    """A task family cannot be made as asked; the message names the setting, the value and the next step."""


@dataclass(frozen=True, kw_only=True)
class FamilySettings:
    r"""Every choice that Section 6 of the paper leaves open, with the names of ``config.yaml``.

    Parameters
    ----------
    count : int
        Number of tasks, I. The paper uses 5.
    spectral_radius : float
        :math:`\rho(A_0)` of the nominal task, to which A_0 is scaled exactly; in (0, 1). The paper says only
        :math:`\rho(A_0) < 1`.
    perturbed_share : float
        Share of the entries of every matrix that a task changes, in [0, 1]; rounded to a number of entries, and to at
        least one entry unless the share is 0. The paper perturbs "some i, m, n".
    perturbation_deviation : float
        Standard deviation of a changed entry around the nominal one, >= 0. The paper's example is N(·, 0.25).
    noise_trace : float
        :math:`\mathrm{Tr}\,\Psi_i` of every task, > 0. The paper leaves the scale of the noise open, and with it the
        scale of the cost and of every step size.
    largest_spectral_radius : float, optional
        An A_i whose spectral radius exceeds this is scaled back to it; in (0, 1). Default: ``spectral_radius``, so
        that no task is harder to keep stable than the nominal one.
    smallest_eigenvalue : float
        Q, R and Ψ (before its trace is set) get a multiple of the identity added where needed for their
        eigenvalues to be at least this; > 0.
    uniform_low, uniform_high : float
        Range of the uniform distribution of all nominal entries; low < high.

    Raises
    ------
    FamilyError
        If a value is impossible.
    """

    count: int = 5
    spectral_radius: float
    perturbed_share: float
    perturbation_deviation: float
    noise_trace: float = 1.0
    largest_spectral_radius: float | None = None
    smallest_eigenvalue: float = 0.5
    uniform_low: float = 0.0
    uniform_high: float = 1.0

    def __post_init__(self) -> None:
        _require_whole("count", self.count, 1)
        for name in ("spectral_radius", "largest_spectral_radius"):
            if name == "spectral_radius" or getattr(self, name) is not None:
                value = _require_number(name, getattr(self, name))
                if not 0 < value < 1:
                    raise FamilyError(
                        f"{name}: {value!r} is not in (0, 1); the tasks must be stable without control, so that the "
                        "zero gain can start the training"
                    )
        if not 0 <= _require_number("perturbed_share", self.perturbed_share) <= 1:
            raise FamilyError(f"perturbed_share: {self.perturbed_share!r} is not in [0, 1]; give the share of entries")
        if _require_number("perturbation_deviation", self.perturbation_deviation) < 0:
            raise FamilyError(
                f"perturbation_deviation: {self.perturbation_deviation!r} is not >= 0; give a standard deviation"
            )
        for name in ("noise_trace", "smallest_eigenvalue"):
            if not _require_number(name, getattr(self, name)) > 0:
                raise FamilyError(f"{name}: {getattr(self, name)!r} is not > 0; the matrices must be positive definite")
        if not _require_number("uniform_low", self.uniform_low) < _require_number("uniform_high", self.uniform_high):
            raise FamilyError(
                f"uniform_low: {self.uniform_low!r} is not below uniform_high: {self.uniform_high!r}; give a range"
            )


def similar_tasks(state_dim: int, action_dim: int, settings: FamilySettings, seed: int) -> LQRTasks:
    r"""Draw a random family of similar tasks, as in Section 6 of the paper.

    1. The entries of :math:`A_0, B_0, Q_0, R_0, \Psi_0` are uniform on [``uniform_low``, ``uniform_high``]. A_0 is
       scaled to the spectral radius ``spectral_radius``; Q_0, R_0, Ψ_0 are adjusted (step 3).
    2. Every task changes a ``perturbed_share`` of the entries of each of its five matrices, chosen at random, by
       independent normal numbers of deviation ``perturbation_deviation``.
    3. Then the same adjustment: an A_i with a spectral radius above ``largest_spectral_radius`` is scaled back to it,
       others stay; Q_i, R_i, Ψ_i are replaced by their symmetric parts, plus the multiple of the identity that lifts
       the smallest eigenvalue to ``smallest_eigenvalue`` if it is lower; Ψ_i is scaled to the trace ``noise_trace``.

    So every :math:`\rho(A_i) < 1`, and the zero gain is admissible. Each matrix of each task has random
    numbers of its own: more tasks leave the first ones as they are.

    Parameters
    ----------
    state_dim, action_dim : int
        d and k, both >= 1.
    settings : FamilySettings
    seed : int
        A whole number >= 0.

    Returns
    -------
    LQRTasks
        With Σ0 = Ψ and uniform p.

    Raises
    ------
    FamilyError
        If the family cannot be made stable and positive definite with these settings.
    """
    for name, value, smallest in (("state_dim", state_dim, 1), ("action_dim", action_dim, 1), ("seed", seed, 0)):
        _require_whole(name, value, smallest)
    shapes = {
        "A": (state_dim, state_dim),
        "B": (state_dim, action_dim),
        "Q": (state_dim, state_dim),
        "R": (action_dim, action_dim),
        "Psi": (state_dim, state_dim),
    }
    nominal = {}
    # Index 0 of the random streams belongs to the nominal task, index i + 1 to task i.
    for position, (name, shape) in enumerate(shapes.items()):
        entries = np.random.default_rng([seed, 0, position]).uniform(settings.uniform_low, settings.uniform_high, shape)
        nominal[name] = _lift(entries, settings) if name in ("Q", "R", "Psi") else entries
    radius = _radius(nominal["A"], settings)
    # Below the smallest normal number the factor would overflow.
    if radius < sys.float_info.min:
        raise FamilyError(
            f"A_0 drawn from uniform_low: {settings.uniform_low} to uniform_high: {settings.uniform_high} has the "
            f"spectral radius {radius:.3g} and cannot be scaled to spectral_radius: {settings.spectral_radius}; "
            "change the range"
        )
    nominal["A"] = nominal["A"] * (settings.spectral_radius / radius)
    matrices: dict[str, list[FloatArray]] = {name: [] for name in shapes}
    for task in range(settings.count):
        for position, name in enumerate(shapes):
            rng = np.random.default_rng([seed, task + 1, position])
            matrix = _perturb(nominal[name], settings, rng)
            matrices[name].append(_calm(matrix, settings) if name == "A" else matrix)
    for name in ("Q", "R", "Psi"):
        matrices[name] = [_lift(matrix, settings) for matrix in matrices[name]]
    matrices["Psi"] = [matrix * (settings.noise_trace / np.trace(matrix)) for matrix in matrices["Psi"]]
    try:
        return LQRTasks(**{name: np.stack(stack) for name, stack in matrices.items()})
    except TasksError as error:
        raise FamilyError(
            f"the family cannot be made positive definite: {error}. Raise smallest_eigenvalue: "
            f"{settings.smallest_eigenvalue} or lower perturbation_deviation: {settings.perturbation_deviation}"
        ) from error


def given_tasks(matrices: Mapping[str, Any]) -> LQRTasks:
    """Tasks that the user writes as nested lists of numbers.

    Parameters
    ----------
    matrices : mapping
        ``A``, ``B``, ``Q``, ``R``, ``Psi`` and optionally ``Sigma0``, each a list of one matrix (a list of rows) for
        every task, and optionally ``p``, a list of probabilities.

    Returns
    -------
    LQRTasks

    Raises
    ------
    FamilyError
        If a key is unknown or missing, or if a list is ragged, not deep enough, or holds text; the message names the
        key.
    TasksError
        If the matrices do not fit together or are not what :class:`metalqr.lqr.LQRTasks` asks for.
    """
    for key in matrices:
        if key not in GIVEN_LEVELS:
            raise FamilyError(f"{key}: unknown key; given tasks have the keys {', '.join(GIVEN_LEVELS)}")
    arrays = {}
    for key, levels in GIVEN_LEVELS.items():
        value = matrices.get(key)
        if value is None:
            if key not in OPTIONAL_GIVEN:
                raise FamilyError(f"{key}: missing; given tasks need one matrix {key}, a list of rows, for each task")
            continue
        _require_rectangular(key, value, levels)
        arrays[key] = np.asarray(value, dtype=np.float64)
    return LQRTasks(**arrays)


def _perturb(nominal: FloatArray, settings: FamilySettings, rng: np.random.Generator) -> FloatArray:
    share = settings.perturbed_share
    changed = max(1, round(share * nominal.size)) if share > 0 else 0
    flat = nominal.reshape(-1).copy()
    entries = rng.choice(flat.size, size=changed, replace=False)
    flat[entries] += settings.perturbation_deviation * rng.standard_normal(changed)
    return flat.reshape(nominal.shape)


def _calm(A: FloatArray, settings: FamilySettings) -> FloatArray:
    """Scale A back to the largest spectral radius allowed; leave it alone below."""
    limit = settings.largest_spectral_radius
    limit = settings.spectral_radius if limit is None else limit
    radius = _radius(A, settings)
    return A * (limit / radius) if radius > limit else A


def _radius(A: FloatArray, settings: FamilySettings) -> float:
    _require_finite(A, settings)
    return float(np.abs(np.linalg.eigvals(A)).max())


def _lift(matrix: FloatArray, settings: FamilySettings) -> FloatArray:
    """Symmetric part of the matrix, lifted by a multiple of the identity to the smallest eigenvalue allowed."""
    _require_finite(matrix, settings)
    symmetric = 0.5 * (matrix + matrix.T)
    missing = settings.smallest_eigenvalue - float(np.linalg.eigvalsh(symmetric)[0])
    return symmetric + max(0.0, missing) * np.eye(len(symmetric))


def _require_finite(matrix: FloatArray, settings: FamilySettings) -> None:
    # Squares of the entries must be representable as well, or the eigenvalues are not.
    with np.errstate(over="ignore"):
        finite = np.isfinite(np.square(matrix)).all()
    if not finite:
        raise FamilyError(
            "the family cannot be made stable and positive definite: its entries leave the range of double precision "
            f"with perturbation_deviation: {settings.perturbation_deviation}, uniform_low: {settings.uniform_low}, "
            f"uniform_high: {settings.uniform_high}; lower them"
        )


def _require_number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        hint = " (write 1.0e-3 in YAML: 1e-3 is read as text)" if isinstance(value, str) else ""
        raise FamilyError(f"{name}: {value!r} is not a finite number{hint}")
    return value


def _require_whole(name: str, value: Any, smallest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < smallest:
        raise FamilyError(f"{name}: {value!r} is not a whole number >= {smallest}")


def _require_rectangular(key: str, value: Any, levels: int) -> None:
    """Reject text, wrong depth and ragged lists, naming the place as the user would index it."""
    meaning = "one matrix (a list of rows) for each task" if levels == 3 else "one probability for each task"
    lengths: dict[int, int] = {}

    def visit(item: Any, place: str, level: int) -> None:
        if level == levels:
            if isinstance(item, str):
                raise FamilyError(f"{place} is the text {item!r}, expected a number (write 1.0e-3 in YAML, not 1e-3)")
            if isinstance(item, bool) or not isinstance(item, int | float | np.number):
                raise FamilyError(f"{place} is {item!r}, expected a number: {key} is {meaning}")
            return
        if isinstance(item, str) or not isinstance(item, Sequence | np.ndarray):
            raise FamilyError(f"{place} is {item!r}, expected a list: {key} is {meaning}")
        expected = lengths.setdefault(level, len(item))
        if len(item) != expected:
            raise FamilyError(f"{place} has {len(item)} entries where its neighbours have {expected}: {key} is ragged")
        for index, part in enumerate(item):
            visit(part, f"{place}[{index}]", level + 1)

    visit(value, key, 0)
