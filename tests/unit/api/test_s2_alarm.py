# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §2, attributes of the alarm; tests and ids name the row: defaults, leniency, nulls, refusals."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.api.alarm_body import read_draft
from alarmd.errors import InvalidInput
from tests.support.rest import ADMIN, ANN, Door, error_of
from tests.support.rules import FAMILIES, SHORTEST, normalised

TYPES = frozenset(FAMILIES)
BODY: dict[str, Any] = {"name": "cpu", "type": "prometheus", "prometheus_rule": SHORTEST["prometheus"]}
LISTS = ["ok_actions", "alarm_actions", "insufficient_data_actions"]


def body_of(type_: str, **changes: Any) -> dict[str, Any]:
    """Return the shortest body of a type."""
    return {"name": "x", "type": type_, f"{type_}_rule": SHORTEST[type_]} | changes


def created(door: Door, headers: dict[str, str] | None = None, /, **changes: Any) -> dict[str, Any]:
    """Create an alarm and return it as it is read afterwards."""
    response = door.post("/v2/alarms", BODY | changes, headers=headers or ANN)
    assert response.status_code == 201, response.get_data(as_text=True)
    alarm: dict[str, Any] = door.get(f"/v2/alarms/{response.get_json()['alarm_id']}", headers=ADMIN).get_json()
    return alarm


def refusal(body: Any) -> str:
    """Return why a body is refused before anything is asked of it."""
    with pytest.raises(InvalidInput) as refused:
        read_draft(body, rule_types=TYPES)
    return refused.value.message


# --- what is taken, and what becomes of it -------------------------------------------------------------------------

KEPT: list[tuple[str, Any, Any]] = [
    ("alarm_id", "mine", "the server's"),
    ("alarm_id", None, "the server's"),
    ("name", "", ""),
    ("name", "ünï x" * 50, "ünï x" * 50),
    ("description", "mine", "mine"),
    ("description", "", "prometheus alarm rule"),
    ("description", None, "prometheus alarm rule"),
    *(("enabled", value, False) for value in (False, 0, "false", "False", "0", "no", "off", "f", "n")),
    *(("enabled", value, True) for value in (True, 1, 5, -1, "true", "True", "1", "yes", "on", "t", "y", None)),
    *(("repeat_actions", value, False) for value in (False, 0, "false", None)),
    *(("repeat_actions", value, True) for value in (True, 1, 2, "true")),
    *((key, None, []) for key in LISTS),
    *((key, [], []) for key in LISTS),
    *((key, ["http://h/1", "http://h/2"], ["http://h/1", "http://h/2"]) for key in LISTS),
    *((key, ["http://h/2", "http://h/1", "http://h/2"], ["http://h/2", "http://h/1"]) for key in LISTS),
    ("time_constraints", None, []),
    ("time_constraints", [], []),
    ("project_id", None, "p1"),
    ("project_id", "p1", "p1"),
    ("user_id", None, "ann"),
    ("user_id", "ann", "ann"),
    ("timestamp", "2001-01-01T00:00:00", "2026-01-01T00:00:00"),
    ("timestamp", None, "2026-01-01T00:00:00"),
    ("state", "ok", "ok"),
    ("state", "alarm", "alarm"),
    ("state", "insufficient data", "insufficient data"),
    ("state_timestamp", "2001-01-01T00:00:00", "2026-01-01T00:00:00"),
    ("severity", "low", "low"),
    ("severity", "moderate", "moderate"),
    ("severity", "critical", "critical"),
    ("evaluate_timestamp", "2001-01-01T00:00:00.5", "2001-01-01T00:00:00.500000"),
    ("evaluate_timestamp", None, "2026-01-01T00:00:00"),
]


@pytest.mark.parametrize(("key", "sent", "kept"), KEPT, ids=[f"2-{key}-{sent!r:.40}" for key, sent, _ in KEPT])
def test_s2_an_attribute_is_kept(door: Door, key: str, sent: Any, kept: Any) -> None:
    """As the contract's table says, whatever spelling a client uses."""
    alarm = created(door, **{key: sent})

    assert kept == (alarm[key] if kept != "the server's" else "the server's")
    assert alarm["alarm_id"] != "mine"


