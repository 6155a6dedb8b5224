"""Constants that the plants share."""

#: Standard gravity as the sources round it, in m/s².
GRAVITY = 9.81
#: A of the unstable system with three states that papers on federated and variance-reduced policy gradients share.
UNSTABLE_THREE = [
    [1.2, 0.5, 0.4],
    [0.01, 0.75, 0.3],
    [0.1, 0.02, 1.5],
]
