# SPDX-License-Identifier: Apache-2.0
"""Column types that mean the same on SQLite and on PostgreSQL."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; raises `ValueError` for one that does not say where it holds."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; only aware moments are stored")
    return moment.astimezone(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC, to the microsecond. Naive ones are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = in_utc(value)
        # SQLite knows no time zones: it keeps text of one width and one zone, which sorts as time does.
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if dialect.name == "sqlite" else moment.astimezone(UTC)


#: Text that is compared byte by byte everywhere, so that lists have one order whatever the database's locale.
PlainText = Text().with_variant(Text(collation="C"), "postgresql")

#: Counters that never run out. SQLite only numbers rows by itself in a column of exactly the type INTEGER.
BigCounter = BigInteger().with_variant(Integer(), "sqlite")


#: What PostgreSQL cannot store (NUL), or what is no text at all (half of a surrogate pair).
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")


def storable(value: Any) -> Any:
    """Return a text, or JSON with its texts, in which each sign that no database takes stands as U+FFFD."""
    match value:
        case str():
            return _NOT_TEXT.sub("\ufffd", value)
        case Mapping():
            return {storable(name): storable(part) for name, part in value.items()}
        case list() | tuple():
            return [storable(part) for part in value]
        case _:
            return value


def is_storable(value: object) -> bool:
    """Whether a database takes this text, or all text in this JSON: none has NULs, nor half of a surrogate pair."""
    match value:
        case str():
            return (value.isascii() and "\0" not in value) or not _NOT_TEXT.search(value)
        case Mapping():
            return all(is_storable(part) for item in value.items() for part in item)
        case list() | tuple():
            return all(is_storable(part) for part in value)
        case _:
            return True
