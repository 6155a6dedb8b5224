"""Settings: impossible values are refused by name."""

import math

import numpy as np
import pytest

from metalqr.settings import LARGEST_COUNT, MetaSettings, SettingsError

STEPS = {"learning_rate": 1.0e-3, "adaptation_rate": 1.0e-5}


def test_the_defaults_are_the_papers():
    settings = MetaSettings(**STEPS)
    assert settings.as_dict() == {
        **STEPS,
        "perturbations": 100,
        "inner_perturbations": 100,
        "smoothing_radius": 0.05,
        "rollout_length": 50,
        "iterations": 1200,
        "tolerance": 0.0,
        "task_batch": "all",
        "precision": "float64",
    }
    assert tuple(settings.as_dict()) == MetaSettings.names()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("smoothing_radius", -1, "smoothing_radius: -1 is not > 0"),
        ("smoothing_radius", 0, "smoothing_radius: 0 is not > 0"),
        ("smoothing_radius", 1e-200, "smoothing_radius: 1e-200 is not from 1e-100 to 1e"),
        ("smoothing_radius", 1e200, "smoothing_radius: 1e.200 is not from 1e-100 to 1e"),
        ("learning_rate", "1e-3", "learning_rate: '1e-3' is not a number .write 1.0e-3 in YAML"),
        ("learning_rate", math.nan, "learning_rate: nan is not > 0"),
        ("adaptation_rate", -1e-9, "adaptation_rate: -1e-09 is not >= 0"),
        ("tolerance", math.inf, "tolerance: inf is not >= 0"),
        ("perturbations", 0, "perturbations: 0 is not a whole number from 1"),
        ("perturbations", LARGEST_COUNT + 1, "perturbations: 2147483648 is not a whole number from 1"),
        ("inner_perturbations", 2.5, "inner_perturbations: 2.5 is not a whole number"),
        ("rollout_length", True, "rollout_length: True is not a whole number"),
        ("iterations", -1, "iterations: -1 is not a whole number from 0"),
        ("task_batch", "some", "task_batch: 'some' is not a whole number from 1 to 2147483647 or \"all\""),
        ("task_batch", 0, "task_batch: 0 is not"),
        ("precision", "single", "precision: 'single' is not float64 or float32"),
        ("precision", ["float32"], "precision: .'float32'. is not float64 or float32"),
    ],
)
def test_impossible_values_are_refused_by_name(name, value, message):
    with pytest.raises(SettingsError, match=message):
        MetaSettings(**{**STEPS, name: value})


def test_a_perturbation_that_single_precision_would_round_away_is_refused():
    MetaSettings(**STEPS, precision="float32", smoothing_radius=1e-3)
    with pytest.raises(SettingsError, match=r"smoothing_radius: 0.0001 is not from 0.001 to 1000, .* float32"):
        MetaSettings(**STEPS, precision="float32", smoothing_radius=1e-4)


def test_the_smallest_values_are_accepted():
    counts = {"perturbations": 1, "inner_perturbations": 1, "rollout_length": 1, "iterations": 0, "task_batch": 1}
    assert MetaSettings(learning_rate=5e-324, adaptation_rate=0, **counts).iterations == 0


def test_numbers_of_numpy_become_pythons_own():
    settings = MetaSettings(learning_rate=np.float32(0.5), adaptation_rate=0, perturbations=np.int64(3))
    assert settings == MetaSettings(learning_rate=0.5, adaptation_rate=0.0, perturbations=3)
    assert {type(value) for value in settings.as_dict().values()} == {float, int, str}
