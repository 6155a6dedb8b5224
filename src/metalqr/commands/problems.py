"""What commands that make rollouts can fail with: errors whose messages need no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from metalqr.commands.command import CommandError
from metalqr.exchange.errors import ExchangeError
from metalqr.lqr import UnstablePolicyError
from metalqr.lqr.tasks import TasksError
from metalqr.results.files import StorageError
from metalqr.simulation.user import SimulatorError
from metalqr.systems.family import FamilyError
from metalqr.systems.initial_gain import InitialGainError
from metalqr.training.saved_state import InterruptionError

_KNOWN = (
    ExchangeError, FamilyError, InitialGainError, InterruptionError, SimulatorError, StorageError, TasksError,
    UnstablePolicyError,
)  # fmt: skip


@contextmanager
def as_command_errors() -> Iterator[None]:
    """Known errors of the block as a CommandError."""
    try:
        yield
    except _KNOWN as error:
        raise CommandError(str(error)) from error
