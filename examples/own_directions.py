"""Perturbations of your own: entries of equal size and random sign.

Write its name into the config, beside the file:

    plugins: [own_directions.py]
    algorithm: {directions: signs, estimator: two_point}
"""

import numpy as np

from metalqr.config.registries import directions
from metalqr.estimators.directions.directions import Directions
from metalqr.estimators.estimator import Array


@directions.register("signs")
class Signs(Directions):
    r"""Independent entries :math:`\pm r / \sqrt{dk}`, each sign with probability one half.

    Simultaneous perturbation (Spall, 1992). The mean of an estimate is the gradient up to a bias of order r^2, but not
    that over a ball. It depends on the coordinates of the gain, so compiled rollouts, which turn them, do not draw it.
    """

    def from_normals(self, normals: Array) -> Array:
        """The signs of the normals, scaled so that E[U U'] is 1 / dk times the identity."""
        return np.sign(normals) / np.sqrt(normals.shape[-2] * normals.shape[-1])
