"""The page in a browser: it loads from a file, asks for nothing else, and each control does what it says."""

import base64
import csv
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import browser
import numpy as np
import pytest
import synthetic
from browser import Page
from PIL import Image

from metalqr.config.registries import figures, sections, tables
from metalqr.reporting.figures import style
from metalqr.reporting.pages.curves import COLOURS
from metalqr.reporting.pages.document import page
from metalqr.reporting.tables import markdown

pytestmark = [
    pytest.mark.slow,  # the scripts of the charts are put into one, and a browser starts
    pytest.mark.skipif(browser.program() is None, reason="no Chromium here; `make browser` installs Debian's as root"),
    pytest.mark.xdist_group("browser"),
]
CHART = "charts['learning_curves-0']"
FIRST = "#learning_curves-0"
HERE = "document.activeElement"


def entry(kind: str, name: str, plugin: str, category: str) -> dict[str, Any]:
    made = {"kind": kind, "name": name, "plugin": plugin, "category": category, "see": "What there is to see."}
    return {**made, "caption": "A caption with ``code``.", "data": ["results/datasets/e.nc"], "settings": {"seed": 1}}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a page with three sections, a figure and a table."""
    folder = tmp_path_factory.mktemp("results")
    variants = synthetic.case(sweep={"variant": ["paper", "fast"]}, by_value={"fast": {"time_constant": 5.0}})
    costs = ("task", [3.0, 4.0, 5.0, 6.0, 7.0])
    found = {
        "figure1": synthetic.figure1_dataset(),
        "ours": synthetic.experiment("ours", d2k2=variants.assign(J0=costs)),
    }
    plain = {"figure1": found["figure1"]}
    (folder / "sections").mkdir()
    given = {"learning_curves": found, "sample_efficiency": {"ours": found["ours"]}, "systems": {"ours": found["ours"]}}
    for name, datasets in given.items():
        made = sections.get(name)().make(datasets)
        (folder / f"sections/{name}.json").write_text(json.dumps(made))
    style.save(
        figures.get("learning_curves")().make(plain), [folder / f"figures/figure1.{form}" for form in ("png", "pdf")]
    )
    table = tables.get("summary")()
    files = {form: folder / f"tables/figure1.{end}" for form, end in (("markdown", "md"), ("csv", "csv"))}
    markdown.save(table.make(plain), columns=table.columns, **files)
    entries = [entry("section", name, name, "any") for name in given]
    entries += [
        entry("figure", "figure1", "learning_curves", "Figures"),
        entry("table", "figure1", "summary", "Tables"),
    ]
    (folder / "page.html").write_text(page(folder, entries), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def opened(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(opened: Page, results: Path) -> Page:
    """The page as a reader finds it."""
    opened.complaints.clear()
    opened.requests.clear()
    opened.show(1400, 900)
    opened.value("try { localStorage.clear() } catch {}")
    opened.open(results / "page.html")
    opened.wait(f"document.querySelector('{FIRST}').dataset.drawn")
    return opened


def after(tab: Page, selector: str) -> None:
    """Click, and wait until the first chart is drawn again."""
    count = tab.value(f"document.querySelector('{FIRST}').dataset.drawn")
    tab.click(selector)
    tab.wait(f"document.querySelector('{FIRST}').dataset.drawn > {count}")


def drawn(tab: Page) -> set[tuple[str, str, str]]:
    """What Vega draws: case, kind and seed of the curves in the view."""
    rows = tab.value(f"{CHART}.views[0].view.data('rows').map((row) => [row.case, row.kind, row.seed])")
    return {tuple(row) for row in rows}


def choose(tab: Page, name: str, value: str) -> None:
    """Choose an option of the first chart."""
    count = tab.value(f"document.querySelector('{FIRST}').dataset.drawn")
    box = f"document.querySelector('{FIRST} select[name={name}]')"
    tab.value(f"{box}.value = '{value}', {box}.dispatchEvent(new Event('change'))")
    tab.wait(f"document.querySelector('{FIRST}').dataset.drawn > {count}")


def switch(field: str, value: str) -> str:
    return f"{FIRST} fieldset[name={field}] input[value='{value}']"


def test_it_loads_from_a_file_without_a_complaint_and_asks_for_nothing(tab: Page, results: Path) -> None:
    tab.value("scrollTo(0, document.body.scrollHeight)")
    for number in range(3):
        tab.value(f"[...document.querySelectorAll('article')][{number}].scrollIntoView()")
        tab.wait(f"[...document.querySelectorAll('article')][{number}].dataset.drawn")
    assert tab.complaints == []
    assert {address for address in tab.requests if not address.startswith(("data:", "blob:"))} == {
        (results / "page.html").as_uri()
    }
    text = (results / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["'](?!data:|#|figures/)""", text.partition("<script")[0])


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_switch_makes_an_axis_logarithmic_and_linear_again(axis: str, tab: Page) -> None:
    kind = f"{CHART}.views[0].view.scale('{axis}').type"
    assert tab.value(kind) == "linear"
    after(tab, f"{FIRST} input[name=log-{axis}]")
    assert tab.value(kind) == "log"
    after(tab, f"{FIRST} input[name=log-{axis}]")
    assert tab.value(kind) == "linear"


