"""The figures and tables that follow from a config: of each file what makes it, from which files, and its caption.

The plug-ins say what they read and take (see :mod:`metalqr.reporting.product`); what there is to read is said here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from metalqr.config import resources
from metalqr.config.problems import ConfigError, nearest
from metalqr.config.registries import figures, tables

if TYPE_CHECKING:
    from metalqr.config.plan import Plan
    from metalqr.config.registry import Registry

#: Of a figure.
FIGURE_FORMATS = ("pdf", "svg", "png")
#: Of a table.
TABLE_FORMATS = ("md", "csv")
#: In the name of a file: one for each experiment or case.
EACH = "{name}"


class Result(NamedTuple):
    """A kind of result that figures and tables read.

    Attributes
    ----------
    reader : str
        The function that reads one of its files, checked to be of the experiment or case: ``module:function``.
    stage : str
        The target that makes what is drawn of it: ``"datasets"`` for `figures` and `tables`, else its own name.
    files : callable
        From a plan: the files by the name of the experiment or case.
    megabytes : callable
        From a plan and a name: what is held of a file.
    """

    reader: str
    stage: str
    files: Callable[[Plan], dict[str, str]]
    megabytes: Callable[[Plan, str], float]

    @property
    def source(self) -> Path:
        """The file that defines the reader."""
        module = self.reader.partition(":")[0]
        return Path(__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py")


def _datasets(plan: Plan) -> dict[str, str]:
    return dict(zip(plan.experiments, plan.dataset_files, strict=True))


def _dataset_megabytes(plan: Plan, name: str) -> float:
    return plan.megabytes("collect_dataset", experiment=name) - resources.PROCESS


def _meta_optimum_megabytes(plan: Plan, name: str) -> float:
    """A gain and a few numbers."""
    case = plan.checked.cases[plan.task_sets[name.partition("/")[0]].case]
    return 0.01 + 8e-6 * case.state_dim * case.action_dim


def _of_theory(folder: str) -> Callable[[Plan], dict[str, str]]:
    return lambda plan: dict(zip(plan.theory.cases_with(folder), plan.theory.files_in(folder), strict=True))


def _theory_megabytes(plan: Plan, case: str) -> float:
    """No file holds more than the largest job of its case."""
    return max(plan.megabytes(rule, case=case) for rule in resources.THEORY) - resources.PROCESS


#: What figures and tables can read: the values of their ``reads``.
RESULTS = {
    "datasets": Result("metalqr.results.datasets:load_experiment", "datasets", _datasets, _dataset_megabytes),
    "meta_optima": Result(
        "metalqr.results.meta_optima:load_meta_optimum_at",
        "optima",
        lambda plan: plan.meta_optima,
        _meta_optimum_megabytes,
    ),
    **{
        kind: Result(f"metalqr.{module}:load_{kind}", "theory", _of_theory(kind), _theory_megabytes)
        for kind, module in (
            ("theory", "results.theory"),
            ("estimation_error", "evaluation.estimation_error.curves"),
            ("exact_methods", "evaluation.exact_methods.dataset"),
            ("stability", "evaluation.stability"),
        )
    },
}


def reserved_by(experiment: str) -> str | None:
    """The figure or table whose files an experiment of this name would write to, in words; None if it is free.

    Capitals do not count: there are file systems that do not tell them from small letters.
    """
    for registry in (figures, tables):
        for product in registry:
            if EACH not in product.file and _pattern(product).lower() == experiment.lower():
                return f"the {registry.kind} {product.name}"
    return None


def _pattern(product: Any) -> str:
    return product.file or product.name


@dataclass(frozen=True)
class Output:
    """One figure or table.

    Attributes
    ----------
    name : str
        Of its files, without folder and suffix.
    product : Product
        What makes it, a plug-in. As in all of this package, without its type: reporting uses the config, not the other
        way round.
    inputs : dict of str to str
        The files that it reads, by the name of the experiment or case.
    """

    name: str
    product: Any
    inputs: dict[str, str]

    @property
    def result(self) -> Result:
        """The kind of result that it reads."""
        return RESULTS[self.product.reads]


class Outputs:
    """All figures of a plan, or all tables.

    Parameters
    ----------
    plan : Plan
    registry : Registry
        Of the plug-ins; its kind is the name of the rule's wildcard.
    folder : str
        That of the files.
    formats : tuple of str
        Their suffixes.

    Attributes
    ----------
    by_name : dict of str to Output
        The outputs by the name of their files.

    Raises
    ------
    ConfigError
        If a plug-in reads what does not exist, or two would write to the same files.
    """

    def __init__(self, plan: Plan, registry: Registry[Any], folder: str, formats: tuple[str, ...]) -> None:
        self.plan, self.registry, self.folder, self.formats = plan, registry, folder, formats
        self.by_name: dict[str, Output] = {}
        # Capitals do not tell files apart everywhere.
        owners: dict[str, str] = {}
        for product in registry:
            for output in self._outputs_of(product()):
                owner = owners.setdefault(output.name.lower(), product.name)
                if owner != product.name:
                    both = (
                        f"the {registry.kind}s {owner} and {product.name} would both write to {folder}/{output.name}.*"
                    )
                    raise ConfigError([f"plugins: {both}; give one another file"])
                self.by_name[output.name] = output

    def _outputs_of(self, product: Any) -> Iterator[Output]:
        if product.reads not in RESULTS:
            reads = f"the {self.registry.kind} {product.name} reads {product.reads!r}, which is no kind of result"
            raise ConfigError([f"plugins: {reads}; {nearest(product.reads, list(RESULTS))}"])
        files = RESULTS[product.reads].files(self.plan)
        if product.reads == "datasets":
            files = {name: file for name, file in files.items() if product.takes(self.plan.experiments[name])}
        pattern = _pattern(product)
        if EACH in pattern:
            yield from (Output(pattern.replace(EACH, name), product, {name: file}) for name, file in files.items())
        elif files:
            yield Output(pattern, product, files)

    # For the rules. Without an output, the pattern matches nothing.

    @property
    def pattern(self) -> str:
        """A regular expression of all names, for the wildcard."""
        return "|".join(self.by_name) or "(?!)"

    def files(self, stage: str) -> list[str]:
        """The files, in all formats, of what the target of a stage makes."""
        names = [name for name, output in self.by_name.items() if output.result.stage == stage]
        return [f"{self.folder}/{name}.{form}" for name in names for form in self.formats]

    def inputs(self, wildcards: Any) -> list[str]:
        """The files that are read."""
        return list(self._of(wildcards).inputs.values())

    def names(self, wildcards: Any) -> list[str]:
        """The experiments or cases of these files."""
        return list(self._of(wildcards).inputs)

    def plugin(self, wildcards: Any) -> str:
        """The name of the plug-in."""
        return str(self._of(wildcards).product.name)

    def reader(self, wildcards: Any) -> str:
        """The function that reads a file: ``module:function``."""
        return self._of(wildcards).result.reader

    def sources(self, wildcards: Any) -> list[Path]:
        """The source files that a script imports by name: those of the plug-in and of the reader."""
        output = self._of(wildcards)
        return [output.product.source, output.result.source]

    def caption(self, wildcards: Any) -> str:
        """The text in the report."""
        output = self._of(wildcards)
        return output.product.caption(self.plan.config, list(output.inputs))

    def category(self, wildcards: Any) -> str:
        """Where the report lists it."""
        return self._of(wildcards).product.category

    def labels(self, wildcards: Any) -> dict[str, str]:
        """The columns of the report's list."""
        output = self._of(wildcards)
        return output.product.labels(output.name)

    def memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes of the job."""
        output = self._of(wildcards)
        data = sum(output.result.megabytes(self.plan, name) for name in output.inputs)
        return math.ceil(attempt * (resources.PROCESS + resources.DRAWING + data))

    def _of(self, wildcards: Any) -> Output:
        return self.by_name[getattr(wildcards, self.registry.kind)]


def figure_outputs(plan: Plan) -> Outputs:
    """The figures of a plan."""
    return Outputs(plan, figures, "results/figures", FIGURE_FORMATS)


def table_outputs(plan: Plan) -> Outputs:
    """The tables of a plan."""
    return Outputs(plan, tables, "results/tables", TABLE_FORMATS)
