# SPDX-License-Identifier: Apache-2.0
"""Who is let in without saying who they are."""

from collections.abc import Callable

import pytest

from alarmd.api.context import Access
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


def test_behind_a_proxy_any_name_will_do(open_a_door: Callable[..., Door]) -> None:
    """With trusted headers the proxy has decided who may ask, under whichever name."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    headers = {"Host": "alarms.example", "X-Project-Id": "p", "X-Roles": "reader"}

    assert 200 == door.get("/v2/alarms", headers=headers).status_code
