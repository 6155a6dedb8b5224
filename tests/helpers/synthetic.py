"""Datasets with the form of an experiment's, but with made-up learning curves, for the tests of figures and tables."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

SETTINGS: dict[str, Any] = {
    "learning_rate": 1.0e-3,
    "adaptation_rate": 1.0e-5,
    "perturbations": 100,
    "inner_perturbations": 100,
    "smoothing_radius": 0.05,
    "rollout_length": 50,
    "iterations": 1200,
    "tolerance": 0.0,
    "task_batch": "all",
    "precision": "float64",
}


def case(
    *,
    state_dim: int = 2,
    action_dim: int = 2,
    seeds: Sequence[int] = (0, 1, 2),
    iterations: int = 80,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    first: float = 1.0,
    last: float = 0.04,
    time_constant: float = 20.0,
    noise: float = 0.02,
    floor: float = 0.02,
    unstable: float = 0.5,
    ends: Mapping[tuple[Any, ...], tuple[str, int]] | None = None,
    by_value: Mapping[Any, Mapping[str, float]] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """A case whose ratio falls from ``first`` to about ``last``.

    ``ends`` maps (swept values..., seed) to the status and the iteration at which the run ended. ``by_value`` maps a
    value of the (first) swept setting to other values of ``last``, ``time_constant``, ``noise`` or ``unstable``.
    """
    sweep = dict(sweep or {})
    ends = dict(ends or {})
    shape = (*(len(values) for values in sweep.values()), len(seeds))
    dims = (*sweep, "seed")
    steps = np.arange(iterations + 1)
    J_star = np.array([1.0, 1.5, 0.8, 1.2, 0.9]) * state_dim
    weight = np.array([0.5, 1.5, 1.2, 0.8, 1.0])
    weight = weight * J_star.sum() / (weight * J_star).sum()

    ratio = np.full((*shape, iterations + 1), np.nan)
    unstable_perturbations = np.zeros(ratio.shape, dtype=np.int64)
    rollout_steps = np.zeros(ratio.shape, dtype=np.int64)
    gradient_norm = np.full(ratio.shape, np.nan)
    perturbed_policies = np.zeros(shape, dtype=np.int64)
    status = np.full(shape, "completed", dtype=object)
    status_iteration = np.full(shape, iterations)
    for index in np.ndindex(shape):
        point = (*(values[place] for values, place in zip(sweep.values(), index, strict=False)), seeds[index[-1]])
        shown = {"last": last, "time_constant": time_constant, "noise": noise, "unstable": unstable}
        shown |= dict((by_value or {}).get(point[0], {}))
        generator = np.random.default_rng([seeds[index[-1]], state_dim, *index])
        walk = np.zeros(iterations + 1)
        for step, shock in enumerate(generator.normal(size=iterations), start=1):
            walk[step] = 0.97 * walk[step - 1] + 0.24 * shock
        decay = np.exp(-steps / shown["time_constant"])
        curve = (shown["last"] + (first - shown["last"]) * decay) * np.exp(6 * shown["noise"] * walk)
        curve = np.maximum(curve, floor * 1.001)
        end, last_step = ends.get(point, ("completed", iterations))
        if end == "diverged":
            growth = np.clip((steps - last_step + 60) / 12.0, 0.0, None)
            curve = curve * np.exp(growth * shown.get("growth", 0.7))
        ratio[index] = np.where(steps <= last_step, curve, np.nan)
        per_step = SETTINGS | dict(settings or {}) | dict(zip(sweep, point, strict=False))
        batch = 5 if per_step["task_batch"] == "all" else int(per_step["task_batch"])
        perturbed_policies[index] = batch * per_step["perturbations"]
        count = generator.poisson(shown["unstable"] * per_step["perturbations"] / 100, size=iterations + 1)
        unstable_perturbations[index] = np.where(steps < last_step, count, 0)
        taken = 5 * per_step["perturbations"] * (per_step["perturbations"] + 1) * per_step["rollout_length"]
        rollout_steps[index] = taken * np.minimum(steps, last_step)
        gradient_norm[index] = np.where(steps < last_step, 10.0 * decay + 1.0, np.nan)
        status[index], status_iteration[index] = end, last_step

    cost = J_star * (1.0 + ratio[..., None] * weight)
    moved = set(sweep) | ({"inner_perturbations"} if "perturbations" in sweep else set())
    fixed = {key: value for key, value in (SETTINGS | dict(settings or {})).items() if key not in moved}
    coords: dict[str, Any] = {
        "seed": list(seeds),
        "iteration": steps,
        **{key: list(values) for key, values in sweep.items()},
    }
    if "perturbations" in sweep:  # moves the inner ones too, as in the default config
        coords["inner_perturbations"] = ("perturbations", list(sweep["perturbations"]))
    return xr.Dataset(
        {
            "ratio": ((*dims, "iteration"), ratio),
            "cost": ((*dims, "iteration", "task"), cost),
            "J_star": (("task",), J_star),
            "J_shared": (("task",), J_star * (1.0 + floor * weight)),
            "unstable_perturbations": ((*dims, "iteration"), unstable_perturbations),
            "perturbed_policies": (dims, perturbed_policies),
            "rollout_steps": ((*dims, "iteration"), rollout_steps),
            "gradient_norm": ((*dims, "iteration"), gradient_norm),
            "status": (dims, status),
            "status_iteration": (dims, status_iteration),
        },
        coords=coords,
        attrs={"state_dim": state_dim, "action_dim": action_dim, "settings": json.dumps(fixed)},
    )


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


def sweep_datasets(**changes: Any) -> dict[str, xr.DataTree]:
    """Five sweeps like those of the default config, some of whose runs diverged; ``changes`` go to each."""
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
    return {name: experiment(name, d2k2=case(**sweep | changes)) for name, sweep in sweeps.items()}
