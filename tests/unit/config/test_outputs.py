"""Figures and tables as plug-ins: what a config makes of them, and that a new one is one file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import synthetic
from configs import DEFAULT, overlaid, problems
from matplotlib.figure import Figure
from places import ROOT

from metalqr.config import ConfigError, Plan, check_config
from metalqr.config.outputs import READERS
from metalqr.config.registries import figures, tables
from metalqr.config.registry import load_plugins
from metalqr.reporting.labels import declared
from pipeline import Sources

SWEEPS = ["smoothing_radius", "perturbations", "rollout_length", "adaptation_rate", "learning_rate"]
#: Rates that only the sweep of the adaptation rate has.
SWEPT_RATES = ["d2k2/0.0", "d2k2/0.01", "d2k2/0.1"]
CASES = ["d1k1", "d2k2", "d20k10"]
VARIED = {"varied_d2k2": "0.11", "varied_d20k10": "0.001", "bus_speed": "3.0", "pendulum_length": "200.0"}
RATES = [f"{case}/{rate}" for case, rate in VARIED.items()]
BENEFIT = ["varied_d2k2", "bus_speed", "pendulum_length"]
PREDICTED = ["figure1", *SWEEPS, "estimators"]
EVALUATED = [f"unseen_tasks/{case}" for case in VARIED]


FIGURE = """
from metalqr.config.registries import figures
from metalqr.reporting.figures.figure import Figure

@figures.register("mine")
class Mine(Figure):
    'One of my own.'
    """


def write_figure(folder: Path, body: str = "") -> None:
    """Write a figure of one's own, and load it."""
    (folder / "mine.py").write_text(FIGURE + body, encoding="utf-8")
    load_plugins(["mine.py"], folder)


# --- what the default config makes -----------------------------------------------------------------------------------


def test_every_output_has_its_plugin_and_its_inputs() -> None:
    plan = Plan(DEFAULT)
    found = {name: (output.plugin, output.names) for name, output in plan.figures.by_name.items()}
    assert found == {
        "figure1": ("learning_curves", ["figure1"]),
        "hyperparameters": ("hyperparameters", SWEEPS),
        **{name: ("variants", [name]) for name in ("estimators", "unseen_tasks")},
        **{name: (name, EVALUATED) for name in ("adaptation", "regret")},
        **{f"{name}-{case}": (name, [case]) for name in ("meta_benefit", "heterogeneity") for case in BENEFIT},
        "sample_efficiency": ("sample_efficiency", ["estimators"]),
        **{name: (name, CASES) for name in ("estimation_error", "exact_methods", "theory_vs_practice", "certificates")},
        "prediction": ("prediction", PREDICTED),
    }
    found = {name: (output.plugin, output.names) for name, output in plan.tables.by_name.items()}
    assert found == {
        **{name: ("summary", [name]) for name in ("figure1", *SWEEPS, "estimators", "unseen_tasks")},
        "adaptation": ("adaptation", EVALUATED),
        "meta_benefit": ("meta_benefit", BENEFIT),
        "prediction": ("prediction", PREDICTED),
        "sample_efficiency": ("sample_efficiency", ["estimators"]),
        **{
            name: (name, CASES)
            for name in ("estimation_error", "exact_methods", "theory_audit", "theory_promises", "theory_vs_practice")
        },
        **{name: (name, CASES) for name in ("stability", "certificates")},
        # The rates of all runs, those of the sweep included.
        **{
            name: (name, ["d1k1/1e-05", "d2k2/1e-05", "d20k10/1e-07", *SWEPT_RATES, *RATES])
            for name in ("learnability", "method_bias")
        },
    }
    by_name = plan.figures.by_name
    outputs = [*by_name.values(), *plan.tables.by_name.values()]
    listed = {f"{output.category}: {column}" for output in outputs for column in output.labels}
    columns = [f"{category}: {kind}" for category in ("Adaptation", "Theory") for kind in ("figure", "table")]
    assert listed == {"Figures: figure", "Tables: experiment", "Tables: table", *columns}
    assert by_name["hyperparameters"].labels == {"figure": "hyperparameters"}
    assert by_name["hyperparameters"].inputs == [f"results/datasets/{name}.nc" for name in SWEEPS]
    assert by_name["theory_vs_practice"].inputs == [f"results/theory/{case}.nc" for case in CASES]
    wildcards = SimpleNamespace(figure="hyperparameters")
    assert plan.figures.of("inputs")(wildcards) == by_name["hyperparameters"].inputs
    assert {name: param(wildcards) for name, param in plan.figures.params.items()} == {
        "plugin": "hyperparameters",
        "names": SWEEPS,
        "reader": "metalqr.results.datasets:load_experiment",
        "caption": by_name["hyperparameters"].caption,
    }
    assert plan.figures.files("datasets") == [
        f"results/figures/{name}.{form}"
        for name in ("hyperparameters", "figure1", "sample_efficiency", "estimators", "unseen_tasks")
        for form in ("pdf", "svg", "png")
    ]
    assert plan.tables.files("datasets")[2:4] == ["results/tables/figure1.md", "results/tables/figure1.csv"]


