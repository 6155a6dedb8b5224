"""One style for all figures, and files that are reproducible to the byte."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from metalqr.common import atomic
from metalqr.reporting.figures.layout import LEGEND, SMALL, TEXT, TITLE, text_width
from metalqr.reporting.figures.palette import BAND

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import LayoutEngine
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from metalqr.lqr import FloatArray

#: On top of seaborn's style "whitegrid".
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # shipped with Matplotlib, so the same on every machine
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.titlesize": TITLE,
    "figure.titlesize": TITLE,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "axes.titlepad": 5.0,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "legend.fontsize": LEGEND,
    "legend.title_fontsize": LEGEND,
    "legend.columnspacing": 1.5,
    "legend.frameon": False,  # legends stand outside the panels
    "lines.linewidth": 1.2,
    "lines.markersize": 4.0,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "metalqr",
}
#: Ratios of the ends of a logarithmic axis below which labels are round numbers, and not powers of ten alone.
NARROW, FEW_DECADES = 3.0, 300.0
#: Metadata that would differ between two runs or machines is left out of the files.
_METADATA: dict[str, dict[str, None]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's defaults and the house style, regardless of the user's matplotlibrc; undone at the end."""
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


def line_key(label: str, **style: Any) -> Line2D:
    """The key of a line or a marker in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def band_key(label: str) -> Patch:
    """The key of a band in a legend."""
    from matplotlib.patches import Patch

    return Patch(color="0.3", **BAND, label=label)


def round_ticks(axis: Axis, most: int = 7, whole: bool = False) -> None:
    """Ticks at round or whole numbers; how many does not depend on the font that is set when the figure is shown."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=whole))


def logarithmic(axes: Axes, **locator: Any) -> None:
    """A logarithmic vertical axis with labels at the ticks of a LogLocator alone."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(**locator))
    axes.yaxis.set_minor_locator(NullLocator())


def power(value: float) -> str:
    """A number as a multiple of a power of ten, as mathematical text."""
    mantissa, exponent = f"{value:e}".split("e")
    shown = f"10^{{{int(exponent)}}}"
    return f"${shown}$" if float(mantissa) == 1 else rf"${float(mantissa):g}{{\cdot}}{shown}$"


def logarithmic_ticks(axis: Axis, most: int = 7) -> None:
    """Ticks of a logarithmic axis whose limits are known: powers of ten, and numbers between where these are few."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    low, high = axis.get_view_interval()
    if not 0.0 < low < high < math.inf:  # nothing is shown
        low, high = 0.1, 1.0
        (axis.axes.set_xlim if axis is axis.axes.xaxis else axis.axes.set_ylim)(low, high)
    is_narrow, is_wide = high < NARROW * low, high >= FEW_DECADES * low
    subs = (1.0,) if is_wide else (1.0, 2.0, 5.0)
    axis.set_major_locator(
        MaxNLocator(most - 2, steps=[1, 2, 5, 10]) if is_narrow else LogLocator(subs=subs, numticks=most)
    )
    axis.set_minor_locator(NullLocator())
    if not is_wide:
        axis.set_major_formatter(lambda value, _: f"{value:g}" if 1e-3 <= value < 1e5 else power(value))


def label_ticks(
    axes: Axes, places: FloatArray, labels: Sequence[str], spread: FloatArray, width: float, first: Sequence[str] = ()
) -> None:
    """Ticks on the horizontal axis, with the labels that have room: those in `first`, then the ends, then the others.

    ``spread`` are the relative positions of the labels on the axis, whose width is in points.
    """
    middles = dict(zip(labels, width * spread, strict=True))
    ends = [min(labels, key=middles.__getitem__), max(labels, key=middles.__getitem__)]
    kept: dict[str, tuple[float, float]] = {}
    for label in dict.fromkeys([*first, *ends, *labels]):
        half = text_width(label, SMALL) / 2 + 2.0
        low, high = middles[label] - half, middles[label] + half
        if all(high <= other_low or low >= other_high for other_low, other_high in kept.values()):
            kept[label] = (low, high)
    axes.set_xticks(places, [label if label in kept else "" for label in labels])
    axes.set_xticks([], minor=True)


def settle(figure: Figure) -> None:
    """Lay a figure out once, for Agg.

    Otherwise every save would lay it out again, starting from the last layout, and give other bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def save(figure: Figure, paths: Iterable[str | os.PathLike[str]]) -> None:
    """Write a figure to files whose suffixes choose the formats, with the same bytes every time.

    Every file is rendered before the first is written, and each is written atomically. Another suffix than ``.pdf``,
    ``.svg`` and ``.png`` raises a ValueError; nothing is written then. Missing folders are made.
    """
    rendered: dict[Path, bytes] = {}
    for path in map(Path, paths):
        if path.suffix not in _METADATA:
            known = ", ".join(_METADATA)
            raise ValueError(f"{path}: cannot write a figure in the format {path.suffix!r}; use one of {known}")
        buffer = BytesIO()
        with styled():
            figure.savefig(buffer, format=path.suffix[1:], metadata=_METADATA[path.suffix])
        rendered[path] = buffer.getvalue()
    for path, content in rendered.items():
        atomic.write(path, content)
