"""The result of first-order methods with exact gradients, and its files: one for each case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from metalqr.lqr import FloatArray
from metalqr.results import dataset_of, load
from metalqr.results.files import PathLike
from metalqr.results.layout import ITERATION, OF_CASE, SIZES, Kind, Layout, NonFinite, Variable

#: Those on single tasks, by the names in the config, in the order of a file.
METHODS = ("gradient_descent", "natural_gradient", "gauss_newton")


@dataclass(frozen=True, eq=False)
class ExactDescent:
    r"""n descents side by side; iteration 0 is the start.

    The curvature is the largest along the path: the least :math:`h \ge 0` with which every step
    :math:`K_{n+1} = K_n - \eta D_n` obeys

    .. math:: f(K_{n+1}) \le f(K_n) - \eta \langle \nabla f(K_n), D_n \rangle (1 - \tfrac{1}{2} \eta h) .

    For gradient descent on an h-smooth f this is the descent lemma. Here h is measured, on this path and no other;
    steps that are lost in rounding do not count.

    Rates are ratios of successive gaps. The guaranteed one is a bound at every iteration, proved in ``docs/theory.md``;
    for gradient descent it rests on the measured curvature. NaN where no bound is known. The asymptotic one is the
    limit, from the spectrum at the optimum. For the other two see
    :func:`metalqr.evaluation.exact_methods.linearisation.measured_rates`.
    """

    method: str
    K: FloatArray  # (N + 1, n, k, d)
    gap: FloatArray  # (N + 1, n), the objective less its optimum; rounding, of either sign, near the end
    step: FloatArray  # (n,), eta, or alpha on the meta-objective
    curvature: FloatArray  # (n,)
    guaranteed_rate: FloatArray  # (n,)
    asymptotic_rate: FloatArray  # (n,)
    linearised_rate: FloatArray  # (n,)
    measured_rate: FloatArray  # (n,)
    remark: str = ""

    @classmethod
    def absent(cls, method: str, gains: FloatArray, iterations: int, reason: str) -> "ExactDescent":
        """Return n descents from gains (n, k, d) that could not be made, all NaN, with the reason as the remark."""
        nothing = np.full(len(gains), np.nan)
        paths = np.full((iterations + 1, len(gains)), np.nan)
        K = np.full((iterations + 1, *gains.shape), np.nan)
        return cls(method, K, paths, nothing, nothing, nothing, nothing, nothing, nothing, reason)


_PER_TASK = ("descent", "task")

#: Of each method, under the names of ExactDescent.
_OF_METHODS = {
    "gap": Variable((*_PER_TASK, "iteration"), "gap J_i(K_n) - J_i* of the method on each task", may_be=NonFinite.NAN),
    "step": Variable(_PER_TASK, "step size eta", may_be=NonFinite.NAN),
    "curvature": Variable(_PER_TASK, "largest curvature of the cost met on the way", may_be=NonFinite.NAN),
    "guaranteed_rate": Variable(
        _PER_TASK, "bound on the ratio of successive gaps, at every iteration", "1", may_be=NonFinite.NAN
    ),
    "asymptotic_rate": Variable(
        _PER_TASK,
        "limit of the ratio of successive gaps, from the spectrum at the optimum",
        "1",
        may_be=NonFinite.NAN,
    ),
    "linearised_rate": Variable(
        _PER_TASK, "ratio that the linearisation at the optimum predicts for the measurement", "1", may_be=NonFinite.NAN
    ),
    "measured_rate": Variable(_PER_TASK, "measured ratio of successive gaps", "1", may_be=NonFinite.NAN),
}
#: Of the descent on the meta-objective, with `meta_` before the names; NaN where there is none.
_OF_META = {
    **{
        name: spec._replace(dims=(), may_be=NonFinite.NAN)
        for name, spec in _OF_METHODS.items()
        if name != "guaranteed_rate"
    },
    "gap": Variable(
        ("iteration",), "gap L(K_n) - L(K*) of gradient descent on the meta-objective", may_be=NonFinite.NAN
    ),
    "step": Variable((), "learning rate alpha of gradient descent on the meta-objective", may_be=NonFinite.NAN),
}

EXACT_METHODS = Layout(
    "exact_methods",
    "First-order methods with exact gradients, and their rates",
    {
        **_OF_METHODS,
        **{f"meta_{name}": spec for name, spec in _OF_META.items()},
        "remark": Variable(("descent",), "what a method left out, and why; empty if nothing", kind=Kind.TEXT),
        "meta_remark": Variable((), "the same of the descent on the meta-objective", kind=Kind.TEXT),
    },
    {**OF_CASE, **SIZES},
    {
        # Not named `method`: xarray's `sel` has a parameter of that name.
        "descent": Variable(("descent",), "first-order method", kind=Kind.TEXT, choices=METHODS, has_all=True),
        "iteration": ITERATION,
    },
)


def exact_methods_dataset(
    descents: Sequence[ExactDescent], meta: ExactDescent, settings: Mapping[str, Any], *, case: str
) -> xr.Dataset:
    """Return what the file of a case holds.

    ``descents`` are those on the tasks, one of each method in the order of METHODS; ``meta`` is that on the
    meta-objective. A ValueError is raised if a method is missing, or the numbers of iterations differ.
    """
    if (found := tuple(descent.method for descent in descents)) != METHODS:
        raise ValueError(
            f"the descents are of {', '.join(found) or 'no method'}; give one of {', '.join(METHODS)} each"
        )
    lengths = [len(descent.gap) for descent in [*descents, meta]]
    if len(set(lengths)) > 1:
        raise ValueError(f"the descents have {', '.join(str(n - 1) for n in lengths)} iterations; give them the same")
    # A descent has the iterations first, a file the tasks.
    arrays: dict[str, Any] = {name: [getattr(each, name).T for each in descents] for name in _OF_METHODS}
    arrays |= {f"meta_{name}": getattr(meta, name)[..., 0] for name in _OF_META}
    arrays |= {"remark": [each.remark for each in descents], "meta_remark": meta.remark}
    action_dim, state_dim = descents[0].K.shape[-2:]
    arrays |= {"descent": found, "iteration": np.arange(lengths[0])}
    return dataset_of(EXACT_METHODS, arrays, case=case, settings=settings, state_dim=state_dim, action_dim=action_dim)


def load_exact_methods(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the exact methods of a case; see :func:`metalqr.results.load`."""
    return load(path, EXACT_METHODS, case)
