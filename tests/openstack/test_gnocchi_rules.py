# SPDX-License-Identifier: Apache-2.0
"""Rules of the gnocchi types over alarmd's own samples and over a real Gnocchi that has the same ones."""

import json
import math
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import requests

from alarmd.cache.window import Window, WindowLimits
from alarmd.clock import SystemClock
from alarmd.evaluators.asking.asking import Finding, Refused
from alarmd.evaluators.families.gnocchi.family import GnocchiAggregation, GnocchiMetrics, GnocchiResources
from alarmd.evaluators.families.gnocchi.question import GnocchiRule
from alarmd.evaluators.family import RuleFamily, RuleFamilyFactory, RuleLimits, TickedRule
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.evaluators.servers import servers
from alarmd.evaluators.verdicts.judgement import next_state
from alarmd.model.alarm import AlarmId, State
from alarmd.model.samples import Metric, Resource, Sample, batches_of
from alarmd.model.transition import Transition
from alarmd.model.verdict import Outcome
from alarmd.settings.schema import GnocchiSettings, Settings
from tests.openstack.gnocchi_groups import (
    ACROSS,
    ARCHIVED,
    BEGIN_S,
    METRIC,
    Group,
    size_of,
    with_archive_policy,
    written,
)
from tests.openstack.gnocchi_service import Gnocchi
from tests.support.alarms import an_alarm
from tests.support.daemon import daemon, wait_until
from tests.support.gnocchi_reference import Buckets, across, archived

RESOURCES: Final = "gnocchi_resources_threshold"
METRICS: Final = "gnocchi_aggregation_by_metrics_threshold"
AGGREGATION: Final = "gnocchi_aggregation_by_resources_threshold"
_FACTORIES: Final[Mapping[str, RuleFamilyFactory]] = {
    RESOURCES: GnocchiResources,
    METRICS: GnocchiMetrics,
    AGGREGATION: GnocchiAggregation,
}
_LATENESS_S: Final = 10.0
_TOLERANCE: Final = 1e-9


