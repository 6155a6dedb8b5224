"""The error of a user's own simulator."""


class SimulatorError(ValueError):
    """A user's own simulator cannot be used; the message names it, the task, what it did, and the next step."""
