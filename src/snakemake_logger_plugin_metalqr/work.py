"""How much of a workflow is done, and the time that is left, from estimates of its jobs and the time that they took."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class _Measured:
    """Core-seconds that finished jobs were estimated to take, and took."""

    estimated: float = 0.0
    taken: float = 0.0


@dataclass
class Work:
    r"""The jobs of a workflow, by their numbers.

    A job of the estimate :math:`e_j` on :math:`c_j` cores is expected to take :math:`f e_j`, where the factor

    .. math:: f = \frac{\sum t_j c_j + e_j c_j g}{\sum e_j c_j + e_j c_j}, \qquad g = \sum t_j c_j / \sum e_j c_j

    is that of the finished jobs of the same kind, with the job itself at the factor :math:`g` of all finished ones,
    which is 1 before the first. So the estimates need to be right in proportion alone.

    Attributes
    ----------
    planned : mapping
        Kind, estimate in seconds, and cores of each job that is to run.
    cores : int, optional
        Cores of the machine, on which the jobs run in parallel; None if they run elsewhere.
    """

    planned: Mapping[int, tuple[str, float, int]]
    cores: int | None = None
    #: When each running job started, in seconds since any moment.
    running: dict[int, float] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    _all: _Measured = field(default_factory=_Measured)
    _of_kind: dict[str, _Measured] = field(default_factory=dict)

    def started(self, job: int, now: float) -> None:
        """A job starts, perhaps once more."""
        self.running[job] = now
        self.failed.discard(job)

    def finished(self, job: int, now: float) -> float | None:
        """The seconds that a job has taken, whose end this is; None if nothing is known of its start."""
        self.done.add(job)
        start = self.running.pop(job, None)
        if start is None:
            return None
        if job in self.planned:
            kind, estimate, cores = self.planned[job]
            for each in (self._all, self._of_kind.setdefault(kind, _Measured())):
                each.estimated += cores * estimate
                each.taken += cores * (now - start)
        return now - start

    def failed_at(self, job: int, now: float) -> float | None:
        """The same of a job that fails."""
        start = self.running.pop(job, None)
        self.failed.add(job)
        return None if start is None else now - start

    def expected(self, job: int) -> float:
        """The seconds that a job is expected to take from its start."""
        kind, estimate, cores = self.planned[job]
        overall = self._all.taken / self._all.estimated if self._all.estimated else 1.0
        like = self._of_kind.get(kind, _Measured())
        own = cores * estimate
        return estimate * (like.taken + own * overall) / (like.estimated + own) if own else 0.0

    def left(self, now: float) -> float:
        """Seconds until the last job ends.

        The work that is left, shared by all cores, but not less than the longest job that is left. A running job that
        has taken longer than expected counts with a tenth of the time that it has taken.
        """
        work, longest = 0.0, 0.0
        for job in self.planned:
            if job in self.done or job in self.failed:
                continue
            seconds = self.expected(job)
            if job in self.running:
                passed = now - self.running[job]
                seconds = max(seconds - passed, 0.1 * passed)
            work += self.planned[job][2] * seconds
            longest = max(longest, seconds)
        return max(longest, work / (self.cores or 1))

    def share(self, now: float) -> float:
        """The part of the expected work that is done, from 0 to 1."""
        done = whole = 0.0
        for job, (_, _, cores) in self.planned.items():
            seconds = cores * self.expected(job)
            whole += seconds
            if job in self.done:
                done += seconds
            elif job in self.running:
                done += min(cores * (now - self.running[job]), 0.9 * seconds)
        return done / whole if whole else 1.0
