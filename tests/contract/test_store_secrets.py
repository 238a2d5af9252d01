# SPDX-License-Identifier: Apache-2.0
"""Signing secrets at rest, on every database."""

from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any
from uuid import uuid4

from alarmd.alarms.secrets import SecretService, check_signing_secret
from alarmd.clock import ManualClock
from alarmd.errors import Conflict, InvalidInput
from alarmd.model.alarm import Alarm
from alarmd.model.caller import Caller
from alarmd.model.secret import SigningSecret, new_value
from alarmd.policy import TablePolicy
from alarmd.store.database import Database
from tests.support.alarms import an_alarm

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN = Caller(user_id="ann", project_id="p1", roles=frozenset({"member", "reader"}))


def a_secret(name: str = "default", **changes: Any) -> SigningSecret:
    values: dict[str, Any] = {
        "secret_id": str(uuid4()),
        "project_id": "p1",
        "name": name,
        "value": new_value(),
        "created_at": NOW,
    }
    return SigningSecret(**{**values, **changes})


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_secrets_come_back_as_they_were_by_name_and_newest_first(database: Database) -> None:
    """Those of another project are not among them."""
    old, new = a_secret(expires_at=later(60)), a_secret(created_at=later(5))
    heat, foreign = a_secret("heat"), a_secret(project_id="p2")
    with database.write() as unit:
        for secret in (old, heat, new, foreign):
            unit.secrets.add(secret)
        found, named = unit.secrets.find("p1"), unit.secrets.find("p1", name="heat")

    assert [new, old, heat] == found
    assert [heat] == named


def test_what_several_projects_sign_with_is_one_question(database: Database) -> None:
    """What has expired is left out, and so is who was not asked about."""
    valid, expired = a_secret(expires_at=later(60)), a_secret(expires_at=NOW)
    foreign, stranger = a_secret(project_id="p2"), a_secret(project_id="p3")
    with database.write() as unit:
        for secret in (valid, expired, foreign, stranger):
            unit.secrets.add(secret)
        found, nobody = unit.secrets.of_projects(["p2", "p1", "p4"], NOW), unit.secrets.of_projects([], NOW)

    assert [valid, foreign] == found
    assert [] == nobody


def test_a_secret_is_there_until_it_expires(database: Database) -> None:
    """By project and name."""
    with database.write() as unit:
        unit.secrets.add(a_secret(expires_at=later(60)))
        asked = [("p1", "default", 59), ("p1", "default", 60), ("p2", "default", 0), ("p1", "heat", 0), ("\0", "\0", 0)]
        held = [unit.secrets.holds(project_id, name, later(after_s)) for project_id, name, after_s in asked]

    assert [True, False, False, False, False] == held


def test_to_expire_is_never_to_live_longer(database: Database) -> None:
    """What ends before the moment anyway keeps its own end."""
    short, endless, other = a_secret(expires_at=later(5)), a_secret(), a_secret("other")
    with database.write() as unit:
        for secret in (short, endless, other):
            unit.secrets.add(secret)
        unit.secrets.expire([short.secret_id, endless.secret_id], later(60))
        ends = {one.secret_id: one.expires_at for one in unit.secrets.find("p1")}

    assert {short.secret_id: later(5), endless.secret_id: later(60), other.secret_id: None} == ends


def test_secrets_are_removed_by_id_and_by_age(database: Database) -> None:
    """Of one project, or what expired of all."""
    kept, doomed = a_secret(), a_secret()
    expired = [a_secret(expires_at=later(-1), project_id=project_id) for project_id in ("p1", "p2", "p3")]
    with database.write() as unit:
        for secret in (kept, doomed, *expired):
            unit.secrets.add(secret)
        gone = [
            unit.secrets.remove([doomed.secret_id, "nothing"]),
            unit.secrets.remove_expired(NOW, project_id="p1"),
            unit.secrets.remove_expired(NOW),
            unit.secrets.remove_expired(NOW),
        ]
        left = unit.secrets.find("p1")

    assert [1, 1, 2, 0] == gone
    assert [kept] == left


def test_alarms_that_name_a_secret_are_counted(database: Database) -> None:
    """Within its project only."""
    with database.write() as unit:
        for project_id, name in (("p1", "heat"), ("p1", "heat"), ("p1", ""), ("p2", "heat")):
            unit.alarms.add(an_alarm(project_id=project_id, signing_secret=name))
        counted = [unit.secrets.alarms_naming("p1", name) for name in ("heat", "default")]

    assert [2, 0] == counted


def test_a_secret_is_not_deleted_under_an_alarm_that_is_being_written(database: Database) -> None:
    """Who wants to delete it waits until the alarm is there, and is told of it."""
    secrets = SecretService(database=database, policy=TablePolicy(), clock=ManualClock(NOW))
    secrets.create("heat", ANN)
    refused: list[int] = []

    def delete() -> None:
        try:
            secrets.delete("heat", ANN)
        except Conflict as error:
            refused.append(int(str(error.facts["alarms"])))

    deleting = Thread(target=delete, daemon=True)
    alarm = an_alarm(project_id="p1", signing_secret="heat")
    with database.write() as unit:
        check_signing_secret(unit, alarm, NOW)
        deleting.start()
        deleting.join(0.5)
        unit.alarms.add(alarm)
    deleting.join(30)

    assert [1] == refused
    assert ["heat"] == [one.name for one in secrets.find(ANN)]


def test_a_secret_is_not_named_while_it_is_being_deleted(database: Database) -> None:
    """Who wants to name it waits, and finds that it is not there; who names another does not."""
    with database.write() as unit:
        for secret in (a_secret("heat"), a_secret("other", project_id="p2")):
            unit.secrets.add(secret)
    refused: list[str] = []

    def name(alarm: Alarm) -> None:
        try:
            with database.write() as unit:
                check_signing_secret(unit, alarm, NOW)
                unit.alarms.add(alarm)
        except InvalidInput:
            refused.append(alarm.project_id)

    alarms = [an_alarm(project_id="p1", signing_secret="heat"), an_alarm(project_id="p2", signing_secret="other")]
    naming = [Thread(target=name, args=(alarm,), daemon=True) for alarm in alarms]
    with database.write() as unit:
        unit.secrets.lock("p1")
        unit.secrets.remove([one.secret_id for one in unit.secrets.find("p1")])
        for thread in naming:
            thread.start()
        for thread in naming:
            thread.join(0.5)
    for thread in naming:
        thread.join(30)

    assert ["p1"] == refused
    with database.read() as unit:
        assert (0, 1) == (unit.secrets.alarms_naming("p1", "heat"), unit.secrets.alarms_naming("p2", "other"))


def test_of_two_rotations_at_once_one_secret_stays(database: Database) -> None:
    """The later one waits, and lets end what the earlier one has made."""
    secrets = SecretService(database=database, policy=TablePolicy(), clock=ManualClock(NOW))
    secrets.create("heat", ANN)
    rotating = Thread(target=secrets.rotate, args=("heat", ANN), kwargs={"grace": timedelta(0)}, daemon=True)
    with database.write() as unit:
        unit.secrets.lock("p1")
        rotating.start()
        rotating.join(0.5)
        unit.secrets.expire([one.secret_id for one in unit.secrets.find("p1")], NOW)
        unit.secrets.add(a_secret("heat"))
    rotating.join(30)

    assert 1 == sum(one.expires_at is None for one in secrets.find(ANN))
