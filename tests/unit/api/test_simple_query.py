# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §1.4, simple queries, §1.5, order and pages, and §6, what histories can be asked for."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from alarmd.api.context import ApiLimits
from tests.support.rest import ADMIN, ANN, BOB, Door, error_of
from tests.unit.api.test_alarms import created


@pytest.fixture
def stocked(door: Door) -> Door:
    """A door with three alarms, made a minute apart."""
    created(door, name="a", enabled=False, severity="critical")
    door.clock.advance(60)
    created(door, name="b", state="ok", repeat_actions=True, severity="moderate")
    door.clock.advance(60)
    created(door, name="1", state="ok", project_id="p1")
    return door


def names(door: Door, arguments: str) -> list[str]:
    """Return the names of the alarms listed."""
    response = door.get(f"/v2/alarms?{arguments}")
    assert response.status_code == 200, response.get_data(as_text=True)
    return [alarm["name"] for alarm in response.get_json()]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["1", "b", "a"]),
        ("q.field=enabled&q.op=eq&q.value=false", ["a"]),
        ("q.field=enabled&q.value=True", ["1", "b"]),
        ("q.field=enabled&q.op=&q.type=&q.value=0", ["a"]),
        ("q.field=enabled&q.op=eq&q.type=boolean&q.value=False", ["a"]),
        ("q.field=name&q.op=eq&q.value=1", ["1"]),
        ("q.field=state&q.op=eq&q.value=ok", ["1", "b"]),
        ("q.field=state&q.op=eq&q.value=ok&q.field=repeat_actions&q.op=eq&q.value=true", ["b"]),
        ("q.field=name&q.value=a&q.field=name&q.value=b", ["b"]),
        ("q.field=severity&q.value=critical", ["a"]),
        ("q.field=severity&q.value=bogus", []),
        ("q.field=state&q.value=bogus", []),
        ("q.field=type&q.value=threshold", ["1", "b", "a"]),
        ("q.field=type&q.value=event", []),
        ("q.field=timestamp&q.value=2026-01-01T00:01:00", ["b"]),
        ("q.field=project_id&q.value=p1", ["1"]),
        ("q.field=user_id&q.value=nobody", []),
        ("q.field=all_projects&q.value=false", ["1", "b", "a"]),
        ("q.field=all_projects&q.value=Yes", ["1", "b", "a"]),
        ("q.field=severity&q.value=bogus&q.field=severity&q.value=critical", ["a"]),
        ("q.field=name&q.value=b&q.field=enabled&q.value=True&q.op=&q.op=eq&q.type=&q.type=boolean", ["b"]),
        ("q.field=repeat_actions&q.type=string&q.value=true", ["b"]),
        ("q.field=repeat_actions&q.type=integer&q.value=1", ["b"]),
        ("q.field=enabled&q.value=NO", ["a"]),
        ("q.field=name&q.type=integer&q.value=1", ["1"]),
        ("q.field=name&q.value=True", []),
        ("q.field=name&q.value=None", []),
        ("q.field=timestamp&q.type=datetime&q.value=2026-01-01T01:01:00%2B01:00", ["b"]),
        ("q.field=timestamp&q.value=0001-01-01T00:00:00", []),
        ("q.field=user_id&q.value=someone%20else", []),
    ],
)
def test_s1_4_lists_hold_what_was_asked_for(stocked: Door, arguments: str, expected: list[str]) -> None:
    """Conditions are positional and all must hold; values need no type; what does not exist matches nothing."""
    assert expected == names(stocked, arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("sort=", ["1", "b", "a"]),
        ("sort=name:", ["1", "a", "b"]),
        ("sort=name:DESC", ["b", "a", "1"]),
        ("sort=repeat_actions:desc&sort=severity", ["b", "1", "a"]),
        ("sort=name", ["1", "a", "b"]),
        ("sort=name:desc", ["b", "a", "1"]),
        ("sort=state:desc&sort=name:asc", ["1", "b", "a"]),
        ("sort=severity", ["1", "b", "a"]),
        ("limit=2", ["1", "b"]),
        ("limit=0", ["1", "b", "a"]),
        ("marker=&limit=", ["1", "b", "a"]),
    ],
)
def test_s1_5_lists_are_in_the_order_that_was_asked_for(stocked: Door, arguments: str, expected: list[str]) -> None:
    """Newest first by default; several keys count one after the other, each in its direction; 0 and nothing are all."""
    assert expected == names(stocked, arguments)


