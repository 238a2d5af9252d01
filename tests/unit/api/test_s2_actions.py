# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §2, action rules: each test names the statement it holds alarmd to."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.rest import ADMIN, ANN, Door, error_of
from tests.support.trusts import MemoryTrusts

ALARM: dict[str, Any] = {"name": "x", "type": "event", "event_rule": {}}
#: An action of each scheme, with what is shown of it.
ACTIONS: dict[str, tuple[str, str]] = {
    "http": ("http://h/a%2Fb?c=%2B", "http://h/a%2Fb?c=%2B"),
    "https": ("https://h/", "https://h/"),
    "trust+http": ("trust+http://h/a", "trust+http://h/a"),
    "trust+https": ("trust+https://h/a", "trust+https://h/a"),
    "zaqar": ("zaqar://?topic=t&subscriber=http%3A//h/x", "zaqar://?topic=t&subscriber=http%3A//h/x"),
    "trust+zaqar": ("trust+zaqar://?queue_name=q", "trust+zaqar://?queue_name=q"),
    "trust+heat": ("trust+heat://h/", "trust+heat://h/"),
    "log": ("log://", "log:"),
    "test": ("test://", "test:"),
}
INWARD = {"log", "test"}


@pytest.mark.parametrize("scheme", ACTIONS, ids=lambda scheme: f"2-{scheme}")
def test_s2_action_scheme_is_taken(open_a_door: Callable[..., Door], scheme: str) -> None:
    """From an admin every one, from others all but `log` and `test` (401); shown as it was sent, without a trust."""
    door = open_a_door(trusts=MemoryTrusts())
    sent, shown = ACTIONS[scheme]
    by_admin, by_ann = (door.post("/v2/alarms", ALARM | {"ok_actions": [sent]}, headers=who) for who in (ADMIN, ANN))

    assert (201, [shown]) == (by_admin.status_code, by_admin.get_json()["ok_actions"])
    if scheme in INWARD:
        assert (401, f"You are not authorized to create action: {sent}") == (by_ann.status_code, error_of(by_ann))
    else:
        assert 201 == by_ann.status_code


@pytest.mark.parametrize("scheme", [scheme for scheme in ACTIONS if scheme.startswith("trust+")])
def test_s2_action_of_a_trust_needs_a_keystone(door: Door, scheme: str) -> None:
    """Without one it is refused when the alarm is made: 400 that says so."""
    response = door.post("/v2/alarms", ALARM | {"ok_actions": [ACTIONS[scheme][0]]}, headers=ADMIN)

    assert 400 == response.status_code
    assert "Keystone" in error_of(response)


@pytest.mark.parametrize("url", ["ftp://h/", "mailto:a@b", "//h/", "h", ""], ids=lambda url: f"2-{url or 'empty'}")
def test_s2_action_of_another_scheme_is_refused(door: Door, url: str) -> None:
    """In Aodh's words."""
    response = door.post("/v2/alarms", ALARM | {"ok_actions": [url]}, headers=ADMIN)

    assert (400, f"Unsupported action {url}") == (response.status_code, error_of(response))


def test_s2_action_that_names_a_trust_is_refused(open_a_door: Callable[..., Door]) -> None:
    """Else anybody could use another's."""
    door = open_a_door(trusts=MemoryTrusts())
    response = door.post("/v2/alarms", ALARM | {"ok_actions": ["trust+http://id:delete@h/"]}, headers=ANN)

    assert 400 == response.status_code
    assert error_of(response).startswith("Unsupported action trust+http://id:delete@h/")


@pytest.mark.parametrize("path", ["/v2/alarms/{}", "/v2/alarms", "/v2/query/alarms", "/v2/alarms/{}/history"])
def test_s2_action_shows_no_trust_on_any_path(open_a_door: Callable[..., Door], path: str) -> None:
    """Aodh shows it in complex queries and histories."""
    door = open_a_door(trusts=MemoryTrusts())
    alarm_id = door.post("/v2/alarms", ALARM | {"ok_actions": ["trust+http://h/a"]}, headers=ANN).get_json()["alarm_id"]
    ask = door.post if "query" in path else door.get
    text = ask(path.format(alarm_id), *([{}] if "query" in path else []), headers=ANN).get_data(as_text=True)

    assert "trust+http://h/a" in text
    assert "trust-1" not in text


def test_s2_action_count_is_bounded_a_list(door: Door) -> None:
    """In Aodh's words; each list on its own, and the same twice counts once."""
    ten = [f"http://h/{number}" for number in range(10)]
    lists = {f"{state}_actions": [*ten, ten[0]] for state in ("ok", "alarm", "insufficient_data")}
    taken = door.post("/v2/alarms", ALARM | lists, headers=ANN)
    refused = door.post("/v2/alarms", ALARM | {"ok_actions": [*ten, "http://h/10"]}, headers=ANN)

    assert (201, ten) == (taken.status_code, taken.get_json()["ok_actions"])
    assert (400, "ok_actions count exceeds maximum value 10") == (refused.status_code, error_of(refused))
