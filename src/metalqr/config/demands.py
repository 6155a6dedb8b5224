"""The demands of a job: megabytes of memory and seconds, as upper bounds computed from the sizes in the config.

Each formula counts the arrays that are alive at the same time. Its constants were chosen so that it exceeds what jobs
of many sizes took, by not much more than two (results/benchmarks/demands.md compares). Python's own numbers: nothing is
allocated, however large the sizes.
"""

import math
from dataclasses import dataclass

_DOUBLE = 8
_MEGABYTE = 1e6

#: Python with the libraries, before anything is computed.
PROCESS_MEGABYTES = 250
#: The Snakemakes around a job: on a cluster the plugin for Slurm starts two in it, 145 MB each.
SNAKEMAKE_MEGABYTES = 350
#: Numba's compiler at work on rollouts that nobody has compiled yet.
COMPILER_MEGABYTES = 150
#: The libraries that draw and make tables, beside those of every process.
FIGURE_MEGABYTES = 250
#: Of a thread: its stack, its arrays of the rollouts of small tasks.
THREAD_MEGABYTES = 40
#: Doublings of a Lyapunov equation, of which every power is kept: 25 for a spectral radius of 1 - 1e-6.
_POWERS = 25

#: Start of the process, compiling, waiting for a slow file system.
START_SECONDS = 600
#: Slower processors, nodes shared with others.
SAFETY = 4


@dataclass(frozen=True)
class Sizes:
    """The sizes on which the demands of a case's jobs depend."""

    state_dim: int
    action_dim: int
    tasks: int
    policies: int = 0  # perturbed policies that an iteration holds in memory
    rollouts: int = 0  # of an iteration
    inner_perturbations: int = 1
    rollout_length: int = 1
    iterations: int = 0
    threads: int = 1
    runs: int = 1  # of an experiment, for this case
    gains: int = 1  # of an audit
    perturbations: int = 1  # of a gain of an audit
    random_tasks: int = 1  # of an audit: sets of tasks
    has_gain_per_task: bool = False
    is_exact: bool = False  # a run that evaluates the model
    inner_policies: int = 0  # perturbed policies of adaptations that are held beside

    @property
    def squares(self) -> int:
        """Numbers in a state matrix of every task."""
        return self.tasks * self.state_dim**2

    @property
    def matrices(self) -> int:
        """Numbers in the matrices of all tasks: A, Q, Psi, Sigma0, B, R."""
        d, k = self.state_dim, self.action_dim
        return self.tasks * (4 * d**2 + d * k + k**2)

    @property
    def gain(self) -> int:
        """Numbers in a gain."""
        return self.state_dim * self.action_dim

    @property
    def trained(self) -> int:
        """Numbers in the gains that a run trains at a time."""
        return self.gain * (self.tasks if self.has_gain_per_task else 1)

    @property
    def curves(self) -> int:
        """Numbers in what a run keeps of all its gains, apart from the gains themselves."""
        return (self.iterations + 1) * (self.tasks + 4)


def megabytes(numbers: float, process: float = PROCESS_MEGABYTES) -> float:
    """Memory of a process with so many doubles."""
    return process + numbers * _DOUBLE / _MEGABYTE


def task_memory(sizes: Sizes) -> float:
    """Of `generate_tasks`: every matrix as drawn, adjusted, stacked, checked and copied; one at work in LAPACK."""
    largest = (sizes.state_dim + sizes.action_dim) ** 2
    return megabytes(6 * sizes.matrices + 12 * largest)


def optima_memory(sizes: Sizes) -> float:
    """Of `solve_optima`: tasks and solutions, the Riccati pencil of one task, then the descent over all tasks.

    SciPy solves a generalised eigenproblem of the size 2 d + k; the descent keeps the powers of two Lyapunov solvers (a
    gain and the next) and a dozen matrices of every task.
    """
    pencil = 12 * (2 * sizes.state_dim + sizes.action_dim) ** 2
    descent = (2 * _POWERS + 12) * sizes.squares + 6 * sizes.tasks * sizes.gain
    return megabytes(3 * sizes.matrices + max(pencil, descent))


def meta_optimum_memory(sizes: Sizes) -> float:
    """Of `solve_meta_optimum`: as `solve_optima`, with the powers of more Lyapunov solvers.

    The descent evaluates the gain before and after its adaptation, and both once more for the next; another solver and
    two dozen matrices of every task belong to the derivative of the Hessian.
    """
    pencil = 12 * (2 * sizes.state_dim + sizes.action_dim) ** 2
    descent = (5 * _POWERS + 36) * sizes.squares + 24 * sizes.tasks * sizes.gain
    return megabytes(3 * sizes.matrices + max(pencil, descent))


