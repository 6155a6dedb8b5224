"""Predicted ends of the runs of the default sweeps on d2k2, against fresh trainings of five seeds."""

from collections.abc import Iterator

import numpy as np
import pytest
from configs import planned
from predicted import problem, trained

from metalqr import MetaSettings
from metalqr.config.experiments import VARIANT
from metalqr.prediction import predict

#: In none of the experiments.
SEEDS = range(1000, 1005)


def _points() -> Iterator[tuple[str, MetaSettings]]:
    """The points of all sweeps, each only once, with a name."""
    seen = set()
    for name, experiment in planned().experiments.items():
        if not experiment.axes or VARIANT in experiment.axes:
            continue
        for point in experiment.points("d2k2"):
            if point.configuration not in seen:
                seen.add(point.configuration)
                yield f"{name}-{next(iter(point.values.values()))}", point.settings


POINTS = dict(_points())


@pytest.mark.slow
@pytest.mark.parametrize("name", POINTS)
def test_end_of_a_sweep(name: str) -> None:
    """Where most runs end, within their range or 25 % of their median; where one diverges, there is a warning.

    The median of an exact prediction is beyond the range of five seeds with a chance of 1/16, and then mostly near it.
    """
    tasks, K0, _ = problem("d2k2")
    settings = POINTS[name]
    predicted, ends = predict(tasks, K0, settings), np.sort(trained(tasks, K0, settings, SEEDS)[:, -1])
    print(f"{name}: predicted {predicted.median[-1]:.4f}, measured {ends}, valid until {predicted.valid_until}")
    if np.isinf(ends).any():
        assert predicted.leaving_chance[-1] > 0.01
    if np.isinf(np.median(ends)):
        assert predicted.valid_until < settings.iterations
        assert predicted.limits
        return
    assert predicted.valid_until == settings.iterations
    is_near = abs(predicted.median[-1] / np.median(ends) - 1.0) <= 0.25
    assert is_near or ends[0] <= predicted.median[-1] <= ends[-1]
