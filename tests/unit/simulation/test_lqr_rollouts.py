"""The compiled rollouts against a plain twin, against the exact mean they estimate, and against themselves."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import numpy as np
import pytest
import twins
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from systems import random_tasks

from metalqr import LQRTasks, MetaSettings, lqr, rollout
from metalqr.simulation.lqr_rollouts import LQRSimulator
from metalqr.simulation.simd.lanes import lanes
from metalqr.simulation.simd.orthogonal import orthogonal_blocks
from metalqr.simulation.simulator import Array, WeightedDirections
from metalqr.simulation.streams import Purpose, Stream, perturbations

#: Those of two states and two actions have a kernel of their own, which takes long to compile.
DIMENSIONS = [(1, 1), pytest.param(2, 2, marks=pytest.mark.slow), (3, 1), (2, 5), (7, 4), (20, 10)]


def smoothed_gradients(
    tasks: LQRTasks, gains: Array, count: int, radius: float, length: int, stream: Stream, precision: str = "float64"
) -> Array:
    directions = WeightedDirections(count, radius)
    return LQRSimulator(tasks, precision).weighted_directions(gains, directions, length, stream)


def _some_gains(tasks: LQRTasks, count: int, seed: int = 3) -> Array:
    return 0.01 * np.random.default_rng(seed).standard_normal((tasks.count, count, tasks.action_dim, tasks.state_dim))


@pytest.mark.parametrize(("state_dim", "action_dim"), DIMENSIONS)
def test_costs_agree_with_the_plain_twin(state_dim: int, action_dim: int) -> None:
    tasks = random_tasks(seed=1, count=2, state_dim=state_dim, action_dim=action_dim)
    gains, stream, length = _some_gains(tasks, 11), Stream(8, iteration=5), 13
    costs = rollout.costs(tasks, gains, length, stream)
    address = stream.address(Purpose.ROLLOUT)
    expected = [
        [twins.rollout_cost(tasks, i, gains[i, m], length, 0, 11 * i + m, address) for m in range(11)] for i in range(2)
    ]
    assert_allclose(costs, expected, rtol=1e-12)


def _smoothed_gradient_twin(
    tasks: LQRTasks, task: int, gain: Array, perturbed: int, radius: float, length: int, policy: int, stream: Stream
) -> Array:
    """Algorithm 1 at one gain; ``policy`` is counter 2."""
    chosen = MetaSettings(
        learning_rate=1.0,
        adaptation_rate=1.0,
        inner_perturbations=perturbed,
        smoothing_radius=radius,
        rollout_length=length,
    )
    return twins.inner_estimate(tasks, task, gain, chosen, policy, stream)


@pytest.mark.parametrize(("state_dim", "action_dim"), [(1, 1), (3, 2), (20, 10)])
def test_smoothed_gradients_agree_with_the_plain_twin(state_dim: int, action_dim: int) -> None:
    tasks = random_tasks(seed=2, count=2, state_dim=state_dim, action_dim=action_dim)
    gains, stream, radius, length, perturbed = _some_gains(tasks, 3), Stream(8, iteration=5), 0.1, 6, 10
    estimates = smoothed_gradients(tasks, gains, perturbed, radius, length, stream)
    for i in range(2):
        for p in range(3):
            expected = _smoothed_gradient_twin(tasks, i, gains[i, p], perturbed, radius, length, 3 * i + p, stream)
            assert_allclose(estimates[i, p], expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


@pytest.mark.slow
@settings(max_examples=25)
@given(data=st.data(), count=st.integers(1, 40), perturbed=st.sampled_from([1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 40]))
def test_any_number_of_policies_and_perturbations_fills_the_lanes(
    data: st.DataObject, count: int, perturbed: int
) -> None:
    """Rollouts of several policies share vectors: every policy must get its own, all of them and no other."""
    tasks = random_tasks(seed=2, count=2, state_dim=3, action_dim=2)
    gains, stream, radius, length = _some_gains(tasks, count), Stream(8), 0.1, 2
    estimates = smoothed_gradients(tasks, gains, perturbed, radius, length, stream)
    i = data.draw(st.integers(0, 1))
    for p in {0, data.draw(st.integers(0, count - 1)), count - 1}:
        expected = _smoothed_gradient_twin(tasks, i, gains[i, p], perturbed, radius, length, count * i + p, stream)
        assert_allclose(estimates[i, p], expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize(("state_dim", "action_dim"), [(2, 2), (20, 10)])
def test_single_precision_follows_the_same_rollouts(state_dim: int, action_dim: int) -> None:
    """Each cost to 2e-5, some hundred roundings of 6e-8; each estimate to 1e-4 of the largest."""
    tasks = random_tasks(seed=1, count=2, state_dim=state_dim, action_dim=action_dim)
    gains = _some_gains(tasks, 21)
    double, single = (rollout.costs(tasks, gains, 50, Stream(8), precision=p) for p in ("float64", "float32"))
    assert_allclose(single, double, rtol=2e-5)
    assert np.all(single != double)
    double, single = (
        smoothed_gradients(tasks, gains, 37, 0.05, 50, Stream(8), precision=p) for p in ("float64", "float32")
    )
    assert_allclose(single, double, rtol=0, atol=1e-4 * np.abs(double).max())


@pytest.mark.slow
@pytest.mark.parametrize(("state_dim", "action_dim"), [(2, 2), (20, 10)])
def test_single_precision_biases_no_cost(state_dim: int, action_dim: int) -> None:
    """The mean over 10^6 rollouts moves by less than a tenth of its standard error.

    Both precisions see the same noise, so the difference of the means is the bias with hardly any noise of its own.
    """
    tasks = random_tasks(seed=4, count=2, state_dim=state_dim, action_dim=action_dim)
    gain = 0.02 * np.ones((action_dim, state_dim))
    count, parts = 50_000, 10  # of each of 2 tasks
    costs = np.empty((2, 2, parts, count))
    for part in range(parts):
        for n, precision in enumerate(("float64", "float32")):
            gains = np.broadcast_to(gain, (2, count, action_dim, state_dim))
            costs[n, :, part] = rollout.costs(tasks, gains, 50, Stream(1, part), precision=precision)
    double, single = costs.reshape(2, 2, -1)
    errors = double.std(axis=1) / np.sqrt(double.size)
    assert double.size == 10**6
    assert np.all(np.abs(single.mean(axis=1) - double.mean(axis=1)) < 0.1 * errors)


@pytest.mark.slow
@pytest.mark.parametrize(("state_dim", "action_dim"), [(1, 1), (3, 2)])
def test_ten_million_rollouts_have_the_finite_horizon_cost(state_dim: int, action_dim: int) -> None:
    """The mean within 4.5 standard errors of the exact mean (two-sided, 7e-6 each): it shows a bias of 0.2 %."""
    tasks = random_tasks(seed=4, count=1, state_dim=state_dim, action_dim=action_dim)
    gain = 0.02 * np.ones((action_dim, state_dim))
    gains = np.broadcast_to(gain, (1, 100_000, action_dim, state_dim))
    costs = np.concatenate([rollout.costs(tasks, gains, 20, Stream(3, part))[0] for part in range(100)])
    exact, error = lqr.finite_horizon_cost(tasks, gain, 20)[0], costs.std() / np.sqrt(10**7)
    assert abs(costs.mean() - exact) < 4.5 * error
    assert error < 5e-4 * exact


@pytest.mark.slow
@pytest.mark.parametrize(("state_dim", "action_dim", "count"), [(1, 1, 400_000), (2, 2, 400_000), (20, 10, 20_000)])
@pytest.mark.parametrize("length", [1, 50])
def test_the_mean_cost_is_the_finite_horizon_cost(state_dim: int, action_dim: int, count: int, length: int) -> None:
    """Every task's mean within 4.5 standard errors of the exact mean (two-sided, 7e-6 each)."""
    tasks = random_tasks(seed=4, count=3, state_dim=state_dim, action_dim=action_dim)
    gain = 0.02 * np.ones((action_dim, state_dim))
    costs = rollout.costs(tasks, np.broadcast_to(gain, (3, count, action_dim, state_dim)), length, Stream(1))
    error = (costs.mean(axis=1) - lqr.finite_horizon_cost(tasks, gain, length)) / (costs.std(axis=1) / np.sqrt(count))
    assert np.all(np.abs(error) < 4.5), error


