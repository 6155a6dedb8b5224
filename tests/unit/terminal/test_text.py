"""The lines of the terminal's output."""

from pathlib import Path

import pytest

from snakemake_logger_plugin_metalqr import text


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "0 min 59 s"),
        (60, "1 min 0 s"),
        (3599.9, "59 min 59 s"),
        (7260, "2 h 1 min"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert text.duration(seconds) == told


def test_a_finished_job_is_one_line_within_80_columns() -> None:
    line = text.finished("03:00:27", 45.23, "estimation_error", "d20k10, perturbations 25, seed 3")
    assert line == "03:00:27    45.2 s  estimation_error  d20k10, perturbations 25, seed 3"
    assert len(line) <= 80
    assert text.finished("03:00:27", None, "page", "") == "03:00:27            page"


def test_a_failed_job_says_what_it_was_how_its_log_ends_and_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "seed-1.log"
    log.write_text("\n".join([*(f"line {number}" for number in range(20)), "ValueError: no", ""]))
    first, name, *end, others, advice = text.failed(
        "train_policy  d2k2, seed 1", 3.21, {"seed-1.log": str(log)}, goes_on=True
    )
    assert first == "FAILED  train_policy  d2k2, seed 1 after 3.2 s"
    assert name == "  seed-1.log ends:"
    assert end == [*(f"    | line {number}" for number in range(15, 20)), "    | ValueError: no"]
    assert "continue" in others
    assert "run the same command again" in advice


def test_a_log_that_is_missing_or_empty_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    for name in ("empty.log", "missing.log"):
        assert text.last_lines(str(tmp_path / name)) == []
    assert "is empty." in text.failed("draw", None, {"draw.log": str(tmp_path / "missing.log")}, goes_on=False)[1]


def test_the_bar_of_a_training_is_read_from_its_log(tmp_path: Path) -> None:
    log = tmp_path / "seed-1.log"
    log.write_text("INFO iteration 10 of 100, mean cost 3, time left 00:10\nINFO iteration 75 of 100, mean cost 3\n")
    line = text.running("runs", "d2k2, seed 1", 12.4, [str(log)], 79, plain=True)
    assert len(line) == 79
    assert line.startswith("              12 s  runs              d2k2, seed 1  |")
    drawn = line.partition("|")[2].rpartition("|")[0]
    assert drawn.count("#") == pytest.approx(0.75 * len(drawn), abs=1)
    assert line.endswith("|  75/100")
    assert text.running("runs", "d2k2, seed 1", 12.4, [], 79, plain=True).endswith("d2k2, seed 1")


@pytest.mark.parametrize("width", [20, 40, 60, 79, 200])
def test_the_total_fits_the_terminal(width: int) -> None:
    line = text.total_bar((187, 450), 0.41, 692.0, 830.0, width, plain=False)
    assert len(line) <= width
    assert line.startswith("187 of 450 jobs")
    if width >= 79:
        assert line.endswith("|  41 % of the work, 11 min 32 s, about 14 min left")


def test_the_total_without_a_terminal_and_at_the_end() -> None:
    assert text.total((1, 2), 0.999, 61.0, 30.0) == "1 of 2 jobs, 99 % of the work, 1 min 1 s, about 30 s left"
    assert text.total((2, 2), 1.0, 61.0, 0.0) == "2 of 2 jobs, 100 % of the work, 1 min 1 s"
    assert text.total((1, 9), 0.001, 5.2, None) == "1 of 9 jobs, 1 % of the work, 5.0 s"


def test_closing_lines() -> None:
    places = {"Page": "results/page.html", "Logs": "results/logs"}
    assert text.closing((3, 3), 0, 75.0, places) == [
        "All 3 jobs are done, after 1 min 15 s.",
        "  Page: results/page.html",
        "  Logs: results/logs",
    ]
    assert text.closing((1, 3), 2, 5.0, {})[0] == "2 of 3 jobs failed, 1 are done, after 5.0 s."
    assert text.closing((1, 3), 0, 5.0, {}) == [
        "Stopped after 5.0 s: 1 of 3 jobs are done.",
        "Run the same command again to continue.",
    ]


def test_what_snakemake_says_is_left_out_only_where_nobody_has_to_know_it() -> None:
    for message in (
        "Building DAG of jobs...",
        "Select jobs to execute...",
        "",
        "None",
        "Provided cores: 2",
        "Adding figure1.svg (194.24 KB).",
    ):
        assert text.is_noise(message), message
    for message in ("CalledProcessError in file", "At least one job did not complete successfully."):
        assert text.repeats_a_failure(f"WorkflowError:\n{message}")
    assert not text.repeats_a_failure("WorkflowError:\nThe config has a problem:")
    for message in ("Nothing to be done (all requested files are present and up to date).", "Warning: a case", "Error"):
        assert not text.is_noise(message), message
