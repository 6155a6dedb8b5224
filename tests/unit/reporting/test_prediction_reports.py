"""The stage `predictions`: what is joined, drawn and written is what the files hold."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
import xarray as xr
from drawn import faults, lines, tick_texts, xs, ys
from matplotlib.text import Text
from numpy.testing import assert_allclose

from metalqr import results
from metalqr.config.experiments import Base, Experiment
from metalqr.config.registries import figures, sections, tables
from metalqr.prediction import Prediction
from metalqr.reporting.figures.palette import BLUE
from metalqr.reporting.predictions import KEPT, compare, left_out, load_compared, save_compared, with_predicted
from metalqr.reporting.tables.markdown import to_markdown

ITERATIONS, SEEDS, RATES = 500, (0, 1, 2), (1.0e-3, 1.0e-2, 1.0e-1)
GIVEN = {"learning_rate": 1.0e-3, "adaptation_rate": 1.0e-5, "iterations": ITERATIONS}
SWEPT = Experiment("swept", {"one": Base(GIVEN, {"family": "given"})}, SEEDS, sweep={"learning_rate": RATES})
PLAIN = Experiment("plain", {"one": Base(GIVEN, {"family": "given"})}, SEEDS)
REASONS = {"one": {"adam": "update rule adam"}}


def prediction(last: float, valid_until: int = ITERATIONS) -> Prediction:
    """A curve from 1 to ``last``, with a band of half and twice the median, which is nine tenths of the mean."""
    ratio = np.geomspace(1.0, last, ITERATIONS + 1)
    flat = np.zeros(ITERATIONS + 1)
    shares = np.append(np.full(ITERATIONS, 0.25), 0.0)
    return Prediction(
        ratio=ratio, median=0.9 * ratio, geometric_mean=ratio, lower=0.45 * ratio, upper=1.8 * ratio,
        path_ratio=0.8 * ratio, unstable_share=shares, leaving_chance=np.linspace(0.0, 0.5, ITERATIONS + 1),
        contraction=flat, rollout_steps=np.arange(ITERATIONS + 1), K=np.zeros((ITERATIONS + 1, 2, 2)),
        covariance=np.eye(4), average=np.full(4, np.nan), stationary_ratio=0.03, valid_until=valid_until,
        limits=("from iteration 7: why",), noise_kind="exact", band_kind="made up",
    )  # fmt: skip


def files(folder: Path, experiment: Experiment, lasts: list[float], valid_until: int = ITERATIONS) -> dict[int, Path]:
    found = {}
    for place, (point, last) in enumerate(zip(experiment.points("one"), lasts, strict=True)):
        found[place] = folder / f"{experiment.name}-{place}.nc"
        until = ITERATIONS if place < 2 else valid_until
        results.save(found[place], prediction(last, until).to_dataset(point.stated, case=point.tasks))
    return found


def runs(**more: Any) -> xr.Dataset:
    return synthetic.case(seeds=SEEDS, iterations=ITERATIONS, **more)


@pytest.fixture(scope="module")
def swept() -> xr.Dataset:
    ends = {(RATES[2], seed): ("diverged", 20) for seed in SEEDS}
    return runs(sweep={"learning_rate": list(RATES)}, ends=ends)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory, swept: xr.Dataset) -> dict[str, xr.DataTree]:
    folder, found = tmp_path_factory.mktemp("predictions"), {}
    for experiment, dataset, lasts in ((PLAIN, runs(), [0.04]), (SWEPT, swept, [0.04, 0.001, 0.04])):
        made = compare(experiment, "one", dataset, files(folder, experiment, lasts, valid_until=6))
        save_compared(folder / experiment.name, experiment.name, {"one": made}, REASONS)
        found[experiment.name] = load_compared(folder / experiment.name, experiment.name)
    return found


def test_curves_are_thinned_and_keep_both_ends(trees: dict[str, xr.DataTree]) -> None:
    one, dataset = trees["plain"]["one"].to_dataset().isel(configuration=0), runs()
    kept = one["iteration"].values.astype(int)
    assert (kept[0], kept[-1], len(kept)) == (0, ITERATIONS, KEPT)
    shown = dataset["ratio"].values[:, kept]
    assert_allclose(one["measured"], np.median(shown, axis=0))
    assert_allclose(one["measured_max"], shown.max(axis=0))
    assert_allclose(one["expected"], np.geomspace(1.0, 0.04, ITERATIONS + 1)[kept])
    # The last gain tries no perturbation.
    assert_allclose(one["unstable_share"], 0.25)
    assert_allclose(one["leaving_chance"], 0.5)
    assert left_out(trees["plain"]) == REASONS


def test_the_table_has_final_ratios_deviations_and_reasons(trees: dict[str, xr.DataTree], swept: xr.Dataset) -> None:
    frame = tables.get("prediction")().make(trees)
    rows = frame.to_dict("records")
    assert [row["configuration"] for row in rows] == [
        "plain", *(f"learning_rate {rate}" for rate in RATES), "adam", "adam",
    ]  # fmt: skip
    first, second, diverged = rows[1:4]
    final = swept["ratio"].values[0, :, -1]
    assert_allclose(first["deviation"], (0.9 * 0.04 - np.median(final)) / np.std(final, ddof=1))
    assert_allclose(first["mean_gain"], 0.8 * 0.04)
    assert_allclose((first["predicted"], first["predicted_upper"]), (0.04, 1.8 * 0.04))
    assert (first["in_band"], second["in_band"], diverged["in_band"]) == (3, 0, 0)
    assert math.isinf(diverged["measured"])
    assert math.isnan(diverged["deviation"])
    lines = to_markdown(frame, tables.get("prediction").columns).splitlines()
    written = [[cell.strip() for cell in line.split("|")] for line in lines]
    assert {"3 of 3", "all"} <= set(written[3])
    assert {"0 of 3", "6", "from iteration 7: why"} <= set(written[5])  # the last valid iteration
    assert "update rule adam" in written[6]


def test_a_prediction_of_other_settings_is_refused(tmp_path: Path) -> None:
    paths = files(tmp_path, SWEPT, [0.04, 0.04, 0.04])
    with pytest.raises(results.StorageError, match="learning_rate"):
        compare(PLAIN, "one", runs(), {0: paths[1]})


@pytest.mark.slow
def test_the_figure_has_curves_first_then_final_ratios(trees: dict[str, xr.DataTree]) -> None:
    figure = figures.get("prediction")().make(dict(reversed(trees.items())))
    curve, finals = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["plain, one", "swept, one"]
    valid, _, mean_gain = curve.get_lines()[:3]
    assert mean_gain.get_linestyle() == ":"
    assert_allclose(ys(mean_gain)[-1], 0.8 * 0.04)
    assert_allclose(ys(valid)[-1], 0.9 * 0.04)
    assert tick_texts(finals) == ["0.001", "0.01", "0.1"]
    blue = [line for line in finals.get_lines() if line.get_color() == BLUE and line.get_marker() == "None"]
    assert_allclose([ys(line)[0] for line in blue], [0.9 * 0.04, 0.9 * 0.001, 0.9 * 0.04])
    assert [line.get_linestyle() != "-" for line in blue] == [False, False, True]
    (cross,) = [line for line in finals.get_lines() if line.get_marker() == "X"]
    assert_allclose(cross.get_xdata(), [2.12])
    assert faults(figure) == []


@pytest.fixture
def shown(tmp_path: Path, swept: xr.Dataset) -> xr.DataTree:
    """The runs with predictions of the first and the last rate, the last of which is valid until iteration 6."""
    paths = files(tmp_path, SWEPT, [0.04, 0.001, 0.02], valid_until=6)
    made = compare(SWEPT, "one", swept, {place: paths[place] for place in (0, 2)})
    save_compared(tmp_path / "swept.nc", "swept", {"one": made}, REASONS)
    tree, reasons = with_predicted(synthetic.experiment("swept", one=swept), tmp_path / "swept.nc", "swept")
    assert reasons == REASONS
    return tree


def test_predicted_medians_are_at_the_places_of_their_runs(shown: xr.DataTree, swept: xr.Dataset) -> None:
    case = shown["one"].to_dataset()
    assert case.drop_vars("predicted").identical(swept)
    predicted = case["predicted"]
    assert predicted.dims == ("learning_rate", "iteration")
    known = np.isfinite(predicted.values)
    assert known.sum(axis=1).tolist() == [KEPT, 0, 3]  # of the last: iterations 0, 3 and 5
    medians = 0.9 * np.geomspace(1.0, 0.04, ITERATIONS + 1)
    assert_allclose(predicted.values[0, known[0]], medians[known[0]])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hyperparameters", "sample_efficiency", "variants", "learning_curves"])
def test_figures_of_curves_show_predicted_medians(name: str, shown: xr.DataTree) -> None:
    """Beside the runs, which stay as they are, in a style of its own with one key."""
    figure, case = figures.get(name)(), shown["one"].to_dataset()
    if name == "learning_curves":
        case = case.isel(learning_rate=0, drop=True)
    elif name != "hyperparameters":
        case = case.rename(learning_rate="variant").assign_coords(variant=["slow", "medium", "fast"])
    with_lines, without = (
        figure.make({"swept": synthetic.experiment("swept", one=each)}) for each in (case, case.drop_vars("predicted"))
    )
    axes = with_lines.axes[0]
    found = lines(axes, "_predicted")
    assert len(found) == (1 if name == "learning_curves" else 2)
    predicted = case["predicted"].values.reshape(-1, ITERATIONS + 1)[0]
    places = np.arange(ITERATIONS + 1.0)
    if name == "sample_efficiency":
        places, predicted = case["rollout_steps"].values[0, 0, 1:], predicted[1:]
    known = np.isfinite(predicted)
    assert_allclose(xs(found[0]), places[known])
    assert_allclose(ys(found[0]), predicted[known])
    others = [line for line in axes.get_lines() if line not in found]
    assert all(not line.is_dashed() and line.get_linewidth() < others[0].get_linewidth() for line in found)
    for other, alone in zip(others, without.axes[0].get_lines(), strict=True):
        assert_allclose(ys(other), ys(alone))
    keys = [
        [text.get_text() for text in each.findobj(Text) if isinstance(text, Text)].count("predicted median")
        for each in (with_lines, without)
    ]
    assert keys == [1, 0]
    assert faults(with_lines) == faults(without) == []


def test_section_of_the_page_shows_both_curves_and_the_final_ratios(trees: dict[str, xr.DataTree]) -> None:
    one, ends = sections.get("prediction")().charts(trees)
    plain = trees["plain"]["one"].to_dataset().isel(configuration=0)
    for what, variable in (("measured median", "measured"), ("predicted median", "median")):
        (found,) = (each for each in one.curves if (each["configuration"], each["what"]) == ("plain, one", what))
        places = np.searchsorted(plain["iteration"].values, found["points"]["iteration"])
        assert (places[0], places[-1]) == (0, KEPT - 1)
        assert_allclose(found["points"]["ratio"], plain[variable].values[places], rtol=5.1e-5)
    # Of the swept rates the last one diverged, and its prediction ends at iteration 6.
    points = {each["configuration"]: each["points"] for each in ends.curves if each["kind"] == "dot"}
    assert len(points) == 3
    measured = float(plain["measured"][-1])
    assert_allclose(points["plain, one"]["ratio"], [measured], rtol=5.1e-5)
    assert_allclose(points["plain, one"]["expected"], [0.9 * 0.04], rtol=5.1e-5)
    assert ends.see[0].startswith("Of 3 configurations")
