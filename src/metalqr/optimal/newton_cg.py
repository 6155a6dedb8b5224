"""Exact descent inside the set of gains where a landscape is finite: a truncated Newton method."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from metalqr.lqr import FloatArray

#: Sufficient decrease of the line search, as a part of the decrease that the slope promises (Armijo).
SUFFICIENT_DECREASE = 1e-4
#: Relative size of a predicted decrease that drowns in the rounding of the value.
ROUNDING = 1e-12
MOST_HALVINGS = 60


class DescentError(ArithmeticError):
    """A descent did not reach a stationary point."""


class Point(Protocol):
    """What a descent asks of a landscape at one gain.

    Attributes
    ----------
    gradient : array, shape (k, d)
    gradient_norm : float
        Frobenius norm of the gradient, relative to the terms that cancel in it at a stationary point.
    """

    gradient: FloatArray
    gradient_norm: float

    def hessian_vector_product(self, X: FloatArray) -> FloatArray:
        """Apply the Hessian, a self-adjoint operator on gains, to X of shape (k, d)."""
        ...

    def precondition(self, X: FloatArray) -> FloatArray:
        """Apply the inverse of a positive definite operator that resembles the Hessian to X of shape (k, d)."""
        ...


class Landscape(Protocol):
    """A function of a gain: smooth where it is finite, and infinite at the boundary of that set and outside."""

    def value(self, K: FloatArray) -> float:
        """Value at K of shape (k, d), possibly infinite."""
        ...

    def at(self, K: FloatArray) -> Point:
        """Derivatives at a K of finite value."""
        ...


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended: gain (k, d), value, relative gradient norm, Newton steps taken."""

    K: FloatArray
    objective: float
    gradient_norm: float
    iterations: int


def descend(
    landscape: Landscape, start: FloatArray, tolerance: float, most_iterations: int, most_products: int | None = None
) -> Descent:
    r"""Minimise a landscape :math:`f` from a gain where it is finite.

    A truncated Newton method. The direction solves :math:`\nabla^2 f[D] = -\nabla f` by preconditioned conjugate
    gradients, up to an accuracy that tightens with the gradient, or up to the first direction of negative curvature.
    The line search halves the step until the value falls enough. No iterate leaves the set where f is finite, because
    f is infinite outside.

    A direction takes at most ``most_products`` Hessian-vector products, by default twice as many as a gain has numbers.

    Stops when the landscape's relative gradient norm is at most ``tolerance``; or when rounding allows no further
    decrease; or after ``most_iterations``. The caller reads ``gradient_norm``.
    """
    K, value = start, landscape.value(start)
    iteration = 0
    while True:
        point = landscape.at(K)
        if point.gradient_norm <= tolerance or iteration == most_iterations:
            break
        products = 2 * point.gradient.size if most_products is None else most_products
        direction = _newton_direction(point, min(0.1, np.sqrt(point.gradient_norm)), products)
        step = _line_search(landscape, K, value, point.gradient, direction)
        if step is None:
            break
        K, value = step
        iteration += 1
    return Descent(K=K, objective=value, gradient_norm=point.gradient_norm, iterations=iteration)


def _newton_direction(point: Point, forcing: float, most_products: int) -> FloatArray:
    """Solve the Newton equation by truncated, preconditioned conjugate gradients; always a direction of descent."""
    direction = np.zeros_like(point.gradient)
    residual = -point.gradient
    preconditioned = point.precondition(residual)
    search = preconditioned
    product = float(np.vdot(residual, preconditioned))
    enough = forcing * np.linalg.norm(point.gradient)
    for _ in range(most_products):
        curved = point.hessian_vector_product(search)
        curvature = float(np.vdot(search, curved))
        if curvature <= 0:
            return direction if direction.any() else search
        length = product / curvature
        direction = direction + length * search
        residual = residual - length * curved
        if np.linalg.norm(residual) <= enough:
            break
        preconditioned = point.precondition(residual)
        previous, product = product, float(np.vdot(residual, preconditioned))
        search = preconditioned + (product / previous) * search
    return direction


def _line_search(
    landscape: Landscape, K: FloatArray, value: float, gradient: FloatArray, direction: FloatArray
) -> tuple[FloatArray, float] | None:
    """Halve the step until the value falls enough; None when rounding hides every decrease."""
    slope = float(np.vdot(gradient, direction))
    step = 1.0
    for _ in range(MOST_HALVINGS):
        candidate = K + step * direction
        candidate_value = landscape.value(candidate)
        if candidate_value <= value + SUFFICIENT_DECREASE * step * slope:
            return candidate, candidate_value
        # So close to the optimum the values agree in all their digits while the gradient still has some to give.
        if -step * slope <= ROUNDING * value:
            smaller = np.isfinite(candidate_value) and np.linalg.norm(
                landscape.at(candidate).gradient
            ) < np.linalg.norm(gradient)
            return (candidate, candidate_value) if smaller else None
        step *= 0.5
    return None
