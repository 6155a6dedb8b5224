"""What the statements of the theory assume of the tasks, beyond what tasks are."""

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr import FloatArray, LQRTasks
from metalqr.lqr.tasks import definite
from metalqr.theory.result import Form


def unmet(tasks: LQRTasks, form: Form | str) -> str:
    r"""First assumption that tasks do not meet, in words; empty if the statements apply.

    They divide by :math:`q = \min_i \sigma_{\min}(Q_i)` and by :math:`\mu = \min_i \sigma_{\min}(\Psi_i)`, as printed
    also by that of :math:`\Sigma_{0,i}`, and have no cross term; and the noise is that of the process.
    """
    if tasks.noise != "process":
        return f"noise is {tasks.noise}: the theory is corrected, and checked, for process noise"
    divisors = [("Q", "q, the smallest weight"), ("Psi", "μ, the smallest variance")]
    if Form(form) is Form.PRINTED:
        divisors.append(("Sigma0", "μ as printed, the smallest variance"))
    for name, what in divisors:
        if task := _first(~definite(getattr(tasks, name))):
            return f"{name} of task {task} is singular: {what} of a state, is 0, and divides the constants"
    if task := _first(np.asarray(tasks.S.any(axis=(1, 2)))):
        return f"task {task} has a cross term S: the theory is stated, and proved, without one"
    return ""


def require(tasks: LQRTasks, form: Form | str) -> None:
    """Refuse tasks to which the statements of a form do not apply.

    Raises
    ------
    ValueError
        With the assumption that they do not meet.
    """
    if reason := unmet(tasks, form):
        raise ValueError(f"{reason}; this part of the theory is left out")


def covariance_factor(covariances: FloatArray) -> FloatArray:
    """Square factors of covariances, which may be singular, shape (n, d, d)."""
    if definite(covariances).all():
        return np.asarray(np.linalg.cholesky(covariances))
    variances, vectors = np.linalg.eigh(covariances)
    return np.asarray(vectors * np.sqrt(np.maximum(variances, 0.0))[:, np.newaxis])


def _first(where: NDArray[np.bool_]) -> str:
    """The first task for which it is true, as text; empty if there is none."""
    found = np.flatnonzero(where)
    return str(found[0]) if found.size else ""
