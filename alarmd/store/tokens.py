# SPDX-License-Identifier: Apache-2.0
"""Tokens at rest: who may show which secret; the secrets themselves are not there."""

from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection, bindparam, delete, insert, select

from alarmd.model.token import Token
from alarmd.store.columns import is_storable
from alarmd.store.rows import token_of, token_values
from alarmd.store.tables import tokens

# Asked once a request, so the statement is built once.
_BY_DIGEST = select(tokens).where(tokens.c.digest == bindparam("wanted"))


class TokenRepository:
    """Reads and writes tokens within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: Token) -> None:
        """Store a token."""
        self._connection.execute(insert(tokens).values(token_values(token)))

    def with_digest(self, digest: str) -> Token | None:
        """Return the token whose secret has a digest, expired or not."""
        row = self._connection.execute(_BY_DIGEST, {"wanted": digest}).mappings().one_or_none()
        # The index finds digests, whose order tells nothing of the secrets; what a database takes for equal is its own.
        if row is None or not compare_digest(row["digest"], digest):
            return None
        return token_of(row)

    def get(self, token_id: str) -> Token | None:
        """Return a token by its id."""
        if not is_storable(token_id):
            return None
        row = self._connection.execute(select(tokens).where(tokens.c.token_id == token_id)).mappings().one_or_none()
        return token_of(row) if row is not None else None

    def all(self) -> list[Token]:
        """Return every token, oldest first; people make them, so there are few."""
        statement = select(tokens).order_by(tokens.c.created_at, tokens.c.token_id)
        return [token_of(row) for row in self._connection.execute(statement).mappings()]

    def remove(self, token_id: str) -> bool:
        """Revoke a token; return whether there was one."""
        if not is_storable(token_id):
            return False
        return self._connection.execute(delete(tokens).where(tokens.c.token_id == token_id)).rowcount > 0

    def remove_expired(self, now: datetime) -> int:
        """Remove the tokens that no longer hold; return how many there were."""
        return self._connection.execute(delete(tokens).where(tokens.c.expires_at <= now)).rowcount
