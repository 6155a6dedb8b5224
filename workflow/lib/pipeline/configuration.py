"""Checking the config: the JSON schema, what a schema cannot say, and one clear line for each problem."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from pipeline.canonical import complete_settings, schema, setting_names, theory_cases
from pipeline.files import THEORY_FIGURES, THEORY_TABLES
from pipeline.limits import memory_problems
from pipeline.problems import ConfigError, key_path, nearest, shown

#: Figure file that gathers all sweeps; an experiment of that name would write to the same files.
HYPERPARAMETERS = "hyperparameters"

_COMPARISONS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_TYPES = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
}


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check the whole config and return it without the keys that an overlay removed (`key: null`).

    Raises
    ------
    ConfigError
        With every problem found. What the schema finds comes first, alone: the later checks need its types; and the
        memory of the jobs comes last, since it is computed from values that are possible.
    """
    cleaned = _without_nulls(config)
    for problems in (_schema_problems, _cross_problems, memory_problems):
        found = list(dict.fromkeys(problems(cleaned)))
        if found:
            raise ConfigError(found)
    return cleaned


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(entry) for key, entry in value.items() if entry is not None}
    return value


# --- the schema's problems, in words ---------------------------------------------------------------------------------


def _is_number(_checker: Any, value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of doubles
        return False


def _is_integer(checker: Any, value: Any) -> bool:
    """Unlike JSON Schema, not 1.0 as well: a seed of that kind would name another file and start other runs."""
    return isinstance(value, int) and _is_number(checker, value)


_Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"number": _is_number, "integer": _is_integer}),
)


def _schema_problems(config: Any) -> Iterator[str]:
    errors = sorted(
        _Validator(schema()).iter_errors(config), key=lambda error: [str(key) for key in error.absolute_path]
    )
    for error in errors:
        yield from _describe(error)


def _describe(error: ValidationError) -> Iterator[str]:
    path, rule = list(error.absolute_path), error.validator
    value: Any = error.instance
    block: Any = error.schema
    wanted: Any = error.validator_value
    if rule == "additionalProperties":
        known = list(block["properties"])
        for key in value:
            if key not in known:
                yield f"{key_path([*path, key])}: unknown key; {nearest(str(key), known)}"
    elif rule == "required":
        for key in wanted:
            if key not in value:
                yield f"{key_path([*path, key])}: missing; add it"
    elif rule == "type":
        yield f"{key_path(path)}: {_wrong_type(value, wanted)}"
    elif rule in _COMPARISONS:
        if rule == "minimum" and value <= block.get("exclusiveMinimum", -math.inf):
            return  # said already
        yield f"{key_path(path)}: {shown(value)} is not {_COMPARISONS[rule]} {wanted}"
    elif rule in ("enum", "const"):
        choices = [wanted] if rule == "const" else list(wanted)
        hint = nearest(str(value), [str(choice) for choice in choices])
        yield f"{key_path(path)}: {shown(value)} is not possible; {hint}"
    elif rule in ("minItems", "minProperties"):
        yield f"{key_path(path)}: empty; give at least one entry"
    elif rule == "uniqueItems":
        doubled = next((entry for place, entry in enumerate(value) if entry in value[:place]), value)
        yield f"{key_path(path)}: {shown(doubled)} is listed twice"
    elif rule in ("pattern", "maxLength"):
        # The only patterns are those of names, which become folders and files.
        allowed = "at most 64 letters, digits, '-' and '_', the first a letter or digit"
        yield f"{key_path([*path, value])}: not a name; use {allowed}"
    else:
        yield f"{key_path(path)}: {error.message}"


def _wrong_type(value: Any, wanted: str | list[str]) -> str:
    found = shown(value)
    if isinstance(wanted, list):
        return f"{found} is not {' or '.join(_TYPES[kind] for kind in wanted)}"
    if wanted not in ("number", "integer"):
        return f"{found} is not {_TYPES[wanted]}"
    if wanted == "integer" and isinstance(value, float) and value.is_integer():
        return f"{found} is not {_TYPES[wanted]}; write {shown(int(value))}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{found} is too large for a computer's numbers"
    if not isinstance(value, str):
        return f"{found} is not {'a finite number' if wanted == 'number' else _TYPES[wanted]}"
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if wanted == "integer" and number.is_integer():
        return f"{found} is text, not {_TYPES[wanted]}; write {shown(int(number))}"
    if wanted == "integer" or not math.isfinite(number):
        return f"{found} is text, not {_TYPES[wanted]}"
    remedy = f"write {_yaml_number(number)} (YAML reads 1e-3 as text, 1.0e-3 as a number)"
    return f"{found} is text, not {_TYPES[wanted]}; {remedy}"


def _yaml_number(number: float) -> str:
    """The number so that YAML 1.1 reads it as one: with a point before the exponent, and a sign in it."""
    mantissa, exponent, power = repr(number).partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{exponent}{power}"


# --- what a schema cannot say ----------------------------------------------------------------------------------------


def _cross_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("cases", "experiments"):
        yield from _name_problems(kind, config[kind])
    for case in config["cases"]:
        yield from _case_problems(config, case)
    for name, experiment in config["experiments"].items():
        yield from _experiment_problems(config, name, experiment)
    yield from _theory_problems(config)