def family(type_: str, *, strict: bool, is_asked: bool) -> RuleFamily:
    """Return the family of a type as some settings make it."""
    named = frozenset({"gnocchi"}) if is_asked else frozenset[str]()
    limits = RuleLimits(window_s=36_000, lateness_s=_LATENESS_S, gnocchi_is_strict=strict, servers=named)
    return _FACTORIES[type_](limits, lambda _: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One rule, for the cache and for Gnocchi."""

    name: str
    type_: str
    group: Group
    rule: Mapping[str, Any]
    #: What is different where Gnocchi is asked: it names metrics by their ids.
    there: Mapping[str, Any]

    def here(self) -> TickedRule:
        """Return what is read from the cache, strictly."""
        compiles = family(self.type_, strict=True, is_asked=False)
        return compiles.parse(compiles.normalise(self.rule, project_id=self.group.name), project_id=self.group.name)

    def asked(self, *, strict: bool, confined: bool = False) -> GnocchiRule:
        """Return what is asked of Gnocchi."""
        asks = family(self.type_, strict=strict, is_asked=True)
        who: Any = {"project_id": self.group.name, "confined": confined}
        compiled = asks.parse(asks.normalise({**self.rule, **self.there}, **who), **who)
        assert isinstance(compiled, GnocchiRule)
        return compiled


@pytest.fixture(scope="module")
def server(gnocchi_server: Gnocchi) -> Gnocchi:
    """Gnocchi, with an archive policy for every method."""
    with_archive_policy(gnocchi_server)
    return gnocchi_server


@pytest.fixture(scope="module")
def groups(server: Gnocchi) -> list[Group]:
    """Four groups of six series each."""
    return written(server, random.Random(20260202), count=4, prefix="rules")


@pytest.fixture(scope="module")
def window(groups: list[Group]) -> Window:
    """The same samples in a window of alarmd's."""
    window = Window(WindowLimits(length_s=7200, lateness_s=7200))
    samples = [
        Sample(
            metric=Metric(name=METRIC),
            resource=Resource(id=resource, project_id=group.name),
            timestamp_s=time_s,
            value=value,
        )
        for group in groups
        for resource, points in zip(group.resources, group.series, strict=True)
        for time_s, value in points
    ]
    for batch in batches_of(samples, source="test"):
        window.append(batch, now_s=BEGIN_S + 7200)
    return window


def _client(server: Gnocchi, *, strict: bool, **more: Any) -> Any:
    settings = Settings(gnocchi=GnocchiSettings(url=server.url, strict=strict, timeout_s=30, **more))
    return servers(settings, clock=SystemClock())["gnocchi"]


@pytest.fixture(scope="module")
def strict_client(server: Gnocchi) -> Iterator[Any]:
    """Asks Gnocchi as Aodh does."""
    client = _client(server, strict=True)
    yield client
    client.close()


@pytest.fixture(scope="module")
def client(server: Gnocchi) -> Iterator[Any]:
    """Asks Gnocchi for what is meant."""
    client = _client(server, strict=False)
    yield client
    client.close()


def _cases(groups: list[Group], rng: random.Random) -> list[Case]:
    """Return rules of all types with all methods that Gnocchi has an answer for."""
    cases: list[Case] = []

    def add(type_: str, group: Group, method: str, rule: Mapping[str, Any], there: Mapping[str, Any]) -> None:
        judged = {
            "aggregation_method": method,
            "granularity": rng.choice([60, 60, 300]),
            "evaluation_periods": rng.choice([1, 2, 3, 5]),
            "comparison_operator": rng.choice(["lt", "gt", "ge"]),
            "threshold": rng.choice(group.series[0])[1] * rng.choice([0.0, 0.5, 1.0]),
        }
        name = f"{len(cases)} {type_} {method}"
        cases.append(Case(name=name, type_=type_, group=group, rule={**rule, **judged}, there=there))

    for group in groups:
        for method in ARCHIVED:
            one = {"metric": METRIC, "resource_id": rng.choice(group.resources), "resource_type": "generic"}
            add(RESOURCES, group, method, one, {})
        for method in [*ACROSS, *(f"rate:{method}" for method in ACROSS)]:
            query = json.dumps({"=": {"project_id": group.name}})
            add(AGGREGATION, group, method, {"metric": METRIC, "resource_type": "generic", "query": query}, {})
            which = rng.randrange(6)
            here = {"metrics": [f"{group.resources[which]}/{METRIC}"]}
            add(METRICS, group, method, here, {"metrics": [group.metrics[which]]})
    return cases


def _decided(window: Window, cases: list[Case], now: datetime) -> dict[str, Transition]:
    """Return how the alarms of all cases change, each in every state, by the case's name and the state."""
    plan = Plan(window, PlanOptions(lateness_s=_LATENESS_S, repeat_interval_s=60))
    for case in cases:
        for state in State:
            alarm = an_alarm(alarm_id=AlarmId(f"{case.name} {state}"), state=state, project_id=case.group.name)
            plan.put(alarm, case.here(), now=now)
    found = plan.decide(now=now, watching_since=now - timedelta(seconds=36_000))
    return {str(one.alarm_id): one for one in found}


def _is_told_alike(own: Transition, finding: Finding, *, size: float) -> bool:
    """Whether a change over the cache has the values and the words of one over Gnocchi."""
    reason, data = finding.words(own.previous, own.current)
    told, evidence = dict(own.reason_data), finding.evidence.get("values", [])
    is_same = _same(told.pop("most_recent"), data.pop("most_recent"), size=size) and told == data
    is_same &= all(_same(*pair, size=size) for pair in zip(own.evidence["values"], evidence, strict=False))
    if finding.outcome is Outcome.UNKNOWN:
        return is_same  # where nothing is known, Gnocchi knows more reasons
    return is_same and own.reason.partition("most recent")[0] == reason.partition("most recent")[0]


def _same(one: float | None, other: float | None, *, size: float) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE * size)


