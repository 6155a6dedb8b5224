"""The gallery of docs/systems.md: a small figure of each named system's response to a step.

``make gallery`` runs this module as a program; a test fails when a figure is missing, or none of a system's.
"""

import itertools
import textwrap
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from metalqr.common import atomic
from metalqr.config.schema import ROOT
from metalqr.evaluation.step_responses import StepResponses, step_responses
from metalqr.reporting.figures.layout import MAX_WIDTH, SMALL
from metalqr.reporting.figures.palette import with_styles
from metalqr.reporting.figures.style import new_figure, round_ticks, settle, styled
from metalqr.systems.catalogue import names

FOLDER = ROOT / "docs" / "figures" / "systems"
WIDTH, HEIGHT = MAX_WIDTH, 1.9
#: Characters that fit along an axis.
MAX_LABEL = 22
DPI = 100
#: A second distinction of the curves.
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))


def path_of(name: str) -> Path:
    """The file of a system's figure."""
    return FOLDER / f"{name}.png"


def gallery_figure(name: str) -> Figure:
    """Draw two states and an input of a system, a curve for each of its members."""
    found = step_responses(name)
    with styled():
        figure = new_figure(WIDTH, HEIGHT)
        panels = figure.subplots(1, len(found.shown_states) + 1, squeeze=False)[0]
        courses = [(found.family.states[place], found.states, place) for place in found.shown_states]
        courses.append((found.family.inputs[found.shown_input], found.inputs, found.shown_input))
        for axes, (label, course, place) in zip(panels, courses, strict=True):
            for (value, colour, _), dashes in zip(with_styles(course), itertools.cycle(DASHES), strict=False):
                words = f"{round(value, 4):g}"
                axes.plot(found.times, course[value][:, place], color=colour, linestyle=dashes, label=words)
            axes.set_ylabel(textwrap.fill(label, MAX_LABEL))
            axes.set_xlabel(f"time [{found.family.time_unit}]")
            axes.margins(x=0)
            axes.ticklabel_format(axis="y", scilimits=(-3, 4))
            round_ticks(axes.xaxis, 5)
            round_ticks(axes.yaxis, 5)
        figure.suptitle(f"load of 1 on: {found.family.inputs[found.loaded]}")
        if found.parameter:
            lines = panels[0].get_lines()
            figure.legend(
                handles=lines, title=_heading(found), fontsize=SMALL, title_fontsize=SMALL, loc="outside right upper"
            )
        settle(figure)
    return figure


def _heading(found: StepResponses) -> str:
    each = found.family.settings.parameters()[found.parameter]
    unit = f" [{each.unit}]" if each.unit else ""
    return found.parameter.replace("_", " ").capitalize() + unit.replace(" [", "\n[")


def _as_png(figure: Figure) -> bytes:
    """The figure as a PNG of some kilobytes."""
    drawn = BytesIO()
    with styled():
        figure.savefig(drawn, format="png", dpi=DPI, pil_kwargs={"optimize": True})
    return drawn.getvalue()


def main() -> None:
    """Draw all figures, and remove those of systems that there are no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in set(FOLDER.iterdir()) - set(map(path_of, names())):
        path.unlink()
    for name in names():
        atomic.write(path_of(name), _as_png(gallery_figure(name)))


if __name__ == "__main__":
    main()
