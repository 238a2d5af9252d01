# SPDX-License-Identifier: Apache-2.0
"""The commands' way to a server, and what they say when there is none."""

import socket

import pytest
from pytest_httpserver import HTTPServer

from tests.unit.cli.conftest import Terminal


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_server_that_is_not_there_is_named_with_the_remedy(terminal: Terminal) -> None:
    """Exit code 1, the URL, the cause, and what to do."""
    url = f"http://127.0.0.1:{free_port()}"
    result = terminal.run("alarm", "list", "--url", url)

    assert result.exit_code == 1
    assert f"Cannot reach alarmd at {url} ([Errno 111] Connection refused)." in result.stderr
    assert "alarmd run" in result.stderr
    assert "--url or ALARMD_URL" in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://[::1", "http://127.0.0.1:99999", "http://"])
def test_an_address_that_is_none_is_wrong_usage(terminal: Terminal, url: str) -> None:
    """The message shows one that would do."""
    result = terminal.run("alarm", "list", "--url", url)

    assert result.exit_code == 2
    assert f"{url!r} is no address of alarmd; write it like http://127.0.0.1:8042" in result.stderr


def test_a_name_that_nobody_has_is_named(terminal: Terminal) -> None:
    """As is a server that is not there."""
    result = terminal.run("alarm", "list", "--url", "http://nobody.invalid")

    assert result.exit_code == 1
    assert "Cannot reach alarmd at http://nobody.invalid (" in result.stderr


def test_somebody_else_who_listens_there_is_found_out(terminal: Terminal, httpserver: HTTPServer) -> None:
    """A web server is no alarmd, whatever status it answers with."""
    httpserver.expect_request("/v2/alarms").respond_with_data("<html>", content_type="text/html")
    httpserver.expect_request("/v3/series").respond_with_data("no", status=502)
    fine = terminal.run("alarm", "list", "--url", httpserver.url_for(""))
    bad = terminal.run("samples", "list", "--url", httpserver.url_for(""))

    assert [1, 1] == [fine.exit_code, bad.exit_code]
    assert "is not alarmd" in fine.stderr
    assert "HTTP 502" in bad.stderr


def test_the_identity_goes_into_the_headers(terminal: Terminal, httpserver: HTTPServer) -> None:
    """From options or from the environment; who names a project without roles acts as its administrator."""
    httpserver.expect_request("/v2/alarms").respond_with_json([])
    url = httpserver.url_for("")
    terminal.run("alarm", "list", "--url", url, "--token", "t", "--project", "p", "--user", "u", "--roles", "reader")
    terminal.run("alarm", "list", "--url", url, ALARMD_TOKEN="t2", ALARMD_PROJECT="p2")
    terminal.run("alarm", "list", "--url", url)
    names = ("X-Auth-Token", "X-Project-Id", "X-User-Id", "X-Roles")

    assert [("t", "p", "u", "reader"), ("t2", "p2", None, "admin"), (None, None, None, None)] == [
        tuple(request.headers.get(name) for name in names) for request, _ in httpserver.log
    ]


def test_missing_rights_come_with_a_hint(terminal: Terminal) -> None:
    """The options that say who one is are named."""
    result = terminal.run("alarm", "list", "--project", "p1", "--roles", "member")

    assert result.exit_code == 1
    assert "RBAC Authorization Failed" in result.stderr
    assert "--roles" in result.stderr


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(terminal: Terminal) -> None:
    """A proxy elsewhere cannot reach this machine's loopback."""
    result = terminal.run("alarm", "list", http_proxy=f"http://127.0.0.1:{free_port()}")

    assert result.exit_code == 0


@pytest.mark.parametrize("command", ["alarm", "alarm list", "alarm create", "samples push", "samples list", "delivery"])
def test_help_teaches_with_examples(terminal: Terminal, command: str) -> None:
    """Examples are shown as they are to be typed."""
    shown = terminal.ok(*command.split(), "--help")

    assert "Examples:\n" in shown
    assert f"    alarmd {command.split(maxsplit=1)[0]}" in shown
