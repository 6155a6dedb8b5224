"""Made-up results of the exact first-order methods, with gaps that shrink by known rates."""

from typing import Any

import numpy as np
from systems import Array

from metalqr.evaluation.exact_methods.dataset import ExactDescent

#: Rates of three tasks for each method; the median task of gradient descent is the last.
GAP_RATES = {
    "gradient_descent": [0.9, 0.97, 0.95],
    "natural_gradient": [0.6, 0.5, 0.8],
    "gauss_newton": [1e-5, 1e-3, 1e-4],
}
META_RATE = 0.98


def descent(method: str, iterations: int = 40, **changes: Array) -> ExactDescent:
    """A descent of three tasks with d = 2 and k = 1."""
    rates = np.array(GAP_RATES[method])
    arrays: dict[str, Any] = {
        "K": np.zeros((iterations + 1, 3, 1, 2)),
        "gap": np.array([3.0, 2.0, 1.0]) * rates ** np.arange(iterations + 1)[:, np.newaxis],
        "step": np.array([0.1, 0.2, 0.3]),
        "curvature": np.array([5.0, 4.0, 3.0]),
        "guaranteed_rate": 1.0 - 0.1 * (1.0 - rates),
        "asymptotic_rate": rates**0.5,
        "linearised_rate": rates**0.9,
        "measured_rate": rates,
    }
    return ExactDescent(method=method, **(arrays | changes))


def meta_descent() -> ExactDescent:
    """A descent on the meta-objective."""
    return ExactDescent(
        method="exact_maml",
        K=np.zeros((41, 1, 1, 2)),
        gap=5.0 * META_RATE ** np.arange(41.0)[:, np.newaxis],
        step=np.array([0.004]),
        curvature=np.array([77.0]),
        guaranteed_rate=np.array([np.nan]),
        asymptotic_rate=np.array([0.99]),
        linearised_rate=np.array([0.981]),
        measured_rate=np.array([META_RATE]),
    )
