# SPDX-License-Identifier: Apache-2.0
"""Tokens made and revoked at the terminal, over a database of the test's own."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alarmd.cli.main import main
from alarmd.model.token import digest_of
from alarmd.store.database import Database
from tests.support.servers import PostgresServer

_SECRET = re.compile(r"alarmd_[A-Za-z0-9_-]{43}")


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in a directory of the test's own, and keep the environment of whoever runs the tests out of it."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("ALARMD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["token", *arguments], env=environ)


def ok(*arguments: str, **environ: str) -> Any:
    result = invoke(*arguments, "--format", "json", **environ)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def created(*arguments: str, **environ: str) -> dict[str, Any]:
    made: dict[str, Any] = ok("create", "--project", "p1", "--user", "ann", *arguments, **environ)
    return made


def test_the_first_token_can_be_made_before_the_daemon_has_run(tmp_path: Path) -> None:
    """The database is made on the way, in a directory that is nobody else's; only the secret's digest is in it."""
    made = created("--description", "Heat")
    folder = tmp_path / "alarmd-state"
    database = Database.connect(f"sqlite:///{folder / 'alarmd.db'}")
    with database.read() as unit:
        stored = unit.tokens.with_digest(digest_of(made["token"]))
    database.close()

    assert _SECRET.fullmatch(made["token"])
    assert stored is not None
    assert ("Heat", "p1", "ann", ("member", "reader")) == (
        stored.description,
        stored.project_id,
        stored.user_id,
        stored.roles,
    )
    assert 0o700 == folder.stat().st_mode & 0o777
    assert not any(made["token"].encode() in file.read_bytes() for file in folder.iterdir() if file.is_file())


def test_a_script_can_have_the_secret_alone() -> None:
    """`-f value -c token` prints it and nothing else on standard output."""
    result = invoke("create", "--project", "p1", "--user", "ann", "-f", "value", "-c", "token")

    assert _SECRET.fullmatch(result.stdout.removesuffix("\n"))


def test_secrets_are_shown_once() -> None:
    """Neither the list nor a token of it shows the secret or its digest."""
    made = created()
    shown = [invoke(*words, "-f", form).stdout for words in (("list",), ("show", made["token_id"])) for form in _FORMS]

    assert all(made["token_id"] in text for text in shown)
    assert not any(made["token"] in text or digest_of(made["token"]) in text for text in shown)


_FORMS = ("table", "json", "yaml", "csv", "value")


def test_tokens_are_listed_as_they_are() -> None:
    """The list says who each stands for and whether it still holds; `show` says the same of one."""
    first = created("--role", "Reader", "--expires-in", "30d")
    second = ok("create", "--role", "admin,reader", "--role", "reader", "--user", "ops")
    listed = ok("list")

    assert [first["token_id"], second["token_id"]] == [each["token_id"] for each in listed]
    assert [["reader"], ["admin", "reader"]] == [each["roles"] for each in listed]
    assert ["active", "active"] == [each["state"] for each in listed]
    assert ["p1", ""] == [each["project_id"] for each in listed]
    assert listed[0] == ok("show", first["token_id"])
    assert timedelta(days=30) == datetime.fromisoformat(listed[0]["expires_at"]) - datetime.fromisoformat(
        listed[0]["created_at"]
    )
    assert listed[1]["expires_at"] is None


def test_an_expired_token_is_listed_as_such(tmp_path: Path) -> None:
    """What no longer holds stays in the list, and says so."""
    created("--expires-in", "1s")
    database = Database.connect(f"sqlite:///{tmp_path}/alarmd-state/alarmd.db")
    with database.write() as unit:
        (made,) = unit.tokens.all()
        unit.connection.exec_driver_sql("UPDATE tokens SET expires_at = '2020-01-01 00:00:00.000000'")
    database.close()

    listed = ok("list")
    cleared = invoke("revoke", "--expired")

    assert [(made.token_id, "expired")] == [(each["token_id"], each["state"]) for each in listed]
    assert made.created_at <= datetime.now(UTC)
    assert (0, "Cleared away 1 expired token.\n") == (cleared.exit_code, cleared.stdout)
    assert [] == ok("list")


def test_a_revoked_token_is_gone() -> None:
    """Revoking takes the token away; doing it again, or to what never was, fails and says so."""
    made = created()
    done = invoke("revoke", made["token_id"])
    again = invoke("revoke", made["token_id"])

    assert (0, f"Token {made['token_id']} is revoked.\n") == (done.exit_code, done.stdout)
    assert (1, "") == (again.exit_code, again.stdout)
    assert "There is no token with the id" in again.stderr
    assert "alarmd token list" in again.stderr
    assert [] == ok("list")


def test_revoking_nothing_is_wrong_use() -> None:
    """Without an id and without --expired there is nothing to revoke."""
    result = invoke("revoke")

    assert 2 == result.exit_code
    assert "--expired" in result.stderr


def test_an_unknown_token_cannot_be_shown() -> None:
    """An id that is none ends with status 1, whatever characters it has."""
    created()

    assert [1, 1] == [invoke("show", token_id).exit_code for token_id in ("x", "\udc80")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--user", "ann"), "Name the --project"),
        (("--project", "p1"), "Missing option '--user'"),
        (("--project", "p1", "--user", "a", "--role", "member,"), "a role must be a word"),
        (("--project", "p1", "--user", "a", "--expires-in", "soon"), "'soon' is no duration"),
        (("--project", "p1", "--user", "a", "--expires-in", "0d"), "'0d' is no duration"),
        (("--project", "p1", "--user", "a", "--expires-in", "999999999w"), "a hundred years at most"),
        (("--project", "p1", "--user", "a", "--expires-in", "36501d"), "a hundred years at most"),
        (("--project", "p\udc80", "--user", "a"), "a character that no database keeps"),
    ],
)
def test_wrong_use_is_explained(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    """Wrong options end with status 2 before anything is made."""
    result = invoke("create", *arguments)

    assert 2 == result.exit_code
    assert told in " ".join(result.stderr.split())
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("auth", "noted"), [("loopback", True), ("tokens", False)])
def test_a_token_that_will_not_be_looked_at_is_noted(auth: str, noted: bool) -> None:
    """Who makes a token while another mode is set learns of it, on standard error."""
    result = invoke("create", "--project", "p1", "--user", "ann", ALARMD_API__AUTH=auth)

    assert noted == ('api.auth is "loopback"' in result.stderr)


@pytest.mark.parametrize("words", [("list",), ("show", "x"), ("revoke", "x")])
def test_nothing_is_made_by_looking(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A mistyped directory is an error, not an empty list in a new database."""
    result = invoke(*words, "--state-dir", str(tmp_path / "typo"))

    assert 1 == result.exit_code
    assert "Cannot use the SQLite database" in result.stderr
    assert [] == list(tmp_path.iterdir())


def test_a_server_without_the_schema_is_named(postgres_server: PostgresServer) -> None:
    """On PostgreSQL the schema is the operator's to make; until then the command says how."""
    with postgres_server.database() as url:
        result = invoke("create", "--project", "p1", "--user", "ann", ALARMD_STORE__URL=url)

    assert 1 == result.exit_code
    assert "alarmd db upgrade" in result.stderr
