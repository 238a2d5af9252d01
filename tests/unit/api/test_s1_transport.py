# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §1.1, transport rules: each test names the row it holds alarmd to."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alarmd.api.context import Access
from tests.support.rest import ADMIN, Door, error_of

RULE = {"meter_name": "cpu_util", "threshold": 80}
ALARM: dict[str, Any] = {"name": "x", "type": "threshold", "threshold_rule": RULE}
JSON = "application/json"

LISTS = ["/v2/alarms", "/v2/capabilities", "/v2/quotas", "/v3/series", "/v3/deliveries"]


def created(door: Door, **options: Any) -> str:
    alarm_id: str = door.post("/v2/alarms", ALARM, **options).get_json()["alarm_id"]
    return alarm_id


def all_paths(door: Door) -> list[str]:
    return [f"/v2/alarms/{created(door)}{rest}" for rest in ("", "/state", "/history")] + LISTS


# --- Accept -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "*",
        "application/*",
        JSON,
        "Application/JSON",
        f"{JSON}; charset=utf-8",
        f"application/xml, {JSON};q=0.1",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        f"*/*;q=0, {JSON}",
        " ",
        "",
    ],
)
def test_s1_1_accept_of_json_is_answered(door: Door, accept: str) -> None:
    """Whoever takes JSON, under whichever range and among whichever others, gets it; no charset is named."""
    response = door.get("/v2/alarms", headers={"Accept": accept})

    assert (200, JSON) == (response.status_code, response.content_type)


@pytest.mark.parametrize(
    "accept",
    ["application/xml", "text/html", "text/plain", "image/*", f"{JSON};q=0", f"{JSON};q=0, */*", "*/*;q=0", "nonsense"],
)
def test_s1_1_accept_of_anything_else_is_406(door: Door, accept: str) -> None:
    """XML too, which Aodh serves; the answer is an error object that names what there is, on every path of the API."""
    for path in all_paths(door):
        response = door.get(path, headers={"Accept": accept})

        assert (406, path) == (response.status_code, path)
        assert JSON in error_of(response)


def test_s1_1_what_is_not_acceptable_changes_nothing(door: Door) -> None:
    """The refusal comes before the deed."""
    alarm_id = created(door)
    for method, path in [("DELETE", f"/v2/alarms/{alarm_id}"), ("POST", "/v2/alarms")]:
        assert 406 == door.send(method, path, ALARM, headers={"Accept": "text/html"}).status_code

    assert [alarm_id] == [alarm["alarm_id"] for alarm in door.get("/v2/alarms").get_json()]


@given(
    others=st.lists(st.tuples(st.sampled_from(["text/html", "image/*", "a/b"]), st.integers(0, 10)), max_size=3),
    ranges=st.dictionaries(st.sampled_from([JSON, "application/*", "*/*"]), st.integers(0, 10), max_size=3),
)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_s1_1_accept_the_most_special_range_counts(
    door: Door, others: list[tuple[str, int]], ranges: dict[str, int]
) -> None:
    """Of the ranges that JSON is in, the one that says most about it decides, wherever it stands."""
    header = ",".join(f"{kind};q={quality / 10}" for kind, quality in [*others, *ranges.items()])
    decisive = [ranges[kind] for kind in (JSON, "application/*", "*/*") if kind in ranges]
    expected = 200 if not header or (decisive and decisive[0] > 0) else 406

    assert expected == door.get("/v2/capabilities", headers={"Accept": header}).status_code


@pytest.mark.parametrize("path", ["/v2/alarms.json", "/v2/alarms.xml", "/v2/capabilities.json"])
def test_s1_1_suffixes_are_404(door: Door, path: str) -> None:
    """The form is asked for in `Accept` only."""
    assert 404 == door.get(path).status_code


# --- content types ------------------------------------------------------------------------------------------------
BODIES = [
    ("POST", "/v2/alarms"),
    ("PUT", "/v2/alarms/{alarm_id}"),
    ("PUT", "/v2/alarms/{alarm_id}/state"),
    ("POST", "/v2/query/alarms"),
    ("POST", "/v2/query/alarms/history"),
    ("POST", "/v2/quotas"),
    ("POST", "/v3/samples"),
]


