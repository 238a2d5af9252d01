# SPDX-License-Identifier: Apache-2.0
"""Requests that are sent to the real Aodh and to alarmd alike, and how a case is written down.

A case is a short conversation. Words that begin with `$` stand for what is known only while it runs: `$p1`, `$p2` and
`$p3` are projects and `$ann`, `$bob`, `$eve` and `$root` users that no other case uses, and a step may keep parts of
its answer under names of its own.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

#: What a step needs besides: nothing is sent.
NO_BODY: Final = object()

Kept: TypeAlias = dict[str, Any]
Cases: TypeAlias = dict[str, "tuple[Step, ...]"]

#: Callers: a member of a project, somebody of another, a reader, a colleague, and the operator.
ANN: Final = {"X-User-Id": "$ann", "X-Project-Id": "$p1", "X-Roles": "member,reader"}
BOB: Final = {"X-User-Id": "$bob", "X-Project-Id": "$p2", "X-Roles": "member,reader"}
EVE: Final = {"X-User-Id": "$eve", "X-Project-Id": "$p1", "X-Roles": "reader"}
MAY: Final = {"X-User-Id": "$may", "X-Project-Id": "$p1", "X-Roles": "member,reader"}
ROOT: Final = {"X-User-Id": "$root", "X-Project-Id": "$p3", "X-Roles": "admin"}
NOBODY: Final[Mapping[str, str]] = {}

_NAMES: Final = ("p1", "p2", "p3", "ann", "bob", "eve", "may", "root")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request. `keep` names parts of its answer by their path, e.g. `{"a": "alarm_id", "first": "0.event_id"}`."""

    method: str
    path: str
    who: Mapping[str, str] = field(default_factory=lambda: dict(ANN))
    body: Any = NO_BODY
    raw: str | None = None  # sent as it is, and as JSON unless the headers say otherwise
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)


def get(path: str, who: Mapping[str, str] = ANN, **rest: Any) -> Step:
    """Return a GET."""
    return Step(method="GET", path=path, who=who, **rest)


def post(path: str, body: Any, who: Mapping[str, str] = ANN, **rest: Any) -> Step:
    """Return a POST; a body that is a function is called with what was kept."""
    return Step(method="POST", path=path, body=body, who=who, **rest)


def put(path: str, body: Any, who: Mapping[str, str] = ANN, **rest: Any) -> Step:
    """Return a PUT; a body that is a function is called with what was kept."""
    return Step(method="PUT", path=path, body=body, who=who, **rest)


def delete(path: str, who: Mapping[str, str] = ANN, **rest: Any) -> Step:
    """Return a DELETE."""
    return Step(method="DELETE", path=path, who=who, **rest)


def create(body: Any, who: Mapping[str, str] = ANN, keep: str = "a") -> Step:
    """Return the creation of an alarm, whose id is kept under a name and what was answered as `<name>_doc`."""
    return post("/v2/alarms", body, who, keep={keep: "alarm_id", f"{keep}_doc": ""})


def names_of(case: str) -> Kept:
    """Return what the words stand for in a case: the same for both servers, and no other case's."""
    return {name: f"{name}-{zlib.crc32(case.encode()):08x}" for name in _NAMES}


def fill(value: Any, kept: Kept) -> Any:
    """Put in what the words stand for, anywhere in a value."""
    if isinstance(value, str):
        if value.startswith("$") and value[1:] in kept:
            return kept[value[1:]]
        return re.sub(r"\$([a-z][a-z0-9_]*)", lambda word: str(kept.get(word[1], word[0])), value)
    if isinstance(value, Mapping):
        return {key: fill(item, kept) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, kept) for item in value]
    return value


def body_of(step: Step, kept: Kept) -> Any:
    """Return the body that a step sends, its words put in."""
    made: Callable[[Kept], Any] | Any = step.body
    return fill(made(kept) if callable(made) else made, kept)


def part(document: Any, path: str) -> Any:
    """Return the part of a document at a path, or None."""
    for key in filter(None, path.split(".")):
        try:
            document = document[int(key)] if isinstance(document, list) else document[key]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return document
