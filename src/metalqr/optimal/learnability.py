"""MAML-learnability of a set of tasks (Section 3.2, Definition 1), with a certificate where one exists."""

import enum
from dataclasses import dataclass

from numpy.typing import ArrayLike

from metalqr import lqr
from metalqr.common.validation import not_negative
from metalqr.lqr import LQRTasks, common_gain
from metalqr.optimal import (
    Attempt,
    NoCommonStabilisingGainError,
    NoMamlStabilisingGainError,
    NotStabilisableError,
    maml_stabilising_gain,
    scalar_intervals,
)
from metalqr.optimal.scalar import Intervals


class Verdict(enum.StrEnum):
    """MAML-learnability of a set of tasks at an adaptation rate."""

    LEARNABLE = "learnable"
    """A MAML-stabilising gain is known."""
    NOT_LEARNABLE = "not learnable"
    """There is none."""
    NOT_FOUND = "not found"
    """None was found, and none is known not to exist."""


@dataclass(frozen=True, eq=False)
class Learnability:
    """Verdict on the MAML-learnability of a set of tasks, with its reason.

    The certificate says why: the gain, which is known if the verdict is learnable, and its radii; or the tasks'
    intervals without a common point (d = k = 1), or the task that no gain stabilises; or what was tried.

    The attempts are what was tried in vain, where a gain that stabilises every task before the adaptation is known. The
    intervals, where they decided (d = k = 1), are every task's own MAML-stabilising gains, or its stabilising gains if
    already these have no point in common, as open intervals.
    """

    verdict: Verdict
    adaptation_rate: float
    gain: Attempt | None
    certificate: str
    attempts: tuple[Attempt, ...] = ()
    intervals: tuple[Intervals, ...] | None = None

    @property
    def summary(self) -> str:
        """Verdict and certificate in one line."""
        certificate = "; ".join(line.strip() for line in self.certificate.splitlines())
        return f"{self.verdict} at the adaptation rate {self.adaptation_rate:.6g}: {certificate}"


def assess(tasks: LQRTasks, adaptation_rate: float, K0: ArrayLike | None = None) -> Learnability:
    r"""Decide, as far as possible, if tasks are MAML-learnable at an adaptation rate.

    They are if a MAML-stabilising gain exists (Definition 1): one gain K with :math:`\rho(A_i - B_i K) < 1` and
    :math:`\rho(A_i - B_i (K - \eta \nabla J_i(K))) < 1` for every task. It is
    searched as :func:`metalqr.optimal.maml_stabilising_gain` describes. For d = k = 1 the answer is certain either way;
    otherwise "not learnable" means that some single task has no stabilising gain, up to the rounding of its matrices,
    and no gain may be found although there is one.

    ``K0``, shape (k, d), is tried first.

    Raises
    ------
    RiccatiError
        If the Riccati equation of a task is too badly scaled to be solved.

    Examples
    --------
    The pair of Section 3.2 of the paper, and one of its tasks alone:

    >>> ones = [[[1.0]], [[1.0]]]
    >>> tasks = LQRTasks(A=[[[3.0]], [[1.0]]], B=[[[4.0]], [[-1.0]]], Q=ones, R=ones, Psi=ones)
    >>> print(assess(tasks, 1.0e-3).certificate[:94])
    no gain stabilises all tasks: task 0 needs K in (0.5, 1), task 1 needs K in (-2, 0), and these
    >>> print(assess(tasks.subset([1]), 1.0e-3).verdict)
    learnable
    """
    rate = not_negative("adaptation_rate", adaptation_rate)
    try:
        found = maml_stabilising_gain(tasks, rate, K0, name="K0")
    except NotStabilisableError as error:
        return Learnability(Verdict.NOT_LEARNABLE, rate, None, str(error))
    except NoCommonStabilisingGainError as error:
        if tasks.state_dim > 1 or tasks.action_dim > 1:
            return Learnability(Verdict.NOT_FOUND, rate, None, str(error))
        intervals = tuple(((low, high),) for low, high in scalar_intervals(tasks).tolist())
        return Learnability(Verdict.NOT_LEARNABLE, rate, None, str(error), intervals=intervals)
    except NoMamlStabilisingGainError as error:
        verdict = Verdict.NOT_LEARNABLE if error.proven else Verdict.NOT_FOUND
        return Learnability(verdict, rate, None, str(error), error.attempts, error.intervals)
    certificate = (
        f"{found.name} is MAML-stabilising, its largest spectral radius is {found.radius.max():.6g} before and "
        f"{found.adapted_radius.max():.6g} after the adaptation"
    )
    return Learnability(Verdict.LEARNABLE, rate, found, certificate)


def largest_adaptation_rate(tasks: LQRTasks, K0: ArrayLike) -> float:
    r"""Supremum of the adaptation rates up to which K0 stays MAML-stabilising.

    That is the largest :math:`\bar\eta` such that :math:`K_0 - \eta \nabla J_i(K_0)` stabilises every task for all
    :math:`0 \le \eta < \bar\eta`. The ray of each task is followed in steps that cannot cross the boundary of
    stability, see :func:`metalqr.lqr.largest_stable_step`.

    K0, shape (k, d), must stabilise every task. The result is ``inf`` where no adaptation rate is too large, as at the
    optimum of a single task.

    Examples
    --------
    With a = b = q = r = ψ = 1 and :math:`K_0 = 1/2` the closed loop is c = 1/2, :math:`J'(K_0) = -8/9`, and
    c + (-8/9) η = -1 at η = 27/16:

    >>> one = [[[1.0]]]
    >>> round(largest_adaptation_rate(LQRTasks(A=one, B=one, Q=one, R=one, Psi=one), [[0.5]]), 9)
    1.6875
    """
    gain = common_gain(tasks, K0, "K0")
    return float(lqr.largest_stable_step(tasks, gain, -lqr.gradient(tasks, gain)).min())
