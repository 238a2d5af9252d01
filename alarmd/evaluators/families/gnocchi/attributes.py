# SPDX-License-Identifier: Apache-2.0
"""Resources in alarmd's own cache as Gnocchi would know them: what they are, what they have, and how that compares.

The cache holds text only. So how to compare is told by whoever names a value: what is written as a number is one, as
far as the text is one, too.
"""

import re
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final
from uuid import UUID

from alarmd.model.samples import Resource

#: The type that every resource is of, beside its own.
EVERY_TYPE: Final = "generic"
#: The label that says which type a resource is of.
TYPE_LABEL: Final = "resource_type"

#: Whoever made a resource; in the cache that is whoever owns it.
CREATORS: Final = frozenset({"created_by_project_id", "created_by_user_id"})
IDS: Final = frozenset({"id", "original_resource_id"})
_OWNERS: Final = {
    "project_id": "project_id",
    "created_by_project_id": "project_id",
    "user_id": "user_id",
    "created_by_user_id": "user_id",
}
#: What nothing in the cache has: it lives, and since when is not known.
_UNKNOWN: Final = frozenset({"ended_at", "lifespan", "revision_end", "revision_start", "started_at"})
#: Tried in this order where a resource has no label of the whole name; those of `threshold`, and Ceilometer's.
_LABEL_PREFIXES: Final = (
    "metadata.user_metadata.",
    "metadata.metering.",
    "metadata.",
    "user_metadata.",
    "metering.",
    "labels.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A value as a query names it."""

    text: str
    #: What it is as a number, where it was written as one.
    number: float | None = None
    #: Whether it was written as true or false.
    is_flag: bool = False
    #: What it is as an id.
    plain_id: str

    @classmethod
    def of(cls, value: str | float) -> "Named":
        """Return a value that stood in JSON."""
        if isinstance(value, bool):
            text = str(value).lower()
            return cls(text=text, is_flag=True, plain_id=text)
        text = str(value)
        number = None if isinstance(value, str) else number_in(text)
        return cls(text=text, number=number, plain_id=plain_id(text))


def is_of_type(resource: Resource, resource_type: str) -> bool:
    """Return whether a resource is of a type; one that does not say its type may be of any."""
    return resource_type == EVERY_TYPE or _label(resource, TYPE_LABEL) in {None, resource_type}


def attribute_of(resource: Resource, name: str) -> str | None:
    """Return what a resource has by the name that Gnocchi gives it, None where that is null."""
    if name in _UNKNOWN:
        return None
    if name in IDS:
        return resource.id
    if name in _OWNERS:
        return getattr(resource, _OWNERS[name]) or None
    if name == "creator":
        return f"{resource.user_id}:{resource.project_id}"
    return _label(resource, TYPE_LABEL if name == "type" else name)


def comparable(attribute: str, has: str, named: Named) -> tuple[Any, Any]:
    """Return what a resource has and what a query names as two things that can be compared."""
    if attribute in IDS:
        return plain_id(has), named.plain_id
    if named.is_flag:
        return has.lower(), named.text
    number = None if named.number is None else number_in(has)
    return (has, named.text) if number is None else (number, named.number)


class Like:
    r"""What SQL says LIKE to: ``%`` is any text, ``_`` any character, ``\`` takes what they mean away.

    Every part between two ``%`` is looked for once, from left to right, so that no pattern takes long.
    """

    __slots__ = ("_last", "_last_length", "_parts")

    def __init__(self, pattern: str) -> None:
        parts: list[list[str]] = [[]]
        characters = iter(pattern)
        for character in characters:
            if character == "%":
                parts.append([])
            elif character == "_":
                parts[-1].append(".")
            else:
                parts[-1].append(re.escape(next(characters, "\\") if character == "\\" else character))
        self._parts = [re.compile("".join(part), re.DOTALL) for part in parts]
        self._last = self._parts.pop() if len(parts) > 1 else None
        self._last_length = len(parts[-1])

    def holds(self, text: str) -> bool:
        """Return whether a text is like this."""
        first, *middle = self._parts
        if self._last is None:
            return first.fullmatch(text) is not None
        found = first.match(text)
        for part in middle:
            found = found and part.search(text, found.end())
        begin = len(text) - self._last_length
        return found is not None and found.end() <= begin and self._last.fullmatch(text, begin) is not None


def _label(resource: Resource, name: str) -> str | None:
    while True:
        for label, value in resource.labels:
            if label == name:
                return value
        prefix = next((prefix for prefix in _LABEL_PREFIXES if name.startswith(prefix)), "")
        if not prefix:
            return None
        name = name.removeprefix(prefix)


def number_in(text: str) -> float | None:
    """Return the finite number that a text is, None where it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def plain_id(text: str) -> str:
    """Return an id in its one spelling, where it is a UUID."""
    try:
        return str(UUID(text))
    except ValueError:
        return text