@pytest.mark.parametrize(("method", "path"), BODIES)
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain", 415),
        ("application/xml", 415),
        ("application/problem+json", 415),
        ("application/x-www-form-urlencoded", 400),
        ("multipart/form-data; boundary=x", 400),
        (None, 400),
    ],
)
def test_s1_1_content_type_other_than_json(
    door: Door, method: str, path: str, content_type: str | None, status: int
) -> None:
    """Another type is 415; none, or that of a form, is 400 as in Aodh. Each text names the remedy."""
    path = path.format(alarm_id=created(door))
    response = door.app.test_client().open(path, method=method, data=b'{"name": "x"}', content_type=content_type)

    assert status == response.status_code
    assert f"Content-Type: {JSON}" in error_of(response)
    assert ("Unknown argument" in error_of(response)) == (status == 400)


@pytest.mark.parametrize("content_type", [JSON, "Application/JSON", f"{JSON}; charset=utf-8"])
def test_s1_1_content_type_json_is_read(door: Door, content_type: str) -> None:
    """In any case of letters, and with parameters."""
    response = door.app.test_client().put(f"/v2/alarms/{created(door)}/state", data=b'"ok"', content_type=content_type)

    assert (200, "ok") == (response.status_code, response.get_json())


# --- methods ------------------------------------------------------------------------------------------------------
def test_s1_1_head_is_405(door: Door) -> None:
    """On every path of the API, as in Aodh; without a body, as HTTP demands."""
    for path in all_paths(door):
        response = door.send("HEAD", path)

        assert (405, b"", path) == (response.status_code, response.data, path)
        assert "GET" in response.headers["Allow"]


def test_s1_1_options_is_200_and_empty(door: Door) -> None:
    """Also for who sends no identity and takes no JSON; `Allow` is that of a wrong method."""
    for path in all_paths(door):
        response = door.send("OPTIONS", path, headers={"Accept": "text/html"})

        assert (200, b"") == (response.status_code, response.data)
        assert door.send("PATCH", path).headers["Allow"] == response.headers["Allow"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v2/alarms", "GET, POST"),
        ("PATCH", "/v2/alarms", "GET, POST"),
        ("POST", "/v2/alarms/x", "DELETE, GET, PUT"),
        ("PATCH", "/v2/alarms/x", "DELETE, GET, PUT"),
        ("POST", "/v2/alarms/x/state", "GET, PUT"),
        ("POST", "/v2/alarms/x/history", "GET"),
        ("GET", "/v2/query/alarms", "POST"),
        ("GET", "/v2/query/alarms/history", "POST"),
        ("PUT", "/v2/quotas", "GET, POST"),
        ("GET", "/v2/quotas/p", "DELETE"),
        ("POST", "/v2/capabilities", "GET"),
        ("POST", "/v2/metrics", "GET"),
        ("POST", "/", "GET"),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_s1_1_other_methods_are_405_with_allow(door: Door, method: str, path: str, allow: str, slash: str) -> None:
    """`Allow` lists what there is on the path, with a trailing slash too."""
    response = door.send(method, path.rstrip("/") + slash if path != "/" else path)

    assert (405, allow) == (response.status_code, response.headers["Allow"])
    assert allow in error_of(response)


# --- paths and arguments ------------------------------------------------------------------------------------------
def test_s1_1_trailing_slashes_are_taken_everywhere(door: Door) -> None:
    """On every collection and item, for every method, and without a redirect."""
    alarm_id = created(door)
    for path in [*LISTS, *(f"/v2/alarms/{alarm_id}{rest}" for rest in ("", "/state", "/history"))]:
        assert (200, path) == (door.get(f"{path}/").status_code, path)
    answers = [
        (201, door.post("/v2/alarms/", ALARM)),
        (200, door.put(f"/v2/alarms/{alarm_id}/", ALARM)),
        (200, door.put(f"/v2/alarms/{alarm_id}/state/", "ok")),
        (200, door.post("/v2/query/alarms/", {})),
        (200, door.post("/v2/query/alarms/history/", {})),
        (201, door.post("/v2/quotas/", {"project_id": "p"})),
        (204, door.delete("/v2/quotas/p/")),
        (204, door.delete(f"/v2/alarms/{alarm_id}/")),
        (200, door.get("/healthcheck/")),
    ]
    for status, response in answers:
        assert (status, response.request.path) == (response.status_code, response.request.path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/alarms"),
        ("POST", "/v2/alarms"),
        ("GET", "/v2/alarms/x"),
        ("PUT", "/v2/alarms/x"),
        ("DELETE", "/v2/alarms/x"),
        ("GET", "/v2/alarms/x/state"),
        ("PUT", "/v2/alarms/x/state"),
        ("GET", "/v2/alarms/x/history"),
        ("POST", "/v2/query/alarms"),
        ("POST", "/v2/query/alarms/history"),
        ("GET", "/v2/capabilities"),
        ("GET", "/v2/metrics"),
        ("POST", "/v2/quotas"),
        ("DELETE", "/v2/quotas/x"),
        ("GET", "/v3/series"),
        ("GET", "/v3/deliveries"),
        ("POST", "/v3/samples"),
    ],
)
def test_s1_1_unknown_arguments_are_400(door: Door, method: str, path: str) -> None:
    """Also on items that there are not, before they are looked for; in Aodh's words."""
    data: Any = {} if method in {"POST", "PUT"} else None
    response = door.send(method, f"{path}?foo=bar", data)

    assert 400 == response.status_code
    assert error_of(response).startswith('Unknown argument: "foo"')


