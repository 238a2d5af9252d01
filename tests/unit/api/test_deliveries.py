# SPDX-License-Identifier: Apache-2.0
"""Deliveries: seen, tried again and taken out."""

import json
from datetime import timedelta
from typing import Any

import pytest

from alarmd.api.context import ApiLimits
from alarmd.cluster.doorbell import Bell
from alarmd.model.breaker import Trip
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState
from alarmd.store.history import HistoryQuery
from tests.support.notifications import CREATED_AT, a_notification
from tests.support.rest import ADMIN, ANN, BOB, EVE, Door, error_of
from tests.support.stock import add_meant

TRACE = f"00-{'4b' * 16}-{'0f' * 8}-01"

BURIED: dict[str, Any] = {
    "state": DeliveryState.BURIED,
    "attempts": 3,
    "last_status": 404,
    "last_error": "HTTP 404 Not Found",
    "finished_at": CREATED_AT + timedelta(seconds=9),
}


def at(seconds: float) -> Any:
    return CREATED_AT + timedelta(seconds=seconds)


@pytest.fixture
def stocked(door: Door) -> Door:
    """A door with three deliveries of one project, of which the second was buried, and one of another project."""
    secret = "https://user:pass@scaler/up/x?Signature=abc"  # a throw-away
    traced: dict[str, Any] = {"not_after": at(302), "sampled_at": at(1.5), "traceparent": TRACE}
    notifications = [
        a_notification(sequence=1, project_id="p1", target=secret),
        a_notification(sequence=2, project_id="p1", created_at=at(1), **BURIED),
        a_notification(
            sequence=3, project_id="p1", target="http://scaler/in", created_at=at(2), direction=Direction.IN, **traced
        ),
        a_notification(alarm_id="alarm-2", project_id="p2", created_at=at(3), target="http://scaler:8080/down"),
    ]
    add_meant(door.database, *notifications)
    return door


def listed(door: Door, arguments: str, headers: dict[str, str] = ADMIN) -> list[str]:
    """Return the ids of a list."""
    answer = door.get(f"/v3/deliveries?{arguments}", headers=headers).get_json()
    return [delivery["event_id"] for delivery in answer["deliveries"]]


@pytest.mark.parametrize(
    ("arguments", "headers", "expected"),
    [
        ("", ANN, ["alarm-1_3_0", "alarm-1_2_0", "alarm-1_1_0"]),
        ("", BOB, ["alarm-2_1_0"]),
        ("alarm_id=alarm-2", ANN, []),
        ("state=buried", ANN, ["alarm-1_2_0"]),
        ("state=buried&state=expired", ANN, ["alarm-1_2_0"]),
        ("state=buried,pending", ANN, ["alarm-1_3_0", "alarm-1_2_0", "alarm-1_1_0"]),
        ("state=silenced", ANN, []),
        ("direction=in", ANN, ["alarm-1_3_0"]),
        ("target=https://scaler/other", ANN, ["alarm-1_1_0"]),
        ("target=https://user:else@SCALER", ANN, ["alarm-1_1_0"]),
        ("target=scaler", ADMIN, ["alarm-2_1_0", "alarm-1_3_0", "alarm-1_2_0", "alarm-1_1_0"]),
        ("target=scaler:8080", ADMIN, ["alarm-2_1_0"]),
        ("target=scal", ADMIN, []),
        ("target=%25", ADMIN, []),
        ("since=2026-01-01T00:00:01", ANN, ["alarm-1_3_0", "alarm-1_2_0"]),
        ("until=2026-01-01T00:00:01", ANN, ["alarm-1_1_0"]),
        ("since=1767225601&until=1767225602", ANN, ["alarm-1_2_0"]),
        ("event_id=alarm-1_2", ANN, ["alarm-1_2_0"]),
        ("event_id=alarm-2", ANN, []),
        ("limit=1", ANN, ["alarm-1_3_0"]),
        ("limit=1&marker=alarm-1_3_0", ANN, ["alarm-1_2_0"]),
        ("alarm_id=alarm-2", ADMIN, ["alarm-2_1_0"]),
        ("project_id=p2", ADMIN, ["alarm-2_1_0"]),
    ],
)
def test_lists_hold_what_was_asked_for(
    stocked: Door, arguments: str, headers: dict[str, str], expected: list[str]
) -> None:
    """Newest first, by whatever tells deliveries apart, in pages."""
    assert expected == listed(stocked, arguments, headers)


