"""The command `metalqr`."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from metalqr import __version__, systems
from metalqr.cli import main

COMMANDS = ("systems", "check", "advise", "run", "ask", "tell")


def test_all_systems_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems"]) == 0
    head, *rows = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert head.split() == ["system", "d", "k", "radius", "J*", "J(K_0)", "heterogeneity", "parameters"]
    assert [row.split()[0] for row in rows] == list(systems.names())
    assert [row for row in rows if row.split()[:6] == ["bus", "5", "1", "1.000", "0.0708", "0.247"]]


@pytest.mark.parametrize("name", ["bus", "satellite", "boeing747", "heat_rod"])
def test_a_system_is_described(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", name]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{name}\n")
    for part in ("Source: ", "spectral radius of A ", "optimal cost J* of a step", "cost J(K_0)", "In a config:"):
        assert part in shown
    if name == "bus":
        assert "speed  10       m/s   1 to 20 " in shown
        assert "9.5 % at 5, 6.8 % at 15" in shown
        assert "tasks: {family: bus, speed: {low: 5, high: 15}, count: 5}" in shown


def test_an_unknown_system_is_an_error_that_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", "buss"]) == 2
    assert capsys.readouterr().err == "metalqr: there is no system 'buss'; did you mean bus?\n"


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    name = arguments[0]
    assert f"metalqr {name} " in shown if name in COMMANDS else all(f"    {each} " in shown for each in COMMANDS)
    assert max(map(len, shown.splitlines())) <= 120


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"metalqr {__version__}\n"


@pytest.mark.slow
def test_the_command_starts_without_anything_heavy() -> None:
    code = "import sys; from metalqr.cli import main; main(['systems', 'buss']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"scipy", "numba", "xarray", "matplotlib"} & set(done.stdout.split())


def test_the_command_is_declared() -> None:
    import tomllib

    from places import ROOT

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"metalqr": "metalqr.cli:main"}
    installed = [each for each in entry_points(group="console_scripts") if each.name == "metalqr"]
    assert all(each.value == scripts["metalqr"] for each in installed)


@pytest.mark.parametrize(
    ("content", "status", "printed"),
    [
        ("seed: 3\n", 0, "The config can be used.\n"),
        ("seed: -3\n", 1, "The config has a problem:\n  seed: -3 is not >= 0\n"),
        (
            "seed: 3\nseed: 4\n",
            1,
            "The config has a problem:\n  mine.yaml: line 2, column 1: seed: given twice; keep one\n",
        ),
        ("theory: {cases: [d1k1, d2k2]}\nseed: 7\n", 0, "case d20k10: 5 tasks of the family similar, d = 20, k = 10\n"),
        ("experiments: {figure1: {seeds: [0], cases: [d1k1]}}\n", 0, "experiment figure1: 1 run\n"),
    ],
)
def test_a_config_is_checked(
    content: str, status: int, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Over the config of the checkout, since the folder has none."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(content)
    assert main(["check", "mine.yaml"]) == status
    shown = capsys.readouterr()
    assert printed in (shown.out if status == 0 else shown.err)
    assert not (shown.err if status == 0 else shown.out)
    assert shown.out.endswith("The config can be used.\n") == (status == 0)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["MINE", "--case", "d2k2"], ["--case", "d2k2", "MINE"], ["--case=d2k2", "MINE"]])
def test_configs_may_stand_before_and_after_options(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("seed: -3\n")
    given = [each.replace("MINE", str(mine)) for each in arguments]
    for command in (["run"], ["ask", str(tmp_path / "state.nc")], ["advise", "--budget", "1e5"]):
        assert main([*command, *given]) == 1
        assert capsys.readouterr().err == "The config has a problem:\n  seed: -3 is not >= 0\n"


@pytest.mark.parametrize(
    "arguments",
    [["run", "--case", "d2k2", "--sed", "1"], ["tell", "state.nc", "costs.csv", "more"], ["systems", "a", "b"]],
)
def test_other_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "unrecognized arguments: " in capsys.readouterr().err
