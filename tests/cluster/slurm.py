"""A Slurm cluster of two nodes on this machine, in a temporary folder, for as long as a `with` block lasts."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

#: Debian's packages, and the programs that show whether they are there.
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
DAEMONS = ("slurmctld", "slurmd", "munged")
#: Commands of Slurm that Snakemake, its jobs and the tests call.
COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr", "sshare")

#: Who runs the daemons and the jobs; not from the environment, which may name another.
USER = pwd.getpwuid(os.getuid()).pw_name

CONFIGURATION = """\
ClusterName=throwaway
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# Without control groups, an accounting database, MPI and mail.
ProctrackType=proctrack/pgid
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MailProg=/bin/true
# A line for each finished job: how a test knows what went through the cluster.
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.log
# A job over its memory is ended, at the latest after a second.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=200
# Nodes with more cores than the machine has, so that jobs rarely wait for one another.
SlurmdParameters=config_overrides
ReturnToService=0
KillWait=5
SchedulerParameters=batch_sched_delay=0,sched_interval=2
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=8000 State=UNKNOWN
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=node[1-2] Default=YES MaxTime=24:00:00 DefaultTime=10 State=UP
"""


@dataclass(frozen=True)
class Job:
    """A job in the queue; `identity` is `12`, or `12_3` for a task of an array."""

    identity: str
    state: str
    rule: str
    node: str


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Return as soon as the condition holds, and fail after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} took more than {seconds:g} s"
        time.sleep(0.2)


class ThrowAwayCluster:
    """Starts munged, slurmctld and two slurmd as children, and ends these and nothing else.

    Attributes
    ----------
    environment : dict
        Environment variables with which Snakemake and the commands of Slurm find this cluster.
    """

    def __init__(self) -> None:
        # Short, because the path of a socket has at most 107 bytes; the sticky /tmp satisfies munge's checks.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.daemons: list[subprocess.Popen[bytes]] = []
        foreign = ("SLURM_", "SBATCH_", "PYTHONPATH")
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(foreign)},
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder / 'commands'}:{os.environ['PATH']}:/usr/sbin:/sbin",
        }

    def __enter__(self) -> "ThrowAwayCluster":
        try:
            self._write_files()
            self._start("munged", "--foreground", "--force", f"--key-file={self.folder}/munge.key",
                        f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munge.pid",
                        f"--seed-file={self.folder}/munge.seed", f"--log-file={self.folder}/munge.log",
                        "--num-threads=2")  # fmt: skip
            wait_for((self.folder / "munge.socket").exists, "starting munged", 20)
            self._start("slurmctld", "-D", "-i", "-f", self.environment["SLURM_CONF"])
            for node in ("node1", "node2"):
                self._start("slurmd", "-D", "-N", node, "-f", self.environment["SLURM_CONF"])
            wait_for(lambda: self._answers("sinfo", "-h", "-o", "%t %D") == "idle 2", "starting Slurm", 60)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel all jobs, wait until their processes are gone, end the daemons and delete the folder."""
        try:
            if len(self.daemons) == 4:
                for node in ("node1", "node2"):
                    self.set_node(node, "resume", check=False)
                self._answers("scancel", "--user", USER)
                wait_for(lambda: not self.queue(), "emptying the queue", 60)
                # slurmd leaves the processes that look after jobs alone when it ends; each has a socket here.
                wait_for(lambda: not list(self.folder.glob("spool-*/*.[0-9]*")), "ending the job steps", 60)
        finally:
            for daemon in reversed(self.daemons):
                daemon.terminate()
            for daemon in reversed(self.daemons):
                try:
                    daemon.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
            self._end_strays()
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's commands on this cluster and return what it printed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.strip()

    def queue(self) -> list[Job]:
        """All jobs that wait or run, a line for each task of an array."""
        lines = self.run("squeue", "--array", "--noheader", "--format=%i|%T|%k|%N").splitlines()
        fields = [line.split("|") for line in lines]
        return [Job(name, state, comment.partition("_wildcards_")[0].removeprefix("rule_"), node)
                for name, state, comment, node in fields]  # fmt: skip

    def running(self, rule: str) -> list[Job]:
        """The jobs of a rule that run now."""
        return [job for job in self.queue() if job.rule == rule and job.state == "RUNNING"]

    def finished(self) -> list[dict[str, str]]:
        """What Slurm wrote down about each job that has ended: JobId, JobState, NodeList and more."""
        path = self.folder / "finished.log"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [dict(word.partition("=")[::2] for word in line.split()) for line in lines]

    def set_node(self, node: str, state: str, check: bool = True) -> None:
        """Set a node `down`, as when it fails, or `resume` it."""
        self.run("scontrol", "update", f"NodeName={node}", f"State={state}", "Reason=test", check=check)

    def _write_files(self) -> None:
        # munged is only for one user here, yet its socket must be in a folder that all may enter.
        self.folder.chmod(0o711)
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        text = CONFIGURATION.format(folder=self.folder, ports=free_ports(3), user=USER)
        (self.folder / "slurm.conf").write_text(text, encoding="utf-8")
        # The job step of Snakemake's plugin drops SLURM_CONF from the environment, so the commands must bring it along.
        (self.folder / "commands").mkdir()
        for command in filter(shutil.which, COMMANDS):
            path = self.folder / "commands" / command
            path.write_text(
                f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which(command)} "$@"\n', encoding="utf-8"
            )
            path.chmod(0o755)

    def _start(self, name: str, *arguments: str) -> None:
        """Start a daemon in the foreground of its own session, so that Ctrl-C does not end it before its jobs."""
        # setpriv ends it with this process, should that be killed.
        command = ["setpriv", "--pdeathsig", "TERM", name, *arguments]
        with (self.folder / f"{name}-output.log").open("ab") as output:
            self.daemons.append(
                subprocess.Popen(command, env=self.environment, stdout=output, stderr=output, start_new_session=True)
            )

    def _end_strays(self) -> None:
        """End what is left of this cluster: jobs of a node that was set down, a Snakemake of a test that failed.

        They are known by the cluster's folder in the environment that they were started with.
        """
        for environment in Path("/proc").glob("[0-9]*/environ"):
            # A process may end meanwhile, and those of others cannot be read.
            with contextlib.suppress(OSError):
                if bytes(self.folder) in environment.read_bytes():
                    os.kill(int(environment.parent.name), signal.SIGKILL)

    def _answers(self, *command: str) -> str:
        return self.run(*command, check=False)
