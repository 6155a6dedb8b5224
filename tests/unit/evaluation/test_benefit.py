"""The comparison of a family at several levels: against the library draw by draw, its failures, its file."""

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import benefits
import numpy as np
import pytest

from metalqr import results
from metalqr.config.registries import families
from metalqr.evaluation.adaptation.unseen import SharedTaskError
from metalqr.evaluation.benefit import comparison as module
from metalqr.evaluation.benefit.comparison import Comparison, compare
from metalqr.evaluation.benefit.dataset import load_meta_benefit, meta_benefit_dataset
from metalqr.evaluation.heterogeneity import bisimulation_distance, gradient_distance, matrix_distances
from metalqr.evaluation.meta_benefit import meta_benefit
from metalqr.optimal import DescentError
from metalqr.results.files import StorageError
from metalqr.systems.addresses import Pool
from metalqr.systems.family import Family
from metalqr.systems.further import digest, further_tasks

SEED, COUNT = 8, 2
SMALL = Comparison(["both"], [0.5, 1.0], draws=2, unseen_tasks=3, adaptation_rates=[0.1, 0.5])


def similar(**changes: Any) -> Family:
    plugin = families.get("similar")
    needed = {"count": COUNT, "spectral_radius": 0.8, "perturbed_share": 1.0, "perturbation_deviation": 0.2}
    return plugin(plugin.Settings(**needed | changes))


@functools.cache
def found() -> dict[str, Any]:
    return compare(similar(), 1, 1, SEED, SMALL)


def test_the_first_draw_is_the_case_and_others_are_its_next_tasks() -> None:
    family = similar()
    assert digest(further_tasks(family, 1, 1, SEED, Pool.TRAINING, COUNT).tasks) == digest(family.tasks(1, 1, SEED))
    unseen = further_tasks(family, 1, 1, SEED, Pool.TEST, SMALL.unseen_tasks).tasks
    for draw in range(2):
        training = further_tasks(family, 1, 1, SEED, Pool.TRAINING, COUNT, COUNT * draw).tasks
        expected, at = meta_benefit(training, unseen, SMALL.adaptation_rates), (0, 1, draw)
        np.testing.assert_array_equal(found()["training_gap"][at], expected.training)
        np.testing.assert_array_equal(found()["unseen_gap"][at], expected.unseen)
        np.testing.assert_array_equal(found()["K_meta"][at], expected.meta.K)
        np.testing.assert_array_equal(found()["K_shared"][at], expected.shared)
        assert found()["largest_rate"][at] == expected.largest_rate
        assert found()["gradient_distance"][at] == gradient_distance(training, expected.shared)
        assert found()["bisimulation_distance"][at] == bisimulation_distance(training, expected.shared)
        assert found()["matrix_distance"][at].tolist() == list(matrix_distances(training).values())


def test_levels_are_those_of_the_family() -> None:
    few = replace(SMALL, differences=["costs", "both"], heterogeneity=[0.5], draws=1, adaptation_rates=[0.1])
    result = compare(similar(), 1, 1, SEED, few)
    training = similar(perturbation_deviation=0.1, perturbed_matrices=["Q", "R"]).tasks(1, 1, SEED)
    assert result["matrix_distance"][0, 0, 0].tolist() == list(matrix_distances(training).values())
    assert (result["matrix_distance"][0, 0, 0, :2] == 0).all()  # A and B
    np.testing.assert_array_equal(result["matrix_distance"][1, 0, 0], found()["matrix_distance"][0, 0, 0])
    assert (found()["failure"] == "").all()


def test_a_draw_that_no_gain_stabilises_is_recorded_with_the_reason() -> None:
    plugin: Any = families.get("legacy")  # tasks that need inputs of either sign
    family = plugin(plugin.Settings(count=6, perturbation_deviation=10.0))
    result = compare(family, 1, 1, SEED, replace(SMALL, heterogeneity=[0.001, 1.0]))
    assert (result["failure"][0, 0] == "").all()
    assert np.isfinite(result["unseen_gap"][0, 0, :, :, 0]).all()
    assert all("no gain" in reason for reason in result["failure"][0, 1].flat), result["failure"]
    assert np.isnan(result["unseen_gap"][0, 1]).all()
    assert np.isfinite(result["matrix_distance"]).all()


def test_any_draw_may_fail_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fails_once(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise DescentError("ended\nearly")
        return meta_benefit(*arguments)

    monkeypatch.setattr(module, "meta_benefit", fails_once)
    result = compare(similar(), 1, 1, SEED, replace(SMALL, heterogeneity=[1.0]))
    assert result["failure"][0, 0].tolist() == [["", ""], ["ended early"] * 2]
    np.testing.assert_array_equal(result["unseen_gap"][0, 0, 0], found()["unseen_gap"][0, 1, 0])
    assert np.isnan(result["unseen_gap"][0, 0, 1]).all()


def test_tasks_that_are_all_the_same_are_not_unseen() -> None:
    with pytest.raises(SharedTaskError, match="a family whose tasks differ"):
        compare(similar(perturbation_deviation=0.0), 1, 1, SEED, SMALL)


def test_the_file_holds_everything(tmp_path: Path) -> None:
    dataset = meta_benefit_dataset(found(), SMALL, {"seed": SEED}, case="one", state_dim=1, action_dim=1)
    results.save(tmp_path / "one.nc", dataset)
    read = load_meta_benefit(tmp_path / "one.nc", "one")
    assert dict(read.sizes) == {
        "difference": 1, "heterogeneity": 2, "draw": 2, "share": 2, "start": 2, "step": 2, "task": COUNT, "unseen": 3,
        "action": 1, "state": 1, "matrix": 6,
    }  # fmt: skip
    chosen = read.sel(difference="both", heterogeneity=0.5, draw=1, share=0.5, start="meta_optimum", step=1)
    np.testing.assert_array_equal(chosen["unseen_gap"], found()["unseen_gap"][0, 0, 1, 1, 1, 1])
    assert json.loads(read.attrs["settings"]) == {"seed": SEED}


@pytest.mark.parametrize("name", ["unseen_gap", "objective"])
def test_numbers_are_missing_only_where_a_reason_stands(name: str, tmp_path: Path) -> None:
    dataset = benefits.benefit()
    results.save(tmp_path / "good.nc", dataset)
    load_meta_benefit(tmp_path / "good.nc")
    dataset[name][0, 0, 0] = np.nan
    results.save(tmp_path / "bad.nc", dataset)
    with pytest.raises(StorageError, match=f"its variable {name} is not a number in other places"):
        load_meta_benefit(tmp_path / "bad.nc")
