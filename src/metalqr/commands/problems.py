"""What commands that make rollouts can fail with: errors whose messages need no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from metalqr.commands.command import CommandError
from metalqr.exchange.errors import ExchangeError
from metalqr.initial_gains.annealing import AnnealingError
from metalqr.lqr import UnstablePolicyError
from metalqr.lqr.tasks import TasksError
from metalqr.optimal import NoCommonStabilisingGainError
from metalqr.results.files import StorageError
from metalqr.simulation.user import SimulatorError
from metalqr.systems.family import FamilyError
from metalqr.systems.initial_gain import InitialGainError
from metalqr.training.command import OutputError
from metalqr.training.saved_state import InterruptionError

_KNOWN = (
    AnnealingError,
    ExchangeError,
    FamilyError,
    InitialGainError,
    InterruptionError,
    NoCommonStabilisingGainError,
    OutputError,
    SimulatorError,
    StorageError,
    TasksError,
    UnstablePolicyError,
)


@contextmanager
def as_command_errors() -> Iterator[None]:
    """Known errors of the block as a CommandError."""
    try:
        yield
    except _KNOWN as error:
        raise CommandError(str(error)) from error
