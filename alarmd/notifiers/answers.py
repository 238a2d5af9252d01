# SPDX-License-Identifier: Apache-2.0
"""What answers and failures of HTTP mean for a delivery."""

import ssl
from datetime import datetime
from http import HTTPStatus
from typing import Final

import requests

from alarmd.errors import TargetRefused
from alarmd.notifiers.retry import asked_pause_s
from alarmd.notifiers.scheme import Attempt, Reason

_COME_BACK_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


def attempt_of(answer: requests.Response, now: datetime, *, max_retry_after_s: float) -> Attempt:
    """Return what an answer means."""
    status = answer.status_code
    if 200 <= status < 300:
        return Attempt(reason=Reason.OK, retryable=False, status=status)
    reason = _reason_of(status)
    retryable = reason in {Reason.BUSY, Reason.SERVER_ERROR}
    asked_s = asked_pause_s(answer.headers.get("Retry-After", ""), now) if retryable else None
    return Attempt(
        reason=reason,
        retryable=retryable,
        status=status,
        retry_after_s=None if asked_s is None else min(asked_s, max_retry_after_s),
        # The receiver's own words stay out: they may repeat the URL.
        detail=f"HTTP {status} {_PHRASES.get(status, '')}".rstrip(),
    )


def failure_of(error: requests.RequestException | TargetRefused) -> Attempt:
    """Return what it means that there was no answer."""
    match error:
        case TargetRefused():
            return Attempt(reason=Reason.REFUSED, retryable=False, detail=error.message)
        case requests.Timeout():
            return Attempt(reason=Reason.TIMEOUT, retryable=True, detail=f"no answer in time: {error}")
        case requests.exceptions.SSLError():
            return Attempt(reason=Reason.TLS, retryable=False, detail=f"the certificate does not hold: {error}")
        case _:
            reason = Reason.TLS if isinstance(error.__cause__, ssl.SSLError) else Reason.CONNECTION
            return Attempt(reason=reason, retryable=True, detail=f"no connection: {error}")


def _reason_of(status: int) -> Reason:
    if status in _COME_BACK_LATER:
        return Reason.BUSY
    if status == HTTPStatus.GONE:
        return Reason.GONE
    if 300 <= status < 400:
        return Reason.REDIRECT
    return Reason.SERVER_ERROR if status >= 500 else Reason.CLIENT_ERROR
