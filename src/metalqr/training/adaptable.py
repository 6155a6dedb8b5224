"""Checks that a gain can be adapted to every task, where a run begins to do that."""

import numpy as np

from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, spectral_radius
from metalqr.objectives.meta import adapted_gains


def not_adaptable(tasks: LQRTasks, K: FloatArray, settings: MetaSettings) -> str:
    """In words, that a gain (k, d) is not MAML-stabilising; empty if it is."""
    radii = spectral_radius(tasks, adapted_gains(tasks, K, settings.adaptation_rate))
    unstable = np.flatnonzero(~(radii < 1.0))
    if not unstable.size:
        return ""
    which = f"task{'s' if unstable.size > 1 else ''} {', '.join(map(str, unstable))}"
    gain, remedy = "K_0", "set warm_up, the number of iterations along the mean cost that come first"
    if settings.warm_up:
        gain, remedy = f"the gain at the end of the warm-up of {settings.warm_up}", "raise warm_up"
    return (
        f"{gain} is not MAML-stabilising at adaptation_rate: {settings.adaptation_rate:g}: after a step of adaptation "
        f"the spectral radius of {which} is up to {radii.max():.3g}, so the run may diverge; {remedy}, or lower "
        "adaptation_rate"
    )


def largest_curvature(tasks: LQRTasks, K: FloatArray, products: int = 30) -> FloatArray:
    r"""Estimate of the largest eigenvalue of each :math:`\nabla^2 J_i(K)` by power iteration, from below, (I,)."""
    evaluation = PolicyEvaluation(tasks, K)
    X, found = evaluation.gradient() + np.eye(*K.shape), np.zeros(tasks.count)
    for _ in range(products):
        X = X / np.maximum(np.linalg.norm(X, axis=(1, 2), keepdims=True), np.finfo(np.float64).tiny)
        product = evaluation.hessian_vector_product(X)
        found = np.maximum(found, np.einsum("ikd,ikd->i", X, product))
        X = product
    return found
