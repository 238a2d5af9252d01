# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests: JSON as its specification has it, read strictly and explained when it is not."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from alarmd.complaints import shown
from alarmd.errors import InvalidInput
from alarmd.store.columns import is_storable


class UnsupportedBody(InvalidInput):
    """The body must be JSON: send it with `Content-Type: application/json`."""


#: What browsers and curl call a body that nobody has named a type for.
_FORMS = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data"})
#: Keys and values of a body that is to be looked at part by part, at most. An alarm has some hundreds.
MAX_PARTS = 100_000
_REMEDY = "send it with `Content-Type: application/json`."


class BodyTooLarge(InvalidInput):
    """The body is too large."""


def read_json(request: Request, *, max_bytes: int) -> Any:
    """Return the decoded body of a request.

    Raises `UnsupportedBody` (415), `BodyTooLarge` (413), or `InvalidInput` (400) that names line and column. A body
    without a type, or one of a form, is a 400 as in Aodh, which reads it as arguments and knows none of them.
    """
    if request.mimetype in _FORMS:
        got = f"is of the type {request.mimetype!r}" if request.mimetype else "has no content type"
        raise InvalidInput(f"Unknown argument: the body must be JSON, but it {got}: {_REMEDY}")
    if request.mimetype != "application/json":
        raise UnsupportedBody(f"The body must be JSON, not {request.mimetype!r}: {_REMEDY}")
    return decode(_bytes_of(request, max_bytes=max_bytes))


def decode(raw: bytes) -> Any:
    """Return what JSON stands for; raises `InvalidInput` that says where it is broken and how."""
    if not raw.strip():
        raise InvalidInput("The body is empty; it must be JSON.")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    try:
        # Big floats (1e999) become infinite without a word; `_refuse_constant` only sees the three names.
        data = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InvalidInput(f"The body is not valid JSON: {error.msg} at {place}.") from error
    except RecursionError as error:
        raise InvalidInput("The body is nested too deeply.") from error
    except _ConstantFound as error:
        raise InvalidInput(_constant_text(text, str(error))) from error
    except ValueError as error:
        # The one thing left: an integer with more digits than Python converts.
        raise InvalidInput("The body holds a number with too many digits.") from error
    return data


def refuse_unstorable(data: Any) -> None:
    """Raise `InvalidInput` for a body that must be small and is not, or holds what no database can keep."""
    for count, (place, value) in enumerate(_parts(data)):
        if count >= MAX_PARTS:
            raise InvalidInput(f"The body holds more than {MAX_PARTS} keys and values; this takes far fewer.")
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidInput(f"{place} is not a finite number; send a number between -1.79e308 and 1.79e308.")
        if isinstance(value, str) and not is_storable(value):
            raise InvalidInput(f"{place} holds a character that is not text (NUL or half of a surrogate pair).")


def is_text(value: object) -> bool:
    """Return whether a value is text that every database and log can keep."""
    return isinstance(value, str) and is_storable(value)


class _ConstantFound(ValueError):
    """NaN, Infinity or -Infinity stands where JSON allows a number only."""


def _refuse_constant(name: str) -> Any:
    raise _ConstantFound(name)


def _constant_text(text: str, name: str) -> str:
    """Return the complaint about a constant. Slow (it decodes again to find the place): errors only."""
    remedy = "JSON knows finite numbers only: leave the value out instead."
    for place, value in _parts(json.loads(text)):
        if isinstance(value, float) and not math.isfinite(value):
            return f"{place} is {name}. {remedy}"
    return f"The body holds {name}. {remedy}"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something stands in decoded JSON. Spelt when somebody asks: keys may be megabytes, places millions."""

    above: "_Place | None"
    step: str
    is_key: bool = False

    def __str__(self) -> str:
        steps = []
        place: _Place | None = self
        while place is not None:
            steps.append(place.step)
            place = place.above
        return f"{'A key of ' if self.is_key else ''}{shown(''.join(reversed(steps)))}"


def _parts(data: Any) -> Iterator[tuple[_Place, Any]]:
    """Yield every key and every value of decoded JSON with its place, without recursion and one after the other."""
    waiting = [iter([(_Place(None, "data"), data)])]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        yield found
        where, value = found
        if isinstance(value, dict):
            keys = _Place(where, "", is_key=True)
            yield from ((keys, key) for key in value)
            waiting.append(_items_of(where, value))
        elif isinstance(value, list):
            waiting.append(_entries_of(where, value))


def _items_of(where: _Place, items: dict[str, Any]) -> Iterator[tuple[_Place, Any]]:
    return ((_Place(where, f".{key}"), value) for key, value in items.items())


def _entries_of(where: _Place, entries: list[Any]) -> Iterator[tuple[_Place, Any]]:
    return ((_Place(where, f"[{index}]"), value) for index, value in enumerate(entries))


def _bytes_of(request: Request, *, max_bytes: int) -> bytes:
    """Return the body; raises `BodyTooLarge`, before reading where the length is announced."""
    # One more than allowed: of a body without an announced length the framework would silently drop the rest.
    request.max_content_length = max_bytes + 1
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raw = None
    if raw is None or len(raw) > max_bytes:
        raise BodyTooLarge(
            f"The body is larger than the {max_bytes} bytes allowed (setting api.max_body_bytes): "
            "send it in smaller parts."
        )
    return raw
