"""The figures: what is drawn is what the datasets hold, nothing hides, and files are the same bytes every time."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import synthetic
import xarray as xr
from drawn import (
    crosses,
    curve,
    dashed_heights,
    dotted_places,
    faults,
    legend_texts,
    lines,
    tick_texts,
    xs,
    ys,
)
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from places import ROOT

import metalqr
from metalqr.config.registries import figures
from metalqr.reporting import summaries
from metalqr.reporting.figures.palette import BLUE, GREEN, ORANGE
from metalqr.reporting.figures.style import save

D2K2 = "state dim: 2, action dim: 2"


def curves_of(dataset: xr.DataTree) -> Figure:
    figure: Figure = figures.get("learning_curves")().make({"figure1": dataset})
    return figure


def panel_of(**cases: xr.Dataset) -> tuple[Axes, list[str]]:
    """The panel with the paper's axes, and the words of the legend."""
    figure = curves_of(synthetic.experiment("e", **cases))
    return figure.axes[0], legend_texts(figure)


def hyperparameters_of(datasets: dict[str, xr.DataTree]) -> Figure:
    figure: Figure = figures.get("hyperparameters")().make(datasets)
    return figure


# --- Figure 1 --------------------------------------------------------------------------------------------------------


def test_figure1_draws_the_median_the_range_and_the_floor_of_each_case() -> None:
    dataset = synthetic.figure1_dataset()
    figure = curves_of(dataset)
    axes, logarithmic = figure.axes
    expected = {"d1k1": ("1, action dim: 1", BLUE), "d2k2": ("2, action dim: 2", ORANGE)}
    expected["d20k10"] = ("20, action dim: 10", GREEN)
    floors = dashed_heights(axes)
    assert len(floors) == len(axes.collections) == 3
    for (name, (words, colour)), floor, band in zip(expected.items(), floors, axes.collections, strict=True):
        case = dataset[name].to_dataset()
        (median,) = lines(axes, f"state dim: {words}")
        np.testing.assert_array_equal(xs(median), np.arange(81))
        np.testing.assert_array_equal(ys(median), np.median(case["ratio"], axis=0))
        corners = np.asarray(band.get_paths()[0].vertices)
        for iteration in (0, 17, 80):
            heights = corners[corners[:, 0] == iteration, 1]
            assert heights.min() == case["ratio"][:, iteration].min()
            assert heights.max() == case["ratio"][:, iteration].max()
        assert floor[0] == pytest.approx(float((case["J_shared"].sum() - case["J_star"].sum()) / case["J_star"].sum()))
        face: Any = np.asarray(band.get_facecolor())[0, :3]
        assert all(same_color(found, colour) for found in (median.get_color(), floor[1], face))
    assert legend_texts(figure)[3:] == ["best single gain found", "range of 3 seeds (line: median)"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0.0, 80.0), (0.0, 1.2))
    # The same again, on an axis that shows the lowest floor.
    assert logarithmic.get_yscale() == "log"
    assert dashed_heights(logarithmic) == floors
    assert logarithmic.get_ylim()[0] < min(height for height, _ in floors)
    for here, there in zip(axes.get_lines(), logarithmic.get_lines(), strict=True):
        np.testing.assert_array_equal(ys(here), ys(there))


def test_figure1_has_a_longer_axis_when_the_data_need_it() -> None:
    high = synthetic.case(first=1.8, seeds=[7])
    axes, words = panel_of(d2k2=high)
    assert axes.get_ylim()[1] >= high["ratio"].max() >= 1.8
    assert not axes.collections  # one seed has no range
    assert words == [D2K2, "best single gain found"]


