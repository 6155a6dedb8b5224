"""Signatures with the annotations of the source: ``FloatArray``, and not what NumPy makes of it."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel


class _Text:
    """Text that prints as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def written(value: Any) -> tuple[str, str]:
    """The parameters and the returned type of a function or a class, as in its source.

    Raises
    ------
    TypeError, ValueError
        If it has no signature.
    """
    found = inspect.signature(value)
    annotations = _of_class(value) if inspect.isclass(value) else _of_function(value)
    kept = [
        each.replace(annotation=_Text(annotations[each.name]) if each.name in annotations else inspect.Parameter.empty)
        for each in found.parameters.values()
        if each.name != "self"
    ]
    return str(found.replace(parameters=kept, return_annotation=inspect.Signature.empty)), annotations.get("return", "")


def _of_function(function: Callable[..., Any]) -> dict[str, str]:
    (tree,) = _parsed(inspect.unwrap(function)).body
    if not isinstance(tree, ast.FunctionDef):
        return {}
    arguments = [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs, tree.args.vararg, tree.args.kwarg]
    found = {each.arg: ast.unparse(each.annotation) for each in arguments if each and each.annotation}
    return found | ({"return": ast.unparse(tree.returns)} if tree.returns else {})


def _of_class(cls: type) -> dict[str, str]:
    """Of the fields of a class and its bases, or of its ``__init__``."""
    if inspect.isfunction(vars(cls).get("__init__")) and not hasattr(cls, "__dataclass_fields__"):
        return {name: text for name, text in _of_function(vars(cls)["__init__"]).items() if name != "return"}
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("metalqr"):
            (tree,) = _parsed(base).body
            assert isinstance(tree, ast.ClassDef)
            fields = [each for each in tree.body if isinstance(each, ast.AnnAssign)]
            found |= {ast.unparse(each.target): ast.unparse(each.annotation) for each in fields}
    return found


def _parsed(value: Any) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(value)))


def shown(
    app: Any, what: str, name: str, value: Any, options: Any, parameters: str, returned: str
) -> tuple[str, str] | None:
    """The signature for autodoc. Settings have none: their tables are in docs/."""
    if what in ("class", "exception") and issubclass(value, BaseModel):
        return "", ""
    if what == "data":
        return None
    try:
        return written(value)
    except (TypeError, ValueError, OSError):
        return None


def setup(app: Any) -> dict[str, bool]:
    """Register the signatures."""
    app.connect("autodoc-process-signature", shown)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