def test_curves_are_switched_off_by_case_and_by_kind(tab: Page) -> None:
    before = drawn(tab)
    assert {case for case, _, _ in before} == {"d1k1", "d2k2", "d20k10"}
    after(tab, switch("case", "d2k2"))
    assert drawn(tab) == {each for each in before if each[0] != "d2k2"}
    after(tab, switch("kind", "run"))
    assert drawn(tab) == {each for each in before if each[0] != "d2k2" and each[1] != "run"}
    rows = tab.value(f"[...document.querySelectorAll('{FIRST} .runs tbody tr')].filter((row) => !row.hidden).length")
    assert rows == 0
    after(tab, switch("case", "d2k2"))
    after(tab, switch("kind", "run"))
    assert drawn(tab) == before


def test_everything_off_says_so(tab: Page) -> None:
    for case in ("d1k1", "d2k2", "d20k10"):
        after(tab, switch("case", case))
    assert tab.value(f"document.querySelector('{FIRST} .empty').hidden") is False


def test_another_experiment_has_its_own_curves_switches_and_runs(tab: Page) -> None:
    choose(tab, "experiment", "ours")
    assert {case for case, _, _ in drawn(tab)} == {"d2k2"}
    after(tab, switch("method", "fast"))
    methods = tab.value(f"[...new Set({CHART}.views[0].view.data('rows').map((row) => row.method))]")
    assert [each for each in methods if each] == ["paper"]
    rows = f"[...document.querySelectorAll('{FIRST} .runs tbody tr')]"
    visible = tab.value(f"{rows}.filter((row) => !row.hidden).map((row) => row.cells[2].textContent)")
    assert visible == ["paper"] * 3


def test_steps_in_place_of_iterations(tab: Page) -> None:
    choose(tab, "horizontal", "steps")
    most = float(synthetic.case()["rollout_steps"].max())
    assert tab.value(f"{CHART}.views[0].view.scale('x').domain()[1]") == pytest.approx(most, rel=1e-4)


def column(tab: Page, number: int) -> list[str]:
    return list(
        tab.value(
            f"[...document.querySelectorAll('{FIRST} .runs tbody tr')].map((row) => row.cells[{number}].dataset.value)"
        )
    )


def test_a_click_on_a_heading_sorts_the_runs(tab: Page) -> None:
    heading = f"{FIRST} .runs th:nth-child(6) button"
    tab.click(heading)
    found = [float(value) for value in column(tab, 5)]
    assert len(found) == 9
    assert found == sorted(found)
    assert found[0] < found[-1]
    tab.click(heading)
    assert [float(value) for value in column(tab, 5)] == sorted(found, reverse=True)
    assert tab.value(f"document.querySelector('{FIRST} .runs th:nth-child(6)').ariaSort") == "descending"
    tab.click(f"{FIRST} .runs th:nth-child(2) button")
    assert column(tab, 1) == sorted(column(tab, 1))


def test_a_click_on_a_row_highlights_its_curve(tab: Page) -> None:
    row = f"{FIRST} .runs tbody tr:nth-child(5)"
    case, seed = tab.value(f"[1, 3].map((place) => document.querySelector('{row}').cells[place].textContent)")
    after(tab, f"{row} td:nth-child(6)")
    states = tab.value(f"{CHART}.views[0].view.data('rows').map((row) => [row.state, row.case, row.seed, row.kind])")
    assert {tuple(each[1:]) for each in states if each[0] == "chosen"} == {(case, seed, "run")}
    assert {each[0] for each in states if each[3] == "run" and each[1:3] != [case, seed]} == {"faded"}
    assert tab.value(f"document.querySelector('{row} input').checked")
    after(tab, f"{FIRST} .runs h4 button")
    assert set(tab.value(f"{CHART}.views[0].view.data('rows').map((row) => row.state)")) == {"plain"}


