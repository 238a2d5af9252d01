# SPDX-License-Identifier: Apache-2.0
"""`trust+heat` with a real Heat: a machine whose member of the pool has failed is replaced."""

from typing import Any, Final

import pytest
from pydantic import SecretStr

from alarmd.clock import SystemClock
from alarmd.notifiers.heat import HeatOptions, HeatScheme
from alarmd.notifiers.scheme import Reason
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.settings.schema import KeystoneSettings
from tests.openstack.heat_service import Heat, heat
from tests.support.cloud import cloud
from tests.support.notifications import a_notification
from tests.support.servers import PostgresServer

#: What a pool's member is to Heat does not matter here, only that it lies in the stack of a member of the group.
_MEMBER: Final = """
heat_template_version: 2021-04-16
resources:
  pool_member: {type: "OS::Heat::TestResource", properties: {value: x}}
"""
_GROUP: Final = {
    "type": "OS::Heat::AutoScalingGroup",
    "properties": {"min_size": 2, "max_size": 3, "desired_capacity": 2, "resource": {"type": "member.yaml"}},
}
_STACK: Final = {
    "stack_name": "web",
    "template": {"heat_template_version": "2021-04-16", "resources": {"asg": _GROUP}},
    "files": {"member.yaml": _MEMBER},
}


def _members(running: Heat, stack: str) -> dict[str, str]:
    """Return the physical ids of the pool's members by the group's members that they belong to."""
    found = [one for one in running.resources(stack) if one["resource_name"] == "pool_member"]
    return {one["parent_resource"]: one["physical_resource_id"] for one in found}


def _deliver(keystone_url: str, data: dict[str, Any]) -> Any:
    keystone = KeystoneSettings(auth_url=f"{keystone_url}/v3", password=SecretStr("x"))
    scheme = HeatScheme(
        options=HeatOptions(keystone=keystone, deadline_s=60.0, read_timeout_s=60.0),
        clock=SystemClock(),
        policy=TargetPolicy(),
        signer=Signer(),
    )
    try:
        return scheme.deliver(a_notification(target="trust+heat://t1@", body={"reason_data": data}))
    finally:
        scheme.close()


def test_an_unhealthy_machine_is_replaced(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The member that the notification names is another one afterwards, the healthy one is the same."""
    with heat(tmp_path_factory.mktemp("heat"), postgres=postgres_server) as running, cloud() as keystone:
        keystone.heat_url = running.url
        stack_id = running.ask("POST", "/stacks", _STACK)["stack"]["id"]
        running.await_stack(stack_id, "CREATE_COMPLETE")
        [group] = [one for one in running.resources(f"web/{stack_id}") if one["resource_name"] == "asg"]
        before = _members(running, f"web/{stack_id}")
        sick, well = sorted(before)
        data = {"stack_id": stack_id, "asg_id": group["physical_resource_id"]}
        attempt = _deliver(keystone.url, data | {"unhealthy_members": [{"id": before[sick]}]})
        running.await_stack(stack_id, "UPDATE_COMPLETE")
        after = _members(running, f"web/{stack_id}")
        stranger = _deliver(keystone.url, data | {"unhealthy_members": [{"id": "nobody"}]})
        nowhere = _deliver(keystone.url, {"stack_id": "none", "asg_id": "x", "unhealthy_members": [{"id": "m"}]})

    assert (Reason.OK, 202) == (attempt.reason, attempt.status)
    assert 2 == len(after)
    assert before[well] == after[well]
    assert before[sick] not in after.values()
    assert (Reason.INVALID, False) == (stranger.reason, stranger.retryable)
    assert (404, False) == (nowhere.status, nowhere.retryable)
