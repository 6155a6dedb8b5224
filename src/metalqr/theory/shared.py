"""Formulas of Theorems 1 and 2 that are the same in both forms."""

import numpy as np

from metalqr.theory.result import Formulas

STEP_SIZES = Formulas()
REQUIREMENTS = Formulas()


@STEP_SIZES.add(r"\eta", "Theorem 1")
def eta(adaptation_rate):
    return adaptation_rate


@REQUIREMENTS.add(r"\bar\lambda", "Theorem 1", "read as the smallest")
def lambda_min(lambda_i):
    return lambda_i.min()


@REQUIREMENTS.add(r"\epsilon_0", "Theorem 2")
def epsilon_0(target, meta_gap):
    return target * meta_gap


@REQUIREMENTS.add(r"\epsilon", "Theorems 1 and 2")
def epsilon_meta(epsilon_stable, epsilon_close):
    """Error of the meta-gradients that serves both theorems."""
    return np.minimum(epsilon_stable, epsilon_close)
