"""Evaluation of gains, runs and estimates against exact quantities."""
