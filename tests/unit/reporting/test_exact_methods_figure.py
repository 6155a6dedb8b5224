"""The figure and the table of the exact first-order methods: what is drawn and written is what the files hold."""

import descents
import numpy as np
import pytest
import xarray as xr
from drawn import faults, legend_texts, xs, ys
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metalqr.config.registries import figures, tables
from metalqr.evaluation.exact_methods.dataset import METHODS as NAMES
from metalqr.evaluation.exact_methods.dataset import exact_methods_dataset
from metalqr.reporting.figures.exact_methods import METHODS
from metalqr.reporting.tables.exact_methods import RATES

COLOURS = {method.key: method.colour for method in METHODS}


def drawn(datasets: dict[str, xr.Dataset]) -> Figure:
    figure: Figure = figures.get("exact_methods")().make(datasets)
    return figure


@pytest.fixture(scope="module")
def case() -> xr.Dataset:
    paths = [descents.descent(method) for method in NAMES]
    return exact_methods_dataset(paths, descents.meta_descent(), {}, case="d2k1")


@pytest.fixture(scope="module")
def figure(case: xr.Dataset) -> Figure:
    return drawn({"d2k1": case, "other": case})


def lines(axes: Axes, colour: str, style: str = "-") -> list[Line2D]:
    return [line for line in axes.get_lines() if line.get_linestyle() == style and same_color(line.get_color(), colour)]


def test_gaps_are_relative_to_the_first_and_the_median_task_is_thick(figure: Figure) -> None:
    """Rates of gradient descent 0.9, 0.97, 0.95: the median is that of task 2, in all methods."""
    for axes, last in ((figure.axes[0], 40), (figure.axes[2], 12)):
        for method in NAMES:
            found = lines(axes, COLOURS[str(method)])
            assert len(found) == 3
            for line, rate in zip(found, descents.GAP_RATES[method], strict=True):
                np.testing.assert_allclose(ys(line), rate ** np.arange(last + 1.0), rtol=1e-12)
            widths = [line.get_linewidth() for line in found]
            assert widths.index(max(widths)) == 2
            assert sorted(widths)[1] < max(widths)
        (meta,) = lines(axes, COLOURS[None])
        np.testing.assert_allclose(ys(meta), descents.META_RATE ** np.arange(last + 1.0), rtol=1e-12)
        assert axes.get_xlim() == (0.0, float(last))
        assert axes.get_yscale() == "log"


def test_bounds_start_at_the_first_gap_and_limits_where_the_measurement_does(figure: Figure) -> None:
    axes = figure.axes[0]
    for method in NAMES:
        (bound,) = lines(axes, COLOURS[str(method)], ":")
        guaranteed = 1.0 - 0.1 * (1.0 - descents.GAP_RATES[method][2])
        np.testing.assert_allclose(ys(bound), guaranteed ** np.arange(41.0), rtol=1e-12)
    assert not lines(axes, COLOURS[None], ":")
    limits = lines(axes, "black", "--")
    starts = [float(xs(line)[0]) for line in limits]
    # Gradient descent and the meta-objective never fall below 1e-12; Gauss-Newton does after three iterations.
    assert sorted(set(starts)) == [1, 20]
    expected = 0.95**20 * 0.95 ** (0.5 * np.arange(21.0))
    assert any(np.allclose(ys(line), expected, rtol=1e-12) for line in limits)


def test_axes_hold_what_is_drawn(figure: Figure) -> None:
    whole, first = figure.axes[0], figure.axes[2]
    assert whole.get_ylim() == (1e-12, 2.0)  # of the natural gradient's fastest task
    assert first.get_ylim() == (1e-12, 2.0)
    assert whole.get_title() == "d2k1: d = 2, k = 1"


@pytest.mark.slow
def test_slow_descents_fill_their_panel(case: xr.Dataset) -> None:
    slow = case.copy(deep=True)
    slow["gap"][:2] = 0.99 ** np.arange(41.0)
    slow["meta_gap"][:] = 0.95 ** np.arange(41.0)
    (whole, first) = drawn({"slow": slow}).axes
    assert whole.get_ylim() == (0.1, 2.0)
    assert first.get_ylim() == (1e-12, 2.0)


def test_the_table_has_the_numbers_of_every_task(case: xr.Dataset) -> None:
    rows = list(tables.get("exact_methods")().tabulate({"d2k1": case}))
    assert len(rows) == 3 * 3 + 1
    found = {row["method"]: row for row in rows if row["task"] in (2, None)}
    parts = {name: [row[column] for column in ("step", *RATES)] for name, row in found.items()}
    # The files of the tests have the powers 0.9 and 0.5 of the measured rates.
    expected = {name: [rate, rate**0.9, rate**0.5] for name, rate in (("gd", 0.95), ("ng", 0.8))}
    removed = {name: [1.0 - rate for rate in rates] for name, rates in expected.items()}
    np.testing.assert_allclose(parts["gradient_descent"], [0.3, *removed["gd"], 0.005], rtol=1e-9)
    np.testing.assert_allclose(parts["natural_gradient"], [0.3, *removed["ng"], 0.02], rtol=1e-9)
    np.testing.assert_allclose(parts["maml_gradient_descent"], [0.004, 0.02, 0.019, 0.01, np.nan], rtol=1e-9)


def test_the_legend_names_everything(figure: Figure) -> None:
    assert legend_texts(figure) == [
        "gradient descent", "natural gradient", "Gauss–Newton", "MAML gradient descent",
        "median task", "other tasks", "slope of the limit", "guaranteed bound",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4])
def test_nothing_overlaps(count: int, case: xr.Dataset) -> None:
    small = case.copy(deep=True)
    for name in ("step", "measured_rate", "asymptotic_rate", "guaranteed_rate", "linearised_rate"):
        small[name][:] = 2.3e-6 if name == "step" else 1.0 - 2.3e-6
    figure = drawn({f"case{number}": small for number in range(count)})
    assert len(figure.axes) == 2 * count
    assert not faults(figure)


def test_without_a_descent_on_the_meta_objective_it_is_left_out(case: xr.Dataset) -> None:
    without = case.copy(deep=True)
    for name in case.data_vars:
        if str(name).startswith("meta_"):
            without[name][...] = np.nan
    figure = drawn({"one": without})
    (row,) = (each for each in tables.get("exact_methods")().tabulate({"one": without}) if each["task"] is None)
    assert np.isnan([row[name] for name in ("step", *RATES)]).all()
    assert not np.isfinite(ys(lines(figure.axes[0], COLOURS[None])[0])).any()


def test_a_start_at_the_optimum_and_a_single_iteration_are_drawn_too(case: xr.Dataset) -> None:
    short = case.isel(iteration=slice(0, 2)).copy(deep=True)
    short["gap"][:] = 0.0
    short["measured_rate"][:] = np.nan
    (whole, *_) = drawn({"one": short}).axes
    assert whole.get_xlim() == (0.0, 1.0)
    assert not np.isfinite(ys(lines(whole, COLOURS["gauss_newton"])[0])).any()
