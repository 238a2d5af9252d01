# SPDX-License-Identifier: Apache-2.0
"""Events against the alarms of a database, on every database (aodh-api 4.7)."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
import structlog
from sqlalchemy import text, update

from alarmd.clock import ManualClock
from alarmd.cluster.doorbell import Bell
from alarmd.evaluators.event_evaluation import EventEvaluation, EventReport
from alarmd.model.alarm import Alarm, State
from alarmd.model.event import Event
from alarmd.model.history import AlarmChange
from alarmd.model.notification import Notification
from alarmd.store.database import Database, UnitOfWork
from alarmd.store.history import HistoryQuery
from alarmd.store.outbox import OutboxQuery
from alarmd.store.tables import alarms
from tests.support.alarms import an_alarm
from tests.support.events import a_push, an_event, as_event, meets
from tests.support.rest import CountingDoorbell
from tests.support.threads import run_together

STOPPED = {"field": "traits.state", "op": "eq", "value": "stopped", "type": "string"}
NOTHING = EventReport(transitions=0, repeats=0, notifications=0)


class House:
    """A database with event alarms, and what holds events against them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock()
        self.doorbell = CountingDoorbell()
        self.evaluation = EventEvaluation(database=database, doorbell=self.doorbell, clock=self.clock)

    def add(self, **changes: Any) -> Alarm:
        """Store an event alarm that waits for stopped machines."""
        rule = {"event_type": "compute.instance.*", "query": [STOPPED]}
        with self.database.write() as unit:
            return unit.alarms.add(an_alarm(**({"type": "event", "rule": rule} | changes)))

    def take(self, *events: Event) -> EventReport:
        """Hold events against the alarms."""
        return self.evaluation.take(events)

    def alarm(self, alarm: Alarm) -> Alarm:
        """Return an alarm as it is now."""
        with self.database.read() as unit:
            found = unit.alarms.get(alarm.alarm_id)
        assert found is not None
        return found

    def history(self, alarm: Alarm) -> list[AlarmChange]:
        """Return what happened to an alarm, oldest first."""
        with self.database.read() as unit:
            return unit.history.find(HistoryQuery(alarm_id=alarm.alarm_id))[::-1]

    def told(self, alarm: Alarm) -> list[str]:
        """Return of which events the receiver of an alarm will hear."""
        waiting = [each for each in self.outbox() if each.alarm_id == alarm.alarm_id]
        return [each.body["reason_data"]["event"]["message_id"] for each in waiting]

    def outbox(self) -> list[Notification]:
        """Return what waits, by its number."""
        with self.database.read() as unit:
            return sorted(unit.outbox.find(OutboxQuery()), key=lambda each: (each.alarm_id, each.sequence))


@pytest.fixture
def house(database: Database) -> House:
    """An empty house."""
    return House(database)


def stopped(message_id: str = "m-1", **more: Any) -> Event:
    """Return the event of a machine that was stopped."""
    return an_event(["instance_id", 1, "vm-1"], ["state", 1, "stopped"], message_id=message_id, **more)


def test_an_event_moves_state_history_and_outbox(house: House) -> None:
    """All at once, in Aodh's words, with the whole event for the receiver; and the notifiers are woken."""
    alarm = house.add()
    event = stopped()
    report = house.take(event)
    reason = (
        "Event <id=m-1,event_type=compute.instance.update> hits the query "
        '<query=[{"field": "traits.state", "op": "eq", "value": "stopped", "type": "string"}]>.'
    )
    [change], [sent] = house.history(alarm), house.outbox()

    assert EventReport(transitions=1, repeats=0, notifications=1) == report
    after = replace(
        alarm,
        state=State.ALARM,
        state_reason=reason,
        state_timestamp=house.clock.now(),
        state_version=1,
        sequence=1,
    )
    assert after == house.alarm(alarm)
    assert {"state": "alarm", "transition_reason": reason} == change.detail
    assert ("insufficient data", "alarm", reason) == tuple(sent.body[key] for key in ("previous", "current", "reason"))
    assert {"type": "event", "event": event.document} == sent.body["reason_data"]
    assert [["instance_id", 1, "vm-1"], ["state", 1, "stopped"]] == sent.body["reason_data"]["event"]["traits"]
    assert [Bell.OUTBOX] == house.doorbell.rung


@pytest.mark.parametrize(
    "changes",
    [
        {"enabled": False},
        {"state": State.ALARM},
        {"project_id": "p2"},
        {"type": "threshold"},
        {"rule": {"event_type": "volume.*", "query": []}},
        {"rule": {"event_type": "*", "query": [STOPPED | {"value": "active"}]}},
    ],
)
def test_what_an_event_does_not_hit_stays_as_it_is(house: House, changes: dict[str, Any]) -> None:
    """Disabled, in alarm already, of another project, of another type, waiting for something else."""
    alarm = house.add(**changes)

    assert NOTHING == house.take(stopped())
    assert (alarm, [], []) == (house.alarm(alarm), house.outbox(), house.doorbell.rung)


