"""Files and calls that an exchange refuses, each row of docs/bad-input.md; nothing is changed by them."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from bad_input import rows, unescaped
from exchanges import spoilt_folder

from metalqr.cli import main
from metalqr.exchange.errors import ExchangeError
from metalqr.exchange.exchange import advanced
from metalqr.exchange.state import load_state


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A folder with good and bad files, and the request that its state waits for."""
    folder = tmp_path_factory.mktemp("spoilt")
    return folder, spoilt_folder(folder)


@pytest.fixture
def request_of_state(spoilt: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """That request, in a copy of the folder."""
    folder, request = spoilt
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return request


def contents() -> dict[str, bytes]:
    """What is in the files of the folder."""
    return {path.name: path.read_bytes() for path in Path().iterdir()}


@pytest.mark.parametrize(("content", "message"), rows("In the costs of `metalqr tell`"))
def test_bad_costs(content: str, message: str, request_of_state: int, capsys: pytest.CaptureFixture[str]) -> None:
    identifier = str(request_of_state)
    Path("costs.csv").write_bytes(unescaped(content).replace(b"REQUEST", identifier.encode()))
    before = contents()
    capsys.readouterr()
    assert main(["tell", "state.nc", "costs.csv"]) == 1
    shown = capsys.readouterr()
    assert shown.err == f"metalqr: {message.replace('REQUEST', identifier)}\n"
    assert not shown.out
    assert contents() == before


CALLS = [
    # These plan a config.
    pytest.param(*row.values, id=row.id, marks=[pytest.mark.slow] * ("--case" in row.values[0]))
    for row in rows("In the calls of `metalqr ask`, `tell` and `run`")
]


@pytest.mark.usefixtures("request_of_state")
@pytest.mark.parametrize(("arguments", "message"), CALLS)
def test_bad_call(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents()
    capsys.readouterr()
    assert main(arguments.split()) == 1
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1].strip().removeprefix("metalqr: ") == message
    assert not shown.out
    assert contents() == before


@pytest.mark.usefixtures("request_of_state")
def test_answers_of_other_gains_are_not_taken_for_those_of_the_round() -> None:
    """As after an edit of the code that moves the gains of a round whose costs are told already."""
    state = load_state(Path("state.nc"))
    assert state.last is not None
    with pytest.raises(
        ExchangeError, match=r"the costs told in round 1 are those of request \d+, but the gains are now"
    ):
        advanced(dataclasses.replace(state, answers=(state.last,)))