def run_memory(sizes: Sizes) -> float:
    """Of `train_policy`: the process and its threads, tasks in two coordinates, the history, and one iteration.

    An iteration holds gains of every task of the batch and perturbation: directions, perturbed, adapted, estimates, and
    a copy in one piece; and the perturbations of adaptations, where no compiled rollouts draw them. It also decides
    which policies are stable, by their closed loops and powers of those. The exact cost of a gain keeps the powers of a
    Lyapunov solver. A thread works on vectors of 16 rollouts at most, each with gains, directions and sums of its own.
    The history, a gain, costs and four numbers for every iteration, is kept by the training and copied for the file,
    which the netCDF library compresses.
    """
    d, gain, threads = sizes.state_dim, sizes.gain, sizes.threads
    numbers = 8 * sizes.matrices + (_POWERS + 8) * sizes.squares
    numbers += sizes.policies * (5 * gain + 3 * d**2 + 2) + sizes.inner_policies * (4 * gain + 2)
    numbers += threads * 16 * (5 * gain + 4 * d)
    numbers += 6 * ((sizes.iterations + 1) * sizes.trained + sizes.curves)
    return megabytes(numbers, PROCESS_MEGABYTES + COMPILER_MEGABYTES + threads * THREAD_MEGABYTES)


def audit_memory(sizes: Sizes) -> float:
    """Of `audit_theory`: what a hundred places hold at a time, and all gains and perturbations that are drawn.

    A place is a gain with a perturbation; the random sets have ten gains and three tasks. Of every place and task up
    to 130 state matrices are kept: powers of Lyapunov solvers, and all quantities of the inequalities.
    """
    places = min(100, max(sizes.gains, 10) * sizes.perturbations)
    numbers = 8 * sizes.matrices + places * max(sizes.tasks, 3) * (130 * sizes.state_dim**2 + 20 * sizes.gain + 40)
    numbers += 4 * sizes.gains * sizes.perturbations * (sizes.gain + 4) + 400 * sizes.random_tasks
    return megabytes(numbers)


def estimation_error_memory(sizes: Sizes) -> float:
    """Of `measure_estimation_error`: an iteration of training, the estimates of a value, and the exact bias.

    Its iterations are the repeats. The bias is an average over many gains, of which so many are evaluated together that
    they hold ten million numbers, rollouts of the whole length included.
    """
    estimates = 4 * sizes.iterations * (sizes.tasks + 1) * sizes.gain
    gain = sizes.squares * (30 + 2 * sizes.rollout_length)
    bias = 1.2 * min(max(1e7, gain), 4 * sizes.gain * gain) if sizes.gain > 1 else 0
    return run_memory(sizes) + megabytes(estimates + bias, 0)


def exact_method_memory(sizes: Sizes) -> float:
    """Of `run_exact_methods`: the gain of every task at every iteration of four methods, and Hessians at the optima.

    A Hessian is a matrix of the size k d, which is diagonalised.
    """
    numbers = 8 * sizes.matrices + (2 * _POWERS + 60) * sizes.squares + 4 * sizes.tasks * sizes.gain**2
    return megabytes(numbers + 6 * (sizes.iterations + 1) * sizes.tasks * (sizes.gain + 6))


def stability_memory(sizes: Sizes) -> float:
    """Of `check_stability`: rollouts, a batch of gains of a run at a time, and what is found about all runs."""
    batch = max(sizes.squares, min(400_000, (sizes.iterations + 1) * sizes.squares))
    numbers = 8 * sizes.matrices + 30 * batch + 3 * sizes.runs * (sizes.iterations + 1) * (sizes.gain + 8 * sizes.tasks)
    return megabytes(numbers, PROCESS_MEGABYTES + COMPILER_MEGABYTES + sizes.threads * THREAD_MEGABYTES)


def dataset_memory(sizes: Sizes) -> float:
    """Of `collect_dataset`, for one case: all its runs, once more while written, and the file of one run."""
    of_all_runs = 2 * sizes.runs * (sizes.curves + sizes.trained + 8)
    return megabytes(of_all_runs + 3 * (sizes.iterations + 1) * sizes.trained, 0)


def gathering_memory(datasets: float) -> float:
    """Of `collect_dataset` with all its cases, from the megabytes of their parts."""
    return PROCESS_MEGABYTES + datasets


def drawing_memory(datasets: float) -> float:
    """Of a figure or a table, from the megabytes of its datasets."""
    return PROCESS_MEGABYTES + FIGURE_MEGABYTES + datasets


