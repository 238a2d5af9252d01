# SPDX-License-Identifier: Apache-2.0
"""Alarms that come over from an Aodh's database, once and again."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from alarmd.importing import Tally
from alarmd.model.alarm import Severity, State
from alarmd.store.alarms import AlarmQuery
from tests.support.alarms import an_alarm
from tests.unit.importing.conftest import Move

THEN = datetime(2026, 1, 1, 7, 0, 0, 123456, tzinfo=UTC)


def test_an_alarm_comes_over_whole(move: Move) -> None:
    """It keeps its id, its owner, its state and its moments."""
    alarm_id = move.aodh.alarm(
        ok_actions=["http://receiver/in?a=b%20c"],
        repeat_actions=True,
        enabled=False,
        severity="critical",
        time_constraints=[{"name": "n", "start": "0 8 * * *", "duration": "60", "timezone": None}],
    )
    report = move.run()
    alarm = move.alarm(alarm_id)

    assert Tally(brought=1) == report.alarms
    assert [] == report.remarks
    assert ("cpu high", "mine", "u1", "p1", False, True, Severity.CRITICAL) == (
        alarm.name,
        alarm.description,
        alarm.user_id,
        alarm.project_id,
        alarm.enabled,
        alarm.repeat_actions,
        alarm.severity,
    )
    assert (State.OK, "Transition to ok", THEN, THEN, THEN) == (
        alarm.state,
        alarm.state_reason,
        alarm.state_timestamp,
        alarm.timestamp,
        alarm.evaluate_timestamp,
    )
    assert (("http://receiver/in?a=b%20c",), ("http://receiver/out",), ()) == (
        alarm.ok_actions,
        alarm.alarm_actions,
        alarm.insufficient_data_actions,
    )
    assert 60 == alarm.time_constraints[0]["duration"]
    assert {"metric": "cpu", "threshold": 80.0, "evaluation_periods": 2}.items() <= alarm.rule.items()


RULES: list[tuple[str, dict[str, Any]]] = [
    (
        "threshold",
        {"meter_name": "cpu_util", "threshold": 1.0, "query": [{"field": "resource_id", "op": "eq", "value": "x"}]},
    ),
    ("gnocchi_aggregation_by_metrics_threshold", {"metrics": ["a"], "threshold": 1.0, "aggregation_method": "mean"}),
    (
        "gnocchi_resources_threshold",
        {"metric": "m", "resource_id": "a", "resource_type": "i", "threshold": 1.0, "aggregation_method": "mean"},
    ),
    (
        "gnocchi_aggregation_by_resources_threshold",
        {"metric": "m", "resource_type": "i", "query": "{}", "threshold": 1.0, "aggregation_method": "mean"},
    ),
    ("prometheus", {"query": "up", "threshold": 1.0, "comparison_operator": "lt", "scope_to_project": "p1"}),
    ("event", {"event_type": "*", "query": [{"field": "traits.a", "op": "eq", "value": "x", "type": "string"}]}),
    (
        "composite",
        {"or": [{"type": "prometheus", "query": "up", "threshold": 1.0, "scope_to_project": "p1"}]},
    ),
    ("loadbalancer_member_health", {"pool_id": "a", "stack_id": "b", "autoscaling_group_id": "c"}),
]


@pytest.mark.parametrize(("kind", "rule"), RULES, ids=[kind for kind, _ in RULES])
def test_every_type_comes_over(move: Move, kind: str, rule: dict[str, Any]) -> None:
    """What only Aodh's server adds to a rule does not come with it."""
    alarm_id = move.aodh.alarm(type=kind, rule=rule)
    report = move.run()
    alarm = move.alarm(alarm_id)

    assert Tally(brought=1) == report.alarms, report.remarks
    assert kind == alarm.type
    assert "scope_to_project" not in json.dumps(alarm.rule)


def test_references_are_not_brought(move: Move) -> None:
    """No Aodh knows them; what would have one is told, and nothing of it comes over."""
    move.aodh.alarm(type="composite", rule={"or": [{"alarm_id": "x"}]})
    report = move.run()

    assert Tally(skipped=1) == report.alarms
    assert "refers to other alarms" in report.remarks[0].text


def test_what_others_refer_to_stays_in_its_project(move: Move) -> None:
    """Also when it has changed hands in the Aodh; what no longer refers to anything lets go."""
    watched, free = move.aodh.alarm(), move.aodh.alarm(type="prometheus", rule={"query": "up", "threshold": 1.0})
    other = json.dumps({"query": "up", "threshold": 2.0})
    move.run()
    with move.database.write() as unit:
        composite = unit.alarms.add(an_alarm(type="composite", rule={"or": [{"alarm_id": watched}]}))
        unit.references.put(composite.alarm_id, [watched])
        unit.references.put(free, [watched])
    move.aodh.run("UPDATE alarm SET project_id = 'p2', timestamp = '2026-01-02 00:00:00' WHERE alarm_id = ?", watched)
    move.aodh.run("UPDATE alarm SET rule = ?, timestamp = '2026-01-02 00:00:00' WHERE alarm_id = ?", other, free)
    report = move.run()

    assert Tally(changed=1, kept=1) == report.alarms
    assert "is referred to by alarms that read project p1, and would read p2" == report.remarks[0].text
    assert "p1" == move.alarm(watched).project_id
    with move.database.read() as unit:
        assert [composite.alarm_id] == unit.references.referring([watched], limit=5)


