# SPDX-License-Identifier: Apache-2.0
"""The commands that need more than one kind of request: searches, lost races, all types, counters."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from alarmd.api.context import ApiLimits
from tests.support.rest import open_door
from tests.unit.cli.conftest import Terminal, terminal_before
from tests.unit.cli.test_alarm_bodies import CASES

CREATE = ("alarm", "create", "--meter-name", "cpu_util", "--threshold", "80", "--name")


@pytest.mark.parametrize(("kind", "arguments", "rule"), CASES)
def test_every_type_can_be_created_shown_and_copied(
    terminal: Terminal, kind: str, arguments: tuple[str, ...], rule: dict[str, Any]
) -> None:
    """What is shown as YAML can be created again from it."""
    if kind == "composite":
        arguments = ("--rule", '{"and": [{"type": "prometheus", "query": "x", "threshold": 1}]}')
    created = terminal.json("alarm", "create", "--name", "x", "--type", kind, *arguments)
    shown = terminal.ok("alarm", "show", created["alarm_id"], "--format", "yaml")
    copy = json.loads(terminal.ok("alarm", "create", "-F", "-", "--name", "copy", "-f", "json", typed=shown))

    assert kind == created["type"]
    assert kind == "composite" or rule.items() <= created[f"{kind}_rule"].items()
    assert created == yaml.safe_load(shown)
    assert (created[f"{kind}_rule"], "copy") == (copy[f"{kind}_rule"], copy["name"])
    assert created["alarm_id"] in terminal.ok("alarm", "show", "x")


def test_a_change_of_type_drops_the_old_rule(terminal: Terminal) -> None:
    """An alarm has one rule, and its other attributes stay."""
    terminal.ok(*CREATE, "x", "--severity", "critical")
    changed = terminal.json("alarm", "update", "x", "--type", "event", "--event-type", "compute.*")

    assert ("event", "critical", "compute.*") == (
        changed["type"],
        changed["severity"],
        changed["event_rule"]["event_type"],
    )
    assert "threshold_rule" not in changed


def test_an_update_can_be_looked_at_before(terminal: Terminal) -> None:
    """--dry-run shows the merged body, changes nothing, and what it shows can be sent."""
    before = terminal.json(*CREATE, "x")
    body = terminal.ok("alarm", "update", "x", "--threshold", "90", "--dry-run", "--format", "yaml")
    still = terminal.json("alarm", "show", "x")
    after = json.loads(terminal.ok("alarm", "update", "x", "-F", "-", "-f", "json", typed=body))

    assert before == still
    assert 90.0 == yaml.safe_load(body)["threshold_rule"]["threshold"] == after["threshold_rule"]["threshold"]


def test_alarms_are_found_by_queries(terminal: Terminal) -> None:
    """Conditions as people write them, sorted and cut as asked."""
    for name in ("db-1", "web-1", "web-2"):
        terminal.ok(*CREATE, name)
    terminal.ok("alarm", "state", "set", "web-2", "ok")

    def names(*arguments: str) -> list[str]:
        return [alarm["name"] for alarm in terminal.json("alarm", "list", *arguments)]

    assert ["web-2", "web-1"] == names("--query", 'name =~ "^web"', "--sort", "name:desc")
    assert ["web-2"] == names("--query", "state=ok and enabled=true")
    assert ["db-1"] == names("--query", "not (state=ok or name=web-1)")
    assert ["db-1"] == names("--query", '{"in": {"name": ["db-1", "x"]}}')
    assert ["db-1", "web-1"] == names("--query", "", "--sort", "name", "--limit", "2")
    assert ["web-1"] == names("--query", "severity in [low] and state='insufficient data' and name>=web")


def test_an_alarm_without_a_name_can_be_found(terminal: Terminal) -> None:
    """Names that a server would read as part of the path are looked up as names."""
    for name in ("", "..", "a/b", "what?"):
        created = terminal.json(*CREATE, name)

        assert created["alarm_id"] == terminal.json("alarm", "show", name)["alarm_id"]


def test_history_is_searched_over_all_alarms(terminal: Terminal) -> None:
    """Also over those that have been deleted."""
    for name in ("a", "b"):
        terminal.ok(*CREATE, name)
    alarm_id = terminal.json("alarm", "show", "a")["alarm_id"]
    terminal.ok("alarm", "delete", "a")
    everything = terminal.json("alarm", "history", "--search", "")
    of_one = terminal.json("alarm", "history", "--search", f"alarm_id={alarm_id}", "--sort", "timestamp:asc")

    assert 3 == len(everything)
    assert {"creation", "deletion"} == {change["type"] for change in of_one}
    assert "deletion" in terminal.ok("alarm", "history", "--search", "type=deletion")
    assert 1 == len(terminal.json("alarm", "history", "b"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("history",), "Whose history?"),
        (("history", "x", "--search", "a=b"), "Whose history?"),
        (("history", "--search", "a=b", "--marker", "x"), "--search has no pages"),
        (("list", "--query", "a=b", "--filter", "a=b"), "--query says it all"),
        (("list", "--query", "a"), "cannot be read"),
    ],
)
def test_requests_that_contradict_themselves_are_wrong_usage(
    terminal: Terminal, arguments: tuple[str, ...], text: str
) -> None:
    """Nothing is asked then."""
    result = terminal.run("alarm", *arguments)

    assert (2, True) == (result.exit_code, text in result.stderr)


def interfering(terminal: Terminal, *, times: int) -> None:
    """Have somebody else change the alarm `x` just before each of the next PUTs is answered."""
    answer: Callable[[Any, Any], Iterable[bytes]] = terminal.door.app.wsgi_app
    left = [times]

    def meddling(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT" and left[0] > 0:
            left[0] -= 1
            alarm_id = environ["PATH_INFO"].rsplit("/", 1)[1]
            known = terminal.door.get(f"/v2/alarms/{alarm_id}").get_json()
            known["description"] = f"changed {left[0]}"
            number, left[0] = left[0], 0
            assert terminal.door.put(f"/v2/alarms/{alarm_id}", known).status_code == 200
            left[0] = number
        return answer(environ, start_response)

    terminal.door.app.wsgi_app = meddling  # type: ignore[method-assign]


def test_a_lost_race_is_run_again(terminal: Terminal) -> None:
    """Both changes are there in the end."""
    terminal.ok(*CREATE, "x")
    interfering(terminal, times=1)
    changed = terminal.json("alarm", "update", "x", "--threshold", "90")

    assert ("changed 0", 90.0) == (changed["description"], changed["threshold_rule"]["threshold"])


def test_a_race_that_is_lost_again_is_explained(terminal: Terminal) -> None:
    """Nothing of ours is written then."""
    terminal.ok(*CREATE, "x")
    interfering(terminal, times=2)
    result = terminal.run("alarm", "update", "x", "--threshold", "90")

    assert 1 == result.exit_code
    assert "was changed by somebody else between reading and writing, 2 times over" in result.stderr
    assert 80.0 == terminal.json("alarm", "show", "x")["threshold_rule"]["threshold"]


def test_counters_are_shown_when_they_are_kept(tmp_path: Path) -> None:
    """One row an alarm, a column a state; the server says so when nothing is counted."""
    door = open_door(tmp_path, count_results=True)
    with terminal_before(door) as terminal:
        alarm_id = terminal.json(*CREATE, "x")["alarm_id"]
        with door.database.write() as unit:
            unit.connection.exec_driver_sql(
                "INSERT INTO alarm_counters (alarm_id, ok, alarm, insufficient_data) VALUES (?, 5, 7, 9)", (alarm_id,)
            )
        shown = terminal.ok("alarm", "metrics", "--all-projects", "-f", "csv")

    assert shown.splitlines()[0] == "alarm_id,project_id,ok,alarm,insufficient data"
    assert shown.splitlines()[1].startswith(alarm_id)
    assert shown.splitlines()[1].endswith(",5,7,9")


def test_counters_that_are_not_kept_are_explained(terminal: Terminal) -> None:
    """In the server's words."""
    result = terminal.run("alarm", "metrics")

    assert (1, True) == (result.exit_code, "metrics endpoint is disabled" in result.stderr)


