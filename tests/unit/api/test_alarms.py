# SPDX-License-Identifier: Apache-2.0
"""Aodh's alarms over HTTP: shapes, words and leniency that its clients rely on."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alarmd.api.alarm_body import read_draft
from alarmd.errors import InvalidInput
from tests.support.rest import ADMIN, ANN, BOB, EVE, Door, error_of, rule_families

RULE = {"meter_name": "cpu_util", "threshold": 80}
BODY: dict[str, Any] = {"name": "cpu high", "type": "threshold", "threshold_rule": RULE}


def created(door: Door, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """Create an alarm and return it as answered."""
    response = door.post("/v2/alarms", BODY | changes, headers=headers)
    assert response.status_code == 201, response.get_data(as_text=True)
    alarm: dict[str, Any] = response.get_json()
    return alarm


def test_s2_a_new_alarm_is_answered_whole_in_the_order_of_the_contract(door: Door) -> None:
    """Every key is there with its default, the rule last under the name of its type, and Location leads to it."""
    response = door.post("/v2/alarms", BODY, headers=ANN)
    alarm = response.get_json()

    assert response.status_code == 201
    assert [
        ("alarm_id", alarm["alarm_id"]),
        ("name", "cpu high"),
        ("description", alarm["description"]),
        ("enabled", True),
        ("ok_actions", []),
        ("alarm_actions", []),
        ("insufficient_data_actions", []),
        ("repeat_actions", False),
        ("type", "threshold"),
        ("time_constraints", []),
        ("project_id", "p1"),
        ("user_id", "ann"),
        ("timestamp", "2026-01-01T00:00:00"),
        ("state", "insufficient data"),
        ("state_timestamp", "2026-01-01T00:00:00"),
        ("state_reason", "Not evaluated yet"),
        ("severity", "low"),
        ("evaluate_timestamp", "2026-01-01T00:00:00"),
        (
            "threshold_rule",
            {
                "meter_name": "cpu_util",
                "query": [],
                "statistic": "avg",
                "period": 60,
                "evaluation_periods": 1,
                "comparison_operator": "eq",
                "threshold": 80.0,
                "exclude_outliers": False,
            },
        ),
    ] == list(alarm.items())
    assert f"http://localhost/v2/alarms/{alarm['alarm_id']}" == response.headers["Location"]
    assert response.headers["x-openstack-request-id"].startswith("req-")
    assert response.mimetype == "application/json"
    assert alarm == door.get(response.headers["Location"], headers=ANN).get_json()


def test_the_described_rule_is_the_one_that_is_answered(door: Door) -> None:
    """What `/openapi.json` says of the rule names the attributes that a rule has, whether or not they are set."""
    fields = rule_families()["threshold"].body.model_fields

    assert {name for name, field in fields.items() if field.exclude_if is None} == set(created(door)["threshold_rule"])


def test_s1_1_moments_show_microseconds_only_when_there_are_any(door: Door) -> None:
    """Timestamps are naive ISO 8601 in UTC, as Aodh writes them."""
    door.clock.advance(1.25)

    assert created(door)["timestamp"] == "2026-01-01T00:00:01.250000"


def test_s2_text_is_taken_for_numbers_and_booleans(door: Door) -> None:
    """The clients of Aodh send numbers and booleans as text."""
    rule = RULE | {"threshold": "80.5", "period": "30", "evaluation_periods": 2.0}
    alarm = created(door, enabled="false", repeat_actions="True", threshold_rule=rule)

    assert [False, True] == [alarm["enabled"], alarm["repeat_actions"]]
    assert (80.5, 30, 2) == tuple(alarm["threshold_rule"][key] for key in ("threshold", "period", "evaluation_periods"))


def test_s2_the_nulls_of_a_template_mean_the_default(door: Door) -> None:
    """Heat sends an explicit null for everything its template leaves out."""
    rule = RULE | dict.fromkeys(["period", "evaluation_periods", "statistic", "comparison_operator", "query"])
    nulls = dict.fromkeys(
        [
            *("description", "enabled", "ok_actions", "alarm_actions", "insufficient_data_actions", "repeat_actions"),
            *("time_constraints", "project_id", "user_id", "alarm_id", "timestamp", "state_timestamp"),
            *("state_reason", "evaluate_timestamp", "event_rule"),
        ]
    )
    del nulls["event_rule"]
    plain, nulled = created(door), created(door, **nulls, threshold_rule=rule)

    assert plain | {"alarm_id": ""} == nulled | {"alarm_id": ""}


def test_s2_1_an_echo_of_what_was_read_changes_nothing(door: Door) -> None:
    """Clients read, merge and send back the whole alarm, read-only attributes and all."""
    door.clock.advance(0.123457)
    alarm = created(door, alarm_actions=["http://127.0.0.1/a?x=%2F+b"], ok_actions=["log://"])
    path = f"/v2/alarms/{alarm['alarm_id']}"
    door.clock.advance(60)

    assert alarm == door.put(path, alarm).get_json()
    assert ["creation"] == [change["type"] for change in door.get(f"{path}/history").get_json()]


def test_s2_1_replacing_sets_what_is_left_out_back(door: Door) -> None:
    """PUT is the whole definition; the identity stays."""
    alarm = created(door, severity="critical", description="mine")
    door.clock.advance(60)
    changed = door.put(f"/v2/alarms/{alarm['alarm_id']}", BODY | {"alarm_id": None, "name": "new"}).get_json()

    assert ["low", "new", alarm["alarm_id"]] == [changed[key] for key in ("severity", "name", "alarm_id")]
    assert changed["timestamp"] == "2026-01-01T00:01:00"


def test_deleting_leaves_nothing_to_be_found(door: Door) -> None:
    """204 without a body or a content type; afterwards the alarm is unknown in Aodh's very words."""
    alarm_id = created(door)["alarm_id"]
    response = door.delete(f"/v2/alarms/{alarm_id}")
    gone = door.get(f"/v2/alarms/{alarm_id}")

    assert (204, b"", None) == (response.status_code, response.data, response.headers.get("Content-Type"))
    assert (404, f"Alarm {alarm_id} not found") == (gone.status_code, error_of(gone))
    assert door.delete(f"/v2/alarms/{alarm_id}").status_code == 404


