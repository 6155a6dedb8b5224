"""The table of the stability and the figure of the estimation error: what they show is what the files hold."""

import json
import math
from pathlib import Path
from typing import Any

import measurements
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from drawn import dotted_places, faults, legend_texts, lines, tick_texts, xs, ys
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from metalqr.config.registries import figures, tables
from metalqr.evaluation.estimation_error.curves import load_estimation_error
from metalqr.evaluation.stability import Guarantee, stability_dataset
from metalqr.reporting.figures.palette import BLUE, GREEN, ORANGE
from metalqr.reporting.tables import markdown
from metalqr.reporting.tables.markdown import to_markdown
from metalqr.reporting.tables.stability import PROMISES
from metalqr.results import StorageError, save

STABILITY, ERRORS = tables.get("stability")(), figures.get("estimation_error")()

# --- the table of the stability --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stability() -> dict[str, xr.Dataset]:
    """One case with a run that kept everything and one that kept half, another with a run that rose to infinity."""
    kept = measurements.stability(share=1.0, rise=0.0)
    half = measurements.stability(length=12, share=0.5, rise=0.25)
    runs = {"one": {0: kept, 1: half}, "two": {0: measurements.stability(rise=math.inf)}}
    return {case: stability_dataset(by_seed, measurements.SETTINGS, case=case) for case, by_seed in runs.items()}


def test_every_promise_has_words() -> None:
    assert list(PROMISES) == list(Guarantee)


def test_table_by_hand(stability: dict[str, xr.Dataset]) -> None:
    """Runs of 6 and 12 gains; from the fourth promise on there is one gain less: (5 + 11 / 2) / 16 and so on."""
    table = STABILITY.make(stability)
    assert table["case"].tolist() == ["one"] * 9 + ["two"] * 9
    assert table["promise"].tolist() == list(Guarantee) * 2
    first = table.iloc[0].to_dict()
    assert first == {
        "case": "one",
        "promise": "stabilising",
        "kept_share": pytest.approx((6 + 12 / 2) / 18),
        "kept_share_min": 0.5,
        "runs_kept": 1,
        "runs": 2,
        "first_broken": 0,
        "largest_rise": pytest.approx(math.nan, nan_ok=True),
    }
    one = table[:9].set_index("promise")
    assert one.loc["every_cost_falls", "kept_share"] == pytest.approx((5 + 11 / 2) / 16)
    assert one["first_broken"].tolist() == list(range(9))
    assert one["largest_rise"].dropna().to_dict() == {
        "mean_cost_falls": 0.25,
        "objective_falls": 0.5,
        "every_cost_falls": 1.0,
    }
    assert table[9:]["largest_rise"].dropna().tolist() == [math.inf] * 3


def test_markdown_and_csv_of_the_stability(stability: dict[str, xr.Dataset], tmp_path: Path) -> None:
    table = STABILITY.make({"one": stability["one"].sel(seed=[0])})
    markdown.save(table, markdown=tmp_path / "stability.md", csv=tmp_path / "stability.csv", columns=STABILITY.columns)
    lines = (tmp_path / "stability.md").read_text(encoding="utf-8").splitlines()
    assert len({len(line) for line in lines}) == 1
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert rows[0] == [
        "case", "guarantee", "holds at", "worst run", "runs without violation", "first violated at", "largest increase",
    ]  # fmt: skip
    assert rows[2] == ["one", "`K_n` stabilises every task", "100 %", "100 %", "1 of 1", "–", "–"]
    assert rows[8][1:] == ["the mean cost falls (Theorem 1)", "100 %", "100 %", "1 of 1", "–", "0 %"]
    read = pd.read_csv(tmp_path / "stability.csv")
    assert read.columns.tolist() == table.columns.tolist()
    assert read["first_broken"].isna().all()
    assert "first_broken,largest_rise\none,stabilising,1.0,1.0,1,1,,\n" in (tmp_path / "stability.csv").read_text()


def test_infinite_rises_and_early_breaks_in_markdown(stability: dict[str, xr.Dataset]) -> None:
    lines = to_markdown(STABILITY.make(stability), STABILITY.columns).splitlines()
    cells = [cell.strip() for cell in lines[10].split("|")[3:-1]]
    assert cells == ["65.6 %", "50.0 %", "1 of 2", "8", "100 %"]
    assert lines[-1].endswith("∞ % |")


def test_a_promise_that_was_never_checked(stability: dict[str, xr.Dataset]) -> None:
    case = stability["one"].copy(deep=True)
    case["checked"][:] = 0
    case["kept"][:] = np.nan
    table = STABILITY.make({"one": case})
    assert table["kept_share"].isna().all()
    assert to_markdown(table, STABILITY.columns).splitlines()[2].split("|")[3].strip() == "–"


