# SPDX-License-Identifier: Apache-2.0
"""What `/openapi.json` says of alarmd's own API, v3, and of the operators' paths."""

from alarmd.api.breaker import breaker_paths
from alarmd.api.openapi_deliveries import deliveries_paths, secrets_paths
from alarmd.api.openapi_examples import RULES
from alarmd.api.openapi_silences import silences_paths
from alarmd.api.openapi_terms import (
    LIMIT,
    Part,
    answer,
    error,
    headers,
    list_of,
    operation,
    operation_for_all,
    parameter,
    ref,
)

_SPAN = "ISO 8601 (no zone: UTC) or epoch seconds"
_SERIES = [
    parameter("user_id", "of this user"),
    parameter("project_id", "of this project (administrators)"),
    parameter("all_projects", "of all projects (administrators)", schema={"type": "boolean"}),
    parameter("start", _SPAN),
    parameter("end", _SPAN),
    LIMIT,
]


def v3_paths() -> Part:
    """Return the paths of v3."""
    return (
        _samples() | _events() | _verdicts() | deliveries_paths() | secrets_paths() | silences_paths() | breaker_paths()
    )


def _samples() -> Part:
    refused = error(400, headers(), schema={"anyOf": [ref("ErrorView"), ref("PushErrorView")]})
    return {
        "/v3/samples": {
            "post": operation(
                "push_samples",
                "Take samples; a bad one costs only itself. 202 means that they have been made safe.",
                {202: answer(ref("PushView"), description="Safe."), 400: refused},
                body=ref("PushBody"),
                examples={"one": {"value": {"samples": [{"metric": "cpu_util", "resource_id": "vm-1", "value": 95}]}}},
            ),
        },
        "/v3/series": {
            "get": operation(
                "list_series",
                "List the series that have samples in a span (the last ten minutes when it is not named).",
                {200: answer(ref("SeriesListView"))},
                parameters=[parameter("metric", "its name"), parameter("resource_id", "its id"), *_SERIES],
            ),
        },
        "/v3/series/data": {
            "get": operation(
                "list_points",
                "List the points of one metric of one resource in a span.",
                {200: answer(ref("SeriesDataView"))},
                parameters=[
                    parameter("metric", "its name", required=True),
                    parameter("resource_id", "its id", required=True),
                    *_SERIES,
                ],
            ),
        },
    }


def _events() -> Part:
    refused = error(400, headers(), schema={"anyOf": [ref("ErrorView"), ref("PushErrorView")]})
    event = {
        "event_type": "compute.instance.update",
        "message_id": "6d3e9f0a-2a53-4a67-8b51-1f2b8a3f6f0c",
        "generated": "2026-01-01T12:00:00",
        "traits": [["instance_id", 1, "vm-1"], ["state", 1, "error"], {"name": "vcpus", "value": 2}],
    }
    return {
        "/v3/events": {
            "post": operation(
                "push_events",
                "Hold events against alarms; a bad one costs only itself. 202 means that what follows is committed.",
                {202: answer(ref("PushView"), description="Done."), 400: refused},
                body={"anyOf": [ref("EventPushBody"), list_of("EventBody"), ref("EventBody")]},
                examples={"many": {"value": {"events": [event]}}, "bare": {"value": event}},
            ),
        },
    }


def _verdicts() -> Part:
    alarm = {"type": "threshold", "threshold_rule": RULES["threshold"]}
    samples = [{"metric": "cpu_util", "resource_id": "vm-1", "value": 95, "timestamp": 1767258000}]
    return {
        "/v3/alarms/preview": {
            "post": operation(
                "preview_alarm",
                "Say what an alarm would have done over the samples that there are, or over those given. "
                "429 also while the project has another preview under way.",
                {200: answer(ref("PreviewView"))},
                body=ref("PreviewBody"),
                examples={
                    "preview": {"value": {**alarm, "since": "1h"}},
                    "backtest": {"value": {**alarm, "samples": samples}},
                },
            ),
        },
        "/v3/alarms/{alarm_id}/explain": {
            "parameters": [parameter("alarm_id", "the alarm", where="path")],
            "get": operation(
                "explain_alarm",
                "Say why an alarm is in its state: what its rule sees now, and what would change it.",
                {200: answer(ref("ExplanationView"))},
                errors=[404],
            ),
        },
    }


def operators_paths() -> Part:
    """Return the paths of operators and their tools."""
    return {
        "/healthz": {
            "get": operation_for_all("show_health", "Whether this process answers.", {200: answer(ref("HealthView"))})
        },
        "/readyz": {
            "get": operation_for_all(
                "show_readiness",
                "Whether everything that a request may need answers.",
                {
                    200: answer(ref("ReadinessView")),
                    503: answer(ref("ReadinessView"), description="Something does not."),
                },
            )
        },
        "/metrics": {
            "get": operation_for_all(
                "show_metrics",
                "The metrics of all processes, for Prometheus.",
                {200: {"description": "Fine.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
            )
        },
        "/openapi.json": {
            "get": operation_for_all("show_openapi", "This description.", {200: answer({"type": "object"})})
        },
    }
