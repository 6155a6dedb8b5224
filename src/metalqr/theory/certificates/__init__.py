"""Certificates at a gain: what is certain in a ball around it, with proofs in ``docs/certificates.md``.

The constants of the theorems are suprema over a sub-level set. These are bounds around the gains that are visited, per
task and without products of worst cases: step sizes of the size that the runs use.
"""

from metalqr.theory.certificates.ball import Ball, Centre
from metalqr.theory.certificates.convexity import Convexity, scalar_strong_convexity, strong_convexity
from metalqr.theory.certificates.descent import (
    expected_change,
    expected_curvature,
    largest_expected_step,
    leaving_probability,
)
from metalqr.theory.certificates.smoothness import ObjectiveCentre, Smoothness
from metalqr.theory.certificates.step import Certificate, at, largest_settings

__all__ = [
    "Ball",
    "Centre",
    "Certificate",
    "Convexity",
    "ObjectiveCentre",
    "Smoothness",
    "at",
    "expected_change",
    "expected_curvature",
    "largest_expected_step",
    "largest_settings",
    "leaving_probability",
    "scalar_strong_convexity",
    "strong_convexity",
]
