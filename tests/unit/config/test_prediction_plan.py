"""The stage `predictions` in the plan: what it covers, its files, what its jobs are given, and what they need."""

from types import SimpleNamespace

from configs import overlaid, planned, problems

from metalqr.config.files import TUNED_FILE

SWEEPS = ["smoothing_radius", "perturbations", "rollout_length", "adaptation_rate", "learning_rate"]


def of(**names: str) -> SimpleNamespace:
    return SimpleNamespace(**names)


def test_all_experiments_with_a_known_recursion_are_predicted() -> None:
    plan = planned("{}")
    assert list(plan.prediction.joined) == ["figure1", *SWEEPS, "estimators"]  # unseen_tasks has adam
    assert plan.results("predictions")["figure1"] == "results/predictions/figure1.nc"
    # The sweeps share the configuration of figure1, and the variant `paper` all three.
    shared = [file for file in plan.prediction.files if file == plan.prediction.parts_of(of(experiment="figure1"))[1]]
    assert len(shared) == 1
    assert len(plan.prediction.parts_of(of(experiment="estimators"))) == 3 * 7
    assert plan.prediction.places(of(experiment="estimators")) == {
        case: list(range(7)) for case in ("d1k1", "d2k2", "d20k10")
    }


def test_a_tuned_configuration_waits_for_its_tuning_and_no_other() -> None:
    plan = planned("{}")
    found = {each.point.name: each for each in plan.prediction.predicted if each.experiment == "estimators"}
    wildcards = {
        name: of(case=each.point.tasks, configuration=each.point.configuration) for name, each in found.items()
    }
    assert plan.tuned_file(wildcards["paper"]) == []
    names = vars(wildcards["momentum"])
    assert plan.tuned_file(wildcards["momentum"]) == [TUNED_FILE.format(**names)]


def test_other_methods_rules_tasks_and_large_gains_are_left_out_with_the_reason() -> None:
    plan = planned(
        """
        cases:
          many: {state_dim: 40, action_dim: 20, tasks: {family: similar, count: 2, spectral_radius: 0.8,
                 perturbed_share: 0.1, perturbation_deviation: 0.1}, initial_gain: zero,
                 algorithm: {learning_rate: 1.0e-5, adaptation_rate: 1.0e-7}}
        experiments:
          several:
            cases: [d1k1, many]
            seeds: [0]
            variants: {paper: {}, adam: {update_rule: adam}, reptile: {method: reptile}}
            sweep: {tasks.resample: [never, each_iteration]}
        only_experiments: [several]
        """
    )
    left_out = plan.prediction.left_out(of(experiment="several"))
    assert left_out["d1k1"] == {
        "paper, tasks.resample each_iteration": "resampled tasks",
        **{f"adam, tasks.resample {each}": "update rule adam" for each in ("never", "each_iteration")},
        **{f"reptile, tasks.resample {each}": "method reptile" for each in ("never", "each_iteration")},
    }
    assert left_out["many"]["paper, tasks.resample never"] == "over 500 numbers in a gain"
    assert plan.prediction.places(of(experiment="several")) == {"d1k1": [0]}


def test_swept_tasks_are_predicted_as_they_are() -> None:
    plan = planned(
        "{experiments: {noise: {cases: [d2k2], seeds: [0], sweep: {tasks.noise_trace: [1.0, 2.0]}}}, "
        "only_experiments: [noise]}"
    )
    first, second = plan.prediction.parts_of(of(experiment="noise"))
    assert first.split("/")[2] == "d2k2"
    assert second.split("/")[2] in set(plan.task_sets) - {"d2k2"}


def test_an_empty_list_skips_the_stage_and_changes_no_run() -> None:
    plan, without = planned("{}"), planned("prediction: {experiments: []}")
    assert without.prediction.files == []
    assert "prediction" in plan.figures.by_name
    assert "prediction" not in without.figures.by_name
    assert "prediction" not in without.tables.by_name
    assert without.all_run_files() == plan.all_run_files()
    assert planned("prediction: {experiments: [figure1]}").tables.by_name["prediction"].names == ["figure1"]


def test_needs_grow_with_the_gain_and_are_refused_where_too_large() -> None:
    plan = planned("{}")
    small, _, large = (
        of(case=each.point.tasks, configuration=each.point.configuration)
        for each in plan.prediction.predicted
        if each.experiment == "figure1"
    )
    requests = plan.resources("predict")
    assert requests["mem_mb"](small, 1) < requests["mem_mb"](large, 1) < 1500
    assert 10 <= requests["runtime"](small, 1) < requests["runtime"](large, 1) < 40
    found = problems(overlaid({"cases": {"d1k1": {"tasks": {"count": 300_000_000}}}}))
    assert any("more than execution.largest_memory_mb" in each for each in found)
