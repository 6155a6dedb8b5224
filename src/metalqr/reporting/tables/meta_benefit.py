"""The benefit of meta-learning: gaps after one exact step from the optimum of L and from the best single gain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting import benefit
from metalqr.reporting.tables.markdown import Column, Columns, number, percent, power, spread
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr


def _number(name: str, heading: str) -> Column:
    return Column(heading, lambda row: number(row[name]))


def _percent(name: str, heading: str) -> Column:
    return Column(heading, lambda row: percent(row[name]))


@tables.register("meta_benefit")
class MetaBenefit(Table):
    """Exact gaps after one step, a row for each case, difference, heterogeneity and share of the largest rate.

    ``difference`` says what differs between tasks, and ``heterogeneity`` is the factor of the differences of the case.
    ``largest_rate`` is the largest adaptation rate at which the best single gain can be adapted to all training tasks,
    and ``share`` the part of it that is used. ``unseen_gap_0`` is the gap of the best single gain, ``unseen_single``
    and ``unseen_meta`` are the gaps after one exact step from it and from the optimum of L, ``training_single`` and
    ``training_meta`` the same on the training tasks: medians over tasks, then over draws of training tasks.
    ``medians_apart`` is the median from the optimum of L less that from the best single gain, in the same draw, on
    unseen tasks; ``difference_unseen`` and ``difference_training`` are medians over tasks of the difference on the same
    task: the median over draws, and their range. Below 0 meta-learning pays. The two differ in sign where some tasks
    gain much and more lose a little.
    ``unstable_single`` and ``unstable_meta`` are the shares of unseen tasks that are unstable after the step; these
    count as infinite. ``restarts`` are descents on L that began again from a better gain, and ``better_seen`` the draws
    in which a better gain is known than the optimum found. ``failed`` of the ``draws`` are without a result, for the
    reason in ``remark`` of the CSV, and do not count.
    """

    reads = "meta_benefit"
    category = "Adaptation"
    columns: ClassVar[Columns] = {
        "difference": Column("differences", text=True),
        "largest_rate": Column("largest η", lambda row: power(row["largest_rate"])),
        "unseen_gap_0": _number("unseen_gap_0", "unseen: gap at 0"),
        "unseen_single": _number("unseen_single", "at 1 from best single gain"),
        "unseen_meta": _number("unseen_meta", "from optimum of L"),
        "medians_apart": spread("medians_apart", "medians apart"),
        "medians_apart_min": None,
        "medians_apart_max": None,
        "difference_unseen": spread("difference_unseen", "on the same task"),
        "difference_unseen_min": None,
        "difference_unseen_max": None,
        "unstable_single": _percent("unstable_single", "unstable from best single gain"),
        "unstable_meta": _percent("unstable_meta", "from optimum of L"),
        "training_single": _number("training_single", "training: at 1 from best single gain"),
        "training_meta": _number("training_meta", "from optimum of L"),
        "difference_training": spread("difference_training", "on the same task"),
        "difference_training_min": None,
        "difference_training_max": None,
        "better_seen": Column("better gain seen"),
        "remark": None,
    }

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The levels of the comparison, and the cases."""
        return list(dict.fromkeys(line for name in names for line in benefit.details(config, name)))

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases."""
        for case, dataset in datasets.items():
            yield from ({"case": case, **row} for row in _rows(dataset))


def _rows(dataset: xr.Dataset) -> Iterator[dict[str, Any]]:
    """The rows of one case."""
    spreads = {
        "unseen_gap_0": benefit.medians(dataset, "unseen", benefit.SINGLE, 0),
        "unseen_single": benefit.medians(dataset, "unseen", benefit.SINGLE, 1),
        "unseen_meta": benefit.medians(dataset, "unseen", benefit.META, 1),
        "training_single": benefit.medians(dataset, "training", benefit.SINGLE, 1),
        "training_meta": benefit.medians(dataset, "training", benefit.META, 1),
    }
    middles = {name: benefit.Spread.of(values).middle for name, values in spreads.items()}
    apart = {f"difference_{name}": benefit.differences(dataset, name) for name in benefit.TASKS}
    apart |= {"medians_apart": benefit.apart(dataset, "unseen")}
    ranges = {name: benefit.Spread.of(values) for name, values in apart.items()}
    unstable = {start: benefit.unstable(dataset, "unseen", start) for start in (benefit.SINGLE, benefit.META)}
    largest = benefit.Spread.of(dataset["largest_rate"]).middle
    for kind in dataset["difference"].values.tolist():
        for factor in dataset["heterogeneity"].values.tolist():
            level = {"difference": kind, "heterogeneity": factor}
            for share in dataset["share"].values.tolist():
                place = {**level, "share": share}
                here = dataset.sel(place)
                reasons = [reason for reason in here["failure"].values.tolist() if reason]
                yield {
                    **level,
                    "largest_rate": float(largest.sel(level)),
                    "share": share,
                    **{name: float(middle.sel(place)) for name, middle in middles.items() if "unseen" in name},
                    **_range("medians_apart", ranges, place),
                    **_range("difference_unseen", ranges, place),
                    "unstable_single": float(unstable[benefit.SINGLE].sel(place)),
                    "unstable_meta": float(unstable[benefit.META].sel(place)),
                    **{name: float(middle.sel(place)) for name, middle in middles.items() if "training" in name},
                    **_range("difference_training", ranges, place),
                    "restarts": int(here["restarts"].sum()),
                    "better_seen": int(here["better_seen"].sum()),
                    "draws": dataset.sizes["draw"],
                    "failed": len(reasons),
                    "remark": "; ".join(dict.fromkeys(reasons)),
                }


def _range(name: str, ranges: Mapping[str, benefit.Spread], place: Mapping[str, Any]) -> dict[str, float]:
    keys = name, f"{name}_min", f"{name}_max"
    return {key: float(each.sel(place)) for key, each in zip(keys, ranges[name], strict=True)}
