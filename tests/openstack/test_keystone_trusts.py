# SPDX-License-Identifier: Apache-2.0
"""`trust+http` actions from the alarm to the receiver, with a real Keystone and a real `alarmd run`."""

import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests

from tests.openstack.keystone_service import PASSWORD, Keystone, Person, keystone
from tests.support.daemon import Daemon, daemon, wait_until
from tests.support.receivers import OK, Receiver, receiver

_RULE = {
    "meter_name": "cpu_util",
    "threshold": 80.0,
    "comparison_operator": "gt",
    "statistic": "avg",
    "period": 1,
    "evaluation_periods": 1,
}
#: What a receiver says to a token that it does not take.
_UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
_WAIT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A Keystone and an alarmd that asks it."""

    cloud: Keystone
    alarmd: Daemon

    def ask(self, method: str, path: str, token: str, body: Any = None) -> requests.Response:
        """Ask alarmd."""
        headers = {"X-Auth-Token": token}
        return requests.request(method, f"{self.alarmd.url}{path}", json=body, headers=headers, timeout=30)

    def create(self, token: str, *actions: str) -> dict[str, Any]:
        """Create an alarm that goes off above 80 % of one machine's CPU, with these actions."""
        answer = self.ask("POST", "/v2/alarms", token, _body(*actions))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def set_off(self, token: str) -> None:
        """Push a sample that sets the project's alarms off."""
        sample = {"metric": "cpu_util", "resource_id": "vm-1", "value": 97.0, "unit": "%", "type": "gauge"}
        answer = self.ask("POST", "/v3/samples", token, {"samples": [sample]})
        assert answer.status_code == 202, answer.text

    def delivery(self, token: str, alarm_id: str) -> dict[str, Any]:
        """Return an alarm's delivery once it has ended."""

        def look() -> dict[str, Any] | None:
            found = self.ask("GET", f"/v3/deliveries?alarm_id={alarm_id}", token).json()["deliveries"]
            return found[0] if found and found[0]["state"] != "pending" else None

        return wait_until(look, what="the delivery to end")


def _body(*actions: str, **changes: Any) -> dict[str, Any]:
    return {"name": "busy", "type": "threshold", "threshold_rule": _RULE, "alarm_actions": list(actions), **changes}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of its own for each module."""
    home = tmp_path_factory.mktemp("alarmd")
    with keystone(tmp_path_factory.mktemp("keystone")) as cloud:
        environ = {
            "ALARMD_API__AUTH": "keystone",
            "ALARMD_KEYSTONE__AUTH_URL": cloud.url,
            "ALARMD_KEYSTONE__PASSWORD": PASSWORD,
            "ALARMD_LOGGING__LEVEL": "debug",
        }
        with daemon(home / "state", environ=environ) as alarmd:
            yield Site(cloud=cloud, alarmd=alarmd)


@pytest.fixture
def ann(site: Site) -> Person:
    """A member of a project of her own."""
    return site.cloud.person("ann", "member")


@pytest.fixture
def heat() -> Iterator[Receiver]:
    """Whoever is to be called."""
    with receiver() as running:
        yield running


def _target(heat: Receiver, path: str = "/v1/p/stacks/a%2Fb/signal?c=%2B") -> str:
    return f"trust+{heat.url(path)}"


def test_the_receiver_gets_a_token_of_the_alarms_maker(site: Site, ann: Person, heat: Receiver) -> None:
    """The webhook goes to the plain URL with a token that Keystone knows as the maker's, got through the trust."""
    token = site.cloud.token(ann)
    alarm = site.create(token, _target(heat))
    [trust_id] = site.cloud.trusts_of(ann)
    site.set_off(token)
    [received] = heat.wait_for(1, timeout_s=_WAIT_S)
    said = site.cloud.whose(received.headers["x-auth-token"])

    assert b"POST /v1/p/stacks/a%2Fb/signal?c=%2B HTTP/1.1" == received.line.strip()
    assert f"127.0.0.1:{heat.port}" == received.headers["host"]
    assert "authorization" not in received.headers
    assert ("alarm", alarm["alarm_id"]) == (json.loads(received.body)["current"], json.loads(received.body)["alarm_id"])
    assert said is not None
    assert (ann.user_id, ann.project_id) == (said["user"]["id"], said["project"]["id"])
    assert trust_id == said["OS-TRUST:trust"]["id"]
    assert {"member", "reader"} == {role["name"] for role in said["roles"]}


