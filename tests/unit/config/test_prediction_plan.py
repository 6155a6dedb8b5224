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


ADAM = """
experiments:
  mine:
    cases: [d1k1, d2k2]
    seeds: [0]
    show_prediction: true
    variants: {paper: {}, adam: {update_rule: adam}}
only_experiments: [mine]
"""


def test_figures_of_curves_need_predictions_where_they_are_shown_and_no_others_do() -> None:
    plan = planned("experiments: {estimators: {show_prediction: true}}")
    figures = plan.figures.by_name
    shown = {name for name, figure in figures.items() if figure.predicted}
    assert shown == {"hyperparameters", "estimators", "sample_efficiency"}
    assert figures["hyperparameters"].predicted == {name: f"results/predictions/{name}.nc" for name in SWEEPS}
    assert figures["hyperparameters"].caption.endswith(f"last valid iteration; experiments {', '.join(SWEEPS)}")
    reader = "reporting/predictions.py"
    assert [file for file in figures["estimators"].sources if file.as_posix().endswith(reader)]
    without = planned({"experiments": {name: {"show_prediction": False} for name in SWEEPS}})
    for figure in without.figures.by_name.values():
        assert figure.predicted == {}
        assert "predicted without simulation, up to" not in figure.caption
    sizes = [each.figures.memory(of(figure="estimators"), 1) for each in (without, plan)]
    assert sizes[0] < sizes[1]
    assert list(plan.warnings) == []


def test_the_caption_has_configurations_without_a_prediction() -> None:
    plan = planned(ADAM)
    assert plan.figures.by_name["mine"].caption.splitlines()[-3:] == [
        "* no predicted curves of mine on d1k1: adam (update rule adam)",
        "",
        "* no predicted curves of mine on d2k2: adam (update rule adam)",
    ]
    skipped = planned(ADAM, "prediction: {experiments: []}").figures.by_name["mine"]
    assert skipped.predicted == {}
    assert skipped.caption.endswith("\n\n* no predicted curves of mine, which prediction.experiments leaves out")


def test_predictions_that_cannot_be_shown_are_warned_of() -> None:
    nothing = planned(ADAM, "algorithm: {update_rule: adam}", "experiments: {mine: {variants: {paper: {warm_up: 1}}}}")
    key = "experiments.mine.show_prediction"
    assert list(nothing.warnings) == [
        f"{key}: nothing of this experiment is predicted (update rule adam); leave it out"
    ]
    assert nothing.figures.by_name["mine"].predicted == {}
    two_axes = planned(ADAM, "experiments: {mine: {sweep: {tolerance: [0.0, 0.1]}}}")
    assert list(two_axes.warnings) == [f"{key}: no figure has learning curves of this experiment; leave it out"]
    assert list(planned(ADAM, "prediction: {experiments: []}").warnings) == []


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
