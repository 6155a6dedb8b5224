"""The figures of docs/systems.md: one for each system, shown on the page, small, and with the names of the axes."""

import pytest
from drawn import faults

from metalqr.reporting.figures.gallery import FOLDER, gallery_figure, path_of
from metalqr.reporting.systems_page import PAGE
from metalqr.systems import names

MAX_BYTES = 60_000


def test_there_is_a_figure_of_every_system_and_no_other() -> None:
    assert set(FOLDER.iterdir()) == set(map(path_of, names())), "run `make gallery`"
    assert max(path.stat().st_size for path in FOLDER.iterdir()) < MAX_BYTES


@pytest.mark.parametrize("name", names())
def test_the_page_shows_the_figure(name: str) -> None:
    section = PAGE.read_text(encoding="utf-8").partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    (shown,) = [line for line in section.splitlines() if line.startswith("![")]
    assert shown.endswith(f"({path_of(name).relative_to(PAGE.parent).as_posix()})")


def test_axes_have_the_units_of_the_system() -> None:
    figure = gallery_figure("ship")
    assert [axes.get_ylabel() for axes in figure.axes] == ["heading [rad]", "yaw rate [1]", "rudder angle [rad]"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"time [ship lengths travelled]"}
    assert [len(axes.get_lines()) for axes in figure.axes] == [5, 5, 5]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "3", "4", "5"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bus", "chained_integrator", "hydraulics"])
def test_long_names_of_axes_do_not_overlap(name: str) -> None:
    assert not faults(gallery_figure(name))
