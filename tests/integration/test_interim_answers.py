# SPDX-License-Identifier: Apache-2.0
import select
import socket
import ssl
import time
from io import DEFAULT_BUFFER_SIZE
from pathlib import Path
from threading import Event

import pytest

from alarmd.notifiers.scheme import Reason
from tests.support.http_schemes import HttpSchemes
from tests.support.notifications import a_notification
from tests.support.receivers import OK, Script, answers, drips, make_certificate, receiver

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def floods(raw: bytes) -> Script:
    """Return a script that sends these bytes again and again, as fast as they are taken."""

    def script(connection: socket.socket, end: Event) -> None:
        while not end.is_set():
            connection.sendall(raw)

    return script


@pytest.mark.parametrize(
    "interim",
    [
        HINTS,
        PROCESSING,
        CONTINUE + PROCESSING + HINTS,
        PROCESSING * 100,
        b"HTTP/1.1 199 \r\n\r\n",
        b"HTTP/1.1\t102\n\n",
        b"HTTP/1.0 102 Processing\r\nContent-Length: 5\r\n\r\n",
    ],
    ids=["103", "102", "each kind", "a hundred", "199", "bare", "with a length"],
)
def test_an_interim_answer_is_not_the_answer(make_scheme: HttpSchemes, interim: bytes) -> None:
    """The one that follows counts, and the connection serves the next delivery."""
    with receiver(answers(interim + OK)) as listening:
        scheme = make_scheme()
        attempts = [scheme.deliver(a_notification(target=listening.url())) for _ in range(3)]

    assert [(Reason.OK, 200)] * 3 == [(attempt.reason, attempt.status) for attempt in attempts]
    assert [1, 1, 1] == [received.connection for received in listening.received]


def test_what_follows_an_interim_answer_may_be_a_refusal(make_scheme: HttpSchemes) -> None:
    """It means what it means without one."""
    with receiver(answers(HINTS + UNAVAILABLE)) as listening:
        attempt = make_scheme().deliver(a_notification(target=listening.url()))

    assert (Reason.SERVER_ERROR, True, 503) == (attempt.reason, attempt.retryable, attempt.status)


def test_the_answer_may_take_its_time_behind_an_interim_one(make_scheme: HttpSchemes) -> None:
    """It is waited for, piece by piece, as long as the attempt may take."""

    def script(connection: socket.socket, end: Event) -> None:
        for piece in (HINTS, OK[:10], OK[10:30], OK[30:]):
            connection.sendall(piece)
            end.wait(0.02)

    with receiver(script) as listening:
        attempt = make_scheme().deliver(a_notification(target=listening.url()))

    assert (Reason.OK, 200) == (attempt.reason, attempt.status)


def test_interim_answers_do_not_stretch_an_attempt(make_scheme: HttpSchemes) -> None:
    """However long a receiver says that it is at work, the deadline holds, and another try is made."""
    with receiver(drips(PROCESSING, forever=PROCESSING)) as listening:
        started_s = time.monotonic()
        attempt = make_scheme(deadline_s=0.5).deliver(a_notification(target=listening.url()))
        took_s = time.monotonic() - started_s

    assert (Reason.TIMEOUT, True, None) == (attempt.reason, attempt.retryable, attempt.status)
    assert took_s < 3


@pytest.mark.parametrize(
    "script",
    [
        floods(PROCESSING),
        floods(CONTINUE),
        floods(b"HTTP/1.1 103 Early Hints\r\n" + b"A: x\r\n" * 1000),
        answers(b"HTTP/1.1 103 " + b"x" * 100_000 + b"\r\n\r\n" + OK),
    ],
    ids=["many of them", "many of the oldest kind", "one without an end", "one with a long line"],
)
def test_interim_answers_are_bounded(make_scheme: HttpSchemes, script: Script) -> None:
    """A receiver that floods alarmd with them is left long before the deadline, and tried again."""
    with receiver(script) as listening:
        started_s = time.monotonic()
        attempt = make_scheme(deadline_s=30).deliver(a_notification(target=listening.url()))
        took_s = time.monotonic() - started_s

    assert (Reason.CONNECTION, True, None) == (attempt.reason, attempt.retryable, attempt.status)
    assert "interim answers without an end" in attempt.detail
    assert took_s < 10