def test_a_second_import_changes_nothing(move: Move) -> None:
    """Nothing is there twice, and no revision is drawn for what stays as it is."""
    alarm_ids = [move.aodh.alarm(rule=rule, type=kind) for kind, rule in RULES]
    move.run()
    before = [move.alarm(alarm_id) for alarm_id in alarm_ids]
    report = move.run()

    assert Tally(unchanged=len(RULES)) == report.alarms
    assert before == [move.alarm(alarm_id) for alarm_id in alarm_ids]


def test_what_is_new_and_changed_there_comes_with_the_next_import(move: Move) -> None:
    """Definitions and states, each for itself."""
    renamed, turned, same = (move.aodh.alarm() for _ in range(3))
    move.run()
    new = move.aodh.alarm()
    move.aodh.run("UPDATE alarm SET name = 'new name', timestamp = '2026-01-02 00:00:00' WHERE alarm_id = ?", renamed)
    move.aodh.run("UPDATE alarm SET state = 'alarm', state_reason = 'hot' WHERE alarm_id = ?", turned)
    report = move.run()

    assert Tally(brought=1, changed=2, unchanged=1) == report.alarms
    assert ("new name", datetime(2026, 1, 2, tzinfo=UTC)) == (move.alarm(renamed).name, move.alarm(renamed).timestamp)
    assert (State.ALARM, "hot") == (move.alarm(turned).state, move.alarm(turned).state_reason)
    assert "cpu high" == move.alarm(new).name == move.alarm(same).name


def change_here(move: Move, alarm_id: str, **changes: Any) -> None:
    """Change an alarm in alarmd."""
    with move.database.write() as unit:
        unit.alarms.replace(replace(move.alarm(alarm_id), **changes))


def test_what_was_changed_here_stays(move: Move) -> None:
    """Also when the Aodh has changed it too; that is told then."""
    alone, both, other_part = (move.aodh.alarm() for _ in range(3))
    move.run()
    change_here(move, alone, name="ours")
    change_here(move, both, name="ours")
    change_here(move, other_part, state=State.ALARM)
    move.aodh.run("UPDATE alarm SET name = 'theirs' WHERE alarm_id IN (?, ?)", both, other_part)
    report = move.run()

    assert Tally(changed=1, unchanged=1, kept=1) == report.alarms
    assert ("ours", "ours") == (move.alarm(alone).name, move.alarm(both).name)
    assert ("theirs", State.ALARM) == (move.alarm(other_part).name, move.alarm(other_part).state)
    assert [("kept", both)] == [(remark.kind, remark.subject) for remark in report.remarks]


def test_overwrite_takes_the_aodhs_word(move: Move) -> None:
    """What was changed here is as it is there again, and what was deleted here is back."""
    changed, deleted = move.aodh.alarm(), move.aodh.alarm()
    move.run()
    change_here(move, changed, name="ours")
    with move.database.write() as unit:
        unit.alarms.remove(deleted, THEN)
    kept = move.run()
    report = move.run(overwrite=True)

    assert Tally(unchanged=1, kept=1) == kept.alarms
    assert Tally(brought=1, changed=1) == report.alarms
    assert "cpu high" == move.alarm(changed).name == move.alarm(deleted).name
    assert Tally(unchanged=2) == move.run().alarms


def test_an_alarm_that_was_here_before_is_not_touched(move: Move) -> None:
    """Where nothing is remembered, what is here counts as changed here."""
    alarm_id = move.aodh.alarm()
    move.run()
    change_here(move, alarm_id, name="ours")
    with move.database.write() as unit:
        unit.imports.remember("alarm", {alarm_id: ""})

    assert Tally(kept=1) == move.run().alarms
    assert "ours" == move.alarm(alarm_id).name


def test_a_dry_run_writes_nothing(move: Move) -> None:
    """It tells the same as the run that follows."""
    alarm_id = move.aodh.alarm()
    move.aodh.change(alarm_id)
    move.aodh.quota("p1", 5)
    dry = move.run(dry=True)
    with move.database.read() as unit:
        stored = unit.alarms.find(AlarmQuery())
    wet = move.run()

    assert [] == stored
    assert (dry.alarms, dry.changes, dry.quotas) == (wet.alarms, wet.changes, wet.quotas)


