"""Norms of stacks of matrices."""

import numpy as np

from metalqr.lqr import FloatArray


def spectral(matrices: FloatArray) -> FloatArray:
    """Largest singular values, the norm without index in the paper, shape (...)."""
    return np.asarray(np.linalg.norm(matrices, ord=2, axis=(-2, -1)))


def frobenius(matrices: FloatArray) -> FloatArray:
    """Frobenius norms, shape (...)."""
    return np.asarray(np.linalg.norm(matrices, axis=(-2, -1)))