def test_strict_rules_over_the_cache_are_gnocchis(window: Window, groups: list[Group], strict_client: Any) -> None:
    """Every rule at two moments and in every state: the same values, the same change, the same words."""
    cases = _cases(groups, random.Random(20260303))
    wrong: list[Any] = []
    held = turned = 0
    for after_s in (725.0, 779.9):
        now = datetime.fromtimestamp(BEGIN_S + after_s, UTC)
        decided = _decided(window, cases, now)
        for case in cases:
            asked = case.asked(strict=True)
            answer = strict_client.ask(asked.question, now=now)
            for state in State:
                finding = asked.judge(answer, state=state)
                current = next_state(state, finding.outcome)
                own = decided.get(f"{case.name} {state}")
                held += 1
                turned += own is not None
                is_same = current is state if own is None else own.current is current
                if own is not None and is_same:
                    is_same = _is_told_alike(own, finding, size=size_of(case.group.series))
                if not is_same:
                    wrong.append((case, after_s, state, finding, own))

    assert [] == wrong
    assert held == 2 * 3 * len(cases)
    assert turned > held / 3


def _told(client: Any, case: Case, *, after_s: float = 725.0) -> list[float | None]:
    """Return the values that Gnocchi tells for what is meant, newest first."""
    asked = case.asked(strict=False)
    answer = client.ask(asked.question, now=datetime.fromtimestamp(BEGIN_S + after_s, UTC))
    return list(asked.judge(answer, state=State.OK).evidence["values"])


def _case(type_: str, group: Group, method: str, **rule: Any) -> Case:
    judged = {"aggregation_method": method, "granularity": 60, "evaluation_periods": 5, "threshold": 0}
    return Case(name=method, type_=type_, group=group, rule=judged | rule, there={})


def _members(group: Group, method: str) -> list[Buckets]:
    return [archived(points, method, granularity_s=60) for points in group.series]


def _newest(buckets: Buckets, *, before: float = BEGIN_S + 725.0) -> list[float]:
    return [value for start, value in sorted(buckets.items(), reverse=True) if start < before][:5]


def _found(group: Group) -> dict[str, Any]:
    return {"metric": METRIC, "resource_type": "generic", "query": json.dumps({"=": {"project_id": group.name}})}


def test_rates_of_several_are_those_of_each(groups: list[Group], client: Any) -> None:
    """Who joins late is no jump: what each changed by from bucket to bucket, and then the mean of that."""
    for group in groups:
        members = _members(group, "mean")
        grid = sorted({bucket for member in members for bucket in member})
        changes: list[Buckets] = [
            {
                bucket: member[bucket] - member[before]
                for before, bucket in pairwise(grid)
                if before in member and bucket in member
            }
            for member in members
        ]
        told = _told(client, _case(AGGREGATION, group, "rate:mean", **_found(group)))
        expected = _newest(across(changes, "mean"))

        assert len(expected) == len(told) == 5
        assert all(_same(*pair, size=size_of(group.series)) for pair in zip(expected, told, strict=True))


def test_several_metrics_by_their_ids_are_one(groups: list[Group], client: Any, strict_client: Any) -> None:
    """All six of a group; as Aodh asks, nothing is ever known."""
    for group in groups:
        case = _case(METRICS, group, "max", metrics=list(group.metrics))
        asked = case.asked(strict=True)
        answer = strict_client.ask(asked.question, now=datetime.fromtimestamp(BEGIN_S + 725, UTC))
        finding = asked.judge(answer, state=State.OK)

        assert _newest(across(_members(group, "max"), "max")) == _told(client, case)
        assert finding.outcome is Outcome.UNKNOWN
        assert finding.words(State.OK, State.INSUFFICIENT_DATA)[0].startswith("alarm statistics retrieval failed: ")


def test_members_are_counted(groups: list[Group], client: Any) -> None:
    """How many have reported, in periods that are over; Gnocchi's own count ends in a broken connection."""
    for group in groups:
        case = _case(AGGREGATION, group, "count", **_found(group))
        expected = _newest(across(_members(group, "count"), "count"), before=BEGIN_S + 725 - 60)

        assert expected == _told(client, case)