def test_a_diverged_run_counts_as_infinite_and_is_marked() -> None:
    case = synthetic.case(ends={(1,): ("diverged", 30)})
    case["ratio"][1, :31] = np.linspace(1.0, 1.1, 31)
    axes, words = panel_of(d2k2=case)
    assert crosses(axes) == [(30.0, pytest.approx(1.1))]
    median = curve(axes, D2K2)
    np.testing.assert_array_equal(median[:31], np.median(case["ratio"][:, :31], axis=0))
    np.testing.assert_array_equal(median[31:], case["ratio"][[0, 2], 31:].max("seed"))
    assert "diverged (1 of 3 runs)" in words


def test_a_run_that_diverged_beyond_the_axis_is_marked_at_its_edge() -> None:
    case = synthetic.case(ends={(seed,): ("diverged", 30 + seed) for seed in range(3)})
    case["ratio"][:, 0] = 1.0
    for seed in range(3):
        case["ratio"][seed, 30 + seed] = 1e6
    figure = curves_of(synthetic.experiment("e", d2k2=case))
    axes, _ = figure.axes
    assert axes.get_ylim() == (0.0, 1.2)
    assert crosses(axes) == [(30.0, 1.2), (31.0, 1.2), (32.0, 1.2)]
    assert np.isnan(curve(axes, D2K2)[32:]).all()
    assert not faults(figure)


def test_a_run_that_met_its_tolerance_keeps_its_last_value() -> None:
    case = synthetic.case(seeds=[0], ends={(0,): ("tolerance", 20)})
    axes, _ = panel_of(d2k2=case)
    np.testing.assert_array_equal(curve(axes, D2K2)[20:], np.full(61, float(case["ratio"][0, 20])))
    assert not crosses(axes)


def test_iterations_are_whole() -> None:
    axes, _ = panel_of(d2k2=synthetic.case(iterations=3, time_constant=1e9, noise=0.0, seeds=[0]))
    assert [tick for tick in axes.get_xticks() if 0 <= tick <= 3] == [0, 1, 2, 3]


# --- hyperparameters -------------------------------------------------------------------------------------------------


def row_of_panels(figure: Figure, row: int) -> list[Axes]:
    return figure.axes[3 * row : 3 * row + 3]


def large_points(axes: Axes) -> list[tuple[float, float]]:
    found = [line for line in axes.get_lines() if line.get_marker() == "o" and line.get_markersize() > 4.5]
    return [(float(xs(line)[0]), float(ys(line)[0])) for line in found]


@pytest.fixture(scope="module")
def sweeps() -> dict[str, xr.DataTree]:
    return synthetic.sweep_datasets()


@pytest.fixture(scope="module")
def hyperparameters(sweeps: dict[str, xr.DataTree]) -> Figure:
    return hyperparameters_of(sweeps)


@pytest.mark.slow
def test_each_row_shows_one_setting(sweeps: dict[str, xr.DataTree], hyperparameters: Figure) -> None:
    titles = [row_of_panels(hyperparameters, row)[0].get_title(loc="left") for row in range(5)]
    assert titles == [
        "Smoothing radius $r$",
        "Perturbations $M$ (outer and inner)",
        r"Rollout length $\ell$",
        r"Adaptation rate $\eta$",
        r"Learning rate $\alpha$",
    ]
    for row, tree in enumerate(sweeps.values()):
        case = tree["d2k2"].to_dataset()
        runs, final, unstable = row_of_panels(hyperparameters, row)
        labels = legend_texts(unstable)
        assert len(labels) == case["ratio"].shape[0]
        for index, label in enumerate(labels):
            if (case["status"][index] == "completed").all():
                np.testing.assert_array_equal(curve(runs, label), np.median(case["ratio"][index], axis=0))
        for axes in (runs, final):
            assert [height for height, _ in dashed_heights(axes)] == [pytest.approx(0.02)]


