"""First-order methods with exact gradients, and their rates: predicted by theory, and measured.

On every task by itself, :func:`descend`: gradient descent, natural gradient and Gauss-Newton (Section 3.1). On the
meta-objective, :func:`descend_meta`: the process that Theorem 2 is about, without the errors of the estimate.
"""

from metalqr.first_order.descent import Descent, descend
from metalqr.first_order.meta_descent import MetaDescent, descend_meta, meta_hessian
from metalqr.first_order.path import StepSizeError
from metalqr.first_order.performance import cost_change, optimality_gap
from metalqr.first_order.rates import Method

__all__ = [
    "Descent",
    "MetaDescent",
    "Method",
    "StepSizeError",
    "cost_change",
    "descend",
    "descend_meta",
    "meta_hessian",
    "optimality_gap",
]
