# SPDX-License-Identifier: Apache-2.0
"""`POST /v3/alarms/preview`."""

from collections.abc import Callable
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import pytest

from alarmd.api.context import Access, ApiLimits
from alarmd.clock import ManualClock
from alarmd.evaluators.answers.previews import Previews
from tests.support.rest import ADMIN, ANN, BOB, EVE, Door, error_of

PATH = "/v3/alarms/preview"
RULE = {"meter_name": "cpu_util", "comparison_operator": "gt", "threshold": 80, "period": 10}
ALARM: dict[str, Any] = {"type": "threshold", "threshold_rule": RULE}


def push(door: Door, *values: float, step_s: float = 10, metric: str = "cpu_util", **more: Any) -> None:
    """Push samples that end now."""
    now_s = door.clock.time_s()
    items = [
        {"metric": metric, "resource_id": "vm-1", "value": value, "timestamp": now_s - step_s * ago, **more}
        for ago, value in zip(range(len(values) - 1, -1, -1), values, strict=True)
    ]
    assert 202 == door.post("/v3/samples", {"samples": items}).status_code


def given(*values: float, step_s: float = 10, **more: Any) -> list[dict[str, Any]]:
    """Samples of 2020, to be sent along."""
    series = {"metric": "cpu_util", "resource_id": "vm-1", **more}
    return [{**series, "value": value, "timestamp": 1_577_836_800 + step_s * at} for at, value in enumerate(values)]


def currents(answer: dict[str, Any]) -> list[str]:
    return [one["current"] for one in answer["transitions"]]


def test_a_preview_says_what_would_have_been(door: Door) -> None:
    """Each change with its moment, reason and data; the states without gaps; what they come to."""
    door.clock.advance(7200)
    push(door, 10, 10, 95, 95, 10)
    answer = door.post(PATH, {**ALARM, "since": "40s", "state": "ok"}).get_json()

    assert {
        "start": "2026-01-01T01:59:20",
        "end": "2026-01-01T02:00:00",
        "transitions": [
            {
                "at": "2026-01-01T01:59:40",
                "previous": "ok",
                "current": "alarm",
                "reason": "Transition to alarm due to 1 samples outside threshold, most recent: 95.0",
                "reason_data": {"type": "threshold", "disposition": "outside", "count": 1, "most_recent": 95.0},
            },
            {
                "at": "2026-01-01T02:00:00",
                "previous": "alarm",
                "current": "ok",
                "reason": "Transition to ok due to 1 samples inside threshold, most recent: 10.0",
                "reason_data": {"type": "threshold", "disposition": "inside", "count": 1, "most_recent": 10.0},
            },
        ],
        "truncated": False,
        "states": [
            {"state": "ok", "from": "2026-01-01T01:59:20", "to": "2026-01-01T01:59:40"},
            {"state": "alarm", "from": "2026-01-01T01:59:40", "to": "2026-01-01T02:00:00"},
            {"state": "ok", "from": "2026-01-01T02:00:00", "to": "2026-01-01T02:00:00"},
        ],
        "changes": 2,
        "flaps": 1,
        "changes_per_hour": 180.0,
        "shares": {"ok": 0.5, "alarm": 0.5, "insufficient data": 0.0},
        "would_notify": {"ok_actions": 1, "alarm_actions": 1, "insufficient_data_actions": 0},
        "samples_read": 5,
    } == {key: value for key, value in answer.items() if key != "assumptions"}
    assert "At the start it was in the state 'ok'." == answer["assumptions"][0]


def test_nothing_is_stored(door: Door) -> None:
    """No alarm, no history, no delivery, no sample, and nobody is woken."""
    before = list(door.doorbell.rung)
    assert 200 == door.post(PATH, {**ALARM, "name": "new", "samples": given(95, 10)}).status_code

    assert [] == door.get("/v2/alarms").get_json()
    assert [] == door.get("/v3/deliveries").get_json()["deliveries"]
    assert 0 == door.log.stats().entries
    assert before == door.doorbell.rung


