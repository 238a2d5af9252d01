# SPDX-License-Identifier: Apache-2.0
import time
from collections.abc import Callable
from email.message import Message
from functools import partial

import pytest
import requests

from alarmd.model.secret import key_of
from alarmd.notifiers.signing import signature_of
from examples import receiver
from tests.support.loopback import running

SECRET = "whsec_" + "c2VjcmV0" * 4
BODY = b'{"alarm_name": "hot", "previous": "ok", "current": "alarm", "reason": "because"}'


def signed_headers(*, secret: str = SECRET, body: bytes = BODY, timestamp_s: int | None = None) -> dict[str, str]:
    """Return the headers that alarmd sends along with a body."""
    timestamp_s = int(time.time()) if timestamp_s is None else timestamp_s
    return {
        "webhook-id": "a1_1_0",
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature_of([key_of(secret)], "a1_1_0", timestamp_s, body),
    }


def message_of(headers: dict[str, str]) -> Message:
    """Return headers as the standard library's server hands them over."""
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


@pytest.mark.parametrize(
    ("signed", "body", "expected"),
    [
        # Signed when the test runs: long after it was collected, a signature would be old.
        (signed_headers, BODY, True),
        (signed_headers, BODY + b" ", False),
        (partial(signed_headers, secret="whsec_" + "YW5vdGhl" * 4), BODY, False),
        (partial(signed_headers, timestamp_s=1_700_000_000), BODY, False),
        (dict, BODY, False),
    ],
    ids=["genuine", "other body", "other secret", "old", "unsigned"],
)
def test_the_receiver_knows_what_alarmd_has_signed(
    signed: Callable[[], dict[str, str]], body: bytes, expected: bool
) -> None:
    """Only what was signed with the shared secret, over this very body and lately, is genuine."""
    assert expected == receiver.is_genuine(SECRET, message_of(signed()), body)


def test_the_receiver_shows_each_notification_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What comes again under the same id is accepted and passed over; what is not signed is refused."""
    with running(receiver.make_server(0, SECRET)) as url:
        answers = [
            requests.post(url, data=BODY, headers=headers, timeout=10).status_code
            for headers in (signed_headers(), signed_headers(), {})
        ]

    assert answers == [204, 204, 401]
    assert capsys.readouterr().out.count("hot: ok -> alarm") == 1
