"""A common stabilising gain found without the model, from rollouts whose later costs count less and less so."""

from typing import TYPE_CHECKING

from metalqr.config import settings
from metalqr.config.registries import initial_gains
from metalqr.config.settings import Count, Radius, Real, setting
from metalqr.initial_gains.initial_gain import InitialGain
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.systems.family import Family

if TYPE_CHECKING:
    from metalqr.config.sizes import Sizes
    from metalqr.simulation.user import SimulatedTasks


@initial_gains.register("annealed")
class Annealed(InitialGain):
    r"""A gain from discount annealing: descents on costs with a discount that rises to 1, from rollouts alone.

    The discounted cost of a rollout without process noise, from :math:`x_0 \sim N(0, \Sigma_0)`, is

    .. math:: \tilde J(K; \gamma) = \sum_{t=0}^{\ell-1} \gamma^t g(x_t, -K x_t), \qquad x_{t+1} = (A - BK) x_t,

    the plain cost of the plant :math:`(\sqrt\gamma A, \sqrt\gamma B)`. Start with K = 0 and the first of
    :math:`\gamma = 1, \frac12, \frac14, \dots` at which it is finite for every task: rollouts of twice the length cost
    at most 1.1 times as much. Then, in each round,

    1. descend on its mean over the tasks along two-point estimates of the gradient with common noise, until ten steps
       lower it by less than the fraction ``gap``;
    2. at :math:`\gamma = 1`, end; or double the rollouts, if their cost is not finite in the sense above, up to 256
       times their first length;
    3. raise :math:`\gamma` to the largest value up to 1 at which K costs at most ``multiple`` times as much.

    Each round has initial states of its own. A task whose :math:`\Sigma_0` is singular starts from N(0, I), since a
    mode that no initial state excites would stay as it is. A simulator of the user's makes the same sum, of its own
    initial states; those of a nonlinear one should be near the equilibrium.

    Source: Perdomo, Umenberger, Simchowitz (2021), *Stabilizing Dynamical Systems via Policy Gradient Methods*,
    Figure 1: there the initial states are uniform on a sphere, the multiple is from 2.5 to 8, and the step size is
    fixed.
    """

    simulates = True
    needs_model = False

    class Settings(settings.Settings):
        """What a round takes, and how many there are."""

        gap: Real = setting(
            0.05, about="a descent ends when ten steps lower the cost by less than this fraction", above=0, below=1
        )
        multiple: Real = setting(
            4.0, about="a raised discount multiplies the cost by at most this", label="multiple of the cost", above=1
        )
        perturbations: Count = setting(
            200, symbol="M", about="pairs of rollouts of an estimate for each task, and rollouts of a cost"
        )
        smoothing_radius: Radius = setting(1.0e-4, symbol="r", about="Frobenius norm of every perturbation")
        rollout_length: Count = setting(
            100, symbol=r"\ell", unit="steps", about="steps of a rollout at first; doubled where too few at the end"
        )
        iterations: Count = setting(200, about="maximum number of steps of a descent")
        rounds: Count = setting(50, about="maximum number of descents")

    def need(self, sizes: "Sizes") -> tuple[float, float]:
        """Perturbed gains and their directions, in orthogonal blocks; a tenth of the steps that may be.

        A step has an estimate and on average two costs.
        """
        chosen, size = self.settings, sizes.gain
        pairs = sizes.tasks * chosen.perturbations
        steps = 0.1 * chosen.rounds * chosen.iterations
        rollouts = 4 * pairs * (chosen.rollout_length * sizes.step_seconds + 2e-8 * size)
        blocks = 1e-9 * pairs * size * min(size, chosen.perturbations)
        return 16 * pairs * size + 4 * sizes.matrices, steps * (rollouts + blocks + 1e-3)

    def gain(self, tasks: "LQRTasks | SimulatedTasks", family: Family, seed: int) -> FloatArray:
        """Find the gain.

        Raises
        ------
        SimulatorError
            If a simulator cannot discount its costs.
        AnnealingError
            If no gain is found; the message names the discount that was reached and a task.
        """
        from metalqr.initial_gains.annealing import WITH_MODEL, WITHOUT_MODEL, Annealing
        from metalqr.simulation.lqr_rollouts import LQRSimulator
        from metalqr.simulation.simulator import Simulator
        from metalqr.simulation.user import UserSimulator

        simulator: Simulator
        if isinstance(tasks, LQRTasks):
            simulator, remedy = LQRSimulator(from_random_states(tasks)), WITH_MODEL
        else:
            simulator, remedy = UserSimulator(tasks, discounts=True), WITHOUT_MODEL
        return Annealing(simulator, self.settings, seed, remedy).gain()


def from_random_states(tasks: LQRTasks) -> LQRTasks:
    """The same plants without process noise, all tasks equally likely, each with a definite Sigma0."""
    import numpy as np

    from metalqr.lqr.tasks import definite

    is_definite = definite(tasks.Sigma0)[:, np.newaxis, np.newaxis]
    spread = np.where(is_definite, tasks.Sigma0, np.eye(tasks.state_dim))
    return LQRTasks(tasks.A, tasks.B, tasks.Q, tasks.R, None, spread, S=tasks.S, noise="initial_state")
