"""Algorithms 1 and 2 of the paper: gradients from the costs of noisy roll-outs, without model or Hessian."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr import rollout
from metalqr.lqr import LQRTasks, common_gain, gains_per_task
from metalqr.random import Stream, perturbations, task_batch
from metalqr.settings import MetaSettings

# Powers up to 2^5 = 32 settle a spectral radius of up to about 0.9; beyond that eigenvalues are no slower.
_SQUARINGS = 5
# Directions, perturbed and adapted gains, estimates, and a copy in one piece: what an iteration holds for each policy.
_COPIES = 5


class MetaGradientEstimate(NamedTuple):
    """What Algorithm 2 found at one gain."""

    gradient: NDArray[np.float64]  # (k, d)
    rollout_steps: int  # simulated steps, all roll-outs together
    unstable_perturbations: int  # perturbed policies K + U_m that do not stabilise their task


def estimate_gradient(tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream) -> NDArray[np.float64]:
    r"""Algorithm 1, for every task at once: an estimate of the gradient of each task's cost.

    .. math:: \tilde\nabla J_i(K) = \frac1M \sum_{m=1}^M \frac{dk}{r^2} \tilde J_i^{(\ell)}(K + U_m) U_m,
              \qquad U_m \sim \mathrm{Unif}\{\|U\|_F = r\}

    Its expectation is the gradient at K of :func:`metalqr.lqr.finite_horizon_cost`, averaged over the ball of radius r.

    Parameters
    ----------
    tasks : LQRTasks
    K : ndarray, shape (k, d) or (I, k, d)
        One gain for all tasks, or one for each.
    settings : MetaSettings
        Of these, ``inner_perturbations`` (M), ``smoothing_radius`` (r), ``rollout_length`` (:math:`\ell`) and
        ``precision``.
    stream : Stream

    Returns
    -------
    ndarray, shape (I, k, d)

    Raises
    ------
    ValueError
        If K has neither shape, or holds something that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from metalqr import lqr
    >>> tasks = LQRTasks(A=[[[0.5]]], B=[[[1.0]]], Q=[[[1.0]]], R=[[[1.0]]], Psi=[[[1.0]]])
    >>> settings = MetaSettings(learning_rate=1.0e-3, adaptation_rate=0.0, inner_perturbations=1_000_000)
    >>> estimate = estimate_gradient(tasks, np.zeros((1, 1)), settings, Stream(0))
    >>> bool(abs(estimate - lqr.gradient(tasks, np.zeros((1, 1)))) < 0.2)
    True
    """
    gains = gains_per_task(tasks, K)[:, np.newaxis]
    return _algorithm_1(tasks, gains, settings, stream, np.arange(tasks.count))[:, 0]


def estimate_meta_gradient(
    tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream
) -> NDArray[np.float64]:
    r"""Algorithm 2: an estimate of the gradient of the meta-objective, with Algorithm 1 inside and no Hessian.

    For each task i of the batch and m = 1..M: draw :math:`U_m` on the sphere of radius r, estimate the gradient at
    :math:`\hat K_m = K + U_m` by Algorithm 1, adapt, :math:`K_m^i = \hat K_m - \eta \tilde\nabla J_i(\hat K_m)`, and
    simulate the adapted policy once more:

    .. math:: \tilde\nabla L(K) = \frac{1}{|T_n|} \sum_{i \in T_n} \frac1M \sum_{m=1}^M
              \frac{dk}{r^2} \tilde J_i^{(\ell)}(K_m^i) U_m^i

    With ``task_batch: all`` every task counts once with its probability :math:`p_i` instead of :math:`1/|T_n|`; for a
    uniform p that is the same.

    Parameters
    ----------
    tasks : LQRTasks
    K : ndarray, shape (k, d)
    settings : MetaSettings
    stream : Stream

    Returns
    -------
    ndarray, shape (k, d)
        Not finite where a roll-out of an unstable policy overflowed.

    Raises
    ------
    ValueError
        If K does not have the shape (k, d), or holds something that is not finite.
    MemoryError
        If the gains of all perturbed policies do not fit.

    See Also
    --------
    metalqr.meta.gradient : the exact gradient that this estimates.
    """
    return estimate_with_counts(tasks, K, settings, stream).gradient


def estimate_with_counts(tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream) -> MetaGradientEstimate:
    """:func:`estimate_meta_gradient` with the work it took and the number of perturbed policies that were unstable."""
    try:
        return _estimate(tasks, K, settings, stream)
    except MemoryError:
        batch = tasks.count if settings.task_batch == "all" else int(settings.task_batch)
        numbers = _COPIES * batch * settings.perturbations * tasks.action_dim * tasks.state_dim
        raise MemoryError(
            f"an iteration with {batch} tasks and perturbations: {settings.perturbations} takes about "
            f"{8e-9 * numbers:.2g} GB, more than there is; lower perturbations or task_batch"
        ) from None


# A roll-out of an unstable policy may overflow: the result shows it, so a warning would say nothing new.
@np.errstate(over="ignore", invalid="ignore")
def _estimate(tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream) -> MetaGradientEstimate:
    gain = common_gain(tasks, K)
    count, radius = settings.perturbations, settings.smoothing_radius
    if settings.task_batch == "all":
        batch, weights = np.arange(tasks.count), tasks.p
    else:
        batch = task_batch(stream, tasks.p, settings.task_batch)
        weights = np.full(len(batch), 1.0 / len(batch))

    directions = perturbations(stream, len(batch), count, tasks.action_dim, tasks.state_dim, radius)
    perturbed = gain + directions
    adapted = perturbed - settings.adaptation_rate * _algorithm_1(tasks, perturbed, settings, stream, batch)
    costs = rollout.costs(tasks, adapted, settings.rollout_length, stream, batch, settings.precision)
    scale = tasks.state_dim * tasks.action_dim / (radius**2 * count)
    gradient = scale * np.einsum("i,im,imkd->kd", weights, costs, directions)
    steps = len(batch) * count * (settings.inner_perturbations + 1) * settings.rollout_length
    return MetaGradientEstimate(gradient, steps, _count_unstable(tasks, perturbed, batch))


def _algorithm_1(
    tasks: LQRTasks,
    gains: NDArray[np.float64],
    settings: MetaSettings,
    stream: Stream,
    batch: NDArray[np.int64],
) -> NDArray[np.float64]:
    return rollout.smoothed_gradients(
        tasks,
        gains,
        settings.inner_perturbations,
        settings.smoothing_radius,
        settings.rollout_length,
        stream,
        batch,
        settings.precision,
    )


def _count_unstable(tasks: LQRTasks, gains: NDArray[np.float64], batch: NDArray[np.int64]) -> int:
    """How many of the gains (slots, M, k, d) leave their task's closed loop unstable."""
    closed_loops = tasks.A[batch, np.newaxis] - tasks.B[batch, np.newaxis] @ gains
    if tasks.state_dim == 1:
        return int(np.count_nonzero(~(np.abs(closed_loops) < 1.0)))
    if tasks.state_dim == 2:
        # Jury's criterion: both roots of z^2 - trace z + determinant are inside the unit circle.
        trace = closed_loops[..., 0, 0] + closed_loops[..., 1, 1]
        determinant = (
            closed_loops[..., 0, 0] * closed_loops[..., 1, 1] - closed_loops[..., 0, 1] * closed_loops[..., 1, 0]
        )
        return int(np.count_nonzero(~((determinant < 1.0) & (np.abs(trace) < 1.0 + determinant))))
    # A matrix with a power of norm below 1 is stable. Powers are much faster than eigenvalues, which decide the rest.
    undecided = closed_loops.reshape(-1, tasks.state_dim, tasks.state_dim)
    powers = undecided
    for _ in range(_SQUARINGS):
        powers = powers @ powers
        open_cases = ~(np.einsum("nij,nij->n", powers, powers) < 1.0)
        undecided, powers = undecided[open_cases], powers[open_cases]
        if not len(undecided):
            return 0
    return int(np.count_nonzero(np.abs(np.linalg.eigvals(undecided)).max(axis=-1) >= 1.0))
