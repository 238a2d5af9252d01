# SPDX-License-Identifier: Apache-2.0
"""Standard Webhooks signatures, version 1: HMAC-SHA256 over the id, the time of the attempt and the raw body."""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from alarmd.errors import SettingsError
from alarmd.model.notification import Notification
from alarmd.model.secret import key_of


class Keys(Protocol):
    """Knows the keys of projects. Asked by several threads at once; never asks a database itself."""

    def of(self, notification: Notification, now: datetime) -> Sequence[bytes]:
        """Return what the notification's project signs it with, all of it; nothing leaves it to the installation.

        Raises `SecretMissing` when it names a secret that is not there (any more).
        """


class NoKeys:
    """No project has secrets of its own."""

    def of(self, notification: Notification, now: datetime) -> Sequence[bytes]:
        del notification, now
        return ()


class Signer:
    """Signs with every secret that there is, so that receivers can move from an old one to a new one at leisure.

    The secrets of the notification's project come first; where it has none, those of the installation do. Without any
    it signs nothing. Raises `SettingsError` for a secret of the installation that is not one.
    """

    def __init__(self, secrets: Sequence[str] = (), *, keys: Keys | None = None) -> None:
        self._installation = [_key_of(secret, number=number) for number, secret in enumerate(secrets, start=1)]
        self._keys = keys or NoKeys()

    def sign(self, notification: Notification, timestamp_s: int, body: bytes) -> str:
        """Return the value of `webhook-signature`: a signature a secret, space-separated; empty without secrets.

        Raises `SecretMissing`: a receiver that trusts signatures must not be sent what has none.
        """
        keys = self._keys.of(notification, datetime.fromtimestamp(timestamp_s, UTC)) or self._installation
        return signature_of(keys, notification.event_id, timestamp_s, body)


def signature_of(keys: Iterable[bytes], event_id: str, timestamp_s: int, body: bytes) -> str:
    """Return signatures with each of some keys, space-separated."""
    signed = b"%s.%d.%s" % (event_id.encode(), timestamp_s, body)
    return " ".join(f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys)


def _key_of(secret: str, *, number: int) -> bytes:
    try:
        return key_of(secret)
    except ValueError as error:
        # The secret itself stays out of the message: it would end up in a log.
        raise SettingsError(
            f"Signing secret number {number} is not a Standard Webhooks secret: {error}", number=number
        ) from None