def test_s1_1_unknown_arguments_of_get_quotas_are_ignored(door: Door) -> None:
    """The one exception."""
    assert 200 == door.get("/v2/quotas?foo=bar").status_code


# --- headers of every answer --------------------------------------------------------------------------------------
def test_s1_1_request_id_is_on_every_answer_of_v2_and_v3(door: Door) -> None:
    """Errors included, each its own, and never the one that came in; not on `/` and `/healthcheck`."""
    mine = {"X-Openstack-Request-Id": "req-mine"}
    asked = [
        door.get("/v2/alarms", headers=mine),
        door.get("/v2", headers=mine),
        door.get("/v3/none", headers=mine),
        door.get("/v2/alarms/x", headers=mine),
        door.send("PATCH", "/v2/alarms", headers=mine),
        door.send("OPTIONS", "/v2/alarms", headers=mine),
        door.get("/v2/alarms", headers=mine | {"Accept": "text/html"}),
        door.post("/v2/alarms", {}, headers=mine),
        door.delete("/v2/quotas/p", headers=mine),
        door.get("/v2/capabilities", headers=mine),
    ]
    ids = {response.headers["x-openstack-request-id"] for response in asked}

    assert len(asked) == len(ids)
    assert all(each.startswith("req-") and len(each) == len("req-") + 36 for each in ids)
    assert "req-mine" not in ids
    for path in ("/", "/healthcheck", "/healthz", "/metrics", "/v2x"):
        assert "x-openstack-request-id" not in door.get(path, headers=mine).headers


# --- where clients come in ----------------------------------------------------------------------------------------
def links_of(door: Door, **options: Any) -> tuple[str, str]:
    """Return the link of the version document and the location of a new alarm, without its id."""
    document = door.get("/", **options).get_json()
    location = door.post("/v2/alarms", ALARM, **options).headers["Location"]
    return document["versions"]["values"][0]["links"][0]["href"], location.rpartition("/")[0]


