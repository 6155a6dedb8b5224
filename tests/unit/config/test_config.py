"""The config and the plan of runs that follows from it, and the sources that a script depends on."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from configs import DEFAULT, overlaid, planned, problems, with_value
from hypothesis import given
from hypothesis import strategies as st
from pages import texts
from places import ROOT

from metalqr.config import ConfigError, Plan, check_config, schema
from metalqr.config.algorithm import RESERVED_NAMES, MetaSettings, all_declarations
from metalqr.config.identity import configuration_digest, difference
from metalqr.config.problems import SettingsError
from pipeline import Sources

STEPS: dict[str, Any] = {"learning_rate": 1e-3, "adaptation_rate": 0.0}
ONE: dict[str, Any] = {"cases": ["d1k1"], "seeds": [0]}


def mine(**block: Any) -> dict[str, Any]:
    """An overlay with an experiment of one case and one seed, unless the block has others."""
    return {"experiments": {"mine": {**ONE, **block}}}


def runs(plan: Plan, name: str) -> list[SimpleNamespace]:
    """The wildcards of the runs of an experiment."""
    parts = [path.removesuffix(".nc").split("/")[2:] for path in plan.run_files(name)]
    return [SimpleNamespace(case=case, configuration=digest, seed=seed) for case, digest, seed in parts]


# --- the config ------------------------------------------------------------------------------------------------------


def test_default_config_is_the_papers() -> None:
    plan = Plan(DEFAULT)
    rates = {"d1k1": (1e-3, 1e-5), "d2k2": (1e-3, 1e-5), "d20k10": (1e-5, 1e-7)}
    assert [run.case for run in runs(plan, "figure1")] == [case for case in rates for _ in range(5)]
    for run in runs(plan, "figure1"):
        learning_rate, adaptation_rate = rates[run.case]
        assert plan.settings(run) == {"learning_rate": learning_rate, "adaptation_rate": adaptation_rate}
        block = DEFAULT["cases"][run.case]
        assert f"d{block['state_dim']}k{block['action_dim']}" == run.case
        assert block["tasks"]["noise_trace"] == 1.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("annealed", "annealed"),
        ({"annealed": {}}, "annealed"),
        ({"annealed": {"rounds": 50}}, "annealed"),  # the default
        ({"annealed": {"rounds": 100, "gap": 0.05}}, {"annealed": {"rounds": 100}}),
        ({"stabilising": {}}, "stabilising"),
        ({"detuned": 40}, {"detuned": 40}),
        ("zero", "zero"),
        ([[0.1]], [[0.1]]),
    ],
)
def test_an_initial_gain_is_known_by_what_is_not_at_its_default(given: Any, expected: Any) -> None:
    """The tasks are made again only if something changes that counts."""
    tasks = {"family": "bus"} if "detuned" in given else DEFAULT["cases"]["d1k1"]["tasks"]
    case = {"tasks": tasks, "initial_gain": given, "algorithm": STEPS}
    case |= {} if "detuned" in given else {"state_dim": 1, "action_dim": 1}
    plan = Plan(overlaid({"cases": {"mine": case}, "experiments": {"figure1": {"cases": ["mine"]}}}))
    block = plan.task_block(SimpleNamespace(case="mine"))
    assert block["initial_gain"] == expected
    assert plan.config["cases"]["mine"]["initial_gain"] == expected


def test_every_sweep_of_the_default_config_shares_the_runs_of_figure1() -> None:
    """Of its first three seeds."""
    plan = Plan(DEFAULT)
    seeds = tuple(f"seed-{seed}.nc" for seed in range(3))
    shared = {path for path in plan.run_files("figure1") if "/d2k2/" in path and path.endswith(seeds)}
    assert len(shared) == 3
    for name in plan.figures.by_name["hyperparameters"].names:
        assert shared <= set(plan.run_files(name)), name
    assert len(plan.all_run_files()) == len(set(plan.all_run_files()))


def test_generated_files_are_up_to_date() -> None:
    assert schema.SCHEMA_FILE.read_text(encoding="utf-8") == schema.schema_text(), "run `make schema`"
    page = schema.DOCS_PAGE.read_text(encoding="utf-8")
    assert page == schema.with_tables(page, schema.tables()), "run `make schema`"


def test_schema_accepts_the_default_config_and_refuses_unknown_keys() -> None:
    jsonschema = pytest.importorskip("jsonschema")  # comes with Snakemake
    validator = jsonschema.Draft202012Validator(json.loads(schema.schema_text()))
    assert list(validator.iter_errors(DEFAULT)) == []
    for key in ("algorithm.smoothing_radus", "cases.d1k1.tasks.radius", "execution.cores", "theory.audit.gain"):
        assert list(validator.iter_errors(with_value(key, 1))), key


def test_what_has_a_default_may_be_left_out() -> None:
    """And config.yaml writes out what the defaults are, so that the same runs come of it."""
    plan = Plan(DEFAULT)
    left_out = Plan({**{key: DEFAULT[key] for key in ("seed", "cases", "experiments")}, "algorithm": {}})
    assert left_out.all_run_files() == plan.all_run_files()
    assert left_out.config == plan.config


GIVEN = {"family": "given", "A": [[[3.0]], [[1.0]]], "B": [[[4.0]], [[-1.0]]]}
GIVEN |= {name: [[[1.0]], [[1.0]]] for name in ("Q", "R", "Psi")}
#: The radius is impossible at the second precision alone.
HALF_PRECISION = {"precision": ["float64", "float32"], "smoothing_radius": [1e4]}
NO_NAME = ": not a valid name; use at most"


# docs/bad-input.md has the others.
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("algorithm.smoothing_radius", float("nan"), ": nan is not a finite number"),
        ("algorithm.smoothing_radius", True, ": True is not a finite number"),
        ("algorithm.smoothing_radius", 1e101, ": 1e+101 is not <= 1e+100"),
        ("algorithm.adaptation_rate", -1e-9, ": -1e-09 is not >= 0"),
        ("algorithm.tolerance", "small", ": 'small' is text, not a number"),
        ("algorithm.tolerance", "9" * 400, ": '99999"),
        ("algorithm.tolerance", 10**400, f": 1{59 * '0'}... exceeds the range of double precision"),
        ("algorithm.perturbations", "100", ": '100' is text, not a whole number; write 100"),
        ("algorithm.perturbations", 2**31, ": 2147483648 is not <= 2147483647"),
        ("algorithm.rollout_length", True, ": True is not a whole number"),
        ("algorithm.task_batch", "some", ": 'some' is not allowed; use one of: all"),
        ("algorithm.task_batch", 0, ": 0 is not >= 1"),
        ("algorithm.precision", "single", ": 'single' is not allowed; use one of: float64, float32"),
        ("algorithm.method", "reptil", ": 'reptil' is not allowed; "),
        ("algorithm.estimator", "one_pont", ": 'one_pont' is not allowed; did you mean one_point?"),
        ("seeds", [1], ": unknown key; did you mean seed?"),
        ("seed", 10**400, f": 1{59 * '0'}... is not <= 4294967295"),
        ("plugins", "mine.py", ": 'mine.py' is not a list"),
        ("plugins", ["missing.py"], ": missing.py: it cannot be read (No such file or directory); looked for /"),
        ("cases.d1k1.tasks", [1], ": [1] is not a mapping (key: value)"),
        ("cases.d1k1.tasks.family", None, ": missing; add it"),
        ("cases.d1k1.tasks.family", "same", ": 'same' is not allowed; use one of: "),
        ("cases.d1k1.tasks.spectral_radius", None, ": missing; add it"),
        ("cases.d1k1.tasks.A", [], ": unknown key; use one of: family, count, spectral_radius"),
        ("cases.d1k1.tasks", {**GIVEN, "B": [[[1.0]]]}, ".B: 1 tasks, but A has 2; give one entry for each task"),
        ("cases.d1k1.tasks", {**GIVEN, "A": [[[1.0]], [[1.0, 2.0]]]}, ".A[1]: the matrix is 1 x 2, not state_dim x "),
        ("cases.d1k1.tasks", {**GIVEN, "p": [1.0]}, ".p: 1 tasks, but A has 2"),
        ("cases.d1k1.tasks", {**GIVEN, "Q": [[["1e-3"]], [[1]]]}, ".Q[0][0][0]: '1e-3' is text, not a number; write 0"),
        ("cases.d1k1.tasks", {**GIVEN, "R": None}, ".R: missing; add it"),
        (
            "cases.d1k1.tasks",
            {**GIVEN, "count": 3},
            ".count: unknown key; use one of: family, A, B, Q",
        ),
        ("cases.d1k1.initial_gain", "one", ": 'one' is not allowed; use one of: zero"),
        ("cases", {"d1k1\n": {}}, f".'d1k1\\n'{NO_NAME}"),
        ("execution.cores", 2, ": unknown key; use one of: threads"),
        ("experiments.figure1", {}, ".cases: missing; add it"),
        ("experiments.figure1.seeds", [1, 2, 1], ": 1 is listed twice"),
        ("experiments.figure1.seeds", 3, ": 3 is not a list"),
        ("experiments.figure1.sweep.iterations", [], ": empty"),
        ("experiments.figure1.sweep.iterations", 1, ": 1 is neither a list nor text"),
        ("experiments.figure1.sweep", {"tasks.radius": []}, ".'tasks.radius': unknown key; did you mean tasks.spectra"),
        ("experiments.figure1.sweep", {"tasks.count": [2, 0]}, ".'tasks.count'[1]: 0 is not >= 1"),
        ("experiments.figure1.sweep", {"tasks.p": [[0.5]]}, ".'tasks.p': no setting of the family similar of d1k1; "),
        ("experiments.figure1", {**ONE, "sweep": {"tasks.uniform_low": [2]}}, ": uniform_low 2.0 is not < uniform_hi"),
        ("experiments.figure1.variants", {"mine": {"smoothing": 1}}, ".mine.smoothing: unknown key; did you mean smoo"),
        ("experiments.perturbations.variants", {"mine": {"perturbations": 1}}, ".mine.perturbations: the sweep of th"),
        ("experiments.figure1.variants", {"a b": {}}, f".'a b'{NO_NAME}"),
        (
            "experiments.figure1",
            {**ONE, "sweep": HALF_PRECISION},
            ": smoothing_radius 10000.0 is not <= 1000 in single",
        ),
        ("theory.cases", 1, ": 1 is neither a list nor text"),
        ("theory.audit", 3, ": 3 is not a mapping (key: value)"),
        ("theory.audit.sublevel_factor", float("inf"), ": inf is not a finite number"),
        ("theory.requirements.failure_probability", 1, ": 1 is not < 1"),
        ("theory.estimation_error.repeats", 1, ": 1 is not >= 2"),
        ("theory.estimation_error.smoothing_radius", [1, 1.0], ": 1.0 is listed twice"),
    ],
)
def test_each_problem_is_one_line_that_begins_with_its_key(key: str, value: Any, message: str) -> None:
    found = problems(with_value(key, value))
    assert found[0].startswith(key + message)
    assert all("\n" not in line and len(line) < 500 for line in found)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"smoothing_radius": [0.5], "perturbations": "smoothing_radius"}, "0.5 is not a whole number"),
        ({"method": ["reptile"], "estimator": "method"}, "'reptile' is not allowed; use one of: one_p"),
    ],
)
def test_values_of_another_setting_must_be_possible_too(sweep: dict[str, Any], message: str) -> None:
    axis, linked = sweep
    (found,) = problems(with_value("experiments.figure1.sweep", sweep))
    assert found.startswith(f"experiments.figure1.sweep.{linked} (linked to {axis}): {message}")


def test_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        planned("{seed: -1, execution: {threads: two}}")
    assert str(caught.value) == (
        "The config has 2 problems:\n  execution.threads: 'two' is text, not a whole number\n  seed: -1 is not >= 0"
    )


D1K1 = SimpleNamespace(case="d1k1")


def test_given_tasks_are_possible() -> None:
    plan = Plan(with_value("cases.d1k1.tasks", GIVEN))
    block = plan.task_block(D1K1)
    assert block["tasks"] == GIVEN
    assert "seed" not in block, "tasks that are written down must not depend on the seed"
    assert plan.task_plugins(D1K1) == [ROOT / "src/metalqr/systems/given.py"]


def respelled(value: Any) -> Any:
    """The same in a config: keys in another order, and whole numbers without their point."""
    if isinstance(value, dict):
        return {key: respelled(entry) for key, entry in reversed(value.items())}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def test_spelling_and_order_of_a_block_change_nothing() -> None:
    """Snakemake compares params, captions among them, by their text."""
    config = overlaid("{algorithm: {smoothing_radius: 1.0, learning_rate: 2.0}, theory: {requirements: {target: 1.0}}}")
    other = {key: respelled(block) if key in ("algorithm", "theory") else block for key, block in config.items()}
    other["cases"] = {case: respelled(block) for case, block in config["cases"].items()}
    one, another = Plan(config), Plan(other)
    assert repr(another.task_block(D1K1)) == repr(one.task_block(D1K1))
    assert repr(another.checked.theory) == repr(one.checked.theory)
    assert another.figures.by_name == one.figures.by_name
    assert another.tables.by_name == one.tables.by_name


def test_a_case_may_have_a_seed_of_its_own() -> None:
    """Without one it has the config's, and its identity says nothing new."""
    assert "seed" not in Plan(DEFAULT).config["cases"]["d1k1"]
    plan = planned("cases: {d2k2: {seed: 7}}")
    blocks = {case: plan.task_block(SimpleNamespace(case=case)) for case in ("d1k1", "d2k2")}
    assert {case: block.pop("seed") for case, block in blocks.items()} == {"d1k1": DEFAULT["seed"], "d2k2": 7}
    default = planned().task_block(SimpleNamespace(case="d2k2"))
    assert blocks["d2k2"] == {name: value for name, value in default.items() if name != "seed"}
    assert problems(overlaid("cases: {d2k2: {seed: -1}}")) == ("cases.d2k2.seed: -1 is not >= 0",)


