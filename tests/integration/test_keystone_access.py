# SPDX-License-Identifier: Apache-2.0
"""The mode `keystone` where no Keystone answers; with one: tests/openstack/test_keystone.py."""

import socket
from pathlib import Path

from pydantic import SecretStr

from alarmd.api.keystone import KeystoneAccess
from alarmd.clock import ManualClock
from alarmd.settings.schema import KeystoneSettings
from tests.support.rest import error_of, open_door


def _nobody() -> str:
    """Return a URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v3"


def test_a_keystone_that_does_not_answer_is_no_refusal(tmp_path: Path) -> None:
    """A token that cannot be checked is answered with 503, not 401, and without a word about when to come back."""
    settings = KeystoneSettings(auth_url=_nobody(), password=SecretStr("x"))
    door = open_door(tmp_path, identify=KeystoneAccess(settings, clock=ManualClock()))

    answer = door.get("/v2/alarms", headers={"X-Auth-Token": "t0ken"})

    assert 503 == answer.status_code
    assert "Retry-After" not in answer.headers
    assert "Keystone does not answer, so alarmd cannot tell whose the token is." == error_of(answer)
    door.close()


def test_no_token_is_a_refusal_whether_keystone_answers_or_not(tmp_path: Path) -> None:
    """Without a token there is nothing to ask Keystone: 401, with the address that clients are to go to."""
    uri = "https://keystone.example/v3"
    settings = KeystoneSettings(auth_url=_nobody(), www_authenticate_uri=uri, password=SecretStr("x"))
    door = open_door(tmp_path, identify=KeystoneAccess(settings, clock=ManualClock()))

    answer = door.get("/v2/alarms", headers={"X-User-Id": "ann", "X-Project-Id": "p1", "X-Roles": "admin"})

    assert 401 == answer.status_code
    assert f'Keystone uri="{uri}"' == answer.headers["WWW-Authenticate"]
    assert 200 == door.get("/healthz").status_code
    door.close()
