# SPDX-License-Identifier: Apache-2.0
"""What settings may say about where webhooks go, and what becomes of it."""

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from alarmd.errors import SettingsError, TargetRefused
from alarmd.runtime import Runtime
from alarmd.settings import load

URL = "http://127.0.0.1:1/"
OPEN_DOOR = {"ALARMD_API__LISTEN": "192.0.2.1:8042", "ALARMD_API__AUTH": "tokens"}


def is_allowed(runtime: Runtime, project_id: str, url: str = URL) -> bool:
    try:
        runtime.target_policy.for_project(project_id).check_url(url)
    except TargetRefused:
        return False
    return True


def test_the_rules_of_a_file_count_for_all_and_for_single_projects(tmp_path: Path) -> None:
    """Ids of projects may hold anything; variables say the same as JSON."""
    path = tmp_path / "alarmd.toml"
    path.write_text(
        '[notifier]\ndeny_hosts = ["*.Bad.example."]\n'
        '[notifier.projects."a.b c"]\nallow_networks = ["127.0.0.1/32"]\n'
        '[notifier.projects.web]\nallow_hosts = ["ok.bad.example"]\n'
    )
    by_file = Runtime(settings=load(path, OPEN_DOOR))
    projects = json.dumps({"a.b c": {"allow_networks": ["127.0.0.1/32"]}})
    by_variable = Runtime(settings=load(None, OPEN_DOOR | {"ALARMD_NOTIFIER__PROJECTS": projects}))

    assert [True, False] == [is_allowed(by_file, one) for one in ("a.b c", "other")]
    assert [True, False] == [is_allowed(by_variable, one) for one in ("a.b c", "other")]
    assert [True, False] == [is_allowed(by_file, one, "http://ok.bad.example/") for one in ("web", "other")]


LOOPBACK_URLS = (URL, "http://[::1]:1/", "http://localhost:1/", "http://[::ffff:127.0.0.1]:1/")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"ALARMD_ROLES": "api"}, True),
        ({"ALARMD_ROLES": "api,notifier", "ALARMD_API__LISTEN": "[::1]:0"}, True),
        (OPEN_DOOR, False),
        ({"ALARMD_ROLES": "notifier"}, False),
        ({"ALARMD_ROLES": "evaluator,notifier", "ALARMD_API__LISTEN": "127.0.0.1:8042"}, False),
        ({"ALARMD_ROLES": "poller,evaluator,notifier"} | OPEN_DOOR, False),
        ({"ALARMD_ROLES": "notifier", "ALARMD_NOTIFIER__ALLOW_NETWORKS": "127.0.0.0/8,::1/128"}, True),
        ({"ALARMD_NOTIFIER__DENY_NETWORKS": "127.0.0.0/8,::1/128"}, False),
    ],
)
def test_who_calls_receivers_on_its_own_machine(environ: dict[str, str], expected: bool) -> None:
    """A daemon whose own API listens there, and others when the operator says so; what is denied is denied to both."""
    runtime = Runtime(settings=load(None, environ))

    assert {expected} == {is_allowed(runtime, "p1", url) for url in LOOPBACK_URLS}


def test_a_notifier_without_an_api_says_what_would_let_it(tmp_path: Path) -> None:
    """It judges the address that a name has, as it does when it connects."""
    runtime = Runtime(settings=load(None, {"ALARMD_ROLES": "notifier", "ALARMD_STATE_DIR": str(tmp_path)}))

    with pytest.raises(TargetRefused, match=r"127\.0\.0\.1 is a loopback address.* notifier\.allow_networks"):
        runtime.target_policy.check_address(ip_address("127.0.0.1"), name="tenant.example")


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a b",
        "http://h/",
        "h:80",
        "h/",
        "*h",
        "a.*.b",
        "**",
        "10.0.0.1",
        "0x7f.1",
        "1",
        "[::1]",
        "::1",
        "m\xfcller",
        "-",
    ],
)
@pytest.mark.parametrize("key", ["allow_hosts", "deny_hosts"])
def test_what_names_no_host_is_refused(tmp_path: Path, key: str, pattern: str) -> None:
    """Addresses belong among the networks, and a URL is no host."""
    path = tmp_path / "alarmd.toml"
    path.write_text(f"[notifier]\n{key} = [{json.dumps(pattern)}]\n")

    with pytest.raises(SettingsError, match=rf"notifier\.{key}.*(must be a name|addresses among)"):
        load(path, {})


def test_a_wrong_key_of_a_project_is_named(tmp_path: Path) -> None:
    """A misspelled rule does not go unnoticed."""
    path = tmp_path / "alarmd.toml"
    path.write_text('[notifier.projects.web]\nallow_host = ["h"]\n')

    with pytest.raises(SettingsError, match=r"notifier\.projects\.web\.allow_host"):
        load(path, {})


@pytest.mark.parametrize("scheme", ["http", "https", "trust+https", "zaqar", "trust+heat"])
def test_exceptions_from_the_check_of_certificates_are_the_operators(tmp_path: Path, scheme: str) -> None:
    """They stand with the options of a scheme, are checked at start, and hold names or networks."""
    path = tmp_path / "alarmd.toml"
    table = f'[notifier.schemes."{scheme}"]\n'
    path.write_text(table + 'unverified_hosts = ["*.lab.example"]\nunverified_networks = ["10.0.0.0/8"]\n')
    Runtime(settings=load(path, {})).check()
    path.write_text(table + 'unverified_hosts = ["10.0.0.1"]\n')

    with pytest.raises(SettingsError, match="unverified_hosts"):
        Runtime(settings=load(path, {})).check()
