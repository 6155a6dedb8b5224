"""The figures: what is drawn is what the datasets hold, nothing hides, and files are the same bytes every time."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import synthetic
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from places import ROOT

import metalqr
from metalqr.config.registries import figures
from metalqr.reporting import summaries
from metalqr.reporting.figures.style import save
from metalqr.reporting.summaries import DatasetError

SHORT = {"iterations": 80, "time_constant": 20.0}


def curves_of(dataset: xr.DataTree) -> Figure:
    return figures.get("learning_curves")().make({"figure1": dataset})


def hyperparameters_of(datasets: dict[str, xr.DataTree]) -> Figure:
    return figures.get("hyperparameters")().make(datasets)


def line(axes: Axes, label: str) -> Line2D:
    (found,) = [line for line in axes.get_lines() if line.get_label() == label]
    return found


def dashed_heights(axes: Axes) -> list[tuple[float, object]]:
    """Height and colour of the dashed horizontal lines."""
    lines = [line for line in axes.get_lines() if line.is_dashed() and np.ptp(line.get_ydata()) == 0]
    return [(float(line.get_ydata()[0]), line.get_color()) for line in lines if len(line.get_ydata()) == 2]


def dotted_places(axes: Axes) -> list[float]:
    return [float(line.get_xdata()[0]) for line in axes.get_lines() if line.get_linestyle() == ":"]


def crosses(axes: Axes) -> list[tuple[float, float]]:
    """Where the crosses are that no other panel shares."""
    found = [line for line in axes.get_lines() if line.get_label() == "_diverged"]
    return [(float(x), float(y)) for line in found for x, y in zip(*line.get_data(), strict=True)]


def legend_texts(owner: Axes | Figure) -> list[str]:
    legends = [owner.get_legend()] if isinstance(owner, Axes) else owner.legends
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def overlaps_and_escapes(figure: Figure) -> list[str]:
    """Texts that lie on one another or leave the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        # Matplotlib keeps labels beyond the limits, but does not draw them.
        hidden |= {tick.label1 for tick in axis.get_major_ticks() if not low * 0.999 <= tick.get_loc() <= high * 1.001}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    texts = [text for text in texts if text not in hidden]
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts]
    shown = [(words, box) for words, box in boxes if box.width > 0]
    escapes = [words for words, box in shown if not figure.bbox.padded(0.5).fully_containsx(box.x0)]
    escapes += [words for words, box in shown if box.y0 < -0.5 or box.y1 > figure.bbox.y1 + 0.5]
    escapes += [words for words, box in shown if box.x1 > figure.bbox.x1 + 0.5]
    pairs = itertools.combinations(shown, 2)
    return escapes + [f"{one} / {two}" for (one, a), (two, b) in pairs if a.padded(-0.5).overlaps(b.padded(-0.5))]


# --- Figure 1 --------------------------------------------------------------------------------------------------------


def test_figure1_draws_the_median_the_range_and_the_floor_of_each_case() -> None:
    dataset = synthetic.figure1_dataset(**SHORT)
    (axes,) = curves_of(dataset).axes
    expected = {"d1k1": ("1, action dim: 1", "tab:blue"), "d2k2": ("2, action dim: 2", "tab:orange")}
    expected["d20k10"] = ("20, action dim: 10", "tab:green")
    floors = dashed_heights(axes)
    assert len(floors) == len(axes.collections) == 3
    for (name, (words, colour)), floor, band in zip(expected.items(), floors, axes.collections, strict=True):
        case = dataset[name].to_dataset()
        curve = line(axes, f"state dim: {words}")
        np.testing.assert_array_equal(curve.get_xdata(), np.arange(81))
        np.testing.assert_array_equal(curve.get_ydata(), np.median(case["ratio"], axis=0))
        corners = band.get_paths()[0].vertices
        for iteration in (0, 17, 80):
            heights = corners[corners[:, 0] == iteration, 1]
            assert heights.min() == case["ratio"][:, iteration].min()
            assert heights.max() == case["ratio"][:, iteration].max()
        assert floor[0] == pytest.approx(float((case["J_shared"].sum() - case["J_star"].sum()) / case["J_star"].sum()))
        assert all(same_color(found, colour) for found in (curve.get_color(), floor[1]))
        assert same_color(band.get_facecolor()[0, :3], colour)
    assert legend_texts(axes)[3:] == ["best single gain", "range of 3 seeds (line: median)"]
    assert axes.get_ylim() == (0.0, 1.2)
    assert axes.get_xlim() == (0.0, 80.0)


