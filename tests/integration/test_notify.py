# SPDX-License-Identifier: Apache-2.0
"""`alarmd notify test` against receivers on loopback, with a settings file and no daemon."""

import json
import ssl
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook

from alarmd.cli.main import main
from alarmd.model.secret import SigningSecret
from tests.support.cloud import cloud
from tests.support.receivers import answers, hangs, make_certificate, make_expired_certificate, receiver
from tests.support.rest import new_database

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = f"whsec_{b64encode(bytes(range(32))).decode()}"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in a directory of the test's own, and keep the environment of whoever runs the tests out of it."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("ALARMD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str, **settings: str) -> Result:
    environ = {f"ALARMD_{name}": value for name, value in settings.items()}
    return CliRunner().invoke(main, ["notify", "test", *arguments], env=environ)


def probe(*arguments: str, expected_code: int = 0, **settings: str) -> dict[str, Any]:
    """Send a probe and return what is told of it as JSON."""
    result = invoke(*arguments, "--format", "json", **settings)
    assert expected_code == result.exit_code, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def step(told: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in told["steps"] if one["step"] == name)
    return found


def names(told: dict[str, Any]) -> list[str]:
    return [one["step"] for one in told["steps"]]


def test_a_probe_is_a_signed_webhook_and_every_step_is_shown() -> None:
    """The receiver gets Aodh's body, signed with the configured secret; what is shown holds no secret of the URL."""
    with receiver() as listening:
        url = listening.url("/hook?Signature=hush", host="localhost")
        told = probe(url, NOTIFIER__SECRET=SECRET)
        (received,) = listening.received
    shown = step(told, "request")

    Webhook(SECRET).verify(received.body, received.headers)
    assert {"alarm_id", "alarm_name", "severity", "previous", "current", "reason", "reason_data"} == set(
        json.loads(received.body)
    )
    assert b"POST /hook?Signature=hush HTTP/1.1" == received.line
    assert ["url", "lookup", "address", "connect", "request", "answer"] == names(told)
    assert "delivered" == told["outcome"]
    assert "127.0.0.1" in step(told, "lookup")["addresses"]
    assert received.headers["webhook-signature"] == shown["headers"]["webhook-signature"]
    assert received.body.decode() == shown["body"]
    assert 200 == step(told, "answer")["status"]
    assert all(one["took_ms"] >= 0 for one in told["steps"])
    assert "hush" not in json.dumps(told)


def test_a_secret_can_be_given_and_has_to_be_one() -> None:
    """It signs instead of those in the settings."""
    with receiver() as listening:
        probe(listening.url(), "--secret", OTHER, NOTIFIER__SECRET=SECRET)
        (received,) = listening.received
    refused = invoke("http://127.0.0.1:1/", "--secret", "whsec_short")

    Webhook(OTHER).verify(received.body, received.headers)
    assert 1 == refused.exit_code
    assert "not a Standard Webhooks secret" in refused.output


def test_a_projects_own_secret_signs_its_probes(tmp_path: Path) -> None:
    """It is read from the database itself; without a database, or without one, the installation's does."""
    with receiver() as listening:
        probe(listening.url(), "--project", "p1", NOTIFIER__SECRET=SECRET)
        (tmp_path / "alarmd-state").mkdir()
        database = new_database(tmp_path / "alarmd-state")
        with database.write() as unit:
            unit.secrets.add(
                SigningSecret(secret_id="s1", project_id="p1", name="default", value=OTHER, created_at=NOW)
            )
        database.close()
        for project_id in ("p1", "p2"):
            probe(listening.url(), "--project", project_id, NOTIFIER__SECRET=SECRET)
        before, own, others = listening.received

    for received, secret in ((before, SECRET), (own, OTHER), (others, SECRET)):
        Webhook(secret).verify(received.body, received.headers)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://169.254.169.254/latest?token=hush", "metadata"),
        ("http://user:hush@host/", "names a user"),
        ("ftp://host/", "Unsupported action"),
        ("trust+http://10.0.0.1/", "test the URL without trust+"),
    ],
)
def test_what_an_alarm_could_not_have_is_refused_before_anything_is_sent(url: str, words: str) -> None:
    """The verdict is that of the API."""
    told = probe(url, expected_code=1)

    assert "refused" == told["outcome"]
    assert words in told["steps"][-1]["error"]
    assert "hush" not in json.dumps(told)


