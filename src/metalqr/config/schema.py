"""Files generated from the declared settings: the JSON schema for editors, and the tables of the documentation.

``make schema`` runs this module as a program; a test fails when the files are out of date.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from metalqr.common.generated import with_parts
from metalqr.config import evaluation, model, plugin_types, prediction, theory
from metalqr.config.algorithm import CHOICES, MetaSettings
from metalqr.config.registries import estimators, families, initial_gains
from metalqr.config.registry import Registry
from metalqr.config.settings import MAX_COUNT, MAX_SEED, declaration, type_of
from metalqr.config.tuning import Tune

ROOT = Path(__file__).resolve().parents[3]
SCHEMA_FILE = ROOT / "workflow" / "schemas" / "config.schema.json"
DOCS_PAGE = ROOT / "docs" / "configuration.md"

#: Upper limits of all whole numbers, which are not specific to a setting.
_LIMITS = (MAX_COUNT, MAX_SEED)
_HEADING = "| setting | symbol | default | range | meaning |\n|---|---|---|---|---|\n"


def schema_text() -> str:
    """The JSON schema of the config, as its file holds it."""
    text = json.dumps(plugin_types.config_model().model_json_schema())
    # In a config a null removes a key, so it is no default.
    schema = json.loads(text, object_hook=lambda found: {k: v for k, v in found.items() if (k, v) != ("default", None)})
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """A page of the documentation with what stands between its markers renewed by these tables."""
    placed = set()

    def table(name: str) -> str:
        placed.add(name)
        return tables[name]

    page = with_parts(page, "make schema", table)
    if missing := tables.keys() - placed:
        raise ValueError(f"the page has no place for {min(missing)}")
    return page


def tables() -> dict[str, str]:
    """The tables in Markdown by name."""
    return {
        "the settings of the algorithm": _table(MetaSettings) + "".join(_of_plugins(dict.fromkeys(CHOICES.values()))),
        "what the estimators take": _of_estimators(),
        "the tuning": _table(Tune),
        "the task families": "".join(_of_plugins([families])).lstrip(),
        "the initial gains": "".join(_of_plugins([initial_gains])).lstrip(),
        "the theory": _table(theory.Theory),
        "the evaluation": _table(evaluation.Evaluation),
        "the prediction": _table(prediction.Prediction),
        "the execution": _table(model.Execution),
    }


def _table(settings: Any) -> str:
    return _HEADING + "".join(_rows(settings))


def _rows(settings: Any, prefix: str = "") -> Iterator[str]:
    """The rows of all settings, those of nested blocks with the block's name before theirs."""
    for name, field in settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _rows(field.annotation, f"{prefix}{name}.")
        else:
            yield _row(f"{prefix}{name}", field)


def _of_plugins(registries: Iterable[Registry[Any]]) -> Iterator[str]:
    for registry in registries:
        for plugin in registry:
            # Named systems have a page of their own.
            if plugin.Settings.names() and getattr(plugin, "docs_page", DOCS_PAGE.name) == DOCS_PAGE.name:
                yield f"\nThe {registry.kind} `{plugin.name}` has settings of its own:\n\n{_table(plugin.Settings)}"


def _of_estimators() -> str:
    rows = (
        f"| `{plugin.name}` | {plugin.rollouts(1)} | {plugin.min_perturbations} | {plugin.needs or 'nothing more'} |\n"
        for plugin in estimators
    )
    heading = "| estimator | rollouts a perturbation | least perturbations | needs beside costs |\n|---|---|---|---|\n"
    return heading + "".join(rows)


def _row(name: str, field: FieldInfo) -> str:
    declared = declaration(name, field)
    default = "none" if declared.is_required else ""
    if declared.default is not None:
        default = f"`{json.dumps(declared.default).strip(chr(34))}`"
    if name in CHOICES:
        kind = ", ".join(f"`{choice}`" for choice in CHOICES[name].names())
    else:
        kind = _words(TypeAdapter(type_of(field)).json_schema())
    symbol = f"${declared.symbol}$".replace("|", r"\|") if declared.symbol else ""
    return f"| `{name}` | {symbol} | {default} | {kind} | {declared.about} |\n"


def _words(schema: Mapping[str, Any]) -> str:
    """A type and its range."""
    choices = [each for key in ("anyOf", "oneOf") for each in schema.get(key, ()) if each.get("type") != "null"]
    if choices:
        return " or ".join(map(_words, choices))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        entry = _words(schema["items"])
        plain = {"number": "numbers", "text": "texts"}.get(entry) or (
            f"lists{entry[4:]}" if entry[:4] == "list" else ""
        )
        return f"list of {plain}" if plain else f"list, each a {entry}"
    kinds = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
    kind = {**kinds, "object": "mapping"}[schema["type"]]
    bounds = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    told = [f"{sign} {schema[key]:g}" for key, sign in bounds.items() if schema.get(key, MAX_COUNT) not in _LIMITS]
    return " ".join([kind, ", ".join(told)]).strip()


def main() -> None:
    """Write the schema and the tables."""
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    DOCS_PAGE.write_text(with_tables(DOCS_PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")


if __name__ == "__main__":
    main()
