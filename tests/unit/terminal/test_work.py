"""The time that is left, from estimates and the time that jobs took."""

import pytest

from snakemake_logger_plugin_metalqr.work import Work

KINDS = {1: ("draw", 10.0, 1), 2: ("draw", 10.0, 1), 3: ("train", 100.0, 1), 4: ("train", 50.0, 1)}


def test_before_the_first_job_the_estimates_count() -> None:
    work = Work(KINDS, cores=2)
    assert work.left(0.0) == 100.0  # the longest job: all work on two cores takes 85 s
    assert Work(KINDS, cores=1).left(0.0) == 170.0
    assert work.share(0.0) == 0.0


def test_a_finished_job_scales_the_others() -> None:
    work = Work(KINDS, cores=1)
    work.started(1, 1000.0)
    assert work.finished(1, 1020.0) == 20.0  # twice its estimate
    assert work.left(1020.0) == pytest.approx(2 * 160.0)
    assert work.share(1020.0) == pytest.approx(20.0 / 340.0)


def test_jobs_of_the_same_kind_count_more_than_others() -> None:
    work = Work(KINDS, cores=1)
    work.started(1, 0.0)
    work.finished(1, 20.0)
    work.started(4, 20.0)
    work.finished(4, 45.0)  # half of its estimate
    overall = 45.0 / 60.0
    assert work.expected(2) == pytest.approx(10.0 * (20.0 + 10.0 * overall) / 20.0)
    assert work.expected(3) == pytest.approx(100.0 * (25.0 + 100.0 * overall) / 150.0)


def test_what_a_running_job_has_done_is_not_left() -> None:
    work = Work(KINDS, cores=1)
    work.started(3, 0.0)
    assert work.left(40.0) == pytest.approx(60.0 + 70.0)
    assert work.share(40.0) == pytest.approx(40.0 / 170.0)
    # It takes longer than expected, and is not done for that.
    assert work.left(200.0) == pytest.approx(20.0 + 70.0)
    assert work.share(200.0) == pytest.approx(90.0 / 170.0)


def test_cores_of_a_job_count_as_work() -> None:
    work = Work({1: ("train", 100.0, 2), 2: ("draw", 10.0, 1)}, cores=2)
    assert work.left(0.0) == pytest.approx(105.0)
    work.started(1, 0.0)
    work.finished(1, 100.0)
    assert work.left(100.0) == 10.0
    assert work.share(100.0) == pytest.approx(200.0 / 210.0)


def test_a_failed_job_is_not_left_until_it_starts_again() -> None:
    work = Work(KINDS, cores=1)
    work.started(3, 0.0)
    assert work.failed_at(3, 5.0) == 5.0
    assert work.failed == {3}
    assert work.left(5.0) == 70.0
    work.started(3, 6.0)
    assert work.failed == set()
    assert work.left(6.0) == 170.0


def test_jobs_that_nobody_planned_change_nothing() -> None:
    work = Work({}, cores=2)
    work.started(7, 0.0)
    assert work.finished(7, 3.0) == 3.0
    assert work.finished(8, 3.0) is None
    assert work.left(3.0) == 0.0
    assert work.share(3.0) == 1.0


def test_all_done() -> None:
    work = Work(KINDS, cores=2)
    for job in KINDS:
        work.started(job, 0.0)
        work.finished(job, 30.0)
    assert work.share(60.0) == 1.0
    assert work.left(60.0) == 0.0
