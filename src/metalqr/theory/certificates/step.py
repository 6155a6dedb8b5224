r"""The largest certified step size of gradient descent from a gain."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import not_negative
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.theory.certificates.smoothness import ObjectiveCentre, Smoothness

#: Radii of balls are searched between these shares of the least stability radius.
MIN_SHARE, MAX_SHARE = 1e-8, 0.95
FIRST_SHARE = 0.3
#: The search ends when the radius is known to this relative accuracy, or after so many balls.
RADIUS_ACCURACY = 0.03
MAX_BALLS = 12


@dataclass(frozen=True, eq=False)
class Certificate:
    r"""What is certain around a gain, without a supremum over a sub-level set.

    Every gain within ``radius`` of K, in the Frobenius norm, stabilises every task, and so does each adapted to its
    task; there :math:`\|\nabla^2 L\| \le \hat L`. A step :math:`K^+ = K - \alpha \tilde g` with
    :math:`\alpha \le 1 / \hat L` and :math:`\|\alpha \tilde g\|_F \le \delta` therefore gives (formula 6)

    .. math:: L(K^+) \le L(K) - \tfrac\alpha2 \|\nabla L(K)\|_F^2 + \tfrac\alpha2 \|\tilde g - \nabla L(K)\|_F^2 .

    Attributes
    ----------
    stability_radius : array, shape (I,)
        :math:`\delta_i(K)`: every gain closer than that to K stabilises task i.
    gradient_norm : float
        :math:`\|\nabla L(K)\|_F`, exactly.
    radius : float
        :math:`\delta` of the ball, chosen for the largest step size.
    smoothness : float
        :math:`\hat L` on it.
    step_size : float
        Largest certified :math:`\alpha` of an exact gradient step: :math:`\min(1/\hat L, \delta/\|\nabla L(K)\|)`. Zero
        if no ball has a certificate.
    """

    stability_radius: FloatArray
    gradient_norm: float
    radius: float
    smoothness: float
    step_size: float

    def decrease(self, learning_rate: float, error: float = 0.0) -> float:
        r"""Certain decrease of L in a step whose direction is wrong by at most ``error``, in the Frobenius norm.

        .. math:: \tfrac\alpha2 \left( \|\nabla L(K)\|_F^2 - e^2 \right)

        It may be negative: then L rises by no more than that.

        Raises
        ------
        ValueError
            If the learning rate exceeds :math:`1 / \hat L`, or the step may leave the ball.
        """
        rate, wrong = not_negative("learning_rate", learning_rate), not_negative("error", error)
        limit = min(1.0 / self.smoothness, self.radius / max(self.gradient_norm + wrong, np.finfo(float).tiny))
        if not rate <= limit:
            raise ValueError(
                f"learning_rate: {rate} is not certified at this gain; with an error of {wrong:.3g} in the direction, "
                f"give at most {limit:.3g}"
            )
        return 0.5 * rate * (self.gradient_norm**2 - wrong**2)


def at(
    tasks: LQRTasks, K: ArrayLike, adaptation_rate: float = 0.0, *, direction_norm: float | None = None
) -> Certificate:
    r"""Certify a gain: its stability radius, and the largest step size that certainly decreases L.

    .. math:: \alpha = \max_\delta \min \left( \frac{1}{\hat L(\delta)}, \frac{\delta}{\|\tilde g\|_F} \right)

    :math:`\hat L` increases with the radius, so that the best radius is where both are equal; it is found by bisection.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
    adaptation_rate : float
        :math:`\eta` of the meta-objective; with 0 it is the mean cost.
    direction_norm : float, optional
        :math:`\|\tilde g\|_F` of the direction followed, such as a noisy estimate; by default that of the exact
        gradient.

    Raises
    ------
    UnstablePolicyError
        If K, or K adapted to a task, does not stabilise that task.

    Examples
    --------
    >>> from metalqr import lqr
    >>> tasks = lqr.LQRTasks(A=[[[0.5]]], B=[[[1.0]]], Q=[[[1.0]]], R=[[[1.0]]], Psi=[[[1.0]]])
    >>> found = at(tasks, [[0.0]])
    >>> float(found.stability_radius[0]), round(found.step_size, 3)
    (0.5, 0.052)
    """
    centre = ObjectiveCentre(tasks, K, adaptation_rate)
    gradient_norm = float(np.linalg.norm(centre.gradient))
    followed = gradient_norm if direction_norm is None else not_negative("direction_norm", direction_norm)
    best, step_size = _search(centre, followed)
    return Certificate(centre.stability_radius, gradient_norm, best.radius, best.hessian, step_size)


def largest_settings(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float = 0.0) -> dict[str, float]:
    r"""The largest settings that are certified at a gain, by their names in a config.

    ``learning_rate`` is that of :func:`at`. Every perturbation with a Frobenius norm below ``smoothing_radius``,
    :math:`\min_i \delta_i(K)`, leaves every task stable.

    Parameters and errors are those of :func:`at`.
    """
    found = at(tasks, K, adaptation_rate)
    return {"learning_rate": found.step_size, "smoothing_radius": float(found.stability_radius.min())}


def _search(centre: ObjectiveCentre, norm: float) -> tuple[Smoothness, float]:
    """The ball with the largest step size, and that."""
    widest = min(float(centre.stability_radius.min()), 1.0 + float(np.linalg.norm(centre.K)))
    low, high = math.log(MIN_SHARE * widest), math.log(MAX_SHARE * widest)
    excess: dict[float, float] = {}  # log(delta L / |g|): the two limits of the step are equal at its root
    place = math.log(FIRST_SHARE * widest)
    best, step_size = Smoothness(0.0, math.inf, math.inf), 0.0
    for _ in range(MAX_BALLS):
        found = centre.smoothness(math.exp(place))
        step = 0.0
        if found.hessian > 0.0:  # a certificate
            step = min(1.0 / found.hessian, found.radius / norm if norm > 0.0 else math.inf)
            excess[place] = math.log(found.radius * found.hessian / norm) if norm > 0.0 else math.inf
        if step > step_size:
            best, step_size = found, step
        if excess.get(place, math.inf) <= 0.0:
            low = place
        else:
            high = place
        if high - low <= RADIUS_ACCURACY:
            break
        place = _between(low, high, excess.get(low, math.nan), excess.get(high, math.nan))
    return best, step_size


def _between(low: float, high: float, below: float, above: float) -> float:
    """The next place: where a line through both ends is zero, well inside; the middle where an end is unknown."""
    share = -below / (above - below) if math.isfinite(below) and math.isfinite(above) and above > below else 0.5
    return low + min(max(share, 0.1), 0.9) * (high - low)