def test_a_backtest_uses_the_given_samples_only(door: Door) -> None:
    """From whenever they are, in any order; the span is theirs."""
    push(door, 95)
    answer = door.post(PATH, {**ALARM, "samples": given(10, 95)[::-1]}).get_json()

    assert ("2020-01-01T00:00:00", "2020-01-01T00:00:10") == (answer["start"], answer["end"])
    assert (["ok", "alarm"], 2) == (currents(answer), answer["samples_read"])


@pytest.mark.parametrize(
    ("since", "start"),
    [
        ("90s", "2026-01-01T01:58:30"),
        ("1.5m", "2026-01-01T01:58:30"),
        ("1h", "2026-01-01T01:00:00"),
        (60, "2026-01-01T01:59:00"),
        ("60", "2026-01-01T01:59:00"),
        ("2026-01-01T01:30:00Z", "2026-01-01T01:30:00"),
        (None, "2026-01-01T01:59:40"),
    ],
)
def test_a_span_begins_by_its_length_or_by_a_moment(door: Door, since: Any, start: str) -> None:
    """Without either it begins with what is there, an hour ago at most."""
    door.clock.advance(7200)
    push(door, 1, 2, 3)

    assert start == door.post(PATH, {**ALARM, "since": since}).get_json()["start"]


def test_repeats_and_time_constraints_count(door: Door) -> None:
    """Repeats are counted as actions; while the constraints are closed nothing happens."""
    samples = given(*[95] * 31)
    repeated = door.post(PATH, {**ALARM, "repeat_actions": True, "samples": samples}).get_json()
    constraint = {"name": "never then", "start": "0 12 * * *", "duration": 60}
    closed = door.post(PATH, {**ALARM, "time_constraints": [constraint], "samples": samples}).get_json()

    assert (1, 6) == (repeated["changes"], repeated["would_notify"]["alarm_actions"])
    assert ([], 0) == (closed["transitions"], closed["flaps"])


def test_states_of_other_alarms_are_taken_as_they_are_now(door: Door) -> None:
    """And the answer says so."""
    other = door.post("/v2/alarms", {"name": "other", "state": "alarm", **ALARM}).get_json()["alarm_id"]
    rule = {"and": [{"alarm_id": other}, {"type": "threshold", **RULE}]}
    answer = door.post(PATH, {"type": "composite", "composite_rule": rule, "samples": given(10, 95)}).get_json()

    assert ["ok", "alarm"] == currents(answer)
    assert (
        f"The alarm {other} that the rule refers to was 'alarm', as it is now, for the whole span."
        in (answer["assumptions"])
    )


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"type": "threshold"}, "threshold_rule must be set"),
        ({**ALARM, "colour": "red"}, "colour"),
        ({**ALARM, "threshold_rule": {**RULE, "period": 86400}}, "looks back"),
        ({**ALARM, "since": "yesterday"}, "Value should be a duration"),
        ({**ALARM, "since": -1}, "Value should be a duration"),
        ({**ALARM, "since": True}, "Value should be a duration"),
        ({**ALARM, "since": "3h"}, "`since` is 3 h before the end of the span, but 2 h is the most"),
        ({**ALARM, "since": "99999999d"}, "but 2 h is the most"),
        ({**ALARM, "since": "2027-01-01T00:00:00"}, "is after the end of the span"),
        ({**ALARM, "samples": {}}, "Value should be a list of samples"),
        ({**ALARM, "samples": []}, "There are no samples"),
        ({**ALARM, "samples": [{"metric": "m"}]}, "Sample 0 cannot be used: resource_id is missing"),
        ({**ALARM, "samples": given(1), "since": "8d"}, "but 7 d is the most"),
        ({"type": "event", "event_rule": {}}, "wait for events"),
        ([], "The body should be an object"),
    ],
)
def test_what_cannot_be_previewed_is_refused(door: Door, body: Any, complaint: str) -> None:
    """With the cause and what to do."""
    response = door.post(PATH, body)

    assert 400 == response.status_code
    assert complaint in error_of(response)