def test_an_alarm_goes_with_those_that_refer_to_it_on_request_only(door: Door) -> None:
    """409 names who refers to it; `cascade` takes yes and no in every spelling, and nothing else."""
    alarm_id = created(door)["alarm_id"]
    tree = {
        "name": "both",
        "type": "composite",
        "composite_rule": {"at_least": {"count": 1, "of": [{"alarm_id": alarm_id}]}},
    }
    composite_id = door.post("/v2/alarms", tree).get_json()["alarm_id"]
    refused = [door.delete(f"/v2/alarms/{alarm_id}{query}") for query in ("", "?cascade=false", "?cascade=")]

    text = (
        f"Alarm {composite_id} (both) refers to alarm {alarm_id}. Change or delete what refers to it first, or delete"
    )
    assert [409] * 3 == [response.status_code for response in refused]
    assert text in error_of(refused[0])
    assert 400 == door.delete(f"/v2/alarms/{alarm_id}?cascade=perhaps").status_code
    assert 204 == door.delete(f"/v2/alarms/{alarm_id}?cascade=True").status_code
    assert [404, 404] == [door.get(f"/v2/alarms/{one}").status_code for one in (alarm_id, composite_id)]


WRONG: list[tuple[Any, str]] = [
    ([], "The body should be an object"),
    ("x", "The body should be an object"),
    (None, "The body should be an object"),
    ({}, "Invalid input for field/attribute name. Value: 'None'. Mandatory field missing."),
    ({"name": None, "type": "threshold"}, "field/attribute name. Value: 'None'. Mandatory field missing."),
    ({"name": "x"}, "field/attribute type. Value: 'None'. Mandatory field missing."),
    ({"name": "x", "type": "threshold"}, "threshold_rule must be set for threshold type alarm"),
    (BODY | {"threshold_rule": None}, "threshold_rule must be set for threshold type alarm"),
    (BODY | {"threshold_rule": []}, "Value should be an object"),
    (BODY | {"type": "combination"}, "Value should be one of: "),
    (BODY | {"type": "event"}, "event_rule must be set for event type alarm"),
    (BODY | {"nmae": 5}, "Unknown attribute for argument data: nmae"),
    (BODY | {"combination_rule": {}}, "Unknown attribute for argument data: combination_rule"),
    (BODY | {"threshold_rule": RULE | {"metric": "x"}}, "Unknown attribute for argument data.threshold_rule: metric"),
    (
        BODY | {"threshold_rule": {"threshold": 1}},
        "field/attribute meter_name. Value: 'None'. Mandatory field missing.",
    ),
    (BODY | {"name": 5}, "Invalid input for field/attribute name. Value: '5'. Value should be a valid string"),
    (BODY | {"name": "a\x00"}, "data.name holds a character that is not text"),
    (BODY | {"threshold_rule": RULE | {"meter_name": "\udc00"}}, "data.threshold_rule.meter_name holds a character"),
    (BODY | {"enabled": "perhaps"}, "Invalid input for field/attribute enabled. Value: 'perhaps'. Value should be"),
    (BODY | {"alarm_actions": "http://x"}, "Invalid input for field/attribute alarm_actions. Value: 'http://x'."),
    (BODY | {"alarm_actions": [5]}, "field/attribute alarm_actions. Value: '5'."),
    (BODY | {"alarm_actions": ["ftp://x"]}, "Unsupported action ftp://x"),
    (BODY | {"severity": None}, "Invalid input for field/attribute severity."),
    (BODY | {"severity": "bad"}, "Value should be one of: 'low', 'moderate' or 'critical'"),
    (BODY | {"state": None}, "Invalid input for field/attribute state."),
    (BODY | {"evaluate_timestamp": "soon"}, "Value should be an ISO 8601 timestamp"),
    (BODY | {"evaluate_timestamp": 1e300}, "Value should be an ISO 8601 timestamp"),
    (BODY | {"threshold_rule": RULE | {"period": 0}}, "Value should be greater or equal to 1"),
]


