"""A process of its own for a user's simulator, which ends with it where a call takes too long.

Run as a module it is that process: it reads requests from its standard input and writes answers to its standard output,
as pickles. What the simulator prints goes to standard error.
"""

import contextlib
import os
import pickle
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from metalqr.simulation.user.errors import SimulatorError
from metalqr.simulation.user.objects import Costs, found, made

Array = NDArray[np.float64]


class Worker:
    """A simulator of one task in a process that is started for the first call.

    Parameters
    ----------
    thing : object
        As in :func:`metalqr.simulation.user.objects.made`, or the place and the name of it,
        :func:`metalqr.simulation.user.objects.found`.
    parameters : mapping
    timeout : float
        Seconds that a call may take.
    """

    def __init__(self, thing: Any, parameters: Mapping[str, Any], timeout: float) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._timeout = timeout
        try:
            self._simulator = pickle.dumps((thing, dict(parameters)))
        except Exception as error:
            name = getattr(thing, "__name__", type(thing).__name__)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SimulatorError(
                f"{name}: it cannot be pickled for the process that timeout needs ({reason}); define it at the top of "
                "a file, or leave out timeout"
            ) from error

    def __call__(self, gains: Array, length: int, seeds: NDArray[np.int64], **options: Any) -> Any:
        """Cost of one rollout of each gain."""
        answer, value = self._asked((gains, length, seeds, options))
        if answer == "raised":
            raise SimulatorError(value)
        return value

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._closed()

    def __del__(self) -> None:
        self.close()

    def _closed(self) -> int:
        """The exit status of the process, whose pipes are closed."""
        process, self._process = self._process, None
        assert process is not None
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return process.wait()

    def _asked(self, request: Any) -> tuple[str, Any]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._send(self._simulator)
        self._send(pickle.dumps(request))
        end = time.monotonic() + self._timeout
        answer: tuple[str, Any] = pickle.loads(self._read(self._read_length(end), end))
        return answer

    def _send(self, message: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(len(message).to_bytes(8, "little") + message)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _read_length(self, end: float) -> int:
        return int.from_bytes(self._read(8, end), "little")

    def _read(self, count: int, end: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe, parts = self._process.stdout.fileno(), []
        while count:
            if not select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
                self.close()
                raise SimulatorError(
                    f"it did not answer within timeout: {self._timeout:g} s; raise timeout, lower perturbations or "
                    "rollout_length, or find out why it hangs"
                )
            part = os.read(pipe, count)
            if not part:
                raise self._ended()
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _ended(self) -> SimulatorError:
        status = self._closed()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return SimulatorError(f"its process ended with {how}; its output above says more")


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints of the simulator
    requests = sys.stdin.buffer
    simulator, costs = _message(requests), None
    while request := _message(requests):
        gains, length, seeds, options = pickle.loads(request)
        try:
            if costs is None:
                costs = _made(simulator)
            packed = pickle.dumps(("returned", costs(gains, length, seeds, **options)))
        except SimulatorError as error:
            packed = pickle.dumps(("raised", str(error)))
        except Exception as error:
            packed = pickle.dumps(("raised", raised(error)))
        answers.write(len(packed).to_bytes(8, "little") + packed)
        answers.flush()


def _made(simulator: bytes) -> Costs:
    """The simulator, made in this process."""
    try:
        thing, parameters = pickle.loads(simulator)
    except Exception as error:  # what a script has defined is not known here
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SimulatorError(
            f"it is not found in the process that timeout needs ({reason}); give its place, as in my.py:Name, or leave "
            "out timeout"
        ) from error
    if isinstance(thing, tuple):
        place, name, is_file = thing
        thing = found(Path(place) if is_file else place, name)
    return made(thing, parameters)


def raised(error: BaseException) -> str:
    """What a user's simulator raised, in words, with the place in its file."""
    place, last = "", error.__traceback__
    while last is not None:
        place, last = f"{Path(last.tb_frame.f_code.co_filename).name} line {last.tb_lineno}", last.tb_next
    return f"it raised {' '.join(f'{type(error).__name__}: {error}'.split())} in {place}; correct it"


def _message(pipe: BinaryIO) -> bytes:
    length = pipe.read(8)
    return pipe.read(int.from_bytes(length, "little")) if length else b""


if __name__ == "__main__":
    main()