@pytest.mark.parametrize("prefix", ["", "/alarming", "/a/b"])
def test_s1_1_links_are_absolute_and_follow_host_and_prefix(open_a_door: Callable[..., Door], prefix: str) -> None:
    """Built from the Host header, below whatever prefix the application is mounted."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    came_in = {"environ_overrides": {"SCRIPT_NAME": prefix}, "base_url": "http://cloud:8042", "headers": ADMIN}

    assert (f"http://cloud:8042{prefix}/v2", f"http://cloud:8042{prefix}/v2/alarms") == links_of(door, **came_in)


FORWARDED = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "alarms.example",
    "X-Forwarded-Prefix": "/alarming",
}


@pytest.mark.parametrize(
    ("believed", "base"), [(False, "http://inside:8042"), (True, "https://alarms.example/alarming")]
)
def test_s1_1_proxy_headers_count_only_when_the_setting_says_so(
    open_a_door: Callable[..., Door], believed: bool, base: str
) -> None:
    """Anybody can write them, so by default they are nothing; then of one proxy, the last."""
    door = open_a_door(access=Access.TRUSTED_HEADERS, proxy_headers=believed)
    chained = {name: f"first.example, {value}" for name, value in FORWARDED.items()}
    for forwarded in (FORWARDED, chained):
        came_in = {"base_url": "http://inside:8042", "headers": ADMIN | forwarded}

        assert (f"{base}/v2", f"{base}/v2/alarms") == links_of(door, **came_in)


# --- web pages ----------------------------------------------------------------------------------------------------
PAGE = "https://horizon.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "x-auth-token, content-type, x-other",
}


def access_headers(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("Access-Control-")}


def test_s1_1_cors_is_off_by_default(open_a_door: Callable[..., Door]) -> None:
    """No answer lets a page of another origin read it, whatever the page asks."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    for method in ("GET", "OPTIONS"):
        response = door.send(method, "/v2/alarms", headers=ADMIN | PREFLIGHT)

        assert (200, {}) == (response.status_code, access_headers(response.headers))


def test_s1_1_cors_lets_named_origins_in(open_a_door: Callable[..., Door]) -> None:
    """Aodh's methods and headers, and those that the API itself needs; errors can be read too."""
    door = open_a_door(access=Access.TRUSTED_HEADERS, cors_origins=(PAGE,))
    preflight = door.send("OPTIONS", "/v2/alarms/x", headers=PREFLIGHT)
    refused = door.get("/v2/alarms/x", headers=ADMIN | {"Origin": PAGE})
    nobody = door.get("/v2/alarms", headers={"Origin": PAGE})

    assert (200, b"") == (preflight.status_code, preflight.data)
    assert PAGE == preflight.headers["Access-Control-Allow-Origin"]
    assert {"GET", "PUT", "POST", "DELETE", "PATCH"} == set(
        preflight.headers["Access-Control-Allow-Methods"].split(", ")
    )
    assert {"x-auth-token", "content-type"} == set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in preflight.headers
    for response, status in ((refused, 404), (nobody, 403)):
        exposed = response.headers["Access-Control-Expose-Headers"]
        assert (status, PAGE) == (response.status_code, response.headers["Access-Control-Allow-Origin"])
        assert {"X-Auth-Token", "X-Openstack-Request-Id", "X-Subject-Token"} <= set(exposed.split(", "))
        assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://horizon.example", f"{PAGE}.evil.example", "null"])
def test_s1_1_cors_keeps_other_origins_out(open_a_door: Callable[..., Door], origin: str) -> None:
    """An origin is the whole of it: scheme, host and port."""
    door = open_a_door(access=Access.TRUSTED_HEADERS, cors_origins=(PAGE,))
    response = door.get("/v2/alarms", headers=ADMIN | {"Origin": origin})

    assert {} == access_headers(response.headers)


def test_s1_1_cors_for_everybody_is_said_so(open_a_door: Callable[..., Door]) -> None:
    """A star stays a star, so no page is let in by name."""
    door = open_a_door(access=Access.TRUSTED_HEADERS, cors_origins=("*",))
    response = door.get("/v2/alarms", headers=ADMIN | {"Origin": "https://any.example"})

    assert "*" == response.headers["Access-Control-Allow-Origin"]


# --- moments ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("seconds", "shown"), [(0.0, "2026-01-01T00:00:00"), (1.25, "2026-01-01T00:00:01.250000")])
def test_s1_1_timestamps_are_naive_utc(door: Door, seconds: float, shown: str) -> None:
    """ISO 8601 without a zone; microseconds unless they are zero."""
    door.clock.advance(seconds)
    alarm = door.post("/v2/alarms", ALARM).get_json()

    assert [shown] * 3 == [alarm[key] for key in ("timestamp", "state_timestamp", "evaluate_timestamp")]
