"""The quantities that figures and tables share, on cases small enough to work out by hand."""

import json

import numpy as np
import pytest
import synthetic
import xarray as xr

from metalqr import results
from metalqr.reporting import summaries
from metalqr.reporting.summaries import DatasetError

NAN, INF = np.nan, np.inf


def small_case() -> xr.Dataset:
    """Two tasks, M = 4; seed 0 completed, seed 1 met its tolerance at iteration 1, seed 2 diverged after 2."""
    return xr.Dataset(
        {
            "ratio": (("seed", "iteration"), [[1.0, 0.5, 0.3, 0.2], [1.0, 0.4, NAN, NAN], [1.0, 3.0, 9.0, NAN]]),
            "J_star": ("task", [1.0, 3.0]),
            "J_shared": ("task", [1.5, 3.3]),
            "unstable_perturbations": (("seed", "iteration"), [[1.0, 2, 0, 0], [3, 1, NAN, NAN], [0, 8, 8, NAN]]),
            "perturbed_policies": ("seed", [8, 8, 8]),
            "rollout_steps": (("seed", "iteration"), [[0.0, 10, 20, 30], [0, 10, NAN, NAN], [0, 10, 20, NAN]]),
            "gradient_norm": (("seed", "iteration"), [[5.0, 4, 3, NAN], [2, 0.1, NAN, NAN], [6, 7, NAN, NAN]]),
            "status": ("seed", np.array(["completed", "tolerance", "diverged"], dtype=object)),
            "status_iteration": ("seed", [3, 1, 2]),
        },
        coords={"seed": [0, 1, 2], "iteration": [0, 1, 2, 3]},
        attrs={"state_dim": 1, "action_dim": 1, "settings": json.dumps({"perturbations": 4, "task_batch": "all"})},
    )


def test_a_run_is_continued_by_what_its_end_means() -> None:
    expected = [[1.0, 0.5, 0.3, 0.2], [1.0, 0.4, 0.4, 0.4], [1.0, 3.0, 9.0, INF]]
    np.testing.assert_array_equal(summaries.continued_ratio(small_case()), expected)
    np.testing.assert_array_equal(summaries.final_ratio(small_case()), [0.2, 0.4, INF])
    np.testing.assert_array_equal(summaries.last_ratio(small_case()), [0.2, 0.4, 9.0])
    np.testing.assert_array_equal(summaries.last_iteration(small_case()), [3, 1, 2])
    np.testing.assert_array_equal(summaries.diverged(small_case()), [False, False, True])


def test_an_infinite_last_ratio_is_not_the_last_stabilising_gain() -> None:
    case = small_case()
    case["ratio"][2, 3] = INF
    np.testing.assert_array_equal(summaries.last_ratio(case), [0.2, 0.4, 9.0])
    np.testing.assert_array_equal(summaries.last_iteration(case), [3, 1, 2])


def test_the_order_of_dimensions_does_not_matter() -> None:
    case = synthetic.case(sweep={"smoothing_radius": [0.1, 0.2]}, iterations=5, ends={(0.2, 1): ("diverged", 3)})
    for quantity in (summaries.continued_ratio, summaries.final_ratio, summaries.unstable_share):
        other = quantity(case.transpose("iteration", "seed", ...)).transpose("smoothing_radius", "seed", ...)
        xr.testing.assert_equal(quantity(case), other)


def test_floor_is_the_ratio_of_the_best_single_gain() -> None:
    assert summaries.floor_ratio(small_case()) == pytest.approx(0.8 / 4.0)


def test_unstable_perturbations_are_counted_over_the_estimates_that_were_made() -> None:
    np.testing.assert_array_equal(summaries.unstable_count(small_case()), [3, 4, 8])
    np.testing.assert_array_equal(summaries.perturbation_count(small_case()), [24, 16, 16])
    np.testing.assert_allclose(summaries.unstable_share(small_case()), [3 / 24, 4 / 16, 8 / 16])


def test_a_smaller_batch_tries_fewer_perturbations() -> None:
    case = small_case().assign(perturbed_policies=("seed", [4, 4, 4]))
    np.testing.assert_array_equal(summaries.perturbation_count(case), [12, 8, 8])
    swept = synthetic.case(sweep={"task_batch": ["1", "3", "all"]}, seeds=[0], iterations=10)
    np.testing.assert_array_equal(summaries.perturbation_count(swept)[:, 0], [1000, 3000, 5000])


def test_swept_perturbations_count_with_their_own_number() -> None:
    case = synthetic.case(sweep={"perturbations": [10, 30]}, seeds=[0], iterations=10)
    np.testing.assert_array_equal(summaries.perturbation_count(case)[:, 0], [500, 1500])
    assert summaries.swept_settings(case) == ("perturbations",)


def test_no_estimate_has_no_share() -> None:
    case = small_case().isel(iteration=[0])
    case["gradient_norm"][:] = NAN
    assert summaries.unstable_share(case).isnull().all()


def test_cases_say_what_a_dataset_lacks() -> None:
    whole = synthetic.case(iterations=3)
    assert list(summaries.cases(synthetic.experiment("e", b=whole, a=whole))) == ["b", "a"]
    with pytest.raises(DatasetError, match="no case"):
        summaries.cases(synthetic.experiment("e"))
    with pytest.raises(DatasetError, match="case 'a' lacks variable 'J_shared'"):
        summaries.cases(synthetic.experiment("e", a=whole.drop_vars("J_shared")))
    small = {key: value for key, value in whole.attrs.items() if key != "settings"}
    with pytest.raises(DatasetError, match="case 'a' lacks attribute 'settings'"):
        summaries.cases(synthetic.experiment("e", a=whole.drop_attrs(deep=False).assign_attrs(small)))
    with pytest.raises(DatasetError, match="case 'a' lacks dimension 'seed'"):
        summaries.cases(synthetic.experiment("e", a=whole.isel(seed=0)))


def test_synthetic_cases_have_what_stored_cases_have() -> None:
    """The tests of figures and tables would mean little if the pipeline wrote something else."""
    stored = results.DATASETS.variables
    for name, variable in synthetic.case(sweep={"smoothing_radius": [0.1]}, iterations=3).data_vars.items():
        assert variable.dims[-len(stored[name].dims) or len(variable.dims) :] == stored[name].dims
