"""Sample sizes, horizons and radii of Lemmas 6, 7, 13 and 14 against the quantities that they promise to bound."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from systems import random_tasks, scalar_tasks, stable_gain

from metalqr import MetaSettings, Stream, estimators, lqr, rollout, theory
from metalqr.lqr import LQRTasks
from metalqr.theory import Form, Quantities

#: An input that hardly acts: the least constants that there are.
MILD = scalar_tasks(0.1, 0.05)
K0 = np.array([[0.5]])


def wide_constants(tasks: LQRTasks, gain: np.ndarray, form: Form = Form.CORRECTED, rate: float = 0.0) -> Quantities:
    sublevel = theory.SublevelSet.around(tasks, gain)
    return theory.sublevel_constants(sublevel.with_levels(2 * sublevel.levels), form, adaptation_rate=rate)


@pytest.mark.parametrize("chance", [0.5, 0.1, 0.01])
@pytest.mark.parametrize(("error", "failure"), [(0.05, 0.1), (0.02, 0.5), (0.1, 0.01)])
def test_bernstein_sample_size_keeps_the_exact_failure_probability(chance: float, error: float, failure: float) -> None:
    """For 0-1 variables σ² = c(1 - c) and B = max(c, 1 - c), and the mean of m of them is binomial."""
    size = theory.bernstein_sample_size(1, 1, chance * (1 - chance), max(chance, 1 - chance), error, failure)
    m = math.ceil(size)
    # Half a count away from the edge, where rounding would decide.
    above = stats.binom.sf(math.floor(m * (chance + error) + 1e-9), m, chance)
    below = stats.binom.cdf(math.ceil(m * (chance - error) - 1e-9) - 1, m, chance)
    assert above + below <= failure
    assert size < 40 * chance * (1 - chance) / error**2 * math.log(2 / failure) + 40 / error * math.log(2 / failure)


def test_bernstein_formula_by_hand() -> None:
    """d1 = 2, d2 = 3, σ² = 4, B = 1, ε = 0.5, δ = 0.1: 2·2/0.25 (4 + 0.5/(3√2)) log 50."""
    expected = 16 * (4 + 0.5 / (3 * math.sqrt(2))) * math.log(50)
    assert theory.bernstein_sample_size(2, 3, 4.0, 1.0, 0.5, 0.1) == pytest.approx(expected, rel=1e-14)
    for error, failure in ((0.0, 0.1), (1.0, 0.0), (1.0, 1.0)):
        with pytest.raises(ValueError, match="must be > 0 and failure_probability"):
            theory.bernstein_sample_size(1, 1, 1.0, 1.0, error, failure)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 10.0))
def test_horizons_keep_their_promise(seed: int, share: float) -> None:
    """At the corrected lengths the exact finite-horizon cost is as near as asked, whatever the initial covariance."""
    tasks = random_tasks(seed, count=1)
    gain = stable_gain(tasks, seed)
    constants = theory.constants(tasks, gain, "corrected")
    cost = float(lqr.cost(tasks, gain)[0])
    length = math.ceil(float(theory.horizons(constants).cost_horizon) / (share * cost))
    if length < 3000:
        assert abs(lqr.finite_horizon_cost(tasks, gain, length)[0] - cost) <= share * cost


def test_noise_horizon_keeps_its_promise() -> None:
    """Of 4000 rollouts of that length so few are off that δ = 0.05 is not refuted, and a quarter of it is likely."""
    constants = theory.horizons(theory.constants(MILD, K0, "corrected"))
    gain, cost = float(constants.rollout_gain), float(constants.J_max)
    error, failure = 4 * cost, 0.05
    length = math.ceil(theory.noise_horizon(gain, cost, error, failure))
    assert length < 2000
    gains = np.broadcast_to(K0, (1, 4000, 1, 1))
    costs = rollout.costs(MILD, gains, length, Stream(3))[0]
    off = np.abs(costs - lqr.finite_horizon_cost(MILD, K0, length)) > error
    assert stats.binomtest(int(off.sum()), 4000, failure, alternative="greater").pvalue > 1e-3


def test_lemma_6_holds_for_algorithm_1() -> None:
    """The one corner where the lemma's numbers can be simulated: an error of 40 where the gradient is about 1."""
    error, failure = 40.0, 0.05
    found = theory.gradient_estimation(wide_constants(MILD, K0), error, failure)
    M, length, radius = math.ceil(float(found.h_M_1)), math.ceil(float(found.h_l_1)), float(found.h_r_1)
    assert M * length < 1e8
    how = MetaSettings(
        learning_rate=1.0, adaptation_rate=0.0, inner_perturbations=M, rollout_length=length, smoothing_radius=radius
    )
    estimate = estimators.estimate_gradient(MILD, K0, how, Stream(1))
    assert np.linalg.norm(estimate - lqr.gradient(MILD, K0)) <= error


