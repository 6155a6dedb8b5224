"""Gradients from the costs of noisy rollouts, without the model: Algorithms 1 and 2, and a file for each estimator."""

from typing import TYPE_CHECKING

from metalqr.common.lazy import lazy_names

if TYPE_CHECKING:
    from metalqr.estimators.estimator import Estimator
    from metalqr.estimators.meta import estimate_gradient, estimate_meta_gradient, estimate_with_counts
    from metalqr.estimators.variance import Covariance, How, covariance

__all__ = [
    "Covariance",
    "Estimator",
    "How",
    "covariance",
    "estimate_gradient",
    "estimate_meta_gradient",
    "estimate_with_counts",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Covariance": "metalqr.estimators.variance",
        "Estimator": "metalqr.estimators.estimator",
        "How": "metalqr.estimators.variance",
        "covariance": "metalqr.estimators.variance",
        **dict.fromkeys(
            ("estimate_gradient", "estimate_meta_gradient", "estimate_with_counts"), "metalqr.estimators.meta"
        ),
    },
)
