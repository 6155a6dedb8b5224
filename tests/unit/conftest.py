"""What several unit tests share."""

import sys
from collections.abc import Iterator

import pytest

from metalqr.config.registry import Registry


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What a test loads as a plug-in is forgotten afterwards."""
    yield
    own = "metalqr_plugin_"
    for registry in Registry.all.values():
        for name in [name for name, plugin in registry._registered.items() if plugin.__module__.startswith(own)]:
            del registry._registered[name]
    for name in [name for name in sys.modules if name.startswith(own)]:
        del sys.modules[name]
