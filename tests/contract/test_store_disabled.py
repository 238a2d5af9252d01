# SPDX-License-Identifier: Apache-2.0
"""The contract of disabled targets, on every database."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from alarmd.model.alarm import Alarm, State
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.model.notification import DeliveryState, EventId, Settlement
from alarmd.store.database import Database
from alarmd.store.disabled import Disabled, DisabledAction
from alarmd.store.history import HistoryQuery
from tests.support.alarms import MORNING, an_alarm
from tests.support.stock import outbox_of
from tests.support.threads import run_together
from tests.support.transitions import REASON, turn

GONE, HERE, TRUSTED = "http://gone.example/?Signature=x", "http://here.example/", "trust+http://gone.example/"


def at(seconds: float) -> datetime:
    return MORNING + timedelta(seconds=seconds)


@pytest.fixture
def alarm(database: Database) -> Alarm:
    """An alarm with two receivers."""
    with database.write() as unit:
        return unit.alarms.add(an_alarm(alarm_actions=(GONE, HERE, TRUSTED), trust_id="t1"))


def gone(event_id: str, seconds: float = 5) -> Settlement:
    return Settlement(
        event_id=EventId(event_id),
        state=DeliveryState.BURIED,
        next_attempt_at=at(seconds),
        last_status=410,
        last_error="gone: HTTP 410 Gone",
        at=at(seconds),
        disables_target=True,
    )


def disable(database: Database, target: str) -> int:
    """Have the newest notification for a target come to nothing for good."""
    found = next(one for one in outbox_of(database) if one.target == target)
    with database.write() as unit:
        return unit.disabled_targets.disable([gone(found.event_id)]).targets


def changes(database: Database, alarm: Alarm) -> list[AlarmChange]:
    with database.read() as unit:
        return unit.history.find(HistoryQuery(alarm_id=alarm.alarm_id))


def test_a_disabled_target_is_left_out_and_the_history_says_so(database: Database, alarm: Alarm) -> None:
    """The alarm's other actions are taken as before; what was left out stands with the transition."""
    turn(database, alarm.alarm_id, at=at(0))
    assert disable(database, GONE) == 1
    with database.write() as unit:
        unit.alarms.replace(replace(alarm, state=State.OK))
    result = turn(database, alarm.alarm_id, at=at(10))
    newest, told = outbox_of(database)[:2], changes(database, alarm)[0]

    assert [2] == [one.notifications for one in result.applied]
    assert {HERE, "trust+http://t1@gone.example/"} == {one.target for one in newest}
    assert ["_1", "_2"] == sorted(one.event_id[-2:] for one in newest), "each action keeps its place in the id"
    assert {"state": "alarm", "transition_reason": REASON, "left_out_actions": [GONE]} == told.detail


def test_the_history_tells_of_a_target_that_is_disabled(database: Database, alarm: Alarm) -> None:
    """It is a change of a type that Aodh's clients know, made by nobody, and shows the action as the alarm has it."""
    turn(database, alarm.alarm_id, at=at(0))
    disable(database, "trust+http://t1@gone.example/")
    newest = changes(database, alarm)[0]

    assert (ChangeType.RULE_CHANGE, at(5), "", "") == (newest.type, newest.timestamp, newest.user_id, newest.project_id)
    assert {"disabled_actions": [TRUSTED], "reason": "gone: HTTP 410 Gone"} == newest.detail
    assert newest.on_behalf_of == alarm.project_id


def test_disabling_twice_is_told_once(database: Database, alarm: Alarm) -> None:
    """Of two notifiers that hear it only one writes it down."""
    turn(database, alarm.alarm_id, at=at(0))
    found = next(one for one in outbox_of(database) if one.target == GONE)

    heard: list[int] = []

    def hear() -> None:
        with database.write() as unit:
            heard.append(unit.disabled_targets.disable([gone(found.event_id)]).targets)

    run_together(*[hear] * 4)

    assert [0, 0, 0, 1] == sorted(heard)
    assert 1 == len([one for one in changes(database, alarm) if one.type is ChangeType.RULE_CHANGE])