def test_the_rules_of_the_project_count() -> None:
    """What one project may, a probe for it may too."""
    settings: dict[str, Any] = {"API__LISTEN": "192.0.2.1:1", "API__AUTH": "tokens"}
    rules = json.dumps({"p1": {"allow_hosts": ["localhost"]}})
    with receiver() as listening:
        url = listening.url(host="localhost")
        refused = probe(url, expected_code=1, **settings, NOTIFIER__PROJECTS=rules)
        taken = probe(url, "--project", "p1", **settings, NOTIFIER__PROJECTS=rules)

    assert ("refused", "delivered") == (refused["outcome"], taken["outcome"])


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("204 No Content", "delivered"), ("503 Busy", "would be tried again"), ("410 Gone", "would be given up")],
)
def test_what_would_become_of_a_delivery_is_told(status: str, outcome: str) -> None:
    """And the exit code says whether it was taken."""
    raw = f"HTTP/1.1 {status}\r\nRetry-After: 7\r\nSet-Cookie: hush\r\nContent-Length: 0\r\n\r\n".encode()
    with receiver(answers(raw)) as listening:
        told = probe(listening.url(), expected_code=0 if status.startswith("2") else 1)

    assert outcome == told["outcome"]
    assert ("asks to wait 7 s" in told["reason"]) is status.startswith("503")
    assert "hush" not in json.dumps(told)


def test_where_it_fails_is_the_last_step() -> None:
    """Nobody there, no such name, nobody answers: each is told where it happens."""
    with receiver(hangs) as listening:
        silent = probe(listening.url(), expected_code=1, NOTIFIER__TIMEOUT_S="0.3")
    closed = probe(listening.url(), expected_code=1)
    unknown = probe("http://nowhere.invalid/", expected_code=1)

    assert ["url", "connect", "request", "answer"] == names(silent)
    assert "timed out" in silent["steps"][-1]["error"]
    assert ["url", "connect"] == names(closed)
    assert "Connection refused" == closed["steps"][-1]["error"]
    assert ["url", "lookup"] == names(unknown)


def _tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_certificates_are_shown_with_their_dates(tmp_path: Path) -> None:
    """Of one that holds, who it is of and until when; of one that does not, why."""
    good, old = make_certificate(tmp_path), make_expired_certificate(tmp_path)
    with receiver(tls=_tls(good)) as listening:
        Path("alarmd.toml").write_text(f'[notifier.schemes.https]\nca_file = "{good}"\n')
        told = probe(listening.url(host="localhost"), "--config", "alarmd.toml")
    with receiver(tls=_tls(old)) as listening:
        expired = probe(listening.url(host="localhost"), expected_code=1)
    shown = step(told, "tls")

    assert ("commonName=localhost", "commonName=localhost") == (shown["subject"], shown["issuer"])
    assert ["localhost"] == shown["names"]
    assert str(datetime.now(UTC).year) in shown["not_before"]
    assert shown["not_after"]
    assert shown["verified"]
    assert "tls" == expired["steps"][-1]["step"]
    assert "would be given up" == expired["outcome"]


def test_people_see_a_table() -> None:
    """The headers stand in lines of their own, and the end says how it went."""
    with receiver() as listening:
        result = invoke(listening.url())

    assert 0 == result.exit_code
    assert "webhook-id: probe-" in result.stdout
    assert "delivered after" in result.stderr


def test_a_message_for_zaqar_is_shown_step_by_step() -> None:
    """Keystone's word on where Zaqar is, and each call of Zaqar, without tokens and queries of URLs."""
    with cloud() as site:
        target = "zaqar://?topic=cpu&subscriber=http%3A%2F%2F127.0.0.1%2F%3FSignature%3D%22hush"
        told = probe(target, KEYSTONE__AUTH_URL=f"{site.url}/v3", KEYSTONE__PASSWORD="x")
    requests = [one for one in told["steps"] if one["step"] == "request"]

    assert "delivered" == told["outcome"]
    assert ["url", "keystone", "connect", "request", "answer", "request", "answer"] == [
        name for name in names(told) if name not in {"lookup", "address"}
    ]
    assert step(told, "keystone")["queue"].endswith("-cpu")
    assert [1, 1] == [len(site.subscriptions), len(site.messages)]
    assert ["********"] * 2 == [one["headers"]["X-Auth-Token"] for one in requests]
    assert 'http://127.0.0.1/?Signature="hush' == site.subscriptions[0][1]["subscriber"]
    assert "hush" not in json.dumps(told)


def test_a_probe_for_the_log_is_a_line_beside_what_is_shown() -> None:
    """The line goes to standard error, so that programs can read what is shown; one for nobody is shown alike."""
    logged, silent = (invoke(target, "--format", "json") for target in ("log:", "test:"))
    told = [json.loads(result.stdout) for result in (logged, silent)]

    assert "alarm_notified" in logged.stderr
    assert [("delivered", ["url"])] * 2 == [(one["outcome"], names(one)) for one in told]
