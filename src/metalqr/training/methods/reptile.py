"""Reptile: towards the mean of the gains that the tasks reach in a few gradient steps each."""

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array
from metalqr.training.inner_steps import InnerStepsMethod


@methods.register("reptile")
class Reptile(InnerStepsMethod):
    r"""Descent along the mean displacement of the tasks' gains after s gradient steps each.

    .. math:: g = \sum_i p_i \frac{K - K_i^s}{\eta} = \sum_i p_i \sum_{j < s} \hat g_i(K_i^j), \qquad
              K_i^0 = K, \quad K_i^{j+1} = K_i^j - \eta \hat g_i(K_i^j)

    With s = 1 that is ``mean_cost``. As g grows with s, a good ``learning_rate`` shrinks with it; so that it means the
    same during a ``warm_up``, the gradient of the mean cost is followed s times. For s > 1 its mean is no gradient of
    any objective; :func:`metalqr.objectives.adaptation.bias` compares it with the meta-gradient.

    Source: Nichol, Achiam, Schulman (2018), *On First-Order Meta-Learning Algorithms*.
    """

    @property
    def mean_cost_factor(self) -> float:
        """The number of inner steps."""
        return float(self.own.inner_steps)

    def found(self, gradients: Array, displacement: Array) -> Array:
        """The sum of the gradients."""
        return gradients
