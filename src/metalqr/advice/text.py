"""Advice in words: a block for a config, the predicted curve, and what limits it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from metalqr.advice.recommend import Advice

#: Rows of the curve that is printed.
_ROWS = 10
_LIMITS = {
    "noise": "The noise of the estimates limits it: more steps, or common noise, would help most.",
    "horizon": "The horizon limits it: finite rollouts, or the adaptation, lead elsewhere than the best single gain.",
    "radius": "The smoothing radius limits it: a smaller one would cost more noise.",
    "step size": "The step size limits it: the mean path has not arrived, and a larger step may not fall.",
    "budget": "The budget limits it: the mean path has not arrived.",
}


def block(advice: Advice, case: str) -> list[str]:
    """Lines of YAML: an experiment of one variant, to lay over a config."""
    return list(_block(advice, case))


def report(advice: Advice, case: str, more: Advice | None) -> list[str]:
    """The whole advice; ``more`` is that of ten times the budget, if there is any."""
    return list(_report(advice, case, more))


def _block(advice: Advice, case: str) -> Iterator[str]:
    yield "experiments:"
    yield "  advised:"
    yield f"    cases: [{case}]"
    yield "    seeds: [0, 1, 2, 3, 4]"
    yield "    variants:"
    yield "      advised:"
    for name, value in advice.settings.as_dict().items():
        if value is not None:
            yield f"        {name}: {_yaml(value)}"


def _report(advice: Advice, case: str, more: Advice | None) -> Iterator[str]:
    yield from _block(advice, case)
    yield ""
    yield "iteration  rollout steps   ratio  5 % to 95 %"
    found = advice.prediction
    last = len(found.ratio) - 1
    for n in np.unique(np.concatenate([[0], np.geomspace(1, last, _ROWS).round()]).astype(int)):
        band = f"{found.lower[n]:.4g} to {found.upper[n]:.4g}"
        yield f"{n:9d}  {found.rollout_steps[n]:13,d}  {found.ratio[n]:6.4g}  {band}"
    yield ""
    yield f"Predicted final ratio {advice.ratio:.4g} after {advice.rollout_steps:,} rollout steps; to leading order:"
    losses = advice.losses
    for part, loss in (
        ("of the best single gain, which no setting changes", losses.tasks),
        ("from the horizon", losses.horizon),
        ("from the smoothing radius", losses.radius),
        ("from the mean path, which has not arrived", losses.unfinished),
        ("from noise", losses.noise),
    ):
        yield f"  {loss:9.2g}  {part}"
    yield _LIMITS[advice.binding]
    if more is None:
        yield "Ten times the budget: no settings that keep the constraints were found."
    else:
        yield f"Ten times the budget would bring {more.ratio:.4g}."
    yield (
        f"Compared: {advice.tried:,} settings to leading order, {advice.refined} of the best in full. "
        f"Largest monotone step: {advice.largest_step:.3g}."
    )


def _yaml(value: Any) -> str:
    """A value as YAML 1.1 and 1.2 both read it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        digits, _, exponent = repr(value).partition("e")
        return f"{digits if '.' in digits else digits + '.0'}e{exponent}" if exponent else digits
    return str(value)
