# SPDX-License-Identifier: Apache-2.0
"""The clients' programs as a user starts them: told by their environment, and what they offer beside alarms."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from tests.openstack import programs
from tests.openstack.clients import Caller, Clients
from tests.support.daemon import daemon, wait_until


def test_s7_3_aodh_told_by_its_environment(caller: Caller, tmp_path: Path) -> None:
    """`aodh` finds who calls, and where, in the variables that it knows."""
    told = {
        "OS_AUTH_TYPE": "aodh-noauth",
        "AODH_USER_ID": caller.user,
        "AODH_PROJECT_ID": caller.project,
        "AODH_ROLES": caller.roles,
        "AODH_AODH_ENDPOINT": caller.url,
    }
    create = ["aodh", "alarm", "create", "--name", "x", "--type", "event", "-f", "json"]
    said = programs.run(create, home=tmp_path, variables=told)
    shown = json.loads(said.stdout or "{}")

    assert (0, caller.project, caller.user) == (said.returncode, shown.get("project_id"), shown.get("user_id")), said


def test_s7_3_openstack_told_by_its_environment(caller: Caller, tmp_path: Path) -> None:
    """`openstack` finds who calls, and where, in the variables that it knows."""
    told = {
        "OS_AUTH_TYPE": "aodh-noauth",
        "OS_USER_ID": caller.user,
        "OS_PROJECT_ID": caller.project,
        "OS_ROLES": caller.roles,
        "OS_AODH_ENDPOINT": caller.url,
    }
    said = programs.run(["openstack", "alarm", "list", "-f", "json"], home=tmp_path, variables=told)

    assert (0, []) == (said.returncode, json.loads(said.stdout or "null")), said


def test_s7_3_openstack_alarm_quota_show(clients: Clients, caller: Caller) -> None:
    """The own project's quota is shown, and looking at it hinders nobody."""
    shell = clients.shell("openstack", caller)

    assert {"alarms": -1} == shell.table("alarm", "quota", "show")
    assert "made" == shell.create("made")["name"]


def test_s7_3_openstack_alarm_quota_show_of_a_project(clients: Clients, caller: Caller) -> None:
    """The administrator sees any project's; a member only the own."""
    shell = clients.shell("openstack", caller)
    other = f"project-{uuid4().hex[:12]}"

    assert {"alarms": -1} == shell.by(roles="admin").table("alarm", "quota", "show", "--project", other)
    assert {"alarms": -1} == shell.table("alarm", "quota", "show", "--project", caller.project)
    assert "(HTTP 403)" in shell.refusal("alarm", "quota", "show", "--project", other)


def test_s7_3_openstack_alarm_quota_set(clients: Clients, caller: Caller) -> None:
    """What the administrator sets holds: the alarm that is one too many is refused in Aodh's words."""
    shell = clients.shell("openstack", caller)
    root = shell.by(roles="admin", project="ops")

    assert {"alarms": 1} == root.table("alarm", "quota", "set", caller.project, "--alarm", "1")
    shell.create("first")
    assert f"Alarm quota exceeded for user {caller.user} on project {caller.project} (HTTP 403)" in shell.refusal(
        "alarm", "create", "--name", "second", "--type", "event"
    )
    assert {"alarms": -1} == root.table("alarm", "quota", "set", caller.project, "--alarm", "-1")
    assert "second" == shell.create("second")["name"]


def test_s7_3_openstack_alarm_quota_set_by_a_member(clients: Clients, caller: Caller) -> None:
    """A member may not."""
    shell = clients.shell("openstack", caller)

    assert "RBAC Authorization Failed (HTTP 403)" in shell.refusal(
        "alarm", "quota", "set", caller.project, "--alarm", "9"
    )


@pytest.mark.parametrize("program", ["aodh", "openstack"])
def test_s7_3_alarm_metrics(program: str, clients: Clients, caller: Caller) -> None:
    """The list of counted evaluations can be read; nothing was evaluated here."""
    shell = clients.shell(program, caller)
    shell.create("uncounted")

    assert [] == shell.table("alarm", "metrics")


def test_s7_3_alarm_metrics_of_what_was_evaluated(clients: Clients, tmp_path: Path) -> None:
    """Each state has its counter, and evaluations are counted under the state that they found."""
    environ = {
        "ALARMD_API__AUTH": "trusted-headers",
        "ALARMD_EVALUATOR__COUNT_RESULTS": "true",
        "ALARMD_EVALUATOR__COUNT_INTERVAL_S": "0.2",
        "ALARMD_EVALUATOR__TICK_S": "0.2",
    }
    with daemon(tmp_path / "state", environ=environ) as running:
        shell = clients.shell("aodh", Caller(url=running.url, user="u", project="p"))
        options = ("--meter-name", "cpu_util", "--threshold", "80", "--comparison-operator", "gt", "--period", "1")
        made = shell.create("counted", *options, kind="threshold")
        headers = {"X-User-Id": "u", "X-Project-Id": "p", "X-Roles": "member,reader"}
        sample = {"metric": "cpu_util", "resource_id": "r", "value": 10.0, "project_id": "p"}
        pushed = requests.post(f"{running.url}/v3/samples", json={"samples": [sample]}, headers=headers, timeout=10)
        assert 202 == pushed.status_code, pushed.text

        def counted() -> dict[str, int]:
            rows = shell.table("alarm", "metrics")
            return {row["labels"]: row["value"] for row in rows if row["value"]}

        found = wait_until(counted, what="an evaluation to be counted")
        assert [f'alarm_id="{{{made["alarm_id"]}}}", project_id="{{p}}", state="{{ok}}"'] == list(found)
        assert 3 == len(shell.table("alarm", "metrics"))


@pytest.mark.parametrize("program", ["aodh", "openstack"])
def test_s7_3_a_caller_without_a_role_reads_why(program: str, clients: Clients, caller: Caller) -> None:
    """The refusal is Aodh's."""
    shell = clients.shell(program, caller).by(roles="gardener")

    assert "RBAC Authorization Failed (HTTP 403)" in shell.refusal("alarm", "list")


@pytest.mark.parametrize(
    "command",
    [
        ["aodh", "--os-auth-type", "none", "--os-endpoint"],
        ["openstack", "--os-auth-type", "none", "--os-endpoint"],
    ],
    ids=["aodh", "openstack"],
)
def test_s7_3_auth_type_none_sends_no_identity(command: list[str], caller: Caller, tmp_path: Path) -> None:
    """So everything is refused, in Aodh's words."""
    said = programs.run([*command, caller.url, "alarm", "list"], home=tmp_path)

    assert said.returncode != 0
    assert "RBAC Authorization Failed (HTTP 403)" in said.stderr
