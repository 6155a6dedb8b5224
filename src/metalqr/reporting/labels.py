"""Labels and symbols of the axes of datasets; those of a setting come from its declaration."""

from metalqr.config.algorithm import setting_declaration
from metalqr.config.settings import Declaration


def declared(axis: str) -> Declaration:
    """The declaration of the setting that an axis is named after; of another axis, such as ``variant``, its name."""
    words = axis.removeprefix("tasks.").replace("_", " ")
    other = Declaration(axis, words, symbol="", unit="", about="", is_size=False, is_required=False, default=None)
    return setting_declaration(axis) or other
