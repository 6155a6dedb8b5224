"""Directions in orthogonal blocks."""

from typing import TYPE_CHECKING

import numpy as np

from metalqr.config.registries import directions
from metalqr.estimators.directions.directions import Directions

if TYPE_CHECKING:
    from metalqr.estimators.estimator import Array
    from metalqr.estimators.neighbourhood import DirectionLaw


@directions.register("orthogonal")
class Orthogonal(Directions):
    r"""Blocks of orthogonal directions: columns of Haar-random orthonormal matrices, times r.

    A block has dk directions, the last one those that are left over; blocks are independent. Each direction alone is
    uniform on the sphere :math:`\|U\|_F = r`, so the mean of an estimate is that of ``sphere``. No two directions of a
    block say the same, so the variance is smaller where noise is not most of it.

    Source: Choromanski et al. (2018), *Structured Evolution with Compact Architectures for Scalable Policy
    Optimization*.
    """

    is_on_sphere = True
    rotation_invariant = True

    def law(self, radius: float, size: int, nodes: int) -> "DirectionLaw":
        """One length, in blocks."""
        from metalqr.estimators.neighbourhood import DirectionLaw

        return DirectionLaw(np.array([radius]), np.ones(1), block=size)

    def from_normals(self, normals: "Array") -> "Array":
        """The columns of Q of the normals' QR decomposition, the diagonal of R positive."""
        from metalqr.simulation.simd.orthogonal import orthogonal_blocks

        flat = normals.reshape(*normals.shape[:2], -1)
        return orthogonal_blocks(flat, 1.0).reshape(normals.shape)
