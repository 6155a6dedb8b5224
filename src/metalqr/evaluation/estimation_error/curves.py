"""The result of a measurement: curves over a swept parameter, with their slopes and those that theory predicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.lqr import FloatArray
from metalqr.results import dataset_of, load
from metalqr.results.files import PathLike
from metalqr.results.layout import OF_CASE, SEED, SIZES, Kind, Layout, NonFinite, Variable


class Slopes(NamedTuple):
    """Slopes of log curve against log parameter that theory predicts, for the curves of one sweep."""

    error: float
    noise: float
    bias: float


#: By swept parameter, with the names of the settings; the perturbations are the outer and the inner ones together.
#:
#: The noise is that of a mean of M terms (dk/r^2) J U: proportional to M^(-1/2) / r, and nearly independent of l, for a
#: longer rollout makes the cost J less random, but not U. (So is sigma_r of Lemma 6.) The bias does not depend on M;
#: it is proportional to r^2, as the term of first order averages out (Lemma 6 bounds it by h_grad r), and to 1/l
#: (Lemma 14). The error is about the root of the sum of squares of both; its slope is given for one that is mostly
#: noise.
PREDICTED_SLOPES = {
    "perturbations": Slopes(error=-0.5, noise=-0.5, bias=0.0),
    "smoothing_radius": Slopes(error=-1.0, noise=-1.0, bias=2.0),
    "rollout_length": Slopes(error=0.0, noise=0.0, bias=-1.0),
}


def predicted_slopes(parameter: str, noise: str) -> Slopes:
    """The slopes along a parameter; NaN where there is no power law.

    Without process noise, what a rollout of l steps misses of the endless sum decays geometrically in l.
    """
    slopes = PREDICTED_SLOPES[parameter]
    return slopes if noise == "process" or parameter != "rollout_length" else slopes._replace(bias=np.nan)


_META = "meta-gradient"


def _along(parameter: str) -> dict[str, Variable]:
    """The variables of a file along one parameter."""
    described = {
        "error_mean": "mean error, Frobenius norm",
        "error_standard_error": "standard error of the mean error",
        "error_quantile": "90 % quantile of the error",
        "noise": "root mean square deviation of the estimates from their mean",
        "noise_standard_error": "standard error of the noise",
        "bias": "bias, Frobenius norm; of Algorithm 2 with the exact gradient in place of its inner estimate",
        "bias_standard_error": "standard error of the bias; 0 where it is exact",
    }
    dims = ("target", parameter)
    # Infinite where rollouts overflowed, or perturbed policies are unstable; NaN where the budget leaves it out.
    reals = {name: Variable(dims, long_name, may_be=NonFinite.ANY) for name, long_name in described.items()}
    variables = {
        "repeats": Variable(dims, "number of estimates; 0 if left out, over the budget", kind=Kind.WHOLE),
        "rollout_steps": Variable(
            (parameter,), "rollout steps of all estimates, and those that the exact bias takes as long as", "steps"
        ),
        **reals,
    }
    return {f"{name}_{parameter}": spec for name, spec in variables.items()}


def _targets(tasks: int) -> list[str]:
    return [*(f"gradient of task {task}" for task in range(tasks)), _META]


def _violation(dataset: xr.Dataset) -> str | None:
    tasks = dataset.sizes["target"] - 1
    found = dataset["target"].values.tolist(), dataset["algorithm"].values.tolist()
    if found != (_targets(tasks), [1] * tasks + [2]):
        return "its targets are not the gradient of each task and the meta-gradient"
    for parameter in PREDICTED_SLOPES:
        left_out = dataset[f"repeats_{parameter}"] == 0
        for name, spec in _along(parameter).items():
            if spec.may_be == NonFinite.ANY and (np.isnan(dataset[name]) != left_out).any():
                return f"its variable {name} is NaN where there are repeats, or is not where there are none"
    return None


_SLOPE = ("target", "parameter", "curve")
ESTIMATION_ERROR = Layout(
    "estimation_error",
    "True error of Algorithms 1 and 2 at the initial gain",
    {
        "K": Variable(("action", "state"), "gain at which the errors were measured"),
        "exact_norm": Variable(
            ("target",), "Frobenius norm of the exact gradient; 0 where that is rounding", may_be=NonFinite.NAN
        ),
        "remark": Variable(("target",), "why there is no relative error; empty if there is", kind=Kind.TEXT),
        "rollout_steps_budget": Variable((), "the costliest values over this are left out", "steps"),
        **{name: spec for parameter in PREDICTED_SLOPES for name, spec in _along(parameter).items()},
        "slope": Variable(_SLOPE, "slope of log curve against log parameter", "1", may_be=NonFinite.NAN),
        "slope_standard_error": Variable(_SLOPE, "standard error of the slope", "1", may_be=NonFinite.NAN),
        "predicted_slope": Variable(("parameter", "curve"), "slope that theory predicts", "1", may_be=NonFinite.NAN),
    },
    {**OF_CASE, "seed": SEED, **SIZES},
    {
        "target": Variable(("target",), "what is estimated", kind=Kind.TEXT),
        "algorithm": Variable(("target",), "number of the algorithm that estimates it", kind=Kind.WHOLE),
        "perturbations": Variable(("perturbations",), "perturbations M, outer and inner", kind=Kind.WHOLE),
        "smoothing_radius": Variable(("smoothing_radius",), "smoothing radius r"),
        "rollout_length": Variable(("rollout_length",), "length of a rollout", "steps", kind=Kind.WHOLE),
        "parameter": Variable(
            ("parameter",), "swept parameter", kind=Kind.TEXT, choices=tuple(PREDICTED_SLOPES), has_all=True
        ),
        "curve": Variable(
            ("curve",), "mean error, its noise, its bias", kind=Kind.TEXT, choices=Slopes._fields, has_all=True
        ),
    },
    _violation,
)


def load_estimation_error(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the errors of a case; see :func:`metalqr.results.load`."""
    return load(path, ESTIMATION_ERROR, case)


