# SPDX-License-Identifier: Apache-2.0
"""What Aodh's server has put into alarms and only it should see: trusts, confinements, scopes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.importing.gnocchi_query import unwrapped
from alarmd.importing.trust_urls import trust_of
from tests.unit.importing.conftest import Move

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["and", "or", "=", "x"]), inner, max_size=2)
    ),
    max_leaves=8,
)


def wrapped(query: Any, *, project_id: str = "p1", service: str | None = "svc") -> Any:
    """Return a query as Aodh confines it to a project."""
    confinement: dict[str, Any] = {"=": {"created_by_project_id": project_id}}
    if service is not None:
        through_service = {"and": [{"=": {"created_by_project_id": service}}, {"=": {"project_id": project_id}}]}
        confinement = {"or": [confinement, through_service]}
    return {"and": [confinement, query]}


@given(query=JSON, times=st.integers(0, 5), service=st.sampled_from(["svc", "p1", None]))
def test_however_often_a_query_was_wrapped_its_users_own_comes_out(query: Any, times: int, service: str | None) -> None:
    """What was never wrapped is left as it is, to the byte."""
    told = query
    for _ in range(times):
        told = wrapped(told, service=service)
    own, is_confined = unwrapped(json.dumps(told), project_id="p1")

    assert (query, times > 0) == (json.loads(own), is_confined) or wrapped_by_hand(query)
    assert times > 0 or wrapped_by_hand(query) or own == json.dumps(told)


def wrapped_by_hand(query: Any) -> bool:
    """Whether a made-up query happens to look like one that Aodh has wrapped."""
    return unwrapped(json.dumps(query), project_id="p1")[1]


def test_a_query_confined_to_another_project_is_left_alone() -> None:
    """Whoever wrote it meant it."""
    query = json.dumps(wrapped({"=": {"a": 1}}, project_id="p2"))

    assert (query, False) == unwrapped(query, project_id="p1")


@pytest.mark.parametrize("query", ["", "{", "nonsense", "[" * 100_000])
def test_what_is_no_query_is_left_alone(query: str) -> None:
    """Whether it can be brought is for the rule to say."""
    assert (query, False) == unwrapped(query, project_id="p1")


def by_resources(query: Any) -> dict[str, Any]:
    """Return the columns of an alarm that asks Gnocchi for resources."""
    rule = {
        "metric": "cpu",
        "resource_type": "instance",
        "threshold": 1.0,
        "aggregation_method": "mean",
        "query": json.dumps(query),
    }
    return {"type": "gnocchi_aggregation_by_resources_threshold", "rule": rule}


def test_a_wrapped_query_comes_over_bare_and_stays_confined(move: Move) -> None:
    """An administrator's own, which Aodh did not confine, is not confined here either."""
    query = {"=": {"server_group": "x"}}
    users = move.alarm_after_import(**by_resources(wrapped(wrapped(query))))
    admins = move.alarm_after_import(**by_resources(query))

    assert (query, True) == (json.loads(users.rule["query"]), users.confined)
    assert (query, False) == (json.loads(admins.rule["query"]), admins.confined)


@pytest.mark.parametrize(
    ("hidden", "confined"), [({"scope_to_project": "p1"}, True), ({"scope_to_project": None}, False), ({}, True)]
)
def test_a_rule_for_prometheus_stays_as_confined_as_it_was(move: Move, hidden: dict[str, Any], confined: bool) -> None:
    """Where Aodh has not written down whether it is, it is."""
    rule = {"query": "up", "threshold": 1.0, "comparison_operator": "gt"}
    alarm = move.alarm_after_import(type="prometheus", rule=rule | hidden)

    assert (rule, confined) == (alarm.rule, alarm.confined)


def test_trusts_move_out_of_actions(move: Move) -> None:
    """The id is kept beside the alarm; actions and history show none of it."""
    alarm_id = move.aodh.alarm(
        alarm_actions=["trust+http://0123abc:delete@heat/signal?a=b", "http://user:pass@plain/"],
        ok_actions=["trust+zaqar://0123abc@?queue_name=q", "trust+heat://0123abc@"],
    )
    move.aodh.change(alarm_id, detail={"alarm_actions": ["trust+http://0123abc:delete@heat/"], "name": "x"})
    report = move.run()
    alarm = move.alarm(alarm_id)

    assert "0123abc" == alarm.trust_id
    assert ("trust+http://heat/signal?a=b", "http://user:pass@plain/") == alarm.alarm_actions
    assert ("trust+zaqar://?queue_name=q", "trust+heat://") == alarm.ok_actions
    assert {"alarm_actions": ["trust+http://heat/"], "name": "x"} == move.history(alarm_id)[0].detail
    assert [
        ("note", "alarmd does not deliver to trust+heat: yet"),
        ("note", "alarmd does not deliver to trust+http: yet"),
        ("note", "alarmd does not deliver to trust+zaqar: yet"),
    ] == [(remark.kind, remark.text) for remark in report.remarks]


def test_a_trust_that_is_not_shown_is_told_and_a_known_one_is_kept(move: Move) -> None:
    """What a database has told an API need not tell again."""
    alarm_id = move.aodh.alarm(alarm_actions=["trust+http://0123abc:delete@heat/"])
    move.run()
    move.aodh.run(
        "UPDATE alarm SET alarm_actions = ?, name = 'new' WHERE alarm_id = ?", '["trust+http://heat/"]', alarm_id
    )
    report = move.run()

    assert ("new", "0123abc") == (move.alarm(alarm_id).name, move.alarm(alarm_id).trust_id)
    assert any("whose trust this source does not show" in remark.text for remark in report.remarks)


@given(
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), st.from_regex(r"[a-z]{1,5}(:[0-9]{2})?(/[ -~]*)?", fullmatch=True)
)
def test_an_action_without_its_trust_is_what_its_user_wrote(trust: str, rest: str) -> None:
    """To the byte, whatever stands behind the host."""
    assert (f"trust+http://{rest}", trust) == trust_of(f"trust+http://{trust}:delete@{rest}")
    assert (f"http://{trust}@{rest}", "") == trust_of(f"http://{trust}@{rest}")
