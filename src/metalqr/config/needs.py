"""Memory and time of the jobs: upper bounds, computed from their sizes before any job starts.

A formula counts the doubles that are alive at the same time, and the seconds on the machine of docs/speed.md. It
exceeds the measurements of jobs of many sizes by little more than a factor of two (results/benchmarks/demands.md).
Nothing is allocated, however large the sizes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from metalqr.config.estimation import bias_gains
from metalqr.config.registries import estimators, methods
from metalqr.config.sizes import Sizes

# Megabytes.
#: Python with the libraries, before anything is computed.
PROCESS = 250
#: The libraries that draw and tabulate, in addition to those of every process.
DRAWING = 250
#: Snakemake itself: on a cluster, the plugin for Slurm starts two around every job.
SNAKEMAKE = 350
#: Numba's compiler, for rollouts that are not in the cache.
COMPILER = 150
#: A thread: its stack, and its arrays of the rollouts of small tasks.
THREAD = 40

#: Seconds to start a process, to compile, and to wait for a slow file system.
START_SECONDS = 600
#: For slower processors, and for nodes that are shared.
SAFETY = 4

#: Squarings in the solution of a Lyapunov equation, each of which is kept: 25 for a spectral radius of 1 - 1e-6.
_POWERS = 25
#: Entries of state matrices, and of perturbed gains, that an evaluation works on together.
EVALUATED_TOGETHER, PERTURBED_TOGETHER = 400_000, 4_000_000

# What a job is expected to take on that machine with two jobs at a time: from the timings of a `make paper`.
#: Seconds in which it has started and imported its libraries.
START = 1.5
#: The rest, as a share of what its formula gives.
TYPICAL = 0.75
#: Seconds of the rules without a formula.
REPORTING = {"draw": 6.0, "tabulate": 1.7, "section": 1.7, "page": 6.0}


class Need(NamedTuple):
    """Doubles in memory, and seconds."""

    numbers: float
    seconds: float


def _generate_tasks(s: Sizes) -> Need:
    """Every matrix as drawn, adjusted, stacked, checked and copied; eigenvalues of each; what finds the gain."""
    size = s.state_dim + s.action_dim
    drawn = Need(6 * s.matrices + 12 * size**2, 1e-7 * s.tasks * size**3)
    if s.finder is None:
        return drawn
    numbers, seconds = s.finder.need(s)
    return Need(drawn.numbers + numbers, drawn.seconds + seconds)


def _solve_optima(s: Sizes, solvers: int = 2, seconds: float = 4e-6) -> Need:
    """The Riccati pencil of a task; a descent with the powers of two Lyapunov solvers and a dozen matrices a task."""
    pencil = 12 * (2 * s.state_dim + s.action_dim) ** 2
    descent = solvers * (_POWERS + 7) * s.squares + 12 * solvers * s.tasks * s.gain
    return Need(3 * s.matrices + max(pencil, descent), 1e-2 * s.tasks + seconds * s.tasks * s.state_dim**3)


def _solve_meta_optimum(s: Sizes) -> Need:
    """As above, with each gain also after its adaptation, and a solver for the derivative of the Hessian."""
    return _solve_optima(s, 5, 4e-5)


def _train_policy(s: Sizes) -> Need:
    """Tasks in two coordinates, a Lyapunov solver, the perturbed policies of an iteration, and the history.

    A policy has a direction, the perturbed and the adapted gain, an estimate and a copy; whether it is stable is
    decided by powers of its closed loop. A thread works on 16 rollouts. The history is copied for the file.
    """
    d, gain, settings = s.state_dim, s.gain, s.settings
    method = methods.get(settings.method)
    work = method.work(s.tasks, settings)
    numbers = 8 * s.matrices + (_POWERS + 8) * s.squares + s.threads * 16 * (5 * gain + 4 * d)
    numbers += work.policies * (5 * gain + 3 * d**2 + 2) + work.inner * (4 * gain + 2)
    warm_up = min(settings.warm_up, settings.iterations)
    rollouts = warm_up * method.warm_up_work(s.tasks, settings).rollouts
    rollouts += (settings.iterations - warm_up) * work.rollouts
    each = (settings.rollout_length * s.step_seconds + (3e-9 + 5e-11 * d) * gain) / s.threads
    alone = 1e-3 + 4e-8 * s.tasks * d**3 + (1e-9 * work.policies * d**3 if d > 2 else 0)
    alone += 4 * s.exact_seconds if method.is_exact else 0
    if s.resamples:  # tasks of some iterations together, drawn and simulated as those of `generate_tasks`
        numbers += 20 * max(s.matrices, 2**19)
        alone += s.tasks * (1e-4 + 4e-7 * d**3)
    alone += s.tasks * s.measured_steps * s.step_seconds
    return Need(numbers + 6 * (s.gains_of_a_run + s.curves_of_a_run), rollouts * each + settings.iterations * alone)


def _tune(s: Sizes) -> Need:
    """Runs one after the other, of which the scores are kept."""
    run = _train_policy(s)
    return Need(run.numbers + 4 * s.runs, s.runs * run.seconds)


def _collect_dataset(s: Sizes) -> Need:
    """All runs of a case, once more while they are written, and the file of one."""
    numbers = 2 * s.runs * (s.curves_of_a_run + s.gains_in_dataset + 8)
    seconds = s.runs * (0.1 + 1e-7 * (s.curves_of_a_run + s.gains_of_a_run))
    return Need(numbers + 3 * s.gains_of_a_run, seconds)


def _audit_theory(s: Sizes) -> Need:
    """Up to 130 state matrices for each task and each of a hundred pairs of a gain and a perturbation at a time.

    The random sets have ten gains and three tasks.
    """
    audit = s.settings
    pairs = min(100, max(audit.gains, 10) * audit.perturbations)
    numbers = 8 * s.matrices + pairs * max(s.tasks, 3) * (130 * s.state_dim**2 + 20 * s.gain + 40)
    numbers += 4 * audit.gains * audit.perturbations * (s.gain + 4) + 400 * audit.random_tasks
    evaluations = 2 * audit.perturbations * (audit.gains * s.tasks + 30 * audit.random_tasks)
    return Need(numbers, evaluations * (4e-4 + 1e-6 * s.state_dim**3))


def _measure_estimation_error(s: Sizes) -> Need:
    """A training whose iterations are the repeats, with all estimates, and the exact bias: an average over directions.

    The gains of a bias that are evaluated together hold ten million numbers, or those of a single gain.
    """
    run = _train_policy(s)
    estimates = 4 * s.settings.iterations * (s.tasks + 1) * s.gain
    bias = 1.2 * max(1e7, s.squares * (30 + 2 * s.settings.rollout_length))
    gains = bias_gains(s.gain) if s.has_bias else 0
    return Need(run.numbers + estimates + bias, run.seconds + gains * s.tasks * (1.5e-4 + 1.2e-7 * s.state_dim**3))


def _run_exact_methods(s: Sizes) -> Need:
    """The gains of four methods, some of whose steps are found by trying, and the Hessians at the optima, k d x k d."""
    iterations = s.settings.iterations
    numbers = 8 * s.matrices + (2 * _POWERS + 60) * s.squares + 4 * s.tasks * s.gain**2
    numbers += 6 * (iterations + 1) * s.tasks * (s.gain + 6)
    return Need(numbers, (12 * iterations + 2 * s.gain) * s.exact_seconds)


def _check_stability(s: Sizes) -> Need:
    """A batch of gains of a run, and what is found of all runs; an estimate of Algorithm 1 for each gain."""
    gains = s.settings.iterations + 1
    batch = max(s.squares, min(400_000, gains * s.squares))
    numbers = 8 * s.matrices + 30 * batch + 3 * s.runs * gains * (s.gain + 8 * s.tasks)
    steps = s.tasks * s.settings.inner_perturbations * s.settings.rollout_length
    return Need(numbers, s.runs * (0.1 + gains * (steps * s.step_seconds / s.threads + s.exact_seconds)))


def _certify_runs(s: Sizes) -> Need:
    """All runs, and of one gain the matrices of seven trials of a Riccati equation for every task, before and after.

    At so many gains of one run a dozen balls of five equations; at some gains of each run the pencils of stability.
    """
    d, gains = s.state_dim, s.settings.iterations + 1
    certified = gains / max(1, s.steps)
    numbers = 8 * s.matrices + 400 * s.squares + s.runs * gains * (s.gain + s.tasks + 8) + 2 * s.tasks * s.gain**2
    ball = 5 * (3e-3 + 1e-5 * s.tasks * d**2)
    radii = s.runs * (certified + 0.1 * gains) * s.tasks * (2e-3 + 6e-7 * d**3)
    return Need(numbers + 4 * s.tasks * s.gain**2, 1.0 + (certified + 4) * 12 * ball + radii)


def _draw_unseen_tasks(s: Sizes) -> Need:
    """As the tasks of training, some of them drawn again; and those read."""
    drawn = _generate_tasks(s)
    return Need(drawn.numbers + 4 * s.matrices, 3 * drawn.seconds)


def _evaluate_trained(s: Sizes) -> Need:
    """One estimate: the gradients along all paths, of which some are held together, and the exact costs there."""
    estimates, paths = s.settings, s.runs
    rollouts = estimators.get(estimates.estimator).rollouts(estimates.perturbations)
    held = min(EVALUATED_TOGETHER, paths * s.squares)
    perturbed = max(s.tasks * rollouts * s.gain, min(PERTURBED_TOGETHER, paths * s.tasks * rollouts * s.gain))
    numbers = 12 * s.matrices + (_POWERS + 10) * max(held, s.squares) + 4 * perturbed
    numbers += paths * s.tasks * (6 * s.gain + 4 * (s.steps + 1))
    steps = paths * s.tasks * s.steps * (rollouts * estimates.rollout_length)
    return Need(numbers, steps * s.step_seconds / s.threads + 2 * paths * s.steps * s.exact_seconds)


def _evaluate_comparators(s: Sizes) -> Need:
    """The same of other gains, and the optima of identified models."""
    need = _evaluate_trained(s)
    return Need(need.numbers, need.seconds + s.steps * s.tasks * (1e-2 + 4e-6 * s.state_dim**3))


def _measure_meta_benefit(s: Sizes) -> Need:
    """The optima of L at all rates, one draw after the other; two closed loops in one for each pair of tasks.

    The gaps of all tasks are kept, and copied for the file.
    """
    meta, unseen = _solve_meta_optimum(s), _solve_meta_optimum(replace(s, tasks=s.settings.unseen_tasks))
    pairs = (_POWERS + 20) * s.tasks * (s.tasks - 1) / 2 * (2 * s.state_dim) ** 2
    runs = s.runs * s.settings.draws
    kept = 4 * runs * s.steps * (4 * (s.tasks + s.settings.unseen_tasks) + s.gain + 4)
    numbers = max(meta.numbers, unseen.numbers, pairs) + kept
    return Need(numbers, runs * (0.2 + s.steps * meta.seconds + unseen.seconds))


def _join_evaluation(s: Sizes) -> Need:
    """All parts, the whole, and once more while it is written."""
    return Need(9 * s.runs * s.tasks * (s.steps + 1), 0.5 + 1e-7 * s.runs * s.tasks * (s.steps + 1))


def _predict(s: Sizes) -> Need:
    """Gains of the mean path; at some points of it the square matrices of a step, one for each task or direction.

    The state of the fluctuations is that of a gain, its velocity and its average.
    """
    d, size, iterations = s.state_dim, s.gain, s.settings.iterations + 1
    points = min(40, iterations)
    numbers = iterations * (2 * size + 20) + (4 * points + 12 * s.tasks + 60) * size**2
    numbers += _POWERS * max(EVALUATED_TOGETHER, s.squares * size)
    of_point = 0.2 + s.tasks * 1e-7 * size * d**3 + 2e-8 * size**3
    return Need(numbers, points * of_point + iterations * (1e-4 + 1e-8 * size**3))


def _join_predictions(s: Sizes) -> Need:
    """The dataset of the experiment, and its ratios twice."""
    dataset = _collect_dataset(s)
    return Need(dataset.numbers + 3 * s.runs * (s.settings.iterations + 1), dataset.seconds)


_OF_EVALUATION = (_draw_unseen_tasks, _evaluate_trained, _evaluate_comparators, _join_evaluation)
_OF_THEORY = (_audit_theory, _measure_estimation_error, _run_exact_methods, _check_stability, _certify_runs)
#: The rule of the block `evaluation.benefit`.
META_BENEFIT = _measure_meta_benefit.__name__[1:]
_OF_OTHERS = (
    _generate_tasks,
    _solve_optima,
    _solve_meta_optimum,
    _tune,
    _train_policy,
    _collect_dataset,
    _predict,
    _join_predictions,
)
#: The formulas of the rules that compute.
RULES: dict[str, Callable[[Sizes], Need]] = {
    each.__name__[1:]: each for each in (*_OF_OTHERS, *_OF_THEORY, *_OF_EVALUATION, _measure_meta_benefit)
}
#: The rules that hold all cases of an experiment.
OF_EXPERIMENTS = ("collect_dataset", "join_predictions")
#: The rules of the stage `theory`.
THEORY = tuple(each.__name__[1:] for each in _OF_THEORY)
#: The rules of the stage `evaluation`.
EVALUATION = tuple(each.__name__[1:] for each in _OF_EVALUATION)
_SIMULATING = (
    "evaluate_trained",
    "evaluate_comparators",
    "tune",
    "train_policy",
    "predict",
    "measure_estimation_error",
    "check_stability",
)


def megabytes(rule: str, parts: Sequence[Sizes]) -> float:
    """Memory of a job. It works on one part after the other; a dataset holds all of them."""
    numbers = [RULES[rule](part).numbers for part in parts]
    finder = parts[0].finder
    simulates = rule in _SIMULATING or (rule == "generate_tasks" and finder is not None and finder.simulates)
    fixed = COMPILER + parts[0].threads * THREAD if simulates else 0
    return PROCESS + fixed + 8e-6 * (sum(numbers) if rule in OF_EXPERIMENTS else max(numbers))


def seconds(rule: str, parts: Sequence[Sizes]) -> float:
    """Time of a job, from its parts."""
    return sum(RULES[rule](part).seconds for part in parts)


def minutes(seconds: float) -> int:
    """The run time to request, in whole minutes."""
    return math.ceil((START_SECONDS + SAFETY * seconds) / 60)


def priority(seconds: float) -> int:
    """The priority of a job: ten more for each factor of ten in its time."""
    return round(10 * math.log10(1 + 1000 * seconds))


def largest_first(rule: str, parts: Sequence[Sizes]) -> list[Sizes]:
    """The parts of a job, those that need the most memory first."""
    return sorted(parts, key=lambda part: -RULES[rule](part).numbers)
