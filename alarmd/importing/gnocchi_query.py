# SPDX-License-Identifier: Apache-2.0
"""Takes off what Aodh wraps around queries for Gnocchi, again and again, to confine them to a project."""

import json
from typing import Any


def unwrapped(query: str, *, project_id: str) -> tuple[str, bool]:
    """Return the query that a user has written, and whether Aodh had confined it to the project.

    What is no JSON is returned as it is.
    """
    try:
        decoded = json.loads(query)
    except (ValueError, RecursionError):
        return query, False
    own, is_confined = decoded, False
    while _is_wrapped(own, project_id):
        own, is_confined = own["and"][1], True
    return (json.dumps(own), True) if is_confined else (query, False)


def _is_wrapped(query: Any, project_id: str) -> bool:
    """Whether a query is one of a user's, wrapped once or more."""
    match query:
        case {"and": [confinement, _]} if len(query) == 1:
            return _confines(confinement, project_id)
        case _:
            return False


def _confines(condition: Any, project_id: str) -> bool:
    """Whether a condition is the one that Aodh adds: made by the project, or by a service for the project."""
    made_by_project = {"=": {"created_by_project_id": project_id}}
    match condition:
        case {"or": [first, {"and": [{"=": {"created_by_project_id": str()}}, second]}]}:
            return bool(first == made_by_project and second == {"=": {"project_id": project_id}})
        case _:
            return bool(condition == made_by_project)
