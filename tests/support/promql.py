# SPDX-License-Identifier: Apache-2.0
"""Queries for tests: PromQL together with what it is once it is kept to a project, and texts that are nearly PromQL."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import promql_parser
from hypothesis import strategies as st


class Query(NamedTuple):
    """A query as a tenant writes it, and as it must be asked."""

    plain: str
    kept: str


MATCHER: Final = 'project="p1"'

#: The metrics that they ask for.
METRICS: Final = ("up", "load", "job:load:sum", "by_name", "sums", "offset_s", "infos", "end_")
_BLANKS: Final = st.sampled_from(["", " ", "  ", "\n", "\t", " # up{ } or (\n", '# "\n'])
_STRINGS: Final = st.sampled_from(
    ['"a"', "'a'", "`a`", '"}"', "'{up}'", '"\\""', "'\\'\\\\'", "`\\`", '"# up"', '"up or up"', '".*"', '"p2"', '""']
)
_MATCHERS: Final = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["vm", "project", "by", "sum", "on", "__name__"]),
    st.just(""),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(["", " "]),
    _STRINGS,
)
_POSTFIXES: Final = st.sampled_from(["", "", " offset 5m", " offset -1h30m", " @ 1600000000", " @ end()"])
_RANGES: Final = st.sampled_from(["[5m]", "[1h30m]", "[ 5m ]", "[300s] offset 1m", "[5m] @ start()"])
_SUBQUERIES: Final = st.sampled_from(["[1h:1m]", "[1h:]", "[30m:10s] offset 5m"])


def _joined(parts: Sequence[str | Query]) -> Query:
    return Query(
        "".join(part if isinstance(part, str) else part.plain for part in parts),
        "".join(part if isinstance(part, str) else part.kept for part in parts),
    )


@st.composite
def _selectors(draw: st.DrawFn) -> Query:
    name = draw(st.sampled_from(METRICS))
    braces = draw(st.lists(_MATCHERS, max_size=3))
    if not braces and draw(st.booleans()):
        return Query(name, f"{name}{{{MATCHER}}}")
    blank = draw(_BLANKS)
    inside = f"{blank},".join(braces) + draw(st.sampled_from(["", ","] if braces else [""]))
    if draw(st.booleans()):
        name = ""
        inside = '__name__=~".+"' + ("," + inside if inside else "")
    else:
        name += blank
    comma = "," if inside else ""
    return Query(f"{name}{{{blank}{inside}}}", f"{name}{{{MATCHER}{comma}{blank}{inside}}}")


def _over_time(inner: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    function = st.sampled_from(["rate", "max_over_time", "absent_over_time", "delta"])
    ranged = st.builds(lambda s, r: _joined([s, r]), _selectors(), _RANGES)
    nested = st.builds(lambda e, s: _joined(["(", e, ")", s]), inner, _SUBQUERIES)
    return st.builds(lambda f, b, e: _joined([f, b, "(", e, ")"]), function, _BLANKS, ranged | nested)


def _wider(inner: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    blank = _BLANKS
    grouping = st.sampled_from(["by (vm)", "without(vm, up)", "BY (project,)", "by ()"])
    operator = st.sampled_from(["+", "-", "*", "/", ">", "<= bool", "== bool", "^", "%"])
    matching = st.sampled_from(
        ["", "", " on(vm)", " ignoring (up)", " on (vm) group_left (up)", " on() group_right ()"]
    )
    sets = st.sampled_from([" and ", " or ", " unless ", " OR ", " and on(vm) ", " unless ignoring(up) "])
    return st.one_of(
        st.builds(lambda e, a, b: _joined(["(", a, e, b, ")"]), inner, blank, blank),
        st.builds(lambda e: _joined(["-", e]), inner),
        st.builds(lambda f, e: _joined([f, "(", e, ")"]), st.sampled_from(["abs", "absent", "sort", "sgn"]), inner),
        st.builds(lambda e, n: _joined(["label_replace(", e, f', "x", {n}, "up", "")']), inner, _STRINGS),
        st.builds(lambda a, g, e: _joined([a, " ", g, " (", e, ")"]), st.sampled_from(["sum", "MAX"]), grouping, inner),
        st.builds(lambda e, g: _joined(["avg(", e, ") ", g]), inner, grouping),
        st.builds(lambda e: _joined(["topk(2, ", e, ")"]), inner),
        st.builds(lambda a, b, o, m, c: _joined([a, " ", o, m, b, " ", c]), inner, blank, operator, matching, inner),
        st.builds(lambda a, s, b: _joined([a, s, b]), inner, sets, inner),
        _over_time(inner),
    )


#: Well-formed queries over instant vectors, not all of which a server can carry out.
QUERIES: Final[st.SearchStrategy[Query]] = st.recursive(
    st.builds(lambda s, p: _joined([s, p]), _selectors(), _POSTFIXES), _wider, max_leaves=6
)

_TOKENS: Final = (
    *"(){}[],+-*/%^<>=!~@:\"'`#\\;|&$",
    *(" ", "\n", "\r", "\t", "\x0b", "\xa0", "é", "٣"),
    *("up", "load", "a:b", "sum", "by", "without", "on", "ignoring", "group_left", "bool", "offset", "start", "end"),
    *("and", "or", "unless", "atan2", "inf", "NaN", "rate", "absent", "info", "count_values", "WITH", "x"),
    *(
        "1",
        "5m",
        ".5",
        "0x1f",
        "1e3",
        "{}",
        '{a="b"}',
        '"a"',
        "'}'",
        "`{`",
        "[5m]",
        "[5m:1m]",
        "=~",
        '{__name__=~".+"}',
    ),
)
_TOKEN: Final = st.sampled_from(_TOKENS)


@st.composite
def _damaged(draw: st.DrawFn) -> str:
    """Return a query with something put in, taken out or cut off anywhere."""
    text = draw(QUERIES).plain
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(start + 4, len(text))))
        text = text[:start] + draw(_TOKEN) + text[end:]
    return text


#: Texts made of what queries are made of.
SOUPS: Final[st.SearchStrategy[str]] = st.lists(_TOKEN, max_size=14).map("".join) | _damaged()


def selectors_of(query: str) -> Iterator[Any]:
    """Yield all selectors of a query as another reader of PromQL finds them; raises ValueError for what is none."""
    found: list[Any] = []

    def note(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(query), pre_visit=note)
    yield from found
