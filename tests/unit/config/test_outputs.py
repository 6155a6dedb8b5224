"""Figures and tables as plug-ins: what a config makes of them, and that a new one is one file."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import synthetic
from configs import DEFAULT, overlaid, planned, problems
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


@pytest.fixture
def own(forgotten: None, tmp_path: Path) -> Path:
    """A folder for plug-ins, which are forgotten after the test."""
    return tmp_path


def write_figure(folder: Path, name: str, body: str = "") -> None:
    lines = [
        "from metalqr.config.registries import figures",
        "from metalqr.reporting.figures.figure import Figure",
        f'@figures.register("{name}")',
        "class Own(Figure):",
        '    """One of my own."""',
        *(f"    {line}" for line in body.splitlines()),
    ]
    (folder / f"{name}.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    load_plugins([f"{name}.py"], folder)


# --- what the default config makes -----------------------------------------------------------------------------------


def test_every_output_has_its_plugin_and_its_inputs() -> None:
    plan = Plan(DEFAULT)
    found = {name: (output.plugin, output.names) for name, output in plan.figures.by_name.items()}
    assert found == {
        "figure1": ("learning_curves", ["figure1"]),
        "hyperparameters": ("hyperparameters", SWEEPS),
        **{name: (name, CASES) for name in ("estimation_error", "exact_methods", "theory_vs_practice")},
    }
    found = {name: (output.plugin, output.names) for name, output in plan.tables.by_name.items()}
    assert found == {
        **{name: ("summary", [name]) for name in ("figure1", *SWEEPS)},
        **{name: (name, CASES) for name in ("theory_audit", "theory_vs_practice", "stability")},
        # The rates of all runs, those of the sweep included.
        "learnability": ("learnability", ["d1k1/1e-05", "d2k2/1e-05", "d20k10/1e-07", *SWEPT_RATES]),
    }
    by_name = plan.figures.by_name
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
        f"results/figures/{name}.{form}" for name in ("hyperparameters", "figure1") for form in ("pdf", "svg", "png")
    ]
    assert plan.tables.files("datasets")[:2] == ["results/tables/figure1.md", "results/tables/figure1.csv"]


def test_without_anything_to_show_nothing_is_made() -> None:
    grid = {"cases": ["d1k1"], "seeds": [0], "sweep": {"tolerance": [0], "iterations": [1]}}
    plan = Plan({**overlaid("{theory: {cases: []}}"), "experiments": {"grid": grid}})
    assert plan.figures.by_name == {}
    assert plan.figures.pattern == "(?!)"
    assert list(plan.tables.by_name) == ["learnability", "grid"]


def test_report_lists_figures_and_tables_by_category() -> None:
    plan = Plan(DEFAULT)
    listed = {
        (output.category, *output.labels.items())
        for outputs in (plan.figures, plan.tables)
        for output in outputs.by_name.values()
    }
    theory = ("estimation_error", "exact_methods", "theory_vs_practice")
    assert listed == {
        ("Figures", ("figure", "figure1")),
        ("Figures", ("figure", "hyperparameters")),
        *(("Theory", ("figure", name)) for name in theory),
        *(("Tables", ("experiment", name)) for name in ("figure1", *SWEEPS)),
        *(("Theory", ("table", name)) for name in ("theory_audit", "theory_vs_practice", "stability")),
        ("Tables", ("table", "learnability")),
    }


def test_captions_say_what_the_config_says() -> None:
    plan = Plan(DEFAULT)
    captions = {name: output.caption for name, output in plan.figures.by_name.items()}
    captions |= {f"table {name}": output.caption for name, output in plan.tables.by_name.items()}
    for name, texts in {
        "figure1": [
            "Figure 1 of the paper",
            "figure1, seeds 0, 1, 2, 3, 4\n",
            "* d1k1: d = 1, k = 1, learning_rate 0.001,",
        ],
        "hyperparameters": [
            "* perturbations on d2k2, seeds 0, 1, 2; perturbations 10, 25, 50, 100; "
            "inner_perturbations linked to perturbations\n"
        ],
        "estimation_error": [
            f"over {DEFAULT['theory']['estimation_error']['repeats']} estimates",
            "* d20k10: d = 20, k = 10, perturbations 100,",
        ],
        "exact_methods": ["* 300 iterations each\n", "* d2k2: d = 2, k = 2, adaptation_rate 1e-05\n"],
        "theory_vs_practice": ["within 0.1 of the first gap", "smoothing_radius 0.05"],
        "table figure1": ["The outcome of an experiment"],
        "table theory_audit": ["over 1000 gains", "2 perturbations of each"],
        "table learnability": ["Learnability (Definition 1)"],
    }.items():
        for text in texts:
            assert text in captions[name], name
    assert all("{" not in text for text in captions.values())


def test_spelling_and_order_of_the_config_change_no_caption() -> None:
    """Captions are params: another text draws the figure again."""
    one = planned("{algorithm: {smoothing_radius: 1, learning_rate: 2}}")
    other = overlaid("{algorithm: {smoothing_radius: 1.0, learning_rate: 2.0}}")
    other["algorithm"] = dict(reversed(other["algorithm"].items()))
    for plan, again in ((one.figures, Plan(other).figures), (one.tables, Plan(other).tables)):
        assert plan.by_name == again.by_name


# --- digests ---------------------------------------------------------------------------------------------------------


def test_a_file_depends_on_its_own_plugin_and_reader_alone() -> None:
    plan, sources = Plan(DEFAULT), Sources(ROOT)
    plugins = {
        f"src/metalqr/reporting/{registry.kind}s/{name}.py"
        for registry in (figures, tables)
        for name in registry.names()
    }
    readers = {reader: f"src/{reader.partition(':')[0].replace('.', '/')}.py" for reader in READERS.values()}
    for outputs, script in ((plan.figures, "draw"), (plan.tables, "tabulate")):
        for output in outputs.by_name.values():
            found = set(sources.of(script, output.sources))
            assert found & plugins == {f"src/metalqr/reporting/{outputs.registry.kind}s/{output.plugin}.py"}
            assert found & set(readers.values()) == {readers[output.reader]}
            assert f"workflow/scripts/{script}.py" in found


def test_digests_follow_a_plugin_outside_the_project(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from metalqr.reporting import captions\n", encoding="utf-8")
    found = Sources(ROOT).of("draw", [file])
    assert found.keys() - Sources(ROOT).of("draw").keys() == {"mine.py", "src/metalqr/reporting/captions.py"}
    file.write_text("def late():\n    from metalqr.lqr.lyapunov import solve\n", encoding="utf-8")
    assert "src/metalqr/lqr/lyapunov.py" in Sources(ROOT).of("draw", [file]), "an import inside a function counts"


# --- new ones --------------------------------------------------------------------------------------------------------


def test_a_new_figure_is_one_file(own: Path) -> None:
    body = 'file = "{name}-mine"\ndef caption(self, config, names):\n    return f"Mine, of {names[0]}."'
    write_figure(own, "mine", f'reads = "exact_methods"\n{body}')
    outputs = Plan(DEFAULT).figures
    of_plugin = {name: output for name, output in outputs.by_name.items() if output.plugin == "mine"}
    assert list(of_plugin) == [f"{case}-mine" for case in CASES]
    output = of_plugin["d2k2-mine"]
    assert (output.inputs, output.caption) == (["results/exact_methods/d2k2.nc"], "Mine, of d2k2.")
    assert output.sources[0] == own / "mine.py"
    assert (output.category, output.labels) == ("Figures", {"figure": "d2k2-mine"})
    assert "results/figures/d2k2-mine.svg" in outputs.files("theory")


def test_the_name_of_a_new_figure_is_reserved(own: Path) -> None:
    config = overlaid("{experiments: {Mine: {cases: [d1k1], seeds: [0]}}}")
    check_config(config)
    write_figure(own, "mine")
    assert problems(config) == ("experiments.Mine: this name is reserved for the figure mine; choose another",)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('reads = "dataset"', "the figure mine reads 'dataset', which is not a kind of result; did you mean datasets"),
        (
            'file = "{name}"',
            "the figures learning_curves and mine would both write to results/figures/figure1.*; give one of",
        ),
    ],
)
def test_what_a_new_figure_may_not_do(body: str, message: str, own: Path) -> None:
    write_figure(own, "mine", body)
    with pytest.raises(ConfigError) as caught:
        Plan(DEFAULT)
    assert caught.value.problems[0].startswith(f"plugins: {message}")


def test_example_is_planned_and_drawn(own: Path) -> None:
    load_plugins(["own_figure.py"], ROOT / "examples")
    output = Plan(DEFAULT).figures.by_name["simulated_steps"]
    assert output.names == ["figure1"]
    assert output.caption == "**Median ratio over the simulated steps**, of the experiments figure1."
    dataset = synthetic.figure1_dataset()
    figure = figures.get("simulated_steps")().make({"figure1": dataset})
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.get_lines()] == ["figure1, d1k1", "figure1, d2k2", "figure1, d20k10"]
    steps = dataset.children["d1k1"].to_dataset()["rollout_steps"].median("seed")
    assert np.asarray(axes.get_lines()[0].get_xdata())[-1] == steps[-1]


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_those_of_the_declarations() -> None:
    assert declared("smoothing_radius").axis_label == "smoothing radius $r$"
    assert declared("precision").axis_label == "precision"
    assert declared("tasks.no_such_setting").axis_label == "no such setting"
