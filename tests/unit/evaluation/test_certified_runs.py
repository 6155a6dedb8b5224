"""Certificates along runs, and what the figure and the table of them show."""

import measurements
import numpy as np
import pandas as pd
import pytest
from drawn import faults, ys
from systems import central_difference, random_tasks, scalar_tasks, similar_tasks

from metalqr import optimal
from metalqr.config.registries import figures, tables
from metalqr.evaluation import certificates
from metalqr.evaluation.certificates import certify_run, largest_curvature, stable_for_all, theorem_step
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.objectives import meta
from metalqr.theory.certificates import at
from metalqr.theory.result import Form

TABLE, FIGURE = tables.get("certificates")(), figures.get("certificates")()


def distance(tasks: LQRTasks, K: FloatArray) -> FloatArray:
    """The stability radius of scalar tasks with b = 1 in closed form: the distance of a - K to -1 or 1."""
    return np.maximum(1.0 - np.abs(tasks.A[:, 0, 0] - K[0, 0]), 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_stability_for_all_perturbations_is_decided_as_by_every_radius(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along a random walk that leaves the stabilising set and returns, and with far fewer radii than gains."""
    tasks, radius = scalar_tasks(a=[0.5, 0.2]), 0.3
    gains = np.cumsum(0.03 * np.random.default_rng(seed).standard_normal(400)).reshape(-1, 1, 1)
    expected = np.array([distance(tasks, K).min() > radius for K in gains])
    assert expected.any()
    assert not expected.all()
    asked = []

    def counted(tasks: LQRTasks, K: FloatArray) -> FloatArray:
        asked.append(K)
        return distance(tasks, K)

    monkeypatch.setattr(certificates, "stability_margin", counted)
    known = {place: float(distance(tasks, gains[place]).min()) for place in (0, 200)}
    np.testing.assert_array_equal(stable_for_all(tasks, gains, radius, known), expected)
    assert len(asked) < 100


def test_a_run_is_certified_at_every_so_many_gains() -> None:
    """A descent; its last gain is unstable, and one without step sizes has none."""
    tasks = random_tasks(0, radius=0.8)
    best = optimal.shared_gain(tasks).K
    gains = np.array([best * share for share in (0.5, 0.6, 0.7, 0.8, 50.0)])
    found = certify_run(tasks, gains, 0.0, 1e-3, 2)
    assert found.iteration.tolist() == [0, 2, 4]
    assert found.certified_step[1] == at(tasks, gains[2]).step_size
    assert np.isnan([found.certified_step[2], found.hessian_step[2]]).all()
    assert found.stability_radius[2].min() == 0
    assert found.is_stable.tolist() == [True] * 4 + [False]
    assert found.stable_from == -1
    assert (found.certified_step[:2] <= found.hessian_step[:2]).all()
    bare = certify_run(tasks, gains[:4], 0.0, 1e-3, 2, steps=False)
    assert np.isnan(bare.certified_step).all()
    assert bare.stable_from == 0


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_the_largest_curvature_is_that_of_finite_differences(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = similar_tasks(1)
    K = optimal.shared_gain(tasks).K + 0.05
    columns = [
        central_difference(lambda gain: meta.gradient(tasks, gain, rate), K, unit.reshape(K.shape), 1e-4).ravel()
        for unit in np.eye(K.size)
    ]
    expected = np.linalg.eigvalsh(0.5 * (np.array(columns) + np.array(columns).T))[-1]
    assert largest_curvature(tasks, K, rate) == pytest.approx(expected, rel=1e-6)
    monkeypatch.setattr(certificates, "MAX_DENSE", 1)
    assert largest_curvature(tasks, K, rate) == pytest.approx(expected, rel=1e-4)


def test_the_theorem_has_no_step_where_it_does_not_apply() -> None:
    tasks = scalar_tasks(a=[0.5, 0.9])
    assert 0 < theorem_step(tasks, np.zeros((1, 1)), Form.CORRECTED) < 1e-3
    assert np.isnan(theorem_step(tasks.replace(Q=np.zeros((2, 1, 1))), np.zeros((1, 1)), Form.CORRECTED))


def test_the_table_by_hand() -> None:
    (row,) = TABLE.make({"one": measurements.certificates()}).to_dict("records")
    assert pd.isna(row["stable_from"])
    assert row.pop("stable_share") == pytest.approx((4 + 2) / 8)
    assert {name: value for name, value in row.items() if name != "stable_from"} == {
        "case": "one", "used": 1e-3, "theorem": 1e-8, "certified": 0.002, "certified_min": 0.002, "hessian": 0.004,
        "hessian_min": 0.004, "perturbation": 0.05, "stability_radius": 0.1, "modulus": 2.0,
        "convex_radius": 0.01, "runs": 2,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 4])
def test_the_figure_shows_what_the_files_hold(count: int) -> None:
    found = FIGURE.make({f"case{number}": measurements.certificates() for number in range(count)})
    steps, radii = found.axes[0], found.axes[min(count, 3)]
    assert [ys(line).tolist() for line in steps.lines[:2]] == [[0.002, 0.05, 0.1], [0.004, 0.1, 0.2]]
    assert set(ys(steps.lines[2])) == {1e-3}
    assert [text.get_text() for text in steps.texts] == ["↓ Theorem 1, corrected: 1.0e-08"]
    np.testing.assert_array_equal(ys(radii.lines[0]), [0.1, 0.3, 0.4])
    np.testing.assert_array_equal(ys(radii.lines[1]), [0.1, np.nan, np.nan])
    assert not faults(found)
