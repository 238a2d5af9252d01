# SPDX-License-Identifier: Apache-2.0
"""What may be asked of alarms, and what follows from it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alarmd.alarms import AlarmDraft, DeliveryService
from alarmd.clock import ManualClock
from alarmd.cluster.doorbell import Bell
from alarmd.errors import Forbidden, InvalidInput, NotFound, TargetRefused, Unauthorized
from alarmd.model.alarm import NOT_EVALUATED_REASON, SET_BY_API_REASON, Alarm, Severity, State
from alarmd.model.caller import Caller
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.model.notification import DeliveryState
from alarmd.model.shard import shard_of
from alarmd.policy import TablePolicy
from alarmd.store import schema
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database
from alarmd.store.history import HistoryQuery
from alarmd.store.outbox import OutboxQuery
from alarmd.telemetry import REGISTRY
from tests.support.rest import CountingDoorbell, alarm_service
from tests.support.transitions import REASON, a_transition, applied

RULE = {"meter_name": "cpu_util", "threshold": 80.0, "comparison_operator": "gt"}
FULL_RULE = RULE | {
    "query": [],
    "statistic": "avg",
    "period": 60,
    "evaluation_periods": 1,
    "exclude_outliers": False,
}

ALICE = Caller(project_id="p1", user_id="alice", roles=frozenset({"member", "reader"}))
BOB = Caller(project_id="p1", user_id="bob", roles=frozenset({"Member", "Reader"}))
EVE = Caller(project_id="p2", user_id="eve", roles=frozenset({"member", "reader"}))
READER = Caller(project_id="p1", user_id="rita", roles=frozenset({"reader"}))
WRITER = Caller(project_id="p1", user_id="will", roles=frozenset({"member"}))
ADMIN = Caller(project_id="ops", user_id="ada", roles=frozenset({"ADMIN"}))
ROOT = Caller(project_id="", user_id="", roles=frozenset({"admin"}))
NOBODY = Caller(project_id="", user_id="", roles=frozenset({"member", "reader"}))


class House:
    """A service on a database of its own, and what stands around it."""

    def __init__(self, state_dir: Path) -> None:
        url = f"sqlite:///{state_dir}/alarmd.db"
        schema.upgrade(url)
        self.database = Database.connect(url)
        self.doorbell = CountingDoorbell()
        self.clock = ManualClock()
        self.checked: list[str] = []
        policy = TablePolicy()
        self.alarms = alarm_service(
            database=self.database,
            doorbell=self.doorbell,
            clock=self.clock,
            policy=policy,
            check_target=self._check,
            max_actions=3,
        )
        self.deliveries = DeliveryService(
            database=self.database, policy=policy, doorbell=self.doorbell, clock=self.clock
        )

    def _check(self, url: str, project_id: str) -> None:
        self.checked.append(url)
        if "metadata" in url or (project_id == "p2" and "p1" in url):
            raise TargetRefused(f"{url} is refused")

    def create(self, caller: Caller = ALICE, **changes: Any) -> Alarm:
        return self.alarms.create(a_draft(**changes), caller)

    def changes(self, alarm: Alarm) -> list[AlarmChange]:
        """Return the alarm's history, the latest first, whether it still exists or not."""
        with self.database.read() as unit:
            return unit.history.find(HistoryQuery(alarm_id=alarm.alarm_id))

    def turn(self, alarm: Alarm, state: State) -> Alarm:
        """Let the evaluator turn an alarm."""
        assert [] == applied(self.database, a_transition(alarm, current=state, at=self.clock.now())).stale
        return self.alarms.get(alarm.alarm_id, ROOT)


def a_draft(**changes: Any) -> AlarmDraft:
    return AlarmDraft(**({"name": "cpu", "type": "threshold", "rule": RULE} | changes))


def echo_of(alarm: Alarm, **changes: Any) -> AlarmDraft:
    """Return what a client sends that gets an alarm, changes a thing and puts all of it back."""
    values = {field: getattr(alarm, field) for field in AlarmDraft.__dataclass_fields__}
    return AlarmDraft(**(values | changes))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.database.close()


