"""profiles/slurm and profiles/cluster-generic on a throw-away Slurm: every trouble ends in the same results."""

import re
import signal
import time
from pathlib import Path

import pytest
from places import ROOT
from project import Project, assert_same_results
from scenarios import GENERIC, GROUPS, SLURM, ClusterProject, on_cluster
from slurm import Job, ThrowAwayCluster, wait_for

pytestmark = pytest.mark.slow

#: A first call that must fail does not send its job again; the profile would.
ONCE = ("--retries", "0")
#: What is not asked for where only runs are of interest.
DRAWN = (
    "figures/",
    "sections/",
    "page.html",
    *(f"tables/{name}." for name in ("estimators", "figure1", "learning_rate", "perturbations", "sample_efficiency")),
)


def log_of_the_run(project: Project) -> str:
    (path,) = (project.directory / "results/logs/runs").rglob("*.log")
    return path.read_text(encoding="utf-8")


def training(cluster: ThrowAwayCluster, project: Project, seconds: float = 150) -> Job:
    """Wait until the run has saved its state once, and return its job."""
    checkpoints = project.directory / "results/checkpoints"
    wait_for(lambda: list(checkpoints.glob("*.nc")), "the first checkpoint", seconds)
    (job,) = cluster.running("train_policy")
    return job


def ended(cluster: ThrowAwayCluster, job: Job) -> str:
    """State in which a job ended."""
    wait_for(lambda: any(entry["JobId"] == job.identity for entry in cluster.finished()), "the end of the job", 90)
    return next(entry["JobState"] for entry in cluster.finished() if entry["JobId"] == job.identity)


def megabytes(cluster: ThrowAwayCluster, job: Job) -> int:
    """Memory that a job has asked for."""
    answer = cluster.run("squeue", "--noheader", "--jobs", job.identity, "--format=%m")
    assert answer.endswith("M")
    return int(answer.removesuffix("M"))


def sent(printed: str) -> list[str]:
    """The rules whose jobs went to Slurm, by the folders of their logs."""
    return sorted(re.findall(r"submitted with SLURM jobid \d+ \(log: \S*/results/logs/slurm/rule_(\w+)/", printed))


def assert_finished_with_one_more_call(project: ClusterProject, expected: Project) -> None:
    """No flag is needed, the run goes on from its state, and everything is as on this machine alone."""
    project.snakemake("datasets")
    assert "resuming from iteration" in log_of_the_run(project)
    assert_same_results(project, expected)


def test_job_over_its_time(longer: Project, cluster: ThrowAwayCluster, tmp_path: Path) -> None:
    """With so long between two checkpoints that only Slurm's SIGTERM can have saved the state."""
    patient = Project(longer.root, tmp_path, longer.configs).overlay("execution: {checkpoint_seconds: 1000}\n")
    project = on_cluster(patient, tmp_path / "made", "slurm", SLURM)
    process = project.start("datasets", *ONCE)
    logs = project.directory / "results/logs/runs"
    wait_for(lambda: any(", mean cost" in path.read_text() for path in logs.rglob("*.log")), "the first iteration", 150)
    (job,) = cluster.running("train_policy")
    # Its time is over now, instead of after a minute, the least that a job can ask for.
    cluster.run("scontrol", "update", f"JobId={job.identity}", "EndTime=now")
    assert ended(cluster, job) == "TIMEOUT"
    printed, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "SLURM status is: 'TIMEOUT'" in printed
    assert_finished_with_one_more_call(project, longer)


def test_everything_is_the_same_as_on_one_machine(tiny: Project, cluster: ThrowAwayCluster, tmp_path: Path) -> None:
    project = on_cluster(tiny, tmp_path, "slurm", SLURM)
    printed = project.snakemake()
    assert_same_results(project, tiny)
    # Tasks, optima and runs, and none of the jobs that gather, draw and summarise.
    rules = ["generate_tasks", "solve_meta_optimum", "solve_optima"]
    assert sent(printed) == [rule for rule in rules for _ in range(2)] + ["train_policy"] * 7 + ["tune"]
    assert [entry["JobState"] for entry in cluster.finished()] == ["COMPLETED"] * 14
    assert not list((tmp_path / "results/logs/slurm").rglob("*.log"))


def test_commands_instead_of_the_plugin(tiny: Project, cluster: ThrowAwayCluster, tmp_path: Path) -> None:
    project = on_cluster(tiny, tmp_path, "cluster-generic", GENERIC)
    project.snakemake("datasets")
    assert_same_results(project, tiny, without=DRAWN)
    assert [entry["JobState"] for entry in cluster.finished()] == ["COMPLETED"] * 14
    assert len(list((tmp_path / "results/logs/cluster").glob("*.log"))) == 14


