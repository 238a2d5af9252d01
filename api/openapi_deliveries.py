# SPDX-License-Identifier: Apache-2.0
"""What `/openapi.json` says of deliveries and of the secrets that they are signed with."""

from alarmd.api.openapi_terms import (
    LIMIT,
    MARKER,
    Part,
    answer,
    headers,
    list_of,
    nothing,
    operation,
    parameter,
    ref,
)

_SPAN = "ISO 8601 (no zone: UTC) or epoch seconds"
_EVENT = parameter("event_id", "the delivery", where="path")
_NAME = parameter("name", "the secret's name", where="path")
_PROJECT = parameter("project_id", "of this project (administrators)")
_LINKS: Part = {
    "rotate_secret": {"operationId": "rotate_secret", "parameters": {"name": "$response.body#/name"}},
    "delete_secret": {"operationId": "delete_secret", "parameters": {"name": "$response.body#/name"}},
}


def deliveries_paths() -> Part:
    """Return the paths of deliveries."""
    filters = [
        parameter("alarm_id", "of this alarm"),
        parameter("state", "in one of these states, repeated or with commas", schema=list_of("DeliveryState")),
        _PROJECT,
        parameter("direction", "that lead there", schema=ref("Direction")),
        parameter("target", "to this host, or with :// in it, to this scheme, host and port"),
        parameter("since", f"made then or later; {_SPAN}"),
        parameter("until", f"made before; {_SPAN}"),
        parameter("event_id", "whose id begins so"),
        LIMIT,
        MARKER,
    ]
    listed = answer(ref("DeliveryListView"), named=headers("Link"))
    return {
        "/v3/deliveries": {
            "get": operation("list_deliveries", "List deliveries, newest first.", {200: listed}, parameters=filters),
        },
        "/v3/deliveries/{event_id}": {
            "parameters": [_EVENT],
            "get": operation("show_delivery", "Return one delivery.", {200: answer(ref("DeliveryView"))}, errors=[404]),
        },
        "/v3/deliveries/{event_id}/retry": {
            "parameters": [_EVENT],
            "post": operation(
                "retry_delivery",
                "Put a buried delivery back in the queue, to be tried at once.",
                {200: answer(ref("DeliveryView"))},
                errors=[404],
            ),
        },
        "/v3/deliveries/{event_id}/drop": {
            "parameters": [_EVENT],
            "post": operation(
                "drop_delivery",
                "Take a delivery that waits or is held back out of the queue, for good.",
                {200: answer(ref("DeliveryView"))},
                errors=[404],
            ),
        },
        "/v3/retries": {
            "post": operation(
                "retry_deliveries",
                "Put all buried deliveries that the body means back in the queue, newest first.",
                {200: answer(ref("RetryView"))},
                body=ref("RetryBody"),
                examples={
                    "receiver": {"value": {"target": "scaler.example", "since": "2026-01-01T12:00:00"}},
                    "all": {"value": {}},
                },
            ),
        },
    }


def secrets_paths() -> Part:
    """Return the paths of signing secrets."""
    made = answer(ref("MadeSecretView"), description="It signs from now on.") | {"links": _LINKS}
    return {
        "/v3/secrets": {
            "get": operation(
                "list_secrets",
                "List the signing secrets of a project, without what is secret about them.",
                {200: answer(ref("SecretListView"))},
                parameters=[_PROJECT, parameter("name", "of this name")],
            ),
            "post": operation(
                "create_secret",
                "Add a signing secret, beside those of its name. Drawn where none is given, and then shown this once.",
                {201: made},
                body=ref("SecretBody"),
                examples={"default": {"value": {}}, "named": {"value": {"name": "heat", "expires_in": 31536000}}},
            ),
        },
        "/v3/secrets/{name}": {
            "parameters": [_NAME],
            "delete": operation(
                "delete_secret",
                "End the secrets of a name at once, or one of them.",
                {204: nothing("They sign no more.")},
                errors=[404, 409],
                parameters=[
                    parameter("secret_id", "only this one"),
                    _PROJECT,
                    parameter(
                        "force", "even if alarms name it, whose webhooks are then given up", schema={"type": "boolean"}
                    ),
                ],
            ),
        },
        "/v3/secrets/{name}/rotate": {
            "parameters": [_NAME],
            "post": operation(
                "rotate_secret",
                "Add a successor, and let the old secrets of this name end after the grace.",
                {201: made},
                errors=[404],
                body=ref("RotationBody"),
            ),
        },
    }
