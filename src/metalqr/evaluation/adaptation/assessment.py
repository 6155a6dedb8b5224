"""Assessment of starting gains: adapted to unseen tasks by the exact gradient and by estimators, at two step sizes."""

import numpy as np

from metalqr.config.algorithm import MetaSettings
from metalqr.evaluation.adaptation import measures
from metalqr.evaluation.adaptation.addresses import Part, noise
from metalqr.evaluation.adaptation.paths import adapt_by_rollouts, adapt_exactly
from metalqr.evaluation.adaptation.protocol import Assessment, Protocol, UnseenTasks
from metalqr.lqr import FloatArray, LQRTasks, cost
from metalqr.optimal import optimal_gains


def with_optima(tasks: LQRTasks, K0: FloatArray) -> UnseenTasks:
    """Solve for the optima of unseen tasks; an initial gain (k, d) gives the scale of a cost."""
    best = optimal_gains(tasks)
    return UnseenTasks(tasks, best.K, best.cost, measures.is_relative(best.cost, cost(tasks, K0)))


def assess(
    starts: FloatArray,
    own_rate: float,
    validation: UnseenTasks,
    test: UnseenTasks,
    protocol: Protocol,
    share_rate: bool = False,
) -> Assessment:
    """Adapt n gains (n, k, d) to the test tasks, with ``own_rate`` and with a step size tuned on the validation tasks.

    The tuned one has the lowest median gap after the last step, over validation tasks and repetitions; with
    ``share_rate`` over the starts as well, which then are one method: the runs of one configuration.
    """
    rates = np.sort(np.asarray(protocol.learning_rates, dtype=np.float64))
    excess, chosen, scores = [], [], []
    for settings in protocol.estimators.values():
        tried = np.repeat(rates[:, np.newaxis], len(starts), axis=1)
        gaps = validation.gaps(_costs(validation, starts, tried, settings, protocol, Part.VALIDATION))
        axes = (1, 2, 3) if share_rate else (2, 3)
        medians = measures.median(gaps[..., -1], axes).reshape(len(rates), -1)
        scores.append(np.broadcast_to(medians, tried.shape).T)
        best = np.broadcast_to(rates[measures.best_rate(medians)], len(starts))
        both = np.stack([np.full(len(starts), own_rate), best])
        costs = _costs(test, starts, both, settings, protocol, Part.TEST)
        excess.append(np.moveaxis(costs - test.optimal_cost[:, np.newaxis], 0, 1))
        chosen.append(both.T)
    whole = np.stack(excess, axis=1)
    return Assessment(whole, measures.regret(whole), np.stack(chosen, axis=1), np.stack(scores, axis=1))


def _costs(
    unseen: UnseenTasks,
    starts: FloatArray,
    rates: FloatArray,
    settings: MetaSettings | None,
    protocol: Protocol,
    part: Part,
) -> FloatArray:
    """Costs (C, n, R, I, s + 1) at step sizes (C, n)."""
    gains, steps, repeats = np.tile(starts, (len(rates), 1, 1)), protocol.steps, range(protocol.repeats)
    if settings is None:
        once = adapt_exactly(unseen.tasks, gains, rates.ravel(), steps)
        found = np.repeat(once[:, np.newaxis], protocol.repeats, axis=1)
    else:
        streams = [noise(protocol.seed, repeat, part) for repeat in repeats]
        stand_in = unseen.optimal_gain
        each = [
            adapt_by_rollouts(unseen.tasks, gains, rates.ravel(), steps, settings, stream, stand_in)
            for stream in streams
        ]
        found = np.stack(each, axis=1)
    return found.reshape(*rates.shape, *found.shape[1:])
