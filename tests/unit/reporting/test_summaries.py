"""The quantities that figures and tables share, on cases small enough to work out by hand."""

import numpy as np
import pytest
import synthetic
from synthetic import small_case

from metalqr import results
from metalqr.config.registries import figures
from metalqr.reporting import summaries
from metalqr.reporting.summaries import DatasetError

NAN, INF = np.nan, np.inf


def test_a_run_is_continued_by_what_its_end_means() -> None:
    case = small_case()
    expected = [[1.0, 0.5, 0.3, 0.2], [1.0, 0.4, 0.4, 0.4], [1.0, 3.0, 9.0, INF]]
    np.testing.assert_array_equal(summaries.continued_ratio(case), expected)
    np.testing.assert_array_equal(summaries.final_ratio(case), [0.2, 0.4, INF])
    np.testing.assert_array_equal(summaries.diverged(case), [False, False, True])
    for end in (NAN, INF):  # an infinite last ratio is not the last stabilising gain
        case["ratio"][2, 3] = end
        np.testing.assert_array_equal(summaries.last_ratio(case), [0.2, 0.4, 9.0])
        np.testing.assert_array_equal(summaries.last_iteration(case), [3, 1, 2])


def test_floor_is_the_ratio_of_the_best_single_gain() -> None:
    assert summaries.floor_ratio(small_case()) == pytest.approx(0.8 / 4.0)


def test_unstable_perturbations_are_counted_over_the_estimates_that_were_made() -> None:
    case = small_case()
    np.testing.assert_array_equal(summaries.unstable_count(case), [3, 4, 8])
    np.testing.assert_array_equal(summaries.perturbation_count(case), [24, 16, 16])
    np.testing.assert_allclose(summaries.unstable_share(case), [3 / 24, 4 / 16, 8 / 16])
    case["gradient_norm"][:] = NAN
    assert summaries.unstable_share(case).isnull().all()


def test_every_run_tries_its_own_number_of_perturbations() -> None:
    swept = synthetic.case(sweep={"task_batch": ["1", "3", "all"]}, seeds=[0], iterations=10)
    np.testing.assert_array_equal(summaries.perturbation_count(swept)[:, 0], [1000, 3000, 5000])
    swept = synthetic.case(sweep={"perturbations": [10, 30]}, seeds=[0], iterations=10)
    np.testing.assert_array_equal(summaries.perturbation_count(swept)[:, 0], [500, 1500])
    assert summaries.swept_settings(swept) == ("perturbations",)


def test_cases_have_as_many_axes_as_the_figure_needs() -> None:
    grid = synthetic.case(sweep={"smoothing_radius": [0.1], "rollout_length": [5]}, iterations=3)
    tree = synthetic.experiment("e", b=grid, a=grid)
    assert list(summaries.cases(tree, axes=2)) == list(summaries.cases(tree)) == ["b", "a"]
    for figure in ("learning_curves", "hyperparameters"):
        with pytest.raises(DatasetError, match=r"case 'b' sweeps 2 settings \(smoothing_radius, rollout_length\), but"):
            figures.get(figure)().make({"e": tree})


def test_synthetic_cases_have_what_stored_cases_have() -> None:
    """The tests of figures and tables would mean little if the pipeline wrote something else."""
    stored = results.DATASETS.variables
    for name, variable in synthetic.case(sweep={"smoothing_radius": [0.1]}, iterations=3).data_vars.items():
        assert variable.dims[-len(stored[str(name)].dims) or len(variable.dims) :] == stored[str(name)].dims
