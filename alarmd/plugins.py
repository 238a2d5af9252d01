# SPDX-License-Identifier: Apache-2.0
"""Plugins: found by entry point, checked by their own schema, built-ins and strangers alike.

Groups: ``alarmd.pollers``, ``alarmd.logs``, ``alarmd.evaluators``, ``alarmd.notifiers``. What an entry point of a group
must point at is said by the seam of that room (`pollers.source.SourcePlugin`, `cache.log.LogPlugin`,
`model.rule.RuleType`, `notifiers.scheme.SchemePlugin`).
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from alarmd.errors import PluginError, SettingsError

_Options = TypeVar("_Options", bound="Options")


class Options(BaseModel):
    """Base of what a plugin can be told in the settings: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def names(group: str) -> list[str]:
    """Return the names registered in a group, sorted."""
    return sorted({entry.name for entry in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """Return the plugin registered under a name.

    Raises `PluginError` when there is none, or when its import fails, e.g. because a library is not installed.
    """
    for entry in entry_points(group=group, name=name):
        try:
            return entry.load()
        except ImportError as error:
            extra = f" Install it with: pip install 'alarmd[{name}]'" if name in _EXTRAS else ""
            raise PluginError(f"{name!r} of {group} cannot be loaded: {error}.{extra}", plugin=name) from error
    near = get_close_matches(name, names(group), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise PluginError(f"There is no {name!r} in {group}; known: {', '.join(names(group))}.{hint}", plugin=name)


#: Plugins whose libraries come with an extra of the same name.
_EXTRAS = frozenset({"libvirt", "redis"})


def parse_options(schema: type[_Options], options: Mapping[str, Any], *, where: str) -> _Options:
    """Return a plugin's options, checked.

    Raises `SettingsError` that names the place, the value and what is allowed.
    """
    try:
        return schema.model_validate(dict(options))
    except ValidationError as error:
        raise SettingsError(explain(error, known=list(schema.model_fields), where=where)) from error


def explain(error: ValidationError, *, known: list[str], where: str) -> str:
    """Return every complaint of a failed validation, a line each: place, value, what is allowed, nearest known key."""
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in (where, *problem["loc"]) if part != "")
        if problem["type"] == "extra_forbidden":
            near = get_close_matches(str(problem["loc"][-1]), known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" Known keys: {', '.join(known)}."
            lines.append(f"{place}: unknown key.{hint}")
        else:
            lines.append(f"{place}: {problem['msg']} (got {problem['input']!r})")
    return "\n".join(lines)
