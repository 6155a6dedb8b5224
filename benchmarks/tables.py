"""The tables of the results folder in Markdown."""

from collections.abc import Mapping, Sequence
from operator import itemgetter

import pandas as pd

from benchmarks.agreement import BOUND, Agreement
from benchmarks.resources import Memory, Overhead, Startup
from metalqr.reporting.tables.markdown import Column, to_markdown


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> str:
    """A table with the first columns, the ``names``, to the left and all others to the right."""
    columns = {
        heading: Column(heading, itemgetter(heading), text=place < names) for place, heading in enumerate(headings)
    }
    return to_markdown(pd.DataFrame(rows, columns=list(headings)), columns)


def timings(frame: pd.DataFrame, description: str, work: str) -> str:
    """The main table: how long one iteration takes each contestant."""
    rows = [
        [
            f"({row['state_dim']}, {row['action_dim']})",
            row["contestant"],
            significant(row["seconds"]),
            significant(row["steps_per_second"] / 1e6),
            significant(row["times_metalqr"]),
            f"{row['limit_share']:.0%}" if row["contestant"] == "metalqr" else "",
        ]
        for row in frame.to_dict("records")
    ]
    headings = [
        "(d, k)",
        "implementation",
        "s per iteration",
        "million steps/s",
        "relative time",
        "of the arithmetic limit",
    ]
    return f"{description}.\n\n{work}\n\n{markdown(headings, rows, names=2)}"


def estimators(frame: pd.DataFrame, description: str) -> str:
    """How long one iteration takes each contestant with other estimators."""
    rows = [
        [
            row["dimensions"],
            row["estimator"],
            row["contestant"],
            significant(row["seconds"]),
            significant(row["steps_per_second"] / 1e6),
            significant(row["times_metalqr"]),
        ]
        for row in frame.to_dict("records")
    ]
    headings = ["(d, k)", "estimator", "implementation", "s per iteration", "million steps/s", "relative time"]
    explanation = (
        "One iteration of the same settings as in the main table, but for the estimator of both layers. Both rollouts "
        "of a pair count; with common noise, a pair also shares its inner perturbations and all noise inside."
    )
    return f"{description}.\n\n{explanation}\n\n{markdown(headings, rows, names=3)}"


def agreement(cases: Mapping[str, Mapping[str, Agreement]]) -> str:
    """The agreement of the means."""
    rows = [
        [case, name, significant(found.mean), significant(found.standard_error), f"{found.distance:+.1f}"]
        for case, contestants in cases.items()
        for name, found in contestants.items()
    ]
    return (
        "The mean of the estimated meta-gradients along the exact one, from independent estimates, and its distance "
        f"from metalqr's in standard errors of the difference. From {BOUND} on, `make bench` fails.\n\n"
        + markdown(["(d, k), estimator", "implementation", "mean", "standard error", "distance"], rows, names=2)
    )


def resources(
    startup: Startup, rows: Sequence[Memory], work: str, threads: int, overheads: Sequence[Overhead], little: str
) -> str:
    """Start-up time, memory and what an iteration takes beside its rollouts."""
    cells = [
        [str(row.iterations), str(row.rollout_length), f"{row.per_thread:.1f}", f"{row.whole:.0f}"] for row in rows
    ]
    headings = ["iterations N", "rollout length", "MiB a thread", "MiB of the whole process"]
    return (
        f"A training at {work} on {threads} threads, in a process of its own, with stored compiled code.\n\n"
        f"From the start of Python to the first iteration: {startup.to_first_iteration:.2f} s. "
        f"An iteration: {startup.iteration:.3f} s.\n\n"
        "Peak memory, and how much of it the training added to the imported libraries and the tasks, a thread:\n\n"
        + markdown(headings, cells)
        + f"\nAn iteration at {little} with four perturbations and ten steps a rollout, on one thread:\n\n"
        + markdown(
            ["method", "µs per iteration", "of them rollouts"],
            [[each.method, f"{each.iteration:.0f}", f"{each.rollouts:.0f}"] for each in overheads],
        )
    )


def significant(value: float) -> str:
    """Three significant digits without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.2e}"
