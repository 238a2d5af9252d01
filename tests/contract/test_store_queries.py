# SPDX-License-Identifier: Apache-2.0
"""The contract of searches, on every database: they mean what a plain interpreter says, and pages add up."""

import json
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, text

from alarmd.api.complex_query import MAX_COMPARISONS, MAX_DEPTH, MAX_VALUES, read_complex_query
from alarmd.api.wire import wire_time
from alarmd.errors import InvalidInput
from alarmd.model.alarm import Alarm, AlarmId, Severity, State
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.store.alarms import SEARCHABLE_ALARMS, AlarmQuery
from alarmd.store.database import Database
from alarmd.store.expression import And, Compare, In, Kind, Operator, Search
from alarmd.store.history import SEARCHABLE_HISTORY, HistoryQuery
from alarmd.store.patterns import bounded
from tests.support.alarms import MORNING, an_alarm
from tests.support.complex_queries import alarm_item, change_item, holds

#: The database of a test is filled once and only read by the examples.
READING = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
PAGING = settings(READING, max_examples=25)
NAMES = [
    "a",
    "b",
    "B",
    "",
    "ab",
    "a_b",
    "a%b",
    "1",
    "1.5",
    "true",
    "größer",
    "z🚀",
    "\uff5e",
    'it\'s \\ "q"',
    "two\nlines",
]
MOMENTS = [MORNING + timedelta(seconds=seconds) for seconds in (0, 0.000001, 1, 86400)]


