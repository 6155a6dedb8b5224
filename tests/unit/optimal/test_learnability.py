import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from systems import opposed_tasks, random_tasks, scalar_tasks, stable_gain, uncontrollable_tasks

from metalqr import lqr, optimal
from metalqr.lqr import LQRTasks, UnstablePolicyError
from metalqr.objectives import meta
from metalqr.optimal import adaptable_intervals, scalar_intervals
from metalqr.optimal.learnability import Verdict, assess, largest_adaptation_rate
from metalqr.optimal.scalar import common_intervals

rates = st.floats(-4, 1).map(lambda exponent: 10.0**exponent)


@st.composite
def scalar_sets(draw: st.DrawFn) -> LQRTasks:
    """Sets of one to three scalar tasks, not all of them with a common gain."""
    count = draw(st.integers(1, 3))
    a = [draw(st.floats(-2, 2)) for _ in range(count)]
    b, q, r, noise = ([draw(st.floats(0.2, 3)) for _ in range(count)] for _ in range(4))
    return scalar_tasks(a, b, q, r, noise)


@pytest.mark.parametrize(("a", "b"), [(1.5, 1e-100), (1e150, 1.0)])
def test_a_weak_input_is_no_certificate(a: float, b: float) -> None:
    """A gain stabilises these tasks, K = a / b, although doubles cannot solve their Riccati equation."""
    tasks = scalar_tasks(a, b)
    with pytest.raises(optimal.RiccatiError):
        assess(tasks, 0.0)
    assert assess(tasks, 0.0, [[a / b]]).verdict is Verdict.LEARNABLE


# --- scalar tasks, where Definition 1 is decided


@pytest.mark.slow
@settings(max_examples=60)
@given(scalar_sets(), rates, st.floats(0.001, 0.999))
def test_intervals_hold_exactly_the_maml_stabilising_gains(tasks: LQRTasks, rate: float, share: float) -> None:
    for task, (low, high) in enumerate(scalar_intervals(tasks)):
        gain = low + share * (high - low)
        alone = tasks.subset([task])
        intervals = adaptable_intervals(alone, rate)[0]
        assume(min(abs(gain - end) for piece in intervals for end in piece) > 1e-6 * (high - low))
        inside = any(a < gain < b for a, b in intervals)
        assert meta.is_maml_stabilising(alone, [[gain]], rate) == inside
        optimum = optimal.optimal_gains(alone).K.item()
        assert any(a < optimum < b for a, b in intervals), "the optimum does not move"


def test_intervals_with_a_cross_term_or_without_noise() -> None:
    """The adapted closed loop of gains on both sides of every end, by the exact gradient."""
    tasks = scalar_tasks([0.9, -0.4, 0.5], 0.7, 1.5, 0.8, psi=[1.0, 2.0, 0.0], S=[[[0.6]], [[-0.9]], [[0.1]]])
    for i, intervals in enumerate(adaptable_intervals(tasks, 0.05)):
        alone = tasks.subset([i])
        for low, high in intervals:
            for gain, inside in ((low + 1e-6, True), (high - 1e-6, True), (low - 1e-6, False), (high + 1e-6, False)):
                assert meta.is_maml_stabilising(alone, [[gain]], 0.05) == inside
    np.testing.assert_allclose(adaptable_intervals(tasks, 0.05)[2], [[-0.5 / 0.7, 1.5 / 0.7]])


def test_intervals_of_one_task_can_be_two() -> None:
    """Between them the adapted closed loop exceeds one although K and its neighbours are stabilising."""
    tasks = scalar_tasks(-1.00417997, 0.06385943, 33.8336539, 14.3438879, 73.7075928)
    rate = 4.88258536e-4
    (intervals,) = adaptable_intervals(tasks, rate)
    assert len(intervals) == 2
    gap = 0.5 * (intervals[0][1] + intervals[1][0])
    assert lqr.is_stabilising(tasks, [[gap]]).all()
    assert not meta.is_maml_stabilising(tasks, [[gap]], rate)
    for interval in intervals:
        assert meta.is_maml_stabilising(tasks, [[sum(interval) / 2]], rate)


def test_intervals_of_a_task_without_input_and_of_common_points() -> None:
    assert adaptable_intervals(scalar_tasks(0.5, 0.0), 1.0) == (((-np.inf, np.inf),),)
    assert common_intervals([((0.0, 4.0),), ((-1.0, 1.0), (2.0, 9.0)), ((-np.inf, np.inf),)]) == ((2, 4), (0, 1))
    assert common_intervals([((0.0, 1.0),), ((1.0, 2.0),)]) == ()


@pytest.mark.slow
@settings(max_examples=30)
@given(scalar_sets(), rates)
def test_scalar_tasks_are_decided_either_way(tasks: LQRTasks, rate: float) -> None:
    """Against a grid of gains, which may miss a gain that works but finds none where there is none."""
    found = assess(tasks, rate)
    if found.verdict is Verdict.LEARNABLE:
        assert found.gain is not None
        assert meta.is_maml_stabilising(tasks, found.gain.K, rate)
    else:
        assert found.verdict is Verdict.NOT_LEARNABLE
        intervals = scalar_intervals(tasks)
        low, high = intervals[:, 0].max(), intervals[:, 1].min()
        grid = np.linspace(low, high, 201)[1:-1] if low < high else np.empty(0)
        assert not any(meta.is_maml_stabilising(tasks, [[gain]], rate) for gain in grid)
        assert found.intervals is not None
        assert common_intervals(found.intervals) == ()


