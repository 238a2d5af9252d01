# SPDX-License-Identifier: Apache-2.0
"""Webhooks: Aodh's body, posted to the target byte for byte, with the headers of Standard Webhooks."""

import json
import ssl
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from uuid import uuid4

import requests
from pydantic import Field

from alarmd import __version__
from alarmd.clock import Clock
from alarmd.errors import SettingsError, TargetRefused
from alarmd.model.notification import Notification
from alarmd.notifiers.resolver import Resolver
from alarmd.notifiers.scheme import Attempt, Reason, SchemePlugin
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.notifiers.transport import CheckedAdapter, Limits
from alarmd.plugins import Options

_USER_AGENT = f"alarmd/{__version__}"
_COME_BACK_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class HttpOptions(Options):
    """What the operator may say about webhooks."""

    connect_timeout_s: float = Field(default=3.0, gt=0, le=60)
    #: The longest silence while an answer is awaited.
    read_timeout_s: float = Field(default=10.0, gt=0, le=300)
    #: All of an attempt together; a receiver that answers byte by byte cannot stretch it.
    deadline_s: float = Field(default=15.0, gt=0, le=300)
    #: How much of an answer's body is read.
    max_answer_bytes: int = Field(default=65536, ge=0, le=16 * 2**20)
    max_idle_connections: int = Field(default=64, ge=0, le=10_000)
    #: The longest that a receiver's `Retry-After` is obeyed.
    max_retry_after_s: float = Field(default=3600.0, ge=0)
    #: Certificate authorities that vouch for receivers, instead of the system's.
    ca_file: Path | None = None
    #: Certificate (with its key in the same file, or in `client_key_file`) that alarmd shows to receivers.
    client_cert_file: Path | None = None
    client_key_file: Path | None = None


class HttpScheme:
    """Posts notifications to http and https targets."""

    def __init__(
        self,
        *,
        options: HttpOptions,
        clock: Clock,
        policy: TargetPolicy,
        signer: Signer,
        resolver: Resolver | None = None,
    ) -> None:
        self.deadline_s = options.deadline_s
        self._max_retry_after_s = options.max_retry_after_s
        self._clock = clock
        self._policy = policy
        self._signer = signer
        adapter = CheckedAdapter(
            limits=Limits(
                connect_timeout_s=options.connect_timeout_s,
                read_timeout_s=options.read_timeout_s,
                deadline_s=options.deadline_s,
                max_answer_bytes=options.max_answer_bytes,
                max_idle_connections=options.max_idle_connections,
            ),
            policy=policy,
            resolver=resolver or Resolver(),
            tls=_tls_of(options),
            clock=clock,
        )
        self._session = _Session()
        self._session.trust_env = False
        for prefix in ("http://", "https://"):
            self._session.mount(prefix, adapter)

    def deliver(self, notification: Notification, *, headers: Mapping[str, str] | None = None) -> Attempt:
        """Make one attempt; further headers are for schemes that are this one and something more."""
        request = self._request_of(notification, headers or {})
        try:
            self._policy.check_url(notification.target)
            answer = self._session.send(request, stream=True, allow_redirects=False)
        except TargetRefused as error:
            return Attempt(reason=Reason.REFUSED, retryable=False, detail=error.message)
        except requests.Timeout as error:
            return Attempt(reason=Reason.TIMEOUT, retryable=True, detail=f"no answer in time: {error}")
        except requests.exceptions.SSLError as error:
            return Attempt(reason=Reason.TLS, retryable=False, detail=f"the certificate does not hold: {error}")
        except requests.ConnectionError as error:
            reason = Reason.TLS if isinstance(error.__cause__, ssl.SSLError) else Reason.CONNECTION
            return Attempt(reason=reason, retryable=True, detail=f"no connection: {error}")
        return self._attempt_of(answer)

    def close(self) -> None:
        self._session.close()

    def _request_of(self, notification: Notification, further: Mapping[str, str]) -> requests.PreparedRequest:
        body = json.dumps(notification.body).encode()
        timestamp_s = int(self._clock.time_s())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "Accept": "*/*",
            "x-openstack-request-id": f"req-{uuid4()}",
            "traceparent": _traceparent_of(notification),
            "webhook-id": notification.event_id,
            "webhook-timestamp": str(timestamp_s),
            **further,
        }
        signature = self._signer.sign(notification.event_id, timestamp_s, body)
        if signature:
            headers["webhook-signature"] = signature
        request = requests.PreparedRequest()
        request.prepare_method("POST")
        # Not `prepare_url`: it would spell the URL anew, and signed URLs would no longer match their signature.
        request.url = notification.target
        request.prepare_headers(headers)
        request.prepare_body(body, files=None)
        return request

    def _attempt_of(self, answer: requests.Response) -> Attempt:
        status = answer.status_code
        if 200 <= status < 300:
            return Attempt(reason=Reason.OK, retryable=False, status=status)
        if status in _COME_BACK_LATER:
            reason = Reason.BUSY
        elif 300 <= status < 400:
            reason = Reason.REDIRECT
        else:
            reason = Reason.SERVER_ERROR if status >= 500 else Reason.CLIENT_ERROR
        retryable = reason in {Reason.BUSY, Reason.SERVER_ERROR}
        return Attempt(
            reason=reason,
            retryable=retryable,
            status=status,
            retry_after_s=self._retry_after_of(answer) if retryable else None,
            # The receiver's own words stay out: they may repeat the URL.
            detail=f"HTTP {status} {_PHRASES.get(status, '')}".rstrip(),
        )

    def _retry_after_of(self, answer: requests.Response) -> float | None:
        asked = answer.headers.get("Retry-After", "").strip()
        if asked.isascii() and asked.isdigit():
            wait_s = float(asked[:12])
        else:
            try:
                moment = parsedate_to_datetime(asked)
            except ValueError:
                return None
            # A date without a zone is taken as what HTTP demands.
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            wait_s = (moment - self._clock.now()).total_seconds()
        return min(max(wait_s, 0.0), self._max_retry_after_s)


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class _Session(requests.Session):
    """A session without redirects: `requests` prepares the next hop even when told not to follow it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


def _traceparent_of(notification: Notification) -> str:
    """Return a W3C trace context: one trace a notification, a span of its own for every attempt, not recorded."""
    trace = sha256(notification.event_id.encode()).hexdigest()[:32]
    return f"00-{trace}-{token_hex(8)}-00"


def _tls_of(options: HttpOptions) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
        if options.client_cert_file is not None:
            context.load_cert_chain(options.client_cert_file, options.client_key_file)
    except (OSError, ssl.SSLError) as error:
        files = [str(file) for file in (options.ca_file, options.client_cert_file, options.client_key_file) if file]
        raise SettingsError(
            f"The TLS files of the http notifier cannot be used ({', '.join(files)}): {error}. "
            f"They have to be readable PEM files."
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _check(target: str, *, policy: TargetPolicy) -> None:
    policy.check_url(target)


PLUGIN = SchemePlugin(options=HttpOptions, build=HttpScheme, check=_check)
