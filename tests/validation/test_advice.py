"""Advised settings against fresh trainings: their predictions, tuned settings, and random ones of the same budget.

The seeds are in none of the experiments. Compared are medians over the seeds, which have to be within 25 % of the
predicted medians. There are five seeds, and more where the predicted band is so wide that five cannot tell 25 %. With
a standard deviation of the logarithm of 0.55, as predicted for `bus` at 1e7 steps with own noise, the median of five
seeds of an exact prediction is off by more in two of five draws. So as many are run as make 25 % two standard errors.

`results/validation/advice.md` has a row for each case, budget and kind of noise. The tuned settings are those that
`make paper` has found.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import norm

from metalqr import LQRTasks, MetaSettings, meta
from metalqr.advice.candidates import DECAYS, RATES, Budget, fit, ranges
from metalqr.advice.recommend import Advice, Search, keeps_constraints, recommend
from metalqr.advice.stability import MOST_UNSTABLE
from metalqr.config import Plan, read_configs
from metalqr.config.folders import relative_to
from metalqr.config.reading import lay_over
from metalqr.prediction import Prediction, predict
from metalqr.prediction.spread import Spread
from metalqr.systems.initial_gain import read_gain

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "results" / "validation" / "advice.md"
#: The first of the seeds, and the fewest.
FIRST_SEED, FEWEST = 2000, 5
#: A median may be off by this share of the predicted one.
NEAR = 0.25
PAPER, SYSTEMS = ("d1k1", "d2k2", "d20k10"), ("bus", "ship", "pendulum", "cart_pole")
#: The learning rates that the experiment `estimators` has chosen.
CHOSEN = ROOT / "results" / "tables" / "sample_efficiency.csv"
#: Random settings that are predicted, and those of the best of them that are run.
RANDOM, BEST = 200, 5
#: With an adaptation: its rate, the budget, and the standard errors of a median of measured runs that 25 % are. Three,
#: since the median of the first five seeds with own noise was 28 % off and that of sixty others 5 %.
ADAPTATION_RATE, ADAPTING_BUDGET, ADAPTING_ERRORS = 1e-5, 1e6, 3.0

pytestmark = pytest.mark.slow


@functools.cache
def problem(case: str) -> tuple[LQRTasks, np.ndarray]:
    """Tasks and initial gain of a case of the paper, or of a named system in the examples."""
    files = [ROOT / "config.yaml", *([ROOT / "examples" / "systems.yaml"] if case in SYSTEMS else [])]
    (config, *changes), folder = read_configs(files)
    for change in changes:
        lay_over(config, change)
    plan = Plan(config, folder)
    given, seed = plan.checked.cases[case], plan.checked.tasks_seed(case)
    with relative_to(plan.folder):
        tasks = given.family.tasks(given.state_dim, given.action_dim, seed)
        return tasks, read_gain(tasks, given.initial_gain, given.family, seed)


@functools.cache
def search(case: str, common_noise: bool) -> Search:
    """The advice on a case."""
    return Search(*problem(case), common_noise=common_noise)


@functools.cache
def advised(case: str, budget: float, common_noise: bool) -> Advice:
    """That within a budget."""
    return search(case, common_noise).within(budget)


def ratios_at(case: str, settings: MetaSettings, budget: float, count: int = FEWEST) -> np.ndarray:
    """Ratio of so many seeds at the last iteration within a budget; infinite if it diverged before."""
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        run = meta.train(*problem(case), settings, seed)
        last = int(np.searchsorted(run.rollout_steps, budget, side="right")) - 1
        found.append(run.ratio[last])
    return np.nan_to_num(np.array(found), nan=np.inf)


@functools.cache
def measured(case: str, budget: float, common_noise: bool) -> float:
    """Median final ratio of runs with the advised settings."""
    found = advised(case, budget, common_noise)
    return float(np.median(ratios_at(case, found.settings, budget, seeds_needed(found.prediction))))


def band(prediction: Prediction) -> str:
    """The predicted median with its 90 % band."""
    lower, median, upper = (float(getattr(prediction, name)[-1]) for name in ("lower", "median", "upper"))
    return f"{median:.4g} ({lower:.4g} to {upper:.4g})"


def seeds_needed(prediction: Prediction, errors: float = 2.0) -> int:
    """Number of seeds whose median has so many standard errors within the allowed share, from the predicted band.

    The logarithm is taken as normal: the median of n has the deviation of a single run times the root of pi / (2 n).
    """
    deviation = np.log(prediction.upper[-1] / prediction.lower[-1]) / (2.0 * norm.ppf(0.95))
    return max(FEWEST, math.ceil(0.5 * math.pi * (errors * deviation / math.log1p(NEAR)) ** 2))


def is_near(median: float, prediction: Prediction) -> bool:
    """Whether a median is within 25 % of the predicted one."""
    return bool(abs(median / prediction.median[-1] - 1.0) <= NEAR)


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    """Rows that are written at the end."""
    rows: list[str] = []
    yield rows
    names = ["case", "noise", "budget", "predicted", "measured", "best tuned"]
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|", *rows]
    TABLE.write_text("\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


def tuned(case: str, common_noise: bool, budget: float) -> float:
    """The best median of the tuned variants of `estimators` that need no more of the simulator, at a budget."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    variants = config["experiments"]["estimators"]["variants"]
    if not CHOSEN.exists():
        pytest.skip(f"{CHOSEN.relative_to(ROOT)} is missing; `make paper` writes it")
    table = pd.read_csv(CHOSEN)
    rows = table[(table["case"] == case) & table["tuning_steps"].notna()]
    found = []
    for name, rate in zip(rows["variant"], rows["learning_rate"], strict=True):
        own = {key: value for key, value in variants[name].items() if key != "tune"}
        if own.get("common_noise", False) and not common_noise:
            continue
        given = {**config["algorithm"], **config["cases"][case]["algorithm"], **own, "learning_rate": rate}
        if name == "mean_cost":
            given["adaptation_rate"] = 0.0
        found.append(float(np.median(ratios_at(case, MetaSettings(**given), budget))))
    return min(found)