def test_a_list_that_was_cut_says_where_it_goes_on(open_a_door: Any, stocked: Door) -> None:
    """The link leads through everything that was asked for, and there is none at the end."""
    door = open_a_door(limits=ApiLimits(page_limit=2))
    path, pages = "/v3/deliveries?state=pending&state=buried", []
    while path:
        response = door.get(path, headers=ANN)
        pages.append([each["event_id"] for each in response.get_json()["deliveries"]])
        link = response.headers.get("Link", "")
        path = link.partition("http://localhost")[2].partition(">")[0]

    assert [["alarm-1_3_0", "alarm-1_2_0"], ["alarm-1_1_0"]] == pages
    assert 3 == len(listed(stocked, "", ANN))


def test_a_delivery_tells_its_story(stocked: Door) -> None:
    """How often it was tried, and what the receiver said."""
    delivery = stocked.get("/v3/deliveries/alarm-1_2_0", headers=ANN).get_json()

    assert {
        "event_id": "alarm-1_2_0",
        "alarm_id": "alarm-1",
        "project_id": "p1",
        "sequence": 2,
        "target": "http://scaler/up",
        "origin": "http://scaler",
        "direction": "neutral",
        "state": "buried",
        "attempts": 3,
        "created_at": "2026-01-01T00:00:01",
        "next_attempt_at": None,
        "not_after": None,
        "finished_at": "2026-01-01T00:00:09",
        "last_status": 404,
        "last_error": "HTTP 404 Not Found",
        "sampled_at": None,
        "traceparent": "",
        "signing_secret": "",
        "body": dict(a_notification(sequence=2).body),
    } == delivery


def test_a_delivery_tells_where_it_comes_from_and_how_long_it_may_take(stocked: Door) -> None:
    """Its direction, the moment from which it is too late, the sample behind it and the trace of that."""
    delivery = stocked.get("/v3/deliveries/alarm-1_3_0", headers=ANN).get_json()

    assert ("in", "2026-01-01T00:05:02", "2026-01-01T00:00:01.500000", TRACE) == tuple(
        delivery[key] for key in ("direction", "not_after", "sampled_at", "traceparent")
    )


@pytest.mark.parametrize("state", DeliveryState)
def test_every_state_is_shown_and_asked_for(door: Door, state: DeliveryState) -> None:
    """Also those that never get as far as a try."""
    with door.database.write() as work:
        work.outbox.add([a_notification(state=state, last_error="because")])
    [shown] = door.get(f"/v3/deliveries?state={state}").get_json()["deliveries"]

    assert (str(state), "because") == (shown["state"], shown["last_error"])


def test_what_makes_a_target_a_secret_is_left_out(stocked: Door) -> None:
    """Neither credentials nor signed arguments are shown."""
    delivery = stocked.get("/v3/deliveries/alarm-1_1_0", headers=ANN).get_json()

    assert ("https://scaler/up/x?…", "https://scaler") == (delivery["target"], delivery["origin"])


def test_a_buried_delivery_is_tried_again(stocked: Door) -> None:
    """It waits from now on, the notifiers are woken, and the alarm's history says who did it."""
    response = stocked.post("/v3/deliveries/alarm-1_2_0/retry", headers=ANN)

    assert (200, "pending") == (response.status_code, response.get_json()["state"])
    assert stocked.get("/v3/deliveries/alarm-1_2_0", headers=ANN).get_json()["state"] == "pending"
    assert Bell.OUTBOX in stocked.doorbell.rung
    assert [("ann", {"retried_deliveries": ["alarm-1_2_0"], "count": 1})] == history(stocked)


