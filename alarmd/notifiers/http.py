# SPDX-License-Identifier: Apache-2.0
"""Webhooks: Aodh's body, posted to the target byte for byte, with the headers of Standard Webhooks."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from random import getrandbits
from uuid import UUID

import requests
from pydantic import Field
from requests.structures import CaseInsensitiveDict

from alarmd import __version__
from alarmd.clock import Clock
from alarmd.errors import TargetRefused
from alarmd.model.notification import Notification
from alarmd.model.trace import next_traceparent, span_id
from alarmd.notifiers.answers import attempt_of, failure_of
from alarmd.notifiers.desk import DESK
from alarmd.notifiers.resolver import Resolver
from alarmd.notifiers.scheme import Attempt, SchemePlugin
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.steps import UNWATCHED, Steps
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.notifiers.tls import Tls, TlsFiles
from alarmd.notifiers.transport import Limits, Transport
from alarmd.plugins import Options
from alarmd.settings.target_rules import HostPatterns, Networks

USER_AGENT = f"alarmd/{__version__}"


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
    #: How long the body of an answer may take once the status is known: it is only read so that the connection can be
    #: used again.
    body_wait_s: float = Field(default=1.0, gt=0, le=60)
    #: Certificate authorities that vouch for receivers, instead of the system's.
    ca_file: Path | None = None
    #: Certificate (with its key in the same file, or in `client_key_file`) that alarmd shows to receivers.
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    #: Whose certificates are not checked, by the name in the URL and by the address that is connected to.
    unverified_hosts: HostPatterns = ()
    unverified_networks: Networks = ()


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
        self._transport = transport_of(options, clock=clock, resolver=resolver)

    def deliver(
        self, notification: Notification, *, headers: Mapping[str, str] | None = None, steps: Steps = UNWATCHED
    ) -> Attempt:
        """Make one attempt; further headers are for schemes that are this one and something more."""
        with DESK:
            return self._deliver(notification, headers or {}, steps)

    def _deliver(self, notification: Notification, headers: Mapping[str, str], steps: Steps) -> Attempt:
        policy = self._policy.for_project(notification.project_id)
        request = self._request_of(notification, headers)
        try:
            policy.check_url(notification.target)
            answer = self._transport.send(request, policy=policy, project_id=notification.project_id, steps=steps)
        except (TargetRefused, requests.RequestException) as error:
            return failure_of(error)
        return attempt_of(answer, self._clock.now(), max_retry_after_s=self._max_retry_after_s)

    def deliver_watched(self, notification: Notification, steps: Steps) -> Attempt:
        """Make one attempt and tell of each step."""
        return self.deliver(notification, steps=steps)

    def close(self) -> None:
        self._transport.close()

    def _request_of(self, notification: Notification, further: Mapping[str, str]) -> requests.PreparedRequest:
        body = json.dumps(notification.body).encode()
        timestamp_s = int(self._clock.time_s())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            "x-openstack-request-id": f"req-{_request_id()}",
            "traceparent": _traceparent_of(notification),
            "webhook-id": notification.event_id,
            "webhook-timestamp": str(timestamp_s),
            **further,
        }
        signature = self._signer.sign(notification, timestamp_s, body)
        if signature:
            headers["webhook-signature"] = signature
        headers["Content-Length"] = str(len(body))
        # Not by `prepare`: it would spell the URL anew, and signed URLs would no longer match their signature.
        request = requests.PreparedRequest()
        request.method, request.url, request.body = "POST", notification.target, body
        request.headers = CaseInsensitiveDict(headers)
        return request


def _request_id() -> UUID:
    # Not by `uuid4`, which asks the system, where a thread loses its turn: nobody has to be unable to guess it.
    return UUID(int=getrandbits(128), version=4)


def _traceparent_of(notification: Notification) -> str:
    """Return a W3C trace context with a span of its own for every attempt: in the trace of the sample, if it had one.

    Else it is one trace a notification, not recorded.
    """
    if notification.traceparent:
        return next_traceparent(notification.traceparent)
    trace = sha256(notification.event_id.encode()).hexdigest()[:32]
    return f"00-{trace}-{span_id()}-00"


def transport_of(options: HttpOptions, *, clock: Clock, resolver: Resolver | None = None) -> Transport:
    """Return what sends requests as the operator wants it. Raises `SettingsError` for files that cannot be used."""
    files = TlsFiles(
        ca_file=options.ca_file, client_cert_file=options.client_cert_file, client_key_file=options.client_key_file
    )
    return Transport(
        limits=Limits(
            connect_timeout_s=options.connect_timeout_s,
            read_timeout_s=options.read_timeout_s,
            deadline_s=options.deadline_s,
            max_answer_bytes=options.max_answer_bytes,
            body_wait_s=options.body_wait_s,
            max_idle_connections=options.max_idle_connections,
        ),
        resolver=resolver or Resolver(),
        tls=Tls(files, unverified_hosts=options.unverified_hosts, unverified_networks=options.unverified_networks),
        clock=clock,
    )


def _check(target: str, *, policy: TargetPolicy) -> None:
    policy.check_url(target)


PLUGIN = SchemePlugin(options=HttpOptions, build=HttpScheme, check=_check)