@pytest.mark.parametrize(
    ("command", "states"),
    [("exit 0", {"running", "success"}), ("exit 1", {"running", "failed"}), ("kill -9 $$", {"running", "failed"})],
)
def test_status_script(command: str, states: set[str], cluster: ThrowAwayCluster) -> None:
    status = str(ROOT / "profiles/cluster-generic/status.sh")
    job = cluster.run("sbatch", "--parsable", "--output=/dev/null", f"--wrap=sleep 2; {command}")
    seen = [cluster.run(status, job)]

    def ended() -> bool:
        seen.append(cluster.run(status, job))
        return seen[-1] != "running"

    wait_for(ended, "the end of the job", 60)
    assert set(seen) == states


def test_status_script_for_jobs_that_nobody_knows_and_without_a_controller(
    cluster: ThrowAwayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = str(ROOT / "profiles/cluster-generic/status.sh")
    assert cluster.run(status, "999999") == "failed"
    with monkeypatch.context() as unreachable:
        unreachable.setitem(cluster.environment, "PATH", "/usr/bin:/bin")
        unreachable.setitem(cluster.environment, "SLURM_CONF", "/dev/null")
        assert cluster.run(status, "999999") == "running"


def test_several_runs_in_one_job(tiny: Project, cluster: ThrowAwayCluster, tmp_path: Path) -> None:
    project = on_cluster(tiny, tmp_path, "slurm", (*SLURM, *GROUPS))
    project.snakemake("datasets")
    # Two jobs for tasks, four for optima, one that tunes, three for seven runs; each on one core.
    assert [(entry["JobState"], entry["ProcCnt"]) for entry in cluster.finished()] == [("COMPLETED", "1")] * 10
    assert_same_results(project, tiny, without=DRAWN)


def test_cancelled_job_is_sent_again(long: Project, cluster: ThrowAwayCluster, tmp_path: Path) -> None:
    project = on_cluster(long, tmp_path, "slurm", SLURM)
    process = project.start("datasets")
    job = training(cluster, project)
    asked = megabytes(cluster, job)
    cluster.run("scancel", job.identity)
    assert ended(cluster, job) == "CANCELLED"
    wait_for(lambda: cluster.running("train_policy"), "the second start", 120)
    (again,) = cluster.running("train_policy")
    assert again.identity != job.identity
    assert 2 * asked - 2 <= megabytes(cluster, again) <= 2 * asked
    printed, _ = process.communicate(timeout=400)
    assert process.returncode == 0, printed
    assert sent(printed).count("train_policy") == 2
    assert_finished_with_one_more_call(project, long)


def test_node_that_fails(long: Project, cluster: ThrowAwayCluster, tmp_path: Path) -> None:
    """Slurm itself puts the job back into the queue, and the other node takes it."""
    project = on_cluster(long, tmp_path, "slurm", SLURM)
    process = project.start("datasets")
    job = training(cluster, project)
    cluster.set_node(job.node, "down")

    def started_again() -> list[Job]:
        # Slurm would keep the jobs back for two minutes: this one, and that of the optima, which runs beside it.
        for other in cluster.queue():
            if other.state == "PENDING":
                cluster.run("scontrol", "update", f"JobId={other.identity}", "StartTime=now", check=False)
        return [other for other in cluster.running("train_policy") if other.node != job.node]

    wait_for(started_again, "the start on the other node", 120)
    (again,) = cluster.running("train_policy")
    assert again.identity == job.identity
    cluster.set_node(job.node, "resume")
    printed, _ = process.communicate(timeout=400)
    assert process.returncode == 0, printed
    assert_finished_with_one_more_call(project, long)


def test_job_over_its_memory(long: Project, cluster: ThrowAwayCluster, tmp_path: Path) -> None:
    project = on_cluster(long, tmp_path, "slurm", SLURM)
    printed = project.snakemake("datasets", *ONCE, "--set-resources", "train_policy:mem_mb=250", succeeds=False)
    assert re.search(r"SLURM-job '\d+' failed", printed)
    (log,) = (project.directory / "results/logs/slurm/rule_train_policy").rglob("*.log")
    assert "exceeded memory limit" in log.read_text(encoding="utf-8")
    project.snakemake("datasets")
    assert_same_results(project, long)


def test_interrupted_snakemake_cancels_its_jobs(long: Project, cluster: ThrowAwayCluster, tmp_path: Path) -> None:
    project = on_cluster(long, tmp_path, "slurm", SLURM)
    process = project.start("datasets")
    job = training(cluster, project)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert ended(cluster, job) == "CANCELLED"
    assert_finished_with_one_more_call(project, long)


def test_killed_snakemake_leaves_jobs_to_cancel(long: Project, cluster: ThrowAwayCluster, tmp_path: Path) -> None:
    project = on_cluster(long, tmp_path, "slurm", SLURM)
    process = project.start("datasets")
    job = training(cluster, project)
    process.kill()
    process.communicate(timeout=60)
    time.sleep(1)
    assert cluster.running("train_policy") == [job]
    page = (ROOT / "docs/clusters.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^scancel --name=.*$", page, re.MULTILINE)
    cluster.run("sh", "-c", f"cd {project.directory} && {command}")
    assert ended(cluster, job) == "CANCELLED"
    assert_finished_with_one_more_call(project, long)
