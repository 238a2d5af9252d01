# SPDX-License-Identifier: Apache-2.0
"""What holds on every path: errors, identity, methods, slashes, request ids."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from alarmd.api.context import Access
from tests.support.rest import ADMIN, ANN, Door, error_of

PATHS = ["/v2/alarms", "/v2/alarms/x", "/v2/alarms/x/state", "/v2/alarms/x/history", "/v3/samples", "/v3/series"]


@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v2/",
        "/v2/query",
        "/v2/capabilities/x",
        "/v2/alarms.json",
        "/v2/alarms/a%00b",
        "/v3",
        "/x",
    ],
)
@pytest.mark.parametrize("accept", [None, "text/html", "application/json"])
def test_unknown_paths_are_answered_with_an_object(door: Door, path: str, accept: str | None) -> None:
    """Clients look into the error, whatever they said that they accept."""
    response = door.get(path, headers={"Accept": accept} if accept else {})

    assert response.status_code == 404
    assert error_of(response)
    assert response.headers.get("x-openstack-request-id", "req-").startswith("req-")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v2/alarms", "GET, POST"),
        ("DELETE", "/v2/alarms/", "GET, POST"),
        ("HEAD", "/v2/alarms", "GET, POST"),
        ("POST", "/v2/alarms/x", "DELETE, GET, PUT"),
        ("PATCH", "/v2/alarms/x", "DELETE, GET, PUT"),
        ("HEAD", "/v2/alarms/x", "DELETE, GET, PUT"),
        ("DELETE", "/v2/alarms/x/state", "GET, PUT"),
        ("GET", "/v3/samples", "POST"),
        ("GET", "/v3/deliveries/x/retry", "POST"),
    ],
)
def test_other_methods_are_refused_with_those_that_are_allowed(door: Door, method: str, path: str, allow: str) -> None:
    """405 carries `Allow` in Aodh's order, and HEAD is among the refused."""
    response = door.send(method, path)

    assert (405, allow) == (response.status_code, response.headers["Allow"])
    if method != "HEAD":
        assert allow in error_of(response)


@pytest.mark.parametrize("path", PATHS)
def test_options_is_answered_with_nothing(door: Door, path: str) -> None:
    """A browser that asks first gets an empty 200 and no permission."""
    response = door.send("OPTIONS", path)

    assert (200, b"") == (response.status_code, response.data)
    assert "Access-Control-Allow-Origin" not in response.headers


def test_every_answer_of_the_api_has_an_id_of_its_own(door: Door) -> None:
    """Also errors do; the caller's id is not echoed; the paths of operators have none."""
    answers = [door.get(path, headers={"X-Openstack-Request-Id": "req-mine"}) for path in [*PATHS, "/v2/none"]]
    ids = {response.headers["x-openstack-request-id"] for response in answers}

    assert len(answers) == len(ids)
    assert "req-mine" not in ids
    assert "x-openstack-request-id" not in door.get("/").headers
    assert "x-openstack-request-id" not in door.get("/healthz").headers


@pytest.mark.parametrize("path", ["/v2/alarms", "/v3/series", "/v3/deliveries", "/healthz", "/openapi.json"])
def test_a_trailing_slash_changes_nothing(door: Door, path: str) -> None:
    """Clients add one at times; there is no redirect, since they do not follow it."""
    assert door.get(path).get_json() == door.get(f"{path}/").get_json()
    assert door.get(f"{path}/").status_code == 200


def test_below_a_prefix_links_lead_to_where_the_client_came_in(open_a_door: Callable[..., Door]) -> None:
    """Some sites mount the API at http://host/alarming."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    below = {"environ_overrides": {"SCRIPT_NAME": "/alarming"}, "base_url": "http://cloud:8042", "headers": ADMIN}
    document = door.get("/", **below).get_json()
    created = door.post(
        "/v2/alarms",
        {"name": "x", "type": "threshold", "threshold_rule": {"meter_name": "m", "threshold": 1}},
        **below,
    )

    assert document["versions"]["values"][0]["links"][0]["href"] == "http://cloud:8042/alarming/v2"
    assert created.headers["Location"] == f"http://cloud:8042/alarming/v2/alarms/{created.get_json()['alarm_id']}"


def test_behind_a_proxy_nothing_is_open_to_nobody(open_a_door: Callable[..., Door]) -> None:
    """Without an identity everything but the open paths is a 403, even what does not exist."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)

    for path in [*PATHS, "/v2/none", "/none"]:
        response = door.get(path)
        assert (403, "RBAC Authorization Failed") == (response.status_code, error_of(response))
    for path in ["/", "/healthz", "/readyz", "/metrics", "/openapi.json"]:
        assert door.get(path).status_code == 200
    assert door.get("/v2/alarms", headers=ANN).status_code == 200
    assert door.get("/v2/alarms", headers={"X-Roles": "Admin"}).status_code == 200
    assert door.get("/v2/alarms", headers={"X-User-Id": "ann"}).status_code == 403


def test_on_loopback_headers_count_when_there_are_any(door: Door) -> None:
    """Nobody is the administrator; somebody is who they say they are."""
    assert door.get("/v2/alarms").status_code == 200
    assert door.get("/v2/alarms", headers={"X-Roles": "", "X-Project-Id": "p1"}).status_code == 403


def test_a_mistake_of_ours_shows_nothing_of_our_insides(open_a_door: Callable[..., Door]) -> None:
    """The client gets a 500 with a request id, the log gets everything."""

    class Broken:
        def find(self, *_args: Any, **_options: Any) -> None:
            raise RuntimeError("secret inside")

    door = open_a_door(alarms=Broken())
    with capture_logs() as logs:
        response = door.get("/v2/alarms")

    assert response.status_code == 500
    assert "secret" not in error_of(response)
    assert ["request_failed"] == [event["event"] for event in logs]
    assert "Retry-After" not in response.headers


def test_a_database_that_is_gone_is_a_503_with_the_cause(door: Door, tmp_path: Path) -> None:
    """What cannot be reached is named, and coming back later may help."""
    door.database.close()
    for file in tmp_path.glob("alarmd.db*"):
        file.write_bytes(b"this is no database" * 100)
    response = door.get("/v2/alarms", headers=ADMIN)

    assert response.status_code == 503
    assert "database" in error_of(response).lower()
