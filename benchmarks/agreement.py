"""Check that all contestants estimate the same meta-gradient: a fast but wrong one must not win."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from benchmarks.contestants import Contestant
from benchmarks.work import Work
from metalqr import lqr, meta

#: Maximum distance, in standard errors, of two means that count as equal.
BOUND = 4.5
REPEATS = 60


class Agreement(NamedTuple):
    """The mean of a contestant's estimates along the exact meta-gradient, and its distance from the reference."""

    mean: float
    standard_error: float
    distance: float  # in standard errors of the difference; 0 for the reference itself

    @property
    def agrees(self) -> bool:
        return abs(self.distance) < BOUND  # never where it is not a number


def checked_work(work: Work) -> Work:
    """The same tasks with settings that bring out a mistake.

    A larger radius and shorter rollouts make the estimates less noisy, so that one step more or less shows. A step of
    adaptation halves the gradient of the most curved task, unless it would then be noise of more than a fifth of the
    radius: adapted policies must not become so unstable that single rollouts decide the mean.
    """
    radius, inner, length = 0.2, 10, 5
    direction = meta.gradient(work.tasks, work.gain, adaptation_rate=0.0)
    direction /= np.linalg.norm(direction)
    products = lqr.hessian_vector_product(work.tasks, work.gain, np.broadcast_to(direction, work.tasks.B.mT.shape))
    steepest = float(np.einsum("kd,ikd->i", direction, products).max())
    cost = lqr.finite_horizon_cost(work.tasks, work.gain, length).max()
    noise = work.gain.size / radius * cost / math.sqrt(inner)  # the norm of an estimate that is only noise
    return work.at(
        perturbations=400,
        inner_perturbations=inner,
        smoothing_radius=radius,
        rollout_length=length,
        adaptation_rate=min(0.5 / steepest, 0.2 * radius / noise),
    )


def compare(
    work: Work, contestants: Mapping[str, Contestant], reference: str, repeats: int = REPEATS
) -> dict[str, Agreement]:
    """Compare the means of independent estimates with the reference's, which the unit tests compare with the exact one.

    Of every estimate only the component along the exact meta-gradient counts, by far the least noisy statistic.
    """
    settings = work.settings
    direction = meta.gradient(work.tasks, work.gain, settings.adaptation_rate)
    direction /= np.linalg.norm(direction)
    means, errors = {}, {}
    for key, each in contestants.items():
        part = each.checked_part(settings)
        values = [
            float(np.vdot(direction, each.estimate(work.tasks, work.gain, part, seed))) for seed in range(repeats)
        ]
        means[key], errors[key] = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(repeats)
    return {
        key: Agreement(
            means[key],
            errors[key],
            0.0 if key == reference else (means[key] - means[reference]) / math.hypot(errors[key], errors[reference]),
        )
        for key in contestants
    }