@pytest.mark.parametrize("rate", [0.0, 1e-4])
def test_lemma_7_spends_no_more_than_the_error(rate: float) -> None:
    """The parts of the corrected proof at the returned numbers: bias, sampling, horizon; six twelfths of the error."""
    error, failure, dk = 4.0, 0.1, 1.0
    c = wide_constants(MILD, K0, rate=rate)
    found = theory.meta_gradient_estimation(c, error, failure)
    radius, length = float(found.smoothing_radius), float(found.rollout_length)
    assert radius * float(c.h_meta_grad) <= error / 12 * (1 + 1e-12)
    assert dk / radius * float(found.cost_horizon) / length <= error / 12 * (1 + 1e-12)
    if rate:
        shift = dk / radius * float(c.h_cost * c.J_max) * rate * float(found.epsilon_inner)
        assert shift <= error / 12 * (1 + 1e-12)
        assert float(found.perturbations) >= float(found.h_M_2)
    else:
        assert math.isinf(float(found.epsilon_inner))
        assert float(found.perturbations) == float(found.h_M_2)
    per_task = failure / (2 * float(found.task_batch))
    sample, mean = dk / radius * float(c.J_max), float((1 + c.eta * c.h_H) * c.h_G)
    wanted = theory.bernstein_sample_size(1, 1, sample**2 + mean**2, sample + mean, error / 12, per_task / 4)
    assert float(found.h_M_2) == pytest.approx(wanted, rel=1e-12)


def test_printed_numbers_are_those_of_the_paper() -> None:
    """h_sample(4/ε, δ), h_ℓ,grad and h_sample,task written out, at d = 3, k = 2."""
    tasks = random_tasks(2)
    sublevel = theory.SublevelSet.around(tasks, stable_gain(tasks, 2))
    c = theory.sublevel_constants(sublevel, "printed", adaptation_rate=1e-3)
    found = theory.gradient_estimation(c, 0.1, 0.05)
    r, dk = float(found.h_r_1), 6
    assert r == pytest.approx(min(1 / c.h_cost, c.h_Delta, 0.1 / (4 * c.h_grad)), rel=1e-12)
    sample, mean = dk / r * (1 + r * c.h_cost) * c.J_max, c.h_grad * r + c.h_G
    M = 32 * 2 / 0.01 * (sample**2 + mean**2 + (sample + mean) * 0.1 / (12 * math.sqrt(2))) * math.log(5 / 0.05)
    assert float(found.h_M_1) == pytest.approx(float(M), rel=1e-12)
    weight = c.Q_max + c.R_max * c.K_norm**2
    length = 16 * 36 * c.J_max**2 * weight / (0.1 * r * c.mu_0 * c.q**2)
    assert float(found.h_l_grad) == pytest.approx(float(length), rel=1e-12)
    assert "only says that it exists" in found["h_l_1"].note
    meta = theory.meta_gradient_estimation(c, 0.1, 0.05)
    norm = (1 + 1e-3 * c.h_H) * c.h_G
    batch = 8 * 2 / 0.01 * (2 * norm**2 + 2 * norm * 0.1 / (6 * math.sqrt(2))) * math.log(2 * 5 / 0.05)
    assert float(meta.task_batch) == pytest.approx(float(batch), rel=1e-12)
    curvature = (1 + 1e-3 * c.h_H) * (1 + 1e-3 * c.h_grad) * c.h_grad
    assert float(meta.h_r_2) == pytest.approx(float(1 / (6 * (1e-3 * c.h_hess * c.h_G + curvature))), rel=1e-12)


def test_quantities_can_be_replaced() -> None:
    """A user's own bound in place of ours: the lemmas take what they are given."""
    c = wide_constants(MILD, K0)
    tighter = Quantities(c.form, [replace(q, value=q.value / 2) if q.name == "J_max" else q for q in c.values()])
    assert theory.horizons(tighter).cost_horizon < theory.horizons(c).cost_horizon


def test_an_adaptation_rate_beyond_the_proof_of_lemma_7_is_refused() -> None:
    limit = 0.25 / float(wide_constants(MILD, K0).h_H)
    assert float(theory.meta_gradient_estimation(wide_constants(MILD, K0, rate=limit), 4.0, 0.1).perturbations) > 1
    with pytest.raises(ValueError, match=r"the adaptation rate .* is above 1/\(4 h_H\) = .*, where Lemma 7 is proved"):
        theory.meta_gradient_estimation(wide_constants(MILD, K0, rate=1.01 * limit), 4.0, 0.1)