def test_final_ratios_are_medians_over_seeds(sweeps: dict[str, xr.DataTree], hyperparameters: Figure) -> None:
    ratio = sweeps["length"]["d2k2"].to_dataset()["ratio"][..., -1]
    final = row_of_panels(hyperparameters, 2)[1]
    assert large_points(final) == list(zip([5.0, 15.0, 50.0, 150.0], np.median(ratio, axis=1), strict=True))
    bars = [np.asarray(path.vertices)[:, 1] for bar in final.collections for path in bar.get_paths()]
    np.testing.assert_array_equal([bar[0] for bar in bars], ratio.min("seed"))
    np.testing.assert_array_equal([bar[1] for bar in bars], ratio.max("seed"))


def test_unstable_share_is_of_all_perturbed_policies(sweeps: dict[str, xr.DataTree], hyperparameters: Figure) -> None:
    counts = sweeps["perturbations"]["d2k2"]["unstable_perturbations"].sum("iteration")
    unstable = row_of_panels(hyperparameters, 1)[2]
    tried = 5 * np.array([10, 30, 100, 200]) * 80
    np.testing.assert_allclose([share for _, share in large_points(unstable)], np.median(counts, axis=1) / tried)
    assert unstable.get_ylim()[1] > (counts.max("seed") / tried).max()


def test_diverged_runs_are_crosses_at_the_top_with_their_number(hyperparameters: Figure) -> None:
    runs, final, _ = row_of_panels(hyperparameters, 4)
    assert crosses(final) == [(1e-2, 1.0), (1e-1, 1.0)]
    assert [text.get_text() for text in final.texts] == ["1/3", "3/3"]
    assert [x for x, _ in crosses(runs)] == [64.0, 35.0, 20.0, 7.0]
    assert [bool(np.isnan(height)) for _, height in large_points(final)] == [False, False, False, True]
    assert "diverged (4 of 63 runs)" in legend_texts(hyperparameters)


@pytest.mark.slow
def test_axes_fit_the_values_and_nothing_overlaps(hyperparameters: Figure) -> None:
    scales = [row_of_panels(hyperparameters, row)[1].get_xscale() for row in range(5)]
    assert scales == ["log", "log", "log", "symlog", "log"]
    ticks = [tick_texts(row_of_panels(hyperparameters, row)[1]) for row in (0, 3)]
    assert ticks == [["0.01", "", "0.05", "", "0.4"], ["", "$10^{-5}$", "$10^{-3}$", "$10^{-2}$"]]
    assert not faults(hyperparameters)


@pytest.mark.slow
def test_the_value_of_the_other_rows_is_marked(hyperparameters: Figure, sweeps: dict[str, xr.DataTree]) -> None:
    marked = [dotted_places(row_of_panels(hyperparameters, row)[1]) for row in range(5)]
    assert marked == [[0.05], [100.0], [50.0], [1e-5], [1e-3]]
    alone = hyperparameters_of({"radius": sweeps["radius"]})
    assert dotted_places(alone.axes[1]) == []
    assert "value in the other rows" not in legend_texts(alone)


def test_moved_tasks_have_floors_of_their_own() -> None:
    case = synthetic.case(sweep={"tasks.spectral_radius": [0.5, 0.9]})
    moved = case["J_star"].expand_dims({"tasks.spectral_radius": case["tasks.spectral_radius"]})
    case = case.assign(J_star=moved * [[1.0], [0.5]], J_shared=0.0 * moved + case["J_shared"])
    runs, final, _ = row_of_panels(hyperparameters_of({"e": synthetic.experiment("e", a=case)}), 0)
    floors = [summaries.floor_ratio(case.isel({"tasks.spectral_radius": place})) for place in range(2)]
    assert floors[1] > 2 * floors[0]
    assert [height for height, _ in dashed_heights(runs)] == floors
    (dashed,) = (line for line in final.lines if line.is_dashed() and line.get_linestyle() != ":")
    assert ys(dashed).tolist() == floors


