# SPDX-License-Identifier: Apache-2.0
"""Column types that mean the same on SQLite and on PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC, to the microsecond. Naive ones are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; only aware moments are stored")
        moment = value.astimezone(UTC)
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


def is_storable(value: str) -> bool:
    """Whether a database takes this text at all: PostgreSQL has no NUL, and neither knows half a surrogate pair."""
    if "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
