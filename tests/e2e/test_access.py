# SPDX-License-Identifier: Apache-2.0
"""The way in, at a real daemon: tokens from the command line, a policy file, a limit on requests."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from http.client import HTTPConnection
from pathlib import Path

import requests

from tests.support.daemon import Daemon, daemon


def _alarmd(*arguments: str, environ: Mapping[str, str]) -> str:
    """Run a command to its good end and return what it printed."""
    command = [sys.executable, "-m", "alarmd", *arguments]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ALARMD_", "STATE_DIRECTORY"))}
    done = subprocess.run(command, env={**inherited, **environ}, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _status(running: Daemon, secret: str) -> int:
    return requests.get(f"{running.url}/v2/alarms", headers={"X-Auth-Token": secret}, timeout=10).status_code


def test_tokens_open_the_door_until_they_are_revoked(tmp_path: Path) -> None:
    """The first token is made before there is a daemon; clients get in with it; revoking counts at once."""
    environ = {"ALARMD_STATE_DIR": str(tmp_path / "state"), "ALARMD_API__AUTH": "tokens"}
    made = _alarmd("token", "create", "--project", "p1", "--user", "ann", "-f", "value", environ=environ).splitlines()
    secret, token_id = made[0], made[1]
    with daemon(tmp_path / "state", environ=environ) as running:
        client = environ | {"ALARMD_URL": running.url, "ALARMD_TOKEN": secret}
        listed = _alarmd("alarm", "list", "-f", "json", environ=client)
        before = [_status(running, secret), _status(running, f"{secret}x")]
        _alarmd("token", "revoke", token_id, environ=environ)
        after = _status(running, secret)

    assert "[]" == listed
    assert [200, 401] == before
    assert 401 == after


def test_other_machines_are_let_in_with_tokens(tmp_path: Path) -> None:
    """On an address that others reach alarmd starts with tokens, and not with the trust it has in loopback."""
    options = ("--listen", "0.0.0.0:0")
    with daemon(tmp_path / "open", options=options, await_ready=False) as refused:
        status = refused.process.wait(20)
    with daemon(tmp_path / "closed", options=options, environ={"ALARMD_API__AUTH": "tokens"}) as running:
        answered = _status(running, "")

    assert 0 != status
    assert all(f'"{mode}"' in refused.log for mode in ("tokens", "keystone", "trusted-headers"))
    assert 401 == answered


def test_a_header_spelt_with_underscores_is_none(tmp_path: Path) -> None:
    """A client cannot slip roles past a proxy that sets `X-Roles`, by a name that gateways take for the same."""
    with daemon(tmp_path / "state", environ={"ALARMD_API__AUTH": "trusted-headers"}) as running:
        headers = {"X-Project-Id": "p1", "X-Roles": "reader", "X_Roles": "admin", "x_project_id": "p2"}
        everything = requests.get(
            f"{running.url}/v2/alarms?q.field=all_projects&q.value=1", headers=headers, timeout=10
        )
        nobody = requests.get(f"{running.url}/v2/alarms", headers={"X_Roles": "admin"}, timeout=10)

    assert [403, 403] == [everything.status_code, nobody.status_code]


def test_who_is_calling_is_said_once_and_plainly(tmp_path: Path) -> None:
    """Of two headers one is the client's; and a name with a blank is one that a proxy may have passed over."""
    forged = (("X-Roles", "reader"), ("X-Roles", "admin")), (("X-Roles", "reader"), ("X-Roles ", "admin"))
    with daemon(tmp_path / "state", environ={"ALARMD_API__AUTH": "trusted-headers"}) as running:
        answers = [_raw_status(running, (("X-Project-Id", "p1"), *headers)) for headers in forged]
        plain = _raw_status(running, (("X-Project-Id", "p1"), ("X-Roles", "reader")))

    assert [400, 400] == answers
    assert 200 == plain


def _raw_status(running: Daemon, headers: Iterable[tuple[str, str]]) -> int:
    """Ask with headers just as they are, which clients' libraries would tidy up."""
    connection = HTTPConnection(running.url.removeprefix("http://"), timeout=10)
    connection.putrequest("GET", "/v2/alarms")
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_policy_and_limit_are_in_force(tmp_path: Path) -> None:
    """A rule of the policy file holds, one that is changed holds without a restart, and a flood is refused."""
    policy = tmp_path / "policy.yaml"
    policy.write_text('"telemetry:get_alarms": "role:watcher"')
    environ = {
        "ALARMD_API__AUTH": "trusted-headers",
        "ALARMD_API__POLICY_FILE": str(policy),
        "ALARMD_API__REQUESTS_PER_SECOND_PER_PROJECT": "50",
    }
    with daemon(tmp_path / "state", environ=environ) as running, requests.Session() as session:

        def ask(role: str) -> requests.Response:
            headers = {"X-Project-Id": "p1", "X-Roles": role}
            return session.get(f"{running.url}/v2/alarms", headers=headers, timeout=10)

        before = [ask("watcher").status_code, ask("reader").status_code]
        policy.write_text('"telemetry:get_alarms": "role:reader or role:nobody"')
        after = [ask("watcher").status_code, ask("reader").status_code]
        flood = [ask("reader") for _ in range(200)]

    assert [200, 403] == before
    assert [403, 200] == after
    refused = [answer for answer in flood if answer.status_code == 429]
    assert refused
    assert {"1"} == {answer.headers["Retry-After"] for answer in refused}
