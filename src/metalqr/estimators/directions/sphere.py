"""Independent directions of equal length."""

from typing import TYPE_CHECKING

import numpy as np

from metalqr.config.registries import directions
from metalqr.estimators.directions.directions import Directions

if TYPE_CHECKING:
    from metalqr.estimators.estimator import Array
    from metalqr.estimators.neighbourhood import DirectionLaw
    from metalqr.simulation.streams import Draws


@directions.register("sphere")
class Sphere(Directions):
    r"""Independent and uniform on the sphere :math:`\|U\|_F = r`.

    .. math:: U = r \frac{Z}{\|Z\|_F}, \qquad Z_{ij} \sim N(0, 1)

    The estimates have the mean of the gradient over the ball of radius r.

    Source: Algorithms 1 and 2 of the paper.
    """

    is_on_sphere = True
    rotation_invariant = True
    is_compiled = True

    def law(self, radius: float, size: int, nodes: int) -> "DirectionLaw":
        """One length."""
        from metalqr.estimators.neighbourhood import DirectionLaw

        return DirectionLaw(np.array([radius]), np.ones(1))

    def draw(self, draws: "Draws", shape: tuple[int, int], radius: float, together: int) -> "Array":
        """A normalised matrix of normals each."""
        return draws.sphere(shape, radius).reshape(-1, together, *shape)