def test_nobody_gets_the_answer_to_somebody_elses_request(make_scheme: HttpSchemes) -> None:
    """A connection whose answer came too late is not used again: what comes on it then is for who has left."""

    def script(connection: socket.socket, _: Event) -> None:
        if len(listening.received) > 1:
            connection.sendall(UNAVAILABLE)
            return
        connection.sendall(HINTS)
        # Until somebody has sent a request behind the first one, or has left.
        select.select([connection], [], [], 30)
        connection.sendall(OK)

    with receiver(script) as listening:
        scheme = make_scheme(deadline_s=0.5)
        first = scheme.deliver(a_notification(target=listening.url(), project_id="p1"))
        other = scheme.deliver(a_notification(target=listening.url(), project_id="p2"))

    assert (Reason.TIMEOUT, True) == (first.reason, first.retryable)
    assert (Reason.SERVER_ERROR, 503) == (other.reason, other.status)
    assert [1, 2] == [received.connection for received in listening.received]


def test_a_switch_of_protocols_is_a_failure_that_may_pass(make_scheme: HttpSchemes) -> None:
    """Nobody asked for one; what comes behind it is no HTTP, so the connection is closed."""
    with receiver(answers(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + OK)) as listening:
        scheme = make_scheme()
        attempts = [scheme.deliver(a_notification(target=listening.url())) for _ in range(2)]

    assert [(Reason.CONNECTION, True)] * 2 == [(attempt.reason, attempt.retryable) for attempt in attempts]
    assert "a protocol that nobody asked for" in attempts[0].detail
    assert [1, 2] == [received.connection for received in listening.received]


def test_an_interim_answer_alone_is_a_broken_one(make_scheme: HttpSchemes) -> None:
    """A receiver that leaves after it has not taken the notification for all that is known."""

    def script(connection: socket.socket, _: Event) -> None:
        connection.sendall(HINTS)
        raise ConnectionAbortedError

    with receiver(script) as listening:
        attempt = make_scheme().deliver(a_notification(target=listening.url()))

    assert (Reason.CONNECTION, True) == (attempt.reason, attempt.retryable)


def padded(answer: bytes) -> bytes:
    """Return an answer that fills exactly what is read from a connection at once."""
    status, headers = answer.split(b"\r\n", 1)
    return status + b"\r\nX: " + b"x" * (DEFAULT_BUFFER_SIZE - len(answer) - 5) + b"\r\n" + headers


class TestWhatIsLeft:
    @pytest.mark.parametrize(
        "raw",
        [
            OK + OK,
            OK + b"H",
            padded(OK) + OK,
            b"HTTP/1.1 204 No Content\r\n\r\n" + b"more than there is to say",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + OK,
        ],
        ids=["an answer", "a byte", "beyond what is read at once", "a body that there is not", "behind chunks"],
    )
    @pytest.mark.parametrize("with_tls", [False, True], ids=["plain", "tls"])
    def test_what_comes_behind_an_answer_is_not_the_next_one(
        self, make_scheme: HttpSchemes, certificate: Path, raw: bytes, *, with_tls: bool
    ) -> None:
        """The connection is not used again, whether the rest was read along or lies ready."""
        assert DEFAULT_BUFFER_SIZE == len(padded(OK))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if with_tls else None
        if tls:
            tls.load_cert_chain(certificate)
        with receiver(answers(raw), tls=tls) as listening:
            scheme = make_scheme(unverified_networks=["127.0.0.0/8"])
            attempts = [scheme.deliver(a_notification(target=listening.url())) for _ in range(2)]

        assert [Reason.OK, Reason.OK] == [attempt.reason for attempt in attempts]
        assert [1, 2] == [received.connection for received in listening.received]

    def test_what_comes_while_nobody_asks_is_not_the_next_answer(self, make_scheme: HttpSchemes) -> None:
        """A connection on which something lies ready before a request goes out is given up."""
        go, sent = Event(), Event()

        def script(connection: socket.socket, _: Event) -> None:
            if len(listening.received) > 1:
                connection.sendall(UNAVAILABLE)
                return
            connection.sendall(OK)
            go.wait(30)
            connection.sendall(OK)
            sent.set()

        with receiver(script) as listening:
            scheme = make_scheme()
            first = scheme.deliver(a_notification(target=listening.url()))
            go.set()
            assert sent.wait(30)
            second = scheme.deliver(a_notification(target=listening.url()))

        assert (200, 503) == (first.status, second.status)
        assert [1, 2] == [received.connection for received in listening.received]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))
