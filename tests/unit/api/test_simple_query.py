# SPDX-License-Identifier: Apache-2.0
"""Lists of alarms: conditions, order and pages."""

import pytest

from tests.support.rest import Door, error_of
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
        ("sort=name", ["1", "a", "b"]),
        ("sort=name:desc", ["b", "a", "1"]),
        ("sort=state:desc&sort=name:asc", ["1", "b", "a"]),
        ("sort=severity", ["1", "b", "a"]),
        ("limit=2", ["1", "b"]),
        ("limit=0", ["1", "b", "a"]),
        ("marker=&limit=", ["1", "b", "a"]),
    ],
)
def test_lists_hold_what_was_asked_for(stocked: Door, arguments: str, expected: list[str]) -> None:
    """Conditions are positional and all must hold; values need no type; what does not exist matches nothing."""
    assert expected == names(stocked, arguments)


def test_pages_follow_each_other(stocked: Door) -> None:
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
        ("q.field=enabled&q.value=perhaps", "Unable to convert the value perhaps"),
        ("q.field=timestamp&q.value=soon", "Value should be ISO 8601"),
        ("q.field=name&q.value=a%00b", "NUL"),
        ("limit=-1", "Limit should be positive"),
        ("limit=x", "Limit should be positive"),
        ("sort=colour", "colour"),
        ("sort=name:sideways", "sideways"),
        ("marker=nothing", "nothing"),
    ],
)
def test_what_cannot_be_asked_is_refused(stocked: Door, arguments: str, text: str) -> None:
    """Each mistake is a 400 that names it, where Aodh sometimes fails."""
    response = stocked.get(f"/v2/alarms?{arguments}")

    assert response.status_code == 400
    assert text in error_of(response)
