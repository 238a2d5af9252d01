# SPDX-License-Identifier: Apache-2.0
"""The contract of silences, on every database: kept, found, ended, and held against what a tick wants to send."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from alarmd.errors import InvalidInput
from alarmd.evaluators.schedules.schedule import Schedule
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, Settlement, notifications_of
from alarmd.model.silence import Silence
from alarmd.store.database import Database
from alarmd.store.gate import GateLimits
from alarmd.store.history import HistoryQuery
from alarmd.store.silences import SilenceQuery
from alarmd.store.silencing import Silencing
from tests.support import transitions
from tests.support.alarms import MORNING, an_alarm
from tests.support.silences import a_silence, a_window
from tests.support.stock import outbox_of, store
from tests.support.transitions import NOON, REASON, a_transition

#: Carries transitions out with somebody there who reads the hours of silences.
applied = partial(transitions.applied, limits=GateLimits(read_hours=Schedule.of))


def keep(database: Database, *silences: Silence) -> None:
    with database.write() as unit:
        for silence in silences:
            unit.silences.add(silence)


def found(database: Database, **wanted: Any) -> list[str]:
    with database.read() as unit:
        return [silence.comment for silence in unit.silences.find(SilenceQuery(**wanted))]


def sent(database: Database, alarm: Alarm, *, at: datetime = NOON, **changes: Any) -> DeliveryState:
    """Let a stored alarm go off and return what has become of its notification."""
    [stored] = store(database, alarm)
    assert 1 == len(applied(database, a_transition(stored, at=at, **changes)).applied)
    [notification] = outbox_of(database, stored)
    return notification.state


def test_a_silence_comes_back_as_it_was(database: Database) -> None:
    """Every field survives, moments to the microsecond; a silence of all projects has none."""
    whole = a_silence(
        alarm_id=AlarmId("a1"),
        labels={"team": "wéb", "tier": ""},
        direction=Direction.IN,
        time_constraints=(a_window("0 22 * * *", duration=3600, timezone="Europe/Berlin"),),
        ended_by="bob",
    )
    bare = a_silence(project_id=None)
    keep(database, whole, bare)

    with database.read() as unit:
        assert whole == unit.silences.get(whole.silence_id)
        assert bare == unit.silences.get(bare.silence_id)
        assert unit.silences.get("nobody's") is None
        assert unit.silences.get("\0") is None


def test_silences_are_listed_newest_first_and_page_by_page(database: Database) -> None:
    """A project sees its own silences and those of all projects; what is over is left out on request."""
    keep(
        database,
        *(
            a_silence(
                comment=f"own {number}", created_at=MORNING + timedelta(seconds=number + 1), alarm_id=AlarmId("a1")
            )
            for number in range(3)
        ),
        a_silence(comment="other", project_id="p2"),
        a_silence(comment="all", project_id=None),
        a_silence(comment="over", ends_at=MORNING + timedelta(hours=1), created_at=MORNING - timedelta(seconds=1)),
    )

    assert ["own 2", "own 1", "own 0", "all", "over"] == found(database, project_id="p1")
    assert ["own 2", "own 1", "own 0", "all"] == found(database, project_id="p1", unfinished_at=NOON)
    assert ["own 2", "own 1", "own 0"] == found(database, alarm_id="a1")
    assert {"all", "other", "own 0", "own 1", "own 2", "over"} == set(found(database))
    assert [] == found(database, alarm_id="\0")
    with database.read() as unit:
        first, second = unit.silences.find(SilenceQuery(project_id="p1", limit=2))
        rest = unit.silences.find(SilenceQuery(project_id="p1", marker=second.silence_id, limit=2))
        with pytest.raises(InvalidInput, match="Marker"):
            unit.silences.find(SilenceQuery(project_id="p3", marker=first.silence_id))
    assert ["own 0", "all"] == [silence.comment for silence in rest]


def test_what_is_over_does_not_count(database: Database) -> None:
    """A quota is about the silences of one project that may still do something; those of all projects count apart."""
    keep(database, a_silence(), a_silence(ends_at=NOON), a_silence(project_id="p2"), a_silence(project_id=None))

    with database.write() as unit:
        unit.silences.lock("p1")
        unit.silences.lock(None)

        assert 1 == unit.silences.count("p1", unfinished_at=NOON)
        assert 1 == unit.silences.count(None, unfinished_at=NOON)
        assert 0 == unit.silences.count("\0", unfinished_at=NOON)


def test_a_silence_is_ended_once(database: Database) -> None:
    """It is over from that moment on, and says who ended it; what is over stays as it is."""
    silence = a_silence()
    keep(database, silence)
    with database.write() as unit:
        first = unit.silences.end(silence.silence_id, at=NOON, by="bob")
        again = unit.silences.end(silence.silence_id, at=NOON + timedelta(hours=1), by="cleo")
        stored = unit.silences.get(silence.silence_id)

    assert (True, False) == (first, again)
    assert replace(silence, ends_at=NOON, ended_by="bob") == stored


def test_old_silences_are_pruned(database: Database) -> None:
    """Those that were over before a moment go, the oldest first, so many at once; the others stay."""
    ends = [MORNING + timedelta(hours=hours) for hours in (1, 2, 3, 30)]
    keep(database, *(a_silence(ends_at=end, comment=str(number)) for number, end in enumerate(ends)))
    with database.write() as unit:
        gone = [unit.silences.prune(ends[2], limit=1) for _ in range(3)]

    assert [1, 1, 0] == gone
    assert {"2", "3"} == set(found(database))


def test_a_silence_keeps_a_notification_from_being_sent(database: Database) -> None:
    """The state and the history go on; the notification ends where it begins, and both say which silence it was."""
    silence = a_silence()
    keep(database, silence)
    [alarm] = store(database, an_alarm(alarm_actions=("http://h/1", "http://h/2")))
    result = applied(database, a_transition(alarm))
    with database.read() as unit:
        moved = unit.alarms.get(alarm.alarm_id)
        [change] = unit.history.find(HistoryQuery(alarm_id=alarm.alarm_id))
    notifications = outbox_of(database, alarm)

    assert moved is not None
    assert (State.ALARM, 1) == (moved.state, moved.sequence)
    assert {"state": "alarm", "transition_reason": REASON, "silenced_by": silence.silence_id} == change.detail
    assert [(2, 2)] == [(one.notifications, one.silenced) for one in result.applied]
    assert 2 == len(notifications)
    for notification in notifications:
        assert DeliveryState.SILENCED is notification.state
        assert NOON == notification.finished_at
        assert f"silenced by {silence.silence_id}: moving racks" == notification.last_error
        assert 0 == notification.attempts


def test_nobody_claims_what_is_silenced(database: Database) -> None:
    """A notifier finds nothing to send, and the next notification of the alarm goes out as ever."""
    keep(database, a_silence(ends_at=NOON + timedelta(seconds=1)))
    [alarm] = store(database, an_alarm(ok_actions=("http://127.0.0.1:9/scale-out",)))
    applied(database, a_transition(alarm))
    with database.write() as unit:
        held_back = unit.outbox.claim(now=NOON, owner="n", lease_s=60, limit=10)
        moved = unit.alarms.get(alarm.alarm_id)
    assert moved is not None
    later = NOON + timedelta(seconds=1)
    applied(database, a_transition(moved, current=State.OK, at=later))
    with database.write() as unit:
        claimed = unit.outbox.claim(now=later, owner="n", lease_s=60, limit=10)

    assert () == tuple(held_back.notifications)
    assert [("ok", 2)] == [(one.body["current"], one.sequence) for one in claimed.notifications]


@pytest.mark.parametrize("is_repeat", [False, True])
def test_what_is_past_does_not_go_out_in_a_silence(database: Database, is_repeat: bool) -> None:
    """A try that failed before the silence is not repeated once the alarm has left that state; else it is."""
    target = "http://h/scale"
    [alarm] = store(database, an_alarm(alarm_actions=(target,), ok_actions=(target,)))
    applied(database, a_transition(alarm))
    with database.write() as unit:
        [claimed] = unit.outbox.claim(now=NOON, owner="n", lease_s=60, limit=10).notifications
        failed = Settlement(
            event_id=claimed.event_id,
            state=DeliveryState.PENDING,
            next_attempt_at=NOON + timedelta(seconds=5),
            last_status=503,
            last_error="HTTP 503",
            at=NOON,
        )
        unit.outbox.settle([failed], owner="n")
        moved = unit.alarms.get(alarm.alarm_id)
    assert moved is not None
    keep(database, a_silence())
    later = NOON + timedelta(seconds=1)
    [done] = applied(database, a_transition(moved, current=State.ALARM if is_repeat else State.OK, at=later)).applied
    newest, oldest = outbox_of(database, alarm)

    assert DeliveryState.SILENCED is newest.state
    assert (1, 0 if is_repeat else 1) == (done.silenced, done.superseded)
    if is_repeat:
        assert (DeliveryState.PENDING, None) == (oldest.state, oldest.finished_at)
    else:
        assert (DeliveryState.SUPERSEDED, later) == (oldest.state, oldest.finished_at)


def test_a_transition_without_actions_is_not_called_silenced(database: Database) -> None:
    """Where nothing would have been sent, nothing was kept back."""
    keep(database, a_silence())
    [alarm] = store(database, an_alarm(alarm_actions=()))
    applied(database, a_transition(alarm))
    with database.read() as unit:
        [change] = unit.history.find(HistoryQuery(alarm_id=alarm.alarm_id))

    assert {"state": "alarm", "transition_reason": REASON} == change.detail


@pytest.mark.parametrize(
    ("silence", "is_silenced"),
    [
        pytest.param({}, True, id="of the project"),
        pytest.param({"project_id": "p2"}, False, id="of another project"),
        pytest.param({"project_id": None}, True, id="of all projects"),
        pytest.param({"alarm_id": "a1"}, True, id="of the alarm"),
        pytest.param({"alarm_id": "a1", "project_id": None}, True, id="of the alarm, by an admin"),
        pytest.param({"alarm_id": "a2"}, False, id="of another alarm"),
        pytest.param({"labels": {"team": "web"}}, True, id="by a label"),
        pytest.param({"labels": {"team": "web", "tier": "front"}}, True, id="by two labels"),
        pytest.param({"labels": {"team": "db"}}, False, id="by another value"),
        pytest.param({"labels": {"team": "web", "zone": "1"}}, False, id="by a label too many"),
        pytest.param({"labels": {"team": "web"}, "project_id": None}, True, id="by a label, of all projects"),
        pytest.param({"labels": {"team": "web"}, "project_id": "p2"}, False, id="by a label, of another project"),
        pytest.param({"direction": Direction.OUT}, True, id="by direction"),
        pytest.param({"direction": Direction.IN}, False, id="by another direction"),
        pytest.param({"direction": Direction.OUT, "labels": {"team": "web"}}, True, id="by direction and label"),
        pytest.param({"direction": Direction.IN, "alarm_id": "a1"}, False, id="by direction, of the alarm"),
        pytest.param({"starts_at": NOON}, True, id="from this moment on"),
        pytest.param({"starts_at": NOON + timedelta(microseconds=1)}, False, id="not yet"),
        pytest.param({"ends_at": NOON}, False, id="no more"),
        pytest.param({"ends_at": NOON + timedelta(microseconds=1)}, True, id="until just after"),
        pytest.param({"time_constraints": (a_window("0 12 * * *", duration=3600),)}, True, id="at noon"),
        pytest.param({"time_constraints": (a_window("0 14 * * *", duration=3600),)}, False, id="in the afternoon"),
    ],
)
def test_a_silence_holds_for_what_it_names(database: Database, silence: dict[str, Any], is_silenced: bool) -> None:
    """All that a silence says has to be true of the alarm, the action and the moment."""
    keep(database, a_silence(**silence))
    alarm = an_alarm(alarm_id=AlarmId("a1"), labels={"team": "web", "tier": "front"})
    state = sent(database, alarm)

    assert (DeliveryState.SILENCED if is_silenced else DeliveryState.PENDING) is state


def test_a_silence_begins_and_ends_when_people_say_so_whatever_the_clocks(database: Database) -> None:
    """What was decided before is judged by what holds when it is stored; a silence for later waits for its time."""
    later = NOON + timedelta(seconds=2)
    begun = a_silence(project_id="begun", starts_at=later, created_at=later)
    ended = a_silence(project_id="ended")
    to_come = a_silence(project_id="to come", starts_at=later, created_at=NOON)
    keep(database, begun, ended, to_come)
    with database.write() as unit:
        unit.silences.end(ended.silence_id, at=later, by="bob")
    states = [sent(database, an_alarm(project_id=one.project_id), at=NOON) for one in (begun, ended, to_come)]

    assert [DeliveryState.SILENCED, DeliveryState.PENDING, DeliveryState.PENDING] == states


def test_the_oldest_of_several_silences_is_named(database: Database) -> None:
    """Where several are in force, the one that was made first counts, whatever each of them is about."""
    oldest = a_silence(labels={"team": "web"}, created_at=MORNING - timedelta(hours=1))
    keep(database, a_silence(), a_silence(project_id=None), oldest, a_silence(alarm_id=AlarmId("a1")))
    [alarm] = store(database, an_alarm(alarm_id=AlarmId("a1"), labels={"team": "web"}))
    applied(database, a_transition(alarm))
    [notification] = outbox_of(database, alarm)

    assert notification.last_error.startswith(f"silenced by {oldest.silence_id}")


def test_a_recurring_silence_keeps_to_the_clock_on_the_wall(database: Database) -> None:
    """From 22 to 6 in Berlin is 20 to 4 UTC until clocks are put back, and 21 to 5 after that."""
    night = a_window("0 22 * * *", duration=8 * 3600, timezone="Europe/Berlin")
    keep(
        database,
        a_silence(
            starts_at=datetime(2026, 10, 20, tzinfo=UTC),
            ends_at=datetime(2026, 11, 1, tzinfo=UTC),
            time_constraints=(night,),
        ),
    )
    # Clocks are put back in the night to the 25th.
    moments = {
        datetime(2026, 10, 23, 19, 30, tzinfo=UTC): False,
        datetime(2026, 10, 23, 20, 30, tzinfo=UTC): True,
        datetime(2026, 10, 24, 3, 30, tzinfo=UTC): True,
        datetime(2026, 10, 24, 4, 30, tzinfo=UTC): False,
        datetime(2026, 10, 24, 20, 30, tzinfo=UTC): True,
        datetime(2026, 10, 25, 4, 30, tzinfo=UTC): True,
        datetime(2026, 10, 25, 5, 30, tzinfo=UTC): False,
        datetime(2026, 10, 25, 20, 30, tzinfo=UTC): False,
        datetime(2026, 10, 25, 21, 30, tzinfo=UTC): True,
        datetime(2026, 11, 1, 1, 0, tzinfo=UTC): False,
    }
    seen = {at: sent(database, an_alarm(), at=at) is DeliveryState.SILENCED for at in moments}

    assert moments == seen


def test_hours_that_this_machine_cannot_read_stand_in_nobodys_way(database: Database) -> None:
    """Zones differ from system to system: such a silence rests, and what the tick has for others is stored."""
    keep(database, a_silence(time_constraints=(a_window("* * * * *", duration=3600, timezone="Mars/Olympus"),)))
    mine, other = store(database, an_alarm(), an_alarm(project_id="p2"))
    result = applied(database, a_transition(mine), a_transition(other))
    states = [one.state for alarm in (mine, other) for one in outbox_of(database, alarm)]

    assert 2 == len(result.applied)
    assert [DeliveryState.PENDING] * 2 == states


def test_silences_cost_a_large_tick_next_to_nothing(database: Database) -> None:
    """Whether one of 100 silences holds for each of 10,000 transitions is known long before they are stored."""
    count = 10_000
    alarms = [an_alarm(project_id=f"p{number % 50}", labels={"group": f"g{number % 500}"}) for number in range(count)]
    going_out = [notifications_of(alarm, a_transition(alarm), sequence=1)[0] for alarm in alarms]
    keep(
        database,
        *(a_silence(project_id=f"p{number}", labels={"group": f"g{number}"}) for number in range(40)),
        *(a_silence(project_id=None, labels={"group": f"g{number}", "no": "body"}) for number in range(30)),
        *(a_silence(direction=Direction.IN) for _ in range(28)),
        a_silence(project_id=None, alarm_id=alarms[77].alarm_id),
        a_silence(project_id="p1", time_constraints=(a_window("0 14 * * *", duration=3600),)),
    )
    with database.read() as unit:
        started_s = time.process_time()
        silencing = Silencing(unit.silences, since=NOON, until=NOON, read_hours=Schedule.of)
        silencing.learn(alarms)
        found = [silencing.silence_for(alarm, one) for alarm, one in zip(alarms, going_out, strict=True)]
        took_s = time.process_time() - started_s

    # Each of the first 40 groups has 20 alarms, all in the project of its silence.
    assert 40 * 20 + 1 == sum(one is not None for one in found)
    assert took_s < 1