def test_s1_5_pages_follow_each_other(stocked: Door) -> None:
    """The id of the last alarm of a page leads to the next one."""
    first = stocked.get("/v2/alarms?limit=2").get_json()

    assert ["a"] == names(stocked, f"limit=2&marker={first[-1]['alarm_id']}")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("name=a", 'Unknown argument: "name"'),
        ("q=x", 'Unknown argument: "q"'),
        ("q.foo=x", 'Unknown argument: "q.foo"'),
        ("q.field=alarm_id&q.value=x", "unrecognized field in query: alarm_id"),
        ("q.value=x", "q.field. Value: 'None'. Mandatory field missing."),
        ("q.field=name", "q.value. Value: 'None'. Mandatory field missing."),
        ("q.field=name&q.op=ne&q.value=x", "Value should be one of: eq"),
        ("q.field=name&q.type=thing&q.value=x", "Value should be one of: boolean, datetime"),
        ("q.field=name&q.type=integer&q.value=x", "Unable to convert the value x to the expected data type integer."),
        ("q.field=metadata.x&q.value=x", "unrecognized field in query: metadata.x"),
        ("q.field=name&q.op=EQ&q.value=x", "Value should be one of: eq"),
        ("q.field=&q.value=x", "q.field. Value: 'None'. Mandatory field missing."),
        ("q.field=name&q.value=x&q.value=y", "q.field. Value: 'None'. Mandatory field missing."),
        ("q.field=name&q.type=float&q.value=x", "Unable to convert the value x to the expected data type float."),
        ("q.field=name&q.type=boolean&q.value=x", "Unable to convert the value x to the expected data type boolean."),
        ("q.field=name&q.type=datetime&q.value=x", "Unable to convert the value x to the expected data type datetime."),
        ("q.field=all_projects&q.value=perhaps", "Unable to convert the value perhaps"),
        ("q.field=repeat_actions&q.value=2", "Unable to convert the value 2"),
        ("q.field=enabled&q.value=", "Unable to convert the value  to the expected data type boolean."),
        ("q.field=enabled&q.value=perhaps", "Unable to convert the value perhaps"),
        ("q.field=timestamp&q.value=soon", "Value should be ISO 8601"),
        ("q.field=name&q.value=a%00b", "NUL"),
    ],
)
def test_s1_4_what_cannot_be_asked_is_refused(stocked: Door, arguments: str, text: str) -> None:
    """Each mistake is a 400 that names it, where Aodh sometimes fails."""
    response = stocked.get(f"/v2/alarms?{arguments}")

    assert response.status_code == 400
    assert text in error_of(response)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("limit=-1", "Limit should be positive"),
        ("limit=1.5", "Limit should be positive"),
        ("sort=:asc", "Value should be one of: alarm_id, enabled"),
        ("sort=description", "Value should be one of: alarm_id, enabled"),
        ("limit=x", "Limit should be positive"),
        ("sort=colour", "colour"),
        ("sort=name:sideways", "sideways"),
        ("marker=nothing", "nothing"),
    ],
)
def test_s1_5_what_cannot_be_ordered_or_paged_is_refused(stocked: Door, arguments: str, text: str) -> None:
    """Each mistake is a 400 that names it, where Aodh sometimes fails."""
    response = stocked.get(f"/v2/alarms?{arguments}")

    assert response.status_code == 400
    assert text in error_of(response)


@pytest.mark.parametrize(
    ("headers", "arguments", "status", "found"),
    [
        (ANN, "", 200, "1"),
        (ADMIN, "", 200, ""),
        (None, "", 200, "ba1"),
        (ADMIN, "q.field=all_projects&q.value=true", 200, "ba1"),
        (ADMIN, "q.field=all_projects&q.value=false", 200, ""),
        (ADMIN, "q.field=project_id&q.value=p1", 200, "1"),
        (ANN, "q.field=project_id&q.value=p1", 200, "1"),
        (ANN, "q.field=all_projects&q.value=false", 200, "1"),
        (ANN, "q.field=all_projects&q.value=true", 403, None),
        (ANN, "q.field=project_id&q.value=p2", 401, None),
        (ANN, "q.field=project_id&q.value=", 401, None),
        (BOB, "", 200, ""),
    ],
)
def test_s1_4_lists_are_of_a_project(
    stocked: Door, headers: dict[str, str] | None, arguments: str, status: int, found: str | None
) -> None:
    """A list is of the caller's project, an admin's too, until an admin asks for another or for all."""
    response = stocked.get(f"/v2/alarms?sort=timestamp&{arguments}", headers=headers)

    assert status == response.status_code
    if found is not None:
        assert sorted(found) == sorted(alarm["name"] for alarm in response.get_json())


