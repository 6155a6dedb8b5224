"""A small file of every stage, with numbers made by hand, and what reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import adapted
import benefits
import descents
import measurements
import numpy as np
import xarray as xr
from systems import random_tasks

from metalqr import results, theory
from metalqr.config.algorithm import MetaSettings
from metalqr.config.experiments import Base, Experiment
from metalqr.evaluation.adaptation.dataset import EVALUATION, load_part
from metalqr.evaluation.benefit.dataset import META_BENEFIT, load_meta_benefit
from metalqr.evaluation.certificates import CERTIFICATES, load_certificates
from metalqr.evaluation.estimation_error.curves import ESTIMATION_ERROR, load_estimation_error
from metalqr.evaluation.exact_methods.dataset import EXACT_METHODS, METHODS, exact_methods_dataset, load_exact_methods
from metalqr.evaluation.stability import STABILITY, load_stability, stability_dataset
from metalqr.lqr import LQRTasks
from metalqr.results.layout import Layout
from metalqr.training import History, Status
from metalqr.training.tuning import Tuning

COUNT, STATE_DIM, ACTION_DIM = 3, 2, 1
GIVEN: dict[str, Any] = {"learning_rate": 0.001, "adaptation_rate": 0.1, "iterations": 5}
GIVEN |= {"perturbations": 4, "inner_perturbations": 4}
SETTINGS = MetaSettings(**GIVEN).as_dict()
FAMILY = {"family": "similar", "spectral_radius": 0.8, "perturbed_share": 0.1, "perturbation_deviation": 0.25}

#: What each stage's file holds, and what reads it: the stages that docs/bad-input.md has, then the others.
_STAGES: list[tuple[Layout, Callable[..., Any]]] = [
    (results.TASKS, results.load_tasks),
    (results.OPTIMA, results.load_optima),
    (results.META_OPTIMA, results.load_meta_optimum),
    (results.RUNS, results.load_run),
    (results.DATASETS, results.load_experiment),
    (results.THEORY, results.load_theory),
    (ESTIMATION_ERROR, load_estimation_error),
    (EXACT_METHODS, load_exact_methods),
    (STABILITY, load_stability),
    (CERTIFICATES, load_certificates),
    (results.TUNED, results.load_tuned),
    (EVALUATION, load_part),
    (META_BENEFIT, load_meta_benefit),
]
LAYOUTS = {layout.stage: layout for layout, _ in _STAGES}
LOADERS = {layout.stage: load for layout, load in _STAGES}
PAGE = tuple(LAYOUTS)[:5]


def make_tasks() -> LQRTasks:
    generator = np.random.default_rng(1)
    scale = 1.0 + np.arange(COUNT)[:, None, None]
    return LQRTasks(
        A=0.3 * generator.normal(size=(COUNT, STATE_DIM, STATE_DIM)),
        B=generator.normal(size=(COUNT, STATE_DIM, ACTION_DIM)),
        Q=scale * np.eye(STATE_DIM),
        R=scale * np.eye(ACTION_DIM),
        Psi=0.5 * scale * np.eye(STATE_DIM),
        p=np.array([0.5, 0.25, 0.25]),
    )


def make_history(last: int, status: Status = Status.COMPLETED, shift: float = 0.0) -> History:
    steps = np.arange(last + 1, dtype=float)
    return History(
        K=shift + np.arange((last + 1) * ACTION_DIM * STATE_DIM, dtype=float).reshape(-1, ACTION_DIM, STATE_DIM) / 7,
        cost=shift + 1.0 / (1.0 + steps[:, None] + np.arange(COUNT)),
        gradient_norm=np.append(steps[:-1], np.nan),
        rollout_steps=np.arange(last + 1, dtype=np.int64) * 2**40,
        unstable_perturbations=np.arange(last + 1, dtype=np.int64),
        status=status,
        status_iteration=last,
    )


def save_run(path: Path, history: History, settings: dict[str, Any], seed: int, case: str = "one") -> None:
    results.save(path, history.to_dataset(settings, seed, case=case, perturbed_policies=12))


def save_optima(path: Path, case: str = "one", **changes: Any) -> dict[str, Any]:
    normal = np.random.default_rng(2).normal
    arrays = {
        "K_star": normal(size=(COUNT, ACTION_DIM, STATE_DIM)),
        "P_star": normal(size=(COUNT, STATE_DIM, STATE_DIM)),
        "J_star": normal(size=COUNT),
        "J0": normal(size=COUNT),
        "K_shared": normal(size=(ACTION_DIM, STATE_DIM)),
        "J_shared": normal(size=COUNT),
    } | changes
    results.save(path, results.dataset_of(results.OPTIMA, arrays, case=case, settings={}))
    return arrays


def save_meta_optimum(path: Path, **changes: Any) -> dict[str, Any]:
    arrays = {
        "K_meta": np.random.default_rng(3).normal(size=(ACTION_DIM, STATE_DIM)),
        "J_meta": np.array([1.0, 2.0, 3.0]),
        "objective_meta": 1.5,
        "J0_adapted": np.array([np.inf, 2.0, 3.0]),
        "objective_K0": np.inf,
        "objective_shared": 1.7,
        "largest_adaptation_rate": np.inf,
        "verdict": "learnable",
        "certificate": "K0 is MAML-stabilising",
        "bias": np.array([[0.5, 0.2, 0.4, np.nan, 0.3], [0.3, 0.1, 0.2, 0.05, 0.1]]),
        "bias_cosine": np.array([[0.9, 0.95, 0.9, np.nan, 0.9], [-0.1, 0.99, 1.0, 1.0, 1.0]]),
        "gain": ["K0", "K_shared"],
        "method": ["mean_cost", "first_order_maml", "reptile_2", "reptile_5", "reptile_10"],
    } | changes
    settings = {"adaptation_rate": 0.01}
    results.save(path, results.dataset_of(results.META_OPTIMA, arrays, case="one", settings=settings))
    return arrays


def experiment(seeds: tuple[int, ...] = (0,), **axes: Any) -> Experiment:
    return Experiment("mine", {"one": Base(GIVEN, FAMILY)}, seeds, **axes)


def combine(folder: Path, optima: Path, swept: Experiment) -> xr.Dataset:
    """The runs of an experiment, of which seed 1 at the second point diverges."""
    paths = []
    for place, point in enumerate(swept.points("one")):
        for seed in swept.seeds:
            paths.append(folder / f"run-{place}-{seed}.nc")
            diverged = place == 1 and seed == 1
            status = Status.DIVERGED if diverged else Status.COMPLETED
            history = make_history(2 if diverged else point.settings.iterations, status, place + seed / 10)
            save_run(paths[-1], history, point.settings.as_dict(), seed)
    return results.combine_runs(paths, {"one": optima}, swept, "one")


def theory_of_tasks(task_batch: int | str = 2) -> xr.Dataset:
    """The theory of two tasks that are drawn, at the gain zero."""
    tasks, K0 = random_tasks(12, count=2, state_dim=2, action_dim=1), np.zeros((1, 2))
    sublevel = theory.SublevelSet.around(tasks, K0)
    return results.theory_dataset(
        theory.audit(tasks, K0, 1e-5, gains=5, perturbations=1, random_tasks=1),
        {form: theory.sublevel_constants(sublevel, form) for form in theory.Form},
        {form: theory.requirements(tasks, K0, form) for form in theory.Form},
        theory.certificates.largest_settings(tasks, K0, 1e-5),
        {**SETTINGS, "perturbations": 100, "rollout_length": 50, "task_batch": task_batch},
        {"seed": 0},
        case="one",
    )


#: Runs by seed.
STABILITIES = {3: measurements.stability(), 1: measurements.stability(length=4, share=1.0, rise=np.inf)}


def tuning() -> xr.Dataset:
    """Three values on two seeds, of which the second is chosen."""
    steps, final = (
        np.array([[np.inf] * 2, [30.0, 40.0], [np.inf, 20.0]]),
        np.array([[0.5] * 2, [0.1, 0.2], [np.inf, 0.3]]),
    )
    found = Tuning(steps, final, np.full((3, 2), 50, dtype=np.int64))
    values = [{"learning_rate": value} for value in (0.1, 0.2, 0.3)]
    return found.to_dataset(values, [8, 9], 0.25, SETTINGS, case="one")


def later_datasets() -> dict[str, xr.Dataset]:
    """The content of the files of each stage that docs/bad-input.md does not have."""
    errors = measurements.estimation_error(infinite={"bias": (4,), "error": (4,)})
    paths = [descents.descent(method) for method in METHODS]
    return {
        "theory": theory_of_tasks(),
        "estimation_error": errors.to_dataset(measurements.SETTINGS, 7, case="one"),
        "exact_methods": exact_methods_dataset(paths, descents.meta_descent(), {"iterations": 40}, case="one"),
        "stability": stability_dataset(STABILITIES, measurements.SETTINGS, case="one"),
        "certificates": measurements.certificates(),
        "tuned": tuning(),
        "evaluation": adapted.part(),
        "meta_benefit": benefits.benefit(),
    }


def save_everything(folder: Path) -> dict[str, Path]:
    """A file of each stage."""
    files = {stage: folder / f"{stage}.nc" for stage in LAYOUTS}
    results.save_tasks(files["tasks"], make_tasks(), np.zeros((ACTION_DIM, STATE_DIM)), {"family": "given"}, case="one")
    save_optima(files["optima"])
    save_meta_optimum(files["meta_optima"])
    save_run(files["runs"], make_history(5), SETTINGS, 7)
    case = combine(folder, files["optima"], experiment((3, 1)))
    results.save_experiment(files["datasets"], "figure1", {"one": case, "another": case})
    for stage, dataset in later_datasets().items():
        results.save(files[stage], dataset)
    return files
