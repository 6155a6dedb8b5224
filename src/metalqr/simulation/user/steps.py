"""A simulator of a nonlinear system under linear feedback, from a function for one step."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.validation import finite_array, real_array, whole_number
from metalqr.simulation.streams import require_addressable
from metalqr.simulation.user.step_rollouts import System, advance, rollouts

Array = NDArray[np.float64]


class StepSimulator:
    r"""Base class of a simulator of your own that is a function for one step.

    .. math:: x_{t+1} = f(x_t, u_t, w_t), \qquad u_t = -K x_t, \qquad x_0 \sim N(m, \operatorname{diag}(\sigma_0)^2),
              \qquad w_t \sim N(0, \operatorname{diag}(\sigma)^2)

    with independent noise. A subclass names its dimensions and writes ``step``, and ``stage_cost`` unless a step costs
    :math:`x^\top Q x + u^\top R u`. These are plain Python functions of tuples of numbers, which Numba compiles when
    the first costs are asked for: about a second in each process. They may use the module ``math``; a function of your
    own that they call needs ``@numba.njit``. A division by zero gives an infinite number and no error. The rollouts
    then run in compiled loops on all threads.

    The random numbers of a rollout depend on its seed alone. So the same seed gives the same initial state and noise
    whatever the gain, and its cost has the same bits in every batch and for any number of threads. On another processor
    or system library, sine and cosine may be rounded differently.

    Attributes
    ----------
    state_dim, action_dim : int
        Dimensions d and k of states and actions.
    parameters : sequence of float
        What the functions get as their last argument, by default nothing. A ``NamedTuple`` keeps its names.
    initial_mean, initial_deviation : float or array, shape (d,)
        Mean and standard deviations of the initial state, in its units; a number is for every state. By default the
        mean is zero.
    noise : array, shape (n_w,)
        Standard deviations of w; by default there is no noise.
    Q, R : float or array, shape (d, d) or (k, k)
        Weights of the default stage cost; a number is a multiple of the identity, by default 1.

    Raises
    ------
    ValueError
        By :meth:`costs`: if an attribute or an argument has a wrong shape or value, or if a function cannot be compiled
        or returns something else than it should.

    Examples
    --------
    >>> class Cubic(StepSimulator):
    ...     state_dim, action_dim = 1, 1
    ...     initial_deviation, noise = 1.0, [0.1]
    ...
    ...     @staticmethod
    ...     def step(x, u, w, parameters):
    ...         return (1.1 * x[0] - 0.1 * x[0] ** 3 + u[0] + w[0],)
    >>> costs = Cubic().costs(gains=[[[0.5]], [[0.5]]], length=100, seeds=[7, 7])
    >>> bool(costs[0] == costs[1])
    True
    """

    state_dim: ClassVar[int]
    action_dim: ClassVar[int]
    parameters: Sequence[float] = ()
    initial_mean: ArrayLike = 0.0
    initial_deviation: ArrayLike
    noise: ArrayLike = ()
    Q: ArrayLike = 1.0
    R: ArrayLike = 1.0

    #: ``step(x, u, w, parameters)``: the next state, a tuple of d numbers.
    step: ClassVar[Callable[..., tuple[float, ...]]]
    #: ``stage_cost(x, u, parameters)``: the cost of a step, a number.
    stage_cost: ClassVar[Callable[..., float] | None] = None
    #: ``is_lost(x, parameters)``: whether the rollout ends here and costs infinitely much, as where a pole has fallen.
    is_lost: ClassVar[Callable[..., bool] | None] = None

    def costs(self, gains: ArrayLike, length: int, seeds: ArrayLike, discount: float | None = None) -> Array:
        r"""Cost of one rollout of each gain: the mean of the stage cost over the steps.

        .. math:: \frac1\ell \sum_{t=0}^{\ell-1} g(x_t, u_t)

        Parameters
        ----------
        gains : array, shape (n, k, d)
        length : int
            :math:`\ell`, steps of a rollout.
        seeds : array of int, shape (n,)
            From 0 to 2^53 - 1.
        discount : float, optional
            :math:`\gamma` in (0, 1]: the cost is then :math:`\sum_t \gamma^t g(x_t, u_t)` of the same initial states,
            without the noise w, and no rollout is lost. The initial gain ``annealed`` needs that.

        Returns
        -------
        array, shape (n,)
            Infinite where the rollout was lost or has overflowed; otherwise it may also be not a number.
        """
        system, length = self._system(), whole_number("length", length)
        d, k = system.state_dim, system.action_dim
        checked, places = _gains(gains, (k, d)), _seeds(seeds)
        if len(places) != len(checked):
            raise ValueError(f"seeds: {len(places)} for {len(checked)} gains; give one for each")
        require_addressable(1, length * max(system.noise_dim, 1))
        noise = self._numbers("noise", (system.noise_dim,))
        if discount is None:
            weights = np.full(length, 1.0 / length)
        elif 0.0 < discount <= 1.0:
            weights, noise = float(discount) ** np.arange(length), np.zeros_like(noise)
        else:
            raise ValueError(f"discount: {discount!r} is not in (0, 1]")
        initial = self._numbers("initial_mean", (d,)), self._numbers("initial_deviation", (d,))
        parameters = self._numbers("parameters", (system.parameter_count,))
        Q, R = self._numbers("Q", (d, d)), self._numbers("R", (k, k))
        found, is_whole = rollouts(
            advance(system), checked, places, weights, *initial, noise, parameters, Q, R, discount is None
        )
        if not is_whole:
            raise ValueError(
                f"a function of {system.name} raised an exception; let stage_cost return math.inf there instead"
            )
        return np.asarray(found)

    def _system(self) -> System:
        """What the compiled code depends on."""
        own = type(self)
        for name, example in (("state_dim", "2"), ("action_dim", "1"), ("initial_deviation", "0.1")):
            if not hasattr(self, name):
                raise ValueError(f"{own.__name__} has no {name}; write {name} = {example} in the class, for example")
        if not hasattr(own, "step"):
            raise ValueError(f"{own.__name__} has no step; write a function step(x, u, w, parameters) in the class")
        is_named = hasattr(type(self.parameters), "_fields")
        return System(
            name=own.__name__,
            step=own.step,
            stage_cost=own.stage_cost,
            is_lost=own.is_lost,
            state_dim=whole_number(f"{own.__name__}.state_dim", self.state_dim),
            action_dim=whole_number(f"{own.__name__}.action_dim", self.action_dim),
            noise_dim=np.size(self.noise),
            parameter_count=len(self.parameters),
            parameters=type(self.parameters) if is_named else tuple,
        )

    def _numbers(self, name: str, shape: tuple[int, ...]) -> Array:
        """An attribute as an array; a number is every entry of a vector, or every one on the diagonal of a matrix."""
        values = getattr(self, name)
        if name in _FILLED and np.ndim(values) == 0:
            values = np.multiply(values, np.ones(shape) if len(shape) == 1 else np.eye(shape[0]))
        array = finite_array(f"{type(self).__name__}.{name}", values, f"{shape}", shape)
        return np.require(array, requirements=["C", "W"])


#: Attributes that may be a number.
_FILLED = ("initial_mean", "initial_deviation", "Q", "R")


def _gains(gains: ArrayLike, shape: tuple[int, int]) -> Array:
    """Gains as the compiled code takes them; it would read wrong shapes out of bounds."""
    array = real_array("gains", gains)
    if array.ndim != 3 or array.shape[1:] != shape:
        raise ValueError(f"gains have shape {array.shape}, expected (n, {shape[0]}, {shape[1]})")
    return np.require(array, requirements=["C", "W"])


def _seeds(seeds: ArrayLike) -> NDArray[np.int64]:
    """Seeds, one for each gain; they are whole numbers that a double holds exactly."""
    array = np.asarray(seeds)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"seeds are an array of {array.dtype} of shape {array.shape}; give whole numbers, one for each gain"
        )
    wrong = array[(array < 0) | (array >= 2**53)]
    if wrong.size:
        raise ValueError(f"seeds: {wrong[0]} is not a whole number from 0 to 2^53 - 1")
    return np.require(array, np.int64, ["C", "W"])
