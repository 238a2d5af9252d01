# SPDX-License-Identifier: Apache-2.0
"""How the application meets the world: web pages of other origins, and proxies in front."""

from flask import Flask, Response
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

#: Aodh's defaults, and what the API's own headers need beside them.
_METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")
_KEYSTONE = ("X-Auth-Token", "X-Openstack-Request-Id", "X-Subject-Token")
_SENT = (*_KEYSTONE, "Authorization", "Content-Type", "If-Match", "If-None-Match")
_READ = (*_KEYSTONE, "Allow", "ETag", "Location", "Retry-After", "WWW-Authenticate")

#: How long browsers may remember what a page is allowed to send; Aodh's default.
_PREFLIGHT_S = 3600


def face_outside(app: Flask, *, cors_origins: tuple[str, ...], proxy_headers: bool) -> None:
    """Let pages of these origins read answers, and believe one proxy in front about how clients reach it."""
    if cors_origins:
        # No cookies are involved, so pages need no credentials: what they send, they send in headers.
        CORS(
            app,
            origins=list(cors_origins),
            methods=list(_METHODS),
            allow_headers=list(_SENT),
            expose_headers=list(_READ),
            max_age=_PREFLIGHT_S,
            send_wildcard=True,
            always_send=False,
            allow_private_network=False,
            intercept_exceptions=False,
        )
        app.after_request(_vary_by_origin)
    if proxy_headers:
        proxied = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
        app.wsgi_app = proxied  # type: ignore[method-assign]  # how Flask wants to be wrapped


def _vary_by_origin(response: Response) -> Response:
    """Keep caches from giving one page what another was let have; with a single origin the library does not."""
    response.vary.add("Origin")
    return response