def test_figure1_has_a_longer_axis_when_the_data_need_it() -> None:
    dataset = synthetic.experiment("e", high=synthetic.case(first=1.8, seeds=[7], **SHORT))
    (axes,) = curves_of(dataset).axes
    assert axes.get_ylim()[1] >= dataset["high"]["ratio"].max() >= 1.8
    assert not axes.collections  # one seed has no range
    assert legend_texts(axes) == ["state dim: 2, action dim: 2", "best single gain"]


def test_a_diverged_run_counts_as_infinite_and_is_marked() -> None:
    case = synthetic.case(ends={(1,): ("diverged", 30)}, by_value=None, **SHORT)
    case["ratio"][1, :31] = np.linspace(1.0, 1.1, 31)
    (axes,) = curves_of(synthetic.experiment("e", case=case)).axes
    assert crosses(axes) == [(30.0, pytest.approx(1.1))]
    median = line(axes, "state dim: 2, action dim: 2").get_ydata()
    np.testing.assert_array_equal(median[:31], np.median(case["ratio"][:, :31], axis=0))
    np.testing.assert_array_equal(median[31:], case["ratio"][[0, 2], 31:].max("seed"))
    assert "diverged (1 of 3 runs)" in legend_texts(axes)


def test_a_run_that_diverged_beyond_the_axis_is_marked_at_its_edge() -> None:
    case = synthetic.case(ends={(seed,): ("diverged", 30 + seed) for seed in range(3)}, **SHORT)
    case["ratio"][:, 0] = 1.0
    for seed in range(3):
        case["ratio"][seed, 30 + seed] = 1e6
    figure = curves_of(synthetic.experiment("e", case=case))
    (axes,) = figure.axes
    assert axes.get_ylim() == (0.0, 1.2)
    assert crosses(axes) == [(30.0, 1.2), (31.0, 1.2), (32.0, 1.2)]
    assert np.isnan(line(axes, "state dim: 2, action dim: 2").get_ydata()[32:]).all()
    assert not overlaps_and_escapes(figure)


def test_a_run_that_met_its_tolerance_keeps_its_last_value() -> None:
    case = synthetic.case(seeds=[0], ends={(0,): ("tolerance", 20)}, **SHORT)
    (axes,) = curves_of(synthetic.experiment("e", case=case)).axes
    median = line(axes, "state dim: 2, action dim: 2").get_ydata()
    np.testing.assert_array_equal(median[20:], np.full(61, float(case["ratio"][0, 20])))
    assert not crosses(axes)


def test_iterations_are_whole_and_the_legend_hides_no_curve() -> None:
    case = synthetic.case(iterations=3, time_constant=1e9, noise=0.0, seeds=[0])
    (axes,) = curves_of(synthetic.experiment("short", case=case)).axes
    assert [tick for tick in axes.get_xticks() if 0 <= tick <= 3] == [0, 1, 2, 3]
    legend = axes.get_legend().get_window_extent()
    curve = axes.transData.transform(np.column_stack(line(axes, "state dim: 2, action dim: 2").get_data()))
    assert not legend.count_contains(curve)


def test_figure1_generalises_to_many_cases() -> None:
    cases = {f"case{number}": synthetic.case(state_dim=number, **SHORT) for number in range(1, 13)}
    (axes,) = curves_of(synthetic.experiment("many", **cases)).axes
    curves = [line(axes, f"state dim: {number}, action dim: 2") for number in range(1, 13)]
    assert len({(str(curve.get_color()), str(curve.get_marker())) for curve in curves}) == 12


def test_figure1_refuses_a_sweep() -> None:
    swept = synthetic.experiment("e", case=synthetic.case(sweep={"smoothing_radius": [0.1]}, **SHORT))
    with pytest.raises(DatasetError, match="case 'case' sweeps smoothing_radius; use the figure hyperparameters"):
        curves_of(swept)


# --- hyperparameters -------------------------------------------------------------------------------------------------


def row_of_panels(figure: Figure, row: int) -> list[Axes]:
    return figure.axes[3 * row : 3 * row + 3]


def large_points(axes: Axes) -> list[tuple[float, float]]:
    lines = [line for line in axes.get_lines() if line.get_marker() == "o" and line.get_markersize() > 6]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