# --- the figure of the estimation error ------------------------------------------------------------------------------

CASES: dict[str, dict[str, Any]] = {
    "d1k1": {"dims": (1, 1), "noise": 0.4, "bias": 0.06, "infinite": {"bias": (4,)}},
    "d2k2": {"dims": (2, 2), "noise": 2.0, "infinite": {"bias": (4,), "error": (4,)}},
    "d20k10": {"dims": (10, 20), "noise": 25.0, "bias": 0.03, "infinite": {"bias": (3, 4), "error": (4,)}},
}


def measured(**cases: dict[str, Any]) -> dict[str, xr.Dataset]:
    found = {case: measurements.estimation_error(**changes) for case, changes in cases.items()}
    return {case: errors.to_dataset(measurements.SETTINGS, 0, case=case) for case, errors in found.items()}


@pytest.fixture(scope="module")
def errors() -> dict[str, xr.Dataset]:
    return measured(**CASES)


@pytest.fixture(scope="module")
def figure(errors: dict[str, xr.Dataset]) -> Figure:
    figure: Figure = ERRORS.make(errors)
    return figure


@pytest.mark.slow
def test_panels_show_relative_errors_and_biases_of_each_case(errors: dict[str, xr.Dataset], figure: Figure) -> None:
    for panel, axes in enumerate(figure.axes):
        parameter, algorithm = list(measurements.VALUES)[panel % 3], panel // 3 + 1
        for name, label in (("error_mean", "_error"), ("bias", "_bias")):
            drawn = lines(axes, label)
            assert len(drawn) == 3
            for line, case, expected in zip(drawn, errors.values(), (BLUE, ORANGE, GREEN), strict=True):
                chosen = case.isel(target=np.flatnonzero(case["algorithm"] == algorithm))
                relative = (chosen[f"{name}_{parameter}"] / chosen["exact_norm"]).mean("target").values
                np.testing.assert_array_equal(xs(line), case[parameter].values)
                np.testing.assert_allclose(ys(line), np.where(np.isfinite(relative), relative, np.nan))
                assert same_color(line.get_color(), expected)
        corners = np.asarray(axes.collections[1].get_paths()[0].vertices)
        value = float(errors["d2k2"][parameter][1])
        heights = corners[corners[:, 0] == value, 1]
        assert heights.max() / heights.min() == pytest.approx(1.5)


def test_guides_have_the_slopes_of_theory_and_touch_no_curve(figure: Figure) -> None:
    slopes = [[-0.5, 0.0], [-1.0, 2.0], [0.0, -1.0]]
    for panel, axes in enumerate(figure.axes):
        above, below = lines(axes, "_guide")
        for guide, slope in zip((above, below), slopes[panel % 3], strict=True):
            assert np.diff(np.log(ys(guide))) / np.diff(np.log(xs(guide))) == pytest.approx(slope, abs=1e-12)
        for label, guide, sign in (("_error", above, 1.0), ("_bias", below, -1.0)):
            ends = np.log(xs(guide)), np.log(ys(guide))
            for line in lines(axes, label):
                away = sign * (np.interp(np.log(xs(line)), *ends) - np.log(ys(line)))
                assert np.all(away[np.isfinite(away)] > 0.4)
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes[:3]]
    assert texts == [
        [r"$\propto M^{-1/2}$", "constant"],
        [r"$\propto r^{-1}$", r"$\propto r^{2}$"],
        ["constant", r"$\propto \ell^{-1}$"],
    ]


@pytest.mark.slow
def test_a_curve_without_a_power_law_has_no_guide(errors: dict[str, xr.Dataset]) -> None:
    case = errors["d1k1"].copy(deep=True)
    case["predicted_slope"].loc[{"parameter": "rollout_length", "curve": "bias"}] = np.nan
    alone, beside = ERRORS.make({"d1k1": case}), ERRORS.make({"d1k1": case, "d2k2": errors["d2k2"]})
    assert [len(lines(axes, "_guide")) for axes in alone.axes[:3]] == [2, 2, 1]
    assert [len(lines(axes, "_guide")) for axes in beside.axes[:3]] == [2, 2, 2]


def test_what_is_infinite_is_a_cross_at_the_top(figure: Figure) -> None:
    for row in (0, 3):
        axes = figure.axes[row + 1]
        top = axes.get_ylim()[1]
        for label, places in (
            ("_error beyond", [(ORANGE, [0.2]), (GREEN, [0.2])]),
            ("_bias beyond", [(BLUE, [0.2]), (ORANGE, [0.2]), (GREEN, [0.1, 0.2])]),
        ):
            for line, (colour, values) in zip(lines(axes, label), places, strict=True):
                assert xs(line).tolist() == values
                assert ys(line).tolist() == [top] * len(values)
                assert colour in (line.get_color(), line.get_markeredgecolor())
        assert not any("beyond" in str(line.get_label()) for line in figure.axes[row].get_lines())


