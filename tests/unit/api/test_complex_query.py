# SPDX-License-Identifier: Apache-2.0
"""Complex queries over HTTP: their grammar, their complaints, and who gets to see what."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from alarmd.api.complex_query import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    MAX_PATTERN,
    MAX_SORT_FIELDS,
    MAX_TEXT,
    MAX_VALUES,
)
from alarmd.api.context import Access, ApiLimits
from tests.support.rest import ADMIN, ANN, BOB, EVE, Door, error_of
from tests.unit.api.test_alarms import created

ALARMS, HISTORY = "/v2/query/alarms", "/v2/query/alarms/history"


@pytest.fixture
def stocked(door: Door) -> Door:
    """A door with alarms of two projects, made a minute apart."""
    created(door, ANN, name="a", enabled=False, severity="critical")
    door.clock.advance(60)
    created(door, ANN, name="b", state="ok", repeat_actions=True, severity="moderate")
    door.clock.advance(60)
    created(door, BOB, name="1", state="ok", ok_actions=["http://example.org/ok"])
    return door


def ask(door: Door, path: str, condition: Any = None, *, headers: dict[str, str] | None = None, **others: Any) -> Any:
    """Return the response to a query; a condition is put into a string as the API wants it."""
    body = others if condition is None else others | {"filter": json.dumps(condition)}
    return door.post(path, body, headers=headers)


def names(door: Door, condition: Any = None, **others: Any) -> list[str]:
    """Return the names of the alarms found."""
    response = ask(door, ALARMS, condition, **others)
    assert response.status_code == 200, response.get_data(as_text=True)
    return [alarm["name"] for alarm in response.get_json()]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"=": {"name": "a"}}, ["a"]),
        ({"=": {"name": 1}}, ["1"]),
        ({"!=": {"name": "a"}}, ["1", "b"]),
        ({"=": {"enabled": "true"}}, ["1", "b"]),
        ({"=": {"enabled": False}}, ["a"]),
        ({"in": {"enabled": ["false", 0]}}, ["a"]),
        ({"=": {"project": "p1"}}, ["b", "a"]),
        ({"In": {"user": ["ann", "nobody"]}}, ["b", "a"]),
        ({">": {"severity": "low"}}, ["b", "a"]),
        ({">=": {"severity": "bogus"}}, []),
        ({"=>": {"timestamp": "2026-01-01T00:01:00"}}, ["1", "b"]),
        ({"=<": {"timestamp": "2026-01-01T01:01:00+01:00"}}, ["b", "a"]),
        ({"=~": {"name": "^[ab]$"}}, ["b", "a"]),
        ({"=~": {"ok_actions": "example[.]org"}}, ["1"]),
        ({"=": {"ok_actions": '[ "http://example.org/ok" ]'}}, ["1"]),
        ({"=~": {"rule": '"threshold":80'}}, ["1", "b", "a"]),
        ({"AND": [{"=": {"state": "ok"}}, {"Not": {"=": {"name": "b"}}}]}, ["1"]),
        ({"or": [{"=": {"name": "a"}}, {"=": {"name": "b"}}, {"=": {"name": "c"}}]}, ["b", "a"]),
    ],
)
def test_s1_6_alarms_that_a_filter_holds_for(stocked: Door, condition: Any, expected: list[str]) -> None:
    """Every operator works in any case, on fields of every kind, with values as clients spell them."""
    assert expected == names(stocked, condition)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({}, ["1", "b", "a"]),
        ({"filter": None, "orderby": None, "limit": None}, ["1", "b", "a"]),
        ({"orderby": '[{"name": "ASC"}]'}, ["1", "a", "b"]),
        ({"orderby": '[{"severity": "asc"}]'}, ["1", "b", "a"]),
        ({"orderby": '[{"state": "desc"}, {"name": "Desc"}]'}, ["b", "1", "a"]),
        ({"orderby": '[{"project": "desc"}, {"name": "asc"}]'}, ["1", "a", "b"]),
        ({"limit": 2}, ["1", "b"]),
        ({"limit": "1"}, ["1"]),
        ({"limit": 2.0, "orderby": '[{"name": "asc"}]'}, ["1", "a"]),
    ],
)
def test_s1_6_order_and_number(stocked: Door, others: dict[str, Any], expected: list[str]) -> None:
    """Newest first and all there is, unless another order or fewer are asked for."""
    assert expected == names(stocked, **others)


def test_s1_6_no_order_is_still_one(stocked: Door) -> None:
    """Who asks for no particular order gets the same one every time."""
    first = names(stocked, orderby="[]")

    assert {"a", "b", "1"} == set(first)
    assert first == names(stocked, orderby="[]")


def test_s1_6_answers_look_as_those_of_lists(stocked: Door) -> None:
    """Both paths, with and without a trailing slash, answer with the items of the lists."""
    assert stocked.get("/v2/alarms").get_json() == ask(stocked, f"{ALARMS}/").get_json()

    alarm_id = stocked.get("/v2/alarms").get_json()[0]["alarm_id"]
    expected = stocked.get(f"/v2/alarms/{alarm_id}/history").get_json()

    assert expected == ask(stocked, f"{HISTORY}/", {"=": {"alarm_id": alarm_id}}).get_json()


def test_s1_6_the_history_of_deleted_alarms_is_found(stocked: Door) -> None:
    """What was recorded about an alarm can be looked up when it is gone, where its own history is a 404."""
    alarm = stocked.get("/v2/alarms", headers=ANN).get_json()[0]
    stocked.clock.advance(1)
    stocked.delete(f"/v2/alarms/{alarm['alarm_id']}", headers=ANN)
    condition = {"=": {"alarm_id": alarm["alarm_id"]}}
    types = [change["type"] for change in ask(stocked, HISTORY, condition, headers=ANN).get_json()]

    assert ["deletion", "creation"] == types
    assert [] == ask(stocked, HISTORY, condition, headers=BOB).get_json()


def test_s1_6_history_can_be_asked_for_by_every_field(stocked: Door) -> None:
    """Fields of the history, its severity too, which is not shown; what has none matches nothing, so not is true."""
    alarm = stocked.get("/v2/alarms", headers=ANN).get_json()[0]
    stocked.put(f"/v2/alarms/{alarm['alarm_id']}/state", "alarm", headers=ANN)
    counts = [
        len(ask(stocked, HISTORY, condition).get_json())
        for condition in (
            {"=": {"type": "creation"}},
            {"=~": {"detail": '"state":"alarm"'}},
            {"=": {"detail": '{"state": "alarm", "state_reason": "Manually set via API"}'}},
            {"in": {"severity": ["low", "moderate", "critical"]}},
            {"not": {"in": {"severity": ["low", "moderate", "critical"]}}},
            {"and": [{"=": {"on_behalf_of": "p2"}}, {"=": {"project": "p2"}}, {"=": {"user": "bob"}}]},
            {"<": {"timestamp": "2026-01-01T00:00:30"}},
        )
    ]

    assert [3, 1, 1, 3, 1, 1, 1] == counts


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ({"==": {"name": "a"}}, "there is no operator '=='"),
        ({"eq": {"name": "a"}}, "there is no operator 'eq'"),
        ({"like": {"name": "a"}}, "there is no operator 'like'"),
        ({"and": [{"=": {"name": "a"}}]}, "and takes a list of two operands or more"),
        ({"or": {"=": {"name": "a"}}}, "or takes a list of two operands or more"),
        ({"not": [{"=": {"name": "a"}}]}, "an object with exactly one key"),
        ({"=": {"name": "a"}, "!=": {"name": "b"}}, "an object with exactly one key"),
        ({"=": {"name": "a", "type": "b"}}, "an object with exactly one key"),
        ({}, "an object with exactly one key"),
        ([], "an object with exactly one key"),
        ("name", "an object with exactly one key"),
        ({"=": {"colour": "a"}}, "there is no field 'colour'; known: alarm_actions, alarm_id"),
        ({"=": {"trust_id": "a"}}, "there is no field 'trust_id'"),
        ({"=": {"metadata.x": "a"}}, "there is no field 'metadata.x'"),
        ({"=": {"name": None}}, "name is compared with a string, a number or a boolean, not None"),
        ({"=": {"name": ["a"]}}, "name is compared with a string"),
        ({"in": {"name": []}}, "in takes a list of one value or more"),
        ({"in": {"name": "a"}}, "in takes a list of one value or more"),
        ({"in": {"name": [None]}}, "name is compared with a string"),
        ({"in": {"enabled": [True]}}, "in takes strings and numbers"),
        ({"=~": {"enabled": "t"}}, "=~ compares text, and enabled is a boolean"),
        ({"=~": {"timestamp": "2026"}}, "=~ compares text, and timestamp is a datetime"),
        ({"=~": {"name": "("}}, "no regular expression"),
        ({"=~": {"name": "x" * (MAX_PATTERN + 1)}}, f"longer than {MAX_PATTERN} characters"),
        ({"=": {"name": "a\0b"}}, "NUL"),
        ({"=": {"name": 1e400}}, "not a finite number"),
        ({"in": {"name": ["a"] * (MAX_VALUES + 1)}}, f"more than {MAX_VALUES} values"),
        ({"or": [{"=": {"name": "a"}}] * (MAX_COMPARISONS + 1)}, f"more than {MAX_COMPARISONS} comparisons"),
    ],
)
def test_s1_6_filters_that_cannot_be(stocked: Door, condition: Any, text: str) -> None:
    """Whatever is wrong with a filter is a 400 that names it."""
    response = ask(stocked, ALARMS, condition)

    assert response.status_code == 400
    assert text in error_of(response)
    assert "Filter expression not valid: " in error_of(response) or "finite" in text or "NUL" in text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"filter": {"=": {"name": "a"}}}, "Filter expression not valid: filter must be JSON within a string"),
        ({"filter": "{"}, "Filter expression not valid: filter is not JSON: "),
        ({"filter": ""}, "Filter expression not valid: filter is not JSON: "),
        ({"filter": "null"}, "Filter expression not valid: an object with exactly one key"),
        ({"filter": "[" * 100_000}, "Filter expression not valid: filter is nested too deeply."),
        ({"filter": '{"not":' * (MAX_DEPTH + 1)}, "Filter expression not valid: filter is not JSON"),
        ({"filter": " " * (MAX_TEXT + 1)}, f"Filter expression not valid: filter is longer than {MAX_TEXT}"),
        ({"filter": '{"=": {"name": "a"}, "=": {"name": "b"}}'}, "an object has the same key twice"),
        ({"filter": '{"=": {"name": NaN}}'}, "not a finite number"),
        ({"filter": '{"=": {"name": %s}}' % ("9" * 5000)}, "Filter expression not valid: filter is not JSON"),
        ({"filter": '{"=": {"timestamp": "soon"}}'}, "Failed to parse the timestamp value 'soon'"),
        ({"filter": '{"=": {"state_timestamp": 5}}'}, "Failed to parse the timestamp value 5"),
        ({"filter": '{"=": {"evaluate_timestamp": ""}}'}, "Failed to parse the timestamp value ''"),
        (
            {"filter": '{"=": {"enabled": "perhaps"}}'},
            "Unable to convert the value 'perhaps' to the expected data type",
        ),
        ({"filter": '{"=": {"repeat_actions": 2}}'}, "Unable to convert the value 2 to the expected data type"),
        ({"orderby": [{"name": "asc"}]}, "Order-by expression not valid: orderby must be JSON within a string"),
        ({"orderby": '{"name": "asc"}'}, "Order-by expression not valid: it must be a list"),
        ({"orderby": "null"}, "Order-by expression not valid: it must be a list"),
        ({"orderby": '["name"]'}, "Order-by expression not valid: an object with exactly one key"),
        ({"orderby": '[{"name": "asc", "type": "asc"}]'}, "Order-by expression not valid: an object with exactly one"),
        ({"orderby": '[{"name": "up"}]'}, "Order-by expression not valid: the direction of name should be one of"),
        ({"orderby": '[{"name": 1}]'}, "Order-by expression not valid: the direction of name should be one of"),
        ({"orderby": '[{"colour": "asc"}]'}, "Order-by expression not valid: there is no field 'colour'"),
        ({"orderby": json.dumps([{"name": "asc"}] * (MAX_SORT_FIELDS + 1))}, "names more than"),
        ({"limit": 0}, "Limit should be positive"),
        ({"limit": -1}, "Limit should be positive"),
        ({"limit": 1.5}, "Limit should be positive"),
        ({"limit": "many"}, "Limit should be positive"),
        ({"limit": True}, "Limit should be positive"),
        ({"limit": [1]}, "Limit should be positive"),
        ({"limit": "9" * 5000}, "Limit should be positive"),
        ({"order": "[]"}, "Unknown attribute for argument body: order"),
        ([], "The body must be an object"),
        ("x", "The body must be an object"),
        (5, "The body must be an object"),
    ],
)
@pytest.mark.parametrize("path", [ALARMS])
def test_s1_6_bodies_that_cannot_be(stocked: Door, path: str, body: Any, text: str) -> None:
    """Whatever is wrong with the rest of a query is a 400 that names it."""
    response = stocked.post(path, body)

    assert response.status_code == 400
    assert text in error_of(response)


def test_s1_6_deep_filters_are_refused(stocked: Door) -> None:
    """What is nested as deep as is allowed is answered, one level more is refused."""

    def nested(levels: int) -> Any:
        condition: Any = {"=": {"name": "a"}}
        for _ in range(levels - 1):
            condition = {"not": condition}
        return condition

    response = ask(stocked, ALARMS, nested(MAX_DEPTH + 1))

    assert ["1", "b"] == names(stocked, nested(MAX_DEPTH))
    assert (400, True) == (response.status_code, "nested deeper than" in error_of(response))


@pytest.mark.parametrize("path", [ALARMS, HISTORY])
@pytest.mark.parametrize(
    ("body", "content_type", "arguments", "status"),
    [
        (b"", "application/json", "", 400),
        (b"null", "application/json", "", 400),
        (b"{}", "text/plain", "", 415),
        (b"{}", "application/json", "limit=1", 400),
        (b"{}", "application/json", "marker=nothing", 400),
        (b"{}", "application/json", "marker=", 200),
    ],
)
def test_s1_6_what_is_sent(door: Door, path: str, body: bytes, content_type: str, arguments: str, status: int) -> None:  # noqa: PLR0917  # parametrised
    """A query needs a JSON body, and takes nothing in its URL but the marker of a page."""
    response = door.app.test_client().post(path, data=body, content_type=content_type, query_string=arguments)

    assert status == response.status_code


def test_s1_6_only_post_is_allowed(stocked: Door) -> None:
    """Queries are posted."""
    response = stocked.get(ALARMS)

    assert (405, "POST") == (response.status_code, response.headers["Allow"])


@pytest.mark.parametrize("path", [ALARMS, HISTORY])
def test_s1_6_who_sees_what(stocked: Door, path: str) -> None:
    """A project sees its own, an admin everything without asking for it."""
    seen = [len(ask(stocked, path, headers=headers).get_json()) for headers in (ANN, EVE, BOB, ADMIN, None)]

    assert [2, 2, 1, 3, 3] == seen


@pytest.mark.parametrize(("path", "owner"), [(ALARMS, "project_id"), (HISTORY, "on_behalf_of")])
@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('{"=": {"OWNER": "p1"}}', 2),
        ('{"in": {"OWNER": ["p1"]}}', 2),
        ('{"!=": {"OWNER": "p1"}}', 0),
        ('{"=": {"user_id": "bob"}}', 0),
        ('{"=": {"OWNER": "p2"}}', None),
        ('{"!=": {"OWNER": "p2"}}', None),
        ('{"in": {"OWNER": ["p1", "p2"]}}', None),
        ('{"=~": {"OWNER": ".*"}}', None),
        ('{"or": [{"=": {"type": "x"}}, {"not": {"=": {"OWNER": "p2"}}}]}', None),
    ],
)
def test_s1_6_who_names_another_project(
    stocked: Door, path: str, owner: str, condition: str, found: int | None
) -> None:
    """Who is no admin is told when a filter names another project, wherever it does; admins may."""
    body = {"filter": condition.replace("OWNER", owner)}
    response = stocked.post(path, body, headers=ANN)

    if found is None:
        assert 401 == response.status_code
        assert error_of(response).startswith("Not Authorized to access project ")
    else:
        assert found == len(response.get_json())
    assert 200 == stocked.post(path, body, headers=ADMIN).status_code


def test_s1_6_the_alias_of_the_project_is_the_project(stocked: Door) -> None:
    """Another name for the field does not get around the rule."""
    assert 401 == ask(stocked, ALARMS, {"=": {"project": "p2"}}, headers=ANN).status_code


def test_s1_6_a_foreign_actor_may_be_named(stocked: Door) -> None:
    """Who acted is no matter of whose alarm it is: an admin's changes of one's own alarms can be asked for."""
    alarm = stocked.get("/v2/alarms", headers=ANN).get_json()[0]
    stocked.put(f"/v2/alarms/{alarm['alarm_id']}/state", "alarm", headers=ADMIN)
    changes = ask(stocked, HISTORY, {"=": {"project_id": "ops"}}, headers=ANN).get_json()

    assert [alarm["alarm_id"]] == [change["alarm_id"] for change in changes]


@pytest.mark.parametrize("path", [ALARMS, HISTORY])
def test_s1_6_who_may_not_ask(open_a_door: Callable[..., Door], path: str) -> None:
    """Without the role, or any identity, there is no answer."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    statuses = [
        ask(door, path, headers=headers).status_code
        for headers in ({}, {"X-User-Id": "ann", "X-Project-Id": "p1", "X-Roles": "member"}, ANN)
    ]

    assert [403, 403, 200] == statuses


