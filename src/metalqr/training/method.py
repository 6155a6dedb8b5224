"""The base of all training methods: a direction at a gain, which the loop follows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from metalqr.config.registries import estimators, methods, update_rules
from metalqr.config.registry import Plugin
from metalqr.estimators.estimator import Array, Direction, Memory
from metalqr.training.updates.update_rule import UpdateRule, separate, together

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.lqr import LQRTasks
    from metalqr.simulation.streams import Stream


class Work(NamedTuple):
    """Simulations of an iteration."""

    policies: int  # perturbed policies that are held in memory, all tasks together
    rollouts: int  # all rollouts, those inside an adaptation included
    rounds: int = 1  # number of times that so many policies are tried in turn
    #: Policies that are held in memory beside: those of adaptations where compiled rollouts do not make them.
    inner: int = 0

    @property
    def tried(self) -> int:
        """Perturbed policies that an iteration tries: the most that can be unstable."""
        return self.policies * self.rounds


class TaskSource(Protocol):
    """Tasks for every iteration, such as those of :class:`metalqr.systems.resampling.ResampledTasks`."""

    def tasks(self, run_seed: int, iteration: int) -> "LQRTasks":
        """The tasks of an iteration among those of others; the same object for all of these."""

    def places(self, iteration: int) -> NDArray[np.int64]:
        """The places of the tasks of an iteration among these."""

    def redrawn(self, run_seed: int, iterations: int) -> int:
        """Number of draws without a stabilising gain in the first iterations."""


class Problem(NamedTuple):
    """The problem that a method solves, from a gain K0 (k, d) that stabilises every task.

    Where tasks are resampled, ``tasks`` are held out: costs are theirs, and each iteration has tasks of its own.
    """

    tasks: "LQRTasks"
    K0: Array
    settings: "MetaSettings"
    resampled: TaskSource | None = None


@dataclass(frozen=True, eq=False)
class State:
    """The state of a run, and the results of the step that led to it; every step must give the gradient norm."""

    K: Array  # (k, d), the gain of all tasks, or (I, k, d), one for each
    memory: Memory = field(default_factory=dict)  # state of method and update rule beside the gain; saved with a run
    gradient_norm: float = np.nan  # Frobenius norm of the direction followed; infinite where rollouts overflowed
    rollout_steps: int = 0  # as in Direction, of the step
    unstable_perturbations: int = 0


class Method(Plugin):
    r"""A training method: :math:`K_{n+1} = K_n - \alpha g_n`, where :meth:`direction` gives :math:`g_n`.

    An update rule other than ``gradient`` makes another update of the directions, which takes the place of :math:`g_n`.
    The first ``warm_up`` directions are those of :meth:`mean_direction`, and ``learning_rate_decay`` makes
    :math:`\alpha / (1 + n / n_d)` of the learning rate.

    Attributes
    ----------
    settings : MetaSettings
        All settings of the run; those of the method itself are ``own``.
    learning_rate : float or array
        :math:`\alpha` of the first step; an array that broadcasts to the gain gives every task one of its own.
    rule : UpdateRule
        What makes the update of the directions.
    """

    #: True if every task has its own gain; K is then (I, k, d).
    gain_per_task: ClassVar[bool] = False
    #: True if it uses the model instead of rollouts.
    is_exact: ClassVar[bool] = False
    #: True if its steps are prescribed, by theory or a bound, so that no update rule may change them.
    is_step_prescribed: ClassVar[bool] = False
    #: True if it has the two layers of Algorithm 2, of which the inner one adapts.
    has_inner_layer: ClassVar[bool] = False
    #: True if it adapts its gain to every task by steps of ``adaptation_rate``: the gain should be MAML-stabilising.
    is_adaptive: ClassVar[bool] = False
    #: True if it can have other tasks in every iteration, which :meth:`begin` chooses.
    can_resample: ClassVar[bool] = False

    def __init__(self, problem: Problem) -> None:
        self.tasks, self.K0, self.settings, self.resampled = problem
        self.own = self.settings.of(type(self))
        self.learning_rate: float | Array = self.settings.learning_rate
        self.rule: UpdateRule = update_rules.get(self.settings.update_rule)(self.settings)

    @classmethod
    def work(cls, count: int, settings: "MetaSettings") -> Work:
        """The simulations of an iteration; ``count`` is the number of tasks. By default none."""
        return Work(0, 0)

    @classmethod
    def warm_up_work(cls, count: int, settings: "MetaSettings") -> Work:
        """The simulations of an iteration of the warm-up. By default none."""
        return Work(0, 0)

    @classmethod
    def adapts(cls, settings: "MetaSettings") -> bool:
        """Whether it estimates gradients inside Algorithm 2, as the settings of the inner layer say."""
        return cls.has_inner_layer and settings.adaptation_rate > 0

    @classmethod
    def has_own_step(cls) -> bool:
        """True if ``gradient`` is its only update rule: its steps are prescribed, or it overrides ``step``."""
        return cls.is_step_prescribed or cls.step is not Method.step

    @classmethod
    def has_warm_up(cls) -> bool:
        """True if it overrides ``mean_direction``, so that iterations without an adaptation may come first."""
        return cls.mean_direction is not Method.mean_direction

    def init(self) -> State:
        """The state at K_0."""
        shape = (self.tasks.count, *self.K0.shape[-2:])
        return State(np.broadcast_to(self.K0, shape) if self.gain_per_task else self.K0)

    def begin(self, stream: "Stream") -> None:
        """Prepare the iteration of a stream, before its :meth:`step`."""

    def direction(self, state: State, stream: "Stream") -> Direction:
        """The direction of the next step; the stream is the address of the random numbers of this iteration."""
        raise NotImplementedError(f"{type(self).__name__} overrides neither direction nor step")

    def mean_direction(self, state: State, stream: "Stream") -> Direction:
        """The direction of an iteration of the warm-up: the gradient of the mean cost, as long as ``direction`` is."""
        raise NotImplementedError(f"{type(self).__name__} does not override mean_direction")

    def concerns(self, K: Array) -> Iterator[str]:
        """Reasons, by the model, why a run may fail from a gain on that stabilises every task, with the next steps."""
        if self.is_adaptive and self.settings.adaptation_rate > 0:
            from metalqr.training.adaptable import not_adaptable

            if reason := not_adaptable(self.tasks, K, self.settings):
                yield reason

    def step(self, state: State, stream: "Stream") -> State:
        """The state after one iteration. Override it where a step is more than an update along a direction."""
        own, of_rule = separate(state.memory)
        direction = self.mean_direction if stream.iteration < self.settings.warm_up else self.direction
        found = direction(replace(state, memory=own) if of_rule else state, stream)
        rate = self.learning_rate / self.settings.slowdown(stream.iteration)
        # Where unstable rollouts overflowed, the direction is not finite, and the state records that.
        with np.errstate(over="ignore", invalid="ignore"):
            flat = found.gradient.ravel()
            norm = math.sqrt(flat.dot(flat))
            step = rate * found.gradient
            if math.isfinite(norm):  # a rule could turn what is not finite into a step
                update, of_rule = self.rule.update(found.gradient, of_rule or self.rule.init(state.K))
                step = self.rule.limited(rate * update, state.K, self.tasks)
            K = state.K - step
        norm = norm if math.isfinite(norm) else np.inf
        return State(K, together(found.memory, of_rule), norm, found.rollout_steps, found.unstable_perturbations)


def batch_size(count: int, settings: "MetaSettings") -> int:
    """Number of tasks that an iteration uses, of so many."""
    return count if settings.task_batch == "all" else int(settings.task_batch)


def perturbed_policies(count: int, settings: "MetaSettings") -> int:
    """Number of perturbed policies around one gain for each task of a batch; ``count`` is the number of tasks."""
    return batch_size(count, settings) * estimators.get(settings.estimator).rollouts(settings.perturbations)


def work_of_layers(count: int, settings: "MetaSettings", adaptations: int) -> Work:
    """The simulations of an estimate after so many adaptations, each by an estimate of the inner layer."""
    policies = perturbed_policies(count, settings)
    estimator = settings.inner.estimator
    inner = adaptations * estimator.rollouts(settings.inner_perturbations) if settings.adaptation_rate > 0 else 0
    return Work(policies, inner + policies, inner=0 if estimator.is_compiled(settings) else inner)


def tried_policies(count: int, settings: "MetaSettings", iterations: int) -> NDArray[np.int64]:
    """Number of perturbed policies that each of the first iterations tries, (iterations,)."""
    method: type[Method] = methods.get(settings.method)
    tried = method.warm_up_work(count, settings).tried, method.work(count, settings).tried
    return np.where(np.arange(iterations) < settings.warm_up, *tried)
