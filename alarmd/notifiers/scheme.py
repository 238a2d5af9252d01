# SPDX-License-Identifier: Apache-2.0
"""The seam of the notifiers: a scheme makes one attempt at one delivery and says how it went."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from alarmd.clock import Clock
from alarmd.model.notification import Notification
from alarmd.plugins import Options


class Reason(StrEnum):
    """Why an attempt ended as it did; a label of `alarmd_notifications_total`."""

    OK = "ok"
    #: 408, 425, 429: the receiver asks to come back later.
    BUSY = "busy"
    #: 5xx.
    SERVER_ERROR = "server_error"
    #: Any other 4xx.
    CLIENT_ERROR = "client_error"
    #: 3xx: never followed.
    REDIRECT = "redirect"
    TIMEOUT = "timeout"
    #: Refused, reset, name not found.
    CONNECTION = "connection"
    #: The certificate does not hold.
    TLS = "tls"
    #: The target policy forbids the address.
    REFUSED = "refused"
    #: The notification cannot be sent by this scheme at all.
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one try at one delivery ended."""

    reason: Reason
    #: Whether another try may help.
    retryable: bool
    #: HTTP status, when there was an answer.
    status: int | None = None
    #: How long the receiver asked to wait (`Retry-After`), when it did.
    retry_after_s: float | None = None
    #: For people; holds no URL and no secret.
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the receiver has taken the notification."""
        return self.reason is Reason.OK


class Scheme(Protocol):
    """Delivers to the targets of one URL scheme. Used by many threads at once. Never sees a database."""

    def deliver(self, notification: Notification) -> Attempt:
        """Make one attempt and say how it went. Ends within the deadline. Never raises for what a receiver does."""

    def close(self) -> None:
        """Let go of connections."""


class SchemeFactory(Protocol):
    """Builds a scheme from its checked options."""

    def __call__(self, *, options: Any, clock: Clock) -> Scheme:
        """Return a scheme, ready for use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemePlugin:
    """What an entry point in ``alarmd.notifiers`` points at; its name is the URL scheme."""

    options: type[Options]
    build: SchemeFactory