def task_seconds(sizes: Sizes) -> float:
    """Of `generate_tasks`: eigenvalues of every matrix."""
    return 1e-7 * sizes.tasks * (sizes.state_dim + sizes.action_dim) ** 3


def optima_seconds(sizes: Sizes) -> float:
    """Of `solve_optima`: some tens of Newton steps, each with many products of Lyapunov equations of every task."""
    return 1e-2 * sizes.tasks + 4e-6 * sizes.tasks * sizes.state_dim**3


def meta_optimum_seconds(sizes: Sizes) -> float:
    """Of `solve_meta_optimum`."""
    return 1e-2 * sizes.tasks + 4e-5 * sizes.tasks * sizes.state_dim**3


def _step_seconds(sizes: Sizes) -> float:
    """Of a step of a rollout on one core: d normal numbers and d (d + 2 k) multiplications.

    On a Xeon with AVX-512 that is 3 ns a normal number and 0.05 ns a multiplication: the paper's cases take 2.8, 5 and
    84 ns a step.
    """
    return 3e-9 * sizes.state_dim + 5e-11 * sizes.state_dim * (sizes.state_dim + 2 * sizes.action_dim)


def run_seconds(sizes: Sizes) -> float:
    """Of `train_policy`: the rollouts on all threads, then what one thread does alone.

    Before its first step a rollout has a perturbed gain to make. The cost of the next gain takes the eigenvalues of
    every task, and above d = 2 powers of the closed loops decide which perturbed policies are stable.
    """
    d, k, policies = sizes.state_dim, sizes.action_dim, sizes.policies
    step = _step_seconds(sizes)
    simulation = sizes.rollouts * (sizes.rollout_length * step + 3e-9 * d * k + 5e-11 * d**2 * k) / sizes.threads
    alone = 1e-3 + 4e-8 * sizes.tasks * d**3 + (1e-9 * policies * d**3 if d > 2 else 0)
    if sizes.is_exact:
        alone += 4 * _exact_seconds(sizes)
    return sizes.iterations * (simulation + alone)


def _exact_seconds(sizes: Sizes) -> float:
    """Of exact quantities of one gain, for every task: some Lyapunov equations."""
    return 3e-4 + 1.2e-7 * sizes.tasks * sizes.state_dim**3


def audit_seconds(sizes: Sizes) -> float:
    """Of `audit_theory`: both sides of every inequality for every place and task, in two forms."""
    own, random = sizes.gains * sizes.tasks, 10 * sizes.random_tasks * 3
    return 2 * sizes.perturbations * (own + random) * (4e-4 + 1e-6 * sizes.state_dim**3)


def bias_seconds(sizes: Sizes) -> float:
    """Of one bias in `measure_estimation_error`: exact gradients at pairs of gains in at least 400 directions."""
    directions = max(3 * sizes.gain, 400) * (2 if sizes.gain <= 64 else 1) if sizes.gain > 1 else 1
    return 2 * directions * sizes.tasks * (1.5e-4 + 1.2e-7 * sizes.state_dim**3)


def exact_method_seconds(sizes: Sizes) -> float:
    """Of `run_exact_methods`: four methods, some of whose steps are found by trying, and the Hessians at the optima."""
    return (12 * sizes.iterations + 2 * sizes.gain) * _exact_seconds(sizes)


def stability_seconds(sizes: Sizes) -> float:
    """Of `check_stability`: exact quantities of every gain of every run, and an estimate of Algorithm 1 for each."""
    rollouts = sizes.tasks * sizes.inner_perturbations * sizes.rollout_length * _step_seconds(sizes) / sizes.threads
    return sizes.runs * (0.1 + (sizes.iterations + 1) * (rollouts + _exact_seconds(sizes)))


def dataset_seconds(sizes: Sizes) -> float:
    """Of `collect_dataset`: to open a file takes longer than to read it."""
    return sizes.runs * (0.1 + 1e-7 * (sizes.iterations + 1) * (sizes.tasks + 4 + sizes.gain))


def minutes(seconds: float) -> int:
    """The run time to request, in whole minutes."""
    return math.ceil((START_SECONDS + SAFETY * seconds) / 60)


def priority(seconds: float) -> int:
    """The priority of a job: ten more for each factor of ten in its time."""
    return round(10 * math.log10(1 + 1000 * seconds))


#: Memory and time of the jobs of the stage `theory` that have sizes of their own.
THEORY = {
    "audit_theory": (audit_memory, audit_seconds),
    "run_exact_methods": (exact_method_memory, exact_method_seconds),
    "check_stability": (stability_memory, stability_seconds),
}
