# SPDX-License-Identifier: Apache-2.0
"""`GET /v3/alarms/{id}/explain`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from alarmd.api.context import Access
from alarmd.evaluators.answers.explaining import Explanations
from alarmd.evaluators.asking.asking import Answer, NoAnswer
from alarmd.evaluators.families.composite.family import CompositeFamily
from alarmd.evaluators.families.prometheus.family import PrometheusFamily
from alarmd.evaluators.families.prometheus.server import Series, SeriesAnswered
from alarmd.evaluators.family import RuleLimits
from alarmd.model.caller import Caller
from tests.support.alarms import an_alarm
from tests.support.rest import ADMIN, ANN, BOB, Door, error_of
from tests.support.stock import say_gone
from tests.support.transitions import REASON, turn

RULE = {
    "meter_name": "cpu_util",
    "comparison_operator": "gt",
    "threshold": 80,
    "period": 10,
    "query": [{"field": "labels.group", "value": "web"}],
}


def create(door: Door, rule: Any, *, type_: str = "threshold", **more: Any) -> str:
    """Create an alarm an hour after the beginning of 2026; return its id."""
    response = door.post("/v2/alarms", {"name": "it", "type": type_, f"{type_}_rule": rule, **more})
    assert 201 == response.status_code, response.get_json()
    alarm_id: str = response.get_json()["alarm_id"]
    return alarm_id


def push(door: Door, *, ago_s: float, **values: float) -> None:
    """Push a value a machine."""
    moment = door.clock.time_s() - ago_s
    items = [
        {"metric": "cpu_util", "resource_id": name, "value": value, "timestamp": moment, "labels": {"group": "web"}}
        for name, value in values.items()
    ]
    assert 202 == door.post("/v3/samples", {"samples": items}).status_code


def explained(door: Door, alarm_id: str) -> dict[str, Any]:
    response = door.get(f"/v3/alarms/{alarm_id}/explain")
    assert 200 == response.status_code, response.get_json()
    answer: dict[str, Any] = response.get_json()
    return answer


@pytest.fixture(autouse=True)
def one_o_clock(door: Door) -> None:
    """The log has room for an hour."""
    door.clock.advance(3600)


def test_what_a_rule_sees_is_told_period_by_period(door: Door) -> None:
    """With its values, samples and members, and why a period does not count."""
    alarm_id = create(door, {**RULE, "evaluation_periods": 2, "hold_for": 10})
    push(door, ago_s=32, a=10)
    push(door, ago_s=15, a=90, b=70)
    push(door, ago_s=5, a=95)
    answer = explained(door, alarm_id)
    [rule] = answer["rules"]

    assert "avg of cpu_util of labels.group=web over 10 s > 80, in each of the last 2 periods; " in answer["rule"]
    assert [95.0, 80.0, 10.0] == rule["values"]
    keys = ("end", "value", "samples", "reporting", "coverage", "counts", "because")
    held = "looked at only for how long it has held"
    assert [
        ("2026-01-01T00:59:55", 95.0, 1, 1, 0.5, True, ""),
        ("2026-01-01T00:59:45", 80.0, 2, 2, 1.0, True, ""),
        ("2026-01-01T00:59:35", 10.0, 1, 1, 0.5, False, held),
        ("2026-01-01T00:59:25", None, 0, 0, 0.0, False, "no samples"),
    ] == [tuple(period[key] for key in keys) for period in rule["periods"]]
    assert "2026-01-01T00:59:45" == rule["periods"][0]["start"]
    assert {
        "known": 2,
        "remembered": 2,
        "reporting": 1,
        "missing": 1,
        "missing_named": ["b"],
        "newest_sample": "2026-01-01T00:59:55",
    } == rule["series"]
    assert ("> 80", "") == (rule["threshold"], rule["lacking"])
    assert "nothing can be said yet, the state stays" == rule["outcome"]


def test_the_sentence_says_it_all(door: Door) -> None:
    """The state and since when, why, and what would change it."""
    alarm_id = create(door, RULE, state="ok")
    push(door, ago_s=5, a=70)
    answer = explained(door, alarm_id)

    assert (
        "It is in ok since 2026-01-01T01:00:00Z because not evaluated yet; it would go to alarm with the newest value "
        "> 80; it would go to insufficient data with no further sample for 15 s."
    ) == answer["sentence"]
    assert {"state": "ok", "reason": "Remaining as ok due to 1 samples inside threshold, most recent: 70.0"} == {
        key: answer["verdict"][key] for key in ("state", "reason")
    }
    assert [("alarm", "the newest value > 80"), ("insufficient data", "no further sample for 15 s")] == [
        (one["to"], one["when"]) for one in answer["would_change"]
    ]


def test_what_is_missing_is_said(door: Door) -> None:
    """No series at all; silence; too few periods; too few members."""
    nothing = explained(door, create(door, RULE))["rules"][0]
    push(door, ago_s=60, a=90)
    silent = explained(door, create(door, RULE, state="alarm"))
    push(door, ago_s=5, a=90)
    few = explained(door, create(door, {**RULE, "evaluation_periods": 3}))["rules"][0]
    push(door, ago_s=4, b=90)
    push(door, ago_s=0, a=90)
    door.clock.advance(9)
    push(door, ago_s=0, a=90)
    uncovered = explained(door, create(door, {**RULE, "period": 5, "minimum_coverage": 0.9}))["rules"][0]

    assert ("no series that the rule means has samples in the window", [], 0) == (
        nothing["lacking"],
        nothing["periods"],
        nothing["series"]["known"],
    )
    assert "the newest sample is 60 s old, and data is missing after 20 s" == silent["rules"][0]["lacking"]
    assert "as things are now it goes to insufficient data" in silent["sentence"]
    assert "it would go to alarm with 1 more period > 80" in silent["sentence"]
    assert "1 of the 3 periods that it takes have a value" == few["lacking"]
    assert ["too few members"] == list({one["because"] for one in uncovered["periods"][:2]})


def test_a_recorded_change_is_told_with_its_evidence(door: Door) -> None:
    """And what it was before; set by hand it has none."""
    alarm_id = create(door, RULE)
    alarm = door.context.alarms.get(alarm_id, Caller(project_id="", user_id="", roles=frozenset({"admin"})))
    turn(door.database, alarm_id, at=alarm.timestamp + timedelta(seconds=1), evidence={"values": [97.0]})
    evaluated = explained(door, alarm_id)
    door.clock.advance(5)
    door.put(f"/v2/alarms/{alarm_id}/state", "ok")
    by_hand = explained(door, alarm_id)["last_transition"]

    assert {
        "at": "2026-01-01T01:00:01",
        "previous": "insufficient data",
        "current": "alarm",
        "reason": REASON,
        "evidence": {"values": [97.0]},
        "silenced_by": None,
    } == evaluated["last_transition"]
    assert (
        "It is in alarm since 2026-01-01T01:00:01Z because 1 samples outside threshold, most recent: 97.0"
        in (evaluated["sentence"])
    )
    assert ("alarm", "ok", "Manually set via API", None) == (
        by_hand["previous"],
        by_hand["current"],
        by_hand["reason"],
        by_hand["evidence"],
    )


def test_a_recovery_threshold_is_in_force_in_alarm(door: Door) -> None:
    """The same value would change one state and not the other."""
    push(door, ago_s=1, a=75)
    rule = {**RULE, "recovery_threshold": 60}
    calm, excited = (explained(door, create(door, rule, state=state)) for state in ("ok", "alarm"))

    assert [("> 80", "ok"), ("> 60", "alarm")] == [
        (one["rules"][0]["threshold"], one["verdict"]["state"]) for one in (calm, excited)
    ]
    assert {"to": "ok", "when": "the newest value <= 60"} in excited["would_change"]


def test_a_composite_is_told_rule_by_rule(door: Door) -> None:
    """Each with what it counts for, negations considered, and which of them would change the whole."""
    other = create(door, RULE, state="alarm")
    leaf = {"type": "threshold", **RULE}
    rule = {"and": [{"alarm_id": other}, {"not": {**leaf, "comparison_operator": "lt", "threshold": 50}}]}
    alarm_id = create(door, rule, type_="composite", state="ok")
    push(door, ago_s=1, a=70)
    answer = explained(door, alarm_id)

    assert ("(rule1 and not rule2)", "alarm") == (answer["form"], answer["verdict"]["state"])
    assert [("rule1", "alarm", False), ("rule2", "ok", True)] == [
        (one["name"], one["counts_for"], one["is_negated"]) for one in answer["rules"]
    ]
    assert {"alarm_id": other, "name": "it", "state": "alarm"} == answer["rules"][0]["alarm"]
    assert (
        "Composite rule alarm with composition form: (rule1 and not rule2) transition to alarm, due to rules: "
        "rule1, rule2 outside their threshold."
    ) == answer["verdict"]["reason"]
    assert [
        ("ok", f"the alarm {other} in ok (rule1)"),
        ("insufficient data", f"the alarm {other} in insufficient data (rule1)"),
        ("ok", "the newest value < 50 (rule2)"),
        ("insufficient data", "no further sample for 19 s (rule2)"),
    ] == [(one["to"], one["when"]) for one in answer["would_change"]]


def test_time_constraints_say_when_they_open(door: Door) -> None:
    """While they are closed nothing changes."""
    constraint = {"name": "noon", "start": "0 12 * * *", "duration": 60}
    answer = explained(door, create(door, RULE, time_constraints=[constraint]))
    never = {"name": "leap day", "start": "0 0 29 2 *", "duration": 60}

    assert not answer["time_constraints"]["is_open"]
    assert "2026-01-01T11:59:00" == answer["time_constraints"]["changes_at"]
    assert "its time constraints are closed, so nothing changes before 2026-01-01T11:59:00Z" in answer["sentence"]
    assert {"is_open": False, "changes_at": None} == explained(door, create(door, RULE, time_constraints=[never]))[
        "time_constraints"
    ]


def test_alarms_that_are_not_evaluated_from_samples_say_so(door: Door) -> None:
    """Those that wait for events, those that are only kept, those that are disabled."""
    query = [{"field": "traits.state", "op": "eq", "type": "string", "value": "error"}]
    event = explained(door, create(door, {"event_type": "compute.*", "query": query}, type_="event"))
    kept = explained(door, create(door, {"query": "up", "threshold": 1}, type_="prometheus"))
    disabled = explained(door, create(door, RULE, enabled=False))

    assert [
        "It waits for an event of the type compute.* with traits.state eq 'error'; samples do not matter."
    ] == event["notes"]
    assert ["Alarms of the type prometheus are kept, but not evaluated, until the operator sets prometheus.url."] == (
        kept["notes"]
    )
    assert ["It is disabled: it is not evaluated, and keeps its state."] == disabled["notes"]
    assert disabled["sentence"].endswith("; it is disabled, so nothing changes.")
    assert (None, [], None) == (event["verdict"], event["rules"], kept["verdict"])


def test_actions_that_are_not_taken_any_more_are_told(door: Door) -> None:
    """With the states that they are for and what the receiver said; written anew, the alarm takes them again."""
    gone, other = "http://h/gone", "http://h/other"
    actions = {"alarm_actions": [gone, other], "ok_actions": [gone]}
    alarm_id = create(door, {"event_type": "x"}, type_="event", **actions)
    project_id = door.get(f"/v2/alarms/{alarm_id}").get_json()["project_id"]
    event = {"event_type": "x", "message_id": "m", "project_id": project_id}
    assert 202 == door.post("/v3/events", event).status_code
    say_gone(door.database, gone, at=door.clock.now())
    [disabled] = explained(door, alarm_id)["disabled_actions"]
    written = door.get(f"/v2/alarms/{alarm_id}").get_json()
    assert 200 == door.put(f"/v2/alarms/{alarm_id}", written).status_code

    assert {
        "action": gone,
        "states": ["ok", "alarm"],
        "reason": "gone: HTTP 410 Gone",
        "disabled_at": "2026-01-01T01:00:00",
    } == disabled
    assert [] == explained(door, alarm_id)["disabled_actions"]


def test_a_rule_that_cannot_be_read_any_more_is_told(door: Door) -> None:
    """As the evaluators pass it over."""
    alarm = an_alarm(project_id="")
    with door.database.write() as unit:
        unit.alarms.add(replace(alarm, rule={**alarm.rule, "statistic": "mode"}))
    answer = explained(door, alarm.alarm_id)

    assert "Its rule cannot be read any more, so it is not evaluated" in answer["notes"][0]
    assert (None, "It is in insufficient data since 2026-01-01T08:30:00Z because not evaluated yet.") == (
        answer["verdict"],
        answer["sentence"],
    )


def test_who_may_see_an_alarm_may_have_it_explained(open_a_door: Callable[..., Door]) -> None:
    """Others hear that there is none."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    created = door.post("/v2/alarms", {"name": "a", "type": "threshold", "threshold_rule": RULE}, headers=ANN)
    path = f"/v3/alarms/{created.get_json()['alarm_id']}/explain"
    writer = {**ANN, "X-Roles": "member"}

    assert [200, 200, 404, 403] == [door.get(path, headers=one).status_code for one in (ANN, ADMIN, BOB, writer)]
    assert "not found" in error_of(door.get("/v3/alarms/nobody/explain", headers=ANN))


