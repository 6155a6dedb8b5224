"""The theory of Sections 4 and 5 and Appendices A to C: constants, sample sizes, conditions, and their audit.

Every statement comes as ``printed``, the paper to the letter, and ``corrected``, as ``docs/errata.md`` proves it.
"""

from metalqr.theory.audit import Audit, Comparison, audit, compare, random_task_set
from metalqr.theory.constants import constants, gradient_domination, sublevel_constants
from metalqr.theory.estimation import (
    bernstein_sample_size,
    covariance_horizon,
    gradient_estimation,
    horizon,
    meta_gradient_estimation,
    noise_horizon,
    rollout_gain,
)
from metalqr.theory.result import Form, Quantities, Quantity
from metalqr.theory.sublevel import SublevelSet
from metalqr.theory.theorems import largest_step_sizes, requirements, theorem_constants

__all__ = [
    "Audit",
    "Comparison",
    "Form",
    "Quantities",
    "Quantity",
    "SublevelSet",
    "audit",
    "bernstein_sample_size",
    "compare",
    "constants",
    "covariance_horizon",
    "gradient_domination",
    "gradient_estimation",
    "horizon",
    "largest_step_sizes",
    "meta_gradient_estimation",
    "noise_horizon",
    "random_task_set",
    "requirements",
    "rollout_gain",
    "sublevel_constants",
    "theorem_constants",
]