def test_s2_what_is_left_out_has_its_default(door: Door) -> None:
    """Name, type and rule are enough."""
    alarm = created(door)

    assert {
        "description": "prometheus alarm rule",
        "enabled": True,
        "ok_actions": [],
        "alarm_actions": [],
        "insufficient_data_actions": [],
        "repeat_actions": False,
        "time_constraints": [],
        "project_id": "p1",
        "user_id": "ann",
        "timestamp": "2026-01-01T00:00:00",
        "state": "insufficient data",
        "state_timestamp": "2026-01-01T00:00:00",
        "severity": "low",
        "evaluate_timestamp": "2026-01-01T00:00:00",
    }.items() <= alarm.items()


@pytest.mark.parametrize("type_", sorted(FAMILIES))
def test_s2_every_type_is_kept_and_shown(door: Door, type_: str) -> None:
    """Only the rule key of the alarm's own type is there, last, with every default filled in."""
    made = door.post("/v2/alarms", body_of(type_), headers=ANN)
    alarm = door.get(made.headers["Location"], headers=ANN).get_json()
    echoed = door.put(made.headers["Location"], alarm, headers=ANN)

    assert (201, made.get_json()) == (made.status_code, alarm)
    assert [f"{type_}_rule"] == [key for key in alarm if key.endswith("_rule")]
    assert (list(alarm)[-1], json.dumps(normalised(type_))) == (f"{type_}_rule", json.dumps(alarm[f"{type_}_rule"]))
    assert (200, alarm) == (echoed.status_code, echoed.get_json())


@pytest.mark.parametrize("type_", sorted(FAMILIES))
def test_s2_the_reason_says_who_will_look(door: Door, type_: str) -> None:
    """Nobody has yet, and nobody will where this version only keeps the type; a reason sent along is ignored."""
    alarm = door.post("/v2/alarms", body_of(type_, state_reason="because"), headers=ANN).get_json()
    kind, kept = ("rules", SHORTEST[type_]["or"][0]["type"]) if type_ == "composite" else ("alarms", type_)
    needs = FAMILIES[kept].needs
    until = f"and evaluated once the operator has set {needs}" if needs else "but this version does not evaluate them"
    why = "" if FAMILIES[kept].is_evaluated else f": {kind} of type {kept} are kept, {until}"

    assert f"Not evaluated yet{why}" == alarm["state_reason"]


def test_s2_the_type_may_change(door: Door) -> None:
    """A PUT brings the rule of the new type; the old one is gone, null or empty."""
    alarm = created(door)
    changed = alarm | {"type": "event", "event_rule": {}, "prometheus_rule": None, "description": None}
    after = door.put(f"/v2/alarms/{alarm['alarm_id']}", changed, headers=ANN).get_json()

    assert ("event", {"event_type": "*", "query": []}) == (after["type"], after["event_rule"])
    assert "Alarm when * event occurred." == after["description"]
    assert "prometheus_rule" not in after


@pytest.mark.parametrize("empty", [None, {}, [], "", 0, False])
def test_s2_an_empty_rule_of_another_type_is_as_good_as_none(door: Door, empty: Any) -> None:
    """Clients send every rule key that they know."""
    assert "event_rule" not in created(door, event_rule=empty)


def test_s2_a_composite_rule_may_be_any_tree(door: Door) -> None:
    """A bare leaf as well as nested ones; the levels and leaves are the rule's own matter."""
    leaf = {"type": "prometheus"} | normalised("prometheus")
    for tree in (leaf, {"or": [leaf]}, {"and": [leaf, {"or": [leaf, leaf]}]}):
        assert tree == created(door, type="composite", composite_rule=tree, prometheus_rule=None)["composite_rule"]


def test_s2_an_admin_may_name_any_owner(door: Door) -> None:
    """Also the empty one; others only themselves."""
    owners = [("p9", "u9"), ("", ""), (None, None), ("p9", None)]
    alarms = [created(door, ADMIN, project_id=project, user_id=user) for project, user in owners]

    assert [("p9", "u9"), ("", ""), ("ops", "root"), ("p9", "root")] == [
        (alarm["project_id"], alarm["user_id"]) for alarm in alarms
    ]
    for foreign, text in (
        ({"project_id": "p9"}, "Not Authorized to access project p9"),
        ({"project_id": ""}, "Not Authorized to access project "),
        ({"user_id": "u9"}, "Not Authorized to access user u9"),
    ):
        response = door.post("/v2/alarms", BODY | foreign, headers=ANN)
        assert (401, text) == (response.status_code, error_of(response))


