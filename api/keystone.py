# SPDX-License-Identifier: Apache-2.0
"""The access mode `keystone`: callers show a token, and Keystone says whose it is.

The middleware that OpenStack's services use does the asking. It is not wrapped around the application but asked by it:
what is open to anybody stays open, refusals are our error objects, and a Keystone that does not answer is no refusal.
"""

from collections import OrderedDict
from http import HTTPStatus
from io import BytesIO
from math import ceil
from threading import Lock
from typing import Any

import structlog
from flask import Request
from keystoneauth1.exceptions import ClientException
from keystoneauth1.loading import get_auth_plugin_conf_options
from keystonemiddleware.auth_token import AuthProtocol, list_opts
from oslo_config import cfg

from alarmd.clock import Clock
from alarmd.errors import Unavailable, Unidentified
from alarmd.model.caller import Caller
from alarmd.settings.schema import KeystoneSettings

_log = structlog.get_logger()

_GROUP = "keystone_authtoken"
_CACHE = "alarmd.validated"
#: For how many tokens Keystone's word is kept, some 20 kB each with the catalogue; the one used longest ago makes room.
_MAX_KEPT = 2_000


class KeystoneAccess:
    """Tells callers by their tokens (an `Identify`). Safe to use from several threads; made after a fork."""

    def __init__(self, settings: KeystoneSettings, *, clock: Clock) -> None:
        self._uri = settings.www_authenticate_uri or settings.auth_url or ""
        self._validated = _Validated(clock, keep_s=settings.token_cache_s, limit=_MAX_KEPT)
        self._middleware = AuthProtocol(_answer_yes, {"oslo_config_config": _configuration_of(settings)})

    def __call__(self, request: Request) -> Caller:
        """Return whose token a request shows.

        Raises `Unidentified` when there is none or it does not count, `Unavailable` when Keystone does not say.
        """
        # The middleware removes what the client itself says about who it is, and puts Keystone's word there. It gets
        # a copy, and nothing of the body.
        environ: dict[str, Any] = {**request.environ, "wsgi.input": BytesIO(), "CONTENT_LENGTH": "0"}
        environ[_CACHE] = self._validated
        match self._status_of(environ):
            case HTTPStatus.OK:
                return _caller_of(environ)
            case HTTPStatus.UNAUTHORIZED:
                raise Unidentified(
                    "The request you have made requires authentication: X-Auth-Token must hold a valid token.",
                    challenge=f'Keystone uri="{self._uri}"',
                )
            case _:
                raise Unavailable("Keystone does not answer, so alarmd cannot tell whose the token is.")

    def _status_of(self, environ: dict[str, Any]) -> int:
        """Return what the middleware makes of a request."""
        seen: list[int] = []

        def start_response(status: str, headers: object, exc_info: object = None) -> None:
            del headers, exc_info
            seen.append(int(status.partition(" ")[0]))

        try:
            for _ in self._middleware(environ, start_response):
                pass
        except ClientException as error:
            # E.g. no such endpoint in the catalogue. Not its message, which may hold what is secret.
            _log.error("keystone_failed", error=type(error).__name__)
            return HTTPStatus.SERVICE_UNAVAILABLE
        return seen[-1]


def _answer_yes(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer for whom the middleware lets through."""
    del environ
    start_response("200 OK", [])
    return []


def _caller_of(environ: dict[str, Any]) -> Caller:
    roles = environ.get("HTTP_X_ROLES") or ""
    return Caller(
        project_id=environ.get("HTTP_X_PROJECT_ID") or "",  # the header is there and None for a token without a project
        user_id=environ.get("HTTP_X_USER_ID") or "",
        roles=frozenset(role.strip().lower() for role in roles.split(",") if role.strip()),
        token=(environ.get("HTTP_X_AUTH_TOKEN") or "").strip(),
    )


def _configuration_of(settings: KeystoneSettings) -> cfg.ConfigOpts:
    """Return what the middleware is told, in a configuration of its own: no file and no variable is read."""
    said: dict[str, Any] = {
        "www_authenticate_uri": settings.www_authenticate_uri or settings.auth_url,
        "cache": _CACHE,
        # Only its sign matters here: below zero nothing is kept.
        "token_cache_time": ceil(settings.token_cache_s) or -1,
        "interface": settings.interface,
        "region_name": settings.region,
        "cafile": str(settings.cafile) if settings.cafile else None,
        "insecure": settings.insecure,
        "http_connect_timeout": ceil(settings.timeout_s),
        "http_request_max_retries": 0,
        # Application credentials may be confined to single services, which the middleware looks up in the catalogue.
        "include_service_catalog": True,
        "service_type": "alarming",
        "auth_type": "v3password",
        "auth_url": settings.auth_url,
        "username": settings.username,
        "password": settings.password.get_secret_value() if settings.password else None,
        "user_domain_name": settings.user_domain_name,
        "project_name": settings.project_name,
        "project_domain_name": settings.project_domain_name,
    }
    configuration = cfg.ConfigOpts()
    configuration([], project="alarmd", default_config_files=[], default_config_dirs=[])
    for _, options in list_opts():
        configuration.register_opts(options, group=_GROUP)
    configuration.register_opts(get_auth_plugin_conf_options("v3password"), group=_GROUP)
    for key, value in said.items():
        configuration.set_override(key, value, group=_GROUP)
    return configuration


class _Validated:
    """What Keystone said about tokens, by a hash of each; bounded, and for a while. Speaks as memcached clients do."""

    def __init__(self, clock: Clock, *, keep_s: float, limit: int) -> None:
        self._clock = clock
        self._keep_s = keep_s
        self._limit = limit
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """Return what was said, unless that was too long ago."""
        with self._lock:
            until_s, said = self._kept.get(key, (0.0, None))
            if said is None or until_s <= self._clock.monotonic_s():
                self._kept.pop(key, None)
                return None
            self._kept.move_to_end(key)
        return said

    def set(self, key: str, value: bytes, time: float = 0) -> None:
        """Keep what was said; for how long is ours to know."""
        del time
        if self._keep_s <= 0:
            return
        with self._lock:
            self._kept[key] = (self._clock.monotonic_s() + self._keep_s, value)
            self._kept.move_to_end(key)
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)
