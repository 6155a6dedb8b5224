"""Independent normal directions."""

from typing import TYPE_CHECKING

import numpy as np

from metalqr.config.registries import directions
from metalqr.estimators.directions.directions import Directions

if TYPE_CHECKING:
    from metalqr.estimators.estimator import Array
    from metalqr.estimators.neighbourhood import DirectionLaw


@directions.register("gaussian")
class Gaussian(Directions):
    r"""Independent normal entries, :math:`U_{ij} \sim N(0, r^2 / dk)`.

    The estimates have the mean of the gradient over :math:`N(0, \frac{r^2}{dk} I)`, by Stein's identity. A single
    perturbation may be several times as long as r.

    Source: Nesterov and Spokoiny (2017), *Random Gradient-Free Minimization of Convex Functions*.
    """

    rotation_invariant = True
    is_compiled = True

    def law(self, radius: float, size: int, nodes: int) -> "DirectionLaw":
        r"""Gauss' rule: :math:`\|U\|^2 dk / 2 r^2` has the gamma distribution of shape dk/2.

        It is exact for even polynomials in the length of degree below four times the nodes.
        """
        from scipy.special import roots_genlaguerre

        from metalqr.estimators.neighbourhood import DirectionLaw

        halves, weights = roots_genlaguerre(nodes, size / 2 - 1)
        return DirectionLaw(radius * np.sqrt(2 * halves / size), weights / weights.sum())

    def from_normals(self, normals: "Array") -> "Array":
        """The normals, scaled."""
        return normals / np.sqrt(normals.shape[-1] * normals.shape[-2])
