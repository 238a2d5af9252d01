# SPDX-License-Identifier: Apache-2.0
"""Who is let in, as whom, in the modes that believe headers."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import request

from alarmd.api.access import loopback, trusted_headers
from alarmd.api.context import Access, Identify
from alarmd.errors import Forbidden
from alarmd.model.caller import Caller
from tests.support.rest import Door, error_of


@pytest.mark.parametrize("host", ["localhost", "localhost:8042", "127.0.0.1:8042", "127.9.9.9", "[::1]:8042"])
def test_this_machine_is_let_in(door: Door, host: str) -> None:
    """Whoever asks loopback by its name is the administrator."""
    response = door.get("/v2/alarms", headers={"Host": host, "Origin": f"http://{host}"})

    assert 200 == response.status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example:8042"},
        {"Host": "192.0.2.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "rebound.example", "X-Project-Id": "p", "X-Roles": "admin"},
    ],
)
def test_a_web_page_from_elsewhere_is_not(door: Door, headers: dict[str, str]) -> None:
    """A page that makes the browser of this machine ask loopback is refused, and told what to do."""
    response = door.get("/v2/alarms", headers=headers)

    assert 403 == response.status_code
    assert "trusted-headers" in error_of(response)


def test_a_web_page_cannot_pass_for_a_proxy(open_a_door: Callable[..., Door]) -> None:
    """Whoever believes proxies on loopback still looks at the name that the browser has asked for."""
    door = open_a_door(access=Access.LOOPBACK, proxy_headers=True)
    headers = {"Host": "rebound.example:8042", "X-Forwarded-Host": "localhost"}

    assert 403 == door.get("/v2/alarms", headers=headers).status_code
    assert 200 == door.get("/v2/alarms", headers=headers | {"Host": "localhost:8042"}).status_code


def test_behind_a_proxy_any_name_will_do(open_a_door: Callable[..., Door]) -> None:
    """With trusted headers the proxy has decided who may ask, under whichever name."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    headers = {"Host": "alarms.example", "X-Project-Id": "p", "X-Roles": "reader"}

    assert 200 == door.get("/v2/alarms", headers=headers).status_code


@pytest.mark.parametrize("identify", [loopback, trusted_headers])
@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"X-Project-Id": "p", "X-User-Id": "u", "X-Roles": "member,reader"}, ("p", "u", {"member", "reader"})),
        ({"X-Project-Id": "p", "X-Roles": " Member , ,READER"}, ("p", "", {"member", "reader"})),
        ({"x-project-id": "p", "x-roles": "reader"}, ("p", "", {"reader"})),
        ({"X-Roles": "admin"}, ("", "", {"admin"})),
        ({"X-User-Id": "u"}, ("", "u", set())),
        ({"X-Tenant-Id": "t", "X-Role": "reader"}, ("t", "", {"reader"})),
        ({"X-Tenant-Id": "t", "X-Project-Id": "p", "X-Role": "a", "X-Roles": "b"}, ("p", "", {"b"})),
        ({"X-Tenant-Id": "t", "X-Project-Id": "", "X-Role": "a", "X-Roles": ""}, ("", "", set())),
    ],
)
def test_s7_1_headers_name_the_caller(
    door: Door, identify: Identify, headers: Mapping[str, str], named: tuple[str, str, set[str]]
) -> None:
    """Roles are compared in any case; the old names of a header count where the proper one is not there."""
    with door.app.test_request_context("/v2/alarms", headers=dict(headers)):
        found = identify(request)

    project_id, user_id, roles = named

    assert Caller(project_id=project_id, user_id=user_id, roles=frozenset(roles)) == found


@pytest.mark.parametrize("name", ["X-Project-Id", "X-User-Id", "X-Roles", "X-Tenant-Id", "X-Role"])
def test_a_header_that_cannot_be_stored_is_refused(door: Door, name: str) -> None:
    """What would fail in the database is refused before it gets there."""
    answer = door.get("/v2/alarms", headers={"X-Roles": "admin", name: "a\0b"})

    assert 400 == answer.status_code
    assert name in error_of(answer)


def test_s7_1_without_headers_only_loopback_knows_the_caller(door: Door) -> None:
    """On loopback it is the administrator, behind a proxy nobody."""
    with door.app.test_request_context("/v2/alarms", headers={"X-Auth-Token": "t"}):
        assert Caller(project_id="", user_id="", roles=frozenset({"admin"})) == loopback(request)
        with pytest.raises(Forbidden, match=r"^RBAC Authorization Failed$"):
            trusted_headers(request)


@pytest.mark.parametrize("path", ["/", "/v2/alarms", "/v3/series", "/none"])
def test_no_other_answer_asks_to_come_back(open_a_door: Callable[..., Door], path: str) -> None:
    """`Retry-After` and `WWW-Authenticate` stand where they belong only: clients act on them wherever they are."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    senders: list[dict[str, Any]] = [{}, {"X-Roles": "admin"}, {"X-Project-Id": "p", "X-Roles": "reader"}]

    for headers in senders:
        names = door.get(path, headers=headers).headers
        assert "Retry-After" not in names
        assert "WWW-Authenticate" not in names
