"""Responses of the gallery, against the steady state and the first step that the matrices give."""

import numpy as np
import pytest

from metalqr import optimal, systems
from metalqr.evaluation.step_responses import DECAY, MAX_STEPS, step_responses


@pytest.mark.parametrize(
    ("name", "parameter", "loaded"),
    [("bus", "speed", 0), ("ship", "ship", 0), ("quadrotor", "inertia", 1), ("svrpg", "", 0)],
)
def test_a_response_goes_from_rest_to_the_steady_state(name: str, parameter: str, loaded: int) -> None:
    found = step_responses(name)
    assert (found.parameter, found.loaded) == (parameter, loaded)
    K = optimal.optimal_gains(systems.named(name).tasks()).K[0]
    for value, states in found.states.items():
        system = systems.named(name, **({parameter: value} if parameter else {}))
        loop, load = system.A - system.B @ K, system.B[:, loaded]
        assert not states[0].any()
        np.testing.assert_allclose(states[1:3], [load, loop @ load + load], rtol=1e-12)
        steady = np.linalg.solve(np.eye(len(loop)) - loop, load)
        assert len(states) == MAX_STEPS + 1 or np.abs(states[-1] - steady).max() < 5 * DECAY * np.abs(steady).max()
        np.testing.assert_allclose(found.inputs[value], -states @ K.T, rtol=1e-12)
    assert found.times[1] == systems.named(name).dt
    assert len(found.times) == len(states)


def test_what_costs_most_is_shown() -> None:
    found = step_responses("bus")
    assert [found.family.states[place] for place in found.shown_states] == ["displacement [m]", "angle [rad]"]
    assert list(found.states) == [5.0, 10.0, 15.0]
    assert list(step_responses("ship").states) == [1, 2, 3, 4, 5]
