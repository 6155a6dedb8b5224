"""A user's own simulator of one task: found by its path, made with the parameters of the task, called for gains."""

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from metalqr.simulation.user.errors import SimulatorError

Array = NDArray[np.float64]


class Costs(Protocol):
    """What a simulator of one task is called with: gains (n, k, d), steps of a rollout, and a seed for each gain (n,).

    The result, of shape (n,), has the mean cost of a step of one rollout of each gain, u = -K x.
    """

    def __call__(self, gains: Array, length: int, seeds: NDArray[np.int64], **options: Any) -> Any:
        """Cost of one rollout of each gain."""


def found(place: Path | str, name: str) -> Any:
    """A class or function of a Python file, or of an installed module.

    Raises
    ------
    SimulatorError
        If there is none, or its file ends in an error, such as a package that is missing.
    """
    shown = f"simulator {place if isinstance(place, str) else place.name}:{name}"
    try:
        module = importlib.import_module(place) if isinstance(place, str) else _module(place)
    except ModuleNotFoundError as error:
        raise SimulatorError(f"{shown}: it needs {error.name}, which is not installed here; install it") from error
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SimulatorError(f"{shown}: it cannot be imported ({reason}); correct it") from error
    if not callable(thing := getattr(module, name, None)):
        known = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        there = f"there are {', '.join(known)}" if known else "there is none"
        raise SimulatorError(f"{shown}: there is no class or function {name!r}; {there}; correct the path")
    return thing


def _module(file: Path) -> Any:
    """The module of a file, imported once; functions of it can be pickled by its name."""
    name = f"metalqr_simulator_{file.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(file):
        return known
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    specification = importlib.util.spec_from_file_location(name, file)
    if specification is None or specification.loader is None:
        raise ImportError(f"{file.name} does not end in .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def made(thing: Any, parameters: Mapping[str, Any]) -> Costs:
    """The simulator of a task, ready to be called.

    ``thing`` is a class, whose objects have the method ``costs(gains, length, seeds)``, or ``cost(gain, length, seed)``
    for one rollout at a time; or one of these functions itself, which gets the parameters as keywords; or a function
    that returns such an object or a Gymnasium environment.

    Raises
    ------
    SimulatorError
        If it is none of these, or does not take the parameters.
    """
    name = getattr(thing, "__name__", type(thing).__name__)
    if not inspect.isclass(thing):
        first = next(iter(inspect.signature(thing).parameters), "")
        if first == "gains":
            return functools.partial(thing, **parameters)
        if first == "gain":
            return OneAtATime(functools.partial(thing, **parameters))
    try:
        inspect.signature(thing).bind(**parameters)
    except ValueError:  # of some classes the signature is not known
        pass
    except TypeError as error:
        raise SimulatorError(f"{name}({_shown(parameters)}): {error}; correct the parameters of the task") from None
    try:
        return called(thing(**parameters), functools.partial(thing, **parameters))
    except SimulatorError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SimulatorError(f"{name}({_shown(parameters)}) failed: {reason}; correct it") from error


def called(simulator: Any, make: Callable[[], Any]) -> Costs:
    """The call behind an object of the user's; ``make`` makes another one like it."""
    if callable(costs := getattr(simulator, "costs", None)):
        found: Costs = costs
        return found
    if callable(cost := getattr(simulator, "cost", None)):
        return OneAtATime(cost)
    if callable(getattr(simulator, "reset", None)) and callable(getattr(simulator, "step", None)):
        from metalqr.simulation.user.environments import Environment

        return Environment(simulator).costs
    raise SimulatorError(
        f"{type(simulator).__name__}: it has no method costs(gains, length, seeds), nor cost(gain, length, seed), and "
        "is no environment with reset and step; add one of them"
    )


class OneAtATime:
    """A simulator of one rollout, called for one gain after the other."""

    def __init__(self, cost: Callable[..., Any]) -> None:
        self._cost = cost

    def __call__(self, gains: Array, length: int, seeds: NDArray[np.int64], **options: Any) -> Any:
        """Cost of one rollout of each gain."""
        pairs = zip(gains, seeds, strict=True)
        return [self._cost(gain, length, int(seed), **options) for gain, seed in pairs]


def takes_discount(costs: Costs) -> bool:
    """True if the cost of later steps can be made to count less and less."""
    function = costs._cost if isinstance(costs, OneAtATime) else costs
    parameters = inspect.signature(function).parameters
    return "discount" in parameters


def _shown(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())
