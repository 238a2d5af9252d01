# SPDX-License-Identifier: Apache-2.0
"""What goes for alarms of every kind alike: over the window, told by servers, and combined of both."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from alarmd import plugins
from alarmd.cache.window import WindowLimits
from alarmd.clock import ManualClock
from alarmd.cluster.solo import SoloMembership
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.asking.asking import Answer, NoAnswer, Question
from alarmd.evaluators.families.loadbalancer.octavia import Pool
from alarmd.evaluators.families.prometheus.server import Series, SeriesAnswered
from alarmd.evaluators.family import RuleFamily, RuleLimits
from alarmd.evaluators.plan import PlanOptions
from alarmd.evaluators.tick import Evaluation, TickReport
from alarmd.model.alarm import Alarm, State
from alarmd.model.shard import shard_of
from alarmd.store.outbox import OutboxQuery
from tests.support.alarms import an_alarm
from tests.support.asking import settle
from tests.support.rest import CountingDoorbell, new_database
from tests.support.samples import a_batch, a_resource, new_log

OK, ALARM, UNKNOWN = State.OK, State.ALARM, State.INSUFFICIENT_DATA

#: How often servers are asked here, samples come, and the clock is looked at, seconds.
INTERVAL_S = 5.0
REPEAT_S = 60.0

OVER_80 = {"comparison_operator": "gt", "threshold": 80.0}
THRESHOLD = {"meter_name": "cpu_util", "query": [{"field": "resource_id", "value": "vm-1"}], "period": 10, **OVER_80}
GNOCCHI = {"aggregation_method": "mean", "granularity": 10, **OVER_80}
PROMETHEUS = {"query": "load", **OVER_80}

#: Rules of every kind that the tick evaluates, all over one load: in alarm above 80.
RULES: dict[str, tuple[str, Any]] = {
    "threshold": ("threshold", THRESHOLD),
    "gnocchi, one resource": (
        "gnocchi_resources_threshold",
        {"metric": "cpu_util", "resource_id": "vm-1", "resource_type": "instance", **GNOCCHI},
    ),
    "gnocchi, metrics": ("gnocchi_aggregation_by_metrics_threshold", {"metrics": ["vm-1/cpu_util"], **GNOCCHI}),
    "gnocchi, a query": (
        "gnocchi_aggregation_by_resources_threshold",
        {"metric": "cpu_util", "resource_type": "instance", "query": '{"=": {"group": "web"}}', **GNOCCHI},
    ),
    "prometheus": ("prometheus", PROMETHEUS),
    "load balancer": (
        "loadbalancer_member_health",
        {"pool_id": "pool", "stack_id": "stack", "autoscaling_group_id": "group"},
    ),
    "composite over the window": ("composite", {"or": [{"type": "threshold", **THRESHOLD}]}),
    "composite over a server": ("composite", {"and": [{"type": "prometheus", **PROMETHEUS}]}),
    "composite over both": (
        "composite",
        {"and": [{"type": "threshold", **THRESHOLD}, {"type": "prometheus", **PROMETHEUS}]},
    ),
}
#: Those of which nothing can be said without an answer.
ASKING = ["prometheus", "load balancer", "composite over a server"]


@dataclass
class Load:
    """How high it is, None where nobody has any; and as whom servers tell of it."""

    value: float | None = None
    is_silent: bool = False


@dataclass
class Told:
    """A server that tells of the load of each project."""

    loads: dict[str, Load]
    say: Callable[[Load, str], Any]
    interval_s: float = INTERVAL_S
    concurrency: int = 2
    timeout_s: float = 1.0
    asked: list[Question] = field(default_factory=list)

    def ask(self, question: Any, *, now: datetime) -> Answer:
        self.asked.append(question)
        project = next((name for name in self.loads if f'"{name}"' in getattr(question, "query", "")), "p1")
        if self.loads[project].is_silent:
            raise NoAnswer("it does not answer")
        return Answer(at=now, values=self.say(self.loads[project], project))

    def close(self) -> None:
        """Hold nothing."""


def series_of(load: Load, _project: str) -> SeriesAnswered:
    """Return what Prometheus says of a load."""
    return SeriesAnswered(series=() if load.value is None else (Series(labels={}, values=(load.value,)),))


def pool_of(load: Load, project: str) -> Pool | None:
    """Return what Octavia says: a member is in error while the load is too high."""
    if load.value is None:
        return None
    status = "ERROR" if load.value > 80 else "ONLINE"
    return Pool(project_id=project, members=({"id": "m", "admin_state_up": True, "operating_status": status},))


class Site:
    """A log, a database, two servers, and one evaluator over them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.clock = ManualClock(datetime(2026, 1, 1, 9, tzinfo=UTC))
        self.database = stack.enter_context(closing(new_database(folder)))
        self.log = stack.enter_context(closing(new_log(folder)))
        self.loads = {"p1": Load(), "p2": Load()}
        self.prometheus, self.octavia = Told(self.loads, series_of), Told(self.loads, pool_of)
        limits = RuleLimits(window_s=600, lateness_s=5, servers=frozenset({"prometheus", "octavia"}))
        self.families: dict[str, RuleFamily] = {}
        for name in plugins.names("alarmd.evaluators"):
            self.families[name] = plugins.load("alarmd.evaluators", name)(limits, self.families.get)
        self.asker = Asker(
            {"prometheus": self.prometheus, "octavia": self.octavia}, clock=self.clock, spread=lambda: 0.0
        )
        self.evaluation = Evaluation(
            database=self.database,
            log=self.log,
            doorbell=CountingDoorbell(),
            membership=SoloMembership(index=0, count=1),
            families=self.families,
            window=WindowLimits(length_s=600, lateness_s=5),
            plan=PlanOptions(lateness_s=5, repeat_interval_s=REPEAT_S, count_results=True),
            clock=self.clock,
            count_interval_s=1e9,
            asker=self.asker,
        )

    def add(self, name: str, **changes: Any) -> Alarm:
        """Add an alarm with the rule of a name."""
        type_, rule = RULES[name]
        actions = dict.fromkeys(("ok_actions", "alarm_actions", "insufficient_data_actions"), ("http://127.0.0.1:9/",))
        made = {"type": type_, "rule": self.families[type_].normalise(rule, project_id="p1"), **actions}
        alarm = an_alarm(**made, timestamp=self.clock.now(), state_timestamp=self.clock.now(), **changes)
        with self.database.write() as unit:
            return unit.alarms.add(alarm)

    def change(self, alarm: Alarm, **changes: Any) -> None:
        """Change an alarm's definition."""
        with self.database.write() as unit:
            unit.alarms.replace(replace(self._get(alarm), **changes))

    def state(self, alarm: Alarm) -> State:
        """Return the state that is stored."""
        return self._get(alarm).state

    def sent(self) -> int:
        """Return how many notifications have been made so far."""
        with self.database.read() as unit:
            return len(unit.outbox.find(OutboxQuery()))

    def set_load(self, value: float | None, *, project_id: str = "p1") -> None:
        """Have a load from now on."""
        self.loads[project_id].value = value

    def set_silent(self, is_silent: bool) -> None:
        """Have servers that do not answer, or such that do."""
        self.loads["p1"].is_silent = is_silent

    def step(self) -> TickReport:
        """Let time pass, samples come and servers be asked; evaluate."""
        self.clock.advance(INTERVAL_S)
        self.evaluation.tick()
        for project_id, load in self.loads.items():
            if load.value is not None:
                resource = a_resource("vm-1", project_id=project_id, labels={"group": "web"})
                self.log.append([a_batch({resource: {"cpu_util": load.value}}, timestamp_s=self.clock.time_s())])
        settle(self.asker)
        return self.evaluation.tick()

    def counts(self, alarm: Alarm) -> tuple[int, int, int]:
        """Return how often an alarm was found ok, in alarm, and without data; to be called once, at the end."""
        self.evaluation.close()
        with self.database.read() as unit:
            rows = {row.counts.alarm_id: row.counts for row in unit.counters.find(project_id=None, limit=100)}
        found = rows.get(alarm.alarm_id)
        return (found.ok, found.alarm, found.insufficient_data) if found else (0, 0, 0)

    def _get(self, alarm: Alarm) -> Alarm:
        with self.database.read() as unit:
            found = unit.alarms.get(alarm.alarm_id)
        assert found is not None
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site without alarms."""
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


every_kind = pytest.mark.parametrize("name", RULES)


@every_kind
def test_value_zero_and_nothing_are_three_things(site: Site, name: str) -> None:
    """A high load is alarm, a load of zero is ok, no load at all is insufficient data."""
    alarm = site.add(name)
    states = []
    for value in (95.0, 0.0, None):
        site.set_load(value)
        for _ in range(8):
            site.step()
        states.append(site.state(alarm))

    assert [ALARM, OK, UNKNOWN] == states


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        *((name, value, state) for name in ASKING for value, state in ((95.0, ALARM), (0.0, OK))),
        # When it is cold, the window alone says so.
        ("composite over both", 95.0, ALARM),
    ],
)
def test_an_error_is_neither_and_repeats_nothing(site: Site, name: str, value: float, state: State) -> None:
    """While a server does not answer the state stays, and once its last answer is too old no action is taken again."""
    alarm = site.add(name, repeat_actions=True)
    site.set_load(value)
    site.step()
    site.set_silent(True)
    for _ in range(5):
        site.step()
    sent = site.sent()
    for _ in range(40):
        site.step()

    assert state is site.state(alarm)
    assert sent == site.sent()
    site.set_silent(False)
    site.step()
    assert sent + 1 == site.sent()


@every_kind
def test_actions_are_repeated_in_their_rhythm(site: Site, name: str) -> None:
    """Once for the change, and once a minute from then on while the state stays."""
    site.add(name, repeat_actions=True)
    site.set_load(95.0)
    for _ in range(40):
        site.step()

    assert 1 + 3 == site.sent()


@every_kind
def test_whoever_does_not_repeat_is_told_once(site: Site, name: str) -> None:
    """However long the state lasts."""
    site.add(name)
    site.set_load(95.0)
    for _ in range(40):
        site.step()

    assert 1 == site.sent()


@every_kind
def test_a_disabled_alarm_is_left_alone(site: Site, name: str) -> None:
    """Nothing is decided, told, asked or counted of it; resumed, it sees what there is now."""
    alarm = site.add(name, repeat_actions=True)
    site.set_load(95.0)
    site.step()
    site.change(alarm, enabled=False)
    site.set_load(0.0)
    site.step()
    asked = len(site.prometheus.asked) + len(site.octavia.asked)
    reports = [site.step() for _ in range(10)]

    assert {(0, 0, 0)} == {(report.alarms, report.transitions, report.repeats) for report in reports}
    assert ALARM is site.state(alarm)
    assert asked == len(site.prometheus.asked) + len(site.octavia.asked)
    site.change(alarm, enabled=True)
    site.step()
    assert OK is site.state(alarm)


#: Five past nine for two minutes, and so from four past on; the clock of the site starts at nine.
FIVE_PAST = {"name": "n", "description": "", "start": "5 9 * * *", "duration": 120, "timezone": ""}


@every_kind
def test_outside_its_time_constraints_an_alarm_is_left_alone(site: Site, name: str) -> None:
    """No change, no repeat, no count before its window opens and after it has closed; in it, as ever."""
    alarm = site.add(name, time_constraints=(FIVE_PAST,), repeat_actions=True)
    site.set_load(95.0)
    for _ in range(47):  # until 09:03:55
        site.step()
    early = site.state(alarm), site.sent()
    for _ in range(38):  # until 09:07:05
        site.step()
    within = site.state(alarm), site.sent()
    site.set_load(0.0)
    for _ in range(20):
        site.step()

    assert ((UNKNOWN, 0), ALARM) == (early, within[0])
    assert within[1] >= 3
    assert within == (site.state(alarm), site.sent())
    counted = site.counts(alarm)
    assert (0, 0) == (counted[0], counted[2])
    assert 70 <= counted[1] <= 74


@every_kind
def test_an_alarm_that_moves_to_another_project_reads_that_one(site: Site, name: str) -> None:
    """Its rule means the new project's series from then on, in whichever shard these are."""
    alarm = site.add(name)
    site.set_load(95.0)
    site.set_load(0.0, project_id="p2")
    site.step()
    before = site.state(alarm)
    site.change(alarm, project_id="p2", shard=shard_of("p2"))
    for _ in range(4):
        site.step()

    # The pool stays the other project's, and so is none.
    assert (ALARM, UNKNOWN if name == "load balancer" else OK) == (before, site.state(alarm))


@every_kind
def test_every_pass_is_counted_by_the_state_it_led_to(site: Site, name: str) -> None:
    """Once a pass, and not while nothing can be said."""
    alarm = site.add(name)
    site.set_load(95.0)
    site.step()
    site.set_load(0.0)
    for _ in range(5):
        site.step()
    passes = 2 * 6

    ok, in_alarm, without = site.counts(alarm)
    assert 0 == without
    assert ok >= 8
    assert in_alarm >= 1
    assert passes - 1 == ok + in_alarm


@every_kind
def test_bad_alarms_stop_no_other(site: Site, name: str) -> None:
    """Such as cannot be read, of the same type and of one that nobody knows; each is told of in the log."""
    type_ = RULES[name][0]
    bad: list[Any] = [{"or": 5} if type_ == "composite" else {}, [], {"or": [{"type": "threshold"}, 7]}]
    for rule in bad:
        site.change(site.add(name), rule=rule)
    site.change(site.add(name), type="unheard_of")
    alarm = site.add(name)
    site.set_load(95.0)
    with structlog.testing.capture_logs() as lines:
        site.step()

    assert ALARM is site.state(alarm)
    assert 3 <= sum(line["event"] in {"alarm_not_evaluated", "alarm_not_compiled"} for line in lines)