def test_time_constraints_do_not_count(house: House) -> None:
    """As in Aodh, where events have their own time."""
    never = {"name": "n", "start": "0 0 1 1 *", "duration": 1, "timezone": "", "description": ""}
    alarm = house.add(time_constraints=(never,))
    house.take(stopped())

    assert State.ALARM is house.alarm(alarm).state


def test_in_alarm_only_those_that_repeat_are_told_of_further_events(house: House) -> None:
    """Each event once, in their order, with a history of its own; state, reason and moment stay those of the first."""
    once, repeating = house.add(name="once"), house.add(name="repeating", repeat_actions=True)
    report = house.take(stopped("m-1"), stopped("m-2"), stopped("m-3"))
    first = house.alarm(repeating)
    house.clock.advance(60)
    house.take(stopped("m-4"))
    last = house.alarm(repeating)
    repeated = [each for each in house.outbox() if each.alarm_id == repeating.alarm_id]

    assert EventReport(transitions=2, repeats=2, notifications=4) == report
    assert (["m-1"], ["m-1", "m-2", "m-3", "m-4"]) == (house.told(once), house.told(repeating))
    assert [1, 2, 3, 4] == [each.sequence for each in repeated]
    assert ["insufficient data", "alarm", "alarm", "alarm"] == [each.body["previous"] for each in repeated]
    reasons = [change.detail["transition_reason"] for change in house.history(repeating)]
    assert ["m-1", "m-2", "m-3", "m-4"] == [reason[10:13] for reason in reasons]
    assert (1, 4) == (len(house.history(once)), last.state_version)
    assert (first.state_reason, first.state_timestamp, first.version) == (
        last.state_reason,
        last.state_timestamp,
        last.version,
    )


def test_an_alarm_whose_rule_cannot_be_read_stops_no_other(house: House) -> None:
    """It is named in the log; in Aodh one condition of type boolean stops the events of the whole project."""
    broken, good = house.add(), house.add()
    boolean = house.add(rule={"query": [STOPPED | {"type": "boolean", "value": "true"}]})
    with house.database.write() as unit:
        spoilt = {"event_type": "*", "query": [STOPPED | {"type": "integer"}]}
        unit.connection.execute(update(alarms).where(alarms.c.alarm_id == broken.alarm_id).values(rule=spoilt))
    with structlog.testing.capture_logs() as logs:
        house.take(stopped())

    assert [(broken.alarm_id, "event_alarm_passed_over")] == [
        (entry["alarm_id"], entry["event"]) for entry in logs if entry["log_level"] == "warning"
    ]
    assert (State.INSUFFICIENT_DATA, State.ALARM, State.INSUFFICIENT_DATA) == (
        house.alarm(broken).state,
        house.alarm(good).state,
        house.alarm(boolean).state,
    )


@pytest.mark.parametrize("repeats", [False, True])
def test_pushes_that_race_never_fire_an_alarm_twice_for_one_event(house: House, repeats: bool) -> None:
    """Eight at once: one transition; and where actions repeat, each event is told exactly once."""
    alarm = house.add(repeat_actions=repeats)
    run_together(*[lambda number=number: house.take(stopped(f"m-{number}")) for number in range(8)])
    told = house.told(alarm)
    entries = house.history(alarm)

    assert (8 if repeats else 1) == len(told) == len(entries) == len(set(told))
    assert list(range(1, len(told) + 1)) == [each.sequence for each in house.outbox()]
    assert ["insufficient data"] == [
        each.body["previous"] for each in house.outbox() if each.body["previous"] != "alarm"
    ]


def test_whoever_is_to_be_told_is_told(house: House) -> None:
    """Many events and alarms at random, moments among them: each alarm of each event that meets its rule."""
    draw = Random(4)
    values = ["a", "b", "c", 5]
    moments = ["2026-01-01T12:00:00", "2026-01-01T13:00:00+01:00"]
    watching = []
    for _ in range(60):
        fields = draw.sample(["traits.x", "traits.y", "traits.at", "priority"], draw.randint(0, 2))
        query = [
            {
                "field": field,
                "op": draw.choice(["eq", "eq", "ne", "ge"]),
                "value": draw.choice(moments if field == "traits.at" else ["a", "b", "c", "5"]),
                "type": draw.choice(["string", "string", ""]),
            }
            for field in fields
        ]
        rule = {"event_type": draw.choice(["*", "a*", "a.b", "c"]), "query": query}
        watching.append(house.add(rule=rule, repeat_actions=True))
    pushes = []
    for number in range(60):
        at = draw.choice([["at", 4, draw.choice(moments)], ["at", 1, moments[0]], ["z", 1, "a"]])
        traits = [["x", 1, draw.choice(["a", "b"])], ["y", 0, draw.choice(values)], at]
        more = {"event_type": draw.choice(["a.b", "a.c", "c"]), "priority": draw.choice(["a", None])}
        pushes.append(a_push(*traits, message_id=f"m-{number}", **more))
    for start in range(0, 60, 20):
        house.take(*[as_event(push) for push in pushes[start : start + 20]])
    expected = {
        alarm.alarm_id: [push["message_id"] for push in pushes if meets(dict(alarm.rule), push)] for alarm in watching
    }

    assert expected == {alarm.alarm_id: house.told(alarm) for alarm in watching}
    assert 100 < sum(map(len, expected.values())) < 3_000