def test_the_initial_state_has_its_own_covariance() -> None:
    """With one step from a large initial state the cost is dominated by Sigma0: within 4.5 standard errors."""
    base = random_tasks(seed=5, count=2, state_dim=2, action_dim=1)
    tasks = lqr.LQRTasks(base.A, base.B, base.Q, base.R, base.Psi, Sigma0=100.0 * base.Q)
    gain = np.array([[0.1, -0.1]])
    costs = rollout.costs(tasks, np.broadcast_to(gain, (2, 200_000, 1, 2)), 1, Stream(1))
    error = (costs.mean(axis=1) - lqr.finite_horizon_cost(tasks, gain, 1)) / (costs.std(axis=1) / np.sqrt(200_000))
    assert np.all(np.abs(error) < 4.5), error


@pytest.mark.slow
@pytest.mark.parametrize(("state_dim", "action_dim"), DIMENSIONS)
def test_thread_counts_change_no_bit(state_dim: int, action_dim: int) -> None:
    tasks = random_tasks(seed=6, count=3, state_dim=state_dim, action_dim=action_dim)
    gains = _some_gains(tasks, 21)

    def singles(tasks: LQRTasks, gains: Array) -> Iterator[Array]:
        yield rollout.costs(tasks, gains, 20, Stream(2), precision="float32")
        yield smoothed_gradients(tasks, gains, 9, 0.05, 20, Stream(2), precision="float32")

    results = []
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            results.append(
                (
                    rollout.costs(tasks, gains, 20, Stream(2)),
                    smoothed_gradients(tasks, gains, 9, 0.05, 20, Stream(2)),
                    *(singles(tasks, gains) if (state_dim, action_dim) != (2, 2) else []),  # to compile one shape less
                    perturbations(Stream(2), 3, 21, action_dim, state_dim, 0.05),
                )
            )
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    for one, two in zip(*results, strict=True):
        assert_array_equal(one, two)


