"""Memory and time of the jobs: upper bounds, computed from the sizes in the config before any job starts.

A formula counts the doubles that are alive at the same time, and the seconds on the machine of the README. It exceeds
the measurements of jobs of many sizes by little more than a factor of two (results/benchmarks/demands.md). Nothing is
allocated, however large the sizes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from metalqr.config.estimation import bias_gains, estimation_points
from metalqr.config.evaluation import tasks_of_file
from metalqr.config.experiments import Experiment
from metalqr.config.registries import estimators, methods

if TYPE_CHECKING:
    from metalqr.config.model import Config
    from metalqr.initial_gains.initial_gain import InitialGain

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
#: Minimum share of a job's memory that depends on a size for a message to name it.
_NOTABLE_SHARE = 0.1
_UNITS = ("MB", "GB", "TB", "PB", "EB")


@dataclass(frozen=True)
class Sizes:
    """The sizes behind a job, or behind a part of it: with the settings of a run, or of a block of ``theory``."""

    case: str
    state_dim: int
    action_dim: int
    tasks: int
    settings: Any = None
    threads: int = 1
    runs: int = 1  # that the job reads
    finder: "InitialGain | None" = None  # of the gain to start from
    has_bias: bool = True  # of smoothing, which an estimation error is compared with
    steps: int = 0  # of an adaptation
    resamples: bool = False  # its tasks, in every iteration

    def values(self) -> dict[str, int]:
        """All sizes by name."""
        own = {name: getattr(self, name) for name in ("state_dim", "action_dim", "tasks", "threads", "runs")}
        given = {name: getattr(self.settings, name) for name in self.settings.sizes()}
        return {name: value for name, value in {**given, **own}.items() if isinstance(value, int)}

    def with_one(self, name: str) -> "Sizes":
        """The same with one size set to 1, which shows how much memory depends on it."""
        changes: dict[str, Any] = {name: 1}
        if name in type(self).__dataclass_fields__:
            return replace(self, **changes)
        # Not checked again: 1 may be out of the range of the setting.
        return replace(self, settings=self.settings.model_copy(update=changes))

    @property
    def matrices(self) -> int:
        """Numbers in A, Q, Psi, Sigma0, B and R of all tasks."""
        d, k = self.state_dim, self.action_dim
        return self.tasks * (4 * d**2 + d * k + k**2)

    @property
    def squares(self) -> int:
        """Numbers in a d x d matrix of every task."""
        return self.tasks * self.state_dim**2

    @property
    def gain(self) -> int:
        """Numbers in a gain."""
        return self.state_dim * self.action_dim

    @property
    def gains_of_a_run(self) -> int:
        """Numbers in all gains of a run."""
        per_task = methods.get(self.settings.method).gain_per_task
        return (self.settings.iterations + 1) * self.gain * (self.tasks if per_task else 1)

    @property
    def gains_in_dataset(self) -> int:
        """Numbers in the gains of a run that a dataset keeps: the last, and the average where there is one."""
        return self.gains_of_a_run // (self.settings.iterations + 1) * (2 if self.settings.average_last else 1)

    @property
    def curves_of_a_run(self) -> int:
        """Numbers that a run keeps beside its gains."""
        return (self.settings.iterations + 1) * (self.tasks + 4)

    @cached_property
    def step_seconds(self) -> float:
        """Seconds of a step of a rollout on one core: d normal numbers and d (d + 2 k) multiplications."""
        return 3e-9 * self.state_dim + 5e-11 * self.state_dim * (self.state_dim + 2 * self.action_dim)

    @property
    def exact_seconds(self) -> float:
        """Seconds of exact quantities of one gain, for every task: some Lyapunov equations."""
        return 3e-4 + 1.2e-7 * self.tasks * self.state_dim**3


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
    numbers = 12 * s.matrices + (_POWERS + 20) * max(held, s.squares) + 5 * perturbed
    numbers += paths * s.tasks * (6 * s.gain + 4 * (s.steps + 1))
    steps = paths * s.tasks * s.steps * (rollouts * estimates.rollout_length)
    return Need(numbers, steps * s.step_seconds / s.threads + 2 * paths * s.steps * s.exact_seconds)


def _evaluate_comparators(s: Sizes) -> Need:
    """The same of other gains, and the optima of identified models."""
    need = _evaluate_trained(s)
    return Need(need.numbers, need.seconds + s.steps * s.tasks * (1e-2 + 4e-6 * s.state_dim**3))


def _join_evaluation(s: Sizes) -> Need:
    """All parts, the whole, and once more while it is written."""
    return Need(9 * s.runs * s.tasks * (s.steps + 1), 0.5 + 1e-7 * s.runs * s.tasks * (s.steps + 1))


_OF_EVALUATION = (_draw_unseen_tasks, _evaluate_trained, _evaluate_comparators, _join_evaluation)
_OF_THEORY = (_audit_theory, _measure_estimation_error, _run_exact_methods, _check_stability)
_OF_OTHERS = (_generate_tasks, _solve_optima, _solve_meta_optimum, _tune, _train_policy, _collect_dataset)
#: The formulas of the rules that compute.
RULES: dict[str, Callable[[Sizes], Need]] = {
    each.__name__[1:]: each for each in (*_OF_OTHERS, *_OF_THEORY, *_OF_EVALUATION)
}
#: The rules of the stage `theory`.
THEORY = tuple(each.__name__[1:] for each in _OF_THEORY)
#: The rules of the stage `evaluation`.
EVALUATION = tuple(each.__name__[1:] for each in _OF_EVALUATION)
_SIMULATING = (
    "evaluate_trained",
    "evaluate_comparators",
    "tune",
    "train_policy",
    "measure_estimation_error",
    "check_stability",
)


def megabytes(rule: str, parts: Sequence[Sizes]) -> float:
    """Memory of a job. It works on one part after the other; a dataset holds all of them."""
    numbers = [RULES[rule](part).numbers for part in parts]
    finder = parts[0].finder
    simulates = rule in _SIMULATING or (rule == "generate_tasks" and finder is not None and finder.simulates)
    fixed = COMPILER + parts[0].threads * THREAD if simulates else 0
    return PROCESS + fixed + 8e-6 * (sum(numbers) if rule == "collect_dataset" else max(numbers))


def seconds(rule: str, parts: Sequence[Sizes]) -> float:
    """Time of a job, from its parts."""
    return sum(RULES[rule](part).seconds for part in parts)


def minutes(seconds: float) -> int:
    """The run time to request, in whole minutes."""
    return math.ceil((START_SECONDS + SAFETY * seconds) / 60)


def priority(seconds: float) -> int:
    """The priority of a job: ten more for each factor of ten in its time."""
    return round(10 * math.log10(1 + 1000 * seconds))


def case_sizes(config: "Config", case: str) -> Sizes:
    """The sizes of a case's own tasks."""
    block = config.cases[case]
    return Sizes(
        case,
        block.state_dim,
        block.action_dim,
        block.family.count,
        threads=config.execution.threads,
        finder=block.gain_finder,
        resamples=block.family.resamples,
    )


