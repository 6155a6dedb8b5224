"""Datasets with the form of an experiment's, but with made-up learning curves, for the tests of figures and tables."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from metalqr.config.algorithm import MetaSettings

SETTINGS = MetaSettings(learning_rate=1.0e-3, adaptation_rate=1.0e-5).as_dict()
#: The course of a run.
COURSE = {"first": 1.0, "last": 0.04, "time_constant": 20.0, "noise": 0.02, "unstable": 0.5}
TASK_COSTS = np.array([1.0, 1.5, 0.8, 1.2, 0.9])
#: Shares of the tasks in the ratio, so that the costs sum to it.
SHARES = np.array([0.5, 1.5, 1.2, 0.8, 1.0]) * TASK_COSTS.sum() / (np.array([0.5, 1.5, 1.2, 0.8, 1.0]) @ TASK_COSTS)


def case(
    *,
    state_dim: int = 2,
    action_dim: int = 2,
    seeds: Sequence[int] = (0, 1, 2),
    iterations: int = 80,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    floor: float = 0.02,
    ends: Mapping[tuple[Any, ...], tuple[str, int]] | None = None,
    by_value: Mapping[Any, Mapping[str, float]] | None = None,
    **course: float,
) -> xr.Dataset:
    """A case whose ratio falls from ``first`` to about ``last``.

    ``ends`` maps (swept values..., seed) to the status and the iteration at which the run ended. ``by_value`` maps a
    value of the (first) swept setting to other values of the `COURSE`.
    """
    axes = {**(sweep or {}), "seed": list(seeds)}
    runs = []
    for index in np.ndindex(*map(len, axes.values())):
        point = tuple(values[place] for values, place in zip(axes.values(), index, strict=True))
        generator = np.random.default_rng([point[-1], state_dim, *index])
        shown = COURSE | course | dict((by_value or {}).get(point[0], {}))
        settings = SETTINGS | dict(zip(axes, point, strict=True))
        status, last = (ends or {}).get(point, ("completed", iterations))
        runs.append(_run(generator, shown, settings, floor, iterations, status, last))
    sizes = [len(values) for values in axes.values()]
    variables: dict[str, Any] = {}
    for name in runs[0]:
        array = np.array([run[name] for run in runs])
        array = array.reshape(*sizes, *array.shape[1:])
        variables[name] = ((*axes, *("iteration", "task")[: array.ndim - len(axes)]), array)
    J_star = TASK_COSTS * state_dim
    variables["cost"] = ((*axes, "iteration", "task"), J_star * (1.0 + variables["ratio"][1][..., None] * SHARES))
    variables |= {"J_star": ("task", J_star), "J_shared": ("task", J_star * (1.0 + floor * SHARES))}
    coords: dict[str, Any] = {"iteration": np.arange(iterations + 1), **axes}
    if "perturbations" in axes:  # moves the inner ones too, as in the default config
        coords["inner_perturbations"] = ("perturbations", axes["perturbations"])
    fixed = {key: value for key, value in SETTINGS.items() if key not in coords}
    attributes = {"state_dim": state_dim, "action_dim": action_dim, "settings": json.dumps(fixed)}
    return xr.Dataset(variables, coords, attributes)


def _run(
    generator: np.random.Generator,
    course: Mapping[str, float],
    settings: Mapping[str, Any],
    floor: float,
    iterations: int,
    status: str,
    last: int,
) -> dict[str, Any]:
    """The variables of one run by name."""
    steps = np.arange(iterations + 1)
    walk = 0.24 * np.cumsum(generator.normal(size=iterations + 1))
    decay = np.exp(-steps / course["time_constant"])
    ratio = (course["last"] + (course["first"] - course["last"]) * decay) * np.exp(course["noise"] * (walk - walk[0]))
    ratio = np.maximum(ratio, floor * 1.001)
    if status == "diverged":
        ratio *= np.exp(0.7 * np.clip((steps - last + 60) / 12.0, 0.0, None))
    M = settings["perturbations"]
    unstable = generator.poisson(course["unstable"] * M / 100, size=iterations + 1)
    return {
        "ratio": np.where(steps <= last, ratio, np.nan),
        "gradient_norm": np.where(steps < last, 10.0 * decay + 1.0, np.nan),
        "unstable_perturbations": np.where(steps < last, unstable, 0),
        "rollout_steps": 5 * M * (M + 1) * settings["rollout_length"] * np.minimum(steps, last),
        "perturbed_policies": M * (5 if settings["task_batch"] == "all" else int(settings["task_batch"])),
        "status": status,
        "status_iteration": last,
    }


def small_case() -> xr.Dataset:
    """Two tasks, M = 4; seed 0 completed, seed 1 met its tolerance at iteration 1, seed 2 diverged after 2."""
    nan = np.nan
    return xr.Dataset(
        {
            "ratio": (("seed", "iteration"), [[1.0, 0.5, 0.3, 0.2], [1.0, 0.4, nan, nan], [1.0, 3.0, 9.0, nan]]),
            "J_star": ("task", [1.0, 3.0]),
            "J_shared": ("task", [1.5, 3.3]),
            "unstable_perturbations": (("seed", "iteration"), [[1.0, 2, 0, 0], [3, 1, nan, nan], [0, 8, 8, nan]]),
            "perturbed_policies": ("seed", [8, 8, 8]),
            "rollout_steps": (("seed", "iteration"), [[0.0, 10, 20, 30], [0, 10, nan, nan], [0, 10, 20, nan]]),
            "gradient_norm": (("seed", "iteration"), [[5.0, 4, 3, nan], [2, 0.1, nan, nan], [6, 7, nan, nan]]),
            "status": ("seed", np.array(["completed", "tolerance", "diverged"], dtype=object)),
            "status_iteration": ("seed", [3, 1, 2]),
        },
        coords={"seed": [0, 1, 2], "iteration": [0, 1, 2, 3]},
        attrs={"state_dim": 1, "action_dim": 1, "settings": json.dumps({"perturbations": 4, "task_batch": "all"})},
    )


def experiment(name: str, **cases: xr.Dataset) -> xr.DataTree:
    """An experiment's DataTree from its cases."""
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs={"experiment": name}), **cases})


