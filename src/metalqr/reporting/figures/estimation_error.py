"""The true error of Algorithms 1 and 2 beside the slopes that theory predicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import captions
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import BAND, CASE_MARK, CROSS, REFERENCE, TITLE_PAD, with_styles
from metalqr.reporting.figures.style import band_key, label_ticks, line_key, logarithmic, new_figure
from metalqr.reporting.labels import case_labels, declared

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.typing import ColorType
    from numpy.typing import NDArray

    from metalqr.lqr import FloatArray

#: The columns: settings, with the addition to the label and symbol of their axes.
PARAMETERS = {"perturbations": " (outer and inner)", "smoothing_radius": "", "rollout_length": ""}
#: The rows: titles, by the number of the algorithm.
ALGORITHMS = {1: "Algorithm 1: gradient of one task (mean over tasks)", 2: "Algorithm 2: meta-gradient"}
GUIDE: dict[str, Any] = {"color": "0.55", "linewidth": 0.8, "zorder": 1.5}
#: Inches of the panels of a group.
HEIGHT = 4.5
#: Factor between the curves and a guide.
ROOM = 1.6
#: Part of the decades of an axis that the words at a guide take.
WORDS_SHARE = 0.25
BIAS: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 1.0}


@figures.register("estimation_error")
class EstimationError(Figure):
    """The true error of Algorithms 1 and 2 at K_0 against M, r and ℓ, with the other settings as the case has them.

    Errors are relative to the norm of the exact gradient: that of each task for Algorithm 1, shown by the mean over
    tasks, and that of the meta-objective for Algorithm 2. Lines are means over repeated estimates, bands reach to the
    90 % quantile. The dashed line is the bias, the error that infinitely many perturbations would leave: along r that
    of smoothing alone, along ℓ that of finite rollouts alone, along M that of both. One alone may exceed the error
    where the two cancel in part: near instability a finite rollout costs much less than an infinite one. Thin grey
    lines have the slopes that theory predicts; along ℓ a bias has none where the initial state alone is random, since
    it decays geometrically there. The legend names the values that the budget of rollout steps leaves out. Crosses at
    the top edge are errors and biases that are infinite or beyond the axis, which holds all of those for which every
    perturbed policy is stable.
    """

    see = "Whether the curves have the slopes of the grey lines, and where the bias, not the noise, is what remains."
    reads = "estimation_error"
    category = "Theory"

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The number of estimates, and the cases' own settings."""
        repeats = config["theory"]["estimation_error"]["repeats"]
        own = ("perturbations", "inner_perturbations", "smoothing_radius", "rollout_length", "adaptation_rate")
        cases = [captions.case_line(config, case, own) for case in names]
        return [f"means over {repeats} estimates, fewer of Algorithm 2 where an estimate simulates more steps", *cases]

    def draw(self, datasets: Mapping[str, xr.Dataset]) -> matplotlib.figure.Figure:
        """Six panels of all cases, from files of the stage ``estimation_error``.

        More than six cases have several such sets of panels, with the same vertical axes and a legend for each.
        """
        labels, groups = case_labels(datasets), layout.groups(datasets)
        limits = {algorithm: _limits(_curves(datasets.values(), algorithm)) for algorithm in ALGORITHMS}
        is_small = len(groups) == 1
        most = 4 if is_small else 3
        keys = [_case_keys(group, labels) for group in groups]
        if is_small:
            keys[0][len(datasets) : len(datasets)] = _keys()  # before what is left out
        heights = [HEIGHT + layout.LINE * layout.legend_lines(each, layout.MAX_WIDTH, most) for each in keys]
        figure = new_figure(layout.MAX_WIDTH, HEIGHT if is_small else sum(heights))
        parts = (
            [figure] if is_small else figure.subfigures(len(groups), 1, squeeze=False, height_ratios=heights).ravel()
        )
        for part, group, shown in zip(parts, groups, keys, strict=True):
            _draw_group(part, list(group.values()), limits)
            layout.legend_below(part, shown, layout.MAX_WIDTH, most)
        if not is_small:
            layout.legend_below(figure, _keys(), layout.MAX_WIDTH, most=4)
        return figure


