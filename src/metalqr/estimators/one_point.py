"""The one-point zeroth-order estimator with sphere smoothing: the paper's Algorithm 1."""

from metalqr.config.registries import estimators
from metalqr.estimators.estimator import Estimator


@estimators.register("one_point")
class OnePoint(Estimator):
    r"""The cost of one perturbed policy for each perturbation: :math:`c_m = f(K + U_m)`.

    Its mean is the gradient of F averaged over the ball of radius r; its covariance is about
    :math:`\frac{dk}{r^2 M} E f^2` in every direction.

    Source: Algorithm 1 of the paper; Flaxman, Kalai, McMahan (2005).
    """