def figure1_dataset(**changes: Any) -> xr.DataTree:
    """Three cases like those of the paper; ``changes`` go to each."""
    return experiment(
        "figure1",
        d1k1=case(**{"state_dim": 1, "action_dim": 1, "first": 0.9, "last": 0.03, "floor": 0.012} | changes),
        d2k2=case(**{"state_dim": 2, "action_dim": 2, "first": 1.05, "last": 0.05, "floor": 0.03} | changes),
        d20k10=case(**{"state_dim": 20, "action_dim": 10, "last": 0.08, "floor": 0.05} | changes),
    )


def sweep_datasets() -> dict[str, xr.DataTree]:
    """Five sweeps like those of the default config, some of whose runs diverged."""
    radius = {value: {"unstable": 500 * value**2.2, "noise": 0.002 / value} for value in (0.01, 0.02, 0.05, 0.1, 0.4)}
    count = {value: {"noise": 0.2 / value**0.5} for value in (10, 30, 100, 200)}
    length = {value: {"last": 0.04 + 0.3 / value} for value in (5, 15, 50, 150)}
    adapt = {value: {"last": 0.05 + 3 * value} for value in (0.0, 1e-5, 1e-3, 1e-2)}
    rate = {value: {"time_constant": 0.25 / value, "noise": min(20 * value, 0.2)} for value in (1e-4, 1e-3, 1e-2, 1e-1)}
    gone = {(1e-1, 0): ("diverged", 35), (1e-1, 1): ("diverged", 20), (1e-1, 2): ("diverged", 7)}
    gone |= {(1e-2, 2): ("diverged", 64)}
    sweeps: dict[str, dict[str, Any]] = {
        "radius": {"sweep": {"smoothing_radius": list(radius)}, "by_value": radius},
        "perturbations": {"sweep": {"perturbations": list(count)}, "by_value": count},
        "length": {"sweep": {"rollout_length": list(length)}, "by_value": length},
        "adaptation": {"sweep": {"adaptation_rate": list(adapt)}, "by_value": adapt},
        "learning": {"sweep": {"learning_rate": list(rate)}, "by_value": rate, "ends": gone},
    }
    return {name: experiment(name, d2k2=case(**sweep)) for name, sweep in sweeps.items()}