def test_pushes_have_the_same_bounds(open_a_door: Callable[..., Door]) -> None:
    """As many samples as a push may have."""
    door = open_a_door(limits=ApiLimits(max_samples_per_push=2))

    assert 413 == door.post(PATH, {**ALARM, "samples": given(1, 2, 3)}).status_code


def test_who_may_create_may_preview(open_a_door: Callable[..., Door]) -> None:
    """A member, in its own project; an administrator in any."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    foreign = {**ALARM, "project_id": "p2"}

    assert 200 == door.post(PATH, ALARM, headers=ANN).status_code
    assert 403 == door.post(PATH, ALARM, headers=EVE).status_code
    assert 401 == door.post(PATH, foreign, headers=ANN).status_code
    assert 200 == door.post(PATH, foreign, headers=ADMIN).status_code
    reads_another = {**RULE, "query": [{"field": "project_id", "value": "p2"}]}
    assert 401 == door.post(PATH, {"type": "threshold", "threshold_rule": reads_another}, headers=ANN).status_code
    assert 400 == door.post(PATH, {**ALARM, "samples": given(1, project_id="p2")}, headers=ANN).status_code


def test_alarms_of_other_projects_are_not_seen(open_a_door: Callable[..., Door]) -> None:
    """What a rule refers to is checked as on creation: nobody learns another's state by trying rules."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    other = door.post("/v2/alarms", {"name": "o", **ALARM}, headers=BOB).get_json()["alarm_id"]
    response = door.post(PATH, {"type": "composite", "composite_rule": {"alarm_id": other}}, headers=ANN)

    assert 400 == response.status_code
    assert "which is not found" in error_of(response)


def test_samples_of_other_projects_are_not_seen(open_a_door: Callable[..., Door]) -> None:
    """A preview reads what the alarm would."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    item = {"metric": "cpu_util", "resource_id": "vm-1", "value": 95, "project_id": "p2"}
    door.post("/v3/samples", {"samples": [item]}, headers=ADMIN)

    assert 0 == door.post(PATH, {**ALARM, "since": 60}, headers=ANN).get_json()["samples_read"]


class _Hurrying(ManualClock):
    """A clock on which everything takes a second."""

    def monotonic_s(self) -> float:
        self.advance(1)
        return super().monotonic_s()


def test_a_preview_that_takes_too_long_is_given_up(door: Door) -> None:
    """With the setting that allows more; the next one may begin."""
    hurried = replace(door.context.previews._around, clock=_Hurrying())
    door.app.extensions["alarmd.context"] = replace(door.context, previews=Previews(hurried))
    texts = [error_of(door.post(PATH, {**ALARM, "since": 3600})) for _ in range(2)]
    expected = (
        "Going through 1 h takes longer than the 20 s allowed: name a later `since`, or ask the operator to raise "
        "api.preview_timeout_s."
    )

    assert 2 * [expected] == texts


def test_one_preview_at_a_time(door: Door) -> None:
    """Whoever asks meanwhile is told to come back."""
    under_way, go_on = Event(), Event()
    previews = door.context.previews
    really = previews._run

    def slowly(*args: Any, **kwargs: Any) -> Any:
        under_way.set()
        go_on.wait(10)
        return really(*args, **kwargs)

    previews._run = slowly  # type: ignore[method-assign]  # the same, but when the test says so
    statuses: list[int] = []
    first = Thread(target=lambda: statuses.append(door.post(PATH, {**ALARM, "since": 5}).status_code))
    first.start()
    under_way.wait(10)
    second = door.post(PATH, {**ALARM, "since": 5})
    go_on.set()
    first.join()

    assert (429, "2", [200]) == (second.status_code, second.headers["Retry-After"], statuses)
    assert "try again" in error_of(second)
    assert 200 == door.post(PATH, {**ALARM, "since": 5}).status_code
