"""Made-up results of the exact first-order methods, with gaps that shrink by known rates."""

from typing import Any

import numpy as np

from metalqr.evaluation.exact_methods import Descent, MetaDescent, Method

#: Rates of three tasks for each method; the median task of gradient descent is the last.
RATES = {
    Method.GRADIENT_DESCENT: [0.9, 0.97, 0.95],
    Method.NATURAL_GRADIENT: [0.6, 0.5, 0.8],
    Method.GAUSS_NEWTON: [1e-5, 1e-3, 1e-4],
}
META_RATE = 0.98


def descent(method: Method, iterations: int = 40, state_dim: int = 2, action_dim: int = 1, **changes: Any) -> Descent:
    """A descent of three tasks."""
    rates = np.array(RATES[method])
    arrays = {
        "K": np.zeros((iterations + 1, 3, action_dim, state_dim)),
        "gap": np.array([3.0, 2.0, 1.0]) * rates ** np.arange(iterations + 1)[:, np.newaxis],
        "step": np.array([0.1, 0.2, 0.3]),
        "curvature": np.array([5.0, 4.0, 3.0]),
        "guaranteed_rate": 1.0 - 0.1 * (1.0 - rates),
        "asymptotic_rate": rates**0.5,
        "linearised_rate": rates**0.9,
        "measured_rate": rates,
    }
    return Descent(method=method, **(arrays | changes))


def meta_descent(iterations: int = 40, state_dim: int = 2, action_dim: int = 1) -> MetaDescent:
    """A descent on the meta-objective."""
    return MetaDescent(
        K=np.zeros((iterations + 1, action_dim, state_dim)),
        gap=5.0 * META_RATE ** np.arange(iterations + 1),
        step=0.004,
        curvature=77.0,
        asymptotic_rate=0.99,
        linearised_rate=0.981,
        measured_rate=META_RATE,
    )
