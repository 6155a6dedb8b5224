"""Advice on settings: those with the least predicted final ratio within a budget of rollout steps."""

from metalqr.advice.recommend import Advice, recommend

__all__ = ["Advice", "recommend"]