def test_what_the_server_can_do_is_shown(terminal: Terminal) -> None:
    """As Aodh's clients show it, or flat."""
    assert terminal.json("alarm", "capabilities")["api"]["alarms:query:complex"] is True
    assert "true" == terminal.ok("alarm", "capabilities", "-f", "value", "-c", "alarms:query:complex").strip()


def test_quotas_are_set_shown_and_deleted(terminal: Terminal) -> None:
    """A project without one has the default, which is any number."""
    default = terminal.json("quota", "show", "p1")
    given = terminal.json("quota", "set", "p1", "--alarms", "3")
    shown = terminal.ok("quota", "show", "p1", "-f", "value", "-c", "alarms")
    terminal.ok("quota", "delete", "p1")

    assert {"project_id": "p1", "alarms": -1} == default == terminal.json("quota", "show", "p1")
    assert ({"project_id": "p1", "alarms": 3}, "3\n") == (given, shown)
    assert 2 == terminal.run("quota", "set", "p1").exit_code
    assert 2 == terminal.run("quota", "set", "p1", "--alarms", "-2").exit_code


def test_lists_are_whole_however_the_server_cuts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page is asked for: of alarms by filter and query, histories and counters; up to what is wanted."""
    door = open_door(tmp_path, count_results=True, limits=ApiLimits(page_limit=2))
    with terminal_before(door) as terminal:
        names = [f"a{number}" for number in range(5)]
        for name in names:
            terminal.ok(*CREATE, name)
        terminal.ok("alarm", "state", "set", "a0", "--state", "alarm")
        terminal.ok("alarm", "state", "set", "a0", "--state", "ok")
        listed = ("alarm", "list", "--sort", "name", "--format", "value", "--column", "name")
        queried = (*listed, "--query", "severity=low")
        history = terminal.json("alarm", "history", "a0")
        searched = terminal.json("alarm", "history", "--search", "type=creation")
        with door.database.write() as unit:
            unit.connection.exec_driver_sql(
                "INSERT INTO alarm_counters (alarm_id, ok, alarm, insufficient_data) "
                "SELECT alarm_id, 1, 1, 1 FROM alarms"
            )
        counted = terminal.json("alarm", "metrics", "--all-projects")

        assert names == terminal.ok(*listed).split() == terminal.ok(*queried).split()
        assert (
            names[:3] == terminal.ok(*listed, "--limit", "3").split() == terminal.ok(*queried, "--limit", "3").split()
        )
        assert (3, 5, 5) == (len(history), len(searched), len(counted))
        monkeypatch.setattr("alarmd.cli.client.MOST_LISTED", 4)
        cut = terminal.run(*listed)

    assert names[:4] == cut.stdout.split()
    assert "There is more than these 4: narrow the list down, or ask with --limit." in cut.stderr