@pytest.mark.slow
def test_cases_of_one_draw_are_named() -> None:
    again = {"cases": {"again": DEFAULT["cases"]["d1k1"]}}
    assert list(check_config(overlaid(again)).warnings) == [
        "cases.again has the same tasks as cases.d1k1, because their family, its settings, the dimensions and the seed "
        "are the same; give one a seed of its own, as in cases.again.seed: 1"
    ]
    assert not list(check_config(DEFAULT).warnings), "and nothing is over a budget"
    for change in ("seed: 1", "tasks: {count: 4}", "action_dim: 2"):
        assert not list(check_config(overlaid(again, f"cases: {{again: {{{change}}}}}")).warnings)


def test_values_over_a_budget_are_named() -> None:
    config = overlaid("theory: {cases: [d20k10], estimation_error: {rollout_steps_budget: 1.0e+9}}")
    assert list(check_config(config).warnings) == [
        "theory.estimation_error leaves out of d20k10 what is over rollout_steps_budget: 1e+09: "
        "smoothing_radius 0.025, smoothing_radius 0.1, smoothing_radius 0.2"
    ]


def test_null_removes_what_an_overlay_does_not_want() -> None:
    plan = planned(
        "{experiments: {perturbations: null, learning_rate: null, smoothing_radius: {sweep: {smoothing_radius: null}}}}"
    )
    others = {"rollout_length", "adaptation_rate", "estimators", "unseen_tasks"}
    assert set(plan.experiments) == {"figure1", "smoothing_radius", *others}
    assert {"figure1", "smoothing_radius"} <= plan.figures.by_name.keys(), "without a sweep, it is a figure of curves"