class _Late(Database):
    """A database in which something happens between looking and acting."""

    def __init__(self, database: Database, meanwhile: Any) -> None:
        self._database = database
        self._meanwhile = meanwhile

    def read(self) -> Any:
        return self._database.read()

    def write(self) -> Any:
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return self._database.write()


def _edit(unit: UnitOfWork, alarm: Alarm, **changes: Any) -> None:
    unit.alarms.replace(replace(alarm, **changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "other"}, ["m-1"]),
        ({"rule": {"event_type": "*", "query": [STOPPED | {"field": "message_id", "value": "m-2"}]}}, ["m-2"]),
        ({"rule": {"event_type": "volume.*", "query": []}}, []),
        ({"enabled": False}, []),
        ({"state": State.ALARM}, []),
        ({"repeat_actions": True}, ["m-1", "m-2"]),
        (None, []),
    ],
)
def test_an_alarm_that_is_changed_meanwhile_is_judged_as_it_is_then(
    house: House, changes: dict[str, Any] | None, expected: list[str]
) -> None:
    """The edit wins, and no event of the push is lost over it."""
    alarm, other = house.add(), house.add()

    def meanwhile() -> None:
        with house.database.write() as unit:
            if changes is None:
                unit.alarms.remove(alarm.alarm_id, house.clock.now())
            else:
                _edit(unit, alarm, **changes)

    late = _Late(house.database, meanwhile)
    EventEvaluation(database=late, doorbell=house.doorbell, clock=house.clock).take([stopped("m-1"), stopped("m-2")])

    assert expected == house.told(alarm)
    assert State.ALARM is house.alarm(other).state


def test_the_alarms_of_a_project_are_found_by_an_index(house: House) -> None:
    """However many alarms of other types and projects there are."""
    with house.database.write() as unit:
        unit.alarms.add_all([an_alarm(project_id=f"p{number % 50}") for number in range(5_000)])
    alarm = house.add()
    with house.database.write() as unit:
        unit.connection.execute(text("ANALYZE"))
        is_sqlite = unit.connection.dialect.name == "sqlite"
        plan = "\n".join(
            str(tuple(row))
            for row in unit.connection.execute(
                text(
                    f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}SELECT * FROM alarms "
                    "WHERE project_id = 'p1' AND type = 'event' AND enabled = true"
                )
            )
        )
    house.take(stopped())

    assert "ix_alarms_project_id_type" in plan
    assert State.ALARM is house.alarm(alarm).state


def test_evaluators_hear_of_alarms_that_others_refer_to(house: House) -> None:
    """A composite counts the stored state, so whoever evaluates it must read that again; once a change is enough."""
    counted, alone = house.add(repeat_actions=True), house.add()
    with house.database.write() as unit:
        composite = unit.alarms.add(an_alarm(type="composite", rule={"or": [{"alarm_id": counted.alarm_id}]}))
        unit.references.put(composite.alarm_id, [counted.alarm_id])
    report = house.take(stopped("m-1"), stopped("m-2"))
    heard = house.alarm(counted)
    again = house.take(stopped("m-3"))
    with house.database.read() as unit:
        news = unit.alarms.definitions({composite.shard: composite.revision}, limit=10)

    assert EventReport(transitions=2, repeats=1, notifications=3) == report
    assert EventReport(transitions=0, repeats=1, notifications=1) == again
    assert [counted.alarm_id] == [alarm.alarm_id for alarm in news.alarms]
    assert (State.ALARM, composite.revision + 1) == (heard.state, heard.revision)
    assert (heard.revision, alone.revision) == (house.alarm(counted).revision, house.alarm(alone).revision)
    assert [Bell.OUTBOX, Bell.ALARMS, Bell.OUTBOX] == house.doorbell.rung


def test_one_with_a_rhythm_of_its_own_repeats_no_sooner(house: House) -> None:
    """Of events that come closer together than its `repeat_interval`, the first takes its actions."""
    house.add(name="rhythm", repeat_actions=True, repeat_interval_s=30)
    reports = []
    for seconds in (0, 10, 19, 1, 40):
        house.clock.advance(seconds)
        reports.append(house.evaluation.take([stopped(f"m-{seconds}-{number}") for number in range(3)]))

    assert [(1, 0), (0, 0), (0, 0), (0, 1), (0, 1)] == [(one.transitions, one.repeats) for one in reports]
