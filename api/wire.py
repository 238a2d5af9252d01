# SPDX-License-Identifier: Apache-2.0
"""How values look on the wire, and how moments are read from it."""

import math
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})

#: The last moment that is read: far from where calendars end, so that adding to it is safe.
_LATEST_S = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
#: The longest span that bodies may name: a hundred years stand for "for ever".
LONGEST_S = 100 * 365 * 86_400


def wire_time(moment: datetime) -> str:
    """Return a moment in Aodh's form: naive ISO 8601 in UTC, microseconds unless they are zero."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()


def wire_time_s(time_s: float) -> str:
    """Return seconds since the epoch in Aodh's form; what no calendar holds, as plain seconds."""
    try:
        return datetime.fromtimestamp(time_s, UTC).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError, OSError):
        return repr(time_s)


def read_time_s(value: object) -> float | None:
    """Return a moment as seconds since the epoch, or None when it is none.

    Takes seconds since the epoch as a number, and ISO 8601 with or without a zone (without: UTC).
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            time_s = float(value)
        except OverflowError:
            return None
        return time_s if math.isfinite(time_s) else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def read_moment(value: object) -> datetime | None:
    """Return a moment in any form that `read_time_s` takes, or None when it is none (or not in a sensible year)."""
    time_s = read_time_s(value)
    if time_s is None or not 0 <= time_s <= _LATEST_S:
        return None
    return datetime.fromtimestamp(time_s, UTC)


def _moment(value: Any) -> datetime | None:
    moment = read_moment(value)
    if moment is None and value is not None:
        raise ValueError("Value should be an ISO 8601 timestamp")
    return moment


#: A moment in a body, in any form that clients send back; null for none.
MomentField = Annotated[datetime | None, BeforeValidator(_moment)]


def read_iso(text: str) -> datetime | None:
    """Return a moment in ISO 8601 (no zone: UTC) to the microsecond and of any year, or None when it is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_boolean(text: str) -> bool | None:
    """Return the yes or no that a text stands for, or None when it stands for neither."""
    word = text.strip().lower()
    return word in _TRUE if word in _TRUE | _FALSE else None


def shown(value: object) -> str:
    """Return a value for an error message, cut to a line."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
