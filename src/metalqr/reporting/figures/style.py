"""One look for all figures, and files that are the same bytes every time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from metalqr.common import atomic

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import LayoutEngine

#: On top of seaborn's style "whitegrid".
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # shipped with Matplotlib, so the same on every machine
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.0,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "0.85",
    "lines.linewidth": 1.4,
    "savefig.dpi": 150,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "metalqr",
}
#: What would differ between two runs or machines is left out of the files.
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's own defaults and the house style, whatever the user's matplotlibrc says; undone at the end."""
    import matplotlib
    import seaborn

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(seaborn.axes_style("whitegrid") | _STYLE)
        yield


def new_figure(width: float, height: float, layout: LayoutEngine | Literal["constrained"] = "constrained") -> Figure:
    """An empty figure of a size in inches, which no window shows."""
    import matplotlib.figure

    return matplotlib.figure.Figure(figsize=(width, height), layout=layout)


def round_ticks(axis: Axis, most: int = 7, whole: bool = False) -> None:
    """Ticks at round or whole numbers; how many does not depend on the font that is set when the figure is shown."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=whole))


def labels_with_room(spread: Mapping[str, float], first: Sequence[str], width: float) -> set[str]:
    """Labels at relative positions that fit on an axis of a width in points: the given first, then the ends."""
    from matplotlib.textpath import TextPath

    ends = [min(spread, key=lambda label: spread[label]), max(spread, key=lambda label: spread[label])]
    kept: dict[str, tuple[float, float]] = {}
    for label in dict.fromkeys([*first, *ends, *spread]):
        half = TextPath((0, 0), label, size=9.0).get_extents().width / 2 + 2.0
        low, high = width * spread[label] - half, width * spread[label] + half
        if all(high <= other_low or low >= other_high for other_low, other_high in kept.values()):
            kept[label] = (low, high)
    return set(kept)


def settle(figure: Figure) -> None:
    """Lay a figure out, once and for Agg, and keep it so.

    Else every format and every further save would lay it out again, from where the last one ended, to other bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def save(figure: Figure, paths: Iterable[str | os.PathLike[str]]) -> None:
    """Write a figure, the same bytes every time, to one or several files, whose suffixes choose the formats.

    Every file is rendered before the first is written, and put in place by one rename: no file is ever half written.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    paths : iterable of path
        Files that end in ``.pdf``, ``.svg`` or ``.png``. Missing folders are made.

    Raises
    ------
    ValueError
        If a suffix is another; nothing is written then.
    """
    files = [Path(path) for path in paths]
    for path in files:
        if path.suffix.removeprefix(".") not in _METADATA:
            known = ", ".join(f".{name}" for name in _METADATA)
            raise ValueError(f"{path}: cannot write a figure in the format {path.suffix!r}; use one of {known}")
    with styled():
        rendered = [_render(figure, path.suffix.removeprefix(".")) for path in files]
    for path, content in zip(files, rendered, strict=True):
        atomic.write(path, content)


def _render(figure: Figure, form: str) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=form, metadata=_METADATA[form])
    return buffer.getvalue()
