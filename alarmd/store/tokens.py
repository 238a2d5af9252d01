# SPDX-License-Identifier: Apache-2.0
"""Tokens at rest: who may show which secret; the secrets themselves are not there."""

from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select

from alarmd.model.token import Token
from alarmd.store.columns import is_storable
from alarmd.store.tables import tokens

# Asked once a request, so the statement is built once.
_BY_DIGEST = select(tokens).where(tokens.c.digest == bindparam("wanted"))


class TokenRepository:
    """Reads and writes tokens within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: Token) -> None:
        """Store a token."""
        values = {
            "token_id": token.token_id,
            "digest": token.digest,
            "description": token.description,
            "project_id": token.project_id,
            "user_id": token.user_id,
            "roles": list(token.roles),
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }
        self._connection.execute(insert(tokens).values(values))

    def with_digest(self, digest: str) -> Token | None:
        """Return the token whose secret has a digest, expired or not."""
        row = self._connection.execute(_BY_DIGEST, {"wanted": digest}).mappings().one_or_none()
        # The index finds digests, whose order tells nothing of the secrets; what a database takes for equal is its own.
        if row is None or not compare_digest(row["digest"], digest):
            return None
        return _token_of(row)

    def get(self, token_id: str) -> Token | None:
        """Return a token by its id."""
        if not is_storable(token_id):
            return None
        row = self._connection.execute(select(tokens).where(tokens.c.token_id == token_id)).mappings().one_or_none()
        return _token_of(row) if row is not None else None

    def all(self) -> list[Token]:
        """Return every token, oldest first; people make them, so there are few."""
        statement = select(tokens).order_by(tokens.c.created_at, tokens.c.token_id)
        return [_token_of(row) for row in self._connection.execute(statement).mappings()]

    def remove(self, token_id: str) -> bool:
        """Revoke a token; return whether there was one."""
        if not is_storable(token_id):
            return False
        return self._connection.execute(delete(tokens).where(tokens.c.token_id == token_id)).rowcount > 0

    def remove_expired(self, now: datetime) -> int:
        """Remove the tokens that no longer hold; return how many there were."""
        return self._connection.execute(delete(tokens).where(tokens.c.expires_at <= now)).rowcount


def _token_of(row: RowMapping) -> Token:
    return Token(
        token_id=row["token_id"],
        digest=row["digest"],
        description=row["description"],
        project_id=row["project_id"],
        user_id=row["user_id"],
        roles=tuple(row["roles"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
