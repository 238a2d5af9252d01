# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §1.3, endpoints: each test names the row it holds alarmd to."""

from collections.abc import Callable
from typing import Any

import pytest

from alarmd.api.context import Access
from tests.support.rest import ADMIN, ANN, EVE, Door, error_of

ALARM: dict[str, Any] = {"name": "x", "type": "threshold", "threshold_rule": {"meter_name": "m", "threshold": 80}}

#: Of each endpoint of the table: method, path, body, status.
ENDPOINTS: list[tuple[str, str, Any, int]] = [
    ("GET", "/", None, 200),
    ("GET", "/v2", None, 404),
    ("GET", "/v2/", None, 404),
    ("GET", "/healthcheck", None, 200),
    ("GET", "/v2/alarms", None, 200),
    ("POST", "/v2/alarms", ALARM, 201),
    ("GET", "/v2/alarms/{id}", None, 200),
    ("PUT", "/v2/alarms/{id}", ALARM, 200),
    ("DELETE", "/v2/alarms/{id}", None, 204),
    ("GET", "/v2/alarms/{id}/state", None, 200),
    ("PUT", "/v2/alarms/{id}/state", "ok", 200),
    ("GET", "/v2/alarms/{id}/history", None, 200),
    ("POST", "/v2/query/alarms", {}, 200),
    ("POST", "/v2/query/alarms/history", {}, 200),
    ("GET", "/v2/capabilities", None, 200),
    ("GET", "/v2/quotas", None, 200),
    ("GET", "/v2/quotas?project_id=p", None, 200),
    ("POST", "/v2/quotas", {"project_id": "p", "quotas": [{"resource": "alarms", "limit": 1}]}, 201),
    ("DELETE", "/v2/quotas/p", None, 204),
    ("GET", "/v2/metrics", None, 200),
    ("GET", "/v2/metrics?all_projects=true", None, 200),
    ("GET", "/v2/quotas/p", None, 405),
    ("PUT", "/v2/alarms", ALARM, 405),
    ("PATCH", "/v2/alarms/{id}", ALARM, 405),
]


def id_of_row(row: object) -> str | None:
    return row.replace("/", ".").strip(".") or "root" if isinstance(row, str) else None


@pytest.mark.parametrize(("method", "path", "data", "status"), ENDPOINTS, ids=id_of_row)
def test_s1_3_status(open_a_door: Callable[..., Door], method: str, path: str, data: Any, status: int) -> None:
    """Each endpoint is there, and answers with the status of the table; 204 has neither body nor content type."""
    door = open_a_door(count_results=True)
    alarm_id = door.post("/v2/alarms", ALARM).get_json()["alarm_id"]
    response = door.send(method, path.format(id=alarm_id), data)

    assert status == response.status_code
    if status == 204:
        assert (b"", None) == (response.data, response.headers.get("Content-Type"))
    if status >= 400:
        assert error_of(response)


def test_s1_3_post_alarms_location_leads_to_the_alarm(door: Door) -> None:
    """201 with an absolute `Location`, which answers what was created."""
    created = door.post("/v2/alarms", ALARM)
    location = created.headers["Location"]

    assert f"http://localhost/v2/alarms/{created.get_json()['alarm_id']}" == location
    assert created.get_json() == door.get(location.removeprefix("http://localhost")).get_json()


def test_s1_3_get_and_put_state_are_bare_strings(door: Door) -> None:
    """JSON strings, without an object around them; the query string will do for PUT as well."""
    alarm_id = door.post("/v2/alarms", ALARM).get_json()["alarm_id"]

    assert b'"insufficient data"' == door.get(f"/v2/alarms/{alarm_id}/state").data.strip()
    assert b'"ok"' == door.put(f"/v2/alarms/{alarm_id}/state", "ok").data.strip()
    assert b'"alarm"' == door.put(f"/v2/alarms/{alarm_id}/state?state=alarm").data.strip()


def test_s1_3_get_root_is_aodhs_version_document(door: Door) -> None:
    """Key by key; the list of media types is compared by OpenStack's own tests, so it stands as it is there."""
    expected = {
        "versions": {
            "values": [
                {
                    "id": "v2",
                    "links": [
                        {"href": "http://localhost/v2", "rel": "self"},
                        {"href": "https://docs.openstack.org/", "rel": "describedby", "type": "text/html"},
                    ],
                    "media-types": [
                        {"base": "application/json", "type": "application/vnd.openstack.telemetry-v2+json"},
                        {"base": "application/xml", "type": "application/vnd.openstack.telemetry-v2+xml"},
                    ],
                    "status": "stable",
                    "updated": "2013-02-13T00:00:00Z",
                }
            ]
        }
    }

    assert expected == door.get("/").get_json()


def test_s1_3_get_healthcheck_is_empty_text(door: Door) -> None:
    """200, text, nothing in it, and no request id; probes look at the status."""
    response = door.get("/healthcheck")

    assert (200, "text/plain", b"") == (response.status_code, response.mimetype, response.data)
    assert "x-openstack-request-id" not in response.headers


def test_s1_3_get_capabilities_are_aodhs(door: Door) -> None:
    """All of them are there."""
    expected = {
        "api": {
            "alarms:query:simple": True,
            "alarms:query:complex": True,
            "alarms:history:query:simple": True,
            "alarms:history:query:complex": True,
        },
        "alarm_storage": {"storage:production_ready": True},
    }

    assert expected == door.get("/v2/capabilities").get_json() == door.get("/v2/capabilities/").get_json()


@pytest.mark.parametrize("path", ["/", "/healthcheck", "/v2/capabilities"])
def test_s1_3_needs_no_identity(open_a_door: Callable[..., Door], path: str) -> None:
    """These rows name no rule: they are answered to nobody in particular, and only they are."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)

    assert 200 == door.get(path).status_code
    assert 403 == door.get("/v2/alarms").status_code


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [row for row in ENDPOINTS if row[3] < 400 and row[1] not in {"/", "/healthcheck", "/v2/capabilities"}],
    ids=id_of_row,
)
def test_s1_3_rule(open_a_door: Callable[..., Door], method: str, path: str, data: Any, status: int) -> None:
    """A reader of the project may look and nothing else, an administrator may do everything."""
    door = open_a_door(access=Access.TRUSTED_HEADERS, count_results=True)
    alarm_id = door.post("/v2/alarms", ALARM, headers=ANN).get_json()["alarm_id"]
    looks = (method == "GET" and "?" not in path) or path.startswith("/v2/query")
    by_reader = door.send(method, path.format(id=alarm_id), data, headers=EVE)
    by_admin = door.send(method, path.format(id=alarm_id), data, headers=ADMIN)

    assert (status if looks else 403) == by_reader.status_code
    assert status == by_admin.status_code
