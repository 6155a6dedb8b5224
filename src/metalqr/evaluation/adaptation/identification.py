"""Certainty equivalence beside adaptation: as many rollout steps, from whose states each task is identified."""

from dataclasses import dataclass

import numpy as np

from metalqr.evaluation.adaptation.addresses import Part, noise
from metalqr.evaluation.adaptation.protocol import Assessment, Protocol, UnseenTasks
from metalqr.evaluation.certainty_equivalence import certainty_equivalence
from metalqr.lqr import FloatArray, LQRTasks, cost, evaluate


@dataclass(frozen=True, eq=False)
class _Budget:
    """Rollouts that each estimator takes."""

    rollout_length: int
    steps: tuple[int, ...]  # rollout steps after each adaptation step


def assess_certainty_equivalence(
    K0: FloatArray, exploration: float, test: UnseenTasks, protocol: Protocol
) -> Assessment:
    r"""Identify each test task from the rollout steps that each estimator takes, and use the optimum of the model.

    At step 0 the gain is K0 (k, d), of whose rollouts with exploration :math:`N(0, \sigma_u^2 I)` the data are. What
    cannot be identified, or is not stabilised, is infinite. There is no exact form, which is NaN.

    The regret of a step is the excess cost of a rollout of K0, with :math:`\sigma_u^2 \mathrm{Tr}(R + B^\top P B)` for
    exploration in a stage cost: the steps collect data, and change no gain.
    """
    shape = protocol.repeats, test.tasks.count, protocol.steps + 1
    first = cost(test.tasks, K0) - test.optimal_cost
    of_exploration = _exploration_cost(test.tasks, K0, first, exploration)
    known: dict[_Budget, FloatArray] = {}
    excess, regret = [], []
    for name, settings in protocol.estimators.items():
        if settings is None:
            excess.append(np.full(shape, np.nan))
            regret.append(np.full(shape, np.nan))
            continue
        every = protocol.rollout_steps[name]
        budget = _Budget(settings.rollout_length, tuple(every * step for step in range(1, protocol.steps + 1)))
        if budget not in known:
            known[budget] = _costs(K0, exploration, test.tasks, protocol, budget)
        later = known[budget] - test.optimal_cost[:, np.newaxis]
        start = np.broadcast_to(first[:, np.newaxis], (protocol.repeats, test.tasks.count, 1))
        excess.append(np.concatenate([start, later], axis=-1))
        # The cost of a rollout is a mean over its stages, or a sum.
        stages = settings.rollout_length if test.tasks.noise == "initial_state" else 1
        of_step = np.repeat((first + stages * of_exploration)[:, np.newaxis], protocol.steps, axis=1)
        sums = np.concatenate([np.zeros((test.tasks.count, 1)), np.cumsum(of_step, axis=1)], axis=1)
        regret.append(np.broadcast_to(sums, shape))
    one = (1, len(excess), 2)
    rates = np.full((1, len(excess), len(protocol.learning_rates)), np.nan)

    def both(values: list[FloatArray]) -> FloatArray:
        """The same for either choice of a step size, which there is none of."""
        return np.repeat(np.stack(values)[np.newaxis, :, np.newaxis], 2, axis=2)

    return Assessment(both(excess), both(regret), np.full(one, np.nan), rates)


def _costs(K0: FloatArray, exploration: float, tasks: LQRTasks, protocol: Protocol, budget: _Budget) -> FloatArray:
    """Costs (R, I, s) of the gains of the models; infinite for fewer data than unknowns."""
    found = np.full((protocol.repeats, tasks.count, len(budget.steps)), np.inf)
    enough = [step for step in budget.steps if step >= tasks.state_dim + tasks.action_dim]
    if enough:
        for repeat in range(protocol.repeats):
            stream = noise(protocol.seed, repeat, Part.IDENTIFICATION)
            length = budget.rollout_length
            identified = certainty_equivalence(tasks, K0, enough, exploration, stream, rollout_length=length)
            found[repeat, :, -len(enough) :] = identified.cost[:, 0]
    return found


def _exploration_cost(tasks: LQRTasks, K0: FloatArray, excess: FloatArray, exploration: float) -> FloatArray:
    """Cost of the exploration in a stage, where K0 is stable, and zero elsewhere."""
    found, stable = np.zeros(tasks.count), np.flatnonzero(np.isfinite(excess))
    if stable.size:
        curvature = evaluate(tasks.subset(stable), K0).input_curvature
        found[stable] = exploration**2 * np.einsum("iaa->i", curvature)
    return found
