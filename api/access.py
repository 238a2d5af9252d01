# SPDX-License-Identifier: Apache-2.0
"""Who asks: the caller, as the headers tell it."""

from ipaddress import ip_address
from typing import cast
from urllib.parse import urlsplit

from flask import g
from werkzeug.datastructures import Headers

from alarmd.api.context import Access, context
from alarmd.errors import Forbidden
from alarmd.model.caller import Caller
from alarmd.policy import Action, require

_IDENTITY = ("X-User-Id", "X-Project-Id", "X-Roles", "X-Role", "X-Tenant-Id")


def identify(headers: Headers, access: Access) -> Caller:
    """Return who the headers say the caller is; raises `Forbidden` when they say nothing and must."""
    if access is Access.LOOPBACK:
        _refuse_strangers(headers)
    if not any(name in headers for name in _IDENTITY):
        if access is Access.LOOPBACK:
            return Caller(user_id="", project_id="", roles=frozenset({"admin"}))
        raise Forbidden("RBAC Authorization Failed")
    roles = headers.get("X-Roles", headers.get("X-Role", ""))
    return Caller(
        user_id=headers.get("X-User-Id", ""),
        project_id=headers.get("X-Project-Id", ""),
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