def test_only_the_experiments_that_are_named_are_made() -> None:
    """Others may then ask for what does not exist, such as a case that is removed."""
    plan = planned("{only_experiments: [estimators, figure1], cases: {bus_speed: null}}")
    assert list(plan.experiments) == ["figure1", "estimators"]
    assert planned("{only_experiments: all}").experiments.keys() == DEFAULT["experiments"].keys()


# --- the plan --------------------------------------------------------------------------------------------------------


def test_digest_depends_on_what_is_not_at_its_default_only() -> None:
    """A changed digest reruns every run: only do that on purpose."""
    rates: dict[str, Any] = {"learning_rate": 1e-3, "adaptation_rate": 1e-5}
    defaults: dict[str, Any] = {"perturbations": 100, "task_batch": "all"}
    for settings in (MetaSettings(**rates), MetaSettings(**dict(reversed(rates.items())), **defaults)):
        assert configuration_digest(settings) == "96440e351fe1"
    whole: dict[str, Any] = {**STEPS, "adaptation_rate": 0}
    assert configuration_digest(MetaSettings(**whole)) == configuration_digest(MetaSettings(**STEPS))


@pytest.mark.slow
@given(
    name=st.sampled_from(["learning_rate", "adaptation_rate", "perturbations"]),
    value=st.integers(min_value=1, max_value=2**31 - 1),
)
def test_any_other_value_is_another_digest(name: str, value: int) -> None:
    settings = MetaSettings(**STEPS)
    other = settings.replace(**{name: value})
    assert (configuration_digest(other) == configuration_digest(settings)) == (value == getattr(settings, name))


