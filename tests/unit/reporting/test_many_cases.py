"""Every figure with 1 to 30 cases: sizes, legends and titles that hold whatever the cases are called."""

from collections.abc import Callable
from functools import cache
from typing import Any

import adapted
import benefits
import descents
import measurements
import numpy as np
import pytest
import stored
import synthetic
import xarray as xr
from drawn import faults, legends
from matplotlib.axes import Axes

from metalqr.config.registries import figures
from metalqr.evaluation.exact_methods.dataset import METHODS, exact_methods_dataset
from metalqr.reporting.figures.layout import MAX_WIDTH
from metalqr.reporting.figures.palette import CASE_COLOURS
from metalqr.reporting.figures.style import new_figure, settle, styled
from metalqr.reporting.labels import case_labels

#: The longest names that a config may give; they differ in the last letter alone, or have no place to break.
LONG = ["a-case-with-a-name-of-the-greatest-length-that-is-allowed-here-" + end for end in "xy"] + ["m" * 64]
NAMES = ["slow", "fast", *LONG, *(f"case{number}" for number in range(25))]
RADII = [0.01, 0.05, 0.4]
Cases = dict[str, xr.Dataset]


def runs(number: int, sweep: dict[str, list[Any]]) -> xr.Dataset:
    """One of a pair of cases that share their dimensions; the last value has a run that diverged in the second."""
    last = [values[-1] for values in sweep.values()]
    ends = {(*last, 0): ("diverged", 4)} if number % 2 else {}
    course: dict[str, Any] = {"iterations": 8, "time_constant": 3.0, "seeds": [0, 1], "ends": ends}
    return synthetic.case(state_dim=1 + number // 2, action_dim=1, sweep=sweep, **course)


def experiment(names: list[str], **sweep: list[Any]) -> dict[str, xr.DataTree]:
    cases = {name: runs(number, sweep) for number, name in enumerate(names)}
    return {"mine": synthetic.experiment("mine", **cases)}


@cache
def exact_methods() -> xr.Dataset:
    paths = [descents.descent(method) for method in METHODS]
    return exact_methods_dataset(paths, descents.meta_descent(), {}, case="any")


@cache
def errors(number: int) -> xr.Dataset:
    dims, infinite = (1, 1 + number // 2), {"bias": (4,), "error": (4,)}
    found = measurements.estimation_error(tasks=1, dims=dims, noise=0.5 + number, infinite=infinite)
    case = found.to_dataset(measurements.SETTINGS, 0, case="any")
    if number % 2:  # over the budget
        for name in ("repeats", "error_mean", "error_quantile", "bias"):
            case[f"{name}_perturbations"][:, 3:] = 0 if name == "repeats" else np.nan
    return case


theory = cache(stored.theory_of_tasks)
DATASETS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "learning_curves": experiment,
    "variants": lambda names: experiment(names, variant=["paper", "pairs", LONG[0]]),
    "hyperparameters": lambda names: experiment(names, smoothing_radius=RADII),
    "estimation_error": lambda names: {name: errors(number) for number, name in enumerate(names)},
    "exact_methods": lambda names: dict.fromkeys(names, exact_methods()),
    "theory_vs_practice": lambda names: dict.fromkeys(names, theory()),
}


def sampled(names: list[str]) -> dict[str, Any]:
    """Curves against rollout steps."""
    found = {name: runs(0, {"variant": ["paper", "two_point"]}) for name in names}
    return {"mine": synthetic.experiment("mine", **found)}


def adaptations(names: list[str]) -> dict[str, Any]:
    return {f"mine/{name}": adapted.whole() for name in names}


#: Of the other figures; that of predictions has files for data, and is tried where these are made.
OTHERS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "adaptation": adaptations,
    "regret": adaptations,
    "certificates": lambda names: dict.fromkeys(names, measurements.certificates()),
    "sample_efficiency": sampled,
    "meta_benefit": lambda names: {names[0]: benefits.benefit()},
    "heterogeneity": lambda names: {names[0]: benefits.benefit()},
}


def titles(axes: Axes) -> list[str]:
    return [axes.get_title(loc=side) for side in ("left", "center", "right")]


