"""First-order methods with exact gradients, and their rates: predicted by theory, and measured.

On every task by itself, :func:`descend`: gradient descent, natural gradient and Gauss-Newton (Section 3.1). On the
meta-objective, :func:`descend_meta`: the process that Theorem 2 is about, without the errors of the estimate.
"""

from metalqr.evaluation.exact_methods.descent import Descent, descend
from metalqr.evaluation.exact_methods.meta_descent import MetaDescent, descend_meta, meta_hessian
from metalqr.evaluation.exact_methods.path import StepSizeError
from metalqr.evaluation.exact_methods.rates import Method

__all__ = [
    "Descent",
    "MetaDescent",
    "Method",
    "StepSizeError",
    "descend",
    "descend_meta",
    "meta_hessian",
]