def test_pages_cover_everything(move: Move) -> None:
    """More alarms than a page holds come over, each once; progress is told."""
    ids = {move.aodh.alarm(name=str(number)) for number in range(450)}
    told: list[int] = []
    report = move.run(on_progress=told.append)
    with move.database.read() as unit:
        found = {alarm.alarm_id for alarm in unit.alarms.find(AlarmQuery())}

    assert Tally(brought=450) == report.alarms
    assert ids == found
    assert [200, 400, 450] == told


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"type": "combination", "rule": {"alarm_ids": []}}, "alarmd has no alarms of the type 'combination'"),
        ({"rule": "{"}, "its rule is no JSON"),
        ({"rule": []}, "its rule is no object"),
        ({"rule": {"metric": "x"}}, "Mandatory field missing"),
        ({"state": "confused"}, "its state 'confused' is none of ok, alarm, insufficient data"),
        ({"alarm_actions": {"a": 1}}, "its alarm_actions is no list"),
        ({"alarm_actions": [5]}, "its alarm_actions hold what is no URL"),
        ({"alarm_actions": ["trust+http://[x"]}, "its alarm_actions hold what is no URL"),
        ({"time_constraints": [{"name": "x", "start": "never", "duration": 5}]}, "never"),
        ({"name": "x" * 300}, "its name has more than 255 characters"),
        ({"description": "\0"}, "it holds text that no database of alarmd's can store"),
    ],
)
def test_what_cannot_be_brought_is_told_with_the_reason(move: Move, columns: dict[str, Any], reason: str) -> None:
    """The others come all the same, and so does nothing of its history."""
    good, bad = move.aodh.alarm(), move.aodh.alarm(**columns)
    move.aodh.change(bad)
    report = move.run()

    assert Tally(brought=1, skipped=1) == report.alarms
    assert [("skipped", bad)] == [(remark.kind, remark.subject) for remark in report.remarks]
    assert reason in report.remarks[0].text
    assert Tally() == report.changes
    assert "cpu high" == move.alarm(good).name


def test_nulls_that_aodh_stored_take_the_default(move: Move) -> None:
    """Such alarms were never evaluated there; here they are what their owner meant."""
    rule = {
        "metric": "cpu",
        "resource_id": "vm-1",
        "resource_type": "instance",
        "threshold": 80.0,
        "aggregation_method": "mean",
        "comparison_operator": "gt",
        "evaluation_periods": None,
        "granularity": None,
    }
    alarm_id = move.aodh.alarm(
        rule=rule,
        name=None,
        enabled=None,
        severity=None,
        description=None,
        ok_actions=None,
        alarm_actions="null",
        time_constraints=None,
        state=None,
        state_reason=None,
        user_id=None,
        repeat_actions=None,
        timestamp=None,
        state_timestamp=None,
        evaluate_timestamp=None,
    )
    move.run()
    alarm = move.alarm(alarm_id)

    assert {"evaluation_periods": 1, "granularity": 60}.items() <= alarm.rule.items()
    assert ("", True, Severity.LOW, "gnocchi_resources_threshold alarm rule", (), ()) == (
        alarm.name,
        alarm.enabled,
        alarm.severity,
        alarm.description,
        alarm.ok_actions,
        alarm.alarm_actions,
    )
    assert (State.INSUFFICIENT_DATA, "Not evaluated yet", move.clock.now(), None) == (
        alarm.state,
        alarm.state_reason,
        alarm.timestamp,
        alarm.evaluate_timestamp,
    )
    assert Tally(unchanged=1) == move.run().alarms


IDS = {
    "metrics": ["11111111-aaaa", "vm-1/cpu", "22222222-bbbb", "3", "4"],
    "threshold": 80.0,
    "aggregation_method": "mean",
    "comparison_operator": "gt",
    "evaluation_periods": 2,
    "granularity": 60,
}
BY_IDS = "gnocchi_aggregation_by_metrics_threshold"


@pytest.mark.parametrize(("type_", "rule"), [(BY_IDS, IDS), ("composite", {"or": [{"type": BY_IDS, **IDS}] * 2})])
def test_rules_that_name_metrics_by_their_ids_in_gnocchi_are_named(
    move: Move, type_: str, rule: dict[str, Any]
) -> None:
    """They come over, but alarmd's own samples have no such ids; each alarm is named once."""
    alarm_id = move.aodh.alarm(type=type_, rule=rule)
    move.aodh.alarm(type=BY_IDS, rule={**IDS, "metrics": ["vm-1/cpu"]})
    report = move.run()

    assert 2 == report.alarms.brought
    assert [("note", alarm_id)] == [(one.kind, one.subject) for one in report.remarks]
    assert "by their ids in Gnocchi (11111111-aaaa, 22222222-bbbb, 3 and 1 more)" in report.remarks[0].text
    assert "set gnocchi.url, or name each metric as RESOURCE_ID/METRIC" in report.remarks[0].text
