"""What the tests of files share."""

from pathlib import Path

import pytest
import stored


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each stage, to read only."""
    return stored.save_everything(tmp_path_factory.mktemp("good"))


@pytest.fixture
def files(good: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Copies that a test may spoil."""
    for path in good.values():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return {stage: tmp_path / path.name for stage, path in good.items()}