@pytest.fixture(scope="module")
def sweeps() -> dict[str, xr.DataTree]:
    return synthetic.sweep_datasets(**SHORT)


@pytest.fixture(scope="module")
def hyperparameters(sweeps: dict[str, xr.DataTree]) -> Figure:
    return hyperparameters_of(sweeps)


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
        curves, final, unstable = row_of_panels(hyperparameters, row)
        labels = legend_texts(unstable)
        assert len(labels) == case["ratio"].shape[0]
        for index, label in enumerate(labels):
            if (case["status"][index] == "completed").all():
                np.testing.assert_array_equal(line(curves, label).get_ydata(), np.median(case["ratio"][index], axis=0))
        for axes in (curves, final):
            assert [height for height, _ in dashed_heights(axes)] == [pytest.approx(0.02)]


def test_final_ratios_are_medians_over_seeds(sweeps: dict[str, xr.DataTree], hyperparameters: Figure) -> None:
    ratio = sweeps["length"]["d2k2"]["ratio"]
    final = row_of_panels(hyperparameters, 2)[1]
    expected = list(zip([5.0, 15.0, 50.0, 150.0], np.median(ratio[..., -1], axis=1), strict=True))
    assert large_points(final) == expected
    bars = [collection.get_segments()[0][:, 1] for collection in final.collections]
    np.testing.assert_array_equal([bar[0] for bar in bars], ratio[..., -1].min("seed"))
    np.testing.assert_array_equal([bar[1] for bar in bars], ratio[..., -1].max("seed"))


def test_unstable_share_is_of_all_perturbed_policies(sweeps: dict[str, xr.DataTree], hyperparameters: Figure) -> None:
    counts = sweeps["perturbations"]["d2k2"]["unstable_perturbations"].sum("iteration")
    unstable = row_of_panels(hyperparameters, 1)[2]
    tried = 5 * np.array([10, 30, 100, 200]) * 80
    np.testing.assert_allclose([share for _, share in large_points(unstable)], np.median(counts, axis=1) / tried)
    assert unstable.get_ylim()[1] > (counts.max("seed") / tried).max()


def test_diverged_runs_are_crosses_at_the_top_with_their_number(hyperparameters: Figure) -> None:
    curves, final, _ = row_of_panels(hyperparameters, 4)
    assert crosses(final) == [(1e-2, 1.0), (1e-1, 1.0)]
    assert [text.get_text() for text in final.texts] == ["1/3", "3/3"]
    assert [x for x, _ in crosses(curves)] == [64.0, 35.0, 20.0, 7.0]
    points = large_points(final)
    assert np.isnan(points[3][1])
    assert all(np.isfinite(height) for _, height in points[:3])
    assert "diverged (4 of 63 runs)" in legend_texts(hyperparameters)


def test_axes_fit_the_values(hyperparameters: Figure) -> None:
    scales = [row_of_panels(hyperparameters, row)[1].get_xscale() for row in range(5)]
    assert scales == ["log", "log", "log", "symlog", "log"]
    ticks = [[text.get_text() for text in row_of_panels(hyperparameters, row)[1].get_xticklabels()] for row in (0, 3)]
    assert ticks == [["0.01", "0.02", "0.05", "0.1", "0.4"], ["0", "$10^{-5}$", "$10^{-3}$", "$10^{-2}$"]]


def test_the_value_of_the_other_rows_is_marked(hyperparameters: Figure, sweeps: dict[str, xr.DataTree]) -> None:
    marked = [dotted_places(row_of_panels(hyperparameters, row)[1]) for row in range(5)]
    assert marked == [[0.05], [100.0], [50.0], [1e-5], [1e-3]]
    alone = hyperparameters_of({"radius": sweeps["radius"]})
    assert dotted_places(alone.axes[1]) == []
    assert "value in the other rows" not in legend_texts(alone)


def test_moved_tasks_have_floors_of_their_own() -> None:
    case = synthetic.case(sweep={"tasks.spectral_radius": [0.5, 0.9]}, **SHORT)
    moved = case["J_star"].expand_dims({"tasks.spectral_radius": case["tasks.spectral_radius"]})
    case = case.assign(J_star=moved * [[1.0], [0.5]], J_shared=0.0 * moved + case["J_shared"])
    curves, final, _ = row_of_panels(hyperparameters_of({"e": synthetic.experiment("e", a=case)}), 0)
    floors = [summaries.floor_ratio(case.isel({"tasks.spectral_radius": place})) for place in range(2)]
    assert floors[1] > 2 * floors[0]
    assert [height for height, _ in dashed_heights(curves)] == floors
    (dashed,) = (line for line in final.lines if line.is_dashed() and line.get_linestyle() != ":")
    assert dashed.get_ydata().tolist() == floors


