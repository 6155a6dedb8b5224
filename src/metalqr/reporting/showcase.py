"""The figures, tables and numbers of results that the documentation shows: taken from the files of a finished pipeline.

``make showcase`` runs this module as a program. It copies each figure of docs/figures that the pipeline has drawn anew,
a smaller copy of it into docs/figures/gallery, and each table that a page uses into docs/tables. Then it renews the
pages from docs/tables. A page has a table between ``<!-- NAME: from results, by `make showcase` -->`` and ``<!-- end of
NAME -->``, where ``NAME where COLUMN = VALUE or VALUE with COLUMN and COLUMN`` chooses rows and columns by their
headings, and a number within a sentence as ``<!--= NAME KEY=VALUE COLUMN -->0.0653<!--=-->``.

A test fails when a page differs from docs/tables, so that no two pages can have different numbers of the same thing.
"""

import functools
import itertools
import operator
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from metalqr.common import atomic
from metalqr.common.generated import with_parts
from metalqr.config.schema import ROOT
from metalqr.reporting.tables.markdown import number, percent, power

RESULTS, FIGURES, TABLES = ROOT / "results", ROOT / "docs" / "figures", ROOT / "docs" / "tables"
COMMAND = "make showcase"

_NUMBER = re.compile(r"<!--= (?P<asked>[^\n]+?) -->(?P<shown>[^<]*)<!--=-->")
_FIRST = re.compile(r"^[ >*+-]*<!--= [^\n]*", re.MULTILINE)
_PART = re.compile(rf"^<!-- (?P<name>\S+)[^\n]*: from results, by `{COMMAND}` -->$", re.MULTILINE)
_FUNCTIONS: dict[str, Callable[[pd.Series], float]] = {
    "min": lambda values: float(values.min()),
    "median": lambda values: float(values.median()),
    "max": lambda values: float(values.max()),
    "sum": lambda values: float(values.sum()),
    "count": lambda values: float(values.count()),
    "positive": lambda values: float((values > 0).sum()),
}
_OPERATIONS: dict[str, Callable[[float, float], float]] = {"/": operator.truediv, "-": operator.sub}
_WRITERS: dict[str, Callable[[float], str]] = {"number": number, "percent": percent, "power": power}


class ShowcaseError(ValueError):
    """A page asks for what no table has."""