def test_the_trust_is_never_shown(site: Site, ann: Person, heat: Receiver) -> None:
    """Neither alarms, lists, queries, histories and deliveries nor the log name a trust or a token."""
    token = site.cloud.token(ann)
    target = _target(heat)
    alarm = site.create(token, target)
    [trust_id] = site.cloud.trusts_of(ann)
    url = f"/v2/alarms/{alarm['alarm_id']}"
    site.set_off(token)
    [received] = heat.wait_for(1, timeout_s=_WAIT_S)
    site.delivery(token, alarm["alarm_id"])
    shown = [site.ask("GET", url, token), site.ask("PUT", url, token, {**alarm, "description": "anew"})]
    shown += [site.ask("GET", f"{path}", token) for path in ("/v2/alarms", f"{url}/history", "/v3/deliveries")]
    shown += [site.ask("POST", path, token, {}) for path in ("/v2/query/alarms", "/v2/query/alarms/history")]

    assert {200} == {answer.status_code for answer in shown}
    assert [target] * 2 == [answer.json()["alarm_actions"][0] for answer in shown[:2]]
    assert [] == [answer.url for answer in shown if trust_id in answer.text]
    assert all(secret not in site.alarmd.log for secret in (trust_id, token, received.headers["x-auth-token"]))


def test_a_change_keeps_the_trust_and_a_deletion_ends_it(site: Site, ann: Person, heat: Receiver) -> None:
    """An update that echoes the actions keeps the trust; the alarm's end is the trust's end."""
    token = site.cloud.token(ann)
    alarm = site.create(token, _target(heat), _target(heat, "/other"))
    url = f"/v2/alarms/{alarm['alarm_id']}"
    made = site.cloud.trusts_of(ann)
    changed = site.ask("PUT", url, token, {**alarm, "name": "anew"})

    assert 200 == changed.status_code
    assert (1, made) == (len(made), site.cloud.trusts_of(ann))
    assert 204 == site.ask("DELETE", url, token).status_code
    assert [] == site.cloud.trusts_of(ann)


def test_a_trust_ends_with_the_last_action_that_needs_it(site: Site, ann: Person, heat: Receiver) -> None:
    """An update without trust+ actions ends the trust."""
    token = site.cloud.token(ann)
    alarm = site.create(token, _target(heat))
    site.ask("PUT", f"/v2/alarms/{alarm['alarm_id']}", token, {**alarm, "alarm_actions": [heat.url()]})

    assert [] == site.cloud.trusts_of(ann)


@pytest.mark.parametrize("role", ["member", "admin"])
def test_others_who_delete_the_alarm_end_the_trust_too(site: Site, ann: Person, heat: Receiver, role: str) -> None:
    """A colleague may not end the maker's trust in Keystone, so alarmd ends it in the maker's own name."""
    alarm = site.create(site.cloud.token(ann), _target(heat))
    colleague = site.cloud.token(site.cloud.person("ben", role, project=ann.project_name))

    assert 204 == site.ask("DELETE", f"/v2/alarms/{alarm['alarm_id']}", colleague).status_code
    assert [] == site.cloud.trusts_of(ann)


def test_a_colleague_cannot_send_the_makers_token_elsewhere(site: Site, ann: Person, heat: Receiver) -> None:
    """Whoever names a new receiver gives a trust of their own; the maker's is ended."""
    alarm = site.create(site.cloud.token(ann), _target(heat))
    ben = site.cloud.person("ben", "member", project=ann.project_name)
    token = site.cloud.token(ben)
    changed = {**alarm, "alarm_actions": [_target(heat, "/mine")]}
    site.ask("PUT", f"/v2/alarms/{alarm['alarm_id']}", token, changed)
    site.set_off(token)
    [received] = heat.wait_for(1, timeout_s=_WAIT_S)
    said = site.cloud.whose(received.headers["x-auth-token"])

    assert said is not None
    assert ben.user_id == said["user"]["id"]
    assert ([], 1) == (site.cloud.trusts_of(ann), len(site.cloud.trusts_of(ben)))


def test_a_refused_token_is_replaced_once(site: Site, ann: Person, heat: Receiver) -> None:
    """A receiver that says 401 is asked again at once, with another token; a second 401 is the end."""
    heat.script = lambda connection, _: connection.sendall(_UNAUTHORIZED)
    token = site.cloud.token(ann)
    alarm = site.create(token, _target(heat))
    site.set_off(token)
    ended = site.delivery(token, alarm["alarm_id"])
    tokens = [received.headers["x-auth-token"] for received in heat.received]

    assert (2, 2) == (len(tokens), len(set(tokens)))
    assert ("buried", 1, 401) == (ended["state"], ended["attempts"], ended["last_status"])