@dataclass(frozen=True, eq=False)
class Curve:
    """A quantity along the V values of a swept parameter, for each of the I + 1 targets, with its slope.

    A value is infinite where a rollout overflowed or the quantity does not exist. The slope is the least-squares slope
    of log value against log parameter, over the values of the parameter at which error, noise and bias of the target
    are finite; NaN for fewer than two. Its standard error takes those of the values as independent. Those of a bias are
    not: they come from the same directions at every radius, and its slope is better than this says.
    """

    values: FloatArray  # (I + 1, V)
    standard_error: FloatArray  # (I + 1, V); 0 where the values are exact
    slope: FloatArray  # (I + 1,)
    slope_standard_error: FloatArray  # (I + 1,)
    predicted_slope: float  # see predicted_slopes


@dataclass(frozen=True, eq=False)
class Sweep:
    r"""The errors along the V values of one swept parameter, the others at the settings of the case.

    The error is the mean over the repeats of :math:`\|\tilde\nabla J_i(K) - \nabla J_i(K)\|_F`, and of
    :math:`\|\tilde\nabla L(K) - \nabla L(K)\|_F` for the meta-gradient; the noise is the deviation of the estimates
    from their own mean, :math:`(E\|\tilde\nabla - E\tilde\nabla\|_F^2)^{1/2}`.

    The bias is the error of the mean of the estimates: along the smoothing radius that of smoothing alone, along the
    rollout length that of the length alone, along the perturbations, on which it does not depend, that of both
    together. For the meta-gradient all three are with exact gradients in place of the inner estimates; for what that
    leaves out, and for the methods, see `smoothing_bias` and `horizon_bias`.
    """

    parameter: str
    values: NDArray[Any]  # (V,)
    rollout_steps: FloatArray  # (V,), that the budget counts
    repeats: NDArray[np.int64]  # (I + 1, V); 0 where the budget leaves a value out, and then all others are NaN
    error: Curve
    error_quantile: FloatArray  # (I + 1, V), of 90 %
    noise: Curve
    bias: Curve


