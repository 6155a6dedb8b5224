"""Counting unstable closed loops, many at a time and faster than by their eigenvalues."""

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr.tasks import LQRTasks

# Powers up to 2^5 = 32 settle a spectral radius of up to about 0.9; beyond that eigenvalues are no slower.
_SQUARINGS = 5


# A gain may be so large that its closed loop overflows: it is unstable.
@np.errstate(over="ignore", invalid="ignore")
def count_unstable(tasks: LQRTasks, gains: NDArray[np.float64], batch: NDArray[np.int64]) -> int:
    """How many of many gains leave the closed loop of their task unstable.

    Parameters
    ----------
    tasks : LQRTasks
    gains : array, shape (n, P, k, d)
        One that is not finite counts as unstable.
    batch : array of int, shape (n,)
        The task of each row of gains.

    Returns
    -------
    int
    """
    closed_loops = tasks.A[batch, np.newaxis] - tasks.B[batch, np.newaxis] @ gains
    if tasks.state_dim == 1:
        return int(np.count_nonzero(~(np.abs(closed_loops) < 1.0)))
    if tasks.state_dim == 2:
        # Jury's criterion: both roots of z^2 - trace z + determinant are inside the unit circle.
        trace = closed_loops[..., 0, 0] + closed_loops[..., 1, 1]
        determinant = (
            closed_loops[..., 0, 0] * closed_loops[..., 1, 1] - closed_loops[..., 0, 1] * closed_loops[..., 1, 0]
        )
        return int(np.count_nonzero(~((determinant < 1.0) & (np.abs(trace) < 1.0 + determinant))))
    # A matrix with a power of norm below 1 is stable. Powers are much faster than eigenvalues, which decide the rest.
    undecided = closed_loops.reshape(-1, tasks.state_dim, tasks.state_dim)
    powers = undecided
    for _ in range(_SQUARINGS):
        powers = powers @ powers
        open_cases = ~(np.einsum("nij,nij->n", powers, powers) < 1.0)
        undecided, powers = undecided[open_cases], powers[open_cases]
        if not len(undecided):
            return 0
    finite = np.isfinite(undecided).all(axis=(1, 2))
    radii = np.abs(np.linalg.eigvals(undecided[finite])).max(axis=-1)
    return int(np.count_nonzero(~finite) + np.count_nonzero(radii >= 1.0))
