"""Names in docstrings and signatures: those that are relative to their module, and those that have no page."""

import importlib
import sys
from functools import cache, reduce
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform


@cache
def _module_of(path: str) -> str:
    """The name of the module with this source."""
    return next((name for name, module in list(sys.modules.items()) if getattr(module, "__file__", None) == path), "")


@cache
def _value(name: str) -> Any:
    """What a full name means; for a field of a class without a value, the class; None if it means nothing."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        try:
            return reduce(lambda found, part: _member(found, part), parts[count:], value)
        except AttributeError:
            return None
    return None


def _member(value: Any, name: str) -> Any:
    fields: dict[str, Any] = getattr(value, "__dataclass_fields__", {})
    return value if name in fields and not hasattr(value, name) else getattr(value, name)


def _own_name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"


def _scopes(node: addnodes.pending_xref) -> list[str]:
    """The modules and classes in which a name of a docstring or a signature may be, nearest first."""
    module = node.get("py:module") or ""
    source = _module_of((node.source or "").partition(":docstring of ")[0])
    scopes = [source, module, f"{module}.{node.get('py:class')}"]
    signature = node.parent
    while signature is not None and not isinstance(signature, addnodes.desc_signature):
        signature = signature.parent
    if signature is not None:
        described = _value(f"{signature.get('module')}.{signature.get('fullname')}")
        scopes.insert(0, getattr(described, "__module__", ""))
    return [*scopes, ""]


class Names(SphinxPostTransform):
    """Gives every name the full name under which it is described, before Sphinx searches for it."""

    default_priority = 5

    def run(self, **options: Any) -> None:
        objects = self.env.get_domain("py").objects  # type: ignore[attr-defined]
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node.get("refdomain") != "py":
                continue
            for scope in _scopes(node):
                name = f"{scope}.{node['reftarget']}".lstrip(".")
                value = _value(name)
                described = next((each for each in (name, _own_name(value)) if each in objects), None)
                if described:
                    # Any kind: a field without a value is described with its class.
                    node["reftarget"], node["refspecific"], node["reftype"] = described, False, "obj"
                    break
                if value is not None:
                    node["has_no_page"] = True
                    break


def without_page(app: Any, environment: Any, node: Any, content: nodes.Element) -> nodes.Element | None:
    """The text of a name that means something but has no page; None, a warning, if it means nothing.

    Names of a signature mean something, since the code runs, so that there is no warning of them.
    """
    of_docstring = ":docstring of " in (node.source or "")
    is_known = node.get("refdomain") == "py" and (node.get("has_no_page") or not of_docstring)
    return content if is_known else None


def setup(app: Any) -> dict[str, bool]:
    """Register the search for names."""
    app.add_post_transform(Names)
    app.connect("missing-reference", without_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