def test_creating_fills_in_defaults(house: House) -> None:
    """A draft with the three mandatory things becomes a complete alarm of the caller, and evaluators are woken."""
    alarm = house.create()
    now = house.clock.now()

    assert (
        Alarm(
            alarm_id=alarm.alarm_id,
            name="cpu",
            description="Alarm when cpu_util is gt a avg of 80 over 60 seconds",
            enabled=True,
            type="threshold",
            rule=FULL_RULE,
            project_id="p1",
            user_id="alice",
            severity=Severity.LOW,
            ok_actions=(),
            alarm_actions=(),
            insufficient_data_actions=(),
            repeat_actions=False,
            time_constraints=(),
            timestamp=now,
            state=State.INSUFFICIENT_DATA,
            state_reason=NOT_EVALUATED_REASON,
            state_timestamp=now,
            evaluate_timestamp=now,
            shard=shard_of("p1"),
            revision=1,
        )
        == alarm
        == house.alarms.get(alarm.alarm_id, ALICE)
    )
    assert [Bell.ALARMS] == house.doorbell.rung


def test_creating_is_recorded_whole(house: House) -> None:
    """The creation in the history holds the whole alarm as JSON, with the rule under `rule`."""
    alarm = house.create(ok_actions=("http://h/ok",), state=State.OK, severity=Severity.CRITICAL)
    [change] = house.changes(alarm)

    assert (ChangeType.CREATION, "alice", "p1", "p1", Severity.CRITICAL, house.clock.now()) == (
        change.type,
        change.user_id,
        change.project_id,
        change.on_behalf_of,
        change.severity,
        change.timestamp,
    )
    assert {
        "alarm_id": alarm.alarm_id,
        "name": "cpu",
        "description": alarm.description,
        "enabled": True,
        "ok_actions": ["http://h/ok"],
        "alarm_actions": [],
        "insufficient_data_actions": [],
        "repeat_actions": False,
        "type": "threshold",
        "time_constraints": [],
        "project_id": "p1",
        "user_id": "alice",
        "timestamp": "2026-01-01T00:00:00",
        "state": "ok",
        "state_timestamp": "2026-01-01T00:00:00",
        "state_reason": "Not evaluated yet",
        "severity": "critical",
        "rule": FULL_RULE,
    } == change.detail


@pytest.mark.parametrize("description", [None, ""])
def test_an_empty_description_is_derived(house: House, description: str | None) -> None:
    """No description and an empty one are the same: the rule describes itself."""
    assert house.create(description=description).description.startswith("Alarm when cpu_util")


def test_actions_are_kept_as_they_came(house: House) -> None:
    """URLs keep their bytes and their order; what comes twice is kept once; each target is checked."""
    urls = ("http://H:80/b?x=%7e&y='", "http://h/ä", "http://H:80/b?x=%7e&y='", "https://h/a/../b")
    alarm = house.create(alarm_actions=urls)

    assert (urls[0], urls[1], urls[3]) == alarm.alarm_actions
    assert {urls[0], urls[1], urls[3]} == set(house.checked)


