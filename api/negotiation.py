# SPDX-License-Identifier: Apache-2.0
"""Whether a client takes what alarmd speaks. That is JSON; Aodh's XML is not served."""

from flask import Request
from werkzeug.exceptions import NotAcceptable

_JSON = "application/json"
#: The ranges of media types that JSON is in, the more special ones first: they count.
_RANGES = (_JSON, "application/*", "*/*")


def refuse_unacceptable(request: Request) -> None:
    """Raise `NotAcceptable` (406) when the client says that it does not take JSON."""
    accepted = request.headers.get("Accept", "").strip()
    if not accepted or accepted in _RANGES:
        return
    qualities: dict[str, float] = {}
    for given, quality in request.accept_mimetypes:
        # Old clients write a bare star; parameters, a charset say, do not matter to JSON.
        kind = "*/*" if given == "*" else given.partition(";")[0].strip().lower()
        qualities[kind] = max(quality, qualities.get(kind, 0.0))
    best = next((qualities[kind] for kind in _RANGES if kind in qualities), 0.0)
    if best <= 0:
        raise NotAcceptable(f"alarmd answers in JSON only: send `Accept: {_JSON}` (or no Accept) instead.")
