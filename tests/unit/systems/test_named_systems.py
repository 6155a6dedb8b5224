"""The named systems against published matrices and check values, and the families of tasks that they make."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metalqr import lqr, optimal, systems
from metalqr.config.problems import SettingsError
from metalqr.config.registries import families
from metalqr.lqr import LQRTasks
from metalqr.systems.addresses import Address, Pool
from metalqr.systems.catalogue import find
from metalqr.systems.system import NamedSystem

#: Matrices at the default parameters and check values, with their sources; see `docs/systems.md`.
PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))
#: Of the noise of a step, where it is not 0.01: 1 cm, 1 cm/s and 0.01 rad; 0.01 mm; that of the source.
MECHANICAL = ("bus", "cart_pole", "inverted_pendulum", "missile", "pendulum", "quadrotor", "ship", "unicycle")
VARIANCES = dict.fromkeys(MECHANICAL, 1e-4) | {"hydraulics": 1e-6, "song_iannelli": 1e-5}
LABELS = [each["label"] for each in PUBLISHED]


def family(name: str, **parameters: Any) -> NamedSystem:
    plugin = find(name)
    return plugin(plugin.Settings(**parameters))


def training(place: int) -> Address:
    return Address(Pool.TRAINING, place)


def task(name: str, **parameters: Any) -> LQRTasks:
    return systems.named(name, **parameters).tasks()


@pytest.mark.parametrize("published", PUBLISHED, ids=LABELS)
def test_a_system_is_the_published_one(published: dict[str, Any]) -> None:
    found = systems.named(published["name"], **published["parameters"])
    for matrix in ("A", "B", "Q", "R"):
        np.testing.assert_allclose(getattr(found, matrix), published[matrix], rtol=0, atol=1e-10)
    assert found.dt == published["dt"]
    np.testing.assert_array_equal(found.Psi, VARIANCES.get(published["name"], 0.01) * np.eye(len(found.A)))


@pytest.mark.parametrize("published", PUBLISHED, ids=LABELS)
def test_a_system_has_the_published_optimum(published: dict[str, Any]) -> None:
    tasks = task(published["name"], **published["parameters"])
    optimum = optimal.optimal_gains(tasks)
    zero = np.zeros((tasks.action_dim, tasks.state_dim))
    assert lqr.spectral_radius(tasks, zero)[0] == pytest.approx(published["spectral_radius"], rel=1e-6)
    assert np.trace(optimum.P[0]) == pytest.approx(published["trace_P_star"], rel=1e-7)
    assert lqr.spectral_radius(tasks, optimum.K)[0] == pytest.approx(published["closed_loop_radius"], rel=1e-7)


def test_every_system_is_published() -> None:
    assert set(systems.names()) == {each["name"] for each in PUBLISHED}
    assert len(PUBLISHED) == 27


@pytest.mark.parametrize("name", systems.names())
def test_states_inputs_and_reference_are_named(name: str) -> None:
    chosen = family(name)
    system = systems.named(name)
    assert (len(chosen.states), len(chosen.inputs)) == chosen.dimensions == system.B.shape
    assert len(set(chosen.states)) == len(chosen.states)
    assert chosen.reference
    assert all(
        each.low <= each.typical[0] < each.typical[1] <= each.high for each in chosen.settings.parameters().values()
    )


EXCESS: list[tuple[str, dict[str, float], float]]
#: The excess cost of the nominal optimal gain at other parameters, as printed: two or three digits.
EXCESS = [
    ("bus", {"speed": speed}, excess)
    for speed, excess in {1: 0.77, 3: 0.24, 5: 0.095, 7: 0.030, 15: 0.068, 20: 0.28}.items()
]
EXCESS += [("ship", {"ship": ship}, excess) for ship, excess in {2: 0.72, 3: 0.088, 4: 0.55, 5: 0.54}.items()]
EXCESS += [
    ("pendulum", {"length": length}, excess)
    for length, excess in {0.2: 0.44, 0.25: 0.065, 0.35: 0.068, 0.45: 1.32, 0.6: math.inf}.items()
]
EXCESS += [
    ("cart_pole", {"length": length}, excess)
    for length, excess in {0.3: 0.075, 0.4: 0.015, 0.6: 0.013, 0.8: 0.11, 1.2: 0.72}.items()
]
EXCESS += [
    ("unicycle", {"heading": math.pi / 4}, 0.42),
    ("unicycle", {"heading": math.pi / 2, "speed": 0.8}, math.inf),
]


def excess_of(gain: Any, member: LQRTasks) -> float:
    return float(lqr.cost(member, gain)[0] / optimal.optimal_gains(member).cost[0] - 1)


@pytest.mark.parametrize(("name", "parameters", "printed"), EXCESS)
def test_excess_of_the_nominal_gain_is_the_printed_one(name: str, parameters: dict[str, Any], printed: float) -> None:
    excess = excess_of(optimal.optimal_gains(task(name)).K[0], task(name, **parameters))
    # Half a unit of the last digit that is printed.
    digits = 2 if printed >= 0.1 else 3
    assert excess == printed == math.inf or abs(excess - printed) < 0.51 * 10**-digits


@pytest.mark.parametrize(
    ("name", "members", "largest"),
    [
        ("quadrotor", [{"mass": mass} for mass in (0.5, 0.7, 0.8, 1.25, 1.5, 2.0)], 0.022),
        (
            "paper_machine",
            [{"time_constant": 5.0}, {"time_constant": 20.0}, {"gain": 0.8}, {"gain": 1.2}],
            0.0024,
        ),
        ("hydraulics", [{"mass": 0.1}, {"mass": 0.2}, {"compressibility": 10e3}], 1e-5),
    ],
)
def test_some_families_are_too_alike_to_be_worth_learning(name: str, members: list[Any], largest: float) -> None:
    gain = optimal.optimal_gains(task(name)).K[0]
    found = [excess_of(gain, task(name, **each)) for each in members]
    assert max(found) < 1.01 * largest


def test_the_pan_form_is_the_code_form_scaled_to_a_radius() -> None:
    code, pan = (systems.named("boeing747", form=form) for form in ("code", "pan2025"))
    np.testing.assert_allclose(code.A, 1.1 * 4.70010157245759 * pan.A, rtol=1e-12)


# --- ranges, lists and their draws


def test_a_list_gives_a_value_to_each_task() -> None:
    chosen = family("bus", speed=[5.0, 10.0, 15.0], mass=12.0)
    assert (chosen.count, chosen.is_random) == (3, False)
    tasks = chosen.tasks(5, 1, seed=0)
    for place, speed in enumerate((5.0, 10.0, 15.0)):
        alone = systems.named("bus", speed=speed, mass=12.0)
        for matrix in ("A", "B", "Q", "R", "Psi"):
            np.testing.assert_array_equal(getattr(tasks, matrix)[place], getattr(alone, matrix))
    np.testing.assert_array_equal(tasks.Sigma0, tasks.Psi)


@pytest.mark.slow
def test_a_range_is_drawn_uniformly_and_grows_without_changing() -> None:
    """Mean and variance of 20000 draws, within 4.5 standard errors."""
    count = 20_000
    chosen = family("bus", speed={"low": 5, "high": 15}, mass={"low": 10, "high": 16}, count=count)
    assert chosen.is_random
    drawn = np.array([list(chosen.values(training(place), 7).values()) for place in range(count)]).T
    for values, (low, high) in zip(drawn, ((10, 16), (5, 15)), strict=True):
        assert low <= values.min() < values.max() <= high
        deviation = (high - low) / np.sqrt(12)
        assert abs(values.mean() - (low + high) / 2) < 4.5 * deviation / np.sqrt(count)
        # The fourth central moment is 9/5 of the squared variance.
        assert abs(values.var() - deviation**2) < 4.5 * np.sqrt(0.8 / count) * deviation**2
    assert abs(np.corrcoef(drawn)[0, 1]) < 4.5 / np.sqrt(count)
    few = family("bus", speed={"low": 5, "high": 15}, count=2)
    assert [few.values(training(place), 7)["speed"] for place in range(2)] == drawn[1][:2].tolist()
    assert few.values(training(0), 8) != few.values(training(0), 7)


@settings(max_examples=20)
@given(st.floats(0, 1), st.integers(0, 2**31))
def test_heterogeneity_scales_the_distance_from_the_middle(heterogeneity: float, seed: int) -> None:
    given = {"speed": {"low": 5, "high": 15}, "count": 3}
    full, scaled = family("bus", **given), family("bus", **given, heterogeneity=heterogeneity)
    for place in range(3):
        distance = full.values(training(place), seed)["speed"] - 10
        assert scaled.values(training(place), seed)["speed"] - 10 == pytest.approx(heterogeneity * distance, abs=1e-12)


def test_noise_scales_the_covariance() -> None:
    np.testing.assert_array_equal(systems.named("pendulum", noise_variance=0.5).Psi, 0.5 * np.eye(2))
    np.testing.assert_array_equal(systems.named("pendulum", noise=0.5).Psi, 0.5 * np.eye(2))


def test_the_initial_state_alone_may_be_random() -> None:
    chosen = family("pendulum", length=[0.2, 0.3], noise="initial_state", noise_variance=0.5, initial_mean=[0.1, 0.0])
    assert not list(chosen.problems(2, 1))
    tasks, usual = chosen.tasks(2, 1, 0), family("pendulum", length=[0.2, 0.3]).tasks(2, 1, 0)
    assert tasks.noise == chosen.nominal(2, 1, 0).noise == "initial_state"
    np.testing.assert_array_equal(tasks.A, usual.A)
    np.testing.assert_array_equal(tasks.Sigma0, [0.5 * np.eye(2)] * 2)
    np.testing.assert_array_equal(tasks.initial_mean, [[0.1, 0.0]] * 2)
    assert not tasks.Psi.any()
    alone = systems.named("pendulum", noise="initial_state", noise_variance=0.5)
    np.testing.assert_array_equal(alone.tasks().excitation[0], 0.5 * np.eye(2))
    optima = optimal.optimal_gains(tasks)
    expected = np.einsum("iab,iab->i", optima.P, tasks.Sigma0 + np.outer([0.1, 0.0], [0.1, 0.0]))
    np.testing.assert_allclose(optima.cost, expected, rtol=1e-12)


def test_the_nominal_system_has_the_defaults_where_nominal_says_nothing() -> None:
    chosen = family("bus", speed=[5.0, 15.0], mass=10.0, nominal={"speed": 12})
    nominal, expected = chosen.nominal(5, 1, 0), task("bus", speed=12.0, mass=15.0)
    for matrix in ("A", "B", "Q", "R", "Psi"):
        np.testing.assert_array_equal(getattr(nominal, matrix), getattr(expected, matrix))


@pytest.mark.parametrize(
    ("name", "parameters", "dims"),
    [
        ("laplacian", {"size": 5}, (5, 5)),
        ("large_transient", {"size": 1}, (1, 1)),
        ("chained_integrator", {"size": 4}, (4, 1)),
        ("vehicle_string", {"vehicles": 1}, (1, 1)),
        ("vehicle_string", {"vehicles": 7}, (13, 7)),
        ("heat_rod", {"nodes": 20}, (20, 1)),
    ],
)
def test_sizes_give_the_dimensions(name: str, parameters: dict[str, int], dims: tuple[int, int]) -> None:
    chosen = family(name, **parameters)
    assert chosen.dimensions == dims == systems.named(name, **parameters).B.shape
    assert (len(set(chosen.states)), len(set(chosen.inputs))) == dims
    assert not list(chosen.problems(*dims))


def test_half_a_step_twice_is_a_step() -> None:
    """Zero-order hold is exact."""
    once, twice = systems.named("bus"), systems.named("bus", sample_time=0.05)
    np.testing.assert_allclose(twice.A @ twice.A, once.A, atol=1e-13)
    np.testing.assert_allclose((np.eye(5) + twice.A) @ twice.B, once.B, atol=1e-13)


# docs/bad-input.md has the others.
@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        (
            "bus",
            {"speed": True},
            "speed: True is neither a number, nor a range {low: ..., high: ...}, nor a list; give",
        ),
        ("bus", {"speed": math.nan}, "speed: nan is neither a number"),
        ("bus", {"speed": [5, None]}, "speed[1]: None is not a number; give a number from 1 to 20 m/s"),
        ("bus", {"speed": []}, "speed: empty; give at least one value"),
        ("bus", {"speed": "5"}, "speed: '5' is text, not a number; write 5.0"),
        ("bus", {"speed": {"low": 5}}, "speed.high: missing; add it"),
        (
            "bus",
            {"speed": {"low": 5, "high": 25}},
            "speed.high: 25 is not from 1 to 20 m/s; choose one of these values",
        ),
        ("bus", {"speed": {"low": 5, "high": 5}}, "speed.low: 5.0 is not < high, which is 5.0; write a fixed value as"),
        ("bus", {"nominal": {"sped": 5}}, "nominal.sped: unknown parameter; did you mean speed?"),
        ("bus", {"nominal": {"speed": 50}}, "nominal.speed: 50.0 is not from 1 to 20 m/s"),
        ("satellite", {"nominal": {"speed": 5}}, "nominal.speed: unknown parameter; this system has none, remove it"),
        ("ship", {"ship": 1.5}, "ship: 1.5 is not one of 1, ..., 5; choose one of these values"),
        (
            "ship",
            {"ship": {"low": 1, "high": 3}},
            "ship: a range, but there is nothing between 1, ..., 5; list those to",
        ),
        (
            "ship",
            {"count": 3},
            "count: 3 tasks would be the same; vary a parameter, such as ship: [1, 2], or write count: 1",
        ),
        ("pendulum", {"speed": 1.0}, "speed: unknown key; use one of:"),
    ],
)
def test_an_impossible_parameter_is_named(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        find(name).Settings(**parameters)


def test_several_systems_are_not_one() -> None:
    with pytest.raises(
        SettingsError, match="bus: ranges and lists describe several systems; give each parameter a number"
    ):
        systems.named("bus", speed=[5, 10])
    with pytest.raises(LookupError, match=r"there is no system 'buss'; did you mean bus\?"):
        systems.named("buss")


def test_other_dimensions_are_refused() -> None:
    assert list(family("bus").problems(4, 1)) == [
        (
            "family",
            "bus has 5 states and 1 input, but the case has state_dim: 4 and action_dim: 1; leave these out, and sweep "
            "nothing that changes them",
        )
    ]


@pytest.mark.parametrize("name", systems.names())
def test_a_drawn_family_can_be_made(name: str) -> None:
    """All parameters at the ends of their typical ranges."""
    parameters = find(name).Settings.parameters()
    ends = {key: list(each.typical) if not each.is_choice else [1, 2] for key, each in parameters.items()}
    chosen = family(name, **ends)
    tasks = families.get(name)(chosen.settings).tasks(*chosen.dimensions, seed=0)
    assert tasks.count == (2 if parameters else 1)
    assert np.isfinite(optimal.optimal_gains(tasks).cost).all()