@settings(max_examples=15)
@given(state_dim=st.integers(1, 9), action_dim=st.integers(1, 9), count=st.integers(1, 20), length=st.integers(1, 9))
def test_any_dimensions_agree_with_the_plain_twin(state_dim: int, action_dim: int, count: int, length: int) -> None:
    assume((state_dim, action_dim) != (1, 2))  # small dimensions have code of their own, which takes long to compile
    tasks = random_tasks(seed=7, count=2, state_dim=state_dim, action_dim=action_dim)
    gains = _some_gains(tasks, count)
    costs = rollout.costs(tasks, gains, length, Stream(4))
    address = Stream(4).address(Purpose.ROLLOUT)
    last = twins.rollout_cost(tasks, 1, gains[1, -1], length, 0, 2 * count - 1, address)
    assert_allclose(costs[1, -1], last, rtol=1e-12)


def test_batch_slots_of_one_task_have_their_own_noise() -> None:
    tasks = random_tasks(seed=8, count=3, state_dim=2, action_dim=1)
    gains = np.zeros((2, 4, 1, 2))
    costs = rollout.costs(tasks, gains, 10, Stream(0), task_of_slot=np.array([1, 1]))
    assert not np.any(costs[0] == costs[1])


def test_tasks_that_have_changed_between_two_calls_are_checked_again() -> None:
    tasks = random_tasks(seed=1, count=2, state_dim=3, action_dim=1)
    simulator, chosen, gains = LQRSimulator(tasks), np.array([1, 0]), _some_gains(tasks, 4)
    first = simulator.costs(gains, 5, Stream(0), tasks=chosen)
    chosen[:] = 0, 1
    assert not np.any(simulator.costs(gains, 5, Stream(0), tasks=chosen) == first)
    chosen[1] = 2
    with pytest.raises(ValueError, match="whole numbers from 0 to 1"):
        simulator.costs(gains, 5, Stream(0), tasks=chosen)


@pytest.mark.slow
@pytest.mark.parametrize("perturbed", [0, 3, 100])
@pytest.mark.parametrize(
    ("state_dim", "action_dim", "precision"), [(2, 2, "float64"), (3, 2, "float64"), (3, 2, "float32")]
)
def test_a_wildly_unstable_policy_overflows_and_harms_no_other(
    perturbed: int, state_dim: int, action_dim: int, precision: str
) -> None:
    """Neither costs nor estimates, although policies share vectors."""
    tasks = random_tasks(seed=9, count=2, state_dim=state_dim, action_dim=action_dim)
    gains, wild = np.zeros((2, 2, 9, action_dim, state_dim)), np.zeros((2, 9), dtype=bool)
    gains[1, 0, 3], wild[0, 3] = 1e8, True
    if perturbed:
        before, after = (
            smoothed_gradients(tasks, K, perturbed, 0.1, 200, Stream(0), precision=precision) for K in gains
        )
    else:
        before, after = (rollout.costs(tasks, K, 200, Stream(0), precision=precision) for K in gains)
    assert not np.any(np.isfinite(after[wild]))
    assert_array_equal(after[~wild], before[~wild])