def test_the_pointer_shows_the_values_of_the_nearest_point(tab: Page) -> None:
    tab.value(f"document.querySelector('{FIRST}').scrollIntoView()")
    box = tab.value(f"document.querySelector('{FIRST} canvas').getBoundingClientRect().toJSON()")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for shift in range(6):  # the selection follows movement
        tab.point(x + shift, y)
    tab.wait("document.querySelector('#vg-tooltip-element.visible')")
    words = tab.value("document.querySelector('#vg-tooltip-element').textContent")
    for word in ("iterations", "average cost difference ratio", "rollout steps", "seed", "case"):
        assert word in words
    assert "figure1" in words
    assert "undefined" not in words


def test_dark_and_light(tab: Page) -> None:
    paper, ink = "getComputedStyle(document.body).backgroundColor", f"{CHART}.views[0].view.signal('background')"
    light = tab.value(paper)
    after(tab, "#theme")
    assert tab.value("document.documentElement.dataset.theme") == "dark"
    assert tab.value("document.getElementById('theme').ariaPressed") == "true"
    assert sum(map(int, re.findall(r"\d+", tab.value(paper)))) < 150 < sum(map(int, re.findall(r"\d+", light)))
    assert tab.value(ink) in (None, "transparent")
    after(tab, "#theme")
    assert tab.value(paper) == light


def test_the_scheme_of_the_system_counts_first(tab: Page) -> None:
    tab.show(1400, 900, dark=True)
    tab.wait("document.documentElement.dataset.theme === 'dark'")


def test_the_keyboard_reaches_the_controls_in_their_order_and_uses_them(tab: Page) -> None:
    tab.value("document.activeElement.blur()")
    order = []
    for _ in range(24):
        tab.press("Tab")
        order.append(tab.value(f"[{HERE}.name || {HERE}.id || {HERE}.textContent, {HERE}.value ?? ''].join(':')"))
        if order[-1].startswith("log-y"):
            break
    expected = [
        "Skip to the results:",
        "Learning curves:",
        "theme:",
        "experiment:figure1",
        "horizontal:iteration",
        "log-x:on",
        "log-y:on",
    ]
    assert [each for each in order if each in expected] == expected
    assert tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.press(" ")
    tab.wait(f"{CHART}.views[0]?.view.scale('y').type === 'log'")
    tab.press("Tab")
    assert tab.value("document.activeElement.value") == "d1k1"
    tab.press(" ")
    tab.wait(f"!{CHART}.views[0].view.data('rows').some((row) => row.case === 'd1k1')")


def test_nothing_is_wider_than_a_phone(tab: Page) -> None:
    tab.show(400, 800)
    tab.wait(f"document.querySelector('{FIRST} canvas').getBoundingClientRect().width < 400")
    assert tab.value("document.documentElement.scrollWidth") <= 400


def test_downloads_are_within_the_page(tab: Page, results: Path) -> None:
    links = dict(tab.value("[...document.querySelectorAll('.downloads a')].map((link) => [link.download, link.href])"))
    assert set(links) == {"figure1.pdf", "figure1.png", "figure1.csv"}
    content = base64.b64decode(links["figure1.pdf"].partition("base64,")[2])
    assert content == (results / "figures/figure1.pdf").read_bytes()
    assert links["figure1.png"].startswith("data:image/png;base64,")
    assert (
        tab.value("fetch(document.querySelector('[download=\"figure1.csv\"]').href).then(() => 1, () => 0)") == 0
    )  # no network at all


def test_csv_of_a_chart_has_the_numbers_of_the_dataset(tab: Page) -> None:
    after(tab, switch("case", "d20k10"))
    rows = list(csv.DictReader(io.StringIO(tab.value(f"{CHART}.csv()"))))
    assert {row["case"] for row in rows} == {"d1k1", "d2k2"}
    run = [row for row in rows if (row["line"], row["case"], row["seed"]) == ("run", "d1k1", "1")]
    stored = synthetic.figure1_dataset()["d1k1"].to_dataset()["ratio"].sel(seed=1).values
    np.testing.assert_allclose([float(row["ratio"]) for row in run], stored, rtol=5.1e-5)
    assert [int(row["iteration"]) for row in run] == list(range(len(stored)))


def saved(tab: Page, folder: Path, form: str) -> Path:
    """What a download button of the first chart saves, on a dark page."""
    tab.saves_to(folder)
    tab.click(f"{FIRST} [data-save={form}]")
    path, deadline = folder / f"learning_curves-0.{form}", time.monotonic() + browser.PATIENCE
    while not path.is_file():
        assert time.monotonic() < deadline, "nothing was saved"
        time.sleep(0.05)
    return path