def test_tasks_that_are_learnable_up_to_some_rate() -> None:
    """a = 3/2 and a = -3/10 have the common interval (1/2, 7/10), which the adaptation pulls apart."""
    tasks = scalar_tasks([1.5, -0.3])
    assert assess(tasks, 1e-3).verdict is Verdict.LEARNABLE
    found = assess(tasks, 0.1, K0=[[0.6]])
    assert found.verdict is Verdict.NOT_LEARNABLE
    assert found.gain is None
    assert (
        "not learnable at the adaptation rate 0.1: no gain is MAML-stabilising at the adaptation rate" in found.summary
    )
    assert "task 1 needs K in (-1.02259, 0.498801), and these have no point in common; lower the" in found.certificate
    assert [attempt.name for attempt in found.attempts[:2]] == ["K0", "zero"]


def test_intervals_that_rounding_parts_prove_nothing() -> None:
    """Two tasks with the same optimum: at any rate a sliver around it is common, at this one too short for doubles."""
    assert assess(scalar_tasks(1.0, psi=[1.0, 3.0]), 1e60).verdict is not Verdict.NOT_LEARNABLE


def test_papers_pair_is_not_learnable_at_any_rate() -> None:
    found = assess(scalar_tasks([3.0, 1.0], [4.0, -1.0]), 0.0)
    assert (found.verdict, found.intervals) == (Verdict.NOT_LEARNABLE, (((0.5, 1.0),), ((-2.0, 0.0),)))
    assert "task 0 needs K in (0.5, 1), task 1 needs K in (-2, 0)" in found.summary


# --- tasks of more dimensions


def test_k0_is_tried_first_and_named() -> None:
    tasks = random_tasks(51, spread=0.2)
    K0 = stable_gain(tasks, 51)
    rate = 0.5 * largest_adaptation_rate(tasks, K0)
    found = assess(tasks, rate, K0)
    assert found.gain is not None
    np.testing.assert_array_equal(found.gain.K, K0)
    np.testing.assert_allclose(found.gain.radius, lqr.spectral_radius(tasks, K0), rtol=1e-14)
    adapted = meta.adapted_gains(tasks, K0, rate)
    np.testing.assert_allclose(found.gain.adapted_radius, lqr.spectral_radius(tasks, adapted), rtol=1e-14)
    assert found.summary.startswith(f"learnable at the adaptation rate {rate:.6g}: K0 is MAML-stabilising, its largest")


def test_another_gain_is_found_where_k0_overshoots() -> None:
    tasks, K0 = random_tasks(52, spread=0.2), np.zeros((2, 3))
    found = assess(tasks, 2.0 * largest_adaptation_rate(tasks, K0), K0)
    assert found.gain is not None
    assert found.gain.works
    assert found.gain.name not in ("K0", "zero")
    assert found.certificate.startswith(f"{found.gain.name} is MAML-stabilising")


@pytest.mark.slow
def test_where_nothing_is_found_nothing_is_claimed_but_what_was_tried_is_told() -> None:
    tasks = random_tasks(53, 3, 2, 2, spread=0.5)
    found = assess(tasks, 50.0)
    assert found.verdict is Verdict.NOT_FOUND
    assert not any(attempt.works for attempt in found.attempts)
    for part in (
        "MAML-stabilising for all 3 tasks at the adaptation rate 50. Tried:\n  zero: largest spectral radius 0.9, ",
        "\n  the best single gain: largest spectral radius ",
        "\n  the optimum of task 2: largest spectral radius ",
        "\n  the end of a continuation in the adaptation rate from 0: largest spectral radius ",
    ):
        assert part in found.certificate
    assert "\n" not in found.summary
    reached = float(found.certificate.partition("\nLower the adaptation rate; at ")[2].removesuffix(" there is one"))
    assert optimal.maml_stabilising_gain(tasks, 0.999 * reached).works


def test_tasks_without_a_common_gain() -> None:
    found = assess(opposed_tasks(), 1e-3)
    assert found.verdict is Verdict.NOT_FOUND
    assert "discount annealing: stopped" in found.summary


def test_a_task_that_no_gain_stabilises() -> None:
    found = assess(uncontrollable_tasks(), 1e-3)
    assert found.verdict is Verdict.NOT_LEARNABLE
    assert found.certificate.startswith("task 1 cannot be stabilised by any gain")


def test_impossible_arguments_are_refused() -> None:
    tasks = random_tasks(0)
    with pytest.raises(ValueError, match=re.escape("adaptation_rate: -1.0 is not a finite number >= 0")):
        assess(tasks, -1.0)
    for function in (largest_adaptation_rate, lambda tasks, K0: assess(tasks, 0.1, K0)):
        with pytest.raises(ValueError, match=re.escape("K0 has shape (3,), expected (2, 3)")):
            function(tasks, [0.0, 0.0, 0.0])
    with pytest.raises(UnstablePolicyError, match="the gain does not stabilise task 0"):
        largest_adaptation_rate(tasks, np.full((2, 3), 9.0))


# --- the largest adaptation rate of a gain


@pytest.mark.slow
@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 3))
def test_largest_rate_against_a_scan(seed: int, state_dim: int, action_dim: int) -> None:
    tasks = random_tasks(seed, 3, state_dim, action_dim)
    K0 = stable_gain(tasks, seed)
    largest = largest_adaptation_rate(tasks, K0)
    for share in np.linspace(0.0, 1.0 - 1e-8, 101):
        assert meta.is_maml_stabilising(tasks, K0, share * largest)
    assert not meta.is_maml_stabilising(tasks, K0, (1.0 + 1e-8) * largest)


def test_largest_rate_at_the_optimum_of_a_single_task_has_no_bound() -> None:
    """With a = 0 the optimum is K = 0, where the computed gradient is exactly zero."""
    assert largest_adaptation_rate(scalar_tasks(0.0), [[0.0]]) == np.inf