def test_a_run_made_with_another_default_is_told_from_one_of_the_same_digest() -> None:
    wanted = MetaSettings(**STEPS).as_dict()
    assert difference(wanted, wanted) is None
    assert difference({**wanted, "rollout_length": 40}, wanted) == (
        "it was run with rollout_length: 40, but rollout_length: 50 is wanted, since the default has changed"
    )
    older = {name: value for name, value in wanted.items() if name != "precision"}
    assert difference(older, wanted) is None, "a setting younger than the file"


TWO: dict[str, list[Any]] = {
    "precision": ["float64", "float32"],
    "estimator": ["one_point", "two_point"],
    "inner_estimator": ["one_point", "two_point"],
    "directions": ["sphere", "orthogonal"],
    "update_rule": ["gradient", "adam"],
    "average_last": [0.25, 1.0],
}


@pytest.mark.parametrize("name", [name for name in MetaSettings.names() if name not in ("method", "common_noise")])
def test_every_setting_can_be_swept(name: str) -> None:
    first, second = TWO.get(name, [2, 3])
    plan = planned(mine(seeds=[5, 6], sweep={name: [first, second]}))
    assert len(set(plan.run_files("mine"))) == 4
    values = [(getattr(plan.run(run).settings, name), run.seed) for run in runs(plan, "mine")]
    assert values == [(value, f"seed-{seed}") for value in (first, second) for seed in (5, 6)]


def test_directions_that_smooth_otherwise_are_named_where_the_bias_is_shown() -> None:
    config = overlaid("algorithm: {directions: gaussian}\ntheory: {cases: [d1k1]}")
    (warning,) = check_config(config).warnings
    assert warning.startswith("theory.estimation_error gives d1k1 the bias of smoothing over a ball")
    assert "its directions: gaussian smooth otherwise" in warning
    assert not list(check_config(overlaid("algorithm: {directions: orthogonal}")).warnings)


def test_common_noise_can_be_swept_where_there_are_pairs() -> None:
    plan = planned(mine(variants={"pairs": {"estimator": "two_point"}}, sweep={"common_noise": [False, True]}))
    assert [plan.run(run).settings.common_noise for run in runs(plan, "mine")] == [False, True]


