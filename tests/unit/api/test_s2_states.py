# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §2.2, what becomes of the fields of the state: each test's id names the row of the table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from alarmd.model.alarm import State
from alarmd.store.outbox import OutboxQuery
from tests.support.rest import Door, error_of
from tests.unit.api.test_s2_versions import evaluated

LISTS = {"ok": "ok_actions", "alarm": "alarm_actions", "insufficient data": "insufficient_data_actions"}
#: An alarm in state ok, with one action for each state.
ALARM: dict[str, Any] = {
    "name": "x",
    "type": "threshold",
    "threshold_rule": {"meter_name": "m", "threshold": 80},
    "state": "ok",
    **{actions: [f"http://receiver.example/{actions}"] for actions in LISTS.values()},
}
CREATED, NOW = "2026-01-01T00:00:00", "2026-01-01T00:01:00"
NOT_EVALUATED, BY_HAND = "Not evaluated yet", "Manually set via API"

#: Does to the alarm at a path what the row is about, with what was answered when it was created.
Trigger: TypeAlias = Callable[[Door, str, dict[str, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is seen afterwards."""

    trigger: Trigger
    state: str = "ok"
    state_timestamp: str = CREATED
    state_reason: str = NOT_EVALUATED
    #: What the history tells beside the creation.
    recorded: tuple[str, ...] = ()
    #: For which state actions were taken.
    fired: tuple[str, ...] = ()
    #: Whether `timestamp`, the moment of the last change of the definition, has moved.
    defined: bool = False


def put(**changes: Any) -> Trigger:
    """Send back what was read, with changes."""
    return lambda door, path, alarm: door.put(path, alarm | changes)


def put_state(state: str) -> Trigger:
    """Set the state by hand."""
    return lambda door, path, _alarm: door.put(f"{path}/state", state)


def evaluate(to: State) -> Trigger:
    """Have an evaluator decide."""

    def turn(door: Door, path: str, _alarm: dict[str, Any]) -> None:
        door.clock.advance(-1)
        evaluated(door, path, to=to)

    return turn


ROWS: dict[str, Row] = {
    "post": Row(trigger=lambda *_: None),
    "put_alarm_state_differs": Row(
        trigger=put(state="alarm"),
        state="alarm",
        state_timestamp=NOW,
        state_reason=BY_HAND,
        recorded=("rule change",),
        defined=True,
    ),
    "put_alarm_same_state": Row(trigger=put(name="y"), recorded=("rule change",), defined=True),
    "put_alarm_same_state_nothing_changes": Row(trigger=put()),
    "put_state": Row(
        trigger=put_state("alarm"),
        state="alarm",
        state_timestamp=NOW,
        state_reason=BY_HAND,
        recorded=("state transition",),
    ),
    "put_state_equal": Row(
        trigger=put_state("ok"), state_timestamp=NOW, state_reason=BY_HAND, recorded=("state transition",)
    ),
    "evaluator_transition": Row(
        trigger=evaluate(State.ALARM),
        state="alarm",
        state_timestamp=NOW,
        state_reason="evaluated",
        recorded=("state transition",),
        fired=("alarm",),
    ),
    "evaluator_transition_to_insufficient_data": Row(
        trigger=evaluate(State.INSUFFICIENT_DATA),
        state="insufficient data",
        state_timestamp=NOW,
        state_reason="evaluated",
        recorded=("state transition",),
        fired=("insufficient data",),
    ),
    # Whether a state that stays is told at all, `repeat_actions` decides: tests/unit/evaluators/test_plan.py.
    "evaluator_no_transition_repeated": Row(trigger=evaluate(State.OK), fired=("ok",)),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=[f"2.2-{name}" for name in ROWS])
def test_s2_2_state_fields(door: Door, row: Row) -> None:
    """State, moment, reason and history, and that only an evaluator takes actions: those of the new state."""
    alarm = door.post("/v2/alarms", ALARM).get_json()
    path = f"/v2/alarms/{alarm['alarm_id']}"
    door.clock.advance(60)
    row.trigger(door, path, alarm)
    after = door.get(path).get_json()

    assert {
        "state": row.state,
        "state_timestamp": row.state_timestamp,
        "state_reason": row.state_reason,
        "timestamp": NOW if row.defined else CREATED,
    } == {key: after[key] for key in ("state", "state_timestamp", "state_reason", "timestamp")}
    recorded = [change["type"] for change in door.get(f"{path}/history?sort=timestamp").get_json()]
    assert ["creation", *row.recorded] == recorded
    with door.database.read() as unit:
        fired = [one.target for one in unit.outbox.find(OutboxQuery())]
    assert [f"http://receiver.example/{LISTS[state]}" for state in row.fired] == fired


@pytest.mark.parametrize("state", LISTS)
def test_s2_2_put_state_takes_the_three_states(door: Door, state: str) -> None:
    """As a JSON string, or in the query string without a body."""
    path = f"/v2/alarms/{door.post('/v2/alarms', ALARM).get_json()['alarm_id']}/state"
    answers = [door.put(path, state), door.put(f"{path}?state={state.replace(' ', '%20')}"), door.get(path)]

    assert [(200, state)] * 3 == [(answer.status_code, answer.get_json()) for answer in answers]


@pytest.mark.parametrize(
    ("rest", "data"),
    [("", None), ("", "OK"), ("", ""), ("", ["ok"]), ("", {"state": "ok"}), ("", 1), ("?state=OK", None)],
    ids=["missing", "capitals", "empty", "list", "object", "number", "query string"],
)
def test_s2_2_put_state_refuses_anything_else(door: Door, rest: str, data: Any) -> None:
    """400, and nothing has changed."""
    path = f"/v2/alarms/{door.post('/v2/alarms', ALARM).get_json()['alarm_id']}"
    before = door.get(path).get_json()
    response = door.put(f"{path}/state{rest}", data)

    assert 400 == response.status_code
    assert error_of(response)
    assert before == door.get(path).get_json()
