"""How a problem of the config is told: one line each, which begins with the file or with the key's path."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

#: Characters of a value that a message shows in full.
LONGEST_VALUE = 120


class ConfigError(ValueError):
    """The config is unusable; the message has one line for each problem, which begins with the file or the key."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        header = "The config has a problem:" if count == 1 else f"The config has {count} problems:"
        super().__init__("\n".join([header, *(f"  {problem}" for problem in self.problems)]))


def shown(value: Any) -> str:
    """The value as Python writes it, cut to a length that fits into a line."""
    return shortened(repr(value))


def shortened(text: str) -> str:
    """The text, cut to a length that fits into a line."""
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE // 2]}..."


def key_path(path: Iterable[Any]) -> str:
    """The path of a key as a reader would write it: `cases.d1k1.tasks.A[0]`; a key that is no word is quoted."""
    text = ""
    for key in path:
        word = shortened(str(key) if re.fullmatch(r"[\w-]+", str(key)) else repr(key))
        text += f"[{key}]" if isinstance(key, int) else f".{word}" if text else word
    return text or "config"


def nearest(word: str, known: list[str]) -> str:
    """The known word that was probably meant, or all of them."""
    close = difflib.get_close_matches(word, known, n=1) or [name for name in known if len(word) > 2 and word in name]
    return f"did you mean {close[0]}?" if close else f"possible: {', '.join(known)}"