def test_long_runs_start_first() -> None:
    """Ten more for each factor of ten in time; a run at (d, k) = (20, 10) takes some 30 times one at (1, 1)."""
    cases = ["d1k1", "d2k2", "d20k10"]
    plan = planned(mine(cases=cases, sweep={"perturbations": [1, 10, 100]}))
    priority = plan.priority("train_policy")
    found = {(run.case, plan.run(run).settings.perturbations): priority(run) for run in runs(plan, "mine")}
    for case in cases:
        assert found[case, 1] < found[case, 10] < found[case, 100]
    assert found["d1k1", 100] < found["d2k2", 100] < found["d20k10", 100]
    assert 13 <= found["d20k10", 100] - found["d1k1", 100] <= 17


def test_sweep_is_a_product_with_the_last_axis_fastest() -> None:
    sweep = {"perturbations": [1, 2], "iterations": [7, 8], "inner_perturbations": "perturbations"}
    plan = planned(mine(cases=["d1k1", "d2k2"], sweep=sweep))
    found = [(run.case, plan.run(run).settings) for run in runs(plan, "mine")]
    assert [(case, each.perturbations, each.inner_perturbations, each.iterations) for case, each in found] == [
        (case, outer, outer, iterations) for case in ("d1k1", "d2k2") for outer in (1, 2) for iterations in (7, 8)
    ]
    block = plan.experiments["mine"].block
    assert block["linked"] == {"inner_perturbations": "perturbations"}
    assert list(block["sweep"]) == ["perturbations", "iterations"]
    shown = plan.figures.by_name["hyperparameters"].names
    assert "mine" not in shown, "two axes do not fit into the figure of the hyperparameters"


def test_execution_is_no_part_of_a_run() -> None:
    assert planned("{execution: {threads: 2}}").all_run_files() == Plan(DEFAULT).all_run_files()


def test_run_that_no_experiment_has() -> None:
    with pytest.raises(ConfigError, match="none produces the run d1k1/000000000000"):
        Plan(DEFAULT).settings(SimpleNamespace(case="d1k1", configuration="0" * 12))


def test_an_experiment_of_too_many_runs_is_refused_before_they_are_listed() -> None:
    sweep = {name: list(range(1, 1001)) for name in ("iterations", "perturbations", "rollout_length")}
    (problem,) = problems(overlaid(mine(sweep=sweep)))
    assert problem.startswith("experiments.mine: 1000000000 runs are too many, more than 100000; shorten its lists")


VARIANTS = {"paper": {}, "pairs": {"estimator": "two_point", "perturbations": 20}}


def test_variants_are_the_slowest_axis() -> None:
    plan = planned(mine(seeds=[0, 1], variants=VARIANTS, sweep={"rollout_length": [5, 7]}))
    points = plan.experiments["mine"].points("d1k1")
    assert list(plan.experiments["mine"].axes.items()) == [("variant", ("paper", "pairs")), ("rollout_length", (5, 7))]
    assert [(p.settings.estimator, p.settings.perturbations, p.settings.rollout_length) for p in points] == [
        ("one_point", 100, 5), ("one_point", 100, 7), ("two_point", 20, 5), ("two_point", 20, 7)
    ]  # fmt: skip
    assert len(plan.run_files("mine")) == 8


def test_a_dataset_has_the_points_of_its_plan() -> None:
    """Its job makes them anew from what it is given, which is short however many they are."""
    sweep = {"tasks.spectral_radius": [0.9, 0.5], "iterations": [1, 2]}
    experiment = planned(mine(variants=VARIANTS, sweep=sweep)).experiments["mine"]
    block = json.loads(json.dumps(experiment.block))
    assert type(experiment).from_block("mine", block).points("d1k1") == experiment.points("d1k1")


def test_matrices_of_a_family_may_be_swept() -> None:
    config = with_value("cases.d1k1.tasks", GIVEN)
    moved = {**config, **mine(sweep={"tasks.p": [[0.5, 0.5], [0.2, 0.8]]})}
    assert len(check_config(moved).resolved["mine"].families("d1k1")) == 2
    (problem, *_) = problems({**config, **mine(sweep={"tasks.A": [[[[0.5]], [[0.2]]], [[[0.5]]]]})})
    assert problem == "experiments.mine: tasks.B of d1k1: 2 tasks, but A has 1; give one entry for each task"


