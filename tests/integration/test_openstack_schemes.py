# SPDX-License-Identifier: Apache-2.0
"""`trust+http`, `trust+https`, `zaqar` and `trust+zaqar` against a Keystone and a Zaqar of the documented shape."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr

from alarmd import plugins
from alarmd.clock import SystemClock
from alarmd.model.notification import Notification
from alarmd.notifiers.scheme import Attempt, Reason, scheme_of
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.settings.schema import KeystoneSettings
from tests.support.cloud import Asked, Cloud, cloud
from tests.support.notifications import a_notification
from tests.support.receivers import OK, answers, make_certificate, receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_SIGNED = {
    "queue_name": "healing",
    "signature": "518b51ea133c4facadae42c328d6b77b",
    "expires": "2099-01-01T00:00:00",
    "methods": "POST",
    "paths": "/v2/queues/healing/messages",
    "project_id": "7d2f63fd4dcc47528e9b1d08f989cc00",
}


@pytest.fixture
def site() -> Iterator[Cloud]:
    """A Keystone, and a Zaqar in its catalogue."""
    with cloud() as running:
        yield running


def deliver(site: Cloud, notification: Notification, *, policy: TargetPolicy | None = None, **options: Any) -> Attempt:
    """Deliver with the scheme that the target names, as it is found by its entry point."""
    plugin = plugins.load("alarmd.notifiers", scheme_of(notification.target))
    keystone = KeystoneSettings(auth_url=f"{site.url}/v3", password=SecretStr("x"))
    scheme = plugin.build(
        options=plugin.options(keystone=keystone, **options),
        clock=SystemClock(),
        policy=policy or TargetPolicy(allow_loopback=True),
        signer=Signer([SECRET]),
    )
    try:
        attempt: Attempt = scheme.deliver(notification)
        return attempt
    finally:
        scheme.close()


class TestTrust:
    def test_a_webhook_carries_a_token_of_the_trust(self, site: Cloud) -> None:
        """The URL goes out without the trust, byte for byte, with the token and the signature of every webhook."""
        with receiver() as listening:
            target = listening.url("/v1/a%2Fb/signal?x=%2B").replace("http://", "trust+http://t1@")
            attempt = deliver(site, a_notification(target=target))
            (received,) = listening.received

        assert attempt.ok
        assert b"POST /v1/a%2Fb/signal?x=%2B HTTP/1.1" == received.line
        assert f"127.0.0.1:{listening.port}" == received.headers["host"]
        assert "token-1" == received.headers["x-auth-token"]
        assert received.headers["webhook-signature"].startswith("v1,")

    def test_tls_is_that_of_webhooks(self, site: Cloud, tmp_path: Path) -> None:
        """A certificate that does not hold ends it before the token is shown."""
        certificate = make_certificate(tmp_path, name="localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with receiver(tls=context) as listening:
            target = listening.url(host="localhost").replace("https://", "trust+https://t1@")
            refused = deliver(site, a_notification(target=target))
            before = len(listening.received)
            taken = deliver(site, a_notification(target=target), ca_file=certificate)

        assert (Reason.TLS, False, 0) == (refused.reason, refused.retryable, before)
        assert taken.ok

    @pytest.mark.parametrize(("refusals", "status"), [(1, 200), (2, 401)])
    def test_a_token_that_is_refused_is_replaced_once(self, site: Cloud, refusals: int, status: int) -> None:
        """To a second 401 there is no third answer."""
        left = [answers(OK.replace(b"200 OK", b"401 Unauthorized"))] * refusals

        def script(connection: socket.socket, end: Event) -> None:
            say = left.pop() if left else answers(OK)
            say(connection, end)

        with receiver(script) as listening:
            attempt = deliver(site, a_notification(target=listening.url().replace("http://", "trust+http://t1@")))
            tokens = [one.headers["x-auth-token"] for one in listening.received]

        assert status == attempt.status
        assert ["token-1", "token-2"] == tokens

    def test_where_the_project_may_not_call_no_token_goes(self, site: Cloud) -> None:
        """The rules for targets hold with a trust too."""
        with receiver() as listening:
            target = listening.url().replace("http://", "trust+http://t1@")
            attempt = deliver(site, a_notification(target=target), policy=TargetPolicy())

        assert (Reason.REFUSED, False) == (attempt.reason, attempt.retryable)
        assert [] == listening.received

    def test_a_trust_that_was_ended_is_given_up(self, site: Cloud) -> None:
        """Keystone gives no token, and nothing is called."""
        with receiver() as listening:
            attempt = deliver(site, a_notification(target=listening.url().replace("http://", "trust+http://t2@")))

        assert (Reason.TRUST, False) == (attempt.reason, attempt.retryable)
        assert [] == listening.received


class TestZaqar:
    def test_a_message_is_posted_in_the_makers_name(self, site: Cloud) -> None:
        """`trust+zaqar` posts Aodh's body with a token of the trust; nothing is signed, Zaqar knows the token."""
        notification = a_notification(target="trust+zaqar://t1@?queue_name=healing")
        attempt = deliver(site, notification)
        [asked] = site.asked

        assert (Reason.OK, 201) == (attempt.reason, attempt.status)
        assert [("healing", {"messages": [{"body": notification.body}]})] == site.messages
        assert asked.token == "token-1"
        assert asked.headers["client-id"]
        assert "webhook-signature" not in asked.headers

    def test_a_topic_has_a_queue_of_its_own_and_subscribers(self, site: Cloud) -> None:
        """They are subscribed before the message is posted."""
        wanted = urlencode(
            {"topic": "cpu", "subscriber": ["mailto:ops@example.org", "http://h/"], "ttl": 60}, doseq=True
        )
        attempt = deliver(site, a_notification(target=f"zaqar://?{wanted}"))

        assert attempt.ok
        assert [
            ("alarm-1-cpu", {"subscriber": each, "ttl": 60, "options": {}})
            for each in ("mailto:ops@example.org", "http://h/")
        ] == site.subscriptions
        assert ["alarm-1-cpu"] == [queue for queue, _ in site.messages]
        assert site.asked[-1].path.endswith("/messages")

    def test_what_zaqar_has_signed_is_shown_and_no_token(self, site: Cloud) -> None:
        """A pre-signed action needs nobody's name."""
        attempt = deliver(site, a_notification(target=f"zaqar://?{urlencode(_SIGNED)}"))
        [asked] = site.asked

        assert attempt.ok
        assert asked.token is None
        assert _SIGNED["signature"] == asked.headers["url-signature"]
        assert _SIGNED["project_id"] == asked.headers["x-project-id"]

    @pytest.mark.parametrize(("status", "retryable"), [(503, True), (429, True), (403, False), (404, False)])
    def test_what_zaqar_says_decides_what_becomes_of_it(self, site: Cloud, status: int, retryable: bool) -> None:
        """As with every receiver."""

        def refuse(_: Asked) -> tuple[int, dict[str, str], Any]:
            return status, {}, {"title": "no"}

        site.instead = refuse
        attempt = deliver(site, a_notification(target="trust+zaqar://t1@?queue_name=healing"))

        assert (status, retryable) == (attempt.status, attempt.retryable)
        assert [] == site.messages
