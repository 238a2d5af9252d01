# SPDX-License-Identifier: Apache-2.0
"""Composite alarms and what they refer to, from the request to the tick, over a real log and a real database."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from alarmd.alarms import AlarmDraft, AlarmService
from alarmd.cache.window import WindowLimits
from alarmd.clock import ManualClock
from alarmd.cluster.doorbell import Bell
from alarmd.cluster.solo import SoloMembership
from alarmd.evaluators.event_evaluation import EventEvaluation
from alarmd.evaluators.plan import PlanOptions
from alarmd.evaluators.tick import Evaluation, TickReport
from alarmd.model.alarm import Alarm, State
from alarmd.model.caller import Caller
from alarmd.model.history import AlarmChange
from tests.support.events import an_event
from tests.support.rest import CountingDoorbell, alarm_service, new_database, rule_families
from tests.support.samples import a_batch, a_resource, new_log

ANN = Caller(project_id="p1", user_id="ann", roles=frozenset({"member", "reader"}))
HOT = {"type": "threshold", "meter_name": "cpu_util", "comparison_operator": "gt", "threshold": 80.0, "period": 10}
UNKNOWN = State.INSUFFICIENT_DATA


class Site:
    """Alarms as people make them, events as they come, and one evaluator."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.clock, self.doorbell = ManualClock(), CountingDoorbell()
        self.database = stack.enter_context(closing(new_database(folder)))
        self.log = stack.enter_context(closing(new_log(folder)))
        self.alarms: AlarmService = alarm_service(database=self.database, doorbell=self.doorbell, clock=self.clock)
        self.events = EventEvaluation(database=self.database, doorbell=self.doorbell, clock=self.clock)
        self.evaluation = Evaluation(
            database=self.database,
            log=self.log,
            doorbell=self.doorbell,
            membership=SoloMembership(index=0, count=1),
            families=rule_families(),
            window=WindowLimits(length_s=600, lateness_s=5),
            plan=PlanOptions(lateness_s=5, repeat_interval_s=60),
            clock=self.clock,
        )

    def create(self, type_: str, rule: Any) -> Alarm:
        """Create an alarm."""
        return self.alarms.create(AlarmDraft(name=type_, type=type_, rule=rule), ANN)

    def tick(self, value: float) -> TickReport:
        """Let a sample come, and a second pass."""
        self.clock.advance(1)
        self.log.append(
            [a_batch({a_resource("vm-1", project_id="p1"): {"cpu_util": value}}, timestamp_s=self.clock.time_s())]
        )
        return self.evaluation.tick()

    def states(self, *alarms: Alarm) -> list[State]:
        """Return the states that alarms are in."""
        return [self.alarms.get(alarm.alarm_id, ANN).state for alarm in alarms]

    def latest(self, alarm: Alarm) -> AlarmChange:
        """Return an alarm's newest transition."""
        with self.database.read() as unit:
            found = unit.history.latest_transition(alarm.alarm_id)
        assert found is not None
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site without alarms."""
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


def test_a_composite_follows_the_alarms_that_it_refers_to(site: Site) -> None:
    """Whoever has moved them: an evaluator, a person, or an event; and others follow it."""
    stop = site.create("event", {"event_type": "maintenance.start"})
    busy = site.create("composite", {"and": [HOT, {"not": {"alarm_id": stop.alarm_id}}]})
    page = site.create("composite", {"at_least": {"count": 1, "of": [{"alarm_id": busy.alarm_id}]}})
    site.tick(97.0)
    assert [UNKNOWN, UNKNOWN] == site.states(busy, page)

    site.alarms.set_state(stop.alarm_id, State.OK, ANN)
    site.tick(97.0)
    assert [State.ALARM, State.ALARM] == site.states(busy, page)
    assert (
        "Composite rule alarm with composition form: (rule1 and not rule2) transition to alarm, due to rules: "
        "rule1, rule2 outside their threshold."
    ) == site.latest(busy).detail["transition_reason"]
    assert {"rule1", "rule2"} == set((site.latest(busy).evidence or {})["rules"])

    site.doorbell.rung.clear()
    site.events.take([an_event(event_type="maintenance.start")])
    assert Bell.ALARMS in site.doorbell.rung
    followed = site.tick(97.0).alarms
    assert [State.ALARM, State.OK, State.OK] == site.states(stop, busy, page)
    assert "maintenance.start" == (site.latest(stop).evidence or {})["event"]["event_type"]

    site.alarms.delete(stop.alarm_id, ANN, cascade=True)
    assert [2, 0] == [followed, site.tick(97.0).alarms]


def test_a_disabled_alarm_counts_as_the_state_it_was_left_in(site: Site) -> None:
    """Its own rule is no longer looked at."""
    hot = site.create("threshold", {key: value for key, value in HOT.items() if key != "type"})
    copy = site.create("composite", {"alarm_id": hot.alarm_id})
    site.tick(97.0)
    assert [State.ALARM, State.ALARM] == site.states(hot, copy)

    site.alarms.replace(
        hot.alarm_id,
        AlarmDraft(name="x", type="threshold", rule=hot.rule, enabled=False, state=State.ALARM),
        ANN,
    )
    site.tick(20.0)
    assert [State.ALARM, State.ALARM] == site.states(hot, copy)


def test_a_rule_that_lost_its_reference_is_unknown_no_longer(site: Site) -> None:
    """A composite that is changed is evaluated as it is then."""
    stop = site.create("event", {"event_type": "maintenance.start"})
    busy = site.create("composite", {"and": [HOT, {"not": {"alarm_id": stop.alarm_id}}]})
    site.tick(97.0)
    site.alarms.replace(busy.alarm_id, AlarmDraft(name="x", type="composite", rule=HOT), ANN)
    site.alarms.delete(stop.alarm_id, ANN)
    site.tick(97.0)

    assert [State.ALARM] == site.states(busy)