def test_a_moved_family_is_another_set_of_tasks() -> None:
    sweep = {"tasks.spectral_radius": [0.9, 0.5], "tasks.perturbation_deviation": "tasks.spectral_radius"}
    plan = planned("{cases: {d1k1: {tasks: {perturbation_deviation: 0.9}}}}", mine(sweep=sweep))
    same, moved = (point.tasks for point in plan.experiments["mine"].points("d1k1"))
    assert same == "d1k1", "the point at the case's own values"
    assert re.fullmatch("d1k1-[0-9a-f]{12}", moved)
    block = plan.task_block(SimpleNamespace(case=moved))
    assert block["tasks"]["spectral_radius"] == block["tasks"]["perturbation_deviation"] == 0.5
    assert plan.cases[:3] == ("d1k1", "d2k2", "d20k10")
    assert set(plan.task_sets) == {*plan.cases, moved}
    assert plan.optima_of(SimpleNamespace(experiment="mine")) == [f"results/optima/{name}.nc" for name in (same, moved)]
    assert plan.meta_optima[f"{moved}/1e-05"] == f"results/optima/{moved}/adaptation_rate-1e-05.nc"


BUS = """
cases:
  bus:
    tasks: {family: bus, speed: {low: 5, high: 15}, count: 3}
    initial_gain: {detuned: 40}
    algorithm: {learning_rate: 1.0e-3, adaptation_rate: 1.0e-5}
experiments: {mine: {cases: [bus], seeds: [0]}}
"""


def test_dimensions_follow_from_the_family() -> None:
    plan = planned(BUS)
    block = plan.task_block(SimpleNamespace(case="bus"))
    assert (block["state_dim"], block["action_dim"], block["seed"]) == (5, 1, DEFAULT["seed"])
    assert block["tasks"] == {"family": "bus", "count": 3, "speed": {"low": 5.0, "high": 15.0}}
    given = planned(BUS, "cases: {bus: {state_dim: 5, action_dim: 1}}")
    assert repr(given.task_block(SimpleNamespace(case="bus"))) == repr(block)
    without = {key: value for key, value in DEFAULT["cases"]["d1k1"].items() if key not in ("state_dim", "action_dim")}
    (case,) = check_config(
        {**DEFAULT, **mine(cases=["mine"]), "cases": {"mine": {**without, "tasks": GIVEN}}}
    ).cases.values()
    assert (case.state_dim, case.action_dim) == (1, 1)


def test_lists_draw_nothing_and_need_no_seed() -> None:
    block = planned(BUS, "cases: {bus: {tasks: {speed: [5, 15], count: 2}}}").task_block(SimpleNamespace(case="bus"))
    assert "seed" not in block
    assert block["tasks"] == {"family": "bus", "count": 2, "speed": [5.0, 15.0]}


@pytest.mark.slow
def test_a_gain_that_is_found_counts_among_the_sources_of_its_tasks_alone() -> None:
    plan = planned(BUS)
    sources = {case: [path.name for path in plan.task_plugins(SimpleNamespace(case=case))] for case in ("bus", "d1k1")}
    assert sources == {"bus": ["bus.py", "detuned.py"], "d1k1": ["similar.py"]}
    reached = Sources(ROOT).of("generate_tasks", plan.task_plugins(SimpleNamespace(case="bus")))
    assert "src/metalqr/optimal/riccati.py" in reached
    assert "src/metalqr/optimal/riccati.py" not in Sources(ROOT).of("generate_tasks", [])
    assert plan.task_block(SimpleNamespace(case="bus"))["initial_gain"] == {"detuned": 40.0}
    needs = [planned(BUS, f"cases: {{bus: {{initial_gain: {gain}}}}}") for gain in ("stabilising", "zero")]
    search, zero = (each.resources("generate_tasks")["mem_mb"](SimpleNamespace(case="bus"), 1) for each in needs)
    assert search >= zero


def test_a_moved_range_is_another_set_of_tasks() -> None:
    sweep = {"tasks.heterogeneity": [1.0, 0.5], "tasks.noise_variance": [1.0e-4, 2.0e-4]}
    names = [point.tasks for point in planned(BUS, mine(cases=["bus"], sweep=sweep)).experiments["mine"].points("bus")]
    assert names[0] == "bus"
    assert len(set(names)) == 4
    words = mine(cases=["bus"], sweep={"tasks.noise": ["process", "initial_state"]})
    first, second = [point.tasks for point in planned(BUS, words).experiments["mine"].points("bus")]
    assert first == "bus" != second


# --- plug-ins of one's own -------------------------------------------------------------------------------------------

MINE = """
from metalqr.config import settings
from metalqr.config.registries import estimators
from metalqr.config.settings import Real, setting
from metalqr.estimators.estimator import Estimator

@estimators.register("mine")
class Mine(Estimator):
    class Settings(settings.Settings):
        mine_clip: Real = setting(2.0, about="largest coefficient", above=0)
"""


@pytest.fixture
def with_plugin(forgotten: None, tmp_path: Path) -> dict[str, Any]:
    """The config with an estimator of one's own."""
    (tmp_path / "mine.py").write_text(MINE)
    return with_value("plugins", ["mine.py"])


