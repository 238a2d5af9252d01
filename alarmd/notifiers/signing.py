# SPDX-License-Identifier: Apache-2.0
"""Standard Webhooks signatures, version 1: HMAC-SHA256 over the id, the time of the attempt and the raw body."""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence

from alarmd.errors import SettingsError

_PREFIX = "whsec_"
_MIN_BYTES, _MAX_BYTES = 24, 64


class Signer:
    """Signs with every secret it was given, so that receivers can move from an old one to a new one at leisure.

    Without secrets it signs nothing. Raises `SettingsError` for a secret that is not one.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._keys = [_key_of(secret, number=number) for number, secret in enumerate(secrets, start=1)]

    def sign(self, event_id: str, timestamp_s: int, body: bytes) -> str:
        """Return the value of `webhook-signature`: a signature a secret, space-separated; empty without secrets."""
        signed = b"%s.%d.%s" % (event_id.encode(), timestamp_s, body)
        return " ".join(f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in self._keys)


def _key_of(secret: str, *, number: int) -> bytes:
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not _MIN_BYTES <= len(key) <= _MAX_BYTES:
        # The secret itself stays out of the message: it would end up in a log.
        raise SettingsError(
            f"Signing secret number {number} is not a Standard Webhooks secret: it has to be {_PREFIX!r} followed by "
            f"{_MIN_BYTES} to {_MAX_BYTES} random bytes in base64. Make one with: "
            f"echo whsec_$(head -c 32 /dev/urandom | base64)",
            number=number,
        )
    return key