TASKS = random_tasks(seed=0, count=3, state_dim=2, action_dim=2)
SIMULATOR = LQRSimulator(TASKS)
GAINS = np.zeros((3, 1, 2, 2))


@pytest.mark.parametrize(
    ("simulate", "message"),
    [
        (lambda: LQRSimulator(TASKS, "float16"), "precision: 'float16' is not float64 or float32"),
        *(
            (
                lambda radius=radius: SIMULATOR.weighted_directions(GAINS, WeightedDirections(1, radius), 5, Stream(0)),
                "radius: .* number > 0",
            )
            for radius in (0.0, -0.1, np.inf, np.nan)
        ),
        *(
            (lambda shape=shape: SIMULATOR.costs(np.zeros(shape), 5, Stream(0)), r"expected \(3, M, 2, 2\)")
            for shape in [(3, 2, 2), (2, 5, 2, 2), (3, 5, 2, 3)]
        ),
        (lambda: SIMULATOR.costs(GAINS, 0, Stream(0)), "length: 0 is not a whole number >= 1"),
        (
            lambda: SIMULATOR.weighted_directions(GAINS, WeightedDirections(0, 0.1), 5, Stream(0)),
            "perturbations: 0 is not a whole number",
        ),
        *(
            (
                lambda slots=slots: SIMULATOR.costs(GAINS[:2], 5, Stream(0), tasks=slots),
                "is not a list of .* from 0 to 2",
            )
            for slots in ([0, 3], [-1, 0], [0.0, 1.0], [[0, 1]])
        ),
    ],
)
def test_impossible_arguments_are_refused(simulate: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate()


def test_the_signs_of_eigenvectors_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another linear algebra library may negate eigenvectors or rows of a QR factor; the noise must not follow."""
    first = random_tasks(seed=5, count=2, state_dim=4, action_dim=2)
    gains = _some_gains(first, 8)
    expected = rollout.costs(first, gains, 12, Stream(1))
    estimates = smoothed_gradients(first, gains, 9, 0.1, 12, Stream(1))
    eigh, qr = np.linalg.eigh, np.linalg.qr
    signs = np.array([-1.0, 1.0, -1.0, -1.0])

    def negated_eigenvectors(matrices: Array) -> tuple[Array, Array]:
        values, vectors = eigh(matrices)
        return values, vectors * signs[: len(vectors[0])]

    def negated_factors(matrices: Array) -> tuple[Array, Array]:
        orthogonal, triangular = qr(matrices)
        return orthogonal * signs, signs[:, np.newaxis] * triangular

    monkeypatch.setattr(np.linalg, "eigh", negated_eigenvectors)
    monkeypatch.setattr(np.linalg, "qr", negated_factors)
    again = random_tasks(seed=5, count=2, state_dim=4, action_dim=2)
    assert_allclose(rollout.costs(again, gains, 12, Stream(1)), expected, rtol=1e-12)
    assert_allclose(smoothed_gradients(again, gains, 9, 0.1, 12, Stream(1)), estimates, rtol=1e-9)


def _run(program: str, *arguments: str, **variables: str) -> str:
    """The output of a program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(rollout.__file__).parents[2]), **variables}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


LANES_PROGRAM = """
import sys
import llvmlite.binding
import numba
numba.njit(lambda: 0)()  # Numba asks for the processor once: what it compiles for is settled before the answer changes
features = llvmlite.binding.get_host_cpu_features()
features["avx512f"] = not features.get("avx512f", False)
llvmlite.binding.get_host_cpu_features = lambda: features
import numpy as np
from metalqr import LQRTasks, Stream, rollout
from metalqr.simulation.simd import lanes
from metalqr.simulation.simd.orthogonal import orthogonal_blocks
with np.load(sys.argv[1]) as given:
    tasks = LQRTasks(*(given[name] for name in ("A", "B", "Q", "R", "Psi", "Sigma0")))
    simulator = rollout.LQRSimulator(tasks)
    one, estimates = (
        simulator.weighted_directions(given["K"], rollout.WeightedDirections(count, 0.1), 13, Stream(8))
        for count in (1, 9)
    )
    blocks = orthogonal_blocks(given["normals"], 0.1)
np.savez(sys.argv[2], one=one, estimates=estimates, blocks=blocks)
print(lanes.lanes(np.float64))
"""


