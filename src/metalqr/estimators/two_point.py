"""The two-point zeroth-order estimator: a difference of costs on both sides of a gain."""

from metalqr.config.registries import estimators
from metalqr.estimators.estimator import Estimator


@estimators.register("two_point")
class TwoPoint(Estimator):
    r"""Half the difference of the costs at two opposite policies: :math:`c_m = \frac12 (f(K + U_m) - f(K - U_m))`.

    The mean is that of ``one_point``, the gradient of F averaged over the ball of radius r. The value of F itself
    cancels: where both rollouts of a pair have noise of their own, what remains of the covariance is
    :math:`\frac{dk}{2 r^2 M} \operatorname{Var} f` and a term that does not grow as r shrinks. With ``common_noise``
    both see the same initial state and noise, and only the second term remains; a simulation can do that, no plant can.
    It takes two rollouts for each perturbation.

    Source: Malik et al. (2019), *Derivative-Free Methods for Policy Optimization*; Toso et al. (2024).
    """

    signs = (1, -1)
    weights = (0.5, -0.5)
    makes_pairs = True
    needs = "pairs of rollouts; with common_noise, a simulator that replays its noise"
