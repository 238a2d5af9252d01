# SPDX-License-Identifier: Apache-2.0
"""JSON as the databases keep it."""

import json
import math
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from alarmd.store.columns import in_utc, is_storable, storable


def to_json(value: Any) -> str:
    """Return a value as JSON, moments in ISO format.

    JSON has no NaN and no infinity, and PostgreSQL refuses them; they become null, because one such value must not
    stop a whole tick. Signs that it does not take, which other servers may say, are replaced.
    """
    try:
        document = orjson.dumps(value, default=_moment, option=_AS_EVER)
    except TypeError:
        return _spelt_out(value)
    # What is not ASCII is escaped, as it has always been: documents are compared as they are spelt.
    if not document.isascii() or b"\\u0000" in document:
        return _spelt_out(value)
    return document.decode()


def _spelt_out(value: Any) -> str:
    """Return as JSON what the quick way does not take: large numbers, keys that are no text, half of a character."""
    try:
        document = _ENCODER.encode(value)
    except ValueError:
        value = _finite(value)
        document = _ENCODER.encode(value)
    if ("\\u0000" in document or "\\ud" in document) and not is_storable(value):
        return _ENCODER.encode(storable(value))
    return document


def from_json(document: object) -> Any:
    """Return what a JSON document holds; None for what is none, which somebody has written past alarmd."""
    told = document.decode() if isinstance(document, bytes) else document
    if not isinstance(told, str):
        return told  # SQLite keeps a number as a number
    # Most lists of actions and sets of labels are empty, and reading 10,000 alarms reads 60,000 of them.
    if told == "[]":
        return []
    if told == "{}":
        return {}
    try:
        # What was written by `to_json` has nothing around it.
        return _DECODER.raw_decode(told)[0]
    except ValueError:
        return _written_by_hand(told)


def _written_by_hand(told: str) -> Any:
    try:
        return json.loads(told)
    except ValueError:
        return None


@lru_cache(maxsize=1024)  # the rows of a tick share a handful of moments
def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return in_utc(value).isoformat()
    raise TypeError(f"a {type(value).__name__} cannot be stored as JSON")


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value


_AS_EVER = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_moment)
_DECODER = json.JSONDecoder()