@pytest.mark.parametrize(("body", "text"), WRONG)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_wrong_body_is_refused_in_the_words_that_clients_know(door: Door, method: str, body: Any, text: str) -> None:
    """The same complaints for a new alarm and for a change, and nothing is stored."""
    alarm = created(door)
    path = "/v2/alarms" if method == "POST" else f"/v2/alarms/{alarm['alarm_id']}"
    response = door.app.test_client().open(path, method=method, data=json.dumps(body), content_type="application/json")

    assert response.status_code == 400
    assert text in error_of(response)
    assert [alarm] == door.get("/v2/alarms").get_json()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused_by_name(door: Door, number: str) -> None:
    """JSON has no NaN; the answer says where it stands."""
    body = json.dumps(BODY).replace("80", number)
    response = door.app.test_client().post("/v2/alarms", data=body, content_type="application/json")

    assert response.status_code == 400
    assert "data.threshold_rule.threshold is" in error_of(response)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    [
        *("name", "type", "state", "severity", "enabled", "ok_actions", "time_constraints", "evaluate_timestamp"),
        *("user_id", "threshold_rule", "state_timestamp", "timestamp", "description", "alarm_id"),
    ]
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.dictionaries(_KEYS, _JSON))
def test_whatever_a_body_holds_it_is_read_or_refused(data: dict[str, Any]) -> None:
    """No value of any attribute gets past the complaint into an error of ours."""
    with suppress(InvalidInput):
        draft = read_draft(BODY | data, rule_types=frozenset({"threshold"}))

        assert draft.type == "threshold"


def test_s2_2_the_state_is_a_bare_string(door: Door) -> None:
    """It is read and set as a JSON string; setting it by hand is recorded and calls nobody."""
    path = f"/v2/alarms/{created(door)['alarm_id']}"

    assert door.get(f"{path}/state").get_json() == "insufficient data"
    assert door.put(f"{path}/state", "alarm").get_json() == "alarm"
    assert door.put(f"{path}/state/?state=ok").get_json() == "ok"
    assert door.get(path).get_json()["state_reason"] == "Manually set via API"
    assert [] == door.get("/v3/deliveries").get_json()["deliveries"]


@pytest.mark.parametrize("body", ["bad", None, 5, {"state": "ok"}, "OK"])
def test_s2_2_only_three_states_can_be_set(door: Door, body: Any) -> None:
    """Anything else is a 400 that names the three."""
    path = f"/v2/alarms/{created(door)['alarm_id']}/state"
    response = door.app.test_client().put(path, data=json.dumps(body), content_type="application/json")

    assert response.status_code == 400
    assert "insufficient data" in error_of(response)


