"""The one-point zeroth-order estimator with a leave-one-out baseline."""

from metalqr.config.registries import estimators
from metalqr.estimators.estimator import Estimator


@estimators.register("one_point_baseline")
class OnePointBaseline(Estimator):
    r"""The cost of each perturbed policy less the mean of those of the others.

    .. math:: c_m = f(K + U_m) - \frac{1}{M - 1} \sum_{j \ne m} f(K + U_j)

    Given the others, :math:`U_m` has the mean zero, so the mean of the estimate is that of ``one_point``. The value of
    F itself cancels: what remains of the covariance is :math:`\frac{dk}{r^2 (M - 1)} \operatorname{Var} f` and a term
    that does not grow as r shrinks. It needs at least two perturbations.

    Source: a leave-one-out control variate, as in Kool, van Hoof, Welling (2019), *Buy 4 REINFORCE Samples, Get a
    Baseline for Free!*
    """

    leaves_one_out = True
    min_perturbations = 2