@pytest.fixture
def alarm_path(door: Door) -> str:
    """The path of the history of an alarm whose state was set by hand three times, a minute apart."""
    alarm = created(door, ANN, name="a", severity="critical")
    for state in ("ok", "alarm", "ok"):
        door.clock.advance(60)
        door.put(f"/v2/alarms/{alarm['alarm_id']}/state", state, headers=ANN)
    return f"/v2/alarms/{alarm['alarm_id']}/history"


@pytest.mark.parametrize(
    ("arguments", "minutes"),
    [
        ("", [3, 2, 1, 0]),
        ("sort=timestamp", [0, 1, 2, 3]),
        ("sort=type&sort=timestamp:desc", [0, 3, 2, 1]),
        ("sort=severity:desc&limit=1", [0]),
        ("limit=2", [3, 2]),
        ("q.field=type&q.value=creation", [0]),
        ("q.field=type&q.value=state%20transition", [3, 2, 1]),
        ("q.field=type&q.value=bogus", []),
        ("q.field=severity&q.value=critical", [0]),
        ("q.field=severity&q.value=bogus", []),
        ("q.field=user&q.value=ann", [3, 2, 1, 0]),
        ("q.field=user_id&q.value=bob", []),
        ("q.field=project&q.value=p1", [3, 2, 1, 0]),
        ("q.field=timestamp&q.op=gt&q.value=2026-01-01T00:01:00", [3, 2]),
        ("q.field=timestamp&q.op=ge&q.value=2026-01-01T00:01:00", [3, 2, 1]),
        ("q.field=timestamp&q.op=lt&q.value=2026-01-01T00:01:00", [0]),
        ("q.field=timestamp&q.op=le&q.value=2026-01-01T00:01:00&q.field=type&q.value=creation", [0]),
        (
            (
                "q.field=timestamp&q.op=ge&q.value=2026-01-01T00:01:00"
                "&q.field=timestamp&q.op=lt&q.value=2026-01-01T00:03:00"
            ),
            [2, 1],
        ),
        ("q.field=timestamp&q.op=gt&q.value=2026-01-01T00:03:00&q.field=search_offset&q.op=eq&q.value=2", [3, 2]),
        ("q.field=timestamp&q.op=le&q.value=2026-01-01T00:00:00&q.field=search_offset&q.value=1", [1, 0]),
        ("q.field=timestamp&q.op=gt&q.value=0001-01-01T00:00:00&q.field=search_offset&q.value=9", [3, 2, 1, 0]),
        ("q.field=timestamp&q.op=lt&q.value=9999-12-31T23:59:59&q.field=search_offset&q.value=9", [3, 2, 1, 0]),
    ],
)
def test_s6_histories_hold_what_was_asked_for(door: Door, alarm_path: str, arguments: str, minutes: list[int]) -> None:
    """The history is narrowed, ordered and paged; moments are bounds, which an offset moves apart."""
    response = door.get(f"{alarm_path}?{arguments}", headers=ANN)

    assert response.status_code == 200, response.get_data(as_text=True)
    assert [f"2026-01-01T00:{minute:02}:00" for minute in minutes] == [
        each["timestamp"] for each in response.get_json()
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ("q.field=timestamp&q.value=2026-01-01T00:00:00", 400, "Value should be one of: lt, le, gt, ge"),
        ("q.field=timestamp&q.op=eq&q.value=2026-01-01T00:00:00", 400, "Value should be one of: lt, le, gt, ge"),
        ("q.field=timestamp&q.op=gt&q.value=soon", 400, "Value should be ISO 8601"),
        ("q.field=type&q.op=ne&q.value=creation", 400, "Value should be one of: eq"),
        ("q.field=search_offset&q.value=1", 400, "search_offset cannot be used without timestamp"),
        ("q.field=timestamp&q.op=gt&q.value=2026-01-01&q.field=search_offset&q.value=x", 400, "data type integer"),
        ("q.field=alarm_id&q.value=x", 400, "unrecognized field in query: alarm_id"),
        ("q.field=on_behalf_of&q.value=p1", 400, "unrecognized field in query: on_behalf_of"),
        ("q.field=metadata.x&q.value=x", 400, "unrecognized field in query: metadata.x"),
        ("q.field=type", 400, "q.value. Value: 'None'. Mandatory field missing."),
        ("sort=detail", 400, "Value should be one of: alarm_id, event_id"),
        ("sort=type:up", 400, "asc, desc"),
        ("marker=nothing", 400, "Marker nothing not found"),
        ("limit=-1", 400, "Limit should be positive"),
        ("q.field=project_id&q.value=p2", 401, "Not Authorized to access project p2"),
        ("q.field=project&q.value=p2&q.field=type&q.value=bogus", 401, "Not Authorized to access project p2"),
    ],
)
def test_s6_histories_that_cannot_be_asked_for(
    door: Door, alarm_path: str, arguments: str, status: int, text: str
) -> None:
    """Each mistake is named, and so is another's project."""
    response = door.get(f"{alarm_path}?{arguments}", headers=ANN)

    assert status == response.status_code
    assert text in error_of(response)