def test_without_anything_to_show_nothing_is_made() -> None:
    grid = {"cases": ["d1k1"], "seeds": [0], "sweep": {"tolerance": [0], "iterations": [1]}}
    off: dict[str, Any] = {"theory": {"cases": []}, "prediction": {"experiments": []}}
    plan = Plan({**DEFAULT, **off, "experiments": {"grid": grid}})
    assert plan.figures.by_name == {}
    assert plan.figures.pattern == "(?!)"
    assert list(plan.tables.by_name) == ["learnability", "method_bias", "grid"]


def test_captions_say_what_the_config_says() -> None:
    plan = Plan(DEFAULT)
    captions = {name: output.caption for name, output in plan.figures.by_name.items()}
    captions |= {f"table {name}": output.caption for name, output in plan.tables.by_name.items()}
    for name, texts in {
        "figure1": ["Figure 1 of the paper", "figure1, seeds 0, 1, 2, 3, 4\n", "* d1k1: d = 1, k = 1, learning_rate 0"],
        "hyperparameters": ["* perturbations on d2k2, seeds 0, 1, 2; perturbations 10, 25, 50, 100; inner_perturb"],
        "estimation_error": ["over 40 estimates", "* d20k10: d = 20, k = 10, perturbations 100,"],
        "exact_methods": ["* 300 iterations each\n", "* d2k2: d = 2, k = 2, adaptation_rate 1e-05\n"],
        "theory_vs_practice": ["0.1 of the first gap", "smoothing_radius 0.05"],
        "table figure1": ["The outcome of an experiment"],
        "table theory_audit": ["over 1000 gains", "2 perturbations of each"],
        "table learnability": ["Learnability (Definition 1)"],
    }.items():
        for text in texts:
            assert text in captions[name], name
    assert all("{" not in text for text in captions.values())


# --- digests ---------------------------------------------------------------------------------------------------------


def test_a_file_depends_on_its_own_plugin_and_reader_alone() -> None:
    plan, sources = Plan(DEFAULT), Sources(ROOT)
    plugins = {plugin.source.relative_to(ROOT).as_posix() for registry in (figures, tables) for plugin in registry}
    readers = {reader: f"src/{reader.partition(':')[0].replace('.', '/')}.py" for reader in READERS.values()}
    for outputs, script in ((plan.figures, "draw"), (plan.tables, "tabulate")):
        for output in outputs.by_name.values():
            found = set(sources.of(script, output.sources))
            assert found & plugins == {f"src/metalqr/reporting/{outputs.registry.kind}s/{output.plugin}.py"}
            read = {output.reader, *([READERS["predictions"]] if output.predicted else [])}
            assert found & set(readers.values()) == {readers[reader] for reader in read}
            assert f"workflow/scripts/{script}.py" in found


# --- new ones --------------------------------------------------------------------------------------------------------


def test_a_new_figure_is_one_file(forgotten: None, tmp_path: Path) -> None:
    body = 'reads, file = "exact_methods", "{name}-mine"\n'
    write_figure(tmp_path, body + '    def caption(self, config, names): return f"Mine, of {names[0]}."')
    outputs = Plan(DEFAULT).figures
    of_plugin = {name: output for name, output in outputs.by_name.items() if output.plugin == "mine"}
    assert list(of_plugin) == [f"{case}-mine" for case in CASES]
    output = of_plugin["d2k2-mine"]
    assert (output.inputs, output.caption) == (["results/exact_methods/d2k2.nc"], "Mine, of d2k2.")
    assert output.sources[0] == tmp_path / "mine.py"
    assert (output.category, output.labels) == ("Figures", {"figure": "d2k2-mine"})
    assert "results/figures/d2k2-mine.svg" in outputs.files("theory")


def test_the_name_of_a_new_figure_is_reserved(forgotten: None, tmp_path: Path) -> None:
    config = overlaid("{experiments: {Mine: {cases: [d1k1], seeds: [0]}}}")
    check_config(config)
    write_figure(tmp_path)
    assert problems(config) == ("experiments.Mine: this name is reserved for the figure mine; choose another",)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('reads = "dataset"', "the figure mine reads 'dataset', which is not a kind of result; did you mean datasets"),
        ('file = "{name}"', "the figures learning_curves and mine would both write to results/figures/figure1.*; give"),
    ],
)
def test_what_a_new_figure_may_not_do(body: str, message: str, forgotten: None, tmp_path: Path) -> None:
    write_figure(tmp_path, body)
    with pytest.raises(ConfigError) as caught:
        Plan(DEFAULT)
    assert caught.value.problems[0].startswith(f"plugins: {message}")


def test_example_is_planned_and_drawn(forgotten: None) -> None:
    load_plugins(["own_figure.py"], ROOT / "examples")
    output = Plan(DEFAULT).figures.by_name["simulated_steps"]
    assert output.names == ["figure1"]
    assert output.caption == "**Median ratio over the simulated steps**, of the experiments figure1."
    dataset = synthetic.figure1_dataset()
    figure = figures.get("simulated_steps")().make({"figure1": dataset})
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.get_lines()] == [
        f"figure1, state dim: {d}, action dim: {k}" for d, k in ((1, 1), (2, 2), (20, 10))
    ]
    steps = dataset.children["d1k1"].to_dataset()["rollout_steps"].median("seed")
    assert np.asarray(axes.get_lines()[0].get_xdata())[-1] == steps[-1]


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_those_of_the_declarations() -> None:
    assert declared("smoothing_radius").axis_label == "smoothing radius $r$"
    assert declared("precision").axis_label == "precision"
    assert declared("tasks.no_such_setting").axis_label == "no such setting"
