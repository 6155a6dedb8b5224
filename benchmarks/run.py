"""The steps of ``make bench``: check that all estimate the same, time them, and write results/benchmarks/."""

import itertools
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numba
import pandas as pd

from benchmarks import agreement, figures, machine, measure, requests, resources, stages, tables
from benchmarks.contestants import Contestant
from benchmarks.contestants.compiled import Metalqr
from benchmarks.contestants.numpy_vectorised import VectorisedNumpy, Workers
from benchmarks.contestants.plain_loop import PlainLoop
from benchmarks.work import CASES, ESTIMATORS, SWEPT_CASE, Work, of_case
from metalqr.common import atomic
from metalqr.reporting.figures.style import save

RESULTS = Path(__file__).resolve().parents[1] / "results"
OUTPUT = RESULTS / "benchmarks"
#: Measurements of each contestant; many, because on a shared machine few moments are undisturbed.
ROUNDS = 10
SWEPT_DIMENSIONS = (1, 2, 4, 8, 16, 32)
SWEPT_PERTURBATIONS = (25, 50, 100, 200)
SWEPT_LENGTHS = (10, 50, 250)
#: Iterations and rollout length of the trainings whose memory is compared.
TRAININGS = ((1, 50), (10, 50), (1, 500))

_START = time.monotonic()


def main() -> None:
    """Run everything; a few minutes on two cores."""
    # JAX is installed for this alone: everything else here works without it.
    from benchmarks.contestants.jax_scan import JaxScan

    cores = machine.cores()
    with Workers(cores) as workers:
        contestants = _by_name(
            Metalqr(cores), Metalqr(cores, "float32"), VectorisedNumpy(workers), JaxScan(cores), PlainLoop()
        )
        core_rate = min(workers.map(machine.product_rate, [1.0] * cores))
        check(contestants)
        _time_cases(contestants, core_rate, cores)
        del contestants[PlainLoop.name]  # far slower, off the figure, and one_point alone
        _time_estimators(contestants)
        sweeps = _time_sweeps(contestants, core_rate, cores)
    scaling = _time_threads(cores)
    _write("sweeps.csv", _csv(sweeps))
    _write("scaling.csv", _csv(scaling))
    save(figures.kernel(sweeps, scaling), [OUTPUT / "kernel.png", OUTPUT / "kernel.pdf"])
    _measure_resources(cores)
    _write("stages.md", stages.summary(stages.read(RESULTS / "timings")))
    _write("demands.md", requests.summary(RESULTS / "timings", requests.default_plan()))
    _say(f"written: {OUTPUT}")


def _by_name(*contestants: Contestant) -> dict[str, Contestant]:
    return {each.name: each for each in contestants}


def check(contestants: Mapping[str, Contestant]) -> None:
    """Compare the means of the contestants in all cases, and end the program where one differs."""
    found = {}
    for name, (estimator, changes) in itertools.product(CASES, {"one_point": {}, **ESTIMATORS}.items()):
        _say(f"do all estimate the same mean? {name}, {estimator}")
        checked = agreement.checked_work(of_case(name)).at(**changes)
        able = {way: each for way, each in contestants.items() if not changes or way != PlainLoop.name}
        found[f"{checked.dimensions}, {estimator}"] = agreement.compare(checked, able, reference="metalqr")
    _write("agreement.md", tables.agreement(found))
    wrong = [f"{way} at {case}" for case, ways in found.items() for way, each in ways.items() if not each.agrees]
    if wrong:
        sys.exit(
            f"Error: the mean estimate of {', '.join(wrong)} is {agreement.BOUND} standard errors or more from "
            f"metalqr's; nothing was timed. See {OUTPUT / 'agreement.md'}."
        )