def run_sizes(config: "Config", experiment: Experiment, case: str) -> list[Sizes]:
    """The sizes of a run at each point of an experiment; ``runs`` are those of all points and seeds."""
    shared = replace(case_sizes(config, case), runs=experiment.size * len(experiment.seeds))
    sets = [(point, experiment.families(case)[point.tasks]) for point in experiment.points(case)]
    return [
        replace(shared, tasks=family.count, resamples=family.resamples, settings=point.settings)
        for point, family in sets
    ]


def dataset_sizes(config: "Config", experiment: Experiment) -> list[Sizes]:
    """The parts of an experiment's dataset: for each case, the sizes of its largest run."""
    return [_largest_first("collect_dataset", run_sizes(config, experiment, case))[0] for case in experiment.bases]


def theory_sizes(config: "Config", case: str) -> dict[str, list[Sizes]]:
    """The parts of a case's jobs of the stage `theory`; errors are measured at several values."""
    sizes, theory, own = case_sizes(config, case), config.theory, config.own_settings[case]
    swept = estimation_points(theory.estimation_error, own, sizes.tasks, sizes.state_dim, sizes.action_dim)
    # Of Algorithms 1 and 2, whatever the method, and never without an adaptation.
    own = own.model_copy(update={"method": "zeroth_order_maml", "warm_up": 0})
    estimates = [
        replace(
            sizes,
            settings=point.settings.model_copy(
                update={"method": own.method, "warm_up": 0, "iterations": point.meta_repeats}
            ),
            # Along the perturbations there is one.
            has_bias=point.bias_steps > 0 and (axis != "perturbations" or point is measured[0]),
        )
        for axis, points in swept.items()
        for measured in [[point for point in points if point.is_measured]]
        for point in measured
    ]
    nothing = replace(sizes, settings=own.model_copy(update={"iterations": 0}), has_bias=False)
    return {
        "audit_theory": [replace(sizes, settings=theory.audit)],
        "measure_estimation_error": estimates or [nothing],
        "run_exact_methods": [replace(sizes, settings=theory.exact_methods)],
        "check_stability": [replace(sizes, settings=own, runs=len(config.seeds_without_axes(case)))],
    }


