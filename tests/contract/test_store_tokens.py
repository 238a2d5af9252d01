# SPDX-License-Identifier: Apache-2.0
"""Tokens in the database, on each kind of database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from alarmd.model.token import Token, digest_of
from alarmd.store.database import Database

_NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
_TOKEN = Token(
    token_id="t1",
    digest=digest_of("alarmd_one"),
    description="Heat's own",
    project_id="p1",
    user_id="ann",
    roles=("member", "reader"),
    created_at=_NOON,
    expires_at=_NOON + timedelta(days=30),
)
_FOREVER = replace(_TOKEN, token_id="t0", digest=digest_of("alarmd_two"), description="", expires_at=None)


def test_a_token_comes_back_as_it_was(database: Database) -> None:
    """What is stored is what is found, by digest and by id, moments to the microsecond."""
    with database.write() as unit:
        unit.tokens.add(_TOKEN)
        unit.tokens.add(_FOREVER)

    with database.read() as unit:
        assert _TOKEN == unit.tokens.with_digest(digest_of("alarmd_one"))
        assert _FOREVER == unit.tokens.get("t0")


@pytest.mark.parametrize("secret", ["", "alarmd_on", "alarmd_One", "alarmd_one ", "\0", digest_of("alarmd_one")])
def test_another_secret_finds_nothing(database: Database, secret: str) -> None:
    """Only the very secret has the digest."""
    with database.write() as unit:
        unit.tokens.add(_TOKEN)

    with database.read() as unit:
        assert unit.tokens.with_digest(digest_of(secret)) is None


def test_tokens_are_listed_in_the_order_they_were_made(database: Database) -> None:
    """Oldest first; the id decides between those of one moment."""
    older = replace(_TOKEN, token_id="t9", digest="d9", created_at=_NOON - timedelta(microseconds=1))
    with database.write() as unit:
        for token in (_TOKEN, _FOREVER, older):
            unit.tokens.add(token)

    with database.read() as unit:
        assert ["t9", "t0", "t1"] == [token.token_id for token in unit.tokens.all()]


def test_a_revoked_token_is_gone(database: Database) -> None:
    """Removing tells whether there was anything to remove, and leaves the others alone."""
    with database.write() as unit:
        unit.tokens.add(_TOKEN)
        unit.tokens.add(_FOREVER)

    with database.write() as unit:
        assert unit.tokens.remove("t1")
        assert not unit.tokens.remove("t1")
        assert not unit.tokens.remove("no\0token")
        assert unit.tokens.get("no\0token") is None
    with database.read() as unit:
        assert unit.tokens.with_digest(_TOKEN.digest) is None
        assert [_FOREVER] == unit.tokens.all()


def test_expired_tokens_can_be_cleared_away(database: Database) -> None:
    """Those whose time has come go, at that very moment; those that hold for ever stay."""
    later = replace(_TOKEN, token_id="t2", digest="d2", expires_at=_NOON + timedelta(days=31))
    with database.write() as unit:
        for token in (_TOKEN, _FOREVER, later):
            unit.tokens.add(token)
    with database.write() as unit:
        removed = unit.tokens.remove_expired(_NOON + timedelta(days=30))
        again = unit.tokens.remove_expired(_NOON + timedelta(days=30))

    assert [1, 0] == [removed, again]
    with database.read() as unit:
        assert ["t0", "t2"] == [token.token_id for token in unit.tokens.all()]


def test_one_secret_belongs_to_one_token(database: Database) -> None:
    """The database itself refuses a second token with the digest of another."""
    with database.write() as unit:
        unit.tokens.add(_TOKEN)

    with pytest.raises(IntegrityError), database.write() as unit:
        unit.tokens.add(replace(_TOKEN, token_id="t2"))
