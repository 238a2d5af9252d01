# SPDX-License-Identifier: Apache-2.0
"""Searches that whoever asks may write as badly as can be: regular expressions, and a bound on how long it takes.

PostgreSQL has regular expressions and a statement timeout of its own. SQLite gets both from here: a function over the
`regex` package, which can be interrupted and lets other threads work meanwhile, and a progress handler.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import regex
from sqlalchemy import Boolean, Connection, literal, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from alarmd.clock import Clock, SystemClock
from alarmd.errors import InvalidInput

#: How long a search may take.
PATIENCE_S = 5.0
#: What the patterns of a search may come to when repeats are written out, in characters: some 50 MB while it is done.
_MAX_WRITTEN_OUT = 200_000
#: How often something is repeated at least: the library writes that out.
_REPEATS = re.compile(r"\{\s*(\d+)")
#: Blanks and remarks inside of a pattern hide its repeats.
_VERBOSE = re.compile(r"\(\?[a-wyzA-Z0-9-]*x")
#: After how many instructions of its machine SQLite asks whether to go on: a fraction of a millisecond.
_STEPS = 10_000


class Matches(GenericFunction[bool]):
    """Whether a regular expression matches somewhere in a text. Only to be used inside of `bounded`."""

    type = Boolean()
    name = "alarmd_matches"
    inherit_cache = True


@compiles(Matches, "postgresql")
def _native(element: Matches, compiler: SQLCompiler, **options: Any) -> str:
    column, pattern = element.clauses
    return f"({compiler.process(column, **options)} ~ {compiler.process(pattern, **options)})"


@contextmanager
def bounded(connection: Connection, patterns: Sequence[str], *, patience_s: float) -> Iterator[None]:
    """Bound the time that the statements of the block take; they must be read to their end inside.

    Raises `InvalidInput` for a pattern that is no regular expression of this database (even where nothing would be
    compared with it), and when it takes too long.
    """
    if connection.dialect.name == "postgresql":
        with _on_postgresql(connection, patterns, patience_s):
            yield
    else:
        with _on_sqlite(connection, patterns, patience_s, SystemClock()):
            yield


@contextmanager
def _on_postgresql(connection: Connection, patterns: Sequence[str], patience_s: float) -> Iterator[None]:
    # Within a transaction it holds until that ends, which also undoes it when it fails.
    alone = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
    connection.execute(text(f"SET {'' if alone else 'LOCAL '}statement_timeout = {round(patience_s * 1000)}"))
    try:
        if patterns:
            connection.execute(select(*(Matches(literal(""), pattern) for pattern in patterns)))
        yield
    except DBAPIError as error:
        match getattr(error.orig, "sqlstate", None):
            case "57014":
                raise _too_slow(patience_s) from error
            case "2201B":
                raise _no_pattern(" ".join(str(error.orig).split())) from error
        raise
    finally:
        if alone and not connection.invalidated:
            connection.execute(text("RESET statement_timeout"))


@contextmanager
def _on_sqlite(connection: Connection, patterns: Sequence[str], patience_s: float, clock: Clock) -> Iterator[None]:
    matcher = _Matcher(patterns, clock, clock.monotonic_s() + patience_s)
    driver: Any = connection.connection.driver_connection
    driver.create_function(Matches.name, 2, matcher.matches)
    driver.set_progress_handler(matcher.is_late, _STEPS)
    try:
        yield
    except OperationalError as error:
        if matcher.gave_up:
            raise _too_slow(patience_s) from error
        raise
    finally:
        driver.set_progress_handler(None, 0)


class _Matcher:
    """The regular expressions of one search, and when it has to be over."""

    def __init__(self, patterns: Sequence[str], clock: Clock, deadline_s: float) -> None:
        if sum(map(_written_out, patterns)) > _MAX_WRITTEN_OUT:
            raise _no_pattern("it repeats too much; write * or + in place of the largest numbers")
        self._patterns = {pattern: _compiled(pattern) for pattern in patterns}
        self._clock = clock
        self._deadline_s = deadline_s
        self.gave_up = False

    def is_late(self) -> bool:
        self.gave_up = self.gave_up or self._clock.monotonic_s() >= self._deadline_s
        return self.gave_up

    def matches(self, value: str | None, pattern: str) -> bool:
        if value is None:
            return False
        left_s = self._deadline_s - self._clock.monotonic_s()
        try:
            return self._patterns[pattern].search(value, concurrent=True, timeout=max(left_s, 0.001)) is not None
        except (TimeoutError, MemoryError) as error:
            self.gave_up = True
            raise TimeoutError(pattern) from error


def _written_out(pattern: str) -> int:
    """Return a bound on how long a pattern is with its repeats written out (81 for `(a{9}){9}`); 0 without any."""
    if _VERBOSE.search(pattern):
        raise _no_pattern("the flag x is not taken")
    repeats = sorted(map(int, _REPEATS.findall(pattern)), reverse=True)
    # Repeats stand within each other at most as deep as there are groups.
    deepest = pattern.count("(") + pattern.count("}{") + 1
    written_out = len(pattern) if repeats else 0
    for times in repeats[:deepest]:
        written_out = min(written_out * max(times, 1), _MAX_WRITTEN_OUT + 1)
    return written_out


def _compiled(pattern: str) -> regex.Pattern[str]:
    try:
        # As in PostgreSQL, a line break is a character like any other.
        return regex.compile(pattern, regex.DOTALL, cache_pattern=False)
    except (regex.error, OverflowError) as error:
        raise _no_pattern(str(error)) from error
    except RecursionError as error:
        raise _no_pattern("it is nested too deeply") from error


def _no_pattern(reason: str) -> InvalidInput:
    return InvalidInput(f"Filter expression not valid: the pattern of =~ is no regular expression: {reason}.")


def _too_slow(patience_s: float) -> InvalidInput:
    return InvalidInput(
        f"The query takes longer than {patience_s:g} s and was given up. Narrow it, for example by name or project, "
        "or write simpler patterns for =~."
    )
