# SPDX-License-Identifier: Apache-2.0
"""Pushing samples."""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from alarmd.api.context import ApiLimits
from alarmd.cluster.doorbell import Bell
from alarmd.model.shard import all_shards
from tests.support.rest import ADMIN, ANN, EVE, Door, error_of

A_SAMPLE = {"metric": "cpu_util", "resource_id": "vm-1", "value": 95.5}


def pushed(door: Door) -> list[dict[str, Any]]:
    """Return what stands in the log, a dict a point."""
    entries, _ = door.log.read(door.log.start_of(all_shards(), since_s=0), limit=1000)
    return [
        {
            "metric": metric.name,
            "unit": metric.unit,
            "type": str(metric.kind),
            "resource_id": resource.id,
            "project_id": resource.project_id,
            "user_id": resource.user_id,
            "labels": dict(resource.labels),
            "timestamp_s": entry.batch.timestamp_s,
            "value": float(entry.batch.values[row, column]),
        }
        for entry in entries
        for row, resource in enumerate(entry.batch.resources)
        for column, metric in enumerate(entry.batch.metrics)
    ]


def test_a_sample_is_in_the_log_when_it_is_answered_and_the_evaluators_are_woken(door: Door) -> None:
    """A bare sample gets the moment, the owner and the kind that go without saying."""
    response = door.post("/v3/samples", {"samples": [A_SAMPLE]}, headers=ANN)

    assert response.status_code == 202
    assert {"accepted": 1, "rejected": []} == response.get_json()
    assert [
        {
            "metric": "cpu_util",
            "unit": "",
            "type": "gauge",
            "resource_id": "vm-1",
            "project_id": "p1",
            "user_id": "ann",
            "labels": {},
            "timestamp_s": door.clock.time_s(),
            "value": 95.5,
        }
    ] == pushed(door)
    assert [Bell.SAMPLES] == door.doorbell.rung


def test_all_that_a_sample_says_is_kept(door: Door) -> None:
    """Unit, type, owner and labels reach the log as they were sent."""
    sample = A_SAMPLE | {
        "value": 7,
        "unit": "%",
        "type": "cumulative",
        "project_id": "p9",
        "user_id": "u9",
        "labels": {"group": "web", "az": "1"},
    }
    door.post("/v3/samples", {"samples": [sample]}, headers=ADMIN)

    assert [sample | {"timestamp_s": door.clock.time_s()}] == pushed(door)


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-12-31T23:59:30Z",
        "2025-12-31T23:59:30",
        "2025-12-31T23:59:30.000000",
        "2026-01-01T01:59:30+02:00",
        1767225570,
        1767225570.0,
    ],
)
def test_moments_come_in_several_forms(door: Door, timestamp: object) -> None:
    """ISO 8601 with a zone, without one (UTC), and seconds since the epoch all name the same moment."""
    door.post("/v3/samples", {"samples": [A_SAMPLE | {"timestamp": timestamp}]})

    assert [1767225570.0] == [point["timestamp_s"] for point in pushed(door)]


