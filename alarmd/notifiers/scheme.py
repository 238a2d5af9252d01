# SPDX-License-Identifier: Apache-2.0
"""The seam of the notifiers: a scheme makes one attempt at one delivery and says how it went."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from alarmd.clock import Clock
from alarmd.errors import InvalidInput
from alarmd.model.notification import Notification
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.plugins import Options


class Reason(StrEnum):
    """Why an attempt ended as it did; a label of `alarmd_notifications_total`."""

    OK = "ok"
    #: 408, 425, 429: the receiver asks to come back later.
    BUSY = "busy"
    #: 5xx.
    SERVER_ERROR = "server_error"
    #: 410: the receiver wants to hear no more.
    GONE = "gone"
    #: Any other 4xx.
    CLIENT_ERROR = "client_error"
    #: 3xx: never followed.
    REDIRECT = "redirect"
    TIMEOUT = "timeout"
    #: Refused, reset, name not found.
    CONNECTION = "connection"
    #: The certificate does not hold, or no TLS came about.
    TLS = "tls"
    #: Keystone gives no token to act with.
    TRUST = "trust"
    #: The target policy forbids the address.
    REFUSED = "refused"
    #: The secret that it is to be signed with is not there.
    UNSIGNED = "unsigned"
    #: The notification cannot be sent by this scheme at all.
    INVALID = "invalid"
    #: The scheme itself failed, which is a fault of alarmd or of a plugin.
    CRASHED = "crashed"


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

    @property
    def deadline_s(self) -> float:
        """Within how many seconds an attempt always ends."""

    def deliver(self, notification: Notification) -> Attempt:
        """Make one attempt and say how it went. Ends within the deadline. Never raises for what a receiver does."""

    def close(self) -> None:
        """Let go of connections. An attempt that is under way may still end."""


class SchemeFactory(Protocol):
    """Builds a scheme from its checked options."""

    def __call__(self, *, options: Any, clock: Clock, policy: TargetPolicy, signer: Signer) -> Scheme:
        """Return a scheme, ready for use. Called after the fork.

        The policy is that of the installation; `TargetPolicy.for_project` gives what counts for a notification.
        Raises `SettingsError` when the options name what cannot be used, e.g. a file that is not there.
        """


class TargetCheck(Protocol):
    """Looks at a target when an alarm is written."""

    def __call__(self, target: str, *, policy: TargetPolicy) -> None:
        """Raise `InvalidInput` (or its `TargetRefused`) when nothing could be delivered there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemePlugin:
    """What an entry point in ``alarmd.notifiers`` points at; its name is the URL scheme."""

    options: type[Options]
    build: SchemeFactory
    check: TargetCheck


def scheme_of(target: str) -> str:
    """Return the name of a target's scheme, in lower case; empty when it has none."""
    name, colon, _ = target.partition(":")
    return name.lower() if colon else ""


def target_check(plugins: Mapping[str, SchemePlugin], *, policy: TargetPolicy) -> Callable[[str, str], None]:
    """Return the check that every action of a project has to pass: its scheme is known and the target is allowed.

    The check raises `InvalidInput` in Aodh's words for an unknown scheme, else what the scheme's own check raises.
    """

    def check(target: str, project_id: str) -> None:
        plugin = plugins.get(scheme_of(target))
        if plugin is None:
            raise InvalidInput(f"Unsupported action {target}")
        plugin.check(target, policy=policy.for_project(project_id))

    return check