def test_nothing_overlaps_in_the_hyperparameters(hyperparameters: Figure) -> None:
    assert not overlaps_and_escapes(hyperparameters)


def test_many_close_values_several_cases_and_a_floor_of_zero() -> None:
    values = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2]
    sweep = {"sweep": {"smoothing_radius": values}, **SHORT}
    cases = {"a": synthetic.case(**sweep), "b": synthetic.case(floor=0.0, unstable=0.0, **sweep)}
    figure = hyperparameters_of({"radius": synthetic.experiment("radius", **cases)})
    assert not overlaps_and_escapes(figure)
    assert len(legend_texts(figure.axes[2])) == 7
    assert [row_of_panels(figure, row)[0].get_title(loc="left") for row in range(2)] == [
        "Smoothing radius $r$, case a",
        "Smoothing radius $r$, case b",
    ]
    assert figure.axes[1].get_yscale() == "linear"
    assert figure.axes[1].get_ylim()[0] == 0.0


def test_words_single_values_and_only_diverged_runs() -> None:
    batch = synthetic.case(sweep={"task_batch": ["1", "3", "all"]}, seeds=[4], **SHORT)
    length = synthetic.case(sweep={"rollout_length": [50]}, **SHORT)
    ends = {(value, seed): ("diverged", 9) for value in (1e-3, 2e-3) for seed in range(3)}
    rate = synthetic.case(sweep={"learning_rate": [1e-3, 2e-3]}, ends=ends, **SHORT)
    trees = {name: synthetic.experiment(name, d=case) for name, case in {"b": batch, "l": length, "r": rate}.items()}
    figure = hyperparameters_of(trees)
    assert [axes.get_xscale() for axes in figure.axes[1::3]] == ["linear"] * 3
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()] == ["1", "3", "all"]
    assert crosses(figure.axes[7]) == [(1e-3, 1.0), (2e-3, 1.0)]
    assert not overlaps_and_escapes(figure)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({}, r"'e' sweeps 0 settings in case 'a' \(none\)"),
        ({"smoothing_radius": [0.1], "rollout_length": [5]}, r"sweeps 2 settings .*smoothing_radius, rollout_length"),
    ],
)
def test_hyperparameters_wants_one_setting_an_experiment(sweep: dict[str, list[float]], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        hyperparameters_of({"e": synthetic.experiment("e", a=synthetic.case(sweep=sweep, **SHORT))})
    with pytest.raises(DatasetError, match="hyperparameters needs the dataset of at least one experiment"):
        hyperparameters_of({})


# --- files -----------------------------------------------------------------------------------------------------------

DRAW = """
import sys, synthetic
from metalqr.config.registries import figures
from places import ROOT
from metalqr.reporting.figures.style import save
dataset = synthetic.figure1_dataset(iterations=80, time_constant=20.0, ends={(1,): ("diverged", 40)})
save(figures.get("learning_curves")().make({"figure1": dataset}), sys.argv[1:])
"""


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    here = [tmp_path / f"here.{form}" for form in ("pdf", "svg", "png")]
    dataset = synthetic.figure1_dataset(ends={(1,): ("diverged", 40)}, **SHORT)
    save(curves_of(dataset), here)

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


def test_the_users_matplotlib_settings_neither_count_nor_change(tmp_path: Path) -> None:
    dataset = synthetic.figure1_dataset(**SHORT)
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
    figure = curves_of(synthetic.figure1_dataset(**SHORT))
    with pytest.raises(ValueError, match=r"figure1\.gif: cannot write .* '\.gif'; use one of \.pdf, \.svg, \.png"):
        save(figure, [tmp_path / "figure1.png", tmp_path / "figure1.gif"])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure1.png"
    path.write_bytes(b"old")

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save(curves_of(synthetic.figure1_dataset(**SHORT)), [path])
    assert [file.name for file in tmp_path.iterdir()] == ["figure1.png"]
    assert path.read_bytes() == b"old"
