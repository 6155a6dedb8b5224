"""How a config with overlays differs from the one underneath, setting by setting, in words."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from metalqr.config.model import default_algorithm
from metalqr.config.reading import lay_over, read_configs


class Difference(NamedTuple):
    """A setting, or several that change alike, with its value underneath and here, as YAML has them."""

    key: str
    before: str
    after: str


#: What stands for the value of a setting that only one of the configs has.
ABSENT, LEFT_OUT = "not given", "left out"
#: Characters of the longest list that a terminal shows.
_SHORT = 16
#: The path of a setting, each level with the names that change alike.
_Keys = list[list[str]]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Settings that one config changes in another.

    The block ``execution`` changes no number, so it is left out; and a setting of the algorithm that is left out has
    its default. Settings that differ in one level of their keys alone and change alike are one entry, with the names in
    braces. A mapping that only one of the configs has is an entry as a whole, and so is a list.

    Parameters
    ----------
    before, after : mapping
        Raw configs. In ``after`` a setting may be None, which leaves it out.

    Returns
    -------
    list of Difference
        In the order of ``before``, then that of ``after``; empty if they say the same.

    Examples
    --------
    >>> one = {"cases": {"a": {"rate": 1}, "b": {"rate": 1}, "c": {}}, "seeds": [0, 1]}
    >>> for found in differences(one, {"cases": {"a": {"rate": 2}, "b": {"rate": 2}, "c": None}, "seeds": [0]}):
    ...     print(*found, sep=" | ")
    cases.{a, b}.rate | 1 | 2
    cases.c | given | left out
    seeds | [0, 1] | [0]
    """
    groups: list[tuple[_Keys, str, str]] = []
    for path, old, new in _changes(_numbers(before), _numbers(after), ()):
        for keys, *others in groups:
            if others == [old, new] and (level := _joint_level(keys, path)) is not None:
                keys[level].append(path[level])
                break
        else:
            groups.append(([[name] for name in path], old, new))
    return [Difference(".".join(map(_braced, keys)), old, new) for keys, old, new in groups]


def told(changes: Sequence[Difference], width: int = 80) -> str:
    """The differences as lines for a terminal of this many columns; of a long list only its length."""
    lines = (
        f"{change.key}: {_short(change.after)}" + ("" if change.after == LEFT_OUT else f", not {_short(change.before)}")
        for change in changes
    )
    wrapper = textwrap.TextWrapper(width, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)
    return "\n".join(map(wrapper.fill, lines))


def _numbers(config: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in config.get("algorithm", {}).items() if value is not None}
    rest = {name: value for name, value in config.items() if name != "execution"}
    return {**rest, "algorithm": {**default_algorithm(), **given}}


def _changes(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    for name in dict.fromkeys([*before, *after]):
        here = (*path, name)
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changes(old, new, here)
        elif old != new:
            yield here, _shown(old, ABSENT), _shown(new, LEFT_OUT)


def _shown(value: Any, absent: str) -> str:
    if value is None:
        return absent
    if isinstance(value, Mapping):
        return "given"
    plain = json.loads(json.dumps(value))  # Snakemake's own kind of mappings is none that YAML knows
    text = yaml.safe_dump(plain, default_flow_style=True, width=sys.maxsize, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _short(text: str) -> str:
    return f"{len(yaml.safe_load(text))} values" if text.startswith("[") and len(text) > _SHORT else text


def _joint_level(keys: _Keys, path: Sequence[str]) -> int | None:
    """The only level at which a path is none of a group's, if there is one and the group has one name elsewhere."""
    if len(keys) != len(path):
        return None
    others = [level for level, (names, name) in enumerate(zip(keys, path, strict=True)) if names != [name]]
    return others[0] if len(others) == 1 else None


def _braced(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"


def main(files: Sequence[str]) -> None:
    """Print how the first config differs from itself with the others laid over it."""
    configs, _ = read_configs(files)
    before = configs[0]
    (after, *_), _ = read_configs(files[:1])
    for change in configs[1:]:
        lay_over(after, change)
    print(f"Not the numbers of {files[0]}, which are the paper's. What differs:")
    print(told(differences(before, after), shutil.get_terminal_size().columns))


if __name__ == "__main__":
    main(sys.argv[1:])
