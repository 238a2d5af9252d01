# SPDX-License-Identifier: Apache-2.0
"""Events: what other services say has happened, e.g. that a machine was stopped."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

#: What a trait or a field says. Booleans are no numbers here.
Value: TypeAlias = str | int | float | bool | datetime

_TRAITS = "traits."
#: The field that is a moment wherever events come from.
_GENERATED = "generated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, as it was pushed and as conditions see it."""

    message_id: str
    event_type: str
    #: Whose alarms it concerns.
    project_id: str
    #: By name, each as its declared type has it; of a name that stands twice the last one counts.
    traits: Mapping[str, Value]
    #: The whole event as receivers get it: its traits as a list of ``[name, type, value]``.
    document: Mapping[str, Any]

    def value_of(self, field: str) -> Value | None:
        """Return what stands in ``traits.NAME``, or in a field of the event (``a.b`` within objects); None if nothing.

        Lists and objects are nothing that could be compared.
        """
        if field.startswith(_TRAITS):
            return self.traits.get(field.removeprefix(_TRAITS))
        found: Any = self.document.get(field)
        if found is None:
            found = self.document
            for key in field.split("."):
                found = found.get(key) if isinstance(found, Mapping) else None
        if not isinstance(found, str | int | float):
            return None
        return (read_moment(found) or found) if field == _GENERATED and isinstance(found, str) else found


def read_moment(text: str) -> datetime | None:
    """Return a moment in ISO 8601 (no zone: UTC), or None when it is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