def test_a_kept_token_that_was_revoked_is_replaced(site: Site, ann: Person, heat: Receiver) -> None:
    """When the receiver no longer takes the kept token, the same attempt succeeds with a new one."""

    def asks_keystone(connection: socket.socket, _: Event) -> None:
        token = heat.received[-1].headers["x-auth-token"]
        connection.sendall(OK if site.cloud.whose(token) else _UNAUTHORIZED)

    heat.script = asks_keystone
    token = site.cloud.token(ann)
    alarm = site.create(token, _target(heat))
    site.set_off(token)
    [first] = heat.wait_for(1, timeout_s=_WAIT_S)
    site.delivery(token, alarm["alarm_id"])
    site.cloud.revoke(first.headers["x-auth-token"])
    site.ask("PUT", f"/v2/alarms/{alarm['alarm_id']}/state", token, "ok")
    site.set_off(token)
    heat.wait_for(3, timeout_s=_WAIT_S)
    latest = site.delivery(token, alarm["alarm_id"])
    first_token, second_token, third_token = (each.headers["x-auth-token"] for each in heat.received)

    assert first_token == second_token != third_token
    assert ("delivered", 1) == (latest["state"], latest["attempts"])


def test_a_maker_who_lost_the_role_is_no_longer_acted_for(site: Site, ann: Person, heat: Receiver) -> None:
    """What the maker may not do, alarmd may not do in her name: the delivery is given up with the reason."""
    token = site.cloud.token(ann)
    ben = site.cloud.person("ben", "member", project=ann.project_name)
    alarm = site.create(token, _target(heat))
    site.cloud.take_role(ann, "member")
    site.set_off(site.cloud.token(ben))
    ended = site.delivery(site.cloud.token(ben), alarm["alarm_id"])

    assert ("buried", 1) == (ended["state"], ended["attempts"])
    assert "Keystone gives no token through the trust" in ended["last_error"]
    assert [] == heat.received


def test_a_trust_that_cannot_be_ended_is_logged(site: Site, ann: Person, heat: Receiver) -> None:
    """Where the maker has lost the role and somebody else deletes the alarm, the log names what is left over."""
    alarm = site.create(site.cloud.token(ann), _target(heat))
    [trust_id] = site.cloud.trusts_of(ann)
    ben = site.cloud.token(site.cloud.person("ben", "member", project=ann.project_name))
    site.cloud.take_role(ann, "member")
    deleted = site.ask("DELETE", f"/v2/alarms/{alarm['alarm_id']}", ben)

    assert 204 == deleted.status_code
    assert [trust_id] == [
        each["trust_id"]
        for each in map(json.loads, re.findall(r"^{.*}$", site.alarmd.log, re.MULTILINE))
        if each.get("event") == "trust_leaked"
    ]


def test_a_trust_that_was_ended_elsewhere_is_told_from_a_wrong_password(
    site: Site, ann: Person, heat: Receiver
) -> None:
    """When the maker has ended the trust itself, the delivery says so and is not tried again."""
    token = site.cloud.token(ann)
    alarm = site.create(token, _target(heat))
    [trust_id] = site.cloud.trusts_of(ann)
    site.cloud.ask("DELETE", f"/OS-TRUST/trusts/{trust_id}", token=token)
    site.set_off(token)
    ended = site.delivery(token, alarm["alarm_id"])

    assert ("buried", 1) == (ended["state"], ended["attempts"])
    assert "Keystone knows no such trust" in ended["last_error"]
    assert 204 == site.ask("DELETE", f"/v2/alarms/{alarm['alarm_id']}", token).status_code


def test_a_token_that_cannot_give_a_trust_is_refused_with_the_reason(site: Site, ann: Person, heat: Receiver) -> None:
    """A restricted application credential makes plain alarms, and none whose actions need a trust."""
    path = f"/users/{ann.user_id}/application_credentials"
    wanted = {"application_credential": {"name": "app", "secret": "s"}}
    made = site.cloud.ask("POST", path, wanted, token=site.cloud.token(ann))
    token = site.cloud.credential_token(made["application_credential"]["id"], secret="s")
    refused = site.ask("POST", "/v2/alarms", token, _body(_target(heat)))

    assert 201 == site.ask("POST", "/v2/alarms", token, _body(heat.url())).status_code
    assert 403 == refused.status_code
    assert refused.json()["error_message"]["faultstring"].startswith("There is no trust for the trust+ actions.")


def test_the_trust_is_stored_once(site: Site, ann: Person, heat: Receiver) -> None:
    """In the database the trust stands in a column of its own, and not in the actions."""
    alarm = site.create(site.cloud.token(ann), _target(heat))
    [trust_id] = site.cloud.trusts_of(ann)
    path = Path(site.alarmd.state_dir) / "alarmd.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        query = "SELECT trust_id, alarm_actions FROM alarms WHERE alarm_id = ?"
        [(stored, actions)] = database.execute(query, [alarm["alarm_id"]]).fetchall()

    assert trust_id == stored
    assert trust_id not in actions
