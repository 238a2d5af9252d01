# SPDX-License-Identifier: Apache-2.0
"""The filters of complex queries as people write them: ``state=alarm and (severity=critical or name =~ "^web")``.

The words are those of Aodh's own client. ``not`` binds closest, then ``and``, then ``or``; brackets change that.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import click

#: A decoded filter, as `POST /v2/query/…` takes it.
Filter: TypeAlias = dict[str, Any]

#: What people write → what the server knows.
_OPERATORS = {sign: sign for sign in ("=", "!=", "<", "<=", ">", ">=", "=~")}
_OPERATORS |= {"==": "=", "=<": "<=", "=>": ">=", "≠": "!=", "≤": "<=", "≥": ">="}
_OPERATORS |= {"eq": "=", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<sign>[()\[\],])
    | (?P<operator>=~|==|!=|<=|>=|=<|=>|[=<>≠≤≥])
    | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<word>[^\s()\[\],=<>!≠≤≥"']+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[+-]?\d+(?P<fraction>\.\d*)?(?P<exponent>[eE][+-]?\d+)?")
_BOOLEANS = {"true": True, "false": False}
#: Brackets and ``not`` within each other.
_MAX_DEPTH = 50
_END = "the end"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    kind: str
    text: str


def filter_of(query: str) -> Filter | None:
    """Return the filter that a query asks for, None for an empty one; JSON is taken as it is.

    Values are text unless they look like a number or are ``true`` or ``false``; quotes keep them text. Raises
    `click.UsageError` that shows where the query cannot be read.
    """
    if not query.strip():
        return None
    if query.lstrip().startswith("{"):
        try:
            decoded: Filter = json.loads(query)
        except (json.JSONDecodeError, RecursionError) as error:
            raise click.UsageError(f"The query {query!r} is not valid JSON: {error}.") from error
        return decoded
    return _Reader(query).whole()


def body_of_query(query: str, *, sorts: Sequence[str] = (), limit: int | None = None) -> dict[str, Any]:
    """Return what is posted to a complex query; sorts are ``KEY`` or ``KEY:asc`` or ``KEY:desc``."""
    wanted = filter_of(query)
    body: dict[str, Any] = {} if wanted is None else {"filter": json.dumps(wanted)}
    if sorts:
        order = [{key: direction or "asc"} for key, _, direction in (sort.partition(":") for sort in sorts)]
        body["orderby"] = json.dumps(order)
    return body if limit is None else body | {"limit": limit}


class _Reader:
    """Reads one query from left to right."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = [*self._split(query), _Token(kind="end", text=_END)]
        self._at = 0
        self._depth = 0

    def whole(self) -> Filter:
        read = self._any()
        if self._next.kind != "end":
            raise self._unexpected("and, or, or the end (a value with blanks needs quotes)")
        return read

    def _any(self) -> Filter:
        return self._joined("or", self._all)

    def _all(self) -> Filter:
        return self._joined("and", self._one)

    def _joined(self, word: str, read: Any) -> Filter:
        operands = [read()]
        while self._skip_word(word):
            operands.append(read())
        return {word: operands} if len(operands) > 1 else operands[0]

    def _one(self) -> Filter:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise click.UsageError(f"The query has more than {_MAX_DEPTH} brackets within each other.")
        read = self._negated_or_bracketed() or self._condition()
        self._depth -= 1
        return read

    def _negated_or_bracketed(self) -> Filter | None:
        if self._skip_word("not"):
            return {"not": self._one()}
        if not self._skip_sign("("):
            return None
        read = self._any()
        self._need_sign(")")
        return read

    def _condition(self) -> Filter:
        field = self._take("word", "the name of a field")
        if self._skip_word("in"):
            return {"in": {field: self._values()}}
        operator = _OPERATORS.get(self._next.text.lower()) if self._next.kind in {"operator", "word"} else None
        if operator is None:
            raise self._unexpected("an operator: = != < <= > >= =~ in")
        self._at += 1
        return {operator: {field: self._value()}}

    def _values(self) -> list[Any]:
        self._need_sign("[")
        values = [self._value()]
        while self._skip_sign(","):
            values.append(self._value())
        self._need_sign("]")
        return values

    def _value(self) -> Any:
        if self._next.kind == "quoted":
            return re.sub(r"\\(.)", r"\1", self._take("quoted", "a value")[1:-1], flags=re.DOTALL)
        word = self._take("word", "a value (in quotes where it is empty or has blanks)")
        number = _NUMBER.fullmatch(word)
        if number is None:
            return _BOOLEANS.get(word.lower(), word)
        return float(word) if number["fraction"] or number["exponent"] else int(word)

    # --- tokens --------------------------------------------------------------------------------------------------

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, kind: str, wanted: str) -> str:
        if self._next.kind != kind:
            raise self._unexpected(wanted)
        self._at += 1
        return self._tokens[self._at - 1].text

    def _skip_word(self, word: str) -> bool:
        found = self._next.kind == "word" and self._next.text.lower() == word
        self._at += found
        return found

    def _skip_sign(self, sign: str) -> bool:
        found = self._next == _Token(kind="sign", text=sign)
        self._at += found
        return found

    def _need_sign(self, sign: str) -> None:
        if not self._skip_sign(sign):
            raise self._unexpected(repr(sign))

    def _unexpected(self, wanted: str) -> click.UsageError:
        found = self._next.text if self._next.kind == "end" else repr(self._next.text)
        return click.UsageError(f"The query {self._query!r} cannot be read: {found} stands where {wanted} should be.")

    def _split(self, query: str) -> Iterator[_Token]:
        at, end = 0, len(query.rstrip())
        while at < end:
            match = _TOKEN.match(query, at)
            if match is None or match.lastgroup is None:
                raise click.UsageError(f"The query {query!r} cannot be read from {query[at:].strip()!r} on.")
            yield _Token(kind=match.lastgroup, text=match[match.lastgroup])
            at = match.end()
