"""Minimisation inside the set of gains where an objective is finite, by a truncated Newton method."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from metalqr.common.frozen import ReadOnlyArrays
from metalqr.lqr import FloatArray

#: Relative gradient norm at which a search for a minimum stops.
GRADIENT_TOLERANCE = 1e-10
#: Largest relative gradient norm of a result that may be called a minimum.
MAX_GRADIENT_NORM = 1e-8
#: Number of starting gains: the objectives need not be convex, and a poor start could end in a local minimum.
MAX_STARTS = 3
#: Sufficient decrease of the line search, as a fraction of the decrease that the slope predicts (Armijo).
SUFFICIENT_DECREASE = 1e-4
#: Relative size below which a predicted decrease is lost in the rounding of the value.
ROUNDING = 1e-12
MAX_HALVINGS = 60


class DescentError(ArithmeticError):
    """A descent did not reach a stationary point."""


class Derivatives(Protocol):
    """Derivatives of an objective at one gain; X and the results have shape (k, d)."""

    @property
    def gradient(self) -> FloatArray:
        """Gradient."""

    @property
    def gradient_norm(self) -> float:
        """Frobenius norm of the gradient, relative to the terms that cancel in it at a stationary point."""

    def hessian_vector_product(self, X: FloatArray) -> FloatArray:
        """Hessian, a self-adjoint operator on gains, applied to X."""

    def precondition(self, X: FloatArray) -> FloatArray:
        """Inverse of a positive definite operator that resembles the Hessian, applied to X."""


class Objective(Protocol):
    """Function of a gain of shape (k, d): smooth where it is finite, infinite at the boundary of that set and outside.

    Its ``str`` is its name in messages.
    """

    def value(self, K: FloatArray) -> float:
        """Value at K, possibly infinite."""

    def at(self, K: FloatArray) -> Derivatives:
        """Derivatives at a K of finite value."""


@dataclass(frozen=True, eq=False)
class NewtonResult:
    """Last iterate of a minimisation: the gain, of shape (k, d), and the value of the objective there.

    The norm of the gradient is relative to the terms that cancel in it; iterations are Newton steps from the start.
    """

    K: FloatArray
    objective: float
    gradient_norm: float
    iterations: int


@dataclass(frozen=True, eq=False)
class Minimum(ReadOnlyArrays, NewtonResult):
    """The best single gain for all tasks, with every task's cost, shape (I,), after its adaptation if there is one."""

    cost: FloatArray


def cheapest(objective: Objective, gains: Iterable[FloatArray]) -> list[FloatArray]:
    """The gains to start from: those of the lowest finite values, the lowest first."""
    return sorted((gain for gain in gains if np.isfinite(objective.value(gain))), key=objective.value)[:MAX_STARTS]


def find_minimum(
    objective: Objective,
    starts: Iterable[FloatArray],
    costs: Callable[[FloatArray], FloatArray],
    max_iterations: int,
    max_products: int | None = None,
) -> Minimum:
    """Minimise from several gains, and return the best minimum with its costs.

    Raises
    ------
    DescentError
        If it is not stationary.
    """
    results = [minimise(objective, start, GRADIENT_TOLERANCE, max_iterations, max_products) for start in starts]
    best = min(results, key=lambda result: result.objective)
    if best.gradient_norm > MAX_GRADIENT_NORM:
        raise DescentError(
            f"the descent of {objective} stopped after {best.iterations} steps at {best.objective:.6g} with the "
            f"relative gradient norm {best.gradient_norm:.3g} > {MAX_GRADIENT_NORM}: the minimum lies too close to "
            "instability, or the tasks are too badly scaled; lower the adaptation rate, if there is one, start from "
            "another gain, or rescale the tasks"
        )
    return Minimum(**{**vars(best), "K": best.K.copy()}, cost=costs(best.K))


def minimise(
    objective: Objective, start: FloatArray, tolerance: float, max_iterations: int, max_products: int | None = None
) -> NewtonResult:
    r"""Minimise an objective :math:`f` from a gain where it is finite.

    A truncated Newton method. The direction solves :math:`\nabla^2 f[D] = -\nabla f` by preconditioned conjugate
    gradients, up to an accuracy that tightens with the gradient, or up to the first direction of negative curvature.
    The line search halves the step until the value falls enough. No iterate leaves the set where f is finite, because
    f is infinite outside.

    A direction takes at most ``max_products`` Hessian-vector products, by default twice as many as a gain has entries.

    Stops when the relative gradient norm is at most ``tolerance``; or when rounding allows no further decrease; or
    after ``max_iterations``. The caller reads ``gradient_norm``.
    """
    K, value = start, objective.value(start)
    iteration = 0
    while True:
        derivatives = objective.at(K)
        if derivatives.gradient_norm <= tolerance or iteration == max_iterations:
            break
        products = 2 * derivatives.gradient.size if max_products is None else max_products
        direction = _newton_direction(derivatives, min(0.1, np.sqrt(derivatives.gradient_norm)), products)
        step = _line_search(objective, K, value, derivatives.gradient, direction)
        if step is None:
            break
        K, value = step
        iteration += 1
    return NewtonResult(K, value, derivatives.gradient_norm, iteration)


def _newton_direction(derivatives: Derivatives, forcing: float, max_products: int) -> FloatArray:
    """Solve the Newton equation by truncated, preconditioned conjugate gradients; always a direction of descent."""
    direction = np.zeros_like(derivatives.gradient)
    residual = -derivatives.gradient
    preconditioned = derivatives.precondition(residual)
    search = preconditioned
    product = float(np.vdot(residual, preconditioned))
    enough = forcing * np.linalg.norm(derivatives.gradient)
    for _ in range(max_products):
        hessian_product = derivatives.hessian_vector_product(search)
        curvature = float(np.vdot(search, hessian_product))
        if curvature <= 0:
            return direction if direction.any() else search
        length = product / curvature
        direction = direction + length * search
        residual = residual - length * hessian_product
        if np.linalg.norm(residual) <= enough:
            break
        preconditioned = derivatives.precondition(residual)
        previous, product = product, float(np.vdot(residual, preconditioned))
        search = preconditioned + (product / previous) * search
    return direction


def _line_search(
    objective: Objective, K: FloatArray, value: float, gradient: FloatArray, direction: FloatArray
) -> tuple[FloatArray, float] | None:
    """Halve the step until the value falls enough; None when rounding hides every decrease."""
    slope = float(np.vdot(gradient, direction))
    step = 1.0
    for _ in range(MAX_HALVINGS):
        candidate = K + step * direction
        candidate_value = objective.value(candidate)
        if candidate_value <= value + SUFFICIENT_DECREASE * step * slope:
            return candidate, candidate_value
        # So close to the optimum the values agree in all digits, while the gradient still has significant ones.
        if -step * slope <= ROUNDING * value:
            smaller = np.isfinite(candidate_value) and np.linalg.norm(
                objective.at(candidate).gradient
            ) < np.linalg.norm(gradient)
            return (candidate, candidate_value) if smaller else None
        step *= 0.5
    return None