REJECTED: list[tuple[object, str]] = [
    (None, "must be an object"),
    ([], "must be an object"),
    ({}, "metric is missing"),
    ({"metric": "", "resource_id": "x", "value": 1}, "metric must have 1 to 255 characters"),
    (A_SAMPLE | {"metric": 5}, "metric must be text, not 5"),
    (A_SAMPLE | {"metric": "m" * 256}, "this one has 256"),
    (A_SAMPLE | {"metric": ["m"]}, "is a list or an object"),
    (A_SAMPLE | {"resource_id": "a\x00b"}, "not text"),
    (A_SAMPLE | {"resource_id": "\ud800"}, "not text"),
    (A_SAMPLE | {"value": None}, "value is missing"),
    (A_SAMPLE | {"value": "95"}, "value must be a number, not '95'"),
    (A_SAMPLE | {"value": True}, "value must be a number, not True"),
    (A_SAMPLE | {"value": 10**400}, "too large"),
    (A_SAMPLE | {"type": "counter"}, "gauge, cumulative, delta"),
    (A_SAMPLE | {"labels": ["web"]}, "labels must be an object"),
    (A_SAMPLE | {"labels": {"group": 5}}, "label 'group' must be text, not 5"),
    (A_SAMPLE | {"labels": {"group": {}}}, "is a list or an object"),
    (A_SAMPLE | {"labels": {f"l{number}": "" for number in range(65)}}, "65 labels are more than the 64 allowed"),
    (A_SAMPLE | {"timestmap": 5}, "unknown key 'timestmap'; known: labels, metric"),
    (A_SAMPLE | {"timestamp": "yesterday"}, "ISO 8601 or seconds since the epoch"),
    (A_SAMPLE | {"timestamp": True}, "ISO 8601 or seconds since the epoch"),
    (A_SAMPLE | {"timestamp": "2025-12-31T21:59:59"}, "too far in the past; allowed now: 2025-12-31T22:00:00 to"),
    (A_SAMPLE | {"timestamp": "2026-01-01T00:01:01"}, "too far in the future; allowed now: "),
    (A_SAMPLE | {"timestamp": 1767225600000}, "send seconds, not milliseconds"),
    (A_SAMPLE | {"timestamp": 1e300}, "too far in the future"),
    (A_SAMPLE | {"timestamp": 10**400}, "ISO 8601 or seconds since the epoch"),
    (A_SAMPLE | {"project_id": "p2"}, "Not Authorized to access project p2"),
]


@pytest.mark.parametrize(("sample", "reason"), REJECTED)
def test_a_bad_sample_costs_only_itself(door: Door, sample: object, reason: str) -> None:
    """The good samples around it are accepted, and the answer says which was not, and why."""
    response = door.post("/v3/samples", {"samples": [A_SAMPLE, sample, A_SAMPLE | {"metric": "m"}]}, headers=ANN)
    answer = response.get_json()

    assert response.status_code == 202
    assert answer["accepted"] == 2
    assert [1] == [rejection["index"] for rejection in answer["rejected"]]
    assert reason in answer["rejected"][0]["reason"]
    assert {"cpu_util", "m"} == {point["metric"] for point in pushed(door)}


def test_a_push_of_which_nothing_can_be_taken_is_an_error(door: Door) -> None:
    """Who only looks at the status learns that nothing was accepted; the list is there all the same."""
    response = door.post("/v3/samples", {"samples": [A_SAMPLE | {"value": None}] * 2})
    answer = response.get_json()

    assert response.status_code == 400
    assert "No sample was accepted; sample 0: value is missing" in error_of(response)
    assert answer["accepted"] == 0
    assert [0, 1] == [rejection["index"] for rejection in answer["rejected"]]
    assert [] == door.doorbell.rung


def test_an_empty_push_is_fine(door: Door) -> None:
    """Nothing to say is no mistake."""
    response = door.post("/v3/samples", {"samples": []})

    assert response.status_code == 202
    assert {"accepted": 0, "rejected": []} == response.get_json()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "empty"),
        (b'{"samples": [', "Expecting value at line 1 column 14"),
        (b'{"samples": [\n{"metric" "m"}]}', "line 2 column 11"),
        (b'{"samples": [{"value": NaN}]}', "data.samples[0].value is NaN"),
        (b'{"samples": [{"value": 1}, {"value": -Infinity}]}', "data.samples[1].value is -Infinity"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"samples": [' + b"1" * 5000 + b"]}", "too many digits"),
        (b'{"samples": "\xff"}', "not UTF-8: byte 13"),
        (b"[]", "list of samples"),
        (b'{"samples": {}}', "list of samples"),
        (b'{"samples": [], "sample": 1}', "Unknown attribute for argument data: 'sample'"),
    ],
)
def test_a_body_that_makes_no_sense_is_explained(door: Door, body: bytes, text: str) -> None:
    """What is wrong with the whole body is a 400 that says where and what to do."""
    response = door.app.test_client().post("/v3/samples", data=body, content_type="application/json")

    assert response.status_code == 400
    assert text in error_of(response)


