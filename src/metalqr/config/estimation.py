"""The points at which the errors of Algorithms 1 and 2 are measured, as far as a budget of rollout steps allows."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import methods

if TYPE_CHECKING:
    from metalqr.config.theory import ErrorSweeps

#: The lists of `estimation_error`, each with the settings that take its values.
ESTIMATION_SWEEPS = {
    "perturbations": ("perturbations", "inner_perturbations"),
    "smoothing_radius": ("smoothing_radius",),
    "rollout_length": ("rollout_length",),
}
#: Algorithm 2 is repeated less often where an estimate takes more rollout steps than at the case's own settings, but
#: not less often than this, unless the repeats themselves are fewer.
MIN_REPEATS = 10
#: Rollout steps that take as long as the exact derivatives of a task at a gain, as a multiple of the state dimension.
EXACT_STEPS = 1000


class EstimationPoint(NamedTuple):
    """A value of one sweep, with the case's own settings otherwise."""

    settings: MetaSettings
    #: Estimates of Algorithm 2; those of Algorithm 1 are as many as the config says.
    meta_repeats: int
    #: Rollout steps of all estimates.
    estimate_steps: int
    #: Rollout steps that take as long as the bias of smoothing, where the point has one.
    bias_steps: int
    is_measured: bool

    @property
    def steps(self) -> int:
        """All that the budget counts."""
        return self.estimate_steps + self.bias_steps


def estimation_points(
    sweeps: "ErrorSweeps", settings: MetaSettings, tasks: int, state_dim: int, action_dim: int
) -> dict[str, list[EstimationPoint]]:
    """The points of each sweep of a case, by the name of the sweep.

    The cheapest are measured first, of equal ones that at the case's own settings, as far as the budget reaches. What
    sweeps share counts once: estimates at the same settings, and the bias along the perturbations, which does not
    depend on them.
    """
    bias_steps = EXACT_STEPS * state_dim * tasks * bias_gains(state_dim * action_dim)
    points = {
        axis: [
            _point(_swept(settings, axis, value), settings, sweeps.repeats, tasks)._replace(
                bias_steps=0 if axis == "rollout_length" else bias_steps
            )
            for value in getattr(sweeps, axis)
        ]
        for axis in ESTIMATION_SWEEPS
    }
    left = sweeps.rollout_steps_budget
    known: set[Hashable] = set()
    places = [(axis, place) for axis, swept in points.items() for place in range(len(swept))]

    def cost(key: tuple[str, int]) -> tuple[int, bool]:
        point = points[key[0]][key[1]]
        return point.steps, point.settings != settings

    for axis, place in sorted(places, key=cost):
        point = points[axis][place]
        bias = axis if axis == "perturbations" else (axis, place)
        steps = {point.settings: point.estimate_steps, bias: point.bias_steps}
        new = sum(count for part, count in steps.items() if part not in known)
        if new <= left:
            left -= new
            known |= steps.keys()
            points[axis][place] = point._replace(is_measured=True)
    return points


def _swept(settings: MetaSettings, axis: str, value: float) -> MetaSettings:
    """The settings at a value of a sweep; that of the radius is the radius of both layers."""
    changes: dict[str, Any] = dict.fromkeys(ESTIMATION_SWEEPS[axis], value)
    if axis == "smoothing_radius":
        changes["inner_smoothing_radius"] = None
    return settings.replace(**changes)


def _point(point: MetaSettings, settings: MetaSettings, repeats: int, tasks: int) -> EstimationPoint:
    algorithm_3 = methods.get("zeroth_order_maml")
    steps, own_steps = (
        algorithm_3.work(1, each.replace(task_batch="all")).rollouts * each.rollout_length for each in (point, settings)
    )
    meta_repeats = min(repeats, max(MIN_REPEATS, repeats * own_steps // steps))
    rollouts = repeats * tasks * point.inner.estimator.rollouts(point.inner_perturbations)
    rollouts += meta_repeats * algorithm_3.work(tasks, point).rollouts
    return EstimationPoint(point, meta_repeats, rollouts * point.rollout_length, 0, False)


def bias_gains(size: int) -> int:
    """At most so many gains are evaluated for the bias of smoothing, of gains with so many entries."""
    return max(6 * min(size, 200), 800) * (2 if size <= 64 else 1)