class Prometheus:
    """A server that says one thing."""

    interval_s, timeout_s, concurrency = 10.0, 5.0, 1

    def __init__(self, said: float | NoAnswer) -> None:
        self._said = said

    def ask(self, question: Any, *, now: datetime) -> Answer:
        """Say it."""
        if isinstance(self._said, NoAnswer):
            raise self._said
        series = Series(labels={}, values=(self._said,))
        return Answer(at=now, values=SeriesAnswered(series=(series,), evidence={"query": question.query}))

    def close(self) -> None:
        """Do nothing."""


def ask_prometheus(door: Door, said: float | NoAnswer) -> None:
    """Let explanations ask a Prometheus that says one thing."""
    around = door.context.previews._around
    limits = RuleLimits(window_s=3600, lateness_s=10, servers=frozenset({"prometheus"}))
    families = {**around.families, "prometheus": PrometheusFamily(limits, lambda _name: None)}
    families["composite"] = CompositeFamily(limits, families.get)
    explanations = Explanations(replace(around, families=families), servers={"prometheus": Prometheus(said)})
    door.app.extensions["alarmd.context"] = replace(door.context, explanations=explanations)


@pytest.mark.parametrize(
    ("said", "state", "error", "evidence"),
    [
        (3.0, "alarm", "", {"query": "up"}),
        (NoAnswer("Prometheus did not answer within 5 s."), "ok", "Prometheus did not answer within 5 s.", {}),
    ],
)
def test_other_servers_are_asked_once(
    open_a_door: Callable[..., Door], said: Any, state: str, error: str, evidence: Any
) -> None:
    """Their answer is shown, or why there is none, which changes nothing."""
    door = open_a_door()
    alarm_id = create(
        door, {"query": "up", "comparison_operator": "gt", "threshold": 1}, type_="prometheus", state="ok"
    )
    ask_prometheus(door, said)
    answer = explained(door, alarm_id)

    assert (state, "prometheus", error, evidence) == (
        answer["verdict"]["state"],
        answer["rules"][0]["server"],
        answer["rules"][0]["error"],
        answer["rules"][0]["evidence"],
    )


def test_what_other_servers_would_have_to_say_is_told(door: Door) -> None:
    """From what they have said; of a rule of a composite, too, and for the whole where that would change it."""
    rule = {"query": "up", "comparison_operator": "gt", "threshold": 1}
    alone = create(door, rule, type_="prometheus", state="ok")
    leaf = {"type": "prometheus", **rule}
    both = create(door, {"or": [leaf, {"not": {**leaf, "threshold": 5}}]}, type_="composite", state="alarm")
    ask_prometheus(door, 0.0)
    answer, whole = explained(door, alone), explained(door, both)

    assert (
        "it would go to alarm with a value > 1; it would go to insufficient data with no series." in answer["sentence"]
    )
    assert [{"to": "alarm", "when": "a value > 1"}, {"to": "insufficient data", "when": "no series"}] == (
        answer["would_change"]
    )
    assert [["alarm", "neither"], ["alarm", "neither"]] == [
        [way["counts_for"] for way in one["would_change"]] for one in whole["rules"]
    ]
    # The second rule keeps the whole in alarm, whatever the first one says.
    assert [{"to": "ok", "when": "a value > 5 (rule2)"}, {"to": "insufficient data", "when": "no series (rule2)"}] == (
        whole["would_change"]
    )
