# SPDX-License-Identifier: Apache-2.0
"""Callers that a real Keystone knows, before a real `alarmd run`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.openstack import programs
from tests.openstack.keystone_service import PASSWORD, REGION, Keystone, Person, impatient, keystone
from tests.support.daemon import Daemon, daemon, wait_until

_RULE = {"meter_name": "cpu_util", "threshold": 80.0, "comparison_operator": "gt", "statistic": "avg", "period": 60}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    """A Keystone."""
    with keystone(tmp_path_factory.mktemp("keystone")) as running:
        yield running


@pytest.fixture(scope="module")
def alarmd(cloud: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that asks Keystone about every token, each time."""
    home = tmp_path_factory.mktemp("alarmd")
    (home / "password").write_text(f"{PASSWORD}\n")
    environ = {
        "ALARMD_API__AUTH": "keystone",
        "ALARMD_KEYSTONE__AUTH_URL": cloud.url,
        "ALARMD_KEYSTONE__PASSWORD_FILE": str(home / "password"),
        "ALARMD_KEYSTONE__TOKEN_CACHE_S": "0",
        "ALARMD_LOGGING__LEVEL": "debug",
    }
    with daemon(home / "state", environ=environ) as running:
        cloud.endpoint("alarming", "alarmd", running.url)
        yield running


@pytest.fixture(scope="module")
def ann(cloud: Keystone) -> Person:
    """A member of a project."""
    return cloud.person("ann", "member")


def _ask(
    alarmd: Daemon, method: str, path: str, token: str = "", body: Any = None, **headers: str
) -> requests.Response:
    sent = {**headers, **({"X-Auth-Token": token} if token else {})}
    return requests.request(method, f"{alarmd.url}{path}", json=body, headers=sent, timeout=20)


def _body(**changes: Any) -> dict[str, Any]:
    return {"name": "busy", "type": "threshold", "threshold_rule": _RULE, **changes}


def _fault(answer: requests.Response) -> str:
    text: str = answer.json()["error_message"]["faultstring"]
    return text


@pytest.mark.parametrize("token", ["", "garbage", "gAAAAABm" + "x" * 200])
def test_callers_without_a_valid_token_are_told_where_to_get_one(alarmd: Daemon, cloud: Keystone, token: str) -> None:
    """Whoever shows no token, or none of Keystone's, gets an error object and Keystone's address."""
    answer = _ask(alarmd, "GET", "/v2/alarms", token)

    assert 401 == answer.status_code
    assert f'Keystone uri="{cloud.url}"' == answer.headers["WWW-Authenticate"]
    assert "Retry-After" not in answer.headers
    assert "requires authentication" in _fault(answer)


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/openapi.json"])
def test_probes_need_no_token(alarmd: Daemon, path: str) -> None:
    """What is open to anybody is open without a token and with a wrong one."""
    assert 200 == _ask(alarmd, "GET", path).status_code
    assert 200 == _ask(alarmd, "GET", path, "garbage").status_code


def test_a_member_makes_alarms_of_the_own_project(alarmd: Daemon, cloud: Keystone, ann: Person) -> None:
    """The alarm belongs to the token's user and project, whatever the client's headers say."""
    claims = {"X-User-Id": "me", "X-Project-Id": "elsewhere", "X-Roles": "admin", "X-Identity-Status": "Confirmed"}
    made = _ask(alarmd, "POST", "/v2/alarms", cloud.token(ann), _body(), **claims)

    assert 201 == made.status_code
    assert (ann.project_id, ann.user_id) == (made.json()["project_id"], made.json()["user_id"])


def test_a_reader_only_reads(alarmd: Daemon, cloud: Keystone, ann: Person) -> None:
    """The role reader lists the project's alarms and makes none, also when its headers claim more."""
    reader = cloud.token(cloud.person("reader", "reader", project=ann.project_name))

    assert 200 == _ask(alarmd, "GET", "/v2/alarms", reader).status_code
    assert 403 == _ask(alarmd, "POST", "/v2/alarms", reader, _body(), **{"X-Roles": "admin"}).status_code