def test_an_infinite_number_in_disguise_is_rejected(door: Door) -> None:
    """1e999 is valid JSON and becomes infinite when read."""
    body = json.dumps({"samples": [A_SAMPLE]}).replace("95.5", "1e999")
    response = door.app.test_client().post("/v3/samples", data=body, content_type="application/json")

    assert response.status_code == 400
    assert "value must be finite" in error_of(response)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("text/plain", 415), ("application/xml", 415), ("application/x-www-form-urlencoded", 400), (None, 400)],
)
def test_only_json_is_read(door: Door, content_type: str | None, status: int) -> None:
    """Another content type is refused with the name of the right one, as alarms are."""
    response = door.app.test_client().post("/v3/samples", data=b"{}", content_type=content_type)

    assert status == response.status_code
    assert "Content-Type: application/json" in error_of(response)


def test_limits_are_named_where_they_are_hit(open_a_door: Callable[..., Door]) -> None:
    """Too many samples and too many bytes are a 413 with the limit and its setting."""
    door = open_a_door(limits=ApiLimits(max_samples_per_push=2, max_body_bytes=400))
    many = door.post("/v3/samples", {"samples": [A_SAMPLE] * 3})
    large = door.post("/v3/samples", {"samples": [A_SAMPLE | {"unit": "x" * 400}]})

    assert [413, 413] == [many.status_code, large.status_code]
    assert "2 allowed in a push (setting api.max_samples_per_push)" in error_of(many)
    assert "400 bytes allowed (setting api.max_body_bytes)" in error_of(large)
    assert [] == pushed(door)


def test_a_body_of_unannounced_length_is_bounded_too(open_a_door: Callable[..., Door]) -> None:
    """It is refused, and not cut off and misread."""
    door = open_a_door(limits=ApiLimits(max_body_bytes=400))

    def push(sample: dict[str, Any]) -> int:
        body = json.dumps({"samples": [sample]}).encode()
        chunked = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        return (
            door.app.test_client()
            .post(
                "/v3/samples",
                input_stream=BytesIO(body),
                content_type="application/json",
                environ_overrides=chunked,
            )
            .status_code
        )

    assert [202, 413] == [push(A_SAMPLE), push(A_SAMPLE | {"unit": "x" * 400})]


def test_a_reader_may_not_push(door: Door) -> None:
    """Samples change what alarms do, so it takes a role that may write."""
    response = door.post("/v3/samples", {"samples": [A_SAMPLE]}, headers=EVE)

    assert response.status_code == 403
    assert error_of(response) == "RBAC Authorization Failed"


def test_a_log_that_does_not_answer_is_a_503_with_the_cause(door: Door) -> None:
    """Nothing was accepted, and the answer says what is broken, without asking to come back at a certain time."""
    door.log.close()
    response = door.post("/v3/samples", {"samples": [A_SAMPLE]})

    assert response.status_code == 503
    assert "log" in error_of(response)
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"traceparent": f"00-{'4b' * 16}-{'0f' * 8}-01"}, f"00-{'4b' * 16}-{'0f' * 8}-01"),
        ({"traceparent": "what?"}, ""),
        ({}, ""),
    ],
)
def test_the_trace_of_a_push_is_kept(door: Door, sent: dict[str, str], kept: str) -> None:
    """A traceparent goes into the log with the samples; one that is none refuses nothing."""
    response = door.post("/v3/samples", {"samples": [A_SAMPLE]}, headers=ANN | sent)
    entries, _ = door.log.read(door.log.start_of(all_shards(), since_s=0), limit=10)

    assert response.status_code == 202
    assert [kept] == [entry.batch.traceparent for entry in entries]
