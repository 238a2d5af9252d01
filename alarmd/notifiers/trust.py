# SPDX-License-Identifier: Apache-2.0
"""`trust+http` and `trust+https`: webhooks sent in the name of whoever made the alarm, with a token of Keystone's.

The token is got through the trust that the target names. Everything else is the webhook of `http.py`.
"""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alarmd.clock import Clock
from alarmd.errors import AlarmdError, Unavailable
from alarmd.model.notification import Notification
from alarmd.notifiers.http import HttpOptions, HttpScheme
from alarmd.notifiers.scheme import Attempt, Reason, SchemePlugin
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.targets import TargetPolicy
from alarmd.settings.schema import KeystoneSettings

if TYPE_CHECKING:
    from alarmd.keystone.client import KeystoneClient

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


class TrustTokens:
    """Has tokens through trusts, or says what attempt it makes that there is none. Safe to use from several threads."""

    def __init__(self, settings: KeystoneSettings) -> None:
        self._client = _client_of(settings)
        self.deadline_s = self._client.longest_wait_s if self._client else 0.0

    def token(self, trust_id: str) -> str | Attempt:
        """Return a token; where there is none, how the delivery has ended."""
        if self._client is None:
            return _failed("this alarmd has no [keystone] to get a token from", retryable=False)
        if not trust_id:
            return _failed("the alarm has no trust; write it again with a token of Keystone's", retryable=False)
        try:
            return self._client.trust_token(trust_id)
        except Unavailable as error:
            return _failed(error.message, retryable=True)
        except AlarmdError as error:
            return _failed(error.message, retryable=False)

    def discard(self, trust_id: str, token: str) -> None:
        """Use a token no more, which a receiver has refused."""
        if self._client is not None:
            self._client.discard(trust_id, token)


class TrustScheme:
    """Posts notifications with a token of whoever made the alarm."""

    def __init__(self, *, options: TrustOptions, clock: Clock, policy: TargetPolicy, signer: Signer) -> None:
        self._http = HttpScheme(options=options, clock=clock, policy=policy, signer=signer)
        self._tokens = TrustTokens(options.keystone)
        self._clock = clock
        self.deadline_s = self._tokens.deadline_s + _QUICK_S + self._http.deadline_s if self._tokens.deadline_s else 1.0

    def deliver(self, notification: Notification) -> Attempt:
        end_s = self._clock.monotonic_s() + self.deadline_s
        to = entrusted(notification.target)
        plain = replace(notification, target=to.url)
        token = self._tokens.token(to.trust_id)
        if isinstance(token, Attempt):
            return token
        attempt = self._http.deliver(plain, headers={"X-Auth-Token": token})
        if attempt.status != 401:
            return attempt
        # It may have been revoked, with all others of its maker's, when a password or a role changed.
        self._tokens.discard(to.trust_id, token)
        if self._clock.monotonic_s() + self._tokens.deadline_s + self._http.deadline_s > end_s:
            return replace(attempt, retryable=notification.attempts == 0)
        token = self._tokens.token(to.trust_id)
        if isinstance(token, Attempt):
            return token
        return self._http.deliver(plain, headers={"X-Auth-Token": token})

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
