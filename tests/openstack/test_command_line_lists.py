# SPDX-License-Identifier: Apache-2.0
"""What `aodh` and `openstack alarm`, as released, find: lists, queries, histories and capabilities."""

import json
from uuid import uuid4

import pytest

from tests.openstack.clients import Shell


def test_s7_3_alarm_list(shell: Shell) -> None:
    """All alarms of the project, the newest first, and nobody else's."""
    first, second = (shell.create(name)["alarm_id"] for name in ("first", "second"))
    shell.by(project="elsewhere").create("hidden")
    listed = shell.table("alarm", "list")

    assert [second, first] == [alarm["alarm_id"] for alarm in listed]
    assert {"alarm_id": second, "type": "event", "name": "second", "state": "insufficient data"} | {
        "severity": "low",
        "enabled": True,
    } == listed[0]


def test_s7_3_alarm_list_of_nothing(shell: Shell) -> None:
    """No alarm is an empty list."""
    assert [] == shell.table("alarm", "list")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["name=b"], ["b"]),
        (["enabled=true"], ["b", "c"]),
        (["enabled=True"], ["b", "c"]),
        (["enabled=false"], ["a"]),
        (["severity=critical"], ["c"]),
        (["state=ok"], ["a", "b"]),
        (["state=ok", "enabled=true"], ["b"]),
        (["type=event"], ["a", "b", "c"]),
        (["type=prometheus"], []),
    ],
    ids=str,
)
def test_s7_3_alarm_list_filter(filters: list[str], names: list[str], shell: Shell) -> None:
    """`--filter` picks, untyped values included; several must all hold."""
    shell.create("a", "--enabled", "False", "--state", "ok")
    shell.create("b", "--state", "ok")
    shell.create("c", "--severity", "critical")
    options = [word for text in filters for word in ("--filter", text)]

    assert names == sorted(alarm["name"] for alarm in shell.table("alarm", "list", *options))


def test_s7_3_alarm_list_filter_all_projects(shell: Shell) -> None:
    """The administrator sees every project when asked for; a member is refused, and may say that it is not meant."""
    shell.create("mine")
    root = shell.by(roles="admin", project="elsewhere")
    everywhere = root.table(
        "alarm", "list", "--filter", "all_projects=true", "--filter", f"user_id={shell.caller.user}"
    )

    assert ["mine"] == [alarm["name"] for alarm in everywhere]
    assert "(HTTP 403)" in shell.refusal("alarm", "list", "--filter", "all_projects=true")
    assert ["mine"] == [alarm["name"] for alarm in shell.table("alarm", "list", "--filter", "all_projects=false")]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=a", ["a"]),
        ("severity=low", ["a", "b"]),
        ("severity=low and state=ok", ["b"]),
        ("name=a or name=c", ["a", "c"]),
        ("not severity=low", ["c"]),
        ("name!=a", ["b", "c"]),
        ("enabled=true and name>='b'", ["b", "c"]),
    ],
)
def test_s7_3_alarm_list_query(query: str, names: list[str], shell: Shell) -> None:
    """`--query` asks in the clients' own words."""
    for name, options in {"a": (), "b": ("--state", "ok"), "c": ("--severity", "critical")}.items():
        shell.create(name, *options)

    assert names == sorted(alarm["name"] for alarm in shell.table("alarm", "list", "--query", query))


def test_s7_3_alarm_list_query_with_an_unknown_operator(shell: Shell) -> None:
    """What the client lets through is refused by the server."""
    assert "(HTTP 400)" in shell.refusal("alarm", "list", "--query", "name eq a")


def test_s7_3_alarm_list_limit_marker_sort(shell: Shell) -> None:
    """Pages follow each other in the order asked for."""
    alarms = {name: shell.create(name)["alarm_id"] for name in ("b", "c", "a")}
    pages = [
        shell.table("alarm", "list", "--sort", "name:asc", "--limit", "2"),
        shell.table("alarm", "list", "--sort", "name:asc", "--limit", "2", "--marker", alarms["b"]),
        shell.table("alarm", "list", "--sort", "severity:desc", "--sort", "name:desc"),
    ]

    assert [["a", "b"], ["c"], ["c", "b", "a"]] == [[alarm["name"] for alarm in page] for page in pages]


def test_s7_3_alarm_history_show(shell: Shell) -> None:
    """Each change is a line, the newest first; its detail is a text that holds JSON."""
    made = shell.create("storied")
    shell.table("alarm", "update", made["alarm_id"], "--severity", "critical")
    shell.table("alarm", "state", "set", made["alarm_id"], "--state", "ok")
    shown = shell.table("alarm-history", "show", made["alarm_id"])

    assert ["state transition", "rule change", "creation"] == [change["type"] for change in shown]
    assert [
        {"state": "ok", "state_reason": "Manually set via API"},
        {"severity": "critical"},
    ] == [json.loads(change["detail"]) for change in shown[:2]]
    assert made["alarm_id"] == json.loads(shown[2]["detail"])["alarm_id"]


def test_s7_3_alarm_history_show_limit_marker_sort(shell: Shell) -> None:
    """Pages of a history follow each other in the order asked for."""
    made = shell.create("storied")
    for state in ("ok", "alarm"):
        shell.table("alarm", "state", "set", made["alarm_id"], "--state", state)
    everything = shell.table("alarm-history", "show", made["alarm_id"], "--sort", "timestamp:asc")
    page = shell.table(
        "alarm-history", "show", made["alarm_id"], "--limit", "1", "--marker", everything[0]["event_id"],
        *("--sort", "timestamp:asc"),
    )  # fmt: skip

    assert ["creation", "state transition", "state transition"] == [change["type"] for change in everything]
    assert everything[1:2] == page


def test_s7_3_alarm_history_show_of_an_unknown_alarm(shell: Shell) -> None:
    """The words of the server are shown, as the clients' own tests compare them."""
    unknown = str(uuid4())

    assert f"Alarm {unknown} not found (HTTP 404)" in shell.refusal("alarm-history", "show", unknown)


def test_s7_3_alarm_history_search(shell: Shell) -> None:
    """Without a query the whole project is searched, with one what it says."""
    one, other = (shell.create(name)["alarm_id"] for name in ("one", "other"))
    shell.table("alarm", "state", "set", one, "--state", "ok")

    assert {one, other} == {change["alarm_id"] for change in shell.table("alarm-history", "search")}
    assert [(one, "state transition")] == [
        (change["alarm_id"], change["type"])
        for change in shell.table("alarm-history", "search", "--query", f"alarm_id={one} and type='state transition'")
    ]


def test_s7_3_capabilities_list(shell: Shell) -> None:
    """What the API can do, by the names that it has in Aodh."""
    words = ("capabilities", "list") if shell.program == "aodh" else ("alarming", "capabilities", "list")
    shown = shell.table(*words)

    assert {
        "alarms:query:simple": True,
        "alarms:query:complex": True,
        "alarms:history:query:simple": True,
        "alarms:history:query:complex": True,
    } == (shown["api"] if isinstance(shown["api"], dict) else json.loads(shown["api"]))
