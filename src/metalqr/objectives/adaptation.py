"""Directions that methods with adaptation follow in the mean, without noise, and their bias as meta-gradients."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import not_negative, positive, whole_number
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, UnstablePolicyError, common_gain
from metalqr.objectives import meta
from metalqr.objectives.mean_cost import mean_gradient

#: Part of the meta-gradient below which a direction is rounding, as that of the mean cost at the best single gain.
ROUNDING = 1e-6
_ON_THE_WAY = "a gain on the way of the adaptation"
#: Methods whose mean direction is no meta-gradient; Reptile with its number of steps.
BIASED = ("mean_cost", "first_order_maml", "reptile_2", "reptile_5", "reptile_10")


def first_order_maml(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> FloatArray:
    r"""Exact direction of first-order MAML, shape (k, d).

    .. math:: \sum_i p_i \nabla J_i(K - \eta \nabla J_i(K))

    Raises
    ------
    UnstablePolicyError
        If K, or K after its adaptation to a task, does not stabilise that task.
    """
    adapted = meta.adapted_gains(tasks, K, adaptation_rate)
    return _mean(tasks, PolicyEvaluation(tasks, adapted, "the adapted gain").gradient())


def reptile(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float, steps: int) -> FloatArray:
    r"""Exact direction of Reptile, shape (k, d).

    .. math:: \sum_i p_i \sum_{j < s} \nabla J_i(K_i^j), \qquad K_i^0 = K, \quad
              K_i^{j+1} = K_i^j - \eta \nabla J_i(K_i^j)

    Raises
    ------
    UnstablePolicyError
        If one of the s gains :math:`K_i^j` that it evaluates does not stabilise its task.
    """
    rate = positive("adaptation_rate", adaptation_rate)
    return _mean(tasks, _displacement(tasks, K, rate, steps)) / rate


def moreau(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float, steps: int, weight: float) -> FloatArray:
    r"""Exact direction of ``moreau`` with s inner steps, shape (k, d).

    .. math:: \lambda \sum_i p_i (K - K_i^s), \qquad K_i^0 = K, \quad
              K_i^{j+1} = K_i^j - \eta (\nabla J_i(K_i^j) + \lambda (K_i^j - K))

    For many steps that is the gradient of the Moreau envelope, :func:`metalqr.optimal.moreau.envelope_gradient`.

    Raises
    ------
    UnstablePolicyError
        If one of the s gains :math:`K_i^j` that it evaluates does not stabilise its task.
    """
    return weight * _mean(tasks, _displacement(tasks, K, adaptation_rate, steps, positive("weight", weight)))


class Bias(NamedTuple):
    """The difference between a direction and the meta-gradient.

    The norm is that of the difference relative to the meta-gradient; the cosine is that of the angle between the two
    directions, NaN where one is zero up to rounding.
    """

    difference: FloatArray
    norm: float
    cosine: float


def bias(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float, direction: ArrayLike) -> Bias:
    r"""Bias of a direction (k, d) as a meta-gradient, :math:`g - \nabla L(K)`, such as of :func:`first_order_maml`.

    A direction of another length, such as that of :func:`reptile`, is divided by it first, :math:`g / s`.

    Raises
    ------
    UnstablePolicyError
        If K is not MAML-stabilising.
    """
    found: FloatArray = np.asarray(direction, dtype=np.float64)
    exact = meta.gradient(tasks, K, adaptation_rate)
    difference, length = found - exact, float(np.linalg.norm(exact))
    norms = length * float(np.linalg.norm(found))
    has_direction = norms > ROUNDING * length**2
    return Bias(
        difference,
        float(np.linalg.norm(difference)) / length if length > 0 else np.nan,
        float(np.vdot(found, exact)) / norms if has_direction else np.nan,
    )


def biases(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> list[Bias | None]:
    """The :func:`bias` of each of the methods in ``BIASED``, that of Reptile divided by its steps.

    None where the direction or the meta-gradient does not exist, since a gain on the way does not stabilise a task.
    """

    def direction(name: str) -> FloatArray:
        if name == "mean_cost" or adaptation_rate == 0:
            return mean_gradient(tasks, K)
        if name == "first_order_maml":
            return first_order_maml(tasks, K, adaptation_rate)
        steps = int(name.removeprefix("reptile_"))
        return reptile(tasks, K, adaptation_rate, steps) / steps

    found: list[Bias | None] = []
    for name in BIASED:
        try:
            found.append(bias(tasks, K, adaptation_rate, direction(name)))
        except UnstablePolicyError:
            found.append(None)
    return found


def _displacement(tasks: LQRTasks, K: ArrayLike, rate: float, steps: int, weight: float = 0.0) -> FloatArray:
    """K - K_i after the steps of every task from the common gain, (I, k, d)."""
    common, rate = common_gain(tasks, K), not_negative("adaptation_rate", rate)
    moved = np.zeros((tasks.count, *common.shape))
    for _ in range(whole_number("steps", steps)):
        gradient = PolicyEvaluation(tasks, common - moved, _ON_THE_WAY).gradient()
        moved = moved + rate * (gradient - weight * moved)
    return moved


def _mean(tasks: LQRTasks, each: FloatArray) -> FloatArray:
    return np.asarray(np.tensordot(tasks.p, each, axes=1))
