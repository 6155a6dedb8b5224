"""Independent normal directions."""

from typing import TYPE_CHECKING

import numpy as np

from metalqr.config.registries import directions
from metalqr.estimators.directions.directions import Directions

if TYPE_CHECKING:
    from metalqr.estimators.estimator import Array


@directions.register("gaussian")
class Gaussian(Directions):
    r"""Independent normal entries, :math:`U_{ij} \sim N(0, r^2 / dk)`.

    The estimates have the mean of the gradient over :math:`N(0, \frac{r^2}{dk} I)`, by Stein's identity. A single
    perturbation may be several times as long as r.

    Source: Nesterov and Spokoiny (2017), *Random Gradient-Free Minimization of Convex Functions*.
    """

    rotation_invariant = True
    is_compiled = True

    def from_normals(self, normals: "Array") -> "Array":
        """The normals, scaled."""
        return normals / np.sqrt(normals.shape[-1] * normals.shape[-2])