@pytest.mark.slow
def test_the_number_of_lanes_changes_no_bit_of_a_cost(tmp_path: Path) -> None:
    """The vectors, tiles and groups of the other kind of processor.

    An estimate from one rollout is its cost times its perturbation. Sums over lanes differ by their order.
    """
    tasks = random_tasks(seed=1, count=2, state_dim=13, action_dim=10)
    gains = _some_gains(tasks, 21)
    matrices = {name: getattr(tasks, name) for name in ("A", "B", "Q", "R", "Psi", "Sigma0")}
    normals = np.random.default_rng(0).normal(size=(3, 60, 130))
    np.savez(tmp_path / "given.npz", K=gains, normals=normals, **matrices)
    paths = [str(tmp_path / name) for name in ("given.npz", "found.npz")]
    # The code is kept for the next run of the tests: what it is compiled for is part of its name.
    printed = _run(LANES_PROGRAM, *paths)
    assert int(printed) != lanes(np.float64)
    one, estimates = (smoothed_gradients(tasks, gains, count, 0.1, 13, Stream(8)) for count in (1, 9))
    with np.load(tmp_path / "found.npz") as found:
        assert_array_equal(found["one"], one)
        assert_array_equal(found["blocks"], orthogonal_blocks(normals, 0.1))
        assert_allclose(found["estimates"], estimates, rtol=0, atol=1e-12 * np.abs(estimates).max())


# --- common noise ---


@pytest.mark.parametrize(
    ("state_dim", "action_dim", "precision"),
    [
        *((*dims, "float64") for dims in [(1, 1), (2, 2), (3, 2), (20, 10)]),
        *((*dims, "float32") for dims in [(2, 2), (3, 2), (20, 10)]),
    ],
)
def test_rollouts_that_share_noise_see_the_same_numbers(state_dim: int, action_dim: int, precision: str) -> None:
    """Equal gains cost the same to the last bit, different ones what each costs alone at the place of the group.

    The rollouts have more steps than a batch of noise.
    """
    tasks = random_tasks(seed=1, count=2, state_dim=state_dim, action_dim=action_dim)
    simulator, gains, stream = LQRSimulator(tasks, precision), _some_gains(tasks, 21), Stream(8)
    alone = simulator.costs(gains, 103, stream)
    three = simulator.costs(np.concatenate([gains, gains, 0.5 * gains], axis=1), 103, stream, sharing=3)
    assert_array_equal(three[:, :21], alone)
    assert_array_equal(three[:, 21:42], alone)
    assert_array_equal(three[:, 42:], simulator.costs(0.5 * gains, 103, stream))
    assert len(np.unique(alone)) == alone.size
    directions = WeightedDirections(7, 0.1, signs=(1, 1), weights=(1.0, -1.0), common_noise=True)
    assert_array_equal(simulator.weighted_directions(gains, directions, 103, stream), np.zeros_like(gains))
    apart = simulator.weighted_directions(gains, directions._replace(common_noise=False), 103, stream)
    assert np.all(np.abs(apart) > 0)


def test_gains_that_cannot_share_noise_evenly_are_refused() -> None:
    with pytest.raises(ValueError, match="sharing: 1 gains cannot share noise in groups of 2"):
        SIMULATOR.costs(GAINS[:, :1], 5, Stream(0), sharing=2)


MEMORY_PROGRAM = """
import resource, sys
import numpy as np
from metalqr import LQRTasks, MetaSettings, Stream, estimators
one = np.ones((1, 1, 1))
tasks = LQRTasks(0.5 * one, one, one, one, one)
def peak(count, length):
    settings = MetaSettings(
        learning_rate=1.0, adaptation_rate=1e-6, perturbations=count, inner_perturbations=count, rollout_length=length
    )
    estimators.estimate_meta_gradient(tasks, np.zeros((1, 1)), settings, Stream(0))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak(10, 10), peak(500, 400))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_perturbations_times_length() -> None:
    """An array of M x M x l doubles would be 800 MB here; the peak may grow by 20 MB."""
    before, after = map(int, _run(MEMORY_PROGRAM).split())
    unit = 1 if sys.platform == "darwin" else 1024
    assert (after - before) * unit < 20e6
