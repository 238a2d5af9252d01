# SPDX-License-Identifier: Apache-2.0
"""Load balancers' members, found through a real Keystone's catalogue and read with tokens that it made."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.openstack.keystone_service import PASSWORD, Keystone, Person, keystone
from tests.support.daemon import Daemon, daemon, wait_until
from tests.support.octavia import Octavia, octavia

_LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A Keystone, an Octavia that believes its tokens, and an alarmd that asks both."""

    cloud: Keystone
    pools: Octavia
    alarmd: Daemon

    def watch(self, person: Person, pool_id: str) -> str:
        """Have somebody make an alarm on a pool; return its id."""
        rule = {"pool_id": pool_id, "stack_id": "s", "autoscaling_group_id": "g"}
        body = {"name": "members", "type": "loadbalancer_member_health", "loadbalancer_member_health_rule": rule}
        answer = self._ask("POST", "/v2/alarms", person, body)
        assert answer.status_code == 201, answer.text
        alarm_id: str = answer.json()["alarm_id"]
        return alarm_id

    def await_state(self, person: Person, alarm_id: str, state: str) -> None:
        """Wait until an alarm is in a state."""
        path = f"/v2/alarms/{alarm_id}/state"
        wait_until(lambda: self._ask("GET", path, person).json() == state, what=state)

    def reason(self, person: Person, alarm_id: str) -> str:
        """Return why an alarm is in its state."""
        return str(self._ask("GET", f"/v2/alarms/{alarm_id}", person).json()["state_reason"])

    def _ask(self, method: str, path: str, person: Person, body: Any = None) -> requests.Response:
        headers = {"X-Auth-Token": self.cloud.token(person)}
        return requests.request(method, f"{self.alarmd.url}{path}", json=body, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of its own for this module."""
    home = tmp_path_factory.mktemp("alarmd")
    with keystone(tmp_path_factory.mktemp("keystone")) as cloud, octavia() as pools:
        cloud.endpoint("load-balancer", "octavia", pools.url)
        environ = {
            "ALARMD_API__AUTH": "keystone",
            "ALARMD_KEYSTONE__AUTH_URL": cloud.url,
            "ALARMD_KEYSTONE__PASSWORD": PASSWORD,
            "ALARMD_KEYSTONE__INTERFACE": "public",
            "ALARMD_OCTAVIA__FROM_CATALOGUE": "true",
            "ALARMD_OCTAVIA__INTERVAL_S": "0.3",
            "ALARMD_EVALUATOR__TICK_S": "0.2",
        }

        def is_alarmd(token: str | None) -> bool:
            said = cloud.whose(token) if token else None
            return said is not None and said["user"]["name"] == "alarmd"

        pools.believes = is_alarmd
        with daemon(home / "state", environ=environ) as running:
            yield Site(cloud=cloud, pools=pools, alarmd=running)


def test_a_members_error_reaches_the_alarm(site: Site) -> None:
    """Octavia is where the catalogue says, and is shown a token of alarmd's own user."""
    ann = site.cloud.person("ann-of-pools", "member")
    site.pools.add_pool("pool-1", project_id=ann.project_id)
    member = site.pools.add_member("pool-1", "m1", created_at=_LONG_AGO)
    alarm_id = site.watch(ann, "pool-1")
    site.await_state(ann, alarm_id, "ok")
    member["operating_status"] = "ERROR"

    site.await_state(ann, alarm_id, "alarm")
    assert site.reason(ann, alarm_id).startswith("Transition to alarm due to 1 members unhealthy, most recent: {")


def test_a_pool_of_another_project_tells_nothing(site: Site) -> None:
    """Whoever knows its id learns no more than whether its own project has such a pool."""
    eve, site_pools = site.cloud.person("eve-of-pools", "member"), site.pools
    site_pools.add_pool("pool-2", project_id="somebody-else")
    site_pools.add_member("pool-2", "m1", created_at=_LONG_AGO, status="ERROR")
    asked = len(site_pools.asked)
    alarm_id = site.watch(eve, "pool-2")
    wait_until(lambda: any("pool-2" in path for path in site_pools.asked[asked:]), what="the pool to be asked about")
    wait_until(lambda: sum("pool-2/members" in path for path in site_pools.asked) > 3, what="some turns")

    site.await_state(eve, alarm_id, "insufficient data")
    assert "Not evaluated yet" == site.reason(eve, alarm_id)