@pytest.mark.parametrize("method", ["max", "last", "95pct", "rate:mean", "rate:90pct"])
@pytest.mark.parametrize("over_members", ["avg", "max", "stddev", "p50", "count"])
def test_members_become_one_by_another_statistic(
    method: str, over_members: str, groups: list[Group], client: Any, window: Window
) -> None:
    """Gnocchi makes it of what it keeps of each, and alarmd the same of its own samples."""
    now = datetime.fromtimestamp(BEGIN_S + 725.0, UTC)
    for group in groups:
        case = _case(AGGREGATION, group, method, **_found(group), group_statistic=over_members)
        named = _case(METRICS, group, method, metrics=list(group.metrics), group_statistic=over_members)
        told = _told(client, case)
        own = family(AGGREGATION, strict=False, is_asked=False)
        rule = own.parse(own.normalise(case.rule, project_id=group.name), project_id=group.name)
        plan = Plan(window, PlanOptions(lateness_s=_LATENESS_S, repeat_interval_s=60))
        plan.put(an_alarm(project_id=group.name), rule, now=now)
        [found] = plan.decide(now=now, watching_since=now - timedelta(seconds=36_000))

        assert 5 == len(told)
        assert told == _told(client, named)
        assert all(
            _same(*pair, size=size_of(group.series)) for pair in zip(found.evidence["values"], told, strict=True)
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"resource_id": "00000000-0000-4000-8000-000000000000"}, "resource {resource_id} does not exists"),
        ({"metric": "nothing"}, "metric nothing for resource {resource_id} does not exists"),
        (
            {"aggregation_method": "33pct"},
            "aggregation 33pct does not exist for metric m of resource {resource_id}",
        ),
        ({"granularity": 7}, "aggregation mean does not exist for metric m of resource {resource_id}"),
    ],
)
def test_what_is_not_there_is_no_data(
    changes: dict[str, Any], reason: str, groups: list[Group], client: Any, strict_client: Any
) -> None:
    """In Aodh's words, whether strictly or not."""
    group = groups[0]
    rule = {"metric": METRIC, "resource_id": group.resources[0], "resource_type": "generic"} | changes
    case = _case(RESOURCES, group, "mean", **rule)
    for each, strict in ((client, False), (strict_client, True)):
        asked = case.asked(strict=strict)
        finding = asked.judge(each.ask(asked.question, now=datetime.now(UTC)), state=State.OK)

        assert finding.outcome is Outcome.UNKNOWN
        assert reason.format(**rule) == finding.words(State.OK, State.INSUFFICIENT_DATA)[0]


def test_a_metric_that_nobody_has_is_no_data(groups: list[Group], client: Any) -> None:
    """Of several resources too."""
    case = _case(AGGREGATION, groups[0], "mean", **(_found(groups[0]) | {"metric": "nothing"}))
    asked = case.asked(strict=False)
    finding = asked.judge(client.ask(asked.question, now=datetime.now(UTC)), state=State.OK)

    assert "metric nothing does not exists" == finding.words(State.OK, State.INSUFFICIENT_DATA)[0]


def test_old_values_are_no_data(groups: list[Group], client: Any) -> None:
    """The window that is asked about ends now."""
    asked = _case(AGGREGATION, groups[0], "mean", **_found(groups[0])).asked(strict=False)
    finding = asked.judge(client.ask(asked.question, now=datetime.now(UTC)), state=State.OK)

    assert "No datapoint for granularity 60" == finding.words(State.OK, State.INSUFFICIENT_DATA)[0]


def test_an_error_is_no_answer(groups: list[Group], client: Any, strict_client: Any) -> None:
    """The state stays; strictly it is insufficient data, with Gnocchi's reason."""
    rule = _found(groups[0]) | {"query": '{"=": {"no_such_attribute": 1}}'}
    asked = _case(AGGREGATION, groups[0], "mean", **rule).asked(strict=False)
    strictly = strict_client.ask(asked.question, now=datetime.now(UTC)).values.failure

    assert strictly.startswith("alarm statistics retrieval failed: ")
    with pytest.raises(Refused, match="no_such_attribute"):
        client.ask(asked.question, now=datetime.now(UTC))


