"""The file of the theory, its tables and its figure."""

import numpy as np
import pytest
import stored
import xarray as xr
from systems import random_tasks

from metalqr import lqr, theory
from metalqr.config.registries import figures, tables
from metalqr.optimal import stability_margin
from metalqr.reporting.tables.markdown import to_markdown
from metalqr.results.theory import NO_BATCH

TASKS = random_tasks(12, count=2, state_dim=2, action_dim=1)
K0 = np.zeros((1, 2))


@pytest.fixture(scope="module")
def case() -> xr.Dataset:
    return stored.theory_of_tasks()


@pytest.mark.slow
def test_file_holds_what_was_computed(case: xr.Dataset) -> None:
    again = theory.audit(TASKS, K0, 1e-5, gains=5, perturbations=1, random_tasks=1)
    assert case["inequality"].values.tolist() == list(again.inequalities)
    assert case["form"].values.tolist() == ["printed", "corrected"]
    for name in ("worst_ratio", "checked", "broken", "broken_equal", "left", "right", "origin", "K", "change", "eta"):
        np.testing.assert_array_equal(case[name].values, getattr(again, name))
    assert case["erratum"].sel(inequality="cost_change") == 14
    bounds = theory.sublevel_constants(theory.SublevelSet.around(TASKS, K0), "corrected")
    assert float(case["bound"].sel(constant="h_grad", form="corrected")) == float(bounds.h_grad)
    assert float(case["used"].sel(setting="perturbations")) == 100


def test_counterexample_of_the_file_is_seen_again(case: xr.Dataset) -> None:
    worst = case.sel(inequality="cost_change", form="printed")
    origin = int(worst["origin"])
    tasks = TASKS if origin < 0 else theory.random_task_set(0, origin, 1, 2)
    found = theory.compare(tasks, K0, worst["K"].values, worst["change"].values, "printed", float(worst["eta"]))
    ratio = next(comparison.ratio for comparison in found if comparison.name == "cost_change")
    assert ratio == pytest.approx(float(worst["worst_ratio"]), rel=1e-9)


def test_table_of_the_audit_names_what_broke(case: xr.Dataset) -> None:
    table = tables.get("theory_audit")().make({"one": case})
    assert len(table) == case.sizes["inequality"]
    row = table.set_index("inequality").loc["cost_change"]
    assert row["broken_printed"] == int(case["broken"].sel(inequality="cost_change", form="printed")) > 0
    assert row["broken_corrected"] == 0
    text = to_markdown(table, tables.get("theory_audit").columns)
    line = next(line for line in text.splitlines() if "cost_change" in line)
    assert f"{row['broken_printed']} of {row['checked_printed']}" in line.replace(",", "")
    assert [cell.strip() for cell in line.split("|")][4] == "14"
    table.loc[table["inequality"] == "cost_change", "origin_printed"] = 3
    assert "in random set 3" in to_markdown(table, tables.get("theory_audit").columns)


def test_table_beside_practice_has_the_powers_of_ten(case: xr.Dataset) -> None:
    table = tables.get("theory_vs_practice")().make({"one": case}).set_index("setting")
    asked = float(case["required"].sel(setting="perturbations", form="corrected"))
    assert table.loc["perturbations", "corrected"] == asked
    assert table.loc["perturbations", "decades_corrected"] == pytest.approx(np.log10(asked / 100))
    assert table.loc["learning_rate", "decades_printed"] < 0
    steepest = np.linalg.eigvalsh(np.tensordot(TASKS.p, lqr.hessian_matrix(TASKS, K0), axes=1))[-1]
    assert table.loc["learning_rate", "corrected"] < table.loc["learning_rate", "certified"] < 1.01 / steepest
    assert table.loc["smoothing_radius", "certified"] == stability_margin(TASKS, K0).min()
    assert np.isnan(table.loc["iterations", "certified"])


def test_table_of_promises_says_what_is_true_without_a_step(case: xr.Dataset) -> None:
    """Two unequal tasks: V/λ of the initial gain exceeds its gap."""
    (row,) = tables.get("theory_promises")().make({"one": case}).to_dict("records")
    assert row["true_at_start"] == 1.0
    assert row["initial_gap"] < row["least_heterogeneity_bias"] < row["heterogeneity_bias"]
    asked = theory.requirements(TASKS, K0, "corrected")
    assert row["heterogeneity_bias"] == float(asked.heterogeneity_bias)
    text = to_markdown(tables.get("theory_promises")().make({"one": case}), tables.get("theory_promises").columns)
    assert " yes |" in text


def test_a_task_batch_that_is_not_drawn_is_not_compared() -> None:
    case = stored.theory_of_tasks(task_batch="all")
    row = case.sel(setting="task_batch")
    assert np.isnan(row["required"]).all()
    assert np.isnan(row["used"])
    assert row["missing"].values.tolist() == 2 * [NO_BATCH]
    figure = figures.get("theory_vs_practice")().make({"one": case})
    assert [text.get_text() for text in figure.axes[0].texts].count("not applicable") == 1


def test_counts_with_the_noise_of_the_initial_state_are_apart(case: xr.Dataset) -> None:
    """The tasks have a Σ0 of their own, and so has random set 1: only set 0 of the two has Σ0 = Ψ."""
    found = theory.audit(TASKS, K0, 1e-5, gains=5, perturbations=1, random_tasks=2)
    alone = theory.audit(theory.random_task_set(0, 0, 1, 2), K0, 1e-5, gains=5, perturbations=1, random_tasks=0)
    assert (found.broken_equal <= found.broken).all()
    row = found.inequalities.index("gain_norm")
    assert 0 < found.checked_equal[row, 1] < found.checked[row, 1]
    assert alone.checked_equal[row, 1] == alone.checked[row, 1] > 0
    assert (case["broken_equal"] <= case["broken"]).all()


@pytest.mark.slow
def test_figure_shows_every_setting_and_case(case: xr.Dataset) -> None:
    figure = figures.get("theory_vs_practice")().make({"one": case, "two": case})
    assert [panel.get_title() for panel in figure.axes] == ["one", "two"]
    assert len(figure.axes[0].get_yticklabels()) == case.sizes["setting"]
    shown = {float(line.get_xdata()[0]) for line in figure.axes[0].lines if len(line.get_xdata()) == 1}
    assert float(np.log10(case["required"].sel(setting="iterations", form="printed"))) in shown
    assert float(np.log10(50)) in shown