class _Curves(NamedTuple):
    """The curves of one case in one panel, relative to the exact gradient."""

    values: FloatArray
    mean: FloatArray
    quantile: FloatArray
    bias: FloatArray
    own: float  # the case's own setting of the parameter
    predicted_noise: float
    predicted_bias: float

    @classmethod
    def of(cls, case: xr.Dataset, algorithm: int, parameter: str) -> _Curves:
        known = case["exact_norm"].values > 0
        chosen = case.isel(target=np.flatnonzero((case["algorithm"].values == algorithm) & known))
        predicted = case["predicted_slope"].sel(parameter=parameter)

        def relative(name: str) -> FloatArray:
            return np.asarray((chosen[f"{name}_{parameter}"] / chosen["exact_norm"]).mean("target"))

        return cls(
            values=chosen[parameter].values.astype(float),
            mean=relative("error_mean"),
            quantile=relative("error_quantile"),
            bias=relative("bias"),
            own=float(json.loads(case.attrs["settings"])[parameter]),
            predicted_noise=float(predicted.sel(curve="noise")),
            predicted_bias=float(predicted.sel(curve="bias")),
        )

    @property
    def regular(self) -> NDArray[np.bool_]:
        """True where the smoothed cost exists, so that theory applies and no unstable policy makes the error."""
        return np.isfinite(self.bias) & np.isfinite(self.mean) & np.isfinite(self.quantile)


def _curves(cases: Iterable[xr.Dataset], algorithm: int) -> list[dict[str, _Curves]]:
    """The curves of cases by parameter."""
    return [{parameter: _Curves.of(case, algorithm, parameter) for parameter in PARAMETERS} for case in cases]


# --- panels ----------------------------------------------------------------------------------------------------------


def _draw_group(
    figure: matplotlib.figure.FigureBase, cases: list[xr.Dataset], limits: dict[int, tuple[float, float]]
) -> None:
    """A row of panels for each algorithm, with all these cases."""
    grid = figure.subplots(len(ALGORITHMS), len(PARAMETERS), sharex="col", sharey="row")
    for panels, (algorithm, title) in zip(grid, ALGORITHMS.items(), strict=True):
        panels[0].set_title(title, loc="left", fontweight="bold", pad=TITLE_PAD)
        panels[0].set_ylabel("relative to the exact gradient")
        rows = _curves(cases, algorithm)
        for axes, parameter in zip(panels, PARAMETERS, strict=True):
            _draw(axes, [row[parameter] for row in rows], parameter, limits[algorithm])
    for axes, (parameter, more) in zip(grid[-1], PARAMETERS.items(), strict=True):
        axes.set_xlabel(declared(parameter).axis_label + more)


def _draw(axes: Axes, cases: list[_Curves], parameter: str, limits: tuple[float, float]) -> None:
    top = limits[1]
    for place, (curves, colour, marker) in enumerate(with_styles(cases)):
        # Not a number is left out.
        inside, bias_inside = ~(curves.mean > top), ~(curves.bias > top)
        mean, bias = np.where(inside, curves.mean, np.nan), np.where(bias_inside, curves.bias, np.nan)
        band = np.where(inside, np.fmin(curves.quantile, top), np.nan)
        axes.fill_between(curves.values, mean, band, color=colour, **BAND)
        axes.plot(curves.values, mean, color=colour, label="_error", marker=marker, **CASE_MARK)
        axes.plot(curves.values, bias, color=colour, marker=marker, markersize=2.5, label="_bias", **BIAS)
        # Side by side, so that none hides another; those of the biases below those of the errors.
        aside = min(10.0, 42.0 / len(cases)) * (place - (len(cases) - 1) / 2)
        _draw_beyond(axes, curves.values[~inside], top, (aside, 0.0), "_error beyond", CROSS | {"color": colour})
        _draw_beyond(axes, curves.values[~bias_inside], top, (aside, -10.0), "_bias beyond", _hollow(colour))
    _draw_guides(axes, cases, declared(parameter).symbol)
    own = {curves.own for curves in cases}
    if len(own) == 1:
        axes.axvline(own.pop(), zorder=0.5, **REFERENCE)
    _set_value_axis(axes, np.unique(np.concatenate([curves.values for curves in cases])))
    axes.set_ylim(limits)
    logarithmic(axes, numticks=12)


def _draw_beyond(
    axes: Axes, values: FloatArray, top: float, offset: tuple[float, float], label: str, style: dict[str, Any]
) -> None:
    """Crosses at the top edge, moved by points."""
    if not values.size:  # an empty line that is not clipped would count in the layout, at the figure's corner
        return
    from matplotlib.transforms import ScaledTranslation

    (line,) = axes.plot(
        values, np.full(values.size, top), linestyle="none", clip_on=False, zorder=5, label=label, **style
    )
    line.set_transform(axes.transData + ScaledTranslation(offset[0] / 72, offset[1] / 72, axes.figure.dpi_scale_trans))


def _hollow(colour: ColorType) -> dict[str, Any]:
    """The cross of a bias."""
    return CROSS | {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 1.0, "markersize": 5.0}


