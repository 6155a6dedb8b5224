"""Results with the form of a measured estimation error and of a checked run, but with numbers made by hand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from systems import Array

from metalqr.evaluation.certificates import RunCertificates, certificates_dataset
from metalqr.evaluation.estimation_error.curves import PREDICTED_SLOPES, EstimationError, Sweep, fitted
from metalqr.evaluation.stability import Guarantee, GuaranteeCheck, Stability
from metalqr.lqr import LQRTasks
from metalqr.theory.certificates import Convexity
from metalqr.theory.result import Form

VALUES: dict[str, tuple[float, ...]] = {
    "perturbations": (25, 50, 100, 200),
    "smoothing_radius": (0.0125, 0.025, 0.05, 0.1, 0.2),
    "rollout_length": (10, 25, 50, 100, 200),
}
SETTINGS: dict[str, Any] = {"perturbations": 100, "smoothing_radius": 0.05, "rollout_length": 50, "iterations": 5}


def estimation_error(
    tasks: int = 2,
    dims: tuple[int, int] = (1, 2),
    noise: float = 2.0,
    bias: float = 0.02,
    infinite: Mapping[str, tuple[int, ...]] | None = None,
    values: Mapping[str, tuple[float, ...]] = VALUES,
) -> EstimationError:
    """Errors that follow the theory: noise and bias, both relative, at the settings above.

    ``infinite`` maps "bias" or "error" to the places in the values of the radius at which it is infinite.
    """
    norms = 1.0 + np.arange(tasks + 1, dtype=float)
    sweeps = {}
    for parameter, slopes in PREDICTED_SLOPES.items():
        places = np.array(values[parameter])
        relative = places / SETTINGS[parameter]
        noises = norms[:, np.newaxis] * noise * relative**slopes.noise
        biases = norms[:, np.newaxis] * bias * relative**slopes.bias
        errors = np.hypot(noises, biases)
        if parameter == "smoothing_radius":
            for name, array in (("bias", biases), ("error", errors)):
                array[:, list((infinite or {}).get(name, ()))] = np.inf
        used = np.isfinite(errors) & np.isfinite(biases)
        sweeps[parameter] = Sweep(
            parameter=parameter,
            values=places,
            rollout_steps=places * 1e6,
            repeats=np.full(errors.shape, 40),
            error=fitted(places, errors, 0.1 * errors, slopes.error, used),
            error_quantile=1.5 * errors,
            noise=fitted(places, noises, 0.05 * noises, slopes.noise, used),
            bias=fitted(places, biases, np.zeros_like(biases), slopes.bias, used),
        )
    return EstimationError(np.zeros(dims), norms, ("",) * len(norms), 2e9, **sweeps)


def stability(length: int = 6, tasks: int = 2, share: float = 0.5, rise: float = 0.25) -> Stability:
    """A run in which every guarantee holds at the same share of the iterations, or at all if that is 1."""

    def course(first: float) -> Array:
        return first / (1.0 + np.arange(length, dtype=float)[:, np.newaxis] + np.arange(tasks))

    return Stability(
        spectral_radius=course(0.9),
        cost=course(3.0),
        exactly_adapted_cost=course(2.0),
        adapted_cost=course(2.5),
        mean_cost=course(3.0).mean(axis=1),
        objective=course(2.0).mean(axis=1),
        unstable_share=np.append(np.full(length - 1, 0.1), np.nan),
        mean_cost_rise=rise,
        objective_rise=2 * rise,
        cost_rise=rise * (3.0 + np.arange(tasks, dtype=float)),
        checks=tuple(
            GuaranteeCheck(guarantee, length - (place >= 3), share, first_violation=None if share == 1 else place)
            for place, guarantee in enumerate(Guarantee)
        ),
    )


def certificates() -> xr.Dataset:
    """Two runs, of which the second is shorter and ends at an unstable gain; the first has all step sizes."""
    steps = np.array([0.002, 0.05, 0.1])
    long = RunCertificates(
        np.array([0, 2, 4]), np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.4]]), steps, steps / 4, 1 / steps, 2 * steps,
        np.array([False, True, True, True, True]),
    )  # fmt: skip
    missing = np.full(2, np.nan)
    short = RunCertificates(
        np.array([0, 2]), np.array([[0.1, 0.2], [0.0, 0.4]]), missing, missing, missing, missing,
        np.array([True, True, False]),
    )  # fmt: skip
    tasks = LQRTasks(*(np.ones((2, 1, 1)) for _ in range(5)))
    theorem = {Form.PRINTED: np.nan, Form.CORRECTED: 1e-8}
    settings = {**SETTINGS, "learning_rate": 1e-3}
    return certificates_dataset({3: long, 1: short}, theorem, Convexity(0.01, 2.0, 0.0), settings, tasks, case="one")
