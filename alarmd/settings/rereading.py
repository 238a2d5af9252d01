# SPDX-License-Identifier: Apache-2.0
"""What becomes of settings that are read again while the daemon runs: what changes, and what has to wait."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from alarmd.errors import SettingsError
from alarmd.settings.loading import MASK
from alarmd.settings.schema import SECRETS, Settings, keys, value_of
from alarmd.settings.showing import shown

#: What a running daemon keeps: where everything is (nothing may be read in one place and written in another), the
#: socket that the parent holds, which kinds of processes there are, and how long it gives them to end.
NEEDS_RESTART = frozenset(
    {
        "state_dir",
        "roles",
        "drain_timeout_s",
        "api.listen",
        "store.url",
        "store.url_file",
        "log.engine",
        "log.options",
    }
)

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """Settings that were read again."""

    #: What the daemon goes on with.
    settings: Settings
    #: What is different now, by key: the value before and after, for people, without secrets.
    changed: Mapping[str, str]
    #: What is different in the file and counts after a restart only.
    waiting: Mapping[str, str]


def reread(before: Settings, after: Settings) -> Reread:
    """Return what a daemon that has had `before` goes on with once `after` was read.

    Raises `SettingsError` where what is new does not go with what cannot change.
    """
    waiting = _differences(before, after, only=NEEDS_RESTART)
    settings = _with_kept(before, after, waiting) if waiting else after
    return Reread(settings=settings, changed=_differences(before, settings), waiting=waiting)


def _differences(before: Settings, after: Settings, *, only: frozenset[str] | None = None) -> dict[str, str]:
    return {
        key: _told(key, value_of(before, key), value_of(after, key))
        for key, _ in keys()
        if (only is None or key in only) and value_of(before, key) != value_of(after, key)
    }


def _told(key: str, before: Any, after: Any) -> str:
    """Return what may stand in a log. Of plugins' options nothing does: only they know what of it is secret."""
    if key in SECRETS:
        return MASK
    if _is_table(before) or _is_table(after):
        return "(table)"
    return f"{shown(key, before)} -> {shown(key, after)}"


def _is_table(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(_is_table(item) for item in value)
    return isinstance(value, BaseModel | Mapping)


def _with_kept(before: Settings, after: Settings, kept: Mapping[str, str]) -> Settings:
    """Return the new settings with the old values of some keys, checked again: what goes together may have changed."""
    changes: dict[str, Any] = {}
    for section, names in _by_section(kept):
        old = {name: value_of(before, f"{section}.{name}" if section else name) for name in names}
        try:
            changes |= {section: _rebuilt(getattr(after, section), old)} if section else old
        except ValidationError as error:
            raise _mismatch(error, kept) from error
    try:
        return _rebuilt(after, changes)
    except ValidationError as error:
        raise _mismatch(error, kept) from error


def _by_section(dotted: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    sections: dict[str, list[str]] = {}
    for key in dotted:
        section, _, name = key.rpartition(".")
        sections.setdefault(section, []).append(name)
    yield from sections.items()


def _rebuilt(model: _Model, changes: Mapping[str, Any]) -> _Model:
    return type(model)(**{name: getattr(model, name) for name in type(model).model_fields} | dict(changes))


def _mismatch(error: ValidationError, kept: Mapping[str, str]) -> SettingsError:
    messages = "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
    return SettingsError(
        f"What is new does not go with what changes at a restart only ({', '.join(kept)}): {messages}. "
        "Restart alarmd to have all of it, or put these keys back."
    )