def test_what_waits_for_a_disabled_target_is_given_up(database: Database, alarm: Alarm) -> None:
    """What is under way is for whoever sends it to settle; what waits in that lane is not sent any more."""
    turn(database, alarm.alarm_id, at=at(0))
    with database.write() as unit:
        claimed = unit.outbox.claim(now=at(1), owner="n1", lease_s=60, limit=10).notifications
    turn(database, alarm.alarm_id, at=at(2))
    sent = next(one for one in claimed if one.target == GONE)
    with database.write() as unit:
        disabled = unit.disabled_targets.disable([gone(sent.event_id)])
        unit.outbox.settle([gone(sent.event_id)], owner="n1")
    here = {(one.sequence, one.target): one for one in outbox_of(database)}

    assert Disabled(targets=1, buried=1) == disabled
    assert (DeliveryState.BURIED, "gone: HTTP 410 Gone") == (here[1, GONE].state, here[1, GONE].last_error)
    assert DeliveryState.BURIED is here[2, GONE].state
    assert "not sent, since its target is disabled: gone: HTTP 410 Gone" == here[2, GONE].last_error
    assert DeliveryState.PENDING is here[2, HERE].state


def test_what_is_given_up_is_counted_over_all_targets(database: Database, alarm: Alarm) -> None:
    """Several may be gone at once, and one of them need have nothing that waits."""
    turn(database, alarm.alarm_id, at=at(0))
    with database.write() as unit:
        claimed = unit.outbox.claim(now=at(1), owner="n1", lease_s=60, limit=10).notifications
        other = unit.alarms.add(an_alarm(alarm_actions=(GONE,)))
    turn(database, alarm.alarm_id, at=at(2))
    turn(database, other.alarm_id, at=at(2))
    with database.write() as unit:
        later = unit.outbox.claim(now=at(3), owner="n1", lease_s=60, limit=10).notifications
        asked = [one.event_id for one in (*claimed, *later) if one.target != HERE]
        disabled = unit.disabled_targets.disable([gone(event_id) for event_id in asked])

    assert Disabled(targets=3, buried=2) == disabled


def test_what_is_disabled_can_be_asked_for_and_taken_back(database: Database, alarm: Alarm) -> None:
    """Until it is cleared; clearing what is not there is nothing."""
    turn(database, alarm.alarm_id, at=at(0))
    disable(database, GONE)
    with database.write() as unit:
        shown = unit.disabled_targets.of(alarm)
        cleared = [unit.disabled_targets.clear(alarm.alarm_id) for _ in range(2)]
        after = unit.disabled_targets.of(alarm)
    result = turn(database, alarm.alarm_id, at=at(10))

    assert [DisabledAction(action=GONE, reason="gone: HTTP 410 Gone", disabled_at=at(5))] == shown
    assert ([True, False], []) == (cleared, after)
    assert [3] == [one.notifications for one in result.applied]


def test_an_action_that_the_alarm_no_longer_has_is_passed_over(database: Database, alarm: Alarm) -> None:
    """An answer that comes after the alarm was changed, or deleted, disables nothing of it."""
    turn(database, alarm.alarm_id, at=at(0))
    events = [one.event_id for one in outbox_of(database) if one.target == GONE]
    with database.write() as unit:
        unit.alarms.replace(replace(alarm, alarm_actions=(HERE,)))
    with database.write() as unit:
        disabled = [unit.disabled_targets.disable([gone(events[0])])]
    with database.write() as unit:
        unit.alarms.remove(alarm.alarm_id, at(6))
        disabled.append(unit.disabled_targets.disable([gone(events[0]), gone("nobody_1_0")]))

    assert [Disabled(), Disabled()] == disabled


def test_an_alarm_whose_every_action_is_left_out_still_changes(database: Database) -> None:
    """Its state is true whoever hears of it."""
    with database.write() as unit:
        alarm = unit.alarms.add(an_alarm(alarm_actions=(GONE,)))
    turn(database, alarm.alarm_id, at=at(0))
    disable(database, GONE)
    result = turn(database, alarm.alarm_id, at=at(10))
    with database.read() as unit:
        stored = unit.alarms.get(alarm.alarm_id)

    assert [(0, 1)] == [(one.notifications, one.sequence) for one in result.applied]
    assert stored is not None
    assert (State.ALARM, 1) == (stored.state, stored.sequence)
