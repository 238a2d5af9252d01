# SPDX-License-Identifier: Apache-2.0
"""Signing secrets over the REST API: made, rotated, ended, and never shown again."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from alarmd.alarms.secrets import MOST_AT_ONCE, MOST_OF_PROJECT
from alarmd.model.secret import fingerprint_of, key_of, new_value
from alarmd.store.tables import signing_secrets
from tests.support.rest import ADMIN, ANN, BOB, EVE, Door, error_of

OWN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALARM = {"name": "busy", "type": "threshold", "threshold_rule": {"meter_name": "cpu_util", "threshold": 80}}


def secrets(door: Door, headers: dict[str, str] = ANN, arguments: str = "") -> list[dict[str, Any]]:
    """Return what is listed."""
    listed: list[dict[str, Any]] = door.get(f"/v3/secrets?{arguments}", headers=headers).get_json()["secrets"]
    return listed


def signing(door: Door, name: str = "default", project_id: str = "p1", *, after_s: float = 0.0) -> set[str]:
    """Return the secrets that sign, a while from now."""
    with door.database.read() as unit:
        found = unit.secrets.of_projects([project_id], door.clock.now() + timedelta(seconds=after_s))
    return {one.value for one in found if one.name == name}


def test_a_secret_that_alarmd_draws_is_shown_once(door: Door) -> None:
    """The answer to the creation has it; the list only what tells it from others."""
    response = door.post("/v3/secrets", {}, headers=ANN)
    made = response.get_json()
    drawn = made.pop("secret")

    assert 201 == response.status_code
    assert {drawn} == signing(door)
    assert 32 == len(key_of(drawn))
    assert ("default", "p1", fingerprint_of(drawn), None, "active") == tuple(
        made[key] for key in ("name", "project_id", "fingerprint", "expires_at", "state")
    )
    assert [made] == secrets(door)
    assert drawn not in door.get("/v3/secrets", headers=ANN).text


def test_a_secret_of_ones_own_is_not_repeated(door: Door) -> None:
    """Whoever brought it has it."""
    response = door.post("/v3/secrets", {"name": "heat", "secret": OWN, "expires_in": 60}, headers=ANN)

    assert response.get_json()["secret"] is None
    assert OWN not in response.text
    assert [{OWN}, set()] == [signing(door, "heat", after_s=after_s) for after_s in (59, 60)]


def test_rotation_lets_the_old_one_sign_for_a_while(door: Door) -> None:
    """One call makes the new one and gives the old ones their end; nothing can fall between."""
    old = door.post("/v3/secrets", {"name": "heat"}, headers=ANN).get_json()["secret"]
    new = door.post("/v3/secrets/heat/rotate", {"grace": 60}, headers=ANN).get_json()["secret"]

    assert [{old, new}, {new}] == [signing(door, "heat", after_s=after_s) for after_s in (59, 60)]
    door.clock.advance(60)
    assert {fingerprint_of(new): "active", fingerprint_of(old): "expired"} == {
        one["fingerprint"]: one["state"] for one in secrets(door)
    }


def test_rotation_without_grace_ends_the_old_one_now(door: Door) -> None:
    """For a secret that has become known."""
    door.post("/v3/secrets", {}, headers=ANN)
    new = door.post("/v3/secrets/default/rotate", {"grace": 0}, headers=ANN).get_json()["secret"]

    assert {new} == signing(door)


def test_a_day_of_grace_is_the_default(door: Door) -> None:
    """And a rotation never lets anything sign for longer than it would have."""
    door.post("/v3/secrets", {"expires_in": 3600}, headers=ANN)
    old = door.post("/v3/secrets", {}, headers=ANN).get_json()["secret"]
    new = door.post("/v3/secrets/default/rotate", {"secret": OWN}, headers=ANN).get_json()

    assert new["secret"] is None
    assert [{old, OWN}, {OWN}] == [signing(door, after_s=after_s) for after_s in (86_399, 86_400)]


def test_what_is_deleted_signs_no_more(door: Door) -> None:
    """All of a name, or one of them."""
    first, second = (door.post("/v3/secrets", {}, headers=ANN).get_json() for _ in range(2))
    one = door.delete(f"/v3/secrets/default?secret_id={first['secret_id']}", headers=ANN)

    assert 204 == one.status_code
    assert {second["secret"]} == signing(door)
    assert [204, 404] == [door.delete("/v3/secrets/default", headers=ANN).status_code for _ in range(2)]
    assert [] == secrets(door)


def test_a_secret_that_alarms_name_is_kept_from_deletion(door: Door) -> None:
    """While one of the name is left it goes; the last only by force."""
    first, _ = (door.post("/v3/secrets", {"name": "heat"}, headers=ANN).get_json() for _ in range(2))
    assert 201 == door.post("/v2/alarms", ALARM | {"signing_secret": "heat"}, headers=ANN).status_code
    statuses = [
        door.delete(path, headers=ANN)
        for path in (
            f"/v3/secrets/heat?secret_id={first['secret_id']}",
            "/v3/secrets/heat",
            "/v3/secrets/heat?force=true",
        )
    ]

    assert [204, 409, 204] == [one.status_code for one in statuses]
    assert "1 alarm signs with the secret 'heat'" in error_of(statuses[1])


def test_an_alarm_cannot_name_a_secret_that_there_is_not(door: Door) -> None:
    """Neither a new alarm nor a changed one; one that names it already may be written as it is."""
    refused = door.post("/v2/alarms", ALARM | {"signing_secret": "heat"}, headers=ANN)
    door.post("/v3/secrets", {"name": "heat"}, headers=BOB)
    foreign = door.post("/v2/alarms", ALARM | {"signing_secret": "heat"}, headers=ANN)
    door.post("/v3/secrets", {"name": "heat"}, headers=ANN)
    made = door.post("/v2/alarms", ALARM | {"signing_secret": "heat"}, headers=ANN).get_json()
    door.delete("/v3/secrets/heat?force=true", headers=ANN)
    path = f"/v2/alarms/{made['alarm_id']}"
    changed = [
        door.put(path, made | {"signing_secret": name}, headers=ANN).status_code for name in ("heat", "mistral", "")
    ]

    assert [400, 400] == [refused.status_code, foreign.status_code]
    assert "no signing secret of that name" in error_of(refused)
    assert [200, 400, 200] == changed


def test_secrets_of_others_do_not_exist(door: Door) -> None:
    """An administrator may name a project; others have their own, and a reader only looks."""
    door.post("/v3/secrets", {"name": "heat"}, headers=ANN)
    door.post("/v3/secrets", {"name": "ops", "project_id": "p2"}, headers=ADMIN)

    assert ["ops"] == [one["name"] for one in secrets(door, BOB)]
    assert ["heat"] == [one["name"] for one in secrets(door, ADMIN, "project_id=p1")]
    assert ["heat"] == [one["name"] for one in secrets(door, EVE)]
    assert [401, 401] == [
        door.get("/v3/secrets?project_id=p2", headers=ANN).status_code,
        door.post("/v3/secrets", {"project_id": "p2"}, headers=ANN).status_code,
    ]
    assert [404, 404] == [
        door.delete("/v3/secrets/heat", headers=BOB).status_code,
        door.post("/v3/secrets/heat/rotate", {}, headers=BOB).status_code,
    ]
    assert [403, 403, 403] == [
        door.post("/v3/secrets", {}, headers=EVE).status_code,
        door.post("/v3/secrets/heat/rotate", {}, headers=EVE).status_code,
        door.delete("/v3/secrets/heat", headers=EVE).status_code,
    ]


@pytest.mark.parametrize(
    "wrong", ["hunter2-hunter2", "whsec_c2hvcnQ=", ["whsec_hunter2"], {"hunter2": 1}, "whsec_" + "hunter2" * 4 + "é"]
)
def test_what_is_no_secret_is_refused_without_repeating_it(door: Door, wrong: Any) -> None:
    """It may be the password that somebody took for a secret."""
    response = door.post("/v3/secrets", {"secret": wrong}, headers=ANN)

    assert 400 == response.status_code
    assert "whsec_" in error_of(response)
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "object"),
        ({"name": "a b"}, "The name of a secret"),
        ({"name": "-a"}, "The name of a secret"),
        ({"name": "a" * 65}, "name"),
        ({"expires_in": 0}, "greater or equal to 1"),
        ({"colour": "red"}, "colour"),
        ({"project_id": "\0"}, "project_id"),
    ],
)
def test_what_cannot_be_read_is_refused(door: Door, body: Any, text: str) -> None:
    """Each mistake says what is wrong."""
    response = door.post("/v3/secrets", body)

    assert 400 == response.status_code
    assert text in error_of(response)


def test_secrets_have_a_bound(door: Door) -> None:
    """So many of a name sign at once, so many are a project's; what has expired makes room."""
    for number in range(MOST_AT_ONCE):
        assert 201 == door.post("/v3/secrets", {"expires_in": 60 + number}, headers=ANN).status_code
    too_many = door.post("/v3/secrets", {}, headers=ANN)
    for number in range(MOST_OF_PROJECT - MOST_AT_ONCE):
        assert 201 == door.post("/v3/secrets", {"name": f"s{number}", "secret": new_value()}, headers=ANN).status_code
    door.clock.advance(60)
    room = [door.post("/v3/secrets", {"name": "more"}, headers=ANN).status_code for _ in range(2)]

    assert 403 == too_many.status_code
    assert "5 of one name" in error_of(too_many)
    assert [201, 403] == room


