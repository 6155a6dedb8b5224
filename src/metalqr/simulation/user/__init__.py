"""Costs of rollouts from a simulator of the user."""
