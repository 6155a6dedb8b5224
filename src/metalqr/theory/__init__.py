"""The theory of Sections 4 and 5 and Appendices A to C: constants, sample sizes, conditions, and their audit.

Every statement comes as ``printed``, the paper to the letter, and ``corrected``, as ``docs/errata.md`` proves it.
"""

from metalqr.common.lazy import lazy_names
from metalqr.systems.random_tasks import random_task_set
from metalqr.theory.assumptions import unmet
from metalqr.theory.auditing import Audit, Comparison, audit, compare
from metalqr.theory.bounds import absent_constants, constants, gradient_domination, sublevel_constants
from metalqr.theory.concentration import bernstein_sample_size, noise_horizon
from metalqr.theory.result import Form, Quantities, Quantity
from metalqr.theory.sample_sizes import gradient_estimation, horizons, meta_gradient_estimation
from metalqr.theory.sublevel import SublevelSet
from metalqr.theory.theorems import absent_requirements, largest_step_sizes, requirements

__all__ = [
    "Audit",
    "Comparison",
    "Form",
    "Quantities",
    "Quantity",
    "SublevelSet",
    "absent_constants",
    "absent_requirements",
    "audit",
    "bernstein_sample_size",
    "compare",
    "constants",
    "gradient_domination",
    "gradient_estimation",
    "horizons",
    "largest_step_sizes",
    "meta_gradient_estimation",
    "noise_horizon",
    "random_task_set",
    "requirements",
    "sublevel_constants",
    "unmet",
]

#: The certificates need none of the theory above, and what uses the theory as a whole does not depend on them.
__getattr__ = lazy_names(__name__, {"certificates": "metalqr.theory.certificates:"})
