"""Nonlinear plants to roll out; linearised at the equilibrium, they are the named systems of the same names."""

from metalqr.simulation.plants.cart_pole import CartPole
from metalqr.simulation.plants.pendulum import Pendulum

__all__ = ["CartPole", "Pendulum"]