def some_alarms() -> list[Alarm]:
    """Return alarms that share most of their values, in an order that says nothing."""
    return [
        an_alarm(
            alarm_id=AlarmId(f"{number * 7 % 30:02}"),
            name=NAMES[number % len(NAMES)],
            description=NAMES[-number % len(NAMES)],
            state_reason=NAMES[number * 4 % len(NAMES)],
            enabled=number % 3 == 0,
            repeat_actions=number % 4 == 0,
            type=["threshold", "event"][number % 2],
            rule={"threshold": 80.0 + number % 2, "query": [{"value": None}], "name": "ö"},
            severity=list(Severity)[number % 3],
            state=list(State)[number // 3 % 3],
            project_id=f"p{number % 2}",
            user_id=f"u{number % 5}",
            ok_actions=("http://h/ok",) * (number % 3),
            labels={"team": NAMES[number % len(NAMES)]} if number % 4 else {},
            alarm_actions=(),
            timestamp=MOMENTS[number % 4],
            state_timestamp=MOMENTS[number // 2 % 4],
            evaluate_timestamp=None if number % 5 == 0 else MOMENTS[number % 3],
        )
        for number in range(30)
    ]


def some_changes() -> list[AlarmChange]:
    """Return changes that share most of their values; only some have a severity."""
    return [
        AlarmChange(
            event_id=f"e{number * 7 % 20:02}",
            alarm_id=AlarmId(f"a{number % 3}"),
            type=list(ChangeType)[number % 4],
            detail={"name": NAMES[number % len(NAMES)], "n": number % 2},
            user_id=["", "u1"][number % 2],
            project_id=f"p{number % 2}",
            on_behalf_of=f"p{number % 3}",
            timestamp=MOMENTS[number // 2 % 4],
            severity=[None, *Severity][number % 4],
        )
        for number in range(20)
    ]


@pytest.fixture
def stocked(database: Database) -> Database:
    """A database with alarms and history."""
    with database.write() as unit:
        unit.alarms.add_all(some_alarms())
        unit.history.add_all(some_changes())
    return database


def search_of(kinds: Mapping[str, Kind], body: Mapping[str, Any], *, page_limit: int = 1000) -> Search:
    """Return the search that a body asks for, its filter and order still to be put into strings."""
    encoded = {key: value if key == "limit" else json.dumps(value) for key, value in body.items()}
    return read_complex_query(encoded, kinds=kinds, page_limit=page_limit).search


def alarms_of(database: Database, condition: Mapping[str, Any] | None = None, **others: Any) -> list[Alarm]:
    body = others if condition is None else others | {"filter": condition}
    with database.read() as unit:
        return unit.alarms.query(search_of(SEARCHABLE_ALARMS.kinds, body))


def changes_of(database: Database, condition: Mapping[str, Any]) -> list[AlarmChange]:
    with database.read() as unit:
        return unit.history.query(search_of(SEARCHABLE_HISTORY.kinds, {"filter": condition}))


# What both kinds of regular expression agree on.
_ATOMS = st.sampled_from([*"abBz1ö", ".", "[a-z]", "[^a]", "(a|b)", "(?:b|1)", "_", "%", "\\.", "\\(", "http", "[0-9]"])
_PIECES = st.builds("{}{}".format, _ATOMS, st.sampled_from(["", "", "", "*", "+", "?", "{1,2}"]))
PATTERNS = st.builds(
    "{}{}{}".format, st.sampled_from(["", "^"]), st.lists(_PIECES, min_size=1, max_size=4).map("".join), st.just("")
)
WORDS = st.sampled_from(NAMES) | st.text(string.printable + "öß🚀", max_size=3)
TEXTS = WORDS | st.integers(-2, 2) | st.booleans() | st.sampled_from([1.5, 1e300, 0.1])
ORDERING = ("<", "<=", "=<", ">", ">=", "=>")


def values_of(field: str, kind: Kind, stored: list[Any]) -> st.SearchStrategy[Any]:
    """Return values that a field may be compared with; many of those that are stored."""
    match kind:
        case Kind.BOOLEAN:
            return st.sampled_from([True, False, 1, 0, 1.0, "true", "False", "on", "no"])
        case Kind.MOMENT:
            zoned = st.sampled_from([f"{wire_time(moment)}Z" for moment in MOMENTS])
            moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(datetime.isoformat)  # noqa: DTZ001  # naive, as on the wire
            return st.sampled_from([wire_time(moment) for moment in MOMENTS]) | zoned | moments
        case Kind.DOCUMENT:
            known = [json.dumps(value, separators=(",", ":")) for value in stored]
            return st.sampled_from(known) | WORDS.filter(lambda word: not word.lstrip().startswith(("[", "{")))
        case Kind.SEVERITY:
            return st.sampled_from([*map(str, Severity), "bogus", ""])
        case _:
            return st.sampled_from([str(value) for value in stored if value is not None] + [field]) | TEXTS


def filters(kinds: Mapping[str, Kind], items: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return any filter of the grammar."""

    def leaves_of(field: str) -> st.SearchStrategy[dict[str, Any]]:
        kind = kinds[field]
        values = values_of(field, kind, [item[field] for item in items])
        spelt = st.sampled_from([field, field.removesuffix("_id")] if field in {"user_id", "project_id"} else [field])
        compare = st.builds(
            lambda sign, name, value: {sign: {name: value}}, st.sampled_from(("=", "!=", *ORDERING)), spelt, values
        )
        listed = st.lists(values.filter(lambda value: not isinstance(value, bool)), min_size=1, max_size=3)
        any_of = st.builds(
            lambda sign, name, those: {sign: {name: those}}, st.sampled_from(["in", "In"]), spelt, listed
        )
        if kind in {Kind.BOOLEAN, Kind.MOMENT}:
            return compare | any_of
        return compare | any_of | st.builds(lambda name, pattern: {"=~": {name: pattern}}, spelt, PATTERNS)

    return st.recursive(
        st.sampled_from(sorted(kinds)).flatmap(leaves_of),
        lambda parts: (
            st.builds(
                lambda sign, those: {sign: those},
                st.sampled_from(["and", "or", "AND", "Or"]),
                st.lists(parts, min_size=2, max_size=3),
            )
            | st.builds(lambda sign, part: {sign: part}, st.sampled_from(["not", "NOT"]), parts)
        ),
        max_leaves=6,
    )


ALARM_ITEMS = [alarm_item(alarm) for alarm in some_alarms()]
CHANGE_ITEMS = [change_item(change) for change in some_changes()]


@READING
@given(condition=filters(SEARCHABLE_ALARMS.kinds, ALARM_ITEMS))
@example(condition={"!=": {"evaluate_timestamp": "2026-01-01T00:00:00"}})
@example(condition={"not": {"=": {"evaluate_timestamp": "2026-01-01T00:00:00"}}})
@example(condition={"not": {"or": [{">": {"evaluate_timestamp": "2026-01-01T00:00:00"}}, {"=": {"enabled": "true"}}]}})
@example(condition={"<": {"state_reason": "a"}})
def test_alarms_are_found_as_the_filter_says(stocked: Database, condition: dict[str, Any]) -> None:
    """Any filter finds just the alarms for which the plain interpreter says yes."""
    expected = {item["alarm_id"] for item in ALARM_ITEMS if holds(condition, item)}

    assert expected == {alarm.alarm_id for alarm in alarms_of(stocked, condition)}


@READING
@given(condition=filters(SEARCHABLE_HISTORY.kinds, CHANGE_ITEMS))
@example(condition={"not": {"=": {"severity": "low"}}})
@example(condition={"not": {"in": {"severity": ["low", "critical"]}}})
@example(condition={"not": {"<": {"severity": "critical"}}})
@example(condition={"not": {"=~": {"severity": "o"}}})
def test_changes_are_found_as_the_filter_says(stocked: Database, condition: dict[str, Any]) -> None:
    """Any filter finds just the changes for which the plain interpreter says yes, those without a severity too."""
    expected = {item["event_id"] for item in CHANGE_ITEMS if holds(condition, item)}

    assert expected == {change.event_id for change in changes_of(stocked, condition)}


def sorts(fields: list[str]) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    """Return any order by up to three fields."""
    return st.lists(st.tuples(st.sampled_from(fields), st.sampled_from(["asc", "desc"])), max_size=3).map(tuple)


def pages(page: Callable[[str | None], list[Any]], id_of: Callable[[Any], str]) -> Iterator[Any]:
    """Yield every item of a list that is read page by page."""
    marker = None
    while found := page(marker):
        yield from found
        marker = id_of(found[-1])


@PAGING
@given(sort=sorts(sorted(SEARCHABLE_ALARMS.kinds)), limit=st.integers(1, 12), project_id=st.sampled_from([None, "p1"]))
def test_pages_of_alarms_add_up(stocked: Database, sort: Any, limit: int, project_id: str | None) -> None:
    """Under any order, however many alarms tie or lack a value, the pages make the whole list, each alarm once."""
    with stocked.read() as unit:
        whole = unit.alarms.query(Search(sort=sort, project_id=project_id))
        paged = pages(
            lambda marker: unit.alarms.query(Search(sort=sort, project_id=project_id, marker=marker, limit=limit)),
            lambda alarm: str(alarm.alarm_id),
        )

        assert whole == list(paged)
    assert (15 if project_id else 30) == len({alarm.alarm_id for alarm in whole})


@PAGING
@given(sort=sorts(sorted(SEARCHABLE_HISTORY.kinds)), limit=st.integers(1, 12), project_id=st.sampled_from([None, "p1"]))
def test_pages_of_changes_add_up(stocked: Database, sort: Any, limit: int, project_id: str | None) -> None:
    """Likewise the pages of the history."""
    with stocked.read() as unit:
        whole = unit.history.query(Search(sort=sort, project_id=project_id))
        paged = pages(
            lambda marker: unit.history.query(Search(sort=sort, project_id=project_id, marker=marker, limit=limit)),
            lambda change: str(change.event_id),
        )

        assert whole == list(paged)
    assert (7 if project_id else 20) == len({change.event_id for change in whole})


LISTED = ["alarm_id", "enabled", "name", "type", "severity", "timestamp", "user_id", "project_id", "state"]
LISTED += ["repeat_actions", "state_timestamp"]


@PAGING
@given(sort=sorts(LISTED), limit=st.integers(1, 12), enabled=st.sampled_from([None, False]))
def test_pages_of_simple_lists_add_up(stocked: Database, sort: Any, limit: int, enabled: bool | None) -> None:
    """The lists of simple queries page as well under any order, narrowed or not."""
    with stocked.read() as unit:
        whole = unit.alarms.find(AlarmQuery(sort=sort, enabled=enabled))
        paged = pages(
            lambda marker: unit.alarms.find(AlarmQuery(sort=sort, enabled=enabled, marker=marker, limit=limit)),
            lambda alarm: str(alarm.alarm_id),
        )

        assert whole == list(paged)
    assert (30 if enabled is None else 20) == len(whole)


@PAGING
@given(
    sort=sorts(["event_id", "alarm_id", "on_behalf_of", "project_id", "user_id", "type", "timestamp", "severity"]),
    limit=st.integers(1, 12),
)
def test_pages_of_simple_histories_add_up(stocked: Database, sort: Any, limit: int) -> None:
    """And so do the simple lists of history."""
    with stocked.read() as unit:
        whole = unit.history.find(HistoryQuery(sort=sort))
        paged = pages(
            lambda marker: unit.history.find(HistoryQuery(sort=sort, marker=marker, limit=limit)),
            lambda change: str(change.event_id),
        )

        assert whole == list(paged)


@READING
@given(sort=sorts(sorted(set(SEARCHABLE_ALARMS.kinds) - {"rule", "labels", "ok_actions", "time_constraints"})))
def test_orders_are_those_of_the_wire(stocked: Database, sort: Any) -> None:
    """Lists go by what the wire shows: text by its characters, false before true, severities by meaning, none first."""
    levels = ["low", "moderate", "critical"]

    def key(field: str, item: dict[str, Any]) -> Any:
        value = item[field]
        if isinstance(value, list):
            return json.dumps(value)
        return levels.index(value) if field == "severity" else (value is not None, value)

    # Ties go by the id, in the direction of the last field.
    expected = sorted(ALARM_ITEMS, key=lambda item: str(item["alarm_id"]), reverse=bool(sort) and sort[-1][1] == "desc")
    for field, direction in reversed(sort):
        expected.sort(key=partial(key, field), reverse=direction == "desc")
    found = alarms_of(stocked, orderby=[{field: direction} for field, direction in sort])

    assert [item["alarm_id"] for item in expected] == [alarm.alarm_id for alarm in found]


def test_json_is_compared_however_it_is_spelt(stocked: Database) -> None:
    """A value that is JSON may hold blanks and any script; the stored spelling does not matter for equality."""
    rule = json.dumps({"threshold": 80.0, "query": [{"value": None}], "name": "ö"}, indent=1, ensure_ascii=False)
    even = {alarm.alarm_id for alarm in alarms_of(stocked, {"=": {"rule": rule}})}

    assert {f"{number * 7 % 30:02}" for number in range(0, 30, 2)} == even
    assert 20 == len(alarms_of(stocked, {"in": {"ok_actions": ['[ "http://h/ok" ]', "[]"]}}))
    assert 10 == len(changes_of(stocked, {"=~": {"detail": '"n":1'}}))


@pytest.mark.parametrize("pattern", ["(", "[a", "a{2,1}", "*a", "(?<x"])
@pytest.mark.parametrize("empty", [True, False])
def test_bad_patterns_are_refused(database: Database, pattern: str, empty: bool) -> None:
    """What is no regular expression is the caller's mistake, also where there is nothing to compare with it."""
    if not empty:
        with database.write() as unit:
            unit.alarms.add(an_alarm())
    with pytest.raises(InvalidInput, match="Filter expression not valid: the pattern of =~ is no regular expression"):
        alarms_of(database, {"not": {"=~": {"name": pattern}}})

    assert (0 if empty else 1) == len(alarms_of(database))


#: Every way to cut a text in three has to be tried.
SLOW = r"^(.+)(.+)(.+)\1\3\2$"


def test_slow_patterns_are_given_up(database: Database) -> None:
    """A pattern that would take ages is given up in time, and the connection is as good as before."""
    with database.write() as unit:
        unit.alarms.add_all([an_alarm(name="abcacbba" * 300 + "ab") for _ in range(20)])
    slow = Search(expression=Compare(field="name", operator=Operator.MATCHES, value=SLOW))
    with pytest.raises(InvalidInput, match=r"takes longer than 0\.2 s"), database.read() as unit:
        SEARCHABLE_ALARMS.rows(unit.connection, slow, patience_s=0.2)

    assert 20 == len(alarms_of(database, {"=~": {"name": "^ab"}}))


@pytest.mark.parametrize(
    "pattern",
    ["(?:(?:(?:a{1000}){1000}){1000}){1000}", "a{10000000}", "((a{0900}){900})", "(?x)(a{ 9 9 9}){1#}\n000}"],
)
def test_repeats_that_fill_the_memory_are_refused(database: Database, pattern: str) -> None:
    """The library of SQLite writes repeats out, gigabytes of them; PostgreSQL has a bound of its own."""
    with pytest.raises(InvalidInput, match="pattern of =~ is no regular expression"):
        alarms_of(database, {"=~": {"name": pattern}})


def test_repeats_that_people_write_are_taken(database: Database) -> None:
    """Addresses, moments and identifiers are no trouble."""
    uuid = "[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"
    for pattern in (f"^{uuid}:{uuid}$", r"^([0-9]{1,3}\.){3}[0-9]{1,3}$", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T"):
        assert [] == alarms_of(database, {"=~": {"name": pattern}})


@pytest.mark.parametrize("writing", [False, True])
def test_searches_without_patterns_are_bounded_too(database: Database, writing: bool) -> None:
    """Whatever a search does, it is given up in time, with a transaction around it or without; nothing else is."""
    endless = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
    with (
        pytest.raises(InvalidInput, match=r"takes longer than 0\.1 s"),
        database.write() if writing else database.read() as unit,
        bounded(unit.connection, [], patience_s=0.1),
    ):
        unit.connection.execute(endless).all()

    with database.read() as unit:
        assert [] == unit.alarms.query(Search())
        if unit.connection.dialect.name == "postgresql":
            assert "0" == unit.connection.execute(text("SHOW statement_timeout")).scalar()


def test_the_largest_filters_work(database: Database) -> None:
    """What the bounds allow no database refuses: flat, deep, and full of values."""
    with database.write() as unit:
        unit.alarms.add(an_alarm(name="here"))
    flat = {"and": [{"!=": {"severity": "bogus"}}] * (MAX_COMPARISONS - 1) + [{"=": {"rule": "x"}}]}
    deep: dict[str, Any] = {"=": {"name": "here"}}
    for level in range(MAX_DEPTH - 1):  # an even number of times not
        deep = {"and": [deep, {">=": {"evaluate_timestamp": "0001-01-01T00:00:00"}}]} if level % 2 else {"not": deep}
    each = MAX_COMPARISONS // (MAX_DEPTH - 2)
    both: dict[str, Any] = {"in": {"name": ["here"]}}
    for _ in range(MAX_DEPTH - 2):
        both = {"or": [both, *[{"<": {"description": ""}}] * (each - 1)]}
    many = {"in": {"name": [f"name {number}" for number in range(MAX_VALUES - 1)] + ["here"]}}

    assert [0, 1, 1, 1] == [len(alarms_of(database, condition)) for condition in (flat, deep, both, many)]


@pytest.mark.parametrize("project_id", [None, "p1"])
def test_names_are_looked_up_by_the_index(database: Database, project_id: str | None) -> None:
    """Clients find alarms by name through a complex query; that reads the few rows of that name and no others."""
    with database.write() as unit:
        unit.alarms.add_all([an_alarm(name=f"name {number}") for number in range(2000)])
        if unit.connection.dialect.name == "postgresql":
            unit.connection.execute(text("ANALYZE alarms"))
    name = Compare(field="name", operator=Operator.EQ, value="name 7")
    enabled = Compare(field="enabled", operator=Operator.EQ, value=True)
    for expression in (name, And(parts=(enabled, name)), In(field="name", values=("name 7", "name 8"))):
        with database.read() as unit:
            search = Search(expression=expression, project_id=project_id)
            plan = plan_of(unit.connection, partial(unit.alarms.query, search))

        assert "ix_alarms_name" in plan, plan
    with database.read() as unit:
        plan = plan_of(unit.connection, lambda: unit.alarms.find(AlarmQuery(name="name 7", project_id=project_id)))

    assert "ix_alarms_name" in plan, plan


def test_the_history_of_an_alarm_is_looked_up_by_the_index(database: Database) -> None:
    """What was recorded about one alarm is found without looking at all that was recorded in its project."""
    changes = some_changes()
    with database.write() as unit:
        for lap in range(200):
            unit.history.add_all(
                [
                    replace(change, event_id=f"{lap} {change.event_id}", alarm_id=AlarmId(f"a{lap}"))
                    for change in changes
                ]
            )
        if unit.connection.dialect.name == "postgresql":
            unit.connection.execute(text("ANALYZE alarm_history"))
    of_alarm = Compare(field="alarm_id", operator=Operator.EQ, value="a7")
    with database.read() as unit:
        plans = [
            plan_of(unit.connection, lambda: unit.history.query(Search(expression=of_alarm, project_id="p1"))),
            plan_of(unit.connection, lambda: unit.history.find(HistoryQuery(alarm_id="a7", on_behalf_of="p1"))),
        ]

    assert [] == [plan for plan in plans if "ix_alarm_history_alarm_id_timestamp" not in plan]


def plan_of(connection: Connection, ask: Callable[[], object]) -> str:
    """Return how the database says that it does the last statement of a call."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().startswith("SELECT"):
            statements.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    ask()
    event.remove(connection, "before_cursor_execute", note)
    explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    statement, parameters = statements[-1]
    return str(connection.exec_driver_sql(f"{explain} {statement}", parameters).all())


def test_moments_of_any_year_can_be_compared(database: Database) -> None:
    """The ends of the calendar are moments too, in whatever zone."""
    with database.write() as unit:
        unit.alarms.add(an_alarm())
    ends = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]

    assert [1, 0] == [len(alarms_of(database, {">": {"timestamp": end}})) for end in ends]
    assert datetime(1, 1, 1, tzinfo=UTC) < MORNING