def test_s6_the_history_of_what_is_not_there_is_not_there(door: Door, alarm_path: str) -> None:
    """Another project's alarm has no history, whatever is asked of it."""
    response = door.get(f"{alarm_path}?q.field=type&q.value=bogus", headers=BOB)

    assert 404 == response.status_code


@pytest.mark.parametrize(("wanted", "sizes"), [("", [2, 2, 1]), ("limit=0&", [2, 2, 1]), ("limit=4&", [2, 2])])
@pytest.mark.parametrize("arguments", ["", "sort=severity:asc&sort=name:desc", "q.field=enabled&q.op=&q.value=true"])
def test_s1_5_the_rest_of_a_list_can_be_had(
    open_a_door: Callable[..., Door], wanted: str, sizes: list[int], arguments: str
) -> None:
    """Where the page cuts a list, Link leads to the rest, in the same order, up to the number that was wanted."""
    door = open_a_door(limits=ApiLimits(page_limit=2))
    for number in range(5):
        created(door, name=str(number))
    whole = [alarm["name"] for alarm in open_a_door().get(f"/v2/alarms?{arguments}").get_json()]
    pages = list(linked(door, f"/v2/alarms?{wanted}{arguments}"))

    assert sizes == [len(page) for page in pages]
    assert whole[: sum(sizes)] == [alarm["name"] for page in pages for alarm in page]


def test_s1_5_the_rest_of_a_history_can_be_had(open_a_door: Callable[..., Door], alarm_path: str) -> None:
    """Histories go on as lists do, below a path prefix too."""
    door = open_a_door(limits=ApiLimits(page_limit=3))
    whole = open_a_door().get(alarm_path).get_json()
    first = door.get(alarm_path, headers=ANN, base_url="http://localhost/alarming")

    assert whole == [change for page in linked(door, alarm_path) for change in page]
    assert first.headers["Link"].startswith(f"<http://localhost/alarming{alarm_path}?marker=")


def test_s1_5_who_wants_no_more_gets_no_link(open_a_door: Callable[..., Door]) -> None:
    """A limit that the page has room for is what the client wanted; nothing is missing then."""
    door = open_a_door(limits=ApiLimits(page_limit=2))
    for number in range(3):
        created(door, name=str(number))

    assert "Link" not in door.get("/v2/alarms?limit=2").headers
    assert "Link" in door.get("/v2/alarms?limit=3").headers


def linked(door: Door, path: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the pages of a list, each where the one before leads to."""
    while True:
        response = door.get(path)
        assert response.status_code == 200, response.get_data(as_text=True)
        yield response.get_json()
        if "Link" not in response.headers:
            return
        target, relation = response.headers["Link"].removeprefix("<").split(">; ")
        assert relation == 'rel="next"'
        path = f"{urlsplit(target).path}?{urlsplit(target).query}"
