# SPDX-License-Identifier: Apache-2.0
"""Signing secrets: what webhooks of a project are signed with, several of one name while they are being rotated."""

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from secrets import token_bytes

#: The name that counts for alarms that name none.
DEFAULT_NAME = "default"

_PREFIX = "whsec_"
_MIN_BYTES, _MAX_BYTES = 24, 64
#: What begins like a secret may be one that went into the wrong field.
_NAME = re.compile(rf"(?!{_PREFIX})[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}", re.ASCII)

#: How a secret has to look, for people.
SECRET_FORM = (
    f"{_PREFIX!r} followed by {_MIN_BYTES} to {_MAX_BYTES} random bytes in base64. "
    "Make one with: echo whsec_$(head -c 32 /dev/urandom | base64)"
)
#: How a name has to look, for people.
NAME_FORM = (
    "up to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit, but not with whsec_"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSecret:
    """One secret of one name. Its value is used and never shown."""

    secret_id: str
    project_id: str
    name: str
    #: As Standard Webhooks writes it, ``whsec_…``.
    value: str
    created_at: datetime
    #: From when on it no longer signs; None: never.
    expires_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether it no longer signs."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def fingerprint(self) -> str:
        """What tells people which secret it is: as random as it is, nothing of it can be found from this."""
        try:
            return fingerprint_of(self.value)
        except ValueError:
            # Written past alarmd; it must not hide the others.
            return "unreadable"

    def __repr__(self) -> str:
        return f"SigningSecret({self.name!r} of {self.project_id!r}, {self.secret_id})"


def new_value() -> str:
    """Return a fresh secret."""
    return _PREFIX + b64encode(token_bytes(32)).decode()


def fingerprint_of(value: str) -> str:
    """Return the beginning of the SHA-256 of a secret's bytes, in hex."""
    return sha256(key_of(value)).hexdigest()[:16]


def key_of(value: str) -> bytes:
    """Return the bytes that a secret signs with. Raises ValueError, which does not tell the secret."""
    try:
        key = b64decode(value.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not value.startswith(_PREFIX) or not _MIN_BYTES <= len(key) <= _MAX_BYTES:
        raise ValueError(f"it has to be {SECRET_FORM}") from None
    return key


def is_name(text: str) -> bool:
    """Whether a text may name a secret."""
    return _NAME.fullmatch(text) is not None