# --- actions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", LISTS)
@pytest.mark.parametrize(
    "url",
    [
        "http://h/v1/signal/arn%3Aopenstack?Signature=a%2Fb%3D&x=1",
        "https://user:secret@h:8443/x?aodh-alarm-ssl-verify=0#y",
        "HTTP://H/%7Ea/../b",
        "http://[::1]:8000/",
        "zaqar://?topic=t&subscriber=http%3A//h/x&ttl=3600",
    ],
)
def test_s2_an_address_is_kept_byte_for_byte(door: Door, key: str, url: str) -> None:
    """It may be signed."""
    assert [url] == created(door, **{key: [url]})[key]


@pytest.mark.parametrize(
    ("url", "shown"), [("log://", "log:"), ("test://", "test:"), ("log:", "log:"), ("test:", "test:")]
)
def test_s2_addresses_without_a_host_are_spelt_as_aodh_spells_them(door: Door, url: str, shown: str) -> None:
    """Its clients' tests compare them; they are for admins only."""
    refused = door.post("/v2/alarms", BODY | {"ok_actions": [url]}, headers=ANN)

    assert [shown] == created(door, ADMIN, ok_actions=[url])["ok_actions"]
    assert (401, f"You are not authorized to create action: {url}") == (refused.status_code, error_of(refused))


def test_s2_two_spellings_of_one_address_are_one(door: Door) -> None:
    """Each action is taken once, where it first stands."""
    assert ["test:", "log:"] == created(door, ADMIN, ok_actions=["test://", "log://", "log:", "test:"])["ok_actions"]


@pytest.mark.parametrize("key", LISTS)
@pytest.mark.parametrize(
    ("urls", "text"),
    [
        (["ftp://h/"], "Unsupported action ftp://h/"),
        (["no-address"], "Unsupported action no-address"),
        ([""], "Unsupported action "),
        (["http://[::1"], "Unable to parse action http://[::1"),
        (["trust+http://id@h/x"], "Unsupported action trust+http://id@h/x"),
        ([f"http://h/{number}" for number in range(11)], "_actions count exceeds maximum value 10"),
    ],
)
def test_s2_other_actions_are_refused(door: Door, key: str, urls: list[str], text: str) -> None:
    """In Aodh's words."""
    response = door.post("/v2/alarms", BODY | {key: urls}, headers=ANN)

    assert response.status_code == 400
    assert text in error_of(response)
    if "count exceeds" in text:
        assert error_of(response).startswith(key)


# --- what is refused -----------------------------------------------------------------------------------------------

MISSING = "Mandatory field missing."
STATES = "Value should be one of: 'ok', 'alarm' or 'insufficient data'"
SEVERITIES = "Value should be one of: 'low', 'moderate' or 'critical'"
NO_BOOLEAN = "Value should be a valid boolean, unable to interpret input"
NO_TEXT = "Value should be a valid string"
NO_LIST = "Value should be a valid list"

INVALID: list[tuple[str, Any, str]] = [
    ("name", None, MISSING),
    ("name", 5, NO_TEXT),
    ("name", ["x"], NO_TEXT),
    ("type", None, MISSING),
    ("type", 5, NO_TEXT),
    ("type", "combination", f"Value should be one of: {', '.join(sorted(FAMILIES))}"),
    ("description", 5, NO_TEXT),
    ("enabled", "perhaps", NO_BOOLEAN),
    ("enabled", "", NO_BOOLEAN),
    ("enabled", [], "Value should be a valid boolean"),
    ("repeat_actions", "perhaps", NO_BOOLEAN),
    *((key, "http://h", NO_LIST) for key in LISTS),
    *((key, {"a": "b"}, NO_LIST) for key in LISTS),
    ("time_constraints", {}, NO_LIST),
    ("time_constraints", "x", NO_LIST),
    ("project_id", 5, NO_TEXT),
    ("user_id", 5, NO_TEXT),
    ("state", None, STATES),
    ("state", "OK", STATES),
    ("state", 5, STATES),
    ("severity", None, SEVERITIES),
    ("severity", "high", SEVERITIES),
    ("evaluate_timestamp", "soon", "Value should be an ISO 8601 timestamp"),
    ("prometheus_rule", [], "Value should be an object"),
    ("prometheus_rule", "x", "Value should be an object"),
    ("prometheus_rule", 0, "Value should be an object"),
]