def test_s6_history_tells_what_changed_as_json_in_a_string(door: Door) -> None:
    """Newest first; a change holds the changed keys only, in the text that Aodh's own tests compare."""
    alarm = created(door, ANN)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    door.clock.advance(1)
    door.put(path, alarm | {"severity": "critical"}, headers=ANN)
    door.clock.advance(1)
    door.put(f"{path}/state", "ok", headers=ANN)
    changes = door.get(f"{path}/history", headers=ANN).get_json()

    assert ["state transition", "rule change", "creation"] == [change["type"] for change in changes]
    assert ['{"state": "ok", "state_reason": "Manually set via API"}', '{"severity": "critical"}'] == [
        change["detail"] for change in changes[:2]
    ]
    assert [*("event_id", "alarm_id", "type", "detail", "project_id", "user_id", "on_behalf_of", "timestamp")] == list(
        changes[0]
    )
    assert {"project_id": "p1", "user_id": "ann", "timestamp": "2026-01-01T00:00:02"}.items() <= changes[0].items()


def test_s6_history_can_be_narrowed_sorted_and_paged(door: Door) -> None:
    """By type and by moments; moments with a range only."""
    alarm = created(door)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    for state in ("ok", "alarm", "ok"):
        door.clock.advance(60)
        door.put(f"{path}/state", state)

    def types(arguments: str) -> list[str]:
        response = door.get(f"{path}/history?{arguments}")
        assert response.status_code == 200, response.get_data(as_text=True)
        return [change["timestamp"][14:] for change in response.get_json()]

    assert ["00:00"] == types("q.field=type&q.value=creation")
    assert [] == types("q.field=type&q.value=nonsense")
    assert ["03:00", "02:00"] == types("q.field=timestamp&q.op=gt&q.value=2026-01-01T00:01:00")
    assert ["03:00", "02:00", "01:00"] == types(
        "q.field=timestamp&q.op=gt&q.value=2026-01-01T00:01:00&q.field=search_offset&q.op=eq&q.value=1"
    )
    assert ["00:00", "01:00"] == types("sort=timestamp:asc&limit=2")
    second = door.get(f"{path}/history?limit=2").get_json()[1]["event_id"]
    assert ["01:00", "00:00"] == types(f"marker={second}")
    for wrong in (
        "q.field=timestamp&q.value=2026-01-01",
        "q.field=detail&q.value=x",
        "q.field=timestamp&q.op=gt&q.value=x",
    ):
        assert door.get(f"{path}/history?{wrong}").status_code == 400


def test_what_belongs_to_another_project_does_not_exist(door: Door) -> None:
    """Its existence is hidden on every path; lists hold the own project only."""
    alarm = created(door, ANN)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    answers = [
        door.get(path, headers=BOB),
        door.put(path, BODY, headers=BOB),
        door.delete(path, headers=BOB),
        door.get(f"{path}/state", headers=BOB),
        door.put(f"{path}/state", "ok", headers=BOB),
        door.get(f"{path}/history", headers=BOB),
    ]

    assert {(404, f"Alarm {alarm['alarm_id']} not found")} == {(each.status_code, error_of(each)) for each in answers}
    assert [] == door.get("/v2/alarms", headers=BOB).get_json()
    assert [] == door.get("/v2/alarms", headers=ADMIN).get_json()
    assert [alarm] == door.get("/v2/alarms?q.field=all_projects&q.value=true", headers=ADMIN).get_json()


def test_roles_decide_who_may_change(door: Door) -> None:
    """A reader reads, names of other projects are a 401, and missing roles a 403, in Aodh's words."""
    alarm = created(door, ANN)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    refused = door.delete(path, headers=EVE)
    foreign = door.post("/v2/alarms", BODY | {"project_id": "p2"}, headers=ANN)
    other = door.get("/v2/alarms?q.field=project_id&q.value=p2", headers=ANN)
    every = door.get("/v2/alarms?q.field=all_projects&q.value=true", headers=ANN)

    assert door.get(path, headers=EVE).status_code == 200
    assert (403, "RBAC Authorization Failed") == (refused.status_code, error_of(refused))
    assert (401, "Not Authorized to access project p2") == (foreign.status_code, error_of(foreign))
    assert (401, "Not Authorized to access project p2") == (other.status_code, error_of(other))
    assert every.status_code == 403
