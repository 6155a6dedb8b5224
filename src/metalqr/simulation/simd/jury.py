"""Stability of closed loops of one or two states, without eigenvalues: every iteration counts the unstable ones."""

import numpy as np

from metalqr.simulation.simd.jit import compiled

#: The criterion is that for polynomials up to this degree.
MAX_STATES = 2


@compiled()
def count_unstable(A, B, task_of_slot, gains):
    """Count the gains (slots, count, k, d) that leave the closed loop of their task unstable; d is 1 or 2."""
    slots, count, action_dim, state_dim = gains.shape
    loop = np.zeros((2, 2))  # with a second state that is always zero where there is one
    unstable = 0
    for slot in range(slots):
        task = task_of_slot[slot]
        for policy in range(count):
            for row in range(state_dim):
                for column in range(state_dim):
                    entry = A[task, row, column]
                    for action in range(action_dim):
                        entry -= B[task, row, action] * gains[slot, policy, action, column]
                    loop[row, column] = entry
            # Jury's criterion: both roots of z^2 - trace z + determinant are inside the unit circle. It does not hold
            # where an entry is not finite.
            trace = loop[0, 0] + loop[1, 1]
            determinant = loop[0, 0] * loop[1, 1] - loop[0, 1] * loop[1, 0]
            unstable += not (determinant < 1.0 and abs(trace) < 1.0 + determinant)
    return unstable
