# SPDX-License-Identifier: Apache-2.0
"""What operators ask."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.rest import Door


def test_health_is_that_the_process_answers(door: Door) -> None:
    """It asks nothing else, so a broken database does not get the process killed."""
    assert {"status": "ok"} == door.get("/healthz").get_json()


def test_readiness_names_what_is_wrong(open_a_door: Callable[..., Door]) -> None:
    """One failed check makes it a 503, and each check tells its trouble."""
    door = open_a_door(ready=lambda: {"store": None, "log": "samples.db is locked"})
    response = door.get("/readyz")

    assert response.status_code == 503
    assert {"status": "not ready", "checks": {"log": "samples.db is locked", "store": "ok"}} == response.get_json()


def test_readiness_is_200_when_all_is_fine(open_a_door: Callable[..., Door]) -> None:
    """Load balancers look at the status only."""
    door = open_a_door(ready=lambda: {"store": None})

    assert (200, "ready") == ((response := door.get("/readyz")).status_code, response.get_json()["status"])


def test_metrics_are_passed_on_in_prometheus_format(door: Door) -> None:
    """The text is that of the exposition, with the content type that scrapers want."""
    response = door.get("/metrics")

    assert response.data == b"alarmd_alarms 3\n"
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"


def references(part: Any) -> Iterator[str]:
    """Yield every reference within a part of the description."""
    match part:
        case dict():
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            for inner in part.values():
                yield from references(inner)
        case list():
            for inner in part:
                yield from references(inner)


def test_the_description_covers_exactly_what_there_is(door: Door) -> None:
    """Each path and method of the app is described, and nothing else is."""
    described = {
        (path, method.upper())
        for path, operations in door.get("/openapi.json").get_json()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    there = {
        (rule.rule.replace("<", "{").replace(">", "}"), method)
        for rule in door.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert there == described


def test_the_description_holds_together(door: Door) -> None:
    """Each reference leads to a schema, and operations have names of their own."""
    document = door.get("/openapi.json").get_json()
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    names = [
        operation["operationId"]
        for operations in document["paths"].values()
        for method, operation in operations.items()
        if method != "parameters"
    ]

    assert document["openapi"].startswith("3.1")
    assert set(references(document)) <= schemas
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", ["/v2/alarms", "/v2/alarms/{alarm_id}"])
def test_every_error_is_described_as_an_object(door: Door, path: str) -> None:
    """Generated clients can read errors as well as answers."""
    operations = door.get("/openapi.json").get_json()["paths"][path]
    for method, operation in operations.items():
        for status, answer in operation.get("responses", {}).items() if method != "parameters" else ():
            if status >= "400":
                assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorView"}