@dataclass(frozen=True, eq=False)
class EstimationError:
    """The true errors of Algorithms 1 and 2 at one gain. Target i is task i's gradient, the last the meta-gradient."""

    K: FloatArray  # (k, d)
    exact_norm: FloatArray  # (I + 1,), Frobenius norms of the targets: 0 where rounding, NaN where there is none
    remark: tuple[str, ...]  # (I + 1,), why a target has no relative error
    rollout_steps_budget: float
    perturbations: Sweep
    smoothing_radius: Sweep
    rollout_length: Sweep

    def to_dataset(self, settings: Mapping[str, Any], seed: int, *, case: str) -> xr.Dataset:
        """Return what the file of a case holds; settings are all those of the case, seed is that of the measurement."""
        sweeps = [self.perturbations, self.smoothing_radius, self.rollout_length]
        curves = [[sweep.error, sweep.noise, sweep.bias] for sweep in sweeps]
        tasks, (action_dim, state_dim) = len(self.exact_norm) - 1, self.K.shape
        arrays: dict[str, Any] = {
            "K": self.K,
            "exact_norm": self.exact_norm,
            "rollout_steps_budget": self.rollout_steps_budget,
            "remark": list(self.remark),
            "target": _targets(tasks),
            "algorithm": [1] * tasks + [2],
            "parameter": list(PREDICTED_SLOPES),
            "curve": Slopes._fields,
        }
        for name in ("slope", "slope_standard_error"):
            arrays[name] = np.moveaxis(np.array([[getattr(curve, name) for curve in row] for row in curves]), -1, 0)
        arrays["predicted_slope"] = [[curve.predicted_slope for curve in row] for row in curves]
        for sweep in sweeps:
            along = {
                "repeats": sweep.repeats,
                "rollout_steps": sweep.rollout_steps,
                "error_mean": sweep.error.values,
                "error_standard_error": sweep.error.standard_error,
                "error_quantile": sweep.error_quantile,
                "noise": sweep.noise.values,
                "noise_standard_error": sweep.noise.standard_error,
                "bias": sweep.bias.values,
                "bias_standard_error": sweep.bias.standard_error,
            }
            arrays |= {f"{name}_{sweep.parameter}": array for name, array in along.items()}
            arrays[sweep.parameter] = sweep.values
        attributes = {"case": case, "settings": settings, "seed": seed}
        return dataset_of(ESTIMATION_ERROR, arrays, **attributes, state_dim=state_dim, action_dim=action_dim)


def fitted(
    parameter: NDArray[Any],
    values: FloatArray,
    standard_error: FloatArray,
    predicted_slope: float,
    used: NDArray[np.bool_],
) -> Curve:
    """The curve with its slopes over the values that are used: parameter (V,), the others (I + 1, V)."""
    slopes = [_slope(parameter, *each) for each in zip(values, standard_error, used & (values > 0), strict=True)]
    slope, slope_standard_error = np.array(slopes).T
    return Curve(values, standard_error, slope, slope_standard_error, predicted_slope)


def _slope(
    parameter: NDArray[Any], values: FloatArray, standard_error: FloatArray, used: NDArray[np.bool_]
) -> tuple[float, float]:
    if np.count_nonzero(used) < 2:
        return np.nan, np.nan
    logarithms = np.log(parameter[used])
    weights = logarithms - logarithms.mean()
    weights = weights / (weights**2).sum()
    relative = standard_error[used] / values[used]
    error = float(np.linalg.norm(weights * relative))
    # The error of a value may be infinite where rollouts nearly overflow: then that of the slope is not known.
    return float(weights @ np.log(values[used])), error if np.isfinite(error) else np.nan