@pytest.mark.parametrize("budget", [1e5, 1e7])
@pytest.mark.parametrize("common_noise", [False, True])
@pytest.mark.parametrize("case", PAPER)
def test_end_where_predicted_and_as_low_as_tuned(
    case: str, common_noise: bool, budget: float, table: list[str]
) -> None:
    """Near the predicted median, and at most 10 % above the best tuned variant at equal rollout steps."""
    found, best = advised(case, budget, common_noise), tuned(case, common_noise, budget)
    prediction, median = found.prediction, measured(case, budget, common_noise)
    noise = "common" if common_noise else "own"
    table.append(f"| {case} | {noise} | {budget:.0e} | {band(prediction)} | {median:.4g} | {best:.4g} |")
    assert is_near(median, prediction)
    assert median < 1.1 * best


@pytest.mark.parametrize("budget", [1e5, 1e7])
@pytest.mark.parametrize("common_noise", [False, True])
@pytest.mark.parametrize("case", SYSTEMS)
def test_named_systems_end_where_predicted(case: str, common_noise: bool, budget: float, table: list[str]) -> None:
    """Near the predicted median."""
    prediction = advised(case, budget, common_noise).prediction
    median = measured(case, budget, common_noise)
    noise = "common" if common_noise else "own"
    table.append(f"| {case} | {noise} | {budget:.0e} | {band(prediction)} | {median:.4g} | |")
    assert is_near(median, prediction)


@pytest.mark.parametrize("common_noise", [False, True])
def test_an_adaptation_ends_where_predicted(common_noise: bool, table: list[str]) -> None:
    """Near the predicted median, in the largest case; inner estimates are simulated there, so it takes minutes."""
    tasks, K0 = problem("d20k10")
    found = recommend(tasks, K0, ADAPTING_BUDGET, adaptation_rate=ADAPTATION_RATE, common_noise=common_noise)
    count = seeds_needed(found.prediction, ADAPTING_ERRORS)
    ends = ratios_at("d20k10", found.settings, ADAPTING_BUDGET, count)
    median = float(np.median(ends))
    noise = "common" if common_noise else "own"
    name = f"d20k10, adaptation rate {ADAPTATION_RATE:g}"
    print(f"{name}, {noise} noise: predicted {band(found.prediction)}, measured {np.sort(ends)}")
    table.append(f"| {name} | {noise} | {ADAPTING_BUDGET:.0e} | {band(found.prediction)} | {median:.4g} | |")
    assert is_near(median, found.prediction)


def random_settings(case: str, budget: float, count: int) -> Iterator[MetaSettings]:
    """Settings in the ranges of the search, with as many perturbations as the budget has."""
    rng = np.random.default_rng(5)
    tasks, _ = problem(case)
    tried = ranges(tasks)
    given = Budget(int(budget), tasks.count, 0.0, False)

    def between(values: Sequence[float]) -> float:
        return float(np.exp(rng.uniform(np.log(min(values)), np.log(max(values)))))

    while count:
        iterations = round(between(tried.iterations))
        settings = fit(
            MetaSettings(
                method="mean_cost",
                adaptation_rate=0.0,
                estimator=str(rng.choice(["two_point", "one_point_baseline"])),
                directions="orthogonal",
                learning_rate=between(RATES) * advised(case, budget, False).largest_step,
                learning_rate_decay=rng.choice([0.0, between(DECAYS[1:])]) * iterations,
                rollout_length=round(between(tried.lengths)),
                smoothing_radius=between(tried.radii),
                iterations=iterations,
                inner_perturbations=2,
            ),
            given,
        )
        if settings is not None:
            count -= 1
            yield settings


def starts_unstable(case: str, settings: MetaSettings) -> bool:
    """Whether perturbations of the initial gain break the constraint, as the prediction would say at length."""
    tasks, K0 = problem(case)
    found = Spread(tasks, settings, 0).chances(K0, np.zeros((K0.size, K0.size)))
    return found.unstable_share >= MOST_UNSTABLE


@pytest.mark.parametrize("case", PAPER)
def test_no_random_settings_are_better(case: str) -> None:
    """By more than 10 %, predicted; nor the best five of them when run."""
    budget = 1e5
    found = advised(case, budget, False)
    kept: list[tuple[float, MetaSettings, Prediction]] = []
    for settings in random_settings(case, budget, RANDOM):
        if starts_unstable(case, settings):
            continue
        prediction = predict(*problem(case), settings)
        if keeps_constraints(prediction):
            kept.append((float(prediction.ratio[-1]), settings, prediction))
    kept.sort(key=lambda each: each[0])
    print(f"{case}: {len(kept)} of {RANDOM} keep the constraints; advised {found.ratio:.4g}")
    assert len(kept) >= BEST
    medians = []
    for ratio, settings, _ in kept[:BEST]:
        medians.append(float(np.median(ratios_at(case, settings, budget))))
        print(f"  predicted {ratio:.4g}, measured {medians[-1]:.4g}")
    assert found.ratio < 1.1 * kept[0][0]
    assert measured(case, budget, False) < 1.1 * min(medians)
