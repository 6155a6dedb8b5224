"""Addresses of the tasks of a random family: which of them are trained on, and which are held out."""

import enum
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from metalqr.common.validation import whole_number

WORD_BITS = 32
#: Words of a seed, of a place and of the number of a redraw.
_SEED_WORDS, _PLACE_WORDS, _REDRAW_WORDS = 2, 4, 1
MAX_SEED, MAX_PLACE, MAX_REDRAW = (2 ** (WORD_BITS * words) - 1 for words in (_SEED_WORDS, _PLACE_WORDS, _REDRAW_WORDS))


class Pool(enum.IntEnum):
    """Sets of tasks of one family that have no task in common: each has random numbers of its own."""

    TRAINING = 0
    """The tasks of a case, which its file holds: the places 0 to I - 1."""
    VALIDATION = 1
    """Tasks on which settings are chosen."""
    TEST = 2
    """Unseen tasks, on which results are reported."""
    RESAMPLED = 3
    """Tasks that training draws anew in every iteration."""


class Address(NamedTuple):
    """An address of one task; a family draws the same task there, whatever else it draws.

    Attributes
    ----------
    pool : Pool
    place : int
        From 0 to 2^128 - 1.
    redraw : int
        How often the place was drawn before without success.
    """

    pool: Pool
    place: int
    redraw: int = 0

    @property
    def is_of_case(self) -> bool:
        """True for the tasks of a case, whose random numbers are older than the pools."""
        return self.pool is Pool.TRAINING and self.redraw == 0

    def generator(self, family: str, seed: int, *words: int) -> np.random.Generator:
        """Make a generator of the random numbers of one part of a task, such as a matrix, that ``words`` tell apart.

        The words that NumPy's ``SeedSequence`` mixes are those of the seed (2), two zeros, the pool, the place (4), the
        redraw (1), the length of the family's name, its letters, and ``words``. Every field has a fixed or a stated
        length, so that two addresses never have the same words, and neither have two families. The older addresses of
        the tasks of a case are the seed, the task, and the number of a matrix or the bytes of a parameter's name. With
        the number they have at most four words, with more than four a byte that is not zero in the fourth, and so are
        none of these.

        Raises
        ------
        ValueError
            If a number does not fit its words.
        """
        # As bytes, since training draws tasks in every iteration.
        name = family.encode("utf-32-le")
        fields = [
            _words("seed", seed, _SEED_WORDS),
            _words("", int(self.pool) << 64, 3),
            _words("place", self.place, _PLACE_WORDS),
            _words("redraw", self.redraw, _REDRAW_WORDS),
            _words("", len(family), 1),
            name,
            *(_words("word", word, 1) for word in words),
        ]
        return np.random.default_rng(np.frombuffer(b"".join(fields), dtype="<u4").astype(np.uint32))


def addresses(pool: Pool, places: Iterable[int]) -> list[Address]:
    """The first addresses of some places."""
    return [Address(pool, place) for place in places]


def _words(name: str, number: int, count: int) -> bytes:
    """A number as 32-bit words, the lowest first."""
    try:
        return number.to_bytes(4 * count, "little")
    except (OverflowError, AttributeError):
        return whole_number(name, number, 0, 2 ** (WORD_BITS * count) - 1).to_bytes(4 * count, "little")
