"""A stream with lines that stay and, if it is a terminal, some below them that are drawn again and again."""

import contextlib
import os
import select
import shutil
import threading
from collections.abc import Callable, Sequence
from typing import TextIO

_UP, _ERASE_BELOW, _RESET = "\x1b[{}A", "\x1b[J", "\x1b[0m"
_COLOURS = {"red": "\x1b[31m", "yellow": "\x1b[33m"}


class Screen:
    """Writes lines to a stream.

    On a terminal the changing lines stand below all others. Nothing but their place is kept in the terminal, so that a
    process that is killed leaves it as it should be.
    """

    def __init__(self, stream: TextIO, *, colours: bool = True) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._colours = colours and self.is_terminal and not os.environ.get("NO_COLOR")
        #: Whether bars are to be drawn with ASCII alone.
        self.plain = "utf" not in (stream.encoding or "").lower()
        self._below: Sequence[str] = ()
        self._lock = threading.RLock()

    @property
    def columns(self) -> int:
        """Characters of a line of the terminal, less one, which some terminals need."""
        found = 0
        with contextlib.suppress(OSError, ValueError):
            found = os.get_terminal_size(self._stream.fileno()).columns
        return max(20, (found or shutil.get_terminal_size().columns) - 1)

    def write(self, lines: Sequence[str], colour: str | None = None) -> None:
        """Write lines that stay."""
        with self._lock:
            before = self._erasing()
            text = "".join(f"{line}\n" for line in lines)
            if colour and self._colours:
                text = f"{_COLOURS[colour]}{text[:-1]}{_RESET}\n"
            self._put(before + text + self._drawn())

    def draw(self, lines: Sequence[str]) -> None:
        """Replace the changing lines; nothing happens where there is no terminal."""
        if self.is_terminal:
            with self._lock:
                before, self._below = self._erasing(), lines
                self._put(before + self._drawn())

    def _erasing(self) -> str:
        if not self._below:
            return ""
        # A terminal that has become narrower has broken the lines.
        width = self.columns + 1
        rows = sum(1 + (len(line) - 1) // width for line in self._below)
        return "\r" + _UP.format(rows) + _ERASE_BELOW

    def _drawn(self) -> str:
        return "".join(f"{line}\n" for line in self._below)

    def _put(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever has read the output may be gone
            self._stream.write(text)
            self._stream.flush()


class Redirected:
    """Takes what this process and its children write to a file descriptor, line by line, until it is closed.

    Otherwise it would land between the changing lines of a screen. ``stream`` writes to where the descriptor led.
    """

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._descriptor = descriptor
        self._original = os.dup(descriptor)
        self.stream = os.fdopen(os.dup(descriptor), "w", encoding=encoding, errors="replace")
        self._reader, writer = os.pipe()
        os.dup2(writer, descriptor)
        os.close(writer)
        self._stop, self._stopper = os.pipe()

    def start(self, receive: Callable[[str], None]) -> None:
        """Pass on each line from now on, those that wait first."""
        self._thread = threading.Thread(target=self._read, args=[receive], daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Lead the descriptor to where it led, and pass on what is left."""
        os.dup2(self._original, self._descriptor)
        os.write(self._stopper, b".")
        self._thread.join()
        self.stream.close()
        # Not the end that is read: a child that lives on may write to it.
        for descriptor in (self._original, self._stop, self._stopper):
            os.close(descriptor)

    def _read(self, receive: Callable[[str], None]) -> None:
        rest = b""
        while True:
            ready, _, _ = select.select([self._reader, self._stop], [], [])
            if self._reader not in ready:
                break
            received = os.read(self._reader, 65536)
            if not received:
                break
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                receive(_as_text(line))
        if rest:
            receive(_as_text(rest))


def _as_text(line: bytes) -> str:
    """A line; of one that was written over itself, the last form."""
    return line.decode(errors="replace").rstrip("\r").rpartition("\r")[2]