def pages() -> list[Path]:
    """The pages that may show results: the README and the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def source_of(name: str, folder: Path) -> Path:
    """File of a table without its suffix: ``figure1`` is in ``tables``, others are named by their path in results.

    ``toso2024_met`` and ``toso2024/adaptation`` are in the tables of that neighbouring paper.
    """
    paper, mark, table = re.split("([/_])", f"{name}/", maxsplit=1)
    if (ROOT / "config" / "papers" / f"{paper}.yaml").exists():
        return folder / "papers" / paper / "results" / "tables" / (name if mark == "_" else table.rstrip("/"))
    return folder / name if "/" in name else folder / "tables" / name


def drawn(copy: Path, folder: Path) -> Path:
    """File of a figure in a folder of results, by its place below docs/figures.

    ``figure1.png`` and ``gallery/figure1.png`` are of the default config, ``toso2024.png`` is of that neighbouring
    paper, and ``gallery/systems/heterogeneity.png`` of an example that is run in ``results/systems``.
    """
    paper = re.split("[_.]", copy.name)[0]
    if (ROOT / "config" / "papers" / f"{paper}.yaml").exists():
        return folder / "papers" / paper / "results" / "figures" / copy.name
    *_, example = copy.parent.parts or ("",)
    return folder / ("" if example in ("", "gallery") else f"{example}/results") / "figures" / copy.name


def renewed(page: str, tables: Path = TABLES) -> str:
    """A page with all its tables and numbers from the files in a folder.

    Raises
    ------
    ShowcaseError
        A table, a row or a column is not there, a number has several rows, or it begins a line.
    """
    if first := _FIRST.search(page):
        raise ShowcaseError(
            f"{first[0]!r}: Markdown takes a line that begins so for HTML; write a word before the number"
        )
    page = with_parts(page, COMMAND, functools.partial(_rows, tables))
    return _NUMBER.sub(lambda found: f"<!--= {found['asked']} -->{value(found['asked'], tables)}<!--=-->", page)


def _rows(tables: Path, part: str) -> str:
    choice, _, shown = part.partition(" with ")
    name, _, condition = choice.partition(" where ")
    path = (tables / name).with_suffix(".md")
    if not path.exists():
        raise ShowcaseError(f"{name}: there is no {path.name} in docs/tables; run `{COMMAND}` after the pipeline")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # Some have a note below the table.
    heading, rule, *rows = (line for line in lines if line.startswith("|"))

    def place(column: str) -> int:
        if column not in _cells(heading):
            raise ShowcaseError(f"{part}: the table has no column {column!r}, but {_cells(heading)}")
        return _cells(heading).index(column)

    if condition:
        column, _, wanted = (each.strip() for each in condition.partition("="))
        rows = [row for row in rows if _cells(row)[place(column)] in wanted.split(" or ")]
    if not rows:
        raise ShowcaseError(f"{part}: the table has no such row")
    lines = [heading, rule, *rows]
    if shown:
        places = [place(column) for column in shown.split(" and ")]
        lines = [f"|{'|'.join(_split(line)[place] for place in places)}|\n" for line in lines]
    return "".join(lines)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in _split(row)]


def _split(row: str) -> list[str]:
    return re.split(r"(?<!\\)\|", row)[1:-1]


def value(asked: str, tables: Path = TABLES) -> str:
    """A number as a page shows it.

    Parameters
    ----------
    asked
        ``NAME KEY=VALUE ... COLUMN FORMAT``. A VALUE with spaces is in quotes. The column may be negative,
        ``-difference``, or a function of several rows, such as ``max(final_ratio)``. Quotients and
        differences of numbers are taken from left to right, ``NAME ... COLUMN / NAME ... COLUMN / 0.01 .0f``.
        The format is ``number``, the default, ``percent``, ``power`` or one of Python's.
    tables
        Folder of the tables, files NAME.csv.
    """
    signs: list[str] = []
    terms: list[list[str]] = [[]]
    for word in shlex.split(asked):
        if word in _OPERATIONS:
            signs.append(word)
            terms.append([])
        else:
            terms[-1].append(word)
    last = terms[-1]
    surplus = len([word for word in last if "=" not in word]) > (1 if last and _is_number(last[0]) else 2)
    written = last.pop() if surplus else "number"
    found, *others = (_term(term, asked, tables) for term in terms)
    for sign, other in zip(signs, others, strict=True):
        found = _OPERATIONS[sign](found, other)
    return _WRITERS[written](found) if written in _WRITERS else format(found, written)


def _term(words: list[str], asked: str, tables: Path) -> float:
    if len(words) == 1 and _is_number(words[0]):
        return float(words[0])
    plain = [word for word in words if "=" not in word]
    if len(plain) != 2 or plain[1] in _WRITERS:
        raise ShowcaseError(f"{asked!r} should be NAME KEY=VALUE ... COLUMN FORMAT")
    name, column = plain
    frame = _frame((tables / name).with_suffix(".csv"))
    for condition in words:
        key, equals, wanted = condition.partition("=")
        if equals:
            frame = frame[_column(frame, key, asked) == wanted]
    sign, column = (-1.0, column[1:]) if column.startswith("-") else (1.0, column)
    function, _, inner = column.partition("(")
    if inner:
        if function not in _FUNCTIONS:
            raise ShowcaseError(f"{asked!r}: {function} is none of {', '.join(_FUNCTIONS)}")
        return sign * _FUNCTIONS[function](_column(frame, inner.removesuffix(")"), asked).astype(float))
    values = _column(frame, column, asked)
    if len(values) != 1:
        raise ShowcaseError(f"{asked!r}: {len(values)} rows, not one; give a KEY=VALUE for each key")
    return sign * float(values.iloc[0])


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", word) is not None


@functools.cache
def _frame(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise ShowcaseError(f"there is no {path.name} in docs/tables; run `{COMMAND}` after the pipeline")
    return pd.read_csv(path, dtype=str)


def _column(frame: pd.DataFrame, name: str, asked: str) -> pd.Series:
    if name not in frame:
        raise ShowcaseError(f"{asked!r}: the table has no column {name!r}, but {', '.join(map(str, frame))}")
    return frame[name]


def used(page: str) -> Iterator[Path]:
    """The files of tables that a page uses, in docs/tables."""
    for found in _PART.finditer(page):
        yield Path(f"{found['name']}.md")
    for found in _NUMBER.finditer(page):
        words = shlex.split(found["asked"])
        names = [words[0], *(after for word, after in itertools.pairwise(words) if word in _OPERATIONS)]
        yield from (Path(f"{name}.csv") for name in names if not _is_number(name))


def main() -> None:
    """Copy figures and tables, remove tables that no page uses, and renew the pages."""
    from metalqr.reporting.figures.copies import GALLERY, small

    texts = {path: path.read_text(encoding="utf-8") for path in pages()}
    wanted = {path for text in texts.values() for path in used(text)}
    for surplus in {path for path in TABLES.rglob("*.*") if path.relative_to(TABLES) not in wanted}:
        surplus.unlink()
    for path in sorted(wanted):
        made = source_of(str(path), RESULTS)
        if made.exists():
            (TABLES / path).parent.mkdir(parents=True, exist_ok=True)
            atomic.write(TABLES / path, made.read_bytes())
        else:
            print(f"Left as it was: docs/tables/{path}, since there is no {made}")
    gallery = set(FIGURES.glob("gallery/**/*.png"))
    for path in sorted({*FIGURES.glob("*.png"), *FIGURES.glob("papers/*.png"), *gallery}):
        made = drawn(path.relative_to(FIGURES), RESULTS)
        if made.exists():
            atomic.write(path, small(made, GALLERY) if path in gallery else small(made))
        else:
            print(f"Left as it was: docs/figures/{path.relative_to(FIGURES)}, since there is no {made}")
    for path, text in texts.items():
        if (new := renewed(text, TABLES)) != text:
            atomic.write(path, new.encode())


if __name__ == "__main__":
    main()