def test_other_projects_are_hidden(alarmd: Daemon, cloud: Keystone, ann: Person) -> None:
    """Another project's alarm is not found, and naming that project is refused."""
    alarm_id = _ask(alarmd, "POST", "/v2/alarms", cloud.token(ann), _body()).json()["alarm_id"]
    bob = cloud.token(cloud.person("bob", "member"))

    assert 404 == _ask(alarmd, "GET", f"/v2/alarms/{alarm_id}", bob).status_code
    assert 404 == _ask(alarmd, "DELETE", f"/v2/alarms/{alarm_id}", bob).status_code
    assert 401 == _ask(alarmd, "POST", "/v2/alarms", bob, _body(project_id=ann.project_id)).status_code


def test_an_admin_sees_every_project(alarmd: Daemon, cloud: Keystone, ann: Person) -> None:
    """The role admin finds another project's alarm."""
    alarm_id = _ask(alarmd, "POST", "/v2/alarms", cloud.token(ann), _body()).json()["alarm_id"]
    admin = cloud.token(cloud.person("root", "admin"))

    assert 200 == _ask(alarmd, "GET", f"/v2/alarms/{alarm_id}", admin).status_code


def test_a_token_for_no_project_may_do_nothing(alarmd: Daemon, cloud: Keystone, ann: Person) -> None:
    """A token that was asked for without a project has no roles."""
    assert 403 == _ask(alarmd, "GET", "/v2/alarms", cloud.token(ann, project="")).status_code


def test_a_revoked_token_no_longer_counts(alarmd: Daemon, cloud: Keystone, ann: Person) -> None:
    """A token that has been ended is refused."""
    token = cloud.token(ann)
    before = _ask(alarmd, "GET", "/v2/alarms", token).status_code
    cloud.revoke(token)

    assert (200, 401) == (before, _ask(alarmd, "GET", "/v2/alarms", token).status_code)


def test_an_expired_token_no_longer_counts(alarmd: Daemon, cloud: Keystone, ann: Person) -> None:
    """A token counts until its time is over, and then no more."""
    with impatient(cloud, expiration_s=4) as short_lived:
        token = short_lived.token(ann)
    before = _ask(alarmd, "GET", "/v2/alarms", token).status_code

    assert 200 == before
    wait_until(lambda: _ask(alarmd, "GET", "/v2/alarms", token).status_code == 401, what="the end of a token's time")


def test_a_credential_may_be_confined_to_single_questions(alarmd: Daemon, cloud: Keystone, ann: Person) -> None:
    """The access rules of an application credential are kept: this one may list alarms, and nothing else."""
    rules = [{"service": "alarming", "method": "GET", "path": "/v2/alarms"}]
    wanted = {"name": "lister", "secret": "s", "access_rules": rules}
    path = f"/users/{ann.user_id}/application_credentials"
    made = cloud.ask("POST", path, {"application_credential": wanted}, token=cloud.token(ann))
    token = cloud.credential_token(made["application_credential"]["id"], secret="s")

    assert 200 == _ask(alarmd, "GET", "/v2/alarms", token).status_code
    assert 401 == _ask(alarmd, "GET", "/v2/quotas", token).status_code
    assert 401 == _ask(alarmd, "POST", "/v2/alarms", token, _body()).status_code


def test_nothing_secret_is_logged(alarmd: Daemon, cloud: Keystone, ann: Person) -> None:
    """At the level debug too, neither tokens nor alarmd's own password stand in the log."""
    token = cloud.token(ann)
    _ask(alarmd, "GET", "/v2/alarms", token)
    _ask(alarmd, "GET", "/v2/alarms", "garbage-token")

    assert [] == [secret for secret in (token, "garbage-token", PASSWORD) if secret in alarmd.log]


def test_aodhclient_finds_alarmd_in_the_catalogue(alarmd: Daemon, cloud: Keystone, ann: Person, tmp_path: Path) -> None:
    """The client logs in with a password, finds the service type alarming in the catalogue, and lists alarms."""
    alarm_id = _ask(alarmd, "POST", "/v2/alarms", cloud.token(ann), _body(name="seen")).json()["alarm_id"]
    variables = {
        "OS_AUTH_URL": cloud.url,
        "OS_USERNAME": ann.name,
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": ann.project_name,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": REGION,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_AUTH_TYPE": "password",
    }
    listed = programs.run(["aodh", "alarm", "list", "-f", "json"], home=tmp_path, variables=variables)

    assert 0 == listed.returncode, listed.stderr
    assert alarm_id in {alarm["alarm_id"] for alarm in json.loads(listed.stdout)}
