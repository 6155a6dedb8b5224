"""Settings: impossible values are refused by name."""

from typing import Any

import numpy as np
import pytest

from metalqr.config import settings as declared
from metalqr.config.algorithm import MetaSettings, setting_declaration
from metalqr.config.problems import SettingsError

STEPS: dict[str, Any] = {"learning_rate": 1.0e-3, "adaptation_rate": 1.0e-5}


# Those of the config are in test_config.py and docs/bad-input.md.
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("precision", ["float32"], "precision: .'float32'. is not allowed"),
        ("method", "zeroth_order", "method: 'zeroth_order' is not allowed; did you mean zeroth_order_maml"),
        ("estimator", 1, "estimator: 1 is not text"),
        ("radius", 0.1, "radius: unknown key; did you mean smoothing_radius"),
    ],
)
def test_impossible_values_are_refused_by_name(name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        MetaSettings(**{**STEPS, name: value})


def test_the_smallest_values_are_accepted() -> None:
    counts: dict[str, Any] = dict.fromkeys(("perturbations", "inner_perturbations", "rollout_length", "task_batch"), 1)
    assert MetaSettings(learning_rate=5e-324, adaptation_rate=0, iterations=0, **counts).iterations == 0
    for radius in (1e-3, 1e3):
        assert MetaSettings(**STEPS, precision="float32", smoothing_radius=radius).smoothing_radius == radius


def test_numbers_of_numpy_become_pythons_own() -> None:
    given: dict[str, Any] = {"learning_rate": np.float32(0.5), "adaptation_rate": 0, "perturbations": np.int64(3)}
    settings = MetaSettings(**given)
    assert settings == MetaSettings(learning_rate=0.5, adaptation_rate=0.0, perturbations=3)
    assert {type(value) for value in settings.as_dict().values()} == {float, int, str, bool, type(None)}


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
def test_a_range_may_be_narrower_than_that_of_its_type(
    model: type[Narrow], name: str, value: int, message: str
) -> None:
    values: dict[str, Any] = {name: value}
    with pytest.raises(SettingsError, match=f"^{name}: {message}$"):
        model(**values)
    assert model.model_json_schema()["properties"]["count"]["minimum"] == 2


def test_a_setting_that_families_give_other_units_is_shown_without_one() -> None:
    """A mass in tonnes, and one in kilograms; the speed is in m/s everywhere."""
    mass, drag, count = (setting_declaration(f"tasks.{name}") for name in ("mass", "drag", "count"))
    assert mass is not None
    assert (mass.label, mass.symbol, mass.unit) == ("mass", "", "")
    assert drag is not None
    assert (drag.label, drag.symbol, drag.unit) == ("drag", "c", "1/s")
    assert count is not None
    assert (count.label, count.symbol, count.about) == ("tasks", "I", "number of tasks; the paper uses 5")
    assert setting_declaration("tasks.wingspan") is None