def history(door: Door, alarm_id: str = "alarm-1") -> list[tuple[str, dict[str, Any]]]:
    """Return who did what by hand."""
    with door.database.read() as unit:
        found = unit.history.find(HistoryQuery(alarm_id=alarm_id))
    return [(change.user_id, json.loads(json.dumps(dict(change.detail)))) for change in found]


def test_only_buried_deliveries_are_tried_again(stocked: Door) -> None:
    """One that waits anyway is refused, and nothing is written down."""
    response = stocked.post("/v3/deliveries/alarm-1_1_0/retry", headers=ANN)

    assert response.status_code == 400
    assert "pending" in error_of(response)
    assert [] == history(stocked)


def test_what_is_held_back_cannot_be_retried(door: Door) -> None:
    """It needs no help: who asks is told what it waits for."""
    with door.database.write() as work:
        work.outbox.add([a_notification(project_id="p1", state=DeliveryState.HELD)])
    response = door.post("/v3/deliveries/alarm-1_1_0/retry", headers=ANN)

    assert 400 == response.status_code
    assert "goes out when that closes" in error_of(response)
    assert ["alarm-1_1_0"] == listed(door, "state=held")


def test_what_is_too_late_stays_buried(door: Door) -> None:
    """Nobody is told to scale in an hour late, not even by hand."""
    add_meant(door.database, a_notification(not_after=door.clock.now(), **BURIED))
    one, many = door.post("/v3/deliveries/alarm-1_1_0/retry"), door.post("/v3/retries", {})

    assert 400 == one.status_code
    assert "too late" in error_of(one)
    assert {"retried": 0, "more": False, "event_ids": [], "held": []} == many.get_json()
    assert [] == door.doorbell.rung


def test_all_that_a_receiver_missed_is_tried_again_in_one_request(door: Door) -> None:
    """Of the caller's project, newest first, so many at a time; each alarm's history has one entry of it."""
    for number in range(4):
        changes = BURIED | {"project_id": "p2" if number == 3 else "p1", "created_at": at(number)}
        for host in ("web.example", "web.example:8080") if number == 2 else ("web.example",):
            event_id = f"alarm-{number}_1_{host[-1]}"
            changes |= {"alarm_id": f"alarm-{number}", "event_id": event_id}
            add_meant(door.database, a_notification(target=f"http://{host}/up", **changes))
    other = a_notification(alarm_id="other", project_id="p1", target="http://db.example/up", **BURIED)
    add_meant(door.database, other)
    body = {"target": "web.example", "limit": 2}
    answers = [door.post("/v3/retries", body, headers=ANN).get_json() for _ in range(3)]

    assert [
        {"retried": 2, "more": True, "event_ids": ["alarm-2_1_e", "alarm-2_1_0"], "held": []},
        {"retried": 2, "more": True, "event_ids": ["alarm-1_1_e", "alarm-0_1_e"], "held": []},
        {"retried": 0, "more": False, "event_ids": [], "held": []},
    ] == answers
    assert [("ann", {"retried_deliveries": ["alarm-2_1_e", "alarm-2_1_0"], "count": 2})] == history(door, "alarm-2")
    assert {"alarm-3_1_e", "other_1_0"} == set(listed(door, "state=buried"))


