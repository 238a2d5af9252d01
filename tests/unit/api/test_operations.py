# SPDX-License-Identifier: Apache-2.0
"""What operators ask."""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import pytest

from alarmd.telemetry import HTTP_REQUESTS
from tests.support.rest import Door, rule_families


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


def test_made_up_methods_are_counted_as_one(door: Door) -> None:
    """Anybody may send any, and each name of its own would stay in memory for good."""
    for number in range(3):
        door.send(f"MADEUP{number}", "/v2/alarms")
    counted = {sample.labels.get("method") for metric in HTTP_REQUESTS.collect() for sample in metric.samples}

    assert "other" in counted
    assert not {"MADEUP0", "MADEUP1", "MADEUP2"} & counted


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


def resolved(document: Any, part: Any) -> Any:
    """Return what a part of the description is or refers to."""
    while "$ref" in part:
        where = part["$ref"].removeprefix("#/").split("/")
        part = reduce(lambda inside, key: inside[key], where, document)
    return part


def operations_of(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the operations, each with its path."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters":
                yield path, operation


def test_the_description_holds_together(door: Door) -> None:
    """Each reference leads somewhere, and operations have names of their own."""
    document = door.get("/openapi.json").get_json()
    there = {f"#/components/{kind}/{name}" for kind, parts in document["components"].items() for name in parts}
    names = [operation["operationId"] for _, operation in operations_of(document)]

    assert document["openapi"].startswith("3.1")
    assert set(references(document)) <= there
    assert len(names) == len(set(names))


def test_every_error_is_described_as_an_object(door: Door) -> None:
    """Generated clients can read errors as well as answers; only a push says more than that."""
    document = door.get("/openapi.json").get_json()
    view = {"$ref": "#/components/schemas/ErrorView"}
    for path, operation in operations_of(document):
        for status, answer in operation["responses"].items():
            schema = resolved(document, answer).get("content", {}).get("application/json", {}).get("schema")
            if status >= "400" and path not in {"/readyz", "/v3/samples", "/v3/events"}:
                assert (path, status, view) == (path, status, schema)


def test_every_answer_of_the_api_proper_bears_the_id_of_its_request(door: Door) -> None:
    """As described; those of the operators' paths do not."""
    document = door.get("/openapi.json").get_json()
    for path, operation in operations_of(document):
        for answer in operation["responses"].values():
            named = resolved(document, answer).get("headers", {})

            assert path.startswith(("/v2", "/v3")) == ("x-openstack-request-id" in named), path


@pytest.mark.parametrize("kind", sorted(rule_families()))
def test_every_type_of_alarm_is_described_with_its_rule(door: Door, kind: str) -> None:
    """The rule's attributes are those that the family reads, and the rule is mandatory."""
    document = door.get("/openapi.json").get_json()
    described = document["components"]["schemas"][f"AlarmBody_{kind}"]
    rule = resolved(document, described["properties"][f"{kind}_rule"])
    shape = rule_families()[kind].body.model_json_schema()

    assert kind == described["properties"]["type"]["const"]
    assert f"{kind}_rule" in described["required"]
    assert shape.get("properties", {}).keys() == rule.get("properties", {}).keys()
    assert shape.get("required", []) == rule.get("required", [])


def test_what_rules_may_say_beyond_aodh_is_described(door: Door) -> None:
    """Each such attribute says what it means, and its bounds are told in JSON Schema's words."""
    schemas = door.get("/openapi.json").get_json()["components"]["schemas"]
    judged = {
        "datapoints_to_alarm",
        "treat_missing_data",
        "recovery_threshold",
        "hold_for",
        "keep_for",
        "minimum_coverage",
    }
    beyond = {
        "ThresholdRuleBody-Input": judged | {"group_statistic"},
        "GnocchiResourcesRuleBody": judged,
        "GnocchiMetricsRuleBody": judged | {"group_statistic"},
        "GnocchiAggregationRuleBody": judged | {"group_statistic"},
        "PrometheusRuleBody": {"evaluation_periods", "granularity", "series"},
    }
    described = {
        name: {attribute for attribute in attributes if schemas[name]["properties"][attribute].get("description")}
        for name, attributes in beyond.items()
    }
    bounds = schemas["PrometheusRuleBody"]["properties"]["evaluation_periods"]["anyOf"][0]

    assert beyond == described
    assert {"type": "integer", "minimum": 1, "maximum": 100} == bounds
