# SPDX-License-Identifier: Apache-2.0
"""What databases complain of, in words that name cause and remedy. Never holds a password or a statement."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from alarmd.errors import StoreUnavailable

#: What is looked for in the database's own words, and what helps. The first that fits counts.
_REMEDIES = (
    (("no such table", "no such column", "undefinedtable", "undefinedcolumn"), "Run `alarmd db upgrade`."),
    (
        ("disk is full", "diskfull", "no space left"),
        "Free space on the disk that holds the database; nothing was lost, and it goes on by itself.",
    ),
    (
        ("readonly", "read-only", "insufficientprivilege", "permission denied"),
        "Let the user that alarmd runs as write to it (for SQLite: to the file and to its directory).",
    ),
    (("unable to open",), "The directory must exist and be writable for the user that alarmd runs as."),
    (
        ("not a database", "malformed"),
        "The file is no intact SQLite database: point the database URL elsewhere, or restore it from a backup.",
    ),
    (
        ("locked", "busy", "locknotavailable", "deadlock"),
        "Somebody else held it for too long, for example a backup or a shell; it is tried again.",
    ),
    (
        ("authentication", "role ", "password"),
        "Check user and password in the database URL.",
    ),
    (("does not exist",), "Create the database, or correct its name in the database URL."),
    (("too many clients", "connection slots"), "Raise max_connections of the server, or run fewer alarmd processes."),
)
_OTHERWISE = "Check that the database runs and that its URL is right."

#: Programming errors that an operator can cause: a missing table or column, a missing right.
_OPERATORS_SQLSTATES = frozenset({"42P01", "42703", "42501", "3F000"})


def place_of(url: URL) -> str:
    """Return where a database is, without credentials."""
    if url.get_backend_name() == "sqlite":
        return f"the SQLite database {url.database}"
    port = f":{url.port}" if url.port else ""
    return f"the PostgreSQL database {url.database} at {url.host or url.query.get('host') or 'localhost'}{port}"


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn every operational error inside the block into `StoreUnavailable`; errors of our own making stay."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable(
            f"No connection to {place_of(url)} became free in time: every one is in use. Its statements may be slow; "
            "look at the load of the database.",
        ) from error
    except (IntegrityError, DataError, NotSupportedError):
        raise
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) not in _OPERATORS_SQLSTATES:
            raise
        raise unavailable(url, error) from error
    except DBAPIError as error:
        if _is_ours(error):
            raise
        raise unavailable(url, error) from error


def _is_ours(error: DBAPIError) -> bool:
    """Tell a wrong statement from trouble; SQLite calls both operational, as it does a missing table."""
    wrong_statement = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return wrong_statement and not str(error.orig).startswith("no such ")


def unavailable(url: URL, error: DBAPIError) -> StoreUnavailable:
    """Return the error to raise for a complaint of the database."""
    cause = _words_of(url, error)
    told = f"{type(error.orig).__name__} {cause}".lower()
    remedy = next((remedy for signs, remedy in _REMEDIES if any(sign in told for sign in signs)), _OTHERWISE)
    return StoreUnavailable(f"Cannot use {place_of(url)}: {cause}. {remedy}", cause=cause)


def _words_of(url: URL, error: DBAPIError) -> str:
    words = " ".join(str(error.orig).split()).rstrip(".")
    for secret in (url.password, url.query.get("password")):
        if isinstance(secret, str) and secret:
            words = words.replace(secret, "***")
    return words