def test_a_confined_rule_reads_its_own_project(groups: list[Group], client: Any) -> None:
    """Whatever its query says; without Keystone, a project is that of the resource."""
    theirs, ours = groups[:2]
    values = {}
    for query in (_found(theirs)["query"], "{}"):
        case = _case(AGGREGATION, ours, "mean", **(_found(ours) | {"query": query}))
        asked = case.asked(strict=False, confined=True)
        answer = client.ask(asked.question, now=datetime.fromtimestamp(BEGIN_S + 725, UTC))
        values[query] = list(asked.judge(answer, state=State.OK).evidence["values"])
    expected = _newest(across(_members(ours, "mean"), "mean"))

    assert values[_found(theirs)["query"]] == []
    assert all(_same(*pair, size=size_of(ours.series)) for pair in zip(expected, values["{}"], strict=True))


def test_ids_of_other_projects_are_as_good_as_none(groups: list[Group], client: Any) -> None:
    """An id is no secret: whoever names one of another project is told that there is nothing."""
    theirs, ours = groups[:2]
    reasons = []
    for group in (ours, theirs):
        one = {"metric": METRIC, "resource_id": group.resources[0], "resource_type": "generic"}
        cases = [
            _case(RESOURCES, ours, "mean", **one),
            _case(METRICS, ours, "mean", metrics=[ours.metrics[1], group.metrics[0]]),
        ]
        for case in cases:
            asked = case.asked(strict=False, confined=True)
            answer = client.ask(asked.question, now=datetime.fromtimestamp(BEGIN_S + 725, UTC))
            finding = asked.judge(answer, state=State.OK)
            assert bool(finding.evidence["values"]) is (group is ours)
            reasons.append(finding.words(State.OK, State.INSUFFICIENT_DATA)[0])

    assert f"resource {theirs.resources[0]} does not exists" == reasons[2]
    assert f"At least of metrics in {[ours.metrics[1], theirs.metrics[0]]} does not exist" == reasons[3]


def test_the_daemon_asks_gnocchi(server: Gnocchi, tmp_path: Path) -> None:
    """From the API to the state: values of now, in the alarm's project."""
    project, resource = f"project-{uuid4().hex[:8]}", str(uuid4())
    metrics = server.resource(resource, {METRIC: "every"}, project_id=project)
    headers = {"X-User-Id": "ann", "X-Project-Id": project, "X-Roles": "member,reader"}
    environ = {
        "ALARMD_API__AUTH": "trusted-headers",
        "ALARMD_GNOCCHI__URL": server.url,
        "ALARMD_GNOCCHI__INTERVAL_S": "0.5",
    }
    rule = _case(AGGREGATION, Group(name=project, resources=[], metrics=[], series=[]), "mean").rule
    rule = {**rule, "metric": METRIC, "resource_type": "generic", "query": "{}", "comparison_operator": "gt"}
    body = {"name": "busy", "type": AGGREGATION, f"{AGGREGATION}_rule": {**rule, "evaluation_periods": 1}}
    with daemon(tmp_path / "state", environ=environ) as running:
        made = requests.post(f"{running.url}/v2/alarms", json=body, headers=headers, timeout=30)
        assert made.status_code == HTTPStatus.CREATED, made.text
        server.write({metrics[METRIC]: [(time.time(), 90.0)]})
        url = f"{running.url}/v2/alarms/{made.json()['alarm_id']}"

        def alarm() -> Any:
            answer = requests.get(url, headers=headers, timeout=30)
            assert answer.ok, answer.text
            shown = answer.json()
            return shown if shown["state"] == "alarm" else None

        shown = wait_until(alarm, deadline_s=30, what="the alarm to go off")

    assert "Transition to alarm due to 1 samples outside threshold, most recent: 90.0" == shown["state_reason"]