def test_a_plugin_of_ones_own_is_found_beside_the_config(with_plugin: dict[str, Any], tmp_path: Path) -> None:
    variants = {"paper": {}, "mine": {"estimator": "mine", "mine_clip": 1}}
    plan = Plan({**with_plugin, **mine(variants=variants)}, tmp_path)
    paper, own = plan.experiments["mine"].points("d1k1")
    assert own.settings.as_dict()["mine_clip"] == 1.0
    assert "mine_clip" not in paper.settings.as_dict()
    wildcards = SimpleNamespace(case="d1k1", configuration=configuration_digest(own.settings))
    method, directions, rule = (
        ROOT / "src/metalqr" / f"{name}.py"
        for name in ("training/methods/zeroth_order_maml", "estimators/directions/sphere", "training/updates/gradient")
    )
    assert plan.run_plugins(wildcards) == (method, tmp_path / "mine.py", directions, rule)
    assert plan.config["plugins"] == [str(tmp_path / "mine.py")]
    assert set(Sources(ROOT).of("train_policy", plan.run_plugins(wildcards))) > {"mine.py"}
    assert "mine_clip" in [each.name for each in all_declarations()]
    with pytest.raises(SettingsError, match=r"^mine_clip: 0 is not > 0$"):
        MetaSettings(**{**STEPS, "estimator": "mine", "mine_clip": 0})
    with pytest.raises(SettingsError, match=r"^mine_clip: a setting of estimator: mine, not of one_point; remove it"):
        MetaSettings(**{**STEPS, "mine_clip": 1.0})


OWN_RULE = """
from metalqr.config.registries import update_rules
from metalqr.training.updates.momentum import Momentum

@update_rules.register("own_rule")
class Own(Momentum):
    pass
"""


@pytest.mark.slow
def test_an_update_rule_of_ones_own_counts_among_the_sources_of_its_runs_alone(forgotten: None, tmp_path: Path) -> None:
    (tmp_path / "rule.py").write_text(OWN_RULE)
    variants = {"paper": {}, "own": {"update_rule": "own_rule", "momentum_decay": 0.5}}
    plan = Plan({**with_value("plugins", ["rule.py"]), **mine(variants=variants)}, tmp_path)
    paper, own = plan.experiments["mine"].points("d1k1")
    for point, files in ((paper, {"gradient.py"}), (own, {"rule.py"})):
        wildcards = SimpleNamespace(case="d1k1", configuration=configuration_digest(point.settings))
        names = {path.name for path in plan.run_plugins(wildcards)}
        assert names == {"zeroth_order_maml.py", "one_point.py", "sphere.py", *files}
        sources = Sources(ROOT).of("train_policy", plan.run_plugins(wildcards))
        assert ("rule.py" in sources) == ("rule.py" in files)
        assert ("src/metalqr/training/updates/momentum.py" in sources) == ("rule.py" in files)


def test_an_update_rule_that_a_method_refuses_is_a_problem_of_the_config() -> None:
    message = "update_rule adam cannot change the steps of method: gauss_newton, which are its own"
    (problem,) = problems(overlaid(mine(variants={"gn": {"method": "gauss_newton", "update_rule": "adam"}})))
    assert problem.startswith(f"experiments.mine: {message}; set update_rule: gradient, or choose another method")


UNUSED = "mine_clip: a setting of estimator: mine, not of one_point; remove it or change estimator"
TWO_VARIANTS = {"paper": {"mine_clip": 1.0}, "mine": {"estimator": "mine"}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("algorithm", {**DEFAULT["algorithm"], "mine_clip": -1}, "mine_clip: -1 is not > 0"),
        ("algorithm", {**DEFAULT["algorithm"], "mine_clip": 1.0}, UNUSED),
        ("cases.d1k1.algorithm", {**STEPS, "mine_clip": 1.0}, UNUSED),
        ("experiments.figure1.variants", TWO_VARIANTS, f"paper.{UNUSED}"),
        ("experiments.figure1.sweep", {"mine_clip": [1.0]}, UNUSED),
    ],
)
def test_settings_of_a_plugin_that_is_not_used_are_refused(
    key: str, value: Any, message: str, with_plugin: dict[str, Any], tmp_path: Path
) -> None:
    assert problems(with_value(key, value, with_plugin), tmp_path) == (f"{key}.{message}",)


OWN_METHOD = """
from metalqr.config import settings
from metalqr.config.registries import methods
from metalqr.config.settings import Count, Real, setting
from metalqr.training.methods.mean_cost import MeanCost

@methods.register("own")
class Own(MeanCost):
    class Settings(settings.Settings):
        NAME: Count = setting(7, label="own", about="of something")
"""
OWN = OWN_METHOD.replace("NAME", "own")


