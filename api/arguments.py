# SPDX-License-Identifier: Apache-2.0
"""Arguments of the query string: the known ones are read, any other is refused."""

from flask import request

from alarmd.api.wire import read_time_s, shown
from alarmd.errors import InvalidInput


def only_arguments(*known: str) -> None:
    """Raise `InvalidInput` when the query string holds an argument that is not known here."""
    for name in request.args:
        if name not in known:
            allowed = f"Known here: {', '.join(known)}." if known else "None is known here."
            raise InvalidInput(f'Unknown argument: "{name}". {allowed}')
        if any("\x00" in value for value in request.args.getlist(name)):
            raise InvalidInput(f"Invalid input for field/attribute {name}: it holds a NUL character.")


def text_argument(name: str) -> str | None:
    """Return an argument; empty counts as not given, as in Aodh."""
    return request.args.get(name) or None


def mandatory_argument(name: str) -> str:
    """Return an argument that must be there."""
    value = text_argument(name)
    if value is None:
        raise InvalidInput(f"Invalid input for field/attribute {name}. Value: 'None'. Mandatory field missing.")
    return value


def boolean_argument(name: str, *, default: bool) -> bool:
    """Return a yes or no."""
    value = text_argument(name)
    if value is None:
        return default
    match value.lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
    raise InvalidInput(f"Invalid input for field/attribute {name}. Value: '{value}'. Value should be true or false")


def limit_argument(*, maximum: int) -> int:
    """Return how many items are asked for, `maximum` at most; 0 counts as not given, as in Aodh."""
    return min(asked_limit() or maximum, maximum)


def asked_limit() -> int | None:
    """Return how many items are asked for, however many; None when that is not said, or said to be 0."""
    value = text_argument("limit")
    if value is None:
        return None
    try:
        limit = int(value)
    except ValueError:
        raise InvalidInput(f"Limit should be positive: {shown(value)} is not a whole number.") from None
    if limit < 0:
        raise InvalidInput("Limit should be positive")
    return limit or None


def time_argument(name: str, *, default_s: float) -> float:
    """Return a moment, seconds since the epoch. Takes ISO 8601 (no zone: UTC) and seconds since the epoch."""
    value = text_argument(name)
    if value is None:
        return default_s
    try:
        time_s = read_time_s(float(value))
    except ValueError:
        time_s = read_time_s(value)
    if time_s is None:
        raise InvalidInput(
            f"Invalid input for field/attribute {name}. Value: '{value}'. "
            "Value should be ISO 8601 or seconds since the epoch"
        )
    return time_s