def test_axes_hold_everything_regular_and_name_the_values(figure: Figure, errors: dict[str, xr.Dataset]) -> None:
    assert [axes.get_title(loc="left") for axes in (figure.axes[0], figure.axes[3])] == [
        "Algorithm 1: gradient of one task (mean over tasks)",
        "Algorithm 2: meta-gradient",
    ]
    for axes in figure.axes:
        low, high = axes.get_ylim()
        heights = np.concatenate([ys(line) for label in ("_error", "_bias", "_guide") for line in lines(axes, label)])
        assert low < np.nanmin(heights) < np.nanmax(heights) < high
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [tick_texts(axes) for axes in figure.axes[3:]] == [
        ["25", "50", "100", "200"],
        ["0.0125", "0.025", "0.05", "0.1", "0.2"],
        ["10", "25", "50", "100", "200"],
    ]
    assert [dotted_places(axes) for axes in figure.axes[:3]] == [[100.0], [0.05], [50.0]]
    assert "state dim: 20, action dim: 10" in legend_texts(figure)
    assert not faults(figure)


@pytest.mark.slow
def test_a_single_case_with_single_values_and_one_with_nothing_finite() -> None:
    single = {parameter: (value,) for parameter, value in measurements.SETTINGS.items() if parameter != "iterations"}
    found = measured(one={"values": single}, two={"values": single, "infinite": {"bias": (0,), "error": (0,)}})
    for datasets in ({"two": found["two"]}, found):
        drawn = ERRORS.make(datasets)
        assert not faults(drawn)
        assert len(lines(drawn.axes[0], "_error")) == len(datasets)


@pytest.mark.slow
def test_own_settings_that_differ_are_not_marked(errors: dict[str, xr.Dataset]) -> None:
    other = errors["d2k2"].copy()
    other.attrs["settings"] = json.dumps(measurements.SETTINGS | {"smoothing_radius": 0.1})
    drawn = ERRORS.make({"a": errors["d1k1"], "b": other})
    assert [dotted_places(axes) for axes in drawn.axes[:3]] == [[100.0], [], [50.0]]


@pytest.mark.slow
def test_what_the_budget_leaves_out_is_named_in_figure_and_table(errors: dict[str, xr.Dataset], tmp_path: Path) -> None:
    large = errors["d20k10"].copy(deep=True)
    for name in ("error_mean", "error_standard_error", "error_quantile", "noise", "noise_standard_error"):
        large[f"{name}_perturbations"][:, 2:] = np.nan
    for name in ("bias", "bias_standard_error"):
        large[f"{name}_perturbations"][:, 2:] = np.nan
    large["repeats_perturbations"][:, 2:] = 0
    save(tmp_path / "large.nc", large)
    datasets = {"d1k1": errors["d1k1"], "d20k10": load_estimation_error(tmp_path / "large.nc")}
    drawn = ERRORS.make(datasets)
    note = "left out of state dim: 20, action dim: 10,\nover the budget of 2e+09 rollout steps:\n$M$ = 100, 200"
    assert [text for text in legend_texts(drawn) if "left out" in text] == [note]
    assert not faults(drawn)
    assert not lines(drawn.axes[0], "_error beyond")
    table = tables.get("estimation_error")().make(datasets)
    left_out = table[table["left_out"] != ""]
    assert left_out[["case", "parameter", "value"]].values.tolist() == [
        ["d20k10", "perturbations", value] for value in (100, 200)
    ]
    assert set(left_out["left_out"]) == {"over the budget of 2e+09 rollout steps"}
    assert left_out[["error_1", "bias_2"]].isna().all(axis=None)
    assert to_markdown(table, tables.get("estimation_error").columns).count("over the budget") == 2
    large["repeats_perturbations"][:, 2:] = 1
    save(tmp_path / "large.nc", large)
    with pytest.raises(StorageError, match="its variable error_mean_perturbations is NaN where there are repeats"):
        load_estimation_error(tmp_path / "large.nc")


def test_table_of_the_errors_is_relative(errors: dict[str, xr.Dataset]) -> None:
    table = tables.get("estimation_error")().make({"d2k2": errors["d2k2"]})
    row = table[(table["parameter"] == "rollout_length") & (table["value"] == 50)].iloc[0]
    assert row["bias_1"] == pytest.approx(0.02)
    assert row["error_2"] == pytest.approx(np.hypot(2.0, 0.02))
    assert (row["estimates_1"], row["rollout_steps"], row["left_out"]) == (40, 5e7, "")
