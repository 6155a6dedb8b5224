"""Results that stay as they were computed."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class ReadOnlyArrays:
    """Base of frozen dataclasses whose arrays cannot be written to, also not in copies or after unpickling."""

    def __post_init__(self) -> None:
        self.__setstate__(dict(vars(self)))

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        # NumPy makes every array writable that it copies or unpickles.
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)