@pytest.mark.parametrize("path", [ALARMS, HISTORY])
@pytest.mark.parametrize("body", [{}, {"limit": 100}, {"orderby": '[{"severity": "asc"}]'}])
def test_s1_6_the_rest_of_a_list_can_be_had(open_a_door: Callable[..., Door], path: str, body: dict[str, Any]) -> None:
    """Where the page cuts a list, Link leads to the rest: the same body posted there, until there is no more."""
    door = open_a_door(limits=ApiLimits(page_limit=2))
    for number in range(5):
        created(door, ANN, name=str(number))
    ids, url, sizes = [], path, []
    while True:
        response = door.post(url, body, headers=ANN)
        page = response.get_json()
        ids += [item["alarm_id"] for item in page]
        sizes.append(len(page))
        if "Link" not in response.headers:
            break
        where = urlsplit(response.headers["Link"].removeprefix("<").partition(">")[0])
        url = f"{where.path}?{where.query}"

    assert [2, 2, 1] == sizes
    assert 5 == len(set(ids))


@pytest.mark.parametrize("limit", [1, 2])
def test_s1_6_who_wants_no_more_gets_no_link(open_a_door: Callable[..., Door], limit: int) -> None:
    """A limit that the page has room for is what the client wanted; nothing is missing then."""
    door = open_a_door(limits=ApiLimits(page_limit=2))
    for number in range(3):
        created(door, name=str(number))
    response = ask(door, ALARMS, limit=limit)

    assert (limit, False) == (len(response.get_json()), "Link" in response.headers)