def _name_problems(kind: str, names: Iterable[str]) -> Iterator[str]:
    """Names that share their files where the file system does not tell capitals from small letters, as on macOS."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(name.lower(), name)
        if other != name:
            reason = f"differs from {other} in capitals only, so they share files on macOS"
            yield f"{kind}.{name}: {reason}; choose another name"


def _case_problems(config: Mapping[str, Any], case: str) -> Iterator[str]:
    block = config["cases"][case]
    settings = complete_settings(config, case)
    for name in setting_names():
        if name not in settings:
            yield f"cases.{case}.algorithm.{name}: missing; give it there or in algorithm.{name}"
    state_dim, action_dim = block["state_dim"], block["action_dim"]
    if block["initial_gain"] != "zero":
        yield from _shape_problem(
            f"cases.{case}.initial_gain", block["initial_gain"], (action_dim, state_dim), "action_dim x state_dim"
        )
    if block["tasks"]["family"] == "given":
        yield from _given_task_problems(case, block["tasks"], state_dim, action_dim)
    elif not block["tasks"]["uniform_low"] < block["tasks"]["uniform_high"]:
        low, high = block["tasks"]["uniform_low"], block["tasks"]["uniform_high"]
        yield f"cases.{case}.tasks.uniform_low: {low!r} is not < uniform_high, which is {high!r}"


def _given_task_problems(case: str, tasks: Mapping[str, Any], state_dim: int, action_dim: int) -> Iterator[str]:
    square = ((state_dim, state_dim), "state_dim x state_dim")
    shapes = dict.fromkeys(("A", "Q", "Psi", "Sigma0"), square) | {
        "B": ((state_dim, action_dim), "state_dim x action_dim"),
        "R": ((action_dim, action_dim), "action_dim x action_dim"),
    }
    count = len(tasks["A"])
    for name, entries in tasks.items():
        if name == "family":
            continue
        key = f"cases.{case}.tasks.{name}"
        if len(entries) != count:
            yield f"{key}: {len(entries)} tasks, but A has {count}; give one entry for each task"
        if name in shapes:
            for index, matrix in enumerate(entries):
                yield from _shape_problem(f"{key}[{index}]", matrix, *shapes[name])


def _shape_problem(key: str, matrix: list[list[float]], shape: tuple[int, int], words: str) -> Iterator[str]:
    if len(matrix) != shape[0] or any(len(row) != shape[1] for row in matrix):
        lengths = sorted({len(row) for row in matrix})
        found = f"{len(matrix)} x {' or '.join(map(str, lengths))}"
        yield f"{key}: the matrix is {found}, not {words} = {shape[0]} x {shape[1]}"


def _experiment_problems(config: Mapping[str, Any], name: str, experiment: Mapping[str, Any]) -> Iterator[str]:
    if name.lower() == HYPERPARAMETERS:
        yield f"experiments.{name}: this name is kept for the figure of all sweeps; choose another"
    if name.lower() in {*THEORY_FIGURES, *THEORY_TABLES}:
        yield f"experiments.{name}: this name is kept for the stage theory; choose another"
    yield from _unknown_cases(config, f"experiments.{name}.cases", experiment["cases"])
    sweep = experiment["sweep"]
    for setting, values in sweep.items():
        if not isinstance(values, str):
            continue
        key = f"experiments.{name}.sweep.{setting}"
        if not isinstance(sweep.get(values), list):
            yield f"{key}: {values!r} is not a setting with a list of values in this sweep, so nothing can move with it"
            continue
        rules = {"$defs": schema()["$defs"], "$ref": f"#/$defs/setting/{setting}"}
        for problem in _value_problems(rules, sweep[values]):
            yield f"{key} (moves with {values}): {problem}"
    for case in filter(config["cases"].__contains__, experiment["cases"]):
        yield from _precision_problems(f"experiments.{name}", sweep, complete_settings(config, case))


def _unknown_cases(config: Mapping[str, Any], key: str, cases: list[str]) -> Iterator[str]:
    for index, case in enumerate(cases):
        if case not in config["cases"]:
            yield f"{key}[{index}]: there is no case {case!r}; {nearest(case, list(config['cases']))}"


def _theory_problems(config: Mapping[str, Any]) -> Iterator[str]:
    block = config["theory"]
    if isinstance(block["cases"], list):
        yield from _unknown_cases(config, "theory.cases", block["cases"])
    elif block["cases"] != "all":
        yield f"theory.cases: {shown(block['cases'])} is not all; write a list, even of one case"
        return
    for case in theory_cases(config):
        settings = complete_settings(config, case)
        yield from _precision_problems(f"cases.{case}", {}, settings)
        yield from _precision_problems("theory.estimation_error", block["estimation_error"], settings)


def _precision_problems(key: str, sweep: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    """Smoothing radii of which single precision would round too much away."""
    if "float32" not in sweep.get("precision", [settings.get("precision")]):
        return
    radii = sweep.get("smoothing_radius", [settings.get("smoothing_radius")])
    if isinstance(radii, list):
        rules = {"$defs": schema()["$defs"], "$ref": "#/$defs/single_precision_radius"}
        for problem in _value_problems(rules, radii):
            yield f"{key}: smoothing_radius {problem} in single precision; choose another or precision: float64"


def _value_problems(rules: Mapping[str, Any], values: list[Any]) -> Iterator[str]:
    for value in values:
        for error in _Validator(rules).iter_errors(value):
            for line in _describe(error):
                yield line.partition(": ")[2]