def _set_value_axis(axes: Axes, values: FloatArray) -> None:
    """Scale, limits and ticks of the horizontal axis."""
    pad = max(1.1, (values.max() / values.min()) ** 0.05)
    low, high = values.min() / pad, values.max() * pad
    places = np.log(values / low) / np.log(high / low)
    # Limits first: otherwise Matplotlib computes limits for a new scale, which fails for a single value.
    axes.set_xlim(low, high)
    axes.set_xscale("log")
    label_ticks(axes, values, [f"{value:g}" for value in values], places, 125.0)


def _draw_guides(axes: Axes, cases: list[_Curves], symbol: str) -> None:
    """A line of the slope of the noise above all errors, and one of the slope of the bias below all biases."""
    ends = np.array([min(curves.values.min() for curves in cases), max(curves.values.max() for curves in cases)])
    # The words at the end, and on the side, that is free of the line and of the curves.
    above: dict[str, Any] = {"xytext": (0, 4), "ha": "left", "va": "bottom"}
    below: dict[str, Any] = {"ha": "right", "va": "top"}
    for predicted, name, extreme, margin, end, words in (
        ("predicted_noise", "mean", np.max, ROOM, 0, above),
        ("predicted_bias", "bias", np.min, 1 / ROOM, 1, below),
    ):
        covered = [each for each in cases if np.isfinite(getattr(each, predicted))]
        if not covered:
            continue
        slope = getattr(covered[0], predicted)
        below["xytext"] = (0, -4 if slope <= 0 else -14)
        levels = np.concatenate([(getattr(each, name) / each.values**slope)[each.regular] for each in covered])
        if not (levels > 0).any():
            continue
        line = margin * extreme(levels[levels > 0]) * ends**slope
        axes.plot(ends, line, label="_guide", **GUIDE)
        place = (ends[end], line[end])
        axes.annotate(
            _power(symbol, slope), place, textcoords="offset points", color="0.4", fontsize=layout.SMALL, **words
        )


def _limits(cases: list[dict[str, _Curves]]) -> tuple[float, float]:
    """Limits of an axis that holds all curves where they are regular, with their guides."""
    curves = [each for case in cases for each in case.values()]
    shown = [np.concatenate([each.mean, each.quantile, each.bias])[np.tile(each.regular, 3)] for each in curves]
    values = np.concatenate(shown)
    values = values[values > 0]
    if not values.size:
        return 0.1, 10.0
    low, high = float(values.min()), float(values.max())
    # The words of the guides need a part of the height, however many decades it has.
    room = max(ROOM**4, (high / low) ** WORDS_SHARE)
    return low / room, high * room


# --- words -----------------------------------------------------------------------------------------------------------


def _power(symbol: str, slope: float) -> str:
    if slope == 0:
        return "constant"
    exponent = {-0.5: "-1/2", 0.5: "1/2"}.get(slope, f"{slope:g}")
    return rf"$\propto {symbol}^{{{exponent}}}$"


def _left_out(label: str, case: xr.Dataset) -> str:
    """The values of a case over the budget, in words; nothing if there are none."""
    lines = []
    for parameter in PARAMETERS:
        values = case[parameter].values[(case[f"repeats_{parameter}"] == 0).all("target")]
        if values.size:
            lines.append(f"${declared(parameter).symbol}$ = {captions.joined(values.tolist())}")
    budget = float(case["rollout_steps_budget"])
    first = f"left out of {label},\nover the budget of {budget:.2g} rollout steps:"
    return "\n".join([first, *lines]) if lines else ""


def _case_keys(cases: Mapping[str, xr.Dataset], labels: Mapping[str, str]) -> list[Line2D | Patch]:
    """The keys of cases, then the words about what is left out."""
    keys: list[Line2D | Patch] = [
        line_key(labels[name], color=colour, marker=marker, **CASE_MARK) for name, colour, marker in with_styles(cases)
    ]
    notes = (_left_out(labels[name], case) for name, case in cases.items())
    return keys + [line_key(words, linestyle="none") for words in notes if words]


def _keys() -> list[Line2D | Patch]:
    """The keys of a legend, without those of the cases."""
    return [
        line_key("mean error", color="0.3"),
        band_key("up to the 90 % quantile"),
        line_key("bias", color="0.3", marker="o", markersize=2.5, **BIAS),
        line_key("slope that theory predicts", **GUIDE),
        line_key("the cases' own setting", **REFERENCE),
        line_key("error infinite or beyond the axis", color="0.6", linestyle="none", **CROSS),
        line_key("bias infinite or beyond the axis", linestyle="none", **_hollow("0.5")),
    ]
