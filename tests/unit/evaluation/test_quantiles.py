import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalqr.evaluation.quantiles import quantile


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=12), st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]))
def test_finite_values_have_the_quantile_of_numpy(values: list[float], share: float) -> None:
    expected = np.quantile(values, share, method="averaged_inverted_cdf")
    assert quantile(values, share) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_infinite_values_are_the_largest_and_never_nan() -> None:
    values = [[1.0, np.inf, 2.0, np.inf, np.inf], [1.0, 3.0, 2.0, 4.0, np.inf]]
    np.testing.assert_array_equal(quantile(values, 0.5), [np.inf, 3.0])
    np.testing.assert_array_equal(quantile(values, 0.9), [np.inf, np.inf])
    np.testing.assert_array_equal(quantile(values, 0.2, axis=1), [1.5, 1.5])
    np.testing.assert_array_equal(quantile(values, 0.5, axis=0), [1.0, np.inf, 2.0, np.inf, np.inf])


def test_what_has_no_quantile_is_refused() -> None:
    with pytest.raises(ValueError, match=r"share: 1.5 is not from 0 to 1"):
        quantile([1.0], 1.5)
    for values in ([], [1.0, np.nan]):
        with pytest.raises(ValueError, match="an unstable task counts as infinite"):
            quantile(values, 0.5)
