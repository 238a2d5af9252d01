# SPDX-License-Identifier: Apache-2.0
"""`alarmd import aodh` as it is typed: where from, what is told, how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alarmd.cli.main import main
from alarmd.store.alarms import AlarmQuery
from tests.support.aodh_database import AodhDatabase
from tests.support.rest import new_database
from tests.unit.cli.conftest import Terminal

#: So long a time that the history of any test is kept.
_AROUND = {"COLUMNS": "200", "ALARMD_STORE__HISTORY_RETENTION_S": "1e9"}


@pytest.fixture
def aodh(tmp_path: Path) -> AodhDatabase:
    """An Aodh with two alarms, of which one cannot come over."""
    database = AodhDatabase(tmp_path / "aodh.sqlite")
    database.change(database.alarm(name="good"))
    database.alarm(alarm_id="old", name="bad\x1b[2J", type="combination")
    database.quota("p1", 5)
    return database


def bring(tmp_path: Path, *arguments: str, **environ: str) -> Result:
    """Import into the alarmd of a directory."""
    options = ["--state-dir", str(tmp_path / "state")]
    return CliRunner().invoke(main, ["import", "aodh", *arguments, *options], env=_AROUND | environ)


def test_what_came_of_it_is_told_in_a_table_and_the_rest_beside_it(tmp_path: Path, aodh: AodhDatabase) -> None:
    """The exit code says when an alarm could not come over, and standard error which one and why."""
    result = bring(tmp_path, "--from-db", aodh.url, "-f", "csv")

    assert 1 == result.exit_code
    assert [
        "what,brought,changed,unchanged,kept,skipped",
        "alarms,1,0,0,0,1",
        "history,1,0,0,0,0",
        "quotas,1,0,0,0,0",
    ] == result.stdout.splitlines()
    assert "Cannot be brought:\n  old 'bad\\x1b[2J': alarmd has no alarms of the type 'combination'" in result.stderr


def test_actions_that_nobody_will_carry_out_are_named(tmp_path: Path, aodh: AodhDatabase) -> None:
    """The alarm comes over with them all the same, and its webhooks work."""
    aodh.alarm(alarm_id="z", name="queue", alarm_actions=["trust+mistral://", "https://receiver/", "log:"])
    result = bring(tmp_path, "--from-db", aodh.url, "-f", "value")

    assert "alarms 2 0 0 0 1" in result.stdout
    assert ["  z 'queue': alarmd does not deliver to trust+mistral: yet"] == [
        line for line in result.stderr.splitlines() if "deliver" in line
    ]


def test_scripts_get_everything(tmp_path: Path, aodh: AodhDatabase) -> None:
    """JSON holds the counts and every remark; the environment may name the database, which holds a password."""
    told: dict[str, Any] = json.loads(bring(tmp_path, "-f", "json", AODH_DATABASE_URL=aodh.url).stdout)

    assert (1, 1, 1, False) == (
        told["alarms"]["brought"],
        told["history"]["brought"],
        told["quotas"]["brought"],
        told["dry_run"],
    )
    assert ["old"] == [remark["subject"] for remark in told["remarks"]]


def test_history_that_is_too_old_is_counted(tmp_path: Path, aodh: AodhDatabase) -> None:
    """And the setting is named that would keep it."""
    result = bring(tmp_path, "--from-db", aodh.url, "-f", "value", ALARMD_STORE__HISTORY_RETENTION_S="60")

    assert "history 0 0 0 0 1" in result.stdout
    assert "1 changes are older than store.history_retention_s" in result.stderr


def test_the_database_is_found_in_aodh_conf(tmp_path: Path, aodh: AodhDatabase) -> None:
    """As Aodh finds it."""
    conf = tmp_path / "aodh.conf"
    conf.write_text(f"[database]\nconnection = {aodh.url}\n")
    without = tmp_path / "empty.conf"
    without.write_text("[api]\n")

    assert "alarms 1 0 0 0 1" in bring(tmp_path, "--from-conf", str(conf), "-f", "value").stdout
    assert "names no [database] connection" in bring(tmp_path, "--from-conf", str(without)).stderr


def test_a_dry_run_needs_a_database_and_leaves_it_alone(tmp_path: Path, aodh: AodhDatabase) -> None:
    """Where there is none yet it says how to make one."""
    without = bring(tmp_path, "--from-db", aodh.url, "--dry-run")
    assert (1, True) == (without.exit_code, "alarmd db upgrade" in without.stderr)

    (tmp_path / "state").mkdir(exist_ok=True)
    database = new_database(tmp_path / "state")
    result = bring(tmp_path, "--from-db", aodh.url, "--dry-run", "-f", "value")
    with database.read() as unit:
        stored = unit.alarms.find(AlarmQuery())
    database.close()

    assert ([], True) == (stored, "alarms 1 0 0 0 1" in result.stdout)
    assert "Nothing was written." in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--from-db", "sqlite:///x", "--from-url", "http://x")])
def test_there_is_one_place_to_import_from(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """None, or several, is wrong usage."""
    result = bring(tmp_path, *arguments)

    assert (2, True) == (result.exit_code, "Where from?" in result.stderr)


def test_another_alarmd_can_be_imported_too(tmp_path: Path, terminal: Terminal) -> None:
    """Its API is Aodh's; quotas come when they are asked for."""
    terminal.ok("alarm", "create", "--name", "x", "-m", "m", "--threshold", "1", "--project-id", "p1")
    terminal.ok("quota", "set", "p1", "--alarms", "7")
    first = bring(tmp_path, "--from-url", terminal.url, "-f", "value")
    second = bring(tmp_path, "--from-url", terminal.url, "--quotas", "-f", "value")

    assert ["alarms 1 0 0 0 0", "history 1 0 0 0 0", "quotas 0 0 0 0 0"] == first.stdout.splitlines(), first.stderr
    assert ["alarms 0 0 1 0 0", "history 0 0 1 0 0", "quotas 1 0 0 0 0"] == second.stdout.splitlines(), second.stderr


@pytest.mark.parametrize(
    ("path", "text"),
    [("", "does not answer POST /v2/query/alarms"), ("/nowhere", "refuses /v2/query/alarms (HTTP 404)")],
)
def test_a_server_that_is_no_aodh_is_explained(tmp_path: Path, terminal: Terminal, path: str, text: str) -> None:
    """Its address is named, and nothing is written."""
    url = f"{terminal.url}{path}" if path else "http://127.0.0.1:9"
    result = bring(tmp_path, "--from-url", url)

    assert (1, True) == (result.exit_code, text in result.stderr), result.stderr