@pytest.mark.parametrize(("key", "value", "detail"), INVALID, ids=[f"2-{key}-{value!r}" for key, value, _ in INVALID])
def test_s2_an_attribute_is_refused(key: str, value: Any, detail: str) -> None:
    """In Aodh's words: the attribute, the value, and what would do."""
    assert f"Invalid input for field/attribute {key}. Value: '{value}'. {detail}" == refusal(BODY | {key: value})


@pytest.mark.parametrize("key", LISTS)
@pytest.mark.parametrize("item", [5, None, ["http://h"]])
def test_s2_actions_are_texts(key: str, item: Any) -> None:
    """The complaint names the list and the value in it."""
    assert refusal(BODY | {key: [item]}).startswith(f"Invalid input for field/attribute {key}. Value: '{item}'. ")


@pytest.mark.parametrize("item", [5, None, "x", []])
def test_s2_time_constraints_are_objects(item: Any) -> None:
    """The complaint names the list and the value in it."""
    assert refusal(BODY | {"time_constraints": [item]}).startswith(
        f"Invalid input for field/attribute time_constraints. Value: '{item}'. "
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        *((body, "The body should be an object with an alarm") for body in ([], "x", None, 5, True, [BODY])),
        ({}, f"Invalid input for field/attribute name. Value: 'None'. {MISSING}"),
        ({"name": "x"}, f"Invalid input for field/attribute type. Value: 'None'. {MISSING}"),
        (BODY | {"colour": None}, "Unknown attribute for argument data: colour"),
        (BODY | {"colour_rule": None}, "Unknown attribute for argument data: colour_rule"),
        (BODY | {"x" * 300: None}, f"Unknown attribute for argument data: {'x' * 255}…"),
        (BODY | {"_rule": None}, "Unknown attribute for argument data: _rule"),
        (BODY | {"prometheus": {}}, "Unknown attribute for argument data: prometheus"),
        *(
            ({"name": "x", "type": type_}, f"{type_}_rule must be set for {type_} type alarm")
            for type_ in sorted(FAMILIES)
        ),
        (BODY | {"prometheus_rule": None}, "prometheus_rule must be set for prometheus type alarm"),
        (
            BODY | {"event_rule": {"event_type": "*"}},
            "prometheus_rule and event_rule cannot be set at the same time",
        ),
        (BODY | {"event_rule": "x"}, "prometheus_rule and event_rule cannot be set at the same time"),
    ],
)
def test_s2_a_body_is_refused(body: Any, text: str) -> None:
    """In Aodh's words where it has any; lists, texts and nulls are 400 where Aodh answers 500."""
    assert refusal(body).endswith(text)


@pytest.mark.parametrize("type_", sorted(FAMILIES))
@pytest.mark.parametrize("rule", [[], "x", 5, [{}], True])
def test_s2_a_rule_is_an_object(type_: str, rule: Any) -> None:
    """A list is 400 where Aodh answers 500."""
    assert refusal(body_of(type_, **{f"{type_}_rule": rule})).endswith("Value should be an object")


def test_s2_a_name_has_an_end(door: Door) -> None:
    """255 characters, as Heat's."""
    assert "x" * 255 == created(door, name="x" * 255)["name"]
    response = door.post("/v2/alarms", BODY | {"name": "x" * 256}, headers=ANN)
    assert (400, True) == (response.status_code, "at most 255 characters" in error_of(response))


@pytest.mark.parametrize("text", ["a\x00", "\ud800"])
@pytest.mark.parametrize("place", ["name", "description", "rule", "query"])
def test_s2_what_is_no_text_is_refused(door: Door, text: str, place: str) -> None:
    """No database keeps it: 400, wherever it stands."""
    body = {
        "name": BODY | {"name": text},
        "description": BODY | {"description": text},
        "rule": BODY | {"prometheus_rule": {"query": text, "threshold": 1}},
        "query": body_of("event", event_rule={"query": [{"field": "a", "value": text, "type": ""}]}),
    }[place]

    assert door.post("/v2/alarms", body, headers=ANN).status_code == 400


@given(
    st.dictionaries(
        st.sampled_from([*BODY, *LISTS, "enabled", "state", "severity", "time_constraints", "event_rule", "alarm_id"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
            max_leaves=5,
        ),
    )
)
def test_s2_any_body_is_taken_or_refused(changes: dict[str, Any]) -> None:
    """Nothing else happens, whatever stands in it, and a refusal is of bounded length."""
    try:
        draft = read_draft(BODY | changes, rule_types=TYPES)
    except InvalidInput as error:
        text = error.message
    else:
        text = draft.name

    assert len(text) < 1_000
