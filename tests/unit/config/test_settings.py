"""Settings: impossible values are refused by name."""

import math

import numpy as np
import pytest

from metalqr.config import settings as declared
from metalqr.config.algorithm import MetaSettings
from metalqr.config.problems import SettingsError
from metalqr.config.settings import MAX_COUNT

STEPS = {"learning_rate": 1.0e-3, "adaptation_rate": 1.0e-5}


def test_the_defaults_are_the_papers():
    settings = MetaSettings(**STEPS)
    assert settings.as_dict() == {
        **STEPS,
        "method": "zeroth_order_maml",
        "estimator": "one_point",
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
        ("smoothing_radius", 1e-200, "smoothing_radius: 1e-200 is not >= 1e-100"),
        ("smoothing_radius", 1e200, "smoothing_radius: 1e.200 is not <= 1e.100"),
        ("learning_rate", "1e-3", "learning_rate: '1e-3' is text, not a number; write 0.001"),
        ("learning_rate", math.nan, "learning_rate: nan is not a finite number"),
        ("adaptation_rate", -1e-9, "adaptation_rate: -1e-09 is not >= 0"),
        ("tolerance", math.inf, "tolerance: inf is not a finite number"),
        ("perturbations", 0, "perturbations: 0 is not >= 1"),
        ("perturbations", MAX_COUNT + 1, "perturbations: 2147483648 is not <= 2147483647"),
        ("inner_perturbations", 2.5, "inner_perturbations: 2.5 is not a whole number"),
        ("rollout_length", True, "rollout_length: True is not a whole number"),
        ("iterations", -1, "iterations: -1 is not >= 0"),
        ("task_batch", "some", "task_batch: 'some' is not possible; possible: all"),
        ("task_batch", 0, "task_batch: 0 is not >= 1"),
        ("precision", "single", "precision: 'single' is not possible; possible: float64, float32"),
        ("precision", ["float32"], "precision: .'float32'. is not possible"),
        ("method", "zeroth_order", "method: 'zeroth_order' is not possible; did you mean zeroth_order_maml"),
        ("estimator", 1, "estimator: 1 is not text"),
        ("radius", 0.1, "radius: unknown key; did you mean smoothing_radius"),
    ],
)
def test_impossible_values_are_refused_by_name(name, value, message):
    with pytest.raises(SettingsError, match=message):
        MetaSettings(**{**STEPS, name: value})


def test_a_perturbation_that_single_precision_would_round_away_is_refused():
    MetaSettings(**STEPS, precision="float32", smoothing_radius=1e-3)
    with pytest.raises(SettingsError, match=r"smoothing_radius: 0.0001 is not >= 0.001 in single precision"):
        MetaSettings(**STEPS, precision="float32", smoothing_radius=1e-4)


def test_the_smallest_values_are_accepted():
    counts = {"perturbations": 1, "inner_perturbations": 1, "rollout_length": 1, "iterations": 0, "task_batch": 1}
    assert MetaSettings(learning_rate=5e-324, adaptation_rate=0, **counts).iterations == 0


def test_numbers_of_numpy_become_pythons_own():
    settings = MetaSettings(learning_rate=np.float32(0.5), adaptation_rate=0, perturbations=np.int64(3))
    assert settings == MetaSettings(learning_rate=0.5, adaptation_rate=0.0, perturbations=3)
    assert {type(value) for value in settings.as_dict().values()} == {float, int, str}


class Narrow(declared.Settings):
    """Ranges inside, and around, those of their types."""

    count: declared.Count = declared.setting(3, label="count", about="of something", at_least=2, at_most=9)
    wide: declared.Count = declared.setting(3, label="wide", about="of something", at_least=-5)


class Narrower(Narrow):
    """A class between inherits them."""


@pytest.mark.parametrize("model", [Narrow, Narrower])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("count", 1, "1 is not >= 2"), ("count", 10, "10 is not <= 9"), ("wide", 0, "0 is not >= 1")],
)
def test_a_range_may_be_narrower_than_that_of_its_type(model, name, value, message):
    with pytest.raises(SettingsError, match=f"^{name}: {message}$"):
        model(**{name: value})
    assert model.model_json_schema()["properties"]["count"]["minimum"] == 2