@pytest.mark.parametrize("pasted", [OWN, OWN + "A" * 44, [OWN]])
def test_a_secret_in_the_place_of_a_name_is_not_repeated(door: Door, pasted: Any) -> None:
    """A slip must not put it into a log."""
    response = door.post("/v3/secrets", {"name": pasted}, headers=ANN)

    assert "name" in error_of(response)
    assert OWN not in response.text


def test_a_secret_that_cannot_be_read_is_listed(door: Door) -> None:
    """What somebody has written past alarmd can be found, and deleted."""
    door.post("/v3/secrets", {}, headers=ANN)
    with door.database.write() as unit:
        unit.connection.execute(update(signing_secrets).values(value="x"))

    assert ["unreadable"] == [one["fingerprint"] for one in secrets(door)]


def test_the_log_tells_who_did_what(door: Door) -> None:
    """One line for each secret that is made, rotated or deleted, without what is secret about it."""
    with capture_logs() as logs:
        made = [
            door.post(path, {"project_id": "p1", "secret": OWN} | body, headers=ADMIN).get_json()["secret_id"]
            for path, body in (("/v3/secrets", {"name": "heat"}), ("/v3/secrets/heat/rotate", {}))
        ]
        door.delete(f"/v3/secrets/heat?project_id=p1&secret_id={made[0]}", headers=ADMIN)
    told = [line for line in logs if line["event"].startswith("secret_")]

    assert [("secret_created", made[0]), ("secret_rotated", made[1]), ("secret_deleted", made[0])] == [
        (line["event"], line["secret_id"]) for line in told
    ]
    assert {("p1", "heat")} == {(line["project_id"], line["name"]) for line in told}
    assert all(line["user_id"] and line["caller_project_id"] != "p1" for line in told)
    assert OWN not in str(logs)