@pytest.mark.parametrize(
    ("caller", "changes", "error", "message"),
    [
        (
            ALICE,
            {"type": "threshhold"},
            InvalidInput,
            "field/attribute type. Value: 'threshhold'.*one of: composite, event, ",
        ),
        (ALICE, {"rule": {"meter_name": "x"}}, InvalidInput, "threshold"),
        (ALICE, {"ok_actions": ("ftp://h/a",)}, InvalidInput, "^Unsupported action ftp://h/a$"),
        (ALICE, {"ok_actions": ("just words",)}, InvalidInput, "^Unable to parse action just words$"),
        (ALICE, {"ok_actions": ("http://[h/",)}, InvalidInput, r"^Unable to parse action http://\[h/$"),
        (ALICE, {"ok_actions": ("http://h/\n",)}, InvalidInput, "^Unable to parse action"),
        (ALICE, {"ok_actions": ("http://h/\ud800",)}, InvalidInput, "^Unable to parse action"),
        (ALICE, {"ok_actions": ("",)}, InvalidInput, "^Unsupported action $"),
        (ALICE, {"ok_actions": ("log://",)}, Unauthorized, "^You are not authorized to create action: log://$"),
        (ALICE, {"ok_actions": ("test:",)}, Unauthorized, "^You are not authorized to create action: test:$"),
        (ALICE, {"ok_actions": ("trust+http://t@h/",)}, InvalidInput, "^Unsupported action trust.http://t@h/"),
        (ALICE, {"ok_actions": ("trust+http://h/",)}, InvalidInput, "^A trust. action needs a Keystone trust"),
        (ALICE, {"ok_actions": ("http://metadata/",)}, TargetRefused, "is refused"),
        (
            ALICE,
            {"alarm_actions": tuple(f"http://h/{number}" for number in range(4))},
            InvalidInput,
            "^alarm_actions count exceeds maximum value 3$",
        ),
        (ALICE, {"time_constraints": ({"name": "n"},)}, InvalidInput, "field/attribute start"),
        (ALICE, {"name": "a\0b"}, InvalidInput, "field/attribute name"),
        (ALICE, {"rule": RULE | {"meter_name": "a\0b"}}, InvalidInput, "field/attribute threshold_rule"),
        (ALICE, {"description": "\ud800"}, InvalidInput, "field/attribute description"),
        (ADMIN, {"project_id": "a\0b"}, InvalidInput, "field/attribute project_id"),
        (ALICE, {"project_id": "p2"}, Unauthorized, "^Not Authorized to access project p2$"),
        (ALICE, {"user_id": "bob"}, Unauthorized, "^Not Authorized to access user bob$"),
        (READER, {}, Forbidden, "^RBAC Authorization Failed$"),
        (NOBODY, {}, Forbidden, "^RBAC Authorization Failed$"),
    ],
)
def test_what_is_refused(
    house: House, caller: Caller, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A draft that cannot be accepted is refused in Aodh's words, and leaves nothing behind."""
    with pytest.raises(error, match=message):
        house.create(caller, **changes)

    assert ([], []) == (house.alarms.find(AlarmQuery(), ROOT), house.doorbell.rung)


def test_an_admin_may_act_for_others(house: House) -> None:
    """An admin creates for any project and user, and may have alarms write to the log."""
    alarm = house.create(ADMIN, project_id="p1", user_id="alice", ok_actions=("log://",))
    [change] = house.changes(alarm)

    assert ("p1", "alice", shard_of("p1")) == (alarm.project_id, alarm.user_id, alarm.shard)
    assert ("ops", "ada", "p1") == (change.project_id, change.user_id, change.on_behalf_of)
    assert [] == house.checked


def test_reading_another_project(house: House) -> None:
    """Only an admin's rule may read the series of another project; its alarm lives in that project's shard."""
    rule = RULE | {"query": [{"field": "project_id", "op": "eq", "value": "p2"}]}
    with pytest.raises((Unauthorized, InvalidInput)):
        house.create(rule=rule)
    alarm = house.create(ADMIN, rule=rule)

    assert ("ops", shard_of("p2")) == (alarm.project_id, alarm.shard)


def test_what_belongs_to_others_does_not_exist(house: House) -> None:
    """To another project an alarm is not there, whatever is asked of it; an admin sees it."""
    alarm = house.create()
    asked: list[Callable[[], object]] = [
        lambda: house.alarms.get(alarm.alarm_id, EVE),
        lambda: house.alarms.replace(alarm.alarm_id, a_draft(), EVE),
        lambda: house.alarms.delete(alarm.alarm_id, EVE),
        lambda: house.alarms.set_state(alarm.alarm_id, State.OK, EVE),
        lambda: house.alarms.history(alarm.alarm_id, HistoryQuery(), EVE),
    ]
    for ask in asked:
        with pytest.raises(NotFound, match=f"^Alarm {alarm.alarm_id} not found$"):
            ask()

    assert alarm == house.alarms.get(alarm.alarm_id, ADMIN)


def test_roles(house: House) -> None:
    """Readers read and members write, each not the other, and the alarm is looked up before the role."""
    alarm = house.create()
    writes: list[Callable[[], object]] = [
        lambda: house.alarms.replace(alarm.alarm_id, a_draft(), READER),
        lambda: house.alarms.delete(alarm.alarm_id, READER),
        lambda: house.alarms.set_state(alarm.alarm_id, State.OK, READER),
    ]
    reads: list[Callable[[], object]] = [
        lambda: house.alarms.get(alarm.alarm_id, WRITER),
        lambda: house.alarms.find(AlarmQuery(), WRITER),
        lambda: house.alarms.history(alarm.alarm_id, HistoryQuery(), WRITER),
        lambda: house.deliveries.find(OutboxQuery(), WRITER),
    ]
    for ask in writes + reads:
        with pytest.raises(Forbidden, match=r"^RBAC Authorization Failed$"):
            ask()
    with pytest.raises(NotFound):
        house.alarms.delete("nowhere", READER)

    assert alarm == house.alarms.get(alarm.alarm_id, READER)


def test_lists_are_of_ones_own_project(house: House) -> None:
    """Everybody sees the own project, admins too unless they ask for more; asking for others' is refused."""
    mine, others, ops = house.create(), house.create(EVE), house.create(ADMIN)

    def ids(caller: Caller, *, all_projects: bool = False, **query: Any) -> set[str]:
        return {alarm.alarm_id for alarm in house.alarms.find(AlarmQuery(**query), caller, all_projects=all_projects)}

    assert {mine.alarm_id} == ids(ALICE) == ids(READER) == ids(ALICE, project_id="p1") == ids(ADMIN, project_id="p1")
    assert {ops.alarm_id} == ids(ADMIN)
    assert {mine.alarm_id, others.alarm_id, ops.alarm_id} == ids(ADMIN, all_projects=True) == ids(ROOT)
    with pytest.raises(Forbidden):
        ids(ALICE, all_projects=True)
    with pytest.raises(Unauthorized, match=r"^Not Authorized to access project p2$"):
        ids(ALICE, project_id="p2")


def test_an_echo_changes_nothing(house: House) -> None:
    """Putting back exactly what was got writes nothing: no history, no revision, no bell."""
    alarm = house.create(alarm_actions=("http://h/1",))
    house.clock.advance(60)
    after = house.alarms.replace(alarm.alarm_id, echo_of(alarm), ALICE)

    assert alarm == after == house.alarms.get(alarm.alarm_id, ALICE)
    assert (1, [Bell.ALARMS]) == (len(house.changes(alarm)), house.doorbell.rung)


def test_history_holds_what_changed(house: House) -> None:
    """A change of the severity is recorded as exactly that, under the new severity; other changes under none."""
    alarm = house.create(state=State.OK)
    house.clock.advance(60)
    alarm = house.alarms.replace(alarm.alarm_id, echo_of(alarm, severity=Severity.CRITICAL), ALICE)
    house.clock.advance(60)
    alarm = house.alarms.replace(alarm.alarm_id, echo_of(alarm, enabled=False), ALICE)
    second, first, _ = house.changes(alarm)

    assert ({"severity": "critical"}, Severity.CRITICAL, ChangeType.RULE_CHANGE) == (
        first.detail,
        first.severity,
        first.type,
    )
    assert ({"enabled": False}, None) == (second.detail, second.severity)
    assert (house.clock.now(), 3, State.OK) == (alarm.timestamp, alarm.revision, alarm.state)


def test_what_a_put_leaves_out_goes_back_to_its_default(house: House) -> None:
    """A bare draft resets everything, the state too, by hand and without any action; the evaluator's moment stays."""
    alarm = house.create(
        description="mine", enabled=False, severity=Severity.CRITICAL, ok_actions=("http://h/1",), state=State.ALARM
    )
    house.clock.advance(60)
    after = house.alarms.replace(alarm.alarm_id, a_draft(), ALICE)

    assert (True, Severity.LOW, (), State.INSUFFICIENT_DATA, SET_BY_API_REASON, house.clock.now()) == (
        after.enabled,
        after.severity,
        after.ok_actions,
        after.state,
        after.state_reason,
        after.state_timestamp,
    )
    assert alarm.evaluate_timestamp == after.evaluate_timestamp
    assert {
        "description": after.description,
        "enabled": True,
        "severity": "low",
        "ok_actions": [],
        "state": "insufficient data",
        "state_reason": "Manually set via API",
    } == house.changes(alarm)[0].detail
    assert [] == house.deliveries.find(OutboxQuery(), ALICE)


def test_a_stale_echo_does_not_turn_the_state_back(house: House) -> None:
    """A client that got the alarm before it turned and puts it back after changes what it meant to, not the state."""
    seen = house.create(state=State.OK)
    house.clock.advance(60)
    turned = house.turn(seen, State.ALARM)
    house.clock.advance(60)
    after = house.alarms.replace(seen.alarm_id, echo_of(seen, name="renamed"), ALICE)

    assert ("renamed", State.ALARM, REASON, turned.state_timestamp, turned.state_version) == (
        after.name,
        after.state,
        after.state_reason,
        after.state_timestamp,
        after.state_version,
    )
    assert {"name": "renamed"} == house.changes(seen)[0].detail


@pytest.mark.parametrize("with_timestamp", [True, False])
def test_a_put_may_set_the_state(house: House, with_timestamp: bool) -> None:
    """A state that differs from the current one, or comes alone, is meant and set."""
    alarm = house.create(state=State.OK)
    house.clock.advance(60)
    draft = echo_of(alarm, state=State.ALARM, state_timestamp=alarm.state_timestamp if with_timestamp else None)
    after = house.alarms.replace(alarm.alarm_id, draft, ALICE)

    assert (State.ALARM, SET_BY_API_REASON, house.clock.now()) == (
        after.state,
        after.state_reason,
        after.state_timestamp,
    )
    assert {"state": "alarm", "state_reason": SET_BY_API_REASON} == house.changes(alarm)[0].detail


def test_owners(house: House) -> None:
    """A colleague's edit takes over the user, whatever it claims; an admin's keeps the owner or moves the alarm."""
    alarm = house.create()
    by_bob = house.alarms.replace(alarm.alarm_id, echo_of(alarm, project_id="p2", user_id="eve"), BOB)
    kept = house.alarms.replace(alarm.alarm_id, a_draft(), ADMIN)
    moved = house.alarms.replace(alarm.alarm_id, echo_of(kept, project_id="p2", user_id="eve"), ADMIN)

    assert [("p1", "bob"), ("p1", "bob"), ("p2", "eve")] == [(a.project_id, a.user_id) for a in (by_bob, kept, moved)]
    assert (shard_of("p2"), moved) == (moved.shard, house.alarms.get(alarm.alarm_id, EVE))
    with pytest.raises(NotFound):
        house.alarms.get(alarm.alarm_id, ALICE)


def test_a_target_is_checked_for_the_project_of_its_alarm(house: House) -> None:
    """One project may be allowed what another is not, so an alarm that moves is checked anew."""
    alarm = house.create(alarm_actions=("http://for-p1/",))

    with pytest.raises(TargetRefused):
        house.alarms.replace(alarm.alarm_id, echo_of(alarm, project_id="p2"), ADMIN)
    with pytest.raises(TargetRefused):
        house.create(EVE, alarm_actions=("http://for-p1/",))


def test_only_new_targets_are_checked(house: House) -> None:
    """An edit checks only the receivers that it brings; one that would be refused by now does not stand in its way."""
    alarm = house.create(ok_actions=("http://h/1",))
    house.checked.clear()
    house.alarms.replace(alarm.alarm_id, echo_of(alarm, ok_actions=("http://h/1", "http://h/2")), ALICE)
    with pytest.raises(TargetRefused):
        house.alarms.replace(alarm.alarm_id, echo_of(alarm, ok_actions=("http://metadata/",)), ALICE)

    assert ["http://h/2", "http://metadata/"] == house.checked


def test_setting_the_state(house: House) -> None:
    """A state set by hand is recorded even when it was the same, takes no action, and evaluators learn of it."""
    alarm = house.create(ok_actions=("http://h/1",), severity=Severity.CRITICAL)
    house.clock.advance(60)
    house.alarms.set_state(alarm.alarm_id, State.OK, ALICE)
    after = house.alarms.set_state(alarm.alarm_id, State.OK, ALICE)
    change = house.changes(alarm)[0]

    assert (State.OK, SET_BY_API_REASON, house.clock.now(), alarm.timestamp, 3) == (
        after.state,
        after.state_reason,
        after.state_timestamp,
        after.timestamp,
        after.revision,
    )
    assert (3, ChangeType.STATE_TRANSITION, {"state": "ok", "state_reason": SET_BY_API_REASON}, None) == (
        len(house.changes(alarm)),
        change.type,
        change.detail,
        change.severity,
    )
    assert [] == house.deliveries.find(OutboxQuery(), ALICE)
    assert [Bell.ALARMS] * 3 == house.doorbell.rung


def test_deleting(house: House) -> None:
    """A deleted alarm is gone, its history stays with the deletion on top, and what waited is buried with a reason."""
    alarm = house.turn(house.create(alarm_actions=("http://h/1",)), State.ALARM)
    house.alarms.delete(alarm.alarm_id, ALICE)
    with pytest.raises(NotFound):
        house.alarms.history(alarm.alarm_id, HistoryQuery(), ALICE)
    [delivery] = house.deliveries.find(OutboxQuery(), ALICE)

    assert [ChangeType.DELETION, ChangeType.STATE_TRANSITION, ChangeType.CREATION] == [
        change.type for change in house.changes(alarm)
    ]
    assert "alarm" == house.changes(alarm)[0].detail["state"]
    assert (DeliveryState.BURIED, "the alarm was deleted") == (delivery.state, delivery.last_error)


def test_history_of_ones_own(house: House) -> None:
    """Others than admins see what was recorded for their own project, and may not ask for another's."""
    alarm = house.create()
    house.clock.advance(1)
    house.alarms.replace(alarm.alarm_id, echo_of(alarm, project_id="p2"), ADMIN)
    seen_by_eve = house.alarms.history(alarm.alarm_id, HistoryQuery(), EVE)
    seen_by_admin = house.alarms.history(alarm.alarm_id, HistoryQuery(), ADMIN)
    with pytest.raises(Unauthorized, match="project p1"):
        house.alarms.history(alarm.alarm_id, HistoryQuery(project_id="p1"), EVE)

    assert [[ChangeType.RULE_CHANGE], [ChangeType.RULE_CHANGE, ChangeType.CREATION]] == [
        [change.type for change in seen] for seen in (seen_by_eve, seen_by_admin)
    ]


def test_deliveries(house: House) -> None:
    """Deliveries are those of the own project; admins see all of them, or one project's."""
    for caller in (ALICE, EVE):
        house.turn(house.create(caller, alarm_actions=("http://h/1",)), State.ALARM)

    def projects(caller: Caller, **query: Any) -> set[str]:
        return {delivery.project_id for delivery in house.deliveries.find(OutboxQuery(**query), caller)}

    assert [{"p1"}, {"p2"}, {"p1", "p2"}, {"p2"}] == [
        projects(ALICE),
        projects(EVE, project_id="p2"),
        projects(ADMIN),
        projects(ADMIN, project_id="p2"),
    ]
    with pytest.raises(Unauthorized):
        projects(ALICE, project_id="p2")


def given_up() -> float:
    """Return how many notifications were counted that their alarms no longer want."""
    return REGISTRY.get_sample_value("alarmd_notifications_total", {"outcome": "buried", "reason": "alarm"}) or 0.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"enabled": False}, "the alarm is disabled"),
        ({"alarm_actions": ("http://h/2",)}, "the alarm no longer has this action"),
        ({"description": "of the same mind", "alarm_actions": ("http://h/2", "http://h/1")}, ""),
    ],
)
def test_what_an_alarm_no_longer_wants_is_given_up(house: House, changes: dict[str, Any], reason: str) -> None:
    """Whoever disables an alarm, or takes an action from it, does not want to see it taken later."""
    before = given_up()
    alarm = house.turn(house.create(alarm_actions=("http://h/1",)), State.ALARM)
    house.alarms.replace(alarm.alarm_id, echo_of(alarm, **changes), ALICE)
    [found] = house.deliveries.find(OutboxQuery(), ALICE)

    assert (DeliveryState.BURIED if reason else DeliveryState.PENDING, reason) == (found.state, found.last_error)
    assert bool(reason) == given_up() - before