def test_what_the_breaker_holds_back_of_a_retry_is_named(door: Door) -> None:
    """Scale-in is put back, but not sent before the breaker closes, and the answer says which that is."""
    now = door.clock.now()
    for alarm_id, direction in (("in", Direction.IN), ("out", Direction.OUT)):
        add_meant(door.database, a_notification(alarm_id=alarm_id, direction=direction, **BURIED))
    with door.database.write() as work:
        work.breaker.hold(Trip(owner="e1", reason="too much", since=now, until=now + timedelta(seconds=30)))
    answer = door.post("/v3/retries", {}).get_json()

    assert {"retried": 2, "more": False, "event_ids": ["out_1_0", "in_1_0"], "held": ["in_1_0"]} == answer
    assert ["in_1_0"] == listed(door, "state=held")


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.HELD])
def test_what_waits_is_dropped(door: Door, state: DeliveryState) -> None:
    """It is never sent, says why, and stands in the history with who did it."""
    with door.database.write() as work:
        work.outbox.add([a_notification(project_id="p1", state=state)])
    response = door.post("/v3/deliveries/alarm-1_1_0/drop", headers=ANN)

    assert (200, "dropped", "dropped by an operator") == (
        response.status_code,
        response.get_json()["state"],
        response.get_json()["last_error"],
    )
    assert [("ann", {"dropped_deliveries": ["alarm-1_1_0"], "count": 1})] == history(door)


def test_what_is_on_its_way_or_over_is_not_dropped(stocked: Door) -> None:
    """Each is told why."""
    with stocked.database.write() as work:
        work.outbox.claim(now=at(60), owner="somebody", lease_s=30, limit=10)
    being_sent = stocked.post("/v3/deliveries/alarm-1_1_0/drop", headers=ANN)
    over = stocked.post("/v3/deliveries/alarm-1_2_0/drop", headers=ANN)

    assert [400, 400] == [being_sent.status_code, over.status_code]
    assert "being sent just now" in error_of(being_sent)
    assert "is buried; only one that is pending or held is dropped" in error_of(over)


def test_deliveries_of_others_do_not_exist(stocked: Door) -> None:
    """Nor do those that there are not; and a reader may look but not touch."""
    for response in (
        stocked.get("/v3/deliveries/alarm-1_1_0", headers=BOB),
        stocked.post("/v3/deliveries/alarm-1_1_0/retry", headers=BOB),
        stocked.post("/v3/deliveries/alarm-1_1_0/drop", headers=BOB),
        stocked.get("/v3/deliveries/nothing", headers=ANN),
    ):
        assert response.status_code == 404
        assert "not found" in error_of(response)
    assert stocked.get("/v3/deliveries/alarm-1_2_0", headers=EVE).status_code == 200
    for path in ("/v3/deliveries/alarm-1_2_0/retry", "/v3/deliveries/alarm-1_1_0/drop"):
        assert stocked.post(path, headers=EVE).status_code == 403
    assert stocked.post("/v3/retries", {}, headers=EVE).status_code == 403
    assert stocked.post("/v3/retries", {"project_id": "p2"}, headers=ANN).status_code == 401
    assert [] == stocked.post("/v3/retries", {}, headers=BOB).get_json()["event_ids"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("state=lost", "pending, delivered, buried, superseded, expired, held, silenced, dropped"),
        ("state=buried,lost", "'lost'"),
        ("direction=up", "out, in, neutral"),
        ("since=yesterday", "ISO 8601"),
        ("until=9e99", "ISO 8601"),
        ("colour=red", 'Unknown argument: "colour"'),
        ("marker=nothing", "nothing"),
        ("limit=x", "Limit should be positive"),
    ],
)
def test_what_cannot_be_asked_is_refused(door: Door, arguments: str, text: str) -> None:
    """Each mistake says what is wrong."""
    response = door.get(f"/v3/deliveries?{arguments}")

    assert response.status_code == 400
    assert text in error_of(response)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "object"),
        ({"colour": "red"}, "colour"),
        ({"limit": 1_001}, "1000"),
        ({"direction": "up"}, "direction"),
        ({"since": "yesterday"}, "ISO 8601"),
    ],
)
def test_a_retry_that_cannot_be_read_is_refused(door: Door, body: Any, text: str) -> None:
    """Each mistake says what is wrong, and nothing is retried."""
    response = door.post("/v3/retries", body)

    assert response.status_code == 400
    assert text in error_of(response)