def test_svg_of_a_chart_has_the_curves_that_are_shown(tab: Page, tmp_path: Path) -> None:
    after(tab, switch("case", "d20k10"))
    after(tab, "#theme")
    root = ElementTree.parse(saved(tab, tmp_path, "svg")).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    lines = {path.get("stroke") for path in root.iter("{http://www.w3.org/2000/svg}path")}
    assert set(COLOURS[:2]) <= lines
    assert COLOURS[2] not in lines
    words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"iterations", "average cost difference ratio"} <= words
    # The page is as it was: its background shows through.
    assert tab.value(f"{CHART}.views[0].view.background()") in (None, "transparent")


def test_png_of_a_chart_is_as_it_is_shown_at_twice_its_size(tab: Page, tmp_path: Path) -> None:
    after(tab, "#theme")
    with Image.open(saved(tab, tmp_path, "png")) as image:
        shown = tab.value(f"[{CHART}.views[0].view.width(), {CHART}.views[0].view.height()]")
        assert image.width > 2 * shown[0]
        assert image.height > 2 * shown[1]
        paper = tab.value("theme.paper()")
        pixels = np.asarray(image.convert("RGB"))
    assert paper == "#{:02x}{:02x}{:02x}".format(*pixels[0, 0])  # not transparent
    for colour in COLOURS[:3]:
        wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - wanted).max(axis=2) < 12).sum() > 200, colour


def test_what_to_see_follows_the_experiment(tab: Page) -> None:
    lines = f"[...document.querySelectorAll('{FIRST} .see li')]"
    shown = f"{lines}.filter((each) => !each.hidden).map((each) => each.textContent)"
    assert [line.partition(":")[0].partition(", ")[::2] for line in tab.value(shown)] == [
        ("figure1", name) for name in ("d1k1", "d2k2", "d20k10")
    ]
    choose(tab, "experiment", "ours")
    (line,) = tab.value(shown)
    assert line.startswith("ours, d2k2: the smallest median of the final ratio is")
    assert "(fast)" in line
    choose(tab, "experiment", "figure1")
    assert len(tab.value(shown)) == 3


def test_arrow_keys_move_along_curves_and_say_what_is_there(tab: Page) -> None:
    reading, ring = (f"document.querySelector('{FIRST} .{name}')" for name in ("reading", "cursor"))
    tab.value(f"document.querySelector('{FIRST} .plot').focus()")
    assert tab.value(f"{reading}.hidden && {ring}.hidden")
    tab.press("ArrowRight")
    case = synthetic.figure1_dataset()["d1k1"].to_dataset()

    def said(iteration: int, seed: int) -> str:
        run = case.sel(seed=seed, iteration=iteration)
        values = [float(run[name]) for name in ("ratio", "rollout_steps")]
        ratio, steps = (
            tab.value(f"({value}).toLocaleString('en', {{maximumSignificantDigits: 5}})") for value in values
        )
        words = f"iterations {iteration}, average cost difference ratio {ratio}, experiment figure1, case d1k1"
        return f"{words}, method as the case, seed {seed}, rollout steps {steps}"

    assert tab.value(f"{reading}.textContent") == said(0, 0)
    for _ in range(3):
        tab.press("ArrowRight")
    tab.press("ArrowLeft")
    assert tab.value(f"{reading}.textContent") == said(2, 0)
    tab.press("ArrowDown")
    assert tab.value(f"{reading}.textContent") == said(2, 1)
    tab.press("End")
    assert tab.value(f"{reading}.textContent") == said(80, 1)
    # The ring is on the point: at the right edge of the axes, and below those of the points before.
    place = f"{ring}.getBoundingClientRect().toJSON()"
    end, canvas = (
        tab.value(place),
        tab.value(f"document.querySelector('{FIRST} canvas').getBoundingClientRect().toJSON()"),
    )
    width = tab.value(f"{CHART}.views[0].view.width()")
    assert canvas["left"] < end["left"] < canvas["right"]
    tab.press("Home")
    start = tab.value(place)
    assert end["left"] - start["left"] == pytest.approx(width, abs=1.0)
    assert start["top"] < end["top"] < canvas["bottom"]
    tab.press("Escape")
    assert tab.value(f"{reading}.hidden && {ring}.hidden")


def test_a_curve_that_is_switched_off_is_not_reached(tab: Page) -> None:
    after(tab, switch("case", "d1k1"))
    tab.value(f"document.querySelector('{FIRST} .plot').focus()")
    tab.press("ArrowRight")
    assert "case d2k2" in tab.value(f"document.querySelector('{FIRST} .reading').textContent")
