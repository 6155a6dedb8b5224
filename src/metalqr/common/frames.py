"""Random orthonormal frames, over which averages of smooth functions of a direction vary little."""

import numpy as np
from numpy.typing import NDArray


def orthonormal_frames(count: int, directions: int, size: int, seed: int) -> NDArray[np.float64]:
    """Frames of so many orthonormal directions of so many entries, shape (count, directions, size).

    Their distribution is uniform up to the signs of the directions, which averages over both signs do not see.
    """
    normals = np.random.default_rng(seed).standard_normal((count, size, directions))
    return np.linalg.qr(normals)[0].swapaxes(1, 2)
