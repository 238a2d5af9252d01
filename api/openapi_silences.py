# SPDX-License-Identifier: Apache-2.0
"""What `/openapi.json` says of silences."""

from alarmd.api.openapi_terms import (
    LIMIT,
    MARKER,
    Part,
    answer,
    headers,
    nothing,
    operation,
    parameter,
    ref,
)

_EXAMPLES: Part = {
    "hour": {"value": {"labels": {"team": "web"}, "direction": "in", "duration": 3600, "comment": "moving racks"}},
    "nights": {
        "value": {
            "direction": "in",
            "duration": 604800,
            "time_constraints": [
                {"name": "night", "start": "0 22 * * *", "duration": 28800, "timezone": "Europe/Berlin"}
            ],
            "comment": "backups run at night",
        }
    },
}
_LINKS: Part = {
    name: {"operationId": name, "parameters": {"silence_id": "$response.body#/silence_id"}}
    for name in ("show_silence", "end_silence")
}


def silences_paths() -> Part:
    """Return the paths of silences."""
    created = answer(ref("SilenceView"), description="It holds.", named=headers("Location"))
    return {
        "/v3/silences": {
            "get": operation(
                "list_silences",
                "List silences of the caller's project and of all projects, newest first.",
                {200: answer(ref("SilenceListView"))},
                parameters=[
                    parameter("project_id", "of this project (administrators)"),
                    parameter("alarm_id", "that name this alarm"),
                    parameter("ended", "those that are over, too", schema={"type": "boolean", "default": False}),
                    LIMIT,
                    MARKER,
                ],
            ),
            "post": operation(
                "create_silence",
                "Have the actions of some alarms not be taken for a while.",
                {201: created | {"links": _LINKS}},
                errors=[404],
                body=ref("SilenceBody"),
                examples=_EXAMPLES,
            ),
        },
        "/v3/silences/{silence_id}": {
            "parameters": [parameter("silence_id", "the silence", where="path")],
            "get": operation("show_silence", "Return one silence.", {200: answer(ref("SilenceView"))}, errors=[404]),
            "delete": operation(
                "end_silence",
                "End a silence now; it stays for the record.",
                {204: nothing("It is over.")},
                errors=[404],
            ),
        },
    }
