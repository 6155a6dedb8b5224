"""The identity of a run: the settings that differ from their defaults, so that a new setting makes no old run stale."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from metalqr.config.algorithm import MetaSettings, all_declarations
from metalqr.config.tuning import TUNE, stated, tuned

DIGEST_LENGTH = 12


def digest(value: Any) -> str:
    """Short digest of a value that JSON can hold; the order of keys does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def identity(settings: MetaSettings, tune: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The settings of a run that differ from the defaults or have none; the block that tunes some stands for these."""
    chosen = tuned(tune)
    return stated({name: value for name, value in settings.changed().items() if name not in chosen}, tune)


def configuration_digest(settings: MetaSettings, tune: Mapping[str, Any] | None = None) -> str:
    """Short name of a run's :func:`identity`."""
    return digest(identity(settings, tune))


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """The reason why a file belongs to another run, by all settings in full; None if it belongs to the one wanted.

    A setting that a file does not name is younger than the file, so the file has it at its default. One that is no
    setting any more does not count. Both mappings have every setting, as the file says it and as the config gives it.
    Of a setting that was tuned, the file may have any of the values that were tried.
    """
    # As stored in a file, where a tuple is a list.
    defaults = json.loads(json.dumps({each.name: each.default for each in all_declarations()}))
    wanted = json.loads(json.dumps(wanted))
    if found.get(TUNE) != wanted.get(TUNE):
        return f"it was run with {TUNE}: {found.get(TUNE)}, but {TUNE}: {wanted.get(TUNE)} is wanted"
    tried = tuned(wanted.get(TUNE))
    for name, value in wanted.items():
        if name == TUNE or found.get(name) in tried.get(name, ()):
            continue
        other = found.get(name, defaults.get(name))
        if other != value:
            since = ", since the default has changed" if value == defaults.get(name) else ""
            return f"it was run with {name}: {other!r}, but {name}: {value!r} is wanted{since}"
    for name in sorted(found.keys() & defaults.keys() - wanted.keys()):
        if found[name] != defaults[name]:
            return f"it was run with {name}: {found[name]!r}, but without that setting is wanted"
    return None
