"""The nonlinear plants: their linearisation is the named system, and their equations keep the energy."""

import math
from typing import Any

import numpy as np
import pytest
import twins
from numpy.testing import assert_allclose, assert_array_equal

from metalqr import lqr, optimal, systems
from metalqr.config.problems import SettingsError
from metalqr.simulation.plants import CartPole, Pendulum
from metalqr.simulation.simulator import Array

GRAVITY = 9.81
PLANTS = [
    (Pendulum, {}),
    (Pendulum, {"mass": 0.4, "length": 0.6, "sample_time": 0.02, "noise_variance": 1e-3}),
    (CartPole, {}),
    (CartPole, {"pole_mass": 0.2, "cart_mass": 0.8, "length": 0.7, "sample_time": 0.02, "noise_variance": 1e-3}),
]


def slopes(function: Any, at: Array) -> Array:
    """Central differences, a column for each entry of ``at``."""
    h = 1e-5
    moved = [(function(at + h * e), function(at - h * e)) for e in np.eye(len(at))]
    return np.array([np.subtract(*pair) / (2 * h) for pair in moved]).T


@pytest.mark.parametrize(("kind", "settings"), PLANTS)
def test_the_linearisation_at_the_equilibrium_is_the_named_system(kind: Any, settings: dict[str, float]) -> None:
    plant = kind(**settings)
    system = systems.named({Pendulum: "pendulum", CartPole: "cart_pole"}[kind], **settings)
    d = plant.state_dim
    zero, still, calm = np.zeros(d), np.zeros(1), np.zeros(d)
    assert_array_equal(plant.step(zero, still, calm, plant.parameters), zero)
    assert_allclose(slopes(lambda x: plant.step(x, still, calm, plant.parameters), zero), system.A, atol=1e-8)
    assert_allclose(slopes(lambda u: plant.step(zero, u, calm, plant.parameters), still), system.B, atol=1e-8)
    assert_allclose(slopes(lambda w: plant.step(zero, still, w, plant.parameters), calm), np.eye(d), atol=1e-8)
    assert_array_equal(plant.Q, system.Q)
    assert_array_equal(plant.R, system.R)
    assert_allclose(np.diag(np.square(plant.noise)), system.Psi)
    assert_allclose(np.diag(np.square(plant.initial_deviation)), system.Sigma0)


@pytest.mark.parametrize("x", np.random.default_rng(0).normal(size=(3, 2)))
def test_the_torque_changes_the_energy_of_the_pendulum_by_its_power(x: Array) -> None:
    plant = Pendulum(mass=0.4, length=0.6)

    def energy(x: Array) -> list[float]:
        return [0.5 * 0.4 * (0.6 * x[1]) ** 2 + 0.4 * GRAVITY * 0.6 * math.cos(x[0])]

    velocity = (np.array(plant.step(x, [1.5], (0.0, 0.0), plant.parameters)) - x) / 0.05
    assert_allclose(slopes(energy, x) @ velocity, 1.5 * x[1], rtol=1e-7)


@pytest.mark.parametrize("x", np.random.default_rng(0).normal(size=(3, 4)))
def test_the_force_changes_energy_and_momentum_of_cart_and_pole_by_its_power_and_itself(x: Array) -> None:
    """Two integrals of the motion without force determine both accelerations."""
    pole, cart, length = 0.2, 0.8, 0.7
    plant = CartPole(pole_mass=pole, cart_mass=cart, length=length)

    def integrals(x: Array) -> list[float]:
        _, velocity, angle, rotation = x
        # The bob is at (p - l sin, l cos).
        bob = velocity - length * math.cos(angle) * rotation, -length * math.sin(angle) * rotation
        height = length * math.cos(angle)
        energy = 0.5 * cart * velocity**2 + 0.5 * pole * (bob[0] ** 2 + bob[1] ** 2) + pole * GRAVITY * height
        return [energy, cart * velocity + pole * bob[0]]

    rates = (np.array(plant.step(x, [1.5], (0.0,) * 4, plant.parameters)) - x) / 0.05
    assert_allclose(slopes(integrals, x) @ rates, [1.5 * x[1], 1.5], rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "settings"), PLANTS)
def test_costs_near_the_equilibrium_are_those_of_the_linear_system(kind: Any, settings: dict[str, float]) -> None:
    """From 1e-5 rad, where sine and cosine differ from lines by 1e-10: the exact mean, within 4.5 standard errors."""
    plant = kind(**{**settings, "noise": "initial_state", "noise_variance": 1e-10})
    tasks = plant.linearisation.tasks()
    K = optimal.optimal_gains(tasks).K
    found = plant.costs(np.repeat(K, 5000, axis=0), 50, np.arange(5000), discount=1.0)
    twins.within(found, lqr.finite_horizon_cost(tasks, K[0], length=50))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Pendulum, CartPole])
def test_a_plant_that_falls_is_lost(kind: Any) -> None:
    plant = kind()
    K = optimal.optimal_gains(plant.linearisation.tasks()).K
    gains = np.concatenate([np.zeros_like(K), K]).repeat(20, axis=0)
    costs = plant.costs(gains, 200, np.arange(40))
    assert_array_equal(costs[:20], np.inf)
    assert np.isfinite(costs[20:]).all()
    assert np.isfinite(plant.costs(gains, 200, np.arange(40), discount=0.5)).all()


def test_settings_are_those_of_the_named_system() -> None:
    with pytest.raises(SettingsError, match="lenght: unknown key; did you mean length"):
        Pendulum(lenght=0.3)
    with pytest.raises(SettingsError, match="cart_mass: -1"):
        CartPole(cart_mass=-1.0)
