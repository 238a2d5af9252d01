# SPDX-License-Identifier: Apache-2.0
"""PromQL, rewritten so that it reads the series of one project only.

What a query reads it names by selectors, and a selector begins with a metric's name or a brace. This reads a query by
the grammar, strictly, and puts one more matcher into each. Matchers on the same label that the query has already stay:
all of them hold, so they can only take away. What this does not know for certain is refused, never passed on: a server
may know more of the language, and read more, than stands here.
"""

import re
from typing import Final

from alarmd.errors import InvalidInput

#: Levels of parentheses and functions.
_DEEPEST: Final = 64

_AGGREGATIONS: Final = frozenset(
    re.findall(
        r"\w+", "avg bottomk count count_values group limit_ratio limitk max min quantile stddev stdvar sum topk"
    )
)
#: Those that read their arguments and nothing else. Not `info`, which reads series that no selector names.
_FUNCTIONS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp clamp_max
        clamp_min cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg delta deriv
        double_exponential_smoothing exp first_over_time floor histogram_avg histogram_count histogram_fraction
        histogram_quantile histogram_stddev histogram_stdvar histogram_sum holt_winters hour idelta increase irate
        label_join label_replace last_over_time ln log10 log2 mad_over_time max_over_time min_over_time minute month
        pi predict_linear present_over_time quantile_over_time rad rate resets round scalar sgn sin sinh sort
        sort_by_label sort_by_label_desc sort_desc sqrt stddev_over_time stdvar_over_time sum_over_time tan tanh
        time timestamp ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time vector
        year
        """,
    )
)
_SET_OPERATORS: Final = frozenset({"and", "or", "unless", "atan2"})
_GROUPINGS: Final = frozenset({"by", "without"})
_MATCHINGS: Final = frozenset({"on", "ignoring"})
_SIDES: Final = frozenset({"group_left", "group_right"})
_NUMBERS: Final = frozenset({"inf", "nan"})
#: Words with a meaning of their own, in any case. Metrics of these names are asked for by ``{__name__="sum"}``.
_KEYWORDS: Final = (
    _AGGREGATIONS | _SET_OPERATORS | _GROUPINGS | _MATCHINGS | _SIDES | _NUMBERS | {"bool", "offset", "start", "end"}
)

_DURATION: Final = r"(?:\d+(?:ms|[smhdwy]))+"
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_WORD: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING: Final = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"|' + r"'(?:[^'\\\n]|\\[^\n])*'|`[^`]*`")
_NUMBER: Final = re.compile(
    rf"(?:0[xX][0-9a-fA-F]+|{_DURATION}|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![A-Za-z0-9_:.])", re.ASCII
)
_TIME: Final = re.compile(rf"[-+]?(?:{_DURATION}|\d+\.?\d*)(?![A-Za-z0-9_:.])", re.ASCII)
_RANGE: Final = re.compile(rf"\[\s*(?:{_DURATION}|\d+)\s*(?::\s*(?:{_DURATION}|\d+)?\s*)?\]", re.ASCII)
_OPERATOR: Final = re.compile(r"==|!=|<=|>=|[-+*/%^<>]")
_MATCH: Final = re.compile(r"=~|!~|!=|=")


def scoped(query: str, *, label: str, value: str) -> str:
    """Return a query every selector of which asks for a value of a label too.

    Raises `InvalidInput` for what cannot be rewritten with certainty, and for what is no PromQL. Nothing is done to a
    query without a word: it reads nothing.
    """
    if not value:
        # This would ask for the series that have no such label, which are somebody else's.
        raise InvalidInput("The query cannot be kept to its project: the alarm belongs to none.")
    reader = _Reader(query)
    matcher = f"{label}={_quoted(value)}"
    parts: list[str] = []
    done = 0
    for at, opening, closing in reader.selectors():
        parts += [query[done:at], opening, matcher, closing]
        done = at
    return "".join((*parts, query[done:]))


def _quoted(text: str) -> str:
    """Return a text as PromQL spells it; whatever could end or change it is escaped."""
    return '"' + "".join(_spelt(char) for char in text) + '"'


def _spelt(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


class _Reader:
    """Reads one query, from the beginning to its end, and notes where its selectors are."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._at = 0
        #: Where the last token ended, before what was skipped.
        self._end_of_token = 0
        #: Where a matcher belongs, and what stands before and after it.
        self._selectors: list[tuple[int, str, str]] = []

    def selectors(self) -> list[tuple[int, str, str]]:
        """Return the places of all selectors, in their order."""
        self._skip()
        if self._at < len(self._query):
            self._expression(_DEEPEST)
            if self._at < len(self._query):
                raise self._unsure("an operator or the end is expected")
        return self._selectors

    # --- the grammar ---------------------------------------------------------------------------------------------

    def _expression(self, depth: int) -> None:
        """Read operands and the operators between them; which of these bind closer changes nothing."""
        self._operand(depth)
        while self._operator():
            self._operand(depth)

    def _operator(self) -> bool:
        if not self._take(_OPERATOR) and not self._take_word(_SET_OPERATORS):
            return False
        self._take_word(frozenset({"bool"}))
        if self._take_word(_MATCHINGS):
            self._labels()
            if self._take_word(_SIDES) and self._peek("("):
                self._labels()
        return True

    def _operand(self, depth: int) -> None:
        if depth == 0:
            raise self._unsure(f"it is nested more than {_DEEPEST} levels deep")
        while self._take_char("+") or self._take_char("-"):
            pass
        if self._take_char("("):
            self._expression(depth - 1)
            self._demand(")")
        elif self._peek("{"):
            self._braces()
        elif not self._take(_STRING) and not self._take(_NUMBER):
            self._named(depth)
        self._postfixes()

    def _named(self, depth: int) -> None:
        """Read what begins with a word: a number, an aggregation, a function or a selector."""
        word = self._take(_WORD)
        lower = word.lower()
        if not word:
            raise self._unsure("a metric, a function or a number is expected")
        if lower in _AGGREGATIONS:
            self._aggregation(depth)
        elif lower in _KEYWORDS:
            if lower not in _NUMBERS or self._peek("(") or self._peek("{"):
                raise self._unsure(f"{word!r} has a meaning of its own")
        elif self._peek("("):
            if word not in _FUNCTIONS:
                raise self._unsure(f"the function {word!r} is none that is known to read its arguments only")
            self._arguments(depth)
        elif self._peek("{"):
            self._braces()
        else:
            # Right behind the name: what was skipped since may be a comment.
            self._selectors.append((self._end_of_token, "{", "}"))

    def _aggregation(self, depth: int) -> None:
        is_grouped = bool(self._take_word(_GROUPINGS))
        if is_grouped:
            self._labels()
        self._arguments(depth)
        if not is_grouped and self._take_word(_GROUPINGS):
            self._labels()

    def _arguments(self, depth: int) -> None:
        self._demand("(")
        if self._take_char(")"):
            return
        self._expression(depth - 1)
        while self._take_char(","):
            self._expression(depth - 1)
        self._demand(")")

    def _labels(self) -> None:
        """Read names of labels in parentheses; a comma may follow the last."""
        self._demand("(")
        while not self._take_char(")"):
            if not self._take(_LABEL) and not self._take(_STRING):
                raise self._unsure("the name of a label is expected")
            if not self._peek(")"):
                self._demand(",")

    def _braces(self) -> None:
        """Read the matchers of a selector, all of which hold; a comma may follow the last."""
        self._demand("{", skip=False)
        place = self._at
        self._skip()
        is_empty = self._peek("}")
        while not self._take_char("}"):
            # A quoted text alone is the name of a metric.
            is_quoted = bool(self._take(_STRING))
            if not is_quoted and not self._take(_LABEL):
                raise self._unsure("the name of a label is expected")
            if self._take(_MATCH):
                if not self._take(_STRING):
                    raise self._unsure("a value in quotes is expected")
            elif not is_quoted:
                raise self._unsure("one of =, !=, =~ and !~ is expected")
            if not self._peek("}"):
                self._demand(",")
        self._selectors.append((place, "", "" if is_empty else ","))

    def _postfixes(self) -> None:
        """Read ranges, subqueries, offsets and moments, in whatever order they come."""
        while True:
            if self._peek("["):
                if not self._take(_RANGE):
                    raise self._unsure("a range is expected, like [5m] or [1h:1m]")
            elif self._take_char("@"):
                self._moment()
            elif self._take_word(frozenset({"offset"})):
                if not self._take(_TIME):
                    raise self._unsure("a duration is expected, like 5m")
            else:
                return

    def _moment(self) -> None:
        if self._take_word(frozenset({"start", "end"})):
            self._demand("(")
            self._demand(")")
        elif not self._take(_TIME):
            raise self._unsure("a moment is expected, in seconds since the epoch")

    # --- characters ----------------------------------------------------------------------------------------------

    def _skip(self) -> None:
        found = _BLANK.match(self._query, self._at)
        self._at = found.end() if found else self._at

    def _take(self, pattern: re.Pattern[str]) -> str:
        """Return what stands here if it fits, and go on behind it and the blanks that follow; else an empty text."""
        found = pattern.match(self._query, self._at)
        if found is None:
            return ""
        self._at = self._end_of_token = found.end()
        self._skip()
        return found[0]

    def _take_word(self, words: frozenset[str]) -> str:
        found = _WORD.match(self._query, self._at)
        return self._take(_WORD) if found and found[0].lower() in words else ""

    def _peek(self, char: str) -> bool:
        return self._query.startswith(char, self._at)

    def _take_char(self, char: str, *, skip: bool = True) -> bool:
        if not self._peek(char):
            return False
        self._at += 1
        if skip:
            self._skip()
        return True

    def _demand(self, char: str, *, skip: bool = True) -> None:
        if not self._take_char(char, skip=skip):
            raise self._unsure(f"{char!r} is expected")

    def _unsure(self, why: str) -> InvalidInput:
        line = self._query.count("\n", 0, self._at) + 1
        column = self._at - (self._query.rfind("\n", 0, self._at) + 1) + 1
        return InvalidInput(f"The query cannot be kept to its project with certainty: {line}:{column}: {why}")