def _time_cases(contestants: Mapping[str, Contestant], core_rate: float, cores: int) -> None:
    rows = []
    for name in CASES:
        _say(f"timing {name}")
        timed = of_case(name)
        limit = machine.arithmetic_limit(timed, core_rate, cores)
        seconds = measure.iteration_seconds(timed, contestants, ROUNDS)
        rows += [
            {
                "case": name,
                "state_dim": timed.tasks.state_dim,
                "action_dim": timed.tasks.action_dim,
                "contestant": way,
                "seconds": value,
                "steps_per_second": timed.steps / value,
                "times_metalqr": value / seconds["metalqr"],
                "limit_share": limit / value,
            }
            for way, value in seconds.items()
        ]
    frame = pd.DataFrame(rows)
    part = contestants[PlainLoop.name].timed_part(timed.settings)
    explanation = (
        f"One iteration: Algorithm 2 with {timed.tasks.count} tasks, M = {timed.settings.perturbations}, "
        f"ℓ = {timed.settings.rollout_length}, so {timed.rollouts:,} rollouts of {timed.steps:,} steps, in double "
        f"precision unless stated otherwise. The plain loop is timed on {timed._replace(settings=part).rollouts:,} of "
        f"the rollouts and scaled up. The arithmetic limit takes {core_rate / 1e9:.1f} GFLOP/s a core, measured with "
        f"matrix products on all cores at once, and {machine.NORMAL_SECONDS * 1e9} ns a normal number."
    )
    _write("table.csv", _csv(frame))
    _write("table.md", tables.timings(frame, machine.description(), explanation))


def _time_estimators(contestants: Mapping[str, Contestant]) -> None:
    rows = []
    for name, (estimator, changes) in itertools.product(CASES, ESTIMATORS.items()):
        _say(f"timing {name}, {estimator}")
        timed = of_case(name).at(**changes)
        seconds = measure.iteration_seconds(timed, contestants, ROUNDS)
        rows += [
            {
                "case": name,
                "dimensions": timed.dimensions,
                "estimator": estimator,
                "contestant": way,
                "seconds": value,
                "steps_per_second": timed.steps / value,
                "times_metalqr": value / seconds["metalqr"],
            }
            for way, value in seconds.items()
        ]
    frame = pd.DataFrame(rows)
    _write("estimators.csv", _csv(frame))
    _write("estimators.md", tables.estimators(frame, machine.description()))


def _time_sweeps(contestants: Mapping[str, Contestant], core_rate: float, cores: int) -> pd.DataFrame:
    rows = []
    for axis, value, swept in _sweeps():
        _say(f"timing {axis.replace('_', ' ')} {value}")
        limit = machine.arithmetic_limit(swept, core_rate, cores)
        rows += [
            {
                "axis": axis,
                "value": value,
                "contestant": way,
                "nanoseconds": seconds / swept.steps * 1e9,
                "limit": limit / swept.steps * 1e9,
            }
            for way, seconds in measure.iteration_seconds(swept, contestants, ROUNDS).items()
        ]
    return pd.DataFrame(rows)


def _sweeps() -> list[tuple[str, int, Work]]:
    """Axis, value and work of every point; fewer perturbations where the dimension is swept, to keep it short."""
    few = {"perturbations": 50, "inner_perturbations": 50}
    base = of_case(SWEPT_CASE)
    return [
        *(("state_dim", d, of_case(SWEPT_CASE, d, (d + 1) // 2).at(**few)) for d in SWEPT_DIMENSIONS),
        *(("perturbations", m, base.at(perturbations=m, inner_perturbations=m)) for m in SWEPT_PERTURBATIONS),
        *(("rollout_length", length, base.at(rollout_length=length)) for length in SWEPT_LENGTHS),
    ]


def _time_threads(cores: int) -> pd.DataFrame:
    counts = sorted({cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)})
    rows = []
    for name in CASES:
        _say(f"timing {name} on {', '.join(map(str, counts))} threads")
        timed = of_case(name)
        seconds = measure.iteration_seconds(timed, {str(count): Metalqr(count) for count in counts}, ROUNDS)
        rows += [
            {
                "case": timed.dimensions,
                "threads": count,
                "seconds": seconds[str(count)],
                "speed_up": seconds["1"] / seconds[str(count)],
            }
            for count in counts
        ]
    return pd.DataFrame(rows)


def _measure_resources(cores: int) -> None:
    _say("start-up and memory")
    trained = of_case(CASES[-1])
    startup = resources.startup(trained)
    memory = [resources.memory(trained.at(iterations=n, rollout_length=length), cores) for n, length in TRAININGS]
    little = of_case(SWEPT_CASE)
    numba.set_num_threads(1)
    rate = measure.iteration_seconds(little, {"metalqr": Metalqr(1)}, ROUNDS)["metalqr"] / little.steps
    overheads = resources.overhead(little, rate)
    _write("resources.md", tables.resources(startup, memory, trained.dimensions, cores, overheads, little.dimensions))


def _write(name: str, text: str) -> None:
    atomic.write(OUTPUT / name, text.encode())


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def _say(text: str) -> None:
    print(f"[{time.monotonic() - _START:4.0f} s] {text}", file=sys.stderr, flush=True)
