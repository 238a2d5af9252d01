# SPDX-License-Identifier: Apache-2.0
"""`ETag`, `If-Match` and `If-None-Match`: a client says which version of an alarm it means."""

from flask import Response, request

from alarmd.model.alarm import Alarm


def versions_meant() -> frozenset[str] | None:
    """Return the versions that `If-Match` lets a change start from; None when any will do.

    Weak tags match nothing: a change needs the very version.
    """
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    return frozenset(request.if_match.as_set(include_weak=False))


def versioned(response: Response, alarm: Alarm) -> Response:
    """Return an answer about one alarm with its version; empty (304) when the client says that it has it already."""
    known = request.if_none_match
    if request.method == "GET" and (known.star_tag or known.contains_weak(alarm.version)):
        response = Response(status=304)
        del response.headers["Content-Type"]
    response.set_etag(alarm.version)
    return response
