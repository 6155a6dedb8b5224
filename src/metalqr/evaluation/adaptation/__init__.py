"""Adaptation of gains to unseen tasks: paths of gains, their costs, the choice of a step size, and what is measured."""
