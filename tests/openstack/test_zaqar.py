# SPDX-License-Identifier: Apache-2.0
"""Actions that post to queues, with a real Zaqar, a real Keystone and a real `alarmd run`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from tests.openstack.keystone_service import PASSWORD, Keystone, Person, keystone
from tests.openstack.zaqar_service import Zaqar, zaqar
from tests.support.daemon import Daemon, daemon, wait_until
from tests.support.servers import RedisServer

_RULE = {
    "meter_name": "cpu_util",
    "threshold": 80.0,
    "comparison_operator": "gt",
    "statistic": "avg",
    "period": 1,
    "evaluation_periods": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A Keystone, a Zaqar, and an alarmd that uses both."""

    cloud: Keystone
    zaqar: Zaqar
    alarmd: Daemon

    def ask(self, method: str, path: str, token: str, body: Any = None) -> requests.Response:
        """Ask alarmd."""
        headers = {"X-Auth-Token": token}
        return requests.request(method, f"{self.alarmd.url}{path}", json=body, headers=headers, timeout=30)

    def fire(self, token: str, action: str) -> dict[str, Any]:
        """Have an alarm with this action go off, and return its delivery once that has ended."""
        body = {"name": "busy", "type": "threshold", "threshold_rule": _RULE, "alarm_actions": [action]}
        made = self.ask("POST", "/v2/alarms", token, body)
        assert made.status_code == 201, made.text
        alarm_id = made.json()["alarm_id"]
        sample = {"metric": "cpu_util", "resource_id": "vm-1", "value": 97.0, "unit": "%", "type": "gauge"}
        assert self.ask("POST", "/v3/samples", token, {"samples": [sample]}).status_code == 202

        def look() -> dict[str, Any] | None:
            found = self.ask("GET", f"/v3/deliveries?alarm_id={alarm_id}", token).json()["deliveries"]
            return found[0] if found and found[0]["state"] != "pending" else None

        return wait_until(look, what="the delivery to end")


@pytest.fixture(scope="module")
def site(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site."""
    redis_server.flush()
    with (
        keystone(tmp_path_factory.mktemp("keystone")) as cloud,
        zaqar(tmp_path_factory.mktemp("zaqar"), cloud=cloud, redis=redis_server) as queues,
    ):
        environ = {
            "ALARMD_API__AUTH": "keystone",
            "ALARMD_KEYSTONE__AUTH_URL": cloud.url,
            "ALARMD_KEYSTONE__PASSWORD": PASSWORD,
        }
        with daemon(tmp_path_factory.mktemp("alarmd") / "state", environ=environ) as alarmd:
            yield Site(cloud=cloud, zaqar=queues, alarmd=alarmd)


@pytest.fixture
def ann(site: Site) -> Person:
    """A member of a project of her own."""
    return site.cloud.person("ann", "member")


def test_a_message_is_posted_in_the_makers_name(site: Site, ann: Person) -> None:
    """`trust+zaqar` reaches the queue of the maker's project, with Aodh's body; both spellings of Heat's URL do."""
    token = site.cloud.token(ann)
    ended = site.fire(token, "trust+zaqar://?queue_name=healing")
    [body] = site.zaqar.messages("healing", token=token)

    assert ("delivered", 201) == (ended["state"], ended["last_status"])
    assert ended["body"] == body
    assert {"alarm_id", "alarm_name", "severity", "previous", "current", "reason", "reason_data"} == set(body)
    assert "delivered" == site.fire(token, "trust+zaqar:?queue_name=other")["state"]
    assert 1 == len(site.zaqar.messages("other", token=token))


def test_a_topic_has_a_queue_in_alarmds_project_and_subscribers(site: Site, ann: Person) -> None:
    """`zaqar://?topic=` posts to a queue named after alarm and topic, and subscribes whom the action names."""
    subscribers = ["mailto:ops@example.org", "http://hooks.example/zaqar"]
    arguments = urlencode({"topic": "cpu", "subscriber": subscribers, "ttl": 600}, doseq=True)
    ended = site.fire(site.cloud.token(ann), f"zaqar://?{arguments}")
    queue = f"{ended['alarm_id']}-cpu"
    own = site.cloud.token("alarmd", project="service")
    found = site.zaqar.ask("GET", f"/queues/{queue}/subscriptions", token=own)["subscriptions"]

    assert "delivered" == ended["state"]
    assert [ended["body"]] == site.zaqar.messages(queue, token=own)
    assert {(each, 600) for each in subscribers} == {(each["subscriber"], each["ttl"]) for each in found}


def test_what_zaqar_has_signed_is_shown_to_it(site: Site, ann: Person) -> None:
    """A pre-signed URL lets alarmd post to the one queue that it was signed for; a forged one lets it post to none."""
    token = site.cloud.token(ann)
    wanted = {"paths": ["messages"], "methods": ["POST"]}
    signed = site.zaqar.ask("POST", "/queues/signed/share", token=token, body=wanted)
    arguments = {
        "queue_name": "signed",
        "project_id": signed["project"],
        "paths": ",".join(signed["paths"]),
        "methods": ",".join(signed["methods"]),
        "expires": signed["expires"],
        "signature": signed["signature"],
    }
    good = site.fire(token, f"zaqar://?{urlencode(arguments, quote_via=quote)}")
    forged = site.fire(token, f"zaqar://?{urlencode(arguments | {'queue_name': 'another'}, quote_via=quote)}")

    assert ("delivered", 201) == (good["state"], good["last_status"])
    assert [good["body"]] == site.zaqar.messages("signed", token=token)
    assert "buried" == forged["state"]
    assert 400 <= forged["last_status"] < 500


@pytest.mark.parametrize(
    "action",
    [
        "zaqar://",
        "zaqar://?queue_name=q",
        "zaqar://?topic=a/b",
        "zaqar://?topic=a&ttl=x",
        "trust+zaqar://",
        "trust+zaqar://?queue_name=..",
        "zaqar://?topic=a&subscriber=http://169.254.169.254/",
    ],
)
def test_what_zaqar_could_not_do_is_refused(site: Site, ann: Person, action: str) -> None:
    """An action that could never be taken is refused when the alarm is written, and leaves no trust behind."""
    body = {"name": "busy", "type": "threshold", "threshold_rule": _RULE, "alarm_actions": [action]}

    assert 400 == site.ask("POST", "/v2/alarms", site.cloud.token(ann), body).status_code
    assert [] == site.cloud.trusts_of(ann)
