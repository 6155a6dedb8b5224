"""Certificates along training runs: step sizes that certainly decrease L, and iterations certified stable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.lqr import FloatArray, LQRTasks, UnstablePolicyError, common_gain
from metalqr.objectives.meta import MetaDerivatives
from metalqr.optimal.margin import stability_margin
from metalqr.results import dataset_of, load
from metalqr.results.files import PathLike, padded
from metalqr.results.layout import ITERATION, OF_CASE, SEEDS, SIZES, Kind, Layout, NonFinite, Variable
from metalqr.theory.certificates.convexity import Convexity
from metalqr.theory.certificates.step import at
from metalqr.theory.result import Form
from metalqr.theory.theorems import largest_step_sizes

#: Relative excess of a stability radius that counts as rounding.
ROUNDING = 1e-9
#: Gains with so many entries have their Hessian as a matrix; that of others is applied to vectors.
MAX_DENSE = 16
LANCZOS_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class RunCertificates:
    r"""Certificates of a run, at every so many of its n + 1 gains.

    Attributes
    ----------
    iteration : array of int, shape (c,)
        The iterations that are looked at, from 0 on.
    stability_radius : array, shape (c, I)
        Zero where the gain does not stabilise the task.
    certified_step, certified_radius, gradient_norm : array, shape (c,)
        Of :func:`metalqr.theory.certificates.at`; NaN where the gain is not MAML-stabilising, or not looked at.
    hessian_step : array, shape (c,)
        Inverse of the largest eigenvalue of the exact Hessian of L, or of zero if all are negative.
    is_stable : array of bool, shape (n + 1,)
        At every iteration, whether every perturbation of norm r leaves every task stable.
    """

    iteration: NDArray[np.int64]
    stability_radius: FloatArray
    certified_step: FloatArray
    certified_radius: FloatArray
    gradient_norm: FloatArray
    hessian_step: FloatArray
    is_stable: NDArray[np.bool_]

    @property
    def stable_from(self) -> int:
        """The first iteration from which on all are stable for every perturbation; -1 if the last one is not."""
        unstable = np.flatnonzero(~self.is_stable)
        first = int(unstable[-1]) + 1 if unstable.size else 0
        return first if first < len(self.is_stable) else -1


_PER_RUN = ("seed", "iteration")
#: With the names of RunCertificates; NaN after the end of a run.
_COURSES = {
    "stability_radius": Variable(
        ("seed", "iteration", "task"), "norm that a perturbation of K_n needs to destabilise", may_be=NonFinite.ANY
    ),
    **{
        name: Variable(_PER_RUN, long_name, may_be=NonFinite.ANY)
        for name, long_name in (
            ("certified_step", "largest certified learning rate of an exact step"),
            ("certified_radius", "radius of the ball of that certificate"),
            ("gradient_norm", "Frobenius norm of the exact gradient of L"),
            ("hessian_step", "inverse of the largest eigenvalue of the exact Hessian of L"),
        )
    },
}

CERTIFICATES = Layout(
    "certificates",
    "Certificates along the runs at a case's own settings",
    {
        **_COURSES,
        "stable_share": Variable(
            ("seed",), "share of the iterations that are stable for every perturbation of norm r", "1"
        ),
        "stable_from": Variable(("seed",), "iteration from which on all are; -1 if the last is not", kind=Kind.WHOLE),
        "last_iteration": Variable(("seed",), "last iteration of the run", kind=Kind.WHOLE),
        "theorem_step": Variable(("form",), "largest learning rate of Theorem 1", may_be=NonFinite.NAN),
        "modulus": Variable((), "modulus of strong convexity of L around its optimum", may_be=NonFinite.NAN),
        "convex_radius": Variable((), "radius of the ball where that is certified", may_be=NonFinite.NAN),
    },
    OF_CASE | SIZES,
    {
        "seed": SEEDS,
        "iteration": ITERATION,
        "form": Variable(("form",), "version of the theorem", kind=Kind.TEXT, choices=tuple(Form), has_all=True),
    },
)


def certify_run(
    tasks: LQRTasks, gains: FloatArray, adaptation_rate: float, perturbation: float, every: int, *, steps: bool = True
) -> RunCertificates:
    r"""Certify the gains (n + 1, k, d) of a run: every ``every``-th, and stability for all perturbations of each.

    ``perturbation`` is r. Without ``steps``, which take the most time, what rests on Hessians is left out.
    """
    places = np.arange(0, len(gains), every)
    radii = np.array([stability_margin(tasks, gains[place]) for place in places])
    found = np.full((4, len(places)), np.nan)
    for number, place in enumerate(places if steps else ()):
        try:
            here = at(tasks, gains[place], adaptation_rate)
            curvature = max(largest_curvature(tasks, gains[place], adaptation_rate), 0.0)
        except UnstablePolicyError:  # the last gain of a run that diverged, or one that is not MAML-stabilising
            continue
        steepest = 1.0 / curvature if curvature > 0.0 else np.inf
        found[:, number] = here.step_size, here.radius, here.gradient_norm, steepest
    known = dict(zip(places.tolist(), radii.min(axis=1).tolist(), strict=True))
    return RunCertificates(
        iteration=places,
        stability_radius=radii,
        certified_step=found[0],
        certified_radius=found[1],
        gradient_norm=found[2],
        hessian_step=found[3],
        is_stable=stable_for_all(tasks, gains, perturbation, known),
    )


def stable_for_all(
    tasks: LQRTasks, gains: FloatArray, perturbation: float, known: Mapping[int, float]
) -> NDArray[np.bool_]:
    r"""For each gain, whether :math:`\delta_i(K_n) > r` for every task: every perturbation of norm r leaves it stable.

    Decided for every gain without computing every radius: this is the distance to the complex gains that do not
    stabilise, so :math:`|\delta(K) - \delta(K')| \le \|K - K'\|`. What the known radii leave open is decided by that of
    a gain in the middle, and so on.

    Parameters
    ----------
    tasks : LQRTasks
    gains : array, shape (n + 1, k, d)
    perturbation : float
        r, the Frobenius norm of every perturbation.
    known : mapping of int to float
        The least radius of the tasks at some gains.
    """
    limit = perturbation * (1.0 + ROUNDING)
    lower, upper = np.full(len(gains), -np.inf), np.full(len(gains), np.inf)

    def learn(place: int, radius: float) -> None:
        distances = np.linalg.norm(gains - gains[place], axis=(1, 2))
        np.maximum(lower, radius - distances, out=lower)
        np.minimum(upper, radius + distances, out=upper)

    for place, radius in known.items():
        learn(place, radius)
    while (undecided := np.flatnonzero((lower <= limit) & (upper > limit))).size:
        middle = int(undecided[len(undecided) // 2])
        learn(middle, float(stability_margin(tasks, gains[middle]).min()))
    return lower > limit


def largest_curvature(tasks: LQRTasks, K: FloatArray, adaptation_rate: float) -> float:
    """Largest eigenvalue of the exact Hessian of the meta-objective; by Lanczos iterations for large gains."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    derivatives = MetaDerivatives(tasks, common_gain(tasks, K), adaptation_rate)

    def product(vector: FloatArray) -> FloatArray:
        return derivatives.hessian_vector_product(vector.reshape(K.shape)).ravel()

    if K.size <= MAX_DENSE:
        hessian = np.array([product(unit) for unit in np.eye(K.size)])
        return float(np.linalg.eigvalsh(0.5 * (hessian + hessian.T))[-1])
    operator = LinearOperator((K.size, K.size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(K.size)
    found = eigsh(operator, k=1, which="LA", v0=start, tol=LANCZOS_TOLERANCE, return_eigenvectors=False)
    return float(found[0])


def theorem_step(tasks: LQRTasks, K0: FloatArray, form: Form) -> float:
    """Largest learning rate of Theorem 1; NaN where the tasks do not meet its assumptions, or K0 is an optimum."""
    try:
        return float(largest_step_sizes(tasks, K0, form).learning_rate)
    except ValueError:
        return float("nan")


def certificates_dataset(
    runs: Mapping[int, RunCertificates],
    theorem_steps: Mapping[Form, float],
    optimum: Convexity | None,
    settings: Mapping[str, Any],
    tasks: LQRTasks,
    *,
    case: str,
) -> xr.Dataset:
    """Return what the file of a case holds, for runs by seed. A run that ended early is NaN from its end on.

    ``optimum`` is the strong convexity at the optimum of L, None where that is not known. A ValueError is raised if
    there is no run.
    """
    if not runs:
        raise ValueError("there is no run; give at least one")
    found = list(runs.values())
    arrays = {
        **{name: padded([getattr(run, name) for run in found]) for name in _COURSES},
        "stable_share": [run.is_stable.mean() for run in found],
        "stable_from": [run.stable_from for run in found],
        "last_iteration": [len(run.is_stable) - 1 for run in found],
        "theorem_step": [theorem_steps[form] for form in Form],
        "modulus": np.nan if optimum is None else optimum.modulus,
        "convex_radius": np.nan if optimum is None else optimum.radius,
        "seed": list(runs),
        "iteration": max((run.iteration for run in found), key=len),
        "form": list(Form),
    }
    sizes = {"state_dim": tasks.state_dim, "action_dim": tasks.action_dim}
    return dataset_of(CERTIFICATES, arrays, case=case, settings=settings, **sizes)


def load_certificates(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the certificates along a case's runs; see :func:`metalqr.results.load`."""
    return load(path, CERTIFICATES, case)
