"""The tables: numbers worked out by hand, and their Markdown."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
import xarray as xr
from synthetic import small_case

from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import save, to_markdown

SUMMARY = tables.get("summary")()


def summary_of(dataset: xr.DataTree) -> pd.DataFrame:
    return SUMMARY.make({"e": dataset})


def markdown_of(frame: pd.DataFrame) -> str:
    return to_markdown(frame, SUMMARY.columns)


def test_summary_of_a_case_worked_out_by_hand() -> None:
    frame = summary_of(synthetic.experiment("e", tiny=small_case()))
    assert frame.to_dict("records") == [
        {
            "case": "tiny",
            "state_dim": 1,
            "action_dim": 1,
            "first_ratio": 1.0,
            "final_ratio": 0.4,  # of 0.2, 0.4 and infinity
            "final_ratio_min": 0.2,
            "final_ratio_max": np.inf,
            "floor_ratio": pytest.approx(0.2),
            "unstable_perturbations": 15,
            "unstable_share": pytest.approx(15 / 56),
            "rollout_steps": 20,
            "diverged_runs": 1,
            "runs": 3,
        }
    ]


def test_summary_has_a_row_for_each_case_and_swept_value() -> None:
    sweep: dict[str, list[float]] = {"smoothing_radius": [0.1, 0.2], "rollout_length": [10, 20]}
    ends = {(0.2, 10, 1): ("diverged", 4)}
    case = synthetic.case(sweep=sweep, iterations=6, ends=ends)
    frame = summary_of(synthetic.experiment("e", a=case, b=case))
    points = [(name, r, length) for name in "ab" for r in (0.1, 0.2) for length in (10, 20)]
    assert list(frame[["case", *sweep]].itertuples(index=False, name=None)) == points
    assert frame["diverged_runs"].tolist() == [0, 0, 1, 0] * 2
    point = case.sel(smoothing_radius=0.1, rollout_length=20)
    assert frame["final_ratio"][1] == np.median(point["ratio"][:, -1])
    assert frame["final_ratio_max"][1] == point["ratio"][:, -1].max()
    assert frame["rollout_steps"][1] == 6 * 5 * 100 * 101 * 20


def test_summary_has_the_ratio_of_the_average_where_a_run_has_one() -> None:
    """Beside the last: seed 2 diverged, so its average counts as infinite although it stabilises every task."""
    plain = small_case()
    averaged = plain.assign(ratio_average=("seed", [0.18, 0.3, 0.25]))
    frame = summary_of(synthetic.experiment("e", plain=plain, averaged=averaged))
    names = ["average_ratio", "average_ratio_min", "average_ratio_max"]
    np.testing.assert_array_equal(frame[names], [[np.nan] * 3, [0.3, 0.18, np.inf]])
    assert frame["final_ratio"].tolist() == [0.4, 0.4]
    lines = markdown_of(frame).splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    place = cells[0].index("ratio of the average")
    assert cells[0][place + 1] == "its range over seeds"
    assert [row[place : place + 2] for row in cells[2:]] == [["–", "–"], ["0.300", "0.180 to ∞"]]
    swept = xr.concat(
        [averaged, averaged.assign(ratio_average=("seed", [np.nan] * 3))], "perturbations", data_vars="all"
    )
    swept = swept.assign_coords(perturbations=[2, 4])
    swept = swept.assign(J_star=plain["J_star"], J_shared=plain["J_shared"])
    found = summary_of(synthetic.experiment("e", swept=swept))["average_ratio"]
    np.testing.assert_array_equal(found, [0.3, np.nan])


def test_markdown_of_a_summary() -> None:
    frame = summary_of(synthetic.experiment("e", tiny=small_case()))
    frame.insert(1, "perturbations", [4])
    frame["wall_time"] = ["3 min | slow"]
    assert markdown_of(frame).splitlines() == [
        "| case | perturbations | state dim | action dim | first ratio | final ratio | range over seeds "
        "| best single gain | unstable perturbations | rollout steps per run | diverged runs | wall time     |",
        "| ---- | ------------: | --------: | ---------: | ----------: | ----------: | ---------------: "
        "| ---------------: | ---------------------: | --------------------: | ------------: | ------------- |",
        "| tiny |             4 |         1 |          1 |        1.00 |       0.400 |       0.200 to ∞ "
        "|            0.200 |            26.8 % (15) |                    20 |        1 of 3 | 3 min \\| slow |",
    ]


def test_markdown_lines_are_aligned_and_steps_readable() -> None:
    text = markdown_of(summary_of(synthetic.figure1_dataset()))
    assert text.endswith("|\n")
    assert len({len(line) for line in text.splitlines()}) == 1
    assert "202,000,000" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04126, "0.0413"),
        (1.0, "1.00"),
        (0.9996, "1.000"),
        (123.4, "123"),
        (98765.4, "98,765"),
        (3e-7, "3.00e-07"),
        (0.0, "0"),
        (np.inf, "∞"),
        (np.nan, "–"),
    ],
)
def test_ratios_have_three_digits(value: float, text: str) -> None:
    assert markdown_of(pd.DataFrame({"final_ratio": [value]})).splitlines()[2].strip("| ") == text


def test_files_hold_the_table(tmp_path: Path) -> None:
    markdown, csv = tmp_path / "made" / "table.md", tmp_path / "made" / "table.csv"
    frame = summary_of(synthetic.experiment("e", tiny=small_case()))
    save(frame, markdown=markdown, csv=csv, columns=SUMMARY.columns)
    assert markdown.read_text(encoding="utf-8") == markdown_of(frame)
    assert pd.read_csv(csv)["case"].tolist() == ["tiny"]