def evaluation_sizes(config: "Config", rule: str, case: str, counts: Sequence[int], configurations: int) -> list[Sizes]:
    """The parts of a job of the stage `evaluation`; gains are adapted with one estimate after the other.

    ``counts`` are those of :func:`unseen_counts`. The runs are the number of paths; of a joined file, those on a task
    that it holds.
    """
    block, own = config.evaluation, config.own_settings[case]
    seeds = max((len(config.resolved[name].seeds) for name in block.experiments), default=1)
    shared = replace(case_sizes(config, case), tasks=max(counts), settings=own, finder=None, steps=block.steps)
    if rule == "draw_unseen_tasks":
        return [shared]
    if rule == "join_evaluation":
        paths = 2 * configurations * (1 + len(block.comparators)) * seeds * block.repeats
        return [replace(shared, runs=paths * (1 + len(block.estimators)))]
    starts = seeds if rule == "evaluate_trained" else max(1, len(block.comparators))
    paths = starts * block.repeats * (len(block.learning_rates) + 2)
    exact = own.model_copy(update={"perturbations": 1, "rollout_length": 1})
    return [replace(shared, settings=each, runs=paths) for each in (exact, *config.estimates(case).values())]


def unseen_counts(config: "Config") -> list[int]:
    """The numbers of the unseen tasks, of either pool."""
    block = config.evaluation
    return [_count_of(config, wanted) for wanted in (block.validation_tasks, block.tasks)] if block.experiments else [0]


def _count_of(config: "Config", wanted: int | str) -> int:
    """A number of tasks, or that of a case or of a file."""
    if isinstance(wanted, int):
        return wanted
    family = config.cases[wanted].family if wanted in config.cases else tasks_of_file(wanted)
    return int(family.count)


def _largest_first(rule: str, parts: Sequence[Sizes]) -> list[Sizes]:
    return sorted(parts, key=lambda part: -RULES[rule](part).numbers)


def memory_problems(config: "Config") -> Iterator[str]:
    """A job of each case that needs more memory than ``execution.largest_memory_mb``, in words."""
    limit = config.execution.largest_memory_mb
    refused = set()
    for block, rule, parts in _jobs(config):
        needed, part = megabytes(rule, parts), parts[0]
        if needed <= limit or part.case in refused:
            continue
        refused.add(part.case)
        needs = f"the job {rule} of {part.case} would need about {readable(needed)} of memory"
        values = part.values()
        without = {name: megabytes(rule, [each.with_one(name) for each in parts]) for name in values}
        name = min(values, key=without.__getitem__)
        if without[name] > (1 - _NOTABLE_SHARE) * needed:
            yield f"execution.largest_memory_mb: {limit} is too little: {needs}; raise it"
            return
        case = f"cases.{part.case}"
        keys = {
            "state_dim": f"{case}.state_dim",
            "action_dim": f"{case}.action_dim",
            "tasks": f"{case}.tasks.{config.cases[part.case].family.count_setting}",
            "threads": "execution.threads",
            "runs": "the number of runs",
            "iterations": "repeats" if rule == "measure_estimation_error" else "iterations",
        }
        leave = f", leave {part.case} out of theory.cases" if block == "theory" else ""
        keys |= {"tasks": "evaluation.tasks", "runs": "evaluation.repeats"} if block == "evaluation" else {}
        lower = f"lower {keys.get(name, name)}, which is {values[name]}{leave}"
        yield f"{block}: {needs}, more than execution.largest_memory_mb: {limit}; {lower}, or raise the limit"


def _jobs(config: "Config") -> Iterator[tuple[str, str, list[Sizes]]]:
    """The block of the config, the rule and the parts of each job; of many for a case the largest."""
    for name, experiment in config.resolved.items():
        for case in experiment.bases:
            runs = run_sizes(config, experiment, case)
            for rule in ("train_policy", "solve_meta_optimum", "solve_optima", "generate_tasks"):
                yield f"experiments.{name}", rule, _largest_first(rule, runs)[:1]
        datasets = _largest_first("collect_dataset", dataset_sizes(config, experiment))
        yield f"experiments.{name}", "collect_dataset", datasets
    for case in {case: None for name in config.evaluation.experiments for case in config.resolved[name].bases}:
        for rule in EVALUATION:
            configurations = max(config.resolved[name].size for name in config.evaluation.experiments)
            parts = evaluation_sizes(config, rule, case, unseen_counts(config), configurations)
            yield "evaluation", rule, _largest_first(rule, parts)[:1]
    # Last, since it can be left out.
    for case in config.theory_cases:
        for rule, parts in theory_sizes(config, case).items():
            yield "theory", rule, _largest_first(rule, parts)


def readable(memory: float) -> str:
    """Megabytes in the unit that a reader would choose, with two digits."""
    power = min(len(_UNITS) - 1, math.floor(math.log10(memory) / 3))
    value = memory / 1000**power
    return f"{format(value, '.2g' if value < 100 else '.0f')} {_UNITS[power]}"
