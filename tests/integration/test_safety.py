# SPDX-License-Identifier: Apache-2.0
"""The breaker at work: an evaluator's ticks over a real log and database, from the storm to the release."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from alarmd import plugins
from alarmd.cache.sqlite_log import SqliteLog
from alarmd.cache.window import WindowLimits
from alarmd.clock import ManualClock
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.cluster.solo import SoloMembership
from alarmd.evaluators.breaker import BreakerLimits
from alarmd.evaluators.family import RuleLimits
from alarmd.evaluators.plan import PlanOptions
from alarmd.evaluators.safety import Release, Watch
from alarmd.evaluators.tick import Evaluation
from alarmd.model.alarm import Alarm, State
from alarmd.model.breaker import Trip
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState
from alarmd.model.samples import Resource, roll_call
from alarmd.settings import Settings
from alarmd.store.database import Database
from alarmd.store.gate import GateLimits
from alarmd.store.outbox import OutboxQuery
from tests.support.alarms import an_alarm
from tests.support.samples import a_batch, a_resource, new_log

LIMITS = RuleLimits(window_s=600, lateness_s=5)
FAMILIES = {"threshold": plugins.load("alarmd.evaluators", "threshold")(LIMITS, lambda _name: None)}
#: Machines, on five hosts; each has an alarm of its own that scales in below 20, and one that scales out above 80.
MACHINES = 30
HOSTS = 5


@dataclass
class Site:
    """An installation with one evaluator, or more that tick at the same time."""

    database: Database
    log: SqliteLog
    doorbell: LocalDoorbell
    clock: ManualClock
    load: dict[int, float] = field(default_factory=dict)
    silent: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.evaluations = [self.evaluator("e1")]
        self.release = Release(database=self.database, doorbell=self.doorbell, clock=self.clock)
        with self.database.write() as unit:
            for number in range(MACHINES):
                for comparison, threshold, direction in (("lt", 20, Direction.IN), ("gt", 80, Direction.OUT)):
                    unit.alarms.add(_alarm(number, comparison, threshold, direction))

    def evaluator(
        self, owner: str, *, index: int = 0, count: int = 1, lease_s: float = 20, **limits: float
    ) -> Evaluation:
        watch = Watch(
            owner=owner,
            limits=BreakerLimits(**{"calm_s": 30, **limits}),  # type: ignore[arg-type]  # none of them is a whole number
            lease_s=lease_s,
            database=self.database,
            clock=self.clock,
        )
        return Evaluation(
            database=self.database,
            log=self.log,
            doorbell=self.doorbell,
            membership=SoloMembership(index=index, count=count),
            families=FAMILIES,
            window=WindowLimits(length_s=600, lateness_s=5),
            plan=PlanOptions(lateness_s=5, repeat_interval_s=60),
            clock=self.clock,
            gate=GateLimits(expire_after_s={Direction.IN: 300}),
            watch=watch,
        )

    def run(self, seconds: int) -> None:
        """Let the hosts that are not silent be polled each five seconds, and the evaluator tick."""
        for _ in range(seconds // 5):
            self.clock.advance(5)
            for host in set(range(HOSTS)) - self.silent:
                machines: dict[Resource | str, dict[str, float]] = {
                    a_resource(f"vm-{number}", project_id=f"p{number % 10}"): {"cpu_util": self.load.get(number, 50.0)}
                    for number in range(host, MACHINES, HOSTS)
                }
                batch = a_batch(machines, timestamp_s=self.clock.time_s(), source=f"h{host}")
                self.log.append([batch, roll_call(f"h{host}", [batch], started_s=self.clock.time_s())])
            with ThreadPoolExecutor() as threads:
                for done in [threads.submit(evaluation.tick) for evaluation in self.evaluations]:
                    done.result()
            self.release.run()

    def outbox(self) -> Counter[tuple[Direction, DeliveryState]]:
        with self.database.read() as unit:
            return Counter((one.direction, one.state) for one in unit.outbox.find(OutboxQuery()))

    def trips(self) -> list[Trip]:
        with self.database.read() as unit:
            return unit.breaker.in_force(self.clock.now())


def _alarm(number: int, comparison: str, threshold: float, direction: Direction) -> Alarm:
    alarm = an_alarm(
        project_id=f"p{number % 10}",
        state=State.OK,
        directions={State.ALARM: direction},
        alarm_actions=(f"http://127.0.0.1:9/{direction}",),
    )
    rule = {
        "query": [{"field": "resource_id", "op": "eq", "value": f"vm-{number}"}],
        "period": 10,
        "comparison_operator": comparison,
        "threshold": threshold,
    }
    return replace(alarm, rule={**alarm.rule, **rule})


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    """An installation that has been running for a while."""
    clock = ManualClock(datetime(2026, 1, 1, 9, tzinfo=UTC))
    with ExitStack() as stack:
        log = stack.enter_context(closing(new_log(tmp_path)))
        doorbell = stack.enter_context(closing(LocalDoorbell(tmp_path / "bells")))
        made = Site(database, log, doorbell, clock)
        made.run(60)
        yield made


def test_few_changes_go_their_way(site: Site) -> None:
    """Ten machines that idle are ten orders to scale in."""
    site.load = dict.fromkeys(range(10), 5.0)
    site.run(30)

    assert {(Direction.IN, DeliveryState.PENDING): 10} == site.outbox()
    assert site.trips() == []


def test_a_storm_of_scale_in_is_held_back_and_goes_when_it_is_calm(site: Site) -> None:
    """All that want to shrink at once wait, including the first; what still holds once it is calm is delivered."""
    site.load = dict.fromkeys(range(25), 5.0)
    with capture_logs() as logs:
        site.run(20)
        storm, trips = site.outbox(), site.trips()
        site.load |= dict.fromkeys(range(5), 50.0)
        site.run(60)
    events = Counter(line["event"] for line in logs)
    released = next(line for line in logs if line["event"] == "held_actions_released")

    assert {(Direction.IN, DeliveryState.HELD): 25} == storm
    assert ["25 of 60 alarms want to change at once"] == [one.reason for one in trips]
    assert {(Direction.IN, DeliveryState.PENDING): 20, (Direction.IN, DeliveryState.SUPERSEDED): 5} == site.outbox()
    assert (1, 1) == (events["breaker_opened"], events["breaker_closed"])
    assert (20, 5, 0) == (released["sent"], released["superseded"], released["expired"])
    assert site.trips() == []


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_neither_closes_it_nor_keeps_it_open(site: Site, jump_s: float) -> None:
    """Whoever holds it open says so at once, until when; so nothing is let go of, and it ends as it would have."""
    site.load = dict.fromkeys(range(25), 5.0)
    site.run(20)
    site.clock.step(jump_s)
    site.clock.advance(0.1)
    for evaluation in site.evaluations:
        evaluation.tick()
    site.release.run()
    until_s = [(trip.until - site.clock.now()).total_seconds() for trip in site.trips()]
    held = site.outbox()
    site.run(60)

    assert [20.0] == until_s
    assert {(Direction.IN, DeliveryState.HELD): 25} == held
    assert {(Direction.IN, DeliveryState.PENDING): 25} == site.outbox()


def test_scale_out_goes_on_while_it_is_open(site: Site) -> None:
    """Too much capacity costs money, too little costs the service."""
    site.load = dict.fromkeys(range(25), 95.0)
    site.run(20)
    site.load = {29: 5.0}
    site.run(15)

    assert {(Direction.OUT, DeliveryState.PENDING): 25, (Direction.IN, DeliveryState.HELD): 1} == site.outbox()


def test_hosts_that_fall_silent_open_it(site: Site) -> None:
    """Four of five hosts are not heard of any more: what the last one says holds for nobody else."""
    site.evaluations = [site.evaluator("e2", alarms_share=0, projects_share=0, hosts_share=0)]
    site.run(30)
    site.silent = {1, 2, 3, 4}
    site.run(40)
    trips = site.trips()

    assert ["24 of 30 machines are not heard of any more (4 of 5 hosts are silent)"] == [one.reason for one in trips]


def test_it_stays_open_as_long_as_they_are_silent(site: Site) -> None:
    """The evaluator says so again and again, and lets go once they are back for the calm time."""
    site.silent = {1, 2, 3, 4}
    site.run(40)
    since = site.trips()[0].since
    site.run(120)
    still = site.trips()
    site.silent = set()
    site.run(50)

    assert [since] == [one.since for one in still]
    assert site.trips() == []


def test_one_that_dies_holds_nothing_back_for_long(site: Site) -> None:
    """Its word ends by itself; then anybody releases what waited."""
    site.load = dict.fromkeys(range(25), 5.0)
    site.run(15)
    [trip] = site.trips()
    first = site.release.run()
    site.clock.advance((trip.until - site.clock.now()).total_seconds())
    site.release.run()

    assert not first
    assert trip.until - site.clock.now() <= timedelta()
    assert {(Direction.IN, DeliveryState.PENDING): 25} == site.outbox()


def test_it_outlives_a_restart_of_the_machine(site: Site) -> None:
    """With the settings as they are, whoever has been away for a minute and a half keeps it open for the calm time."""
    settings = Settings()
    calm_s = int(settings.safety.breaker_calm_s)

    def started() -> list[Evaluation]:
        return [site.evaluator("e1", lease_s=settings.safety.breaker_lease_s, calm_s=calm_s)]

    site.evaluations = started()
    site.load = dict.fromkeys(range(25), 5.0)
    site.run(60)
    site.evaluations = []
    site.run(95)
    site.evaluations = started()
    site.run(calm_s - 5)
    held = site.outbox()
    site.run(10)

    assert {(Direction.IN, DeliveryState.HELD): 25} == held
    assert {(Direction.IN, DeliveryState.PENDING): 25} == site.outbox()


def test_what_waited_for_too_long_expires(site: Site) -> None:
    """An order to scale in that is minutes old is dropped with a record."""
    site.load = dict.fromkeys(range(25), 5.0)
    site.run(15)
    site.clock.advance(301)
    site.release.run()

    assert {(Direction.IN, DeliveryState.EXPIRED): 25} == site.outbox()


def test_of_several_evaluators_one_says_so(site: Site) -> None:
    """Both find that it is too much, at the same moment; operators are told of the beginning and of the end once."""
    site.evaluations = [site.evaluator(f"e{index}", index=index, count=2, minimum=5) for index in range(2)]
    site.run(30)
    site.load = dict.fromkeys(range(25), 5.0)
    with capture_logs() as logs:
        site.run(15)
        trips = site.trips()
        site.run(60)
    told = [(line["event"], line["log_level"]) for line in logs if line["event"].startswith("breaker")]

    assert ["e0", "e1"] == sorted(one.owner for one in trips)
    assert [("breaker_opened", "error"), ("breaker_joined", "info")] == told[:2]
    assert [("breaker_left", "info"), ("breaker_closed", "warning")] == told[2:]
    assert site.trips() == []


def test_a_restart_does_not_forget_it(site: Site) -> None:
    """An evaluator that is started anew holds it open for the calm time, and says nothing twice."""
    site.load = dict.fromkeys(range(25), 5.0)
    site.run(15)
    [before] = site.trips()
    with capture_logs() as logs:
        site.evaluations = [site.evaluator("e1")]
        site.run(25)
        [after] = site.trips()
        site.run(15)
    told = [line["event"] for line in logs if line["event"].startswith("breaker")]

    assert (before.reason, before.since) == (after.reason, after.since)
    assert ["breaker_taken_over", "breaker_closed"] == told
    assert site.trips() == []
