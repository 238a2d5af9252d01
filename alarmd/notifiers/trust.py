# SPDX-License-Identifier: Apache-2.0
"""`trust+http` and `trust+https`: webhooks sent in the name of whoever made the alarm, with a token of Keystone's.

The token is got through the trust that the target names. Everything else is the webhook of `http.py`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from alarmd.clock import Clock
from alarmd.errors import AlarmdError, Unavailable
from alarmd.model.notification import Notification
from alarmd.notifiers.http import HttpOptions, HttpScheme
from alarmd.notifiers.scheme import Attempt, Reason, SchemePlugin
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.settings.schema import KeystoneSettings

if TYPE_CHECKING:
    from alarmd.keystone.client import KeystoneClient

#: Makes an attempt with a token; may ask Keystone more.
Post: TypeAlias = Callable[[str, "KeystoneClient"], Attempt]

_TRUST = "trust+"
_TARGET = re.compile(r"trust\+(?P<scheme>[a-z]+)://(?:(?P<trust_id>[^@/?#]*)@)?(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
#: A receiver that refuses a token within this time is asked again at once, with a new one.
_QUICK_S = 5.0


class TrustOptions(HttpOptions):
    """What the operator may say about webhooks, and the Keystone of the section `[keystone]`."""

    keystone: KeystoneSettings = KeystoneSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrusted:
    """A target taken apart: in whose name, and where to."""

    trust_id: str
    #: Without the trust and without `trust+`, otherwise byte for byte.
    url: str


def entrusted(target: str) -> Entrusted:
    """Return the trust and the plain URL of a target."""
    match = _TARGET.fullmatch(target)
    if match is None:
        return Entrusted(trust_id="", url=target[len(_TRUST) :])
    return Entrusted(trust_id=match["trust_id"] or "", url=f"{match['scheme']}://{match['rest']}")


class TokenSender:
    """Sends with a token of Keystone's, once more where it is refused, in bounded time.

    The token is got through a trust, or is alarmd's own. Where there is none, that is how the delivery has ended. Safe
    to use from several threads.
    """

    def __init__(self, settings: KeystoneSettings, *, clock: Clock, send_s: float) -> None:
        """Take a Keystone, and how long what is sent with a token may take."""
        self._client = _client_of(settings)
        self._clock = clock
        self._send_s = send_s
        self._token_s = self._client.longest_wait_s if self._client else 0.0
        self.deadline_s = self._token_s + _QUICK_S + send_s if self._client else 1.0

    def send(self, notification: Notification, trust_id: str | None, post: Post) -> Attempt:
        """Make one attempt with `post`, which gets a token; None for the trust means alarmd's own."""
        end_s = self._clock.monotonic_s() + self.deadline_s
        if self._client is None:
            return _failed("this alarmd has no [keystone] to get a token from", retryable=False)
        if trust_id == "":
            return _failed("the alarm has no trust; write it again with a token of Keystone's", retryable=False)
        try:
            return self._send(self._client, notification, trust_id, post, end_s=end_s)
        except AlarmdError as error:
            return _failed(error.message, retryable=isinstance(error, Unavailable))

    def _send(
        self, client: "KeystoneClient", notification: Notification, trust_id: str | None, post: Post, *, end_s: float
    ) -> Attempt:
        token = self._token(client, trust_id)
        attempt = post(token, client)
        if attempt.status != HTTPStatus.UNAUTHORIZED:
            return attempt
        # It may have been revoked, with all others of its maker's, when a password or a role changed.
        client.discard(trust_id, token)
        if self._clock.monotonic_s() + self._token_s + self._send_s > end_s:
            return replace(attempt, retryable=notification.attempts == 0)
        return post(self._token(client, trust_id), client)

    @staticmethod
    def _token(client: "KeystoneClient", trust_id: str | None) -> str:
        return client.own_token() if trust_id is None else client.trust_token(trust_id)


class TrustScheme:
    """Posts notifications with a token of whoever made the alarm."""

    def __init__(self, *, options: TrustOptions, clock: Clock, policy: TargetPolicy, signer: Signer) -> None:
        self._http = HttpScheme(options=options, clock=clock, policy=policy, signer=signer)
        self._sender = TokenSender(options.keystone, clock=clock, send_s=self._http.deadline_s)
        self.deadline_s = self._sender.deadline_s

    def deliver(self, notification: Notification) -> Attempt:
        to = entrusted(notification.target)
        plain = replace(notification, target=to.url)

        def post(token: str, _: "KeystoneClient") -> Attempt:
            return self._http.deliver(plain, headers={"X-Auth-Token": token})

        return self._sender.send(notification, to.trust_id, post)

    def close(self) -> None:
        self._http.close()


def _client_of(settings: KeystoneSettings) -> "KeystoneClient | None":
    if settings.auth_url is None:
        return None
    from alarmd.keystone.client import KeystoneClient  # noqa: PLC0415  # its libraries are an extra

    return KeystoneClient(settings)


def _failed(why: str, *, retryable: bool) -> Attempt:
    return Attempt(reason=Reason.TRUST, retryable=retryable, detail=why)


def _check(target: str, *, policy: TargetPolicy) -> None:
    policy.check_url(target[len(_TRUST) :])


PLUGIN = SchemePlugin(options=TrustOptions, build=TrustScheme, check=_check)
