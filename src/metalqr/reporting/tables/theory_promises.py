"""What the corrected Theorem 2 promises about the gap, and where it is true without a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting import captions
from metalqr.reporting.tables.markdown import Column, Columns, power
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr


@tables.register("theory_promises")
class TheoryPromises(Table):
    """The promise of the corrected Theorem 2 about the gap, ``L(K_N) <= Σ p J* + V/λ + ε_0``, a row for each case.

    ``initial_gap`` is ``L(K_0) - Σ p J*``, ``epsilon_0`` the target, ``least_heterogeneity_bias`` the V/λ of K_0 alone,
    below that of the theorem, and ``heterogeneity_bias`` a bound of it over the set. Where ``true_at_start`` is 1, the
    promise is true at n = 0, and ``iterations_for_gap`` is 0. ``gradient_norm`` is that of the meta-gradient at K_0,
    ``gradient_target`` the one that the table ``theory_vs_practice`` asks for, and
    ``learning_rate_without_adaptation`` the learning rate that a vanishing adaptation rate allows.
    """

    reads = "theory"
    category = "Theory"
    columns: ClassVar[Columns] = {
        "initial_gap": Column("first gap", lambda row: power(row["initial_gap"])),
        "epsilon_0": Column("ε_0", lambda row: power(row["epsilon_0"])),
        "least_heterogeneity_bias": Column("V/λ at K_0", lambda row: power(row["least_heterogeneity_bias"])),
        "heterogeneity_bias": Column("bound of V/λ", lambda row: power(row["heterogeneity_bias"])),
        "true_at_start": Column("true at K_0", lambda row: {0.0: "no", 1.0: "yes"}.get(row["true_at_start"], "–")),
        "iterations_for_gap": Column("iterations", lambda row: power(row["iterations_for_gap"])),
        "gradient_norm": Column("norm of ∇L(K_0)", lambda row: power(row["gradient_norm"])),
        "gradient_target": Column("target of the norm", lambda row: power(row["gradient_target"])),
        "learning_rate_without_adaptation": Column(
            "α for η → 0", lambda row: power(row["learning_rate_without_adaptation"])
        ),
    }

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The target."""
        return [captions.target(config)]

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases."""
        for case, dataset in datasets.items():
            names, values = dataset["promised"].values.tolist(), dataset["promise"].values.tolist()
            yield {"case": case, **dict(zip(names, values, strict=True))}