def plain(words: str) -> str:
    """Words without the line breaks that names may have anywhere."""
    return words.replace("\n", "").replace(" ", "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATASETS)
@pytest.mark.parametrize("count", [1, 2, pytest.param(30, marks=pytest.mark.slow)])
def test_figures_hold_any_number_of_cases(kind: str, count: int) -> None:
    names = NAMES[:count] if count > 1 else LONG[:1]
    figure = figures.get(kind)().make(DATASETS[kind](names))
    width, height = figure.get_size_inches()
    assert width <= MAX_WIDTH
    assert height <= {1: 7.0, 2: 8.0, 30: 34.0}[count]
    assert not faults(figure)
    assert legends(figure)
    words = [text.get_text() for legend in legends(figure) for text in legend.get_texts()]
    words += [title for axes in figure.axes for title in titles(axes)] + [figure.get_suptitle()]
    shown = [plain(each) for each in words]
    # A title or an entry of a legend for each case, and no two the same.
    found = [{each for each in shown if plain(name) in each} for name in names]
    assert all(found)
    assert len(set.union(*found)) >= len(names)


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("names", [LONG[:1], NAMES[:2], NAMES[:4]], ids=["one", "two", "four"])
def test_other_figures_hold_several_cases(kind: str, names: list[str]) -> None:
    figure = figures.get(kind)().make(OTHERS[kind](names))
    assert not faults(figure)
    assert legends(figure)


def test_every_figure_is_tried() -> None:
    own = {figure.name for figure in figures if figure.__module__.startswith("metalqr.")}
    assert own == {*DATASETS, *OTHERS, "prediction"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda axes: axes.legend(["one"], loc="upper right"), "a legend over"),
        (lambda axes: axes.legend(["one"], loc="lower left", bbox_to_anchor=(1.3, 0.0)), "a legend leaves"),
        (lambda axes: axes.set_title("small", fontsize=6.0), "6 points"),
        (lambda axes: axes.text(0.5, 1.02, "over", transform=axes.transAxes), "over / title"),
        (lambda axes: axes.text(2.0, 0.5, "beyond", transform=axes.transAxes), "beyond"),
        (lambda axes: axes.figure.set_figwidth(8.0), "wider"),
    ],
)
def test_faults_are_found(spoil: Callable[[Axes], object], fault: str) -> None:
    with styled():
        figure = new_figure(3.5, 3.0, "constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1])
        axes.set_title("title")
        settle(figure)
        assert not faults(figure)
        spoil(axes)
        assert any(fault in found for found in faults(figure))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["learning_curves", "estimation_error"])
def test_every_curve_of_a_panel_has_its_own_colour(kind: str) -> None:
    figure = figures.get(kind)().make(DATASETS[kind](NAMES[:8]))
    for legend in legends(figure):
        keys = [handle for handle in legend.get_lines() if handle.get_marker() not in ("None", None, "X")]
        coloured = [str(handle.get_color()) for handle in keys if handle.get_color() in CASE_COLOURS]
        assert len(set(coloured)) == len(coloured) <= 6


def test_labels_are_dimensions_only_where_the_names_say_nothing_else() -> None:
    """The paper's own cases have the labels of its Figure 1; a name that is wrong, or another beside them, shows."""
    paper = {"d1k1": (1, 1), "d20k10": (20, 10)}
    for cases, expected in (
        (paper, ["state dim: 1, action dim: 1", "state dim: 20, action dim: 10"]),
        (paper | {"slow": (1, 1)}, ["d1k1: d = 1, k = 1", "d20k10: d = 20, k = 10", "slow: d = 1, k = 1"]),
        ({"d1k1": (2, 1)}, ["d1k1: d = 2, k = 1"]),
    ):
        datasets = {name: xr.Dataset(attrs={"state_dim": d, "action_dim": k}) for name, (d, k) in cases.items()}
        assert list(case_labels(datasets).items()) == list(zip(cases, expected, strict=True))


@pytest.mark.slow
def test_rows_of_two_experiments_on_one_setting_and_case_name_the_experiment() -> None:
    both = {name: experiment(["slow"], smoothing_radius=RADII)["mine"] for name in ("near", "far")}
    figure = figures.get("hyperparameters")().make(both)
    rows = [axes.get_title(loc="left") for axes in figure.axes[::3]]
    assert rows == ["Smoothing radius $r$, experiment near", "Smoothing radius $r$, experiment far"]


@pytest.mark.slow
def test_a_sweep_of_many_values_keeps_its_legend_inside() -> None:
    sweep = [0.01 * value for value in range(1, 25)]
    assert not faults(figures.get("hyperparameters")().make(experiment(["slow"], smoothing_radius=sweep)))
