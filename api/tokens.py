# SPDX-License-Identifier: Apache-2.0
"""The mode `tokens` of `api.auth`: callers are known by secrets that `alarmd token create` has made."""

from flask import Request

from alarmd.clock import Clock
from alarmd.errors import Unidentified
from alarmd.model.caller import Caller
from alarmd.model.token import digest_of
from alarmd.store.database import Database

#: Which way of proving oneself a 401 asks for.
CHALLENGE = "Bearer"
_REMEDY = (
    "Send one as `X-Auth-Token: …` or `Authorization: Bearer …`; "
    "whoever runs alarmd makes one with `alarmd token create`."
)


class Tokens:
    """Knows callers by their tokens, and by nothing else: headers that name somebody are passed over.

    The database is asked each time, so a token that has been revoked is refused at once.
    """

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def __call__(self, request: Request) -> Caller:
        """Return whom the request's token belongs to; raises `Unidentified` and `StoreUnavailable`."""
        secret = _secret_of(request)
        if secret is None:
            raise Unidentified(f"This needs a token. {_REMEDY}", challenge=CHALLENGE)
        with self._database.read() as unit:
            token = unit.tokens.with_digest(digest_of(secret))
        if token is None or token.is_expired(self._clock.now()):
            # One text for all that can be wrong: who guesses learns nothing.
            raise Unidentified(f"The token is unknown, revoked or expired. {_REMEDY}", challenge=CHALLENGE)
        return Caller(user_id=token.user_id, project_id=token.project_id, roles=frozenset(token.roles))


def _secret_of(request: Request) -> str | None:
    """Return what the request shows; None when it shows nothing."""
    secret = request.headers.get("X-Auth-Token")
    if secret:
        return secret
    authorization = request.authorization
    if authorization is not None and authorization.type == "bearer" and authorization.token:
        return authorization.token
    return None
