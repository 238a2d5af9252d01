# SPDX-License-Identifier: Apache-2.0
"""Who asks: the caller of the request in hand, and the two modes of `api.auth` that believe headers.

Each mode is an `Identify` (see `context.py`); `door.py` chooses the one in force.
"""

from ipaddress import ip_address
from typing import cast
from urllib.parse import urlsplit

from flask import Request, g
from werkzeug.datastructures import Headers

from alarmd.api.context import context
from alarmd.errors import Forbidden, InvalidInput
from alarmd.model.caller import Caller
from alarmd.policy import Action, require

_IDENTITY = ("X-User-Id", "X-Project-Id", "X-Roles", "X-Role", "X-Tenant-Id")


def loopback(request: Request) -> Caller:
    """Return whom the headers name, and the administrator when they name nobody: only this machine gets here."""
    _refuse_strangers(request.headers)
    # A page whose own name leads to this machine can also say that a proxy has taken it for another.
    came_as = request.environ.get("werkzeug.proxy_fix.orig", {}).get("HTTP_HOST")
    if came_as:
        _refuse_strangers(Headers({"Host": came_as}))
    return named_in(request.headers) or Caller(user_id="", project_id="", roles=frozenset({"admin"}))


def trusted_headers(request: Request) -> Caller:
    """Return whom the headers name; a proxy in front has set them."""
    who = named_in(request.headers)
    if who is None:
        raise Forbidden("RBAC Authorization Failed")
    return who


def named_in(headers: Headers) -> Caller | None:
    """Return whom the identity headers name; None when there is none of them."""
    given = [name for name in _IDENTITY if name in headers]
    if not given:
        return None
    for name in given:
        if "\0" in headers[name]:
            raise InvalidInput(f"The header {name} holds a NUL character, which no database keeps.")
    roles = headers.get("X-Roles", headers.get("X-Role", ""))
    return Caller(
        user_id=headers.get("X-User-Id", ""),
        project_id=headers.get("X-Project-Id", headers.get("X-Tenant-Id", "")),
        roles=frozenset(role.strip().lower() for role in roles.split(",") if role.strip()),
    )


def _refuse_strangers(headers: Headers) -> None:
    """Refuse what a web page elsewhere makes this machine's browser send: it reaches loopback, but not by its name."""
    for name, value in (("Host", f"//{headers.get('Host', 'localhost')}"), ("Origin", headers.get("Origin", ""))):
        if value and not _is_loopback(value):
            raise Forbidden(
                f'{name} {value.removeprefix("//")!r} is not this machine\'s loopback, and api.auth = "loopback" '
                'trusts nobody else. Ask 127.0.0.1 or localhost, or set api.auth = "trusted-headers" behind a proxy.'
            )


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def caller() -> Caller:
    """Return who makes the request in hand."""
    return cast("Caller", g.caller)


def permitted(action: Action) -> Caller:
    """Return who makes the request in hand; raises `Forbidden` unless they may do this in their project."""
    who = caller()
    require(context().policy, action, who)
    return who