@pytest.mark.slow
def test_many_close_values_several_cases_and_a_floor_of_zero() -> None:
    sweep = {"smoothing_radius": [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2]}
    cases = {"a": synthetic.case(sweep=sweep), "b": synthetic.case(floor=0.0, unstable=0.0, sweep=sweep)}
    figure = hyperparameters_of({"radius": synthetic.experiment("radius", **cases)})
    assert not faults(figure)
    assert len(legend_texts(figure.axes[2])) == 7
    titles = [row_of_panels(figure, row)[0].get_title(loc="left") for row in range(2)]
    assert titles == ["Smoothing radius $r$, case a", "Smoothing radius $r$, case b"]
    assert figure.axes[1].get_yscale() == "linear"
    assert figure.axes[1].get_ylim()[0] == 0.0


@pytest.mark.slow
def test_words_single_values_and_only_diverged_runs() -> None:
    ends = {(value, seed): ("diverged", 9) for value in (1e-3, 2e-3) for seed in range(3)}
    cases = {
        "b": synthetic.case(sweep={"task_batch": ["1", "3", "all"]}, seeds=[4]),
        "l": synthetic.case(sweep={"rollout_length": [50]}),
        "r": synthetic.case(sweep={"learning_rate": [1e-3, 2e-3]}, ends=ends),
    }
    figure = hyperparameters_of({name: synthetic.experiment(name, d=case) for name, case in cases.items()})
    assert [axes.get_xscale() for axes in figure.axes[1::3]] == ["linear"] * 3
    assert tick_texts(figure.axes[1]) == ["1", "3", "all"]
    assert crosses(figure.axes[7]) == [(1e-3, 1.0), (2e-3, 1.0)]
    assert not faults(figure)


# --- files -----------------------------------------------------------------------------------------------------------

DRAW = """
import sys, synthetic
from metalqr.config.registries import figures
from metalqr.reporting.figures.style import save
dataset = synthetic.figure1_dataset(ends={(1,): ("diverged", 40)})
save(figures.get("learning_curves")().make({"figure1": dataset}), sys.argv[1:])
"""


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    here = [tmp_path / f"here.{form}" for form in ("pdf", "svg", "png")]
    save(curves_of(synthetic.figure1_dataset(ends={(1,): ("diverged", 40)})), here)

    there = [tmp_path / f"there.{form}" for form in ("png", "svg", "pdf")]
    environment = dict(os.environ, PYTHONHASHSEED="7", TZ="Asia/Tokyo", SOURCE_DATE_EPOCH="1")
    folders = [Path(metalqr.__file__).parents[1], ROOT / "tests" / "helpers"]
    environment["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    subprocess.run([sys.executable, "-c", DRAW, *map(str, there)], check=True, env=environment)

    contents = [{path.suffix: path.read_bytes() for path in paths} for paths in (here, there)]
    assert contents[0] == contents[1]
    assert contents[0][".pdf"].startswith(b"%PDF")
    assert contents[0][".png"].startswith(b"\x89PNG")
    assert b"<svg" in contents[0][".svg"]
    assert b"CreationDate" not in contents[0][".pdf"]
    assert b"<dc:date>" not in contents[0][".svg"]


@pytest.mark.slow
def test_the_users_matplotlib_settings_neither_count_nor_change(tmp_path: Path) -> None:
    dataset = synthetic.figure1_dataset()
    before = dict(matplotlib.rcParams)
    save(curves_of(dataset), [tmp_path / "plain.svg"])
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"font.size": 30.0, "font.family": "serif", "savefig.dpi": 17.0, "svg.hashsalt": "x"}):
        figure = curves_of(dataset)
        save(figure, [tmp_path / "styled.svg"])
        save(figure, [tmp_path / "again.svg"])
    assert (tmp_path / "styled.svg").read_bytes() == (tmp_path / "plain.svg").read_bytes()
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "plain.svg").read_bytes()


def test_an_unknown_format_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"figure1\.gif: cannot write .* '\.gif'; use one of \.pdf, \.svg, \.png"):
        save(Figure(), [tmp_path / "figure1.png", tmp_path / "figure1.gif"])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure1.png"
    path.write_bytes(b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save(Figure(), [path])
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == {path: b"old"}
