# SPDX-License-Identifier: Apache-2.0
"""Tokens: what a caller shows to be known as somebody, where `api.auth` is "tokens"."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

#: What every secret starts with, so that people and scanners of repositories know one when they see it.
PREFIX = "alarmd_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Who somebody is that shows the secret of this token. The secret itself is not kept anywhere."""

    token_id: str
    #: What the secret is found by; see `digest_of`.
    digest: str
    description: str
    #: Empty for an administrator who acts for no project.
    project_id: str
    user_id: str
    roles: tuple[str, ...]
    created_at: datetime
    #: None: it holds until it is revoked.
    expires_at: datetime | None

    def is_expired(self, now: datetime) -> bool:
        """Whether the token has ceased to hold."""
        return self.expires_at is not None and self.expires_at <= now


def new_secret() -> str:
    """Return a secret of 256 random bits that can be pasted into a header."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a secret, in hex. The secret is random, so neither salt nor slowness would add anything."""
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()