def test_retrying_a_delivery(house: House) -> None:
    """Only a buried delivery of the own project can be put back; then notifiers are woken."""
    alarm = house.turn(house.create(alarm_actions=("http://h/1",)), State.ALARM)
    [waiting] = house.deliveries.find(OutboxQuery(), ALICE)
    with pytest.raises(InvalidInput, match="is pending; only one that is buried"):
        house.deliveries.retry(waiting.event_id, ALICE)
    alarm = house.alarms.replace(alarm.alarm_id, echo_of(alarm, enabled=False), ALICE)
    with pytest.raises(InvalidInput, match="is news of the past: the alarm is disabled"):
        house.deliveries.retry(waiting.event_id, ALICE)
    house.alarms.replace(alarm.alarm_id, echo_of(alarm, enabled=True), ALICE)
    for caller, event_id, error in (
        (EVE, waiting.event_id, NotFound),
        (READER, waiting.event_id, Forbidden),
        (ALICE, "nowhere", NotFound),
    ):
        with pytest.raises(error):
            house.deliveries.retry(event_id, caller)
    house.clock.advance(5)
    again = house.deliveries.retry(waiting.event_id, ALICE)

    assert (
        replace(waiting, next_attempt_at=waiting.created_at + timedelta(seconds=5), last_error=again.last_error)
        == again
    )
    assert [again] == house.deliveries.find(OutboxQuery(), ALICE)
    assert Bell.OUTBOX is house.doorbell.rung[-1]