def problem_of_plugin(content: str, folder: Path) -> str:
    """The problem of a file of one's own, without its beginning."""
    (folder / "own.py").write_text(content)
    (problem,) = problems({"plugins": ["own.py"]}, folder)
    assert "\n" not in problem
    return problem.removeprefix("plugins: own.py: ")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("perturbations", "is one that all methods share; use the shared one, or choose another name"),
        *((name, "has a reserved name; choose another") for name in ("seed", "threads", "cost", "of")),
        ("inner_steps", "exists in exact_reptile with another type, range or default; choose another name"),
    ],
)
def test_settings_of_a_plugin_have_names_of_their_own(name: str, reason: str, forgotten: None, tmp_path: Path) -> None:
    """Or a run that leaves one at its default could not be told from another."""
    problem = problem_of_plugin(OWN_METHOD.replace("NAME", name), tmp_path)
    assert problem == f"method own: its setting {name} {reason}"


def test_a_size_of_a_plugin_that_may_not_be_one_is_blamed(forgotten: None, tmp_path: Path) -> None:
    lines = OWN_METHOD.replace("NAME", "pairs").replace('of something"', 'of something", at_least=2, size=True')
    lines += """
    @classmethod
    def work(cls, count, settings):
        return super().work(count, settings)._replace(policies=settings.of(cls).pairs)
"""
    (tmp_path / "own.py").write_text(lines)
    variants = {"own": {"method": "own", "pairs": 2_000_000_000}}
    found = problems(overlaid({"plugins": ["own.py"]}, mine(variants=variants)), tmp_path)
    assert "the job train_policy of d1k1 would need " in found[0]
    assert "; lower pairs, which is 2000000000, or raise the limit" in found[0]


def test_names_in_datasets_are_taken() -> None:
    from metalqr.results.datasets import DATASETS

    dims = {dim for spec in DATASETS.variables.values() for dim in spec.dims}
    assert {*DATASETS.variables, *DATASETS.attributes, *dims, "seed", "variant", "iteration"} <= RESERVED_NAMES


def test_families_may_differ_in_a_setting_of_the_same_name(forgotten: None, tmp_path: Path) -> None:
    """``p`` is a list of ``given``, and a number here; a sweep is checked with the family of its case."""
    lines = OWN_METHOD.replace("methods.register", "families.register").replace("import methods", "import families")
    lines = lines.replace("training.methods.mean_cost", "systems.family").replace("MeanCost", "Family")
    lines = lines.replace("NAME: Count", "p: Real").replace("setting(7", "setting(0.5")
    (tmp_path / "own.py").write_text(lines + '        count: Count = setting(2, about="of tasks")\n')
    config = with_value("plugins", ["own.py"])
    config["cases"]["d1k1"]["tasks"] = {"family": "own"}
    moved = check_config({**config, **mine(sweep={"tasks.p": [0.1, 0.2]})}, tmp_path)
    assert len(moved.resolved["mine"].families("d1k1")) == 2
    (problem, *_) = problems({**config, **mine(sweep={"tasks.p": [0.1, "x"]})}, tmp_path)
    assert problem.startswith("experiments.mine: p 'x' is text, not a number")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def f(:", "SyntaxError: invalid syntax (own.py, line 1); correct the file"),
        ("\nraise ValueError('one\\ntwo')", "line 2: ValueError: one two; correct the file"),
        ("import sys\nsys.exit(3)", "line 2: SystemExit: 3; correct the file"),
        (OWN.replace('"own"', '"reptile"'), "there is another method 'reptile'; choose"),
        (OWN.replace('"own"', '"../own"'), "'../own' is not a valid method name; use at most"),
        (OWN.replace("(MeanCost)", ""), "the method 'own' is not a class derived from Method"),
        (
            OWN.replace("(MeanCost)", "")
            .replace("methods", "update_rules")
            .replace("training.update_rules", "training.methods"),
            "the update rule 'own' is not a class derived from UpdateRule",
        ),
        (OWN.replace("(settings.Settings)", ""), "Settings of the method 'own' is not derived from metalqr.config"),
    ],
)
def test_a_file_that_is_no_plugin_is_told_in_a_line(
    content: str, message: str, forgotten: None, tmp_path: Path
) -> None:
    assert problem_of_plugin(content, tmp_path).startswith(message)


# --- the documentation ------------------------------------------------------------------------------------------------


RUNS_OF_EXAMPLES = {
    "short_rollouts": 30,
    "spread": 12,
    "clipped": 6,
    "adaptive": 3,
    "tuned": 20,
    "rules": 12,
    "pendulum": 3,
    "boeings": 4,
}


def test_the_examples_of_the_documentation_are_accepted(forgotten: None, tmp_path: Path) -> None:
    """Each YAML block of docs/configuration.md, laid over config.yaml as Snakemake does it."""
    (code,) = texts("docs/configuration.md", "python")
    (tmp_path / "my_estimators.py").write_text(code)
    names = []
    for example in texts("docs/configuration.md", "yaml"):
        experiments = yaml.safe_load(example)["experiments"]
        (name,) = (name for name, block in experiments.items() if block is not None)
        assert len(Plan(overlaid(example), tmp_path).run_files(name)) == RUNS_OF_EXAMPLES[name]
        names.append(name)
    assert names == list(RUNS_OF_EXAMPLES)
