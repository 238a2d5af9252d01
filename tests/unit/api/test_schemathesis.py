# SPDX-License-Identifier: Apache-2.0
"""The server against its own description: whatever is sent, nothing breaks, and nothing undescribed is answered."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from alarmd.api.context import Access
from alarmd.store import schema
from tests.support.conformance import findings
from tests.support.rest import Door, rule_families

#: What is sent so often that something must have gone through, not only refusals.
WRITES = {
    "POST /v2/alarms": 201,
    "PUT /v2/alarms/{alarm_id}": 200,
    "PUT /v2/alarms/{alarm_id}/state": 200,
    "DELETE /v2/alarms/{alarm_id}": 204,
    "POST /v2/query/alarms": 200,
    "POST /v2/query/alarms/history": 200,
    "POST /v2/quotas": 201,
    "DELETE /v2/quotas/{project_id}": 204,
    "POST /v3/samples": 202,
    "POST /v3/events": 202,
    "POST /v3/retries": 200,
    "POST /v3/secrets": 201,
}


def operations_of(door: Door) -> set[str]:
    paths = door.get("/openapi.json").get_json()["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item if method != "parameters"}


@pytest.mark.slow
def test_what_is_sent_is_answered_as_described(open_a_door: Callable[..., Door]) -> None:
    """Every value at its bounds, of each wrong type, missing and superfluous, by every method, on every path."""
    door = open_a_door(count_results=True)
    found = findings(door.app, phases=("examples", "coverage"), examples=10)

    assert [] == found.failures
    # The description itself is what it reads and never what it asks.
    assert operations_of(door) - {"GET /openapi.json"} == found.statuses.keys()


@pytest.mark.slow
def test_what_is_sent_at_random_and_in_sequence_is_answered_as_described(
    open_a_door: Callable[..., Door], postgres_url: str
) -> None:
    """The same on PostgreSQL, where values fit less easily: random requests, and sequences that use what they made."""
    schema.upgrade(postgres_url)
    door = open_a_door(database_url=postgres_url, count_results=True)
    found = findings(door.app, phases=("fuzzing", "stateful"), examples=45)

    assert [] == found.failures
    assert {} == {name: status for name, status in WRITES.items() if not found.statuses[name][status]}


def test_callers_of_any_name_are_answered_as_described(open_a_door: Callable[..., Door]) -> None:
    """Behind a proxy that names callers: with roles that there are not, and with no identity at all."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    found = findings(door.app, phases=("fuzzing",), examples=3, with_identity=True)

    assert [] == found.failures
    assert {403} <= set(found.statuses["GET /v2/alarms"])


@pytest.mark.parametrize("wrong", ["shape", "status", "header"])
def test_a_wrong_description_is_found(open_a_door: Callable[..., Door], wrong: str) -> None:
    """So the tests above can fail: a shape, a status or a header that is described otherwise than answered."""
    door = open_a_door()
    document: dict[str, Any] = deepcopy(door.app.extensions["alarmd.openapi"])
    document["paths"] = {"/v2/quotas": {"get": document["paths"]["/v2/quotas"]["get"]}}
    answers = document["paths"]["/v2/quotas"]["get"]["responses"]
    match wrong:
        case "shape":
            answers["200"]["content"]["application/json"]["schema"] = {"type": "array"}
        case "status":
            answers["203"] = answers.pop("200")
        case _:
            answers["200"]["headers"]["ETag"] = {"required": True, "schema": {"type": "string"}}
    door.app.extensions["alarmd.openapi"] = document

    assert findings(door.app, phases=("fuzzing",), examples=1).failures


def test_every_example_is_taken_as_it_stands(door: Door) -> None:
    """What people copy out of the description works, and there is an example of every type of alarm."""
    document = door.get("/openapi.json").get_json()
    alarms = document["paths"]["/v2/alarms"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    sent = 0
    for path, item in document["paths"].items():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        for name, example in content.get("application/json", {}).get("examples", {}).items():
            sent += 1
            assert (name, True) == (name, door.post(path, example["value"]).status_code < 300)

    assert rule_families().keys() == alarms.keys()
    assert sent > len(alarms)
