"""What a figure shows, for the tests of figures."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from systems import Array

from metalqr.reporting.figures.layout import MAX_WIDTH, SMALL


def lines(axes: Axes, label: str) -> list[Line2D]:
    """The lines of a label."""
    return [line for line in axes.get_lines() if line.get_label() == label]


def xs(line: Line2D) -> Array:
    """The horizontal coordinates of a line."""
    return np.asarray(line.get_xdata())


def ys(line: Line2D) -> Array:
    """The vertical coordinates of a line."""
    return np.asarray(line.get_ydata())


def curve(axes: Axes, label: str) -> Array:
    """The vertical coordinates of the one line of a label."""
    (found,) = lines(axes, label)
    return ys(found)


def dashed_heights(axes: Axes) -> list[tuple[float, Any]]:
    """Height and colour of the dashed horizontal lines."""
    found = [line for line in axes.get_lines() if line.is_dashed() and np.ptp(ys(line)) == 0]
    return [(float(ys(line)[0]), line.get_color()) for line in found if len(ys(line)) == 2]


def dotted_places(axes: Axes) -> list[float]:
    """Where the dotted vertical lines are."""
    return [float(xs(line)[0]) for line in axes.get_lines() if line.get_linestyle() == ":"]


def crosses(axes: Axes) -> list[tuple[Any, Any]]:
    """Where the crosses are that no other panel shares."""
    found = lines(axes, "_diverged")
    return [(float(x), float(y)) for line in found for x, y in zip(xs(line), ys(line), strict=True)]


def legend_texts(owner: Axes | Figure) -> list[str]:
    """The words of the legends."""
    legends = [owner.get_legend()] if isinstance(owner, Axes) else owner.legends
    return [text.get_text() for legend in legends if legend for text in legend.get_texts()]


def tick_texts(axes: Axes) -> list[str]:
    """The words at the horizontal axis."""
    return [text.get_text() for text in axes.get_xticklabels()]


def overlaps_and_escapes(figure: Figure) -> list[str]:
    """Texts that lie on one another or leave the figure, which is laid out already."""
    hidden = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        # Matplotlib keeps labels beyond the limits, but does not draw them.
        hidden |= {tick.label1 for tick in axis.get_major_ticks() if not low * 0.999 <= tick.get_loc() <= high * 1.001}
    texts: list[Text] = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_visible()]
    texts = [text for text in texts if text.get_text().strip() and text not in hidden]
    drawn = [(text, text.get_window_extent()) for text in texts]
    drawn = [(text, box) for text, box in drawn if box.width > 0]
    if not drawn:
        return []
    words = [text.get_text() for text, _ in drawn]
    # Turned words lie beside one another, though the boxes around them do not.
    turned = np.array([text.get_rotation() % 90 > 0 for text, _ in drawn])
    starts, ends = (np.array([getattr(box, end) for _, box in drawn]) for end in ("min", "max"))
    page = figure.bbox.padded(0.5)
    escapes = np.flatnonzero(((starts < page.min) | (ends > page.max)).any(axis=1))
    # Of two boxes that overlap by more than a pixel, each begins before the other ends, in both directions.
    begins_before = (starts[:, np.newaxis] + 1.0 < ends).all(axis=2)
    pairs = np.argwhere(np.triu(begins_before & begins_before.T & ~(turned & turned[:, np.newaxis]), 1))
    return [words[place] for place in escapes] + [f"{words[one]} / {words[two]}" for one, two in pairs]


def legends(figure: Figure) -> list[Legend]:
    """Every legend, of the figure, of its parts and of its panels."""
    return [found for found in figure.findobj(Legend) if isinstance(found, Legend)]


def faults(figure: Figure) -> list[str]:
    """What a reader of print would object to: texts that overlap, escape or are small, legends over a panel."""
    found = overlaps_and_escapes(figure)
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
    found += [
        f"{text.get_text()}: {text.get_fontsize():g} points" for text in texts if float(text.get_fontsize()) < SMALL
    ]
    width = figure.get_size_inches()[0]
    found += [] if width <= MAX_WIDTH else [f"{width:g} inches are wider than a page"]
    for box in (legend.get_window_extent() for legend in legends(figure)):
        found += [f"a legend over {axes.get_title()!r}" for axes in figure.axes if box.padded(-1.0).overlaps(axes.bbox)]
        inside = np.all(box.min >= figure.bbox.min) and np.all(box.max <= figure.bbox.max)
        found += [] if inside else [f"a legend leaves the figure: {box}"]
    return found
