# SPDX-License-Identifier: Apache-2.0
"""The book of secrets over a real database: what it knows, for how long, and what it refuses to leave unsigned."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, update

from alarmd.errors import SecretMissing
from alarmd.model.notification import Notification
from alarmd.model.secret import SigningSecret, key_of, new_value
from alarmd.notifiers.secret_book import SecretBook
from alarmd.store.database import Database
from alarmd.store.tables import signing_secrets
from tests.support.notifications import CREATED_AT, a_notification
from tests.support.rest import new_database

NOW = CREATED_AT


class Desk:
    """A book, and the database that it is read from."""

    def __init__(self, database: Database, **bounds: float) -> None:
        self.database = database
        self.book = SecretBook(**bounds)  # type: ignore[arg-type]  # an age, or a whole number of projects
        self.reads = 0

    def keep(self, name: str, *, project_id: str = "project-1", expires_in_s: float | None = None) -> str:
        """Store a fresh secret and return its value."""
        value = new_value()
        expires_at = None if expires_in_s is None else NOW + timedelta(seconds=expires_in_s)
        with self.database.write() as unit:
            unit.secrets.add(
                SigningSecret(
                    secret_id=value[6:20],
                    project_id=project_id,
                    name=name,
                    value=value,
                    created_at=NOW,
                    expires_at=expires_at,
                )
            )
        return value

    def learn(self, *notifications: Notification, now_s: float = 0.0) -> int:
        """Have the book read what it needs; return how many statements that took."""
        with self.database.read() as unit:
            statements: list[str] = []

            def note(*given: object) -> None:
                statements.append(str(given[2]))

            event.listen(unit.connection, "before_cursor_execute", note)
            self.book.learn(unit, notifications, now=NOW, now_s=now_s)
        return len(statements)

    def keys(self, notification: Notification, *, after_s: float = 0.0) -> set[bytes]:
        return set(self.book.of(notification, NOW + timedelta(seconds=after_s)))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = new_database(tmp_path)
    yield opened
    opened.close()


def keys_of(*values: str) -> set[bytes]:
    return {key_of(value) for value in values}


def test_the_named_secret_signs_and_else_the_default(database: Database) -> None:
    """Each project its own; one without any leaves it to the installation."""
    desk = Desk(database)
    default, named, others = desk.keep("default"), desk.keep("heat"), desk.keep("default", project_id="p2")
    bare, heat = a_notification(), a_notification(signing_secret="heat")
    foreign, stranger = a_notification(project_id="p2"), a_notification(project_id="p3")
    desk.learn(bare, heat, foreign, stranger)

    assert [keys_of(default), keys_of(named), keys_of(others), set()] == [
        desk.keys(one) for one in (bare, heat, foreign, stranger)
    ]


def test_several_of_a_name_sign_until_they_expire(database: Database) -> None:
    """While a secret is rotated old and new sign; the old one stops at its moment, however long ago it was read."""
    desk = Desk(database)
    old, new = desk.keep("default", expires_in_s=60), desk.keep("default")
    desk.learn(a_notification())

    assert keys_of(old, new) == desk.keys(a_notification())
    assert keys_of(new) == desk.keys(a_notification(), after_s=60)


def test_a_name_that_is_not_there_is_never_left_unsigned(database: Database) -> None:
    """Neither the project's default nor the installation's stands in for it."""
    desk = Desk(database)
    desk.keep("default")
    desk.keep("heat", project_id="p2")
    desk.keep("heat", expires_in_s=-1)
    notification = a_notification(signing_secret="heat")
    desk.learn(notification)

    with pytest.raises(SecretMissing, match="no signing secret named 'heat'"):
        desk.keys(notification)


def test_a_secret_that_was_just_made_is_found_at_once(database: Database) -> None:
    """A name that was not there is looked for again with the next notification that bears it."""
    desk, notification = Desk(database), a_notification(signing_secret="heat")
    desk.learn(notification)
    made = desk.keep("heat")
    desk.learn(notification)

    assert keys_of(made) == desk.keys(notification)


def test_what_is_known_is_not_read_again_until_it_is_old(database: Database) -> None:
    """One statement for all projects that are new, none while they are known, another after a few seconds."""
    desk = Desk(database, max_age_s=2.0)
    desk.keep("heat")
    notifications = [a_notification(signing_secret="heat"), *(a_notification(project_id=f"q{n}") for n in range(50))]

    assert [1, 0, 1] == [desk.learn(*notifications, now_s=now_s) for now_s in (0.0, 2.0, 2.1)]


def test_a_secret_that_was_deleted_stops_signing_within_seconds(database: Database) -> None:
    """The book forgets what the database no longer has."""
    desk, notification = Desk(database, max_age_s=2.0), a_notification(signing_secret="heat")
    desk.keep("heat")
    desk.learn(notification)
    with database.write() as unit:
        unit.secrets.remove([one.secret_id for one in unit.secrets.find("project-1")])
    desk.learn(notification, now_s=3.0)

    with pytest.raises(SecretMissing):
        desk.keys(notification)


def test_the_book_has_a_bound(database: Database) -> None:
    """The projects that came first are forgotten first, and those in hand never."""
    desk = Desk(database, max_projects=2)
    for number in range(3):
        desk.learn(a_notification(project_id=f"q{number}"))
    desk.learn(*(a_notification(project_id=f"r{number}") for number in range(3)))

    assert [set()] * 3 == [desk.keys(a_notification(project_id=f"r{number}")) for number in range(3)]
    with pytest.raises(RuntimeError):
        desk.keys(a_notification(project_id="q2"))


def test_a_secret_that_cannot_be_read_stops_nobody(database: Database) -> None:
    """What was written past alarmd signs nothing; what names it is left to be buried with its reason."""
    desk = Desk(database)
    desk.keep("spoilt")
    sound = desk.keep("sound")
    with desk.database.write() as unit:
        unit.connection.execute(update(signing_secrets).where(signing_secrets.c.name == "spoilt").values(value="x"))
    spoilt = a_notification(signing_secret="spoilt")
    desk.learn(spoilt)

    assert {key_of(sound)} == desk.keys(a_notification(signing_secret="sound"))
    with pytest.raises(SecretMissing):
        desk.keys(spoilt)
