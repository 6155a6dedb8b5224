"""MAML with an estimate of the Hessian: the meta-gradient as a product of estimates."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.registries import directions, methods
from metalqr.config.settings import Count, Radius, setting
from metalqr.estimators.directions.directions import Directions
from metalqr.estimators.estimator import Direction
from metalqr.training.method import State, Work, batch_size
from metalqr.training.methods.first_order_maml import FirstOrderMAML

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.estimators.hessian import HessianEstimation
    from metalqr.simulation.streams import Stream


@methods.register("hessian_maml")
class HessianMAML(FirstOrderMAML):
    r"""Descent along the product rule of the meta-gradient, with an estimate in place of each factor.

    .. math:: g = \sum_i p_i (I - \eta \hat H_i)[\hat g_i(K - \eta \hat g_i(K))]

    The estimates of Hessian, inner and outer gradient have random numbers of their own: the mean of the product is
    then that of :math:`I - \eta \hat H_i` applied to that of the gradient.

    ``hessian: toso`` is the estimate that Toso, Zhan, Anderson, Wang (2024) print, to rebuild their figures. It is
    wrong: a matrix of the shape (k, k), whose mean is about :math:`-\frac{k}{2d} \operatorname{Tr}(\nabla^2 J_i) I`
    for small radii, whatever else the Hessian is. ``corrected`` is Stein's, as an operator on gains; see
    :class:`metalqr.estimators.hessian.HessianEstimation`.

    Source: Toso, Zhan, Anderson, Wang (2024), *Meta-Learning Linear Quadratic Regulators: A Policy Gradient MAML
    Approach for Model-Free LQR*.
    """

    class Settings(declared.Settings):
        """Settings of the Hessian."""

        hessian: Literal["corrected", "toso"] = setting(
            "corrected", about="estimate of the Hessian: Stein's operator, or the one that Toso et al. (2024) print"
        )
        hessian_perturbations: Count | None = setting(
            None, symbol="M", about="perturbations of an estimated Hessian; by default the perturbations", size=True
        )
        hessian_smoothing_radius: Radius | None = setting(
            None, symbol="r", about="smoothing radius of an estimated Hessian; by default the smoothing radius"
        )

    @classmethod
    def refusals(cls, settings: "MetaSettings") -> Iterator[tuple[str, str]]:
        """Radii that vanish in rounding, and directions whose fourth moments are not known."""
        yield from super().refusals(settings)
        from metalqr.config.algorithm import radius_problem

        own = settings.of(cls)
        if problem := radius_problem(own.hessian_smoothing_radius, settings.precision):
            yield "hessian_smoothing_radius", problem
        if own.hessian == "corrected" and directions.get(settings.directions).law is Directions.law:
            yield (
                "directions",
                f"{settings.directions} does not state its law, which the estimate of a Hessian needs; choose another "
                "one, or add the law to it",
            )

    @classmethod
    def work(cls, count: int, settings: "MetaSettings") -> Work:
        """That of first-order MAML, and the values of every direction of the Hessian."""
        found = super().work(count, settings)
        if not cls.adapts(settings):
            return found
        own = settings.of(cls)
        draws = batch_size(count, settings) * (own.hessian_perturbations or settings.perturbations)
        tried = 2 * draws if own.hessian == "corrected" else draws
        # Beside the perturbed policies, one at K for each direction.
        return Work(found.policies + tried, found.rollouts + tried + draws, inner=found.inner + draws)

    @cached_property
    def hessians(self) -> "HessianEstimation":
        """The estimates of Hessians."""
        from metalqr.estimators.hessian import HessianEstimation

        own, settings = self.own, self.settings
        count = own.hessian_perturbations or settings.perturbations
        radius = settings.smoothing_radius if own.hessian_smoothing_radius is None else own.hessian_smoothing_radius
        return HessianEstimation(self.simulated, settings, count, radius, is_printed=own.hessian == "toso")

    def forget(self) -> None:
        """Drop the estimates for earlier tasks."""
        self.__dict__.pop("hessians", None)

    def direction(self, state: State, stream: "Stream") -> Direction:
        """An estimate of the meta-gradient."""
        if not self.adapts(self.settings):
            return super().direction(state, stream)
        batch, rate = self.estimation.batch(stream), self.settings.adaptation_rate
        gains, inner_steps = self.estimation.adapted(state.K, stream, batch.tasks)
        outer = self.estimation.task_gradients(gains, stream, batch.tasks, state.memory)
        product = self.hessians.product(state.K, outer.gradient, stream, batch.tasks)
        with np.errstate(over="ignore", invalid="ignore"):
            gradient = np.einsum("i,ikd->kd", batch.weights, outer.gradient - rate * product.gradient)
        return Direction(
            gradient,
            outer.memory,
            inner_steps + outer.rollout_steps + product.rollout_steps,
            outer.unstable_perturbations + product.unstable_perturbations,
        )
