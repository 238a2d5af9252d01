# SPDX-License-Identifier: Apache-2.0
"""Answers that hold a list: a page of it at most, and where it goes on when the client wanted more than that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, jsonify, request
from werkzeug.urls import iri_to_uri

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSize:
    """How many items a client wants, and how many it gets at once."""

    #: None: all there are.
    wanted: int | None
    maximum: int

    @property
    def to_fetch(self) -> int:
        """How many items to look for: where the page may cut the list, one more, which tells whether it does."""
        if self.wanted is not None and self.wanted <= self.maximum:
            return self.wanted
        return self.maximum + 1


def list_answer(
    found: Sequence[_Item],
    size: PageSize,
    *,
    view: Callable[[_Item], dict[str, Any]],
    id_of: Callable[[_Item], str],
    key: str | None = None,
) -> Response:
    """Return the answer with a list, bare or under a key; when not all of it fits, a `Link` header leads to the rest.

    `found` holds what was to be fetched.
    """
    page = found[: size.maximum]
    items = [view(item) for item in page]
    response = jsonify(items if key is None else {key: items})
    if len(found) > len(page):
        response.headers["Link"] = f'<{_next_url(id_of(page[-1]), size)}>; rel="next"'
    return response


def _next_url(marker: str, size: PageSize) -> str:
    arguments = [(name, value) for name, value in request.args.items(multi=True) if name not in {"marker", "limit"}]
    arguments.append(("marker", marker))
    if size.wanted is not None and request.method == "GET":
        arguments.append(("limit", str(size.wanted - size.maximum)))
    return f"{iri_to_uri(request.base_url)}?{urlencode(arguments)}"
