# SPDX-License-Identifier: Apache-2.0
import json
import re
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from standardwebhooks import Webhook

from alarmd import __version__
from alarmd.errors import SettingsError
from alarmd.notifiers.scheme import Reason
from alarmd.notifiers.sockets import TimedSocket
from alarmd.notifiers.target_policy import TargetPolicy, TargetRules
from alarmd.notifiers.targets import IPAddress
from tests.support.http_schemes import HttpSchemes
from tests.support.notifications import a_notification
from tests.support.receivers import (
    OK,
    Script,
    answers,
    answers_and_closes,
    drips,
    hangs,
    make_certificate,
    make_expired_certificate,
    receiver,
    resets,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

#: What an orchestration engine hands out as an alarm URL, without its host.
SIGNED = (
    "/v1/signal/arn%3Aopenstack%3Aheat%3A%3APROJECT_ID%3Astacks/STACK/STACK_ID/resources/up"
    "?SignatureMethod=HmacSHA256&SignatureVersion=2&AWSAccessKeyId=ACCESS"
    "&Signature=pPGKSDvJBk1kju%2F%2BZfzZ89eDpijG3UP%2FCO9YesJ4i14%3D"
)


@pytest.mark.parametrize(
    "path",
    [
        SIGNED,
        "/",
        "/?",
        "/x?",
        "/a?b=%2f%3a&a=%2F%3A&b=1",
        "/%7euser/~user/-._~!$&'()*+,;=:@",
        "//double//slash/./dot/../dots",
        "/?q=a+b%20c&empty=&bare&r=%",
        '/?{}|^`"<>[]',
        "/?aodh-alarm-ssl-verify=0",
    ],
)
def test_the_url_goes_out_byte_for_byte(make_scheme: HttpSchemes, path: str) -> None:
    """The request line holds exactly the target's path and query: signed URLs stay valid."""
    with receiver() as listening:
        attempt = make_scheme().deliver(a_notification(target=listening.url(path)))
        (received,) = listening.received

    assert attempt.ok
    assert f"POST {path} HTTP/1.1".encode() == received.line
    assert f"127.0.0.1:{listening.port}" == received.headers["host"]


def test_the_request_is_aodhs_with_the_headers_of_standard_webhooks(make_scheme: HttpSchemes) -> None:
    """Body and headers are what receivers of Aodh know, plus id, time and a signature that verifies."""
    notification = a_notification()
    with receiver() as listening:
        make_scheme(secrets=(SECRET,)).deliver(a_notification(target=listening.url()))
        (received,) = listening.received

    assert notification.body == json.loads(received.body)
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == f"alarmd/{__version__}"
    assert received.headers["webhook-id"] == notification.event_id
    assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 60
    assert re.fullmatch(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", received.headers["x-openstack-request-id"])
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", received.headers["traceparent"])
    assert "cookie" not in received.headers
    assert "authorization" not in received.headers
    Webhook(SECRET).verify(received.body, received.headers)


def test_a_second_try_has_the_same_id_and_trace_and_its_own_span(make_scheme: HttpSchemes) -> None:
    """Receivers can drop what they have seen: the id stays, while each try has a request id of its own."""
    with receiver() as listening:
        scheme = make_scheme()
        for attempts in range(2):
            scheme.deliver(a_notification(target=listening.url(), attempts=attempts))
        first, second = (received.headers for received in listening.received)

    assert first["webhook-id"] == second["webhook-id"]
    assert first["traceparent"][:36] == second["traceparent"][:36]
    assert first["traceparent"] != second["traceparent"]
    assert first["x-openstack-request-id"] != second["x-openstack-request-id"]


def test_without_a_secret_nothing_is_signed(make_scheme: HttpSchemes) -> None:
    """The id and the time are always there, the signature only when there is a secret."""
    with receiver() as listening:
        make_scheme().deliver(a_notification(target=listening.url()))
        (received,) = listening.received

    assert {"webhook-id", "webhook-timestamp"} == {name for name in received.headers if name.startswith("webhook-")}


def test_nothing_is_taken_from_the_environment(
    make_scheme: HttpSchemes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxies and passwords of whoever started the daemon are not used."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with receiver() as listening:
        attempt = make_scheme().deliver(a_notification(target=listening.url()))
        (received,) = listening.received

    assert attempt.ok
    assert "authorization" not in received.headers


def test_cookies_are_not_kept(make_scheme: HttpSchemes) -> None:
    """What one receiver wants remembered is never sent to anybody."""
    with receiver(answers(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")) as listening:
        scheme = make_scheme()
        for _ in range(2):
            scheme.deliver(a_notification(target=listening.url()))

    assert ["cookie" in received.headers for received in listening.received] == [False, False]


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (200, Reason.OK, False),
        (202, Reason.OK, False),
        (204, Reason.OK, False),
        (299, Reason.OK, False),
        (300, Reason.REDIRECT, False),
        (304, Reason.REDIRECT, False),
        (400, Reason.CLIENT_ERROR, False),
        (401, Reason.CLIENT_ERROR, False),
        (403, Reason.CLIENT_ERROR, False),
        (404, Reason.CLIENT_ERROR, False),
        (408, Reason.BUSY, True),
        (410, Reason.GONE, False),
        (425, Reason.BUSY, True),
        (429, Reason.BUSY, True),
        (500, Reason.SERVER_ERROR, True),
        (501, Reason.SERVER_ERROR, True),
        (503, Reason.SERVER_ERROR, True),
        (599, Reason.SERVER_ERROR, True),
    ],
)
def test_what_an_answer_means(make_scheme: HttpSchemes, status: int, reason: Reason, retryable: bool) -> None:
    """Each status is a success, a request to come back, or final, as the receivers' documentation says."""
    with receiver(answers(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())) as listening:
        attempt = make_scheme().deliver(a_notification(target=listening.url()))

    assert (reason, retryable, status) == (attempt.reason, attempt.retryable, attempt.status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(make_scheme: HttpSchemes, status: int) -> None:
    """A receiver cannot send alarmd somewhere else."""
    with receiver() as elsewhere:
        head = f"HTTP/1.1 {status} X\r\nLocation: {elsewhere.url()}\r\nContent-Length: 0\r\n\r\n".encode()
        with receiver(answers(head)) as listening:
            attempt = make_scheme().deliver(a_notification(target=listening.url()))

        assert (Reason.REDIRECT, False, status) == (attempt.reason, attempt.retryable, attempt.status)
        assert elsewhere.received == []


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        ("0", 0),
        ("17", 17),
        ("99999999999999999999", 3600),
        ("in a quarter of an hour", 900),
        ("a quarter of an hour ago", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("01 Jan 2026 00:00 +99999999999999999999", None),
        ("Mon, 32 Jan 2026 00:00:00 GMT", None),
        ("\xb2", None),
        ("9" * 5000, 3600),
    ],
)
def test_retry_after_is_heeded_within_bounds(make_scheme: HttpSchemes, value: str, expected_s: float | None) -> None:
    """Seconds and dates are understood and capped; nonsense is ignored."""
    quarter = timedelta(minutes=15)
    dates = {
        "in a quarter of an hour": datetime.now(UTC) + quarter,
        "a quarter of an hour ago": datetime.now(UTC) - quarter,
    }
    value = format_datetime(dates[value], usegmt=True) if value in dates else value
    raw = f"HTTP/1.1 503 X\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    with receiver(answers(raw)) as listening:
        attempt = make_scheme().deliver(a_notification(target=listening.url()))

    assert attempt.retry_after_s == (None if expected_s is None else pytest.approx(expected_s, abs=60))


def test_retry_after_of_a_success_means_nothing(make_scheme: HttpSchemes) -> None:
    """Only failures that may pass tell how long to wait."""
    with receiver(answers(b"HTTP/1.1 400 X\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n")) as listening:
        assert make_scheme().deliver(a_notification(target=listening.url())).retry_after_s is None


@pytest.mark.parametrize(
    "script",
    [
        hangs,
        drips(b"", forever=b"x"),
        drips(b"HTTP/1.1 200 OK\r\n", forever=b"x"),
        drips(b"HTTP/1.1 100 Continue\r\n\r\n", forever=b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silent", "drips a status line", "drips a header", "drips interim answers"],
)
def test_a_slow_receiver_cannot_hold_its_thread(make_scheme: HttpSchemes, script: Script) -> None:
    """However an answer is stretched, the attempt ends at its deadline and may be tried again."""
    with receiver(script) as listening:
        started_s = time.monotonic()
        attempt = make_scheme(deadline_s=0.5).deliver(a_notification(target=listening.url()))
        took_s = time.monotonic() - started_s

    assert (Reason.TIMEOUT, True) == (attempt.reason, attempt.retryable)
    assert took_s < 3


def test_silence_ends_an_attempt_before_its_deadline(make_scheme: HttpSchemes) -> None:
    """The read time-out bounds each silence."""
    with receiver(hangs) as listening:
        started_s = time.monotonic()
        attempt = make_scheme(read_timeout_s=0.2, deadline_s=30).deliver(a_notification(target=listening.url()))

    assert attempt.reason is Reason.TIMEOUT
    assert time.monotonic() - started_s < 5


@pytest.mark.parametrize(
    "script",
    [
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", forever=b"x"),
        drips(b"HTTP/1.1 200 OK\r\n\r\n", forever=b"x" * 65536, every_s=0.001),
        answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 200_000),
        answers_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx"),
    ],
    ids=["drips", "endless", "broken", "large", "cut short"],
)
def test_the_status_counts_whatever_becomes_of_the_body(make_scheme: HttpSchemes, script: Script) -> None:
    """A success stays one though its body is slow, endless or broken; and the next delivery is not hurt by it."""
    with receiver(script) as listening:
        scheme = make_scheme(deadline_s=10)
        started_s = time.monotonic()
        attempts = [scheme.deliver(a_notification(target=listening.url())) for _ in range(2)]

    assert [attempt.reason for attempt in attempts] == [Reason.OK, Reason.OK]
    assert time.monotonic() - started_s < 8
    assert [received.connection for received in listening.received] == [1, 2]


@pytest.mark.parametrize(
    "script",
    [
        resets,
        answers(b"garbage without end of line" * 10_000),
        answers(b"HTTP/1.1 xyz\r\n\r\n"),
        answers(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n"),
        answers(b"HTTP/1.1 200 OK\r\n" + b"A: x\r\n" * 1000 + b"\r\n"),
    ],
    ids=["reset", "garbage", "no status", "long header", "many headers"],
)
def test_a_broken_answer_is_tried_again(make_scheme: HttpSchemes, script: Script) -> None:
    """Resets and what is no HTTP are failures that may pass."""
    with receiver(script) as listening:
        attempt = make_scheme(deadline_s=2).deliver(a_notification(target=listening.url()))

    assert (Reason.CONNECTION, True) == (attempt.reason, attempt.retryable)
    assert attempt.status is None


def test_nobody_there_is_tried_again(make_scheme: HttpSchemes) -> None:
    """A refused connection and an unknown name are failures that may pass."""

    def unknown(name: str) -> tuple[IPAddress, ...]:
        raise OSError(-2, f"Name or service not known: {len(name)}")

    with receiver() as listening:
        free = listening.url()
    refused = make_scheme().deliver(a_notification(target=free))
    unresolved = make_scheme(lookup=unknown).deliver(a_notification(target="http://nowhere.example/secret"))

    assert (Reason.CONNECTION, True) == (refused.reason, refused.retryable)
    assert (Reason.CONNECTION, True) == (unresolved.reason, unresolved.retryable)
    assert "secret" not in unresolved.detail


def test_a_name_server_that_is_silent_is_left_in_time(make_scheme: HttpSchemes) -> None:
    """A lookup that hangs costs no more than connecting may, and another try may find it answer."""
    end = Event()

    def silent(name: str) -> tuple[IPAddress, ...]:
        end.wait(30)
        raise OSError(-3, f"Temporary failure in name resolution: {len(name)}")

    started_s = time.monotonic()
    try:
        attempt = make_scheme(lookup=silent, connect_timeout_s=0.2).deliver(a_notification(target="http://a.example/"))
    finally:
        end.set()

    assert (Reason.TIMEOUT, True) == (attempt.reason, attempt.retryable)
    assert time.monotonic() - started_s < 5


class TestConnections:
    def test_one_connection_serves_many_deliveries(self, make_scheme: HttpSchemes) -> None:
        """Connections are used again."""
        with receiver() as listening:
            scheme = make_scheme()
            for _ in range(5):
                assert scheme.deliver(a_notification(target=listening.url())).ok

        assert [received.connection for received in listening.received] == [1] * 5

    def test_a_receiver_that_closes_is_connected_to_anew(self, make_scheme: HttpSchemes) -> None:
        """`Connection: close` and HTTP/1.0 cost nothing but a new connection."""
        with receiver(answers(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")) as polite:
            scheme = make_scheme()
            assert [scheme.deliver(a_notification(target=polite.url())).ok for _ in range(3)] == [True] * 3
        with receiver(answers_and_closes(b"HTTP/1.0 200 OK\r\n\r\n")) as old:
            assert [scheme.deliver(a_notification(target=old.url())).ok for _ in range(3)] == [True] * 3

        assert [received.connection for received in polite.received] == [1, 2, 3]

    def test_a_connection_that_was_closed_while_idle_is_not_used(self, make_scheme: HttpSchemes) -> None:
        """A receiver that closes what it had promised to keep open costs no delivery."""
        with receiver(answers_and_closes(OK)) as listening:
            scheme = make_scheme()
            for number in range(1, 4):
                assert scheme.deliver(a_notification(target=listening.url())).ok
                listening.wait_for_close(number)

        assert [received.connection for received in listening.received] == [1, 2, 3]

    def test_a_refusal_is_followed_by_a_new_connection(self, make_scheme: HttpSchemes) -> None:
        """A receiver may have moved, and its old address say so on a connection that it keeps open."""
        with receiver(answers(b"HTTP/1.1 503 Gone elsewhere\r\nContent-Length: 0\r\n\r\n")) as listening:
            scheme = make_scheme()
            for _ in range(3):
                scheme.deliver(a_notification(target=listening.url()))

        assert [received.connection for received in listening.received] == [1, 2, 3]

    def test_idle_connections_are_bounded(self, make_scheme: HttpSchemes) -> None:
        """With room for none, each delivery makes its own connection; with room for one, it is used again."""
        with receiver() as listening:
            for room, connections in ((0, [1, 2]), (1, [3, 3])):
                scheme = make_scheme(max_idle_connections=room)
                before = len(listening.received)
                for _ in range(2):
                    scheme.deliver(a_notification(target=listening.url()))

                assert [received.connection for received in listening.received[before:]] == connections

    def test_a_closed_scheme_keeps_nothing_open(self, make_scheme: HttpSchemes) -> None:
        """A delivery that outlives the closing of its scheme ends well, and its connection is not kept."""
        with receiver() as listening:
            scheme = make_scheme()
            scheme.close()
            attempts = [scheme.deliver(a_notification(target=listening.url())) for _ in range(2)]

        assert [attempt.ok for attempt in attempts] == [True, True]
        assert [received.connection for received in listening.received] == [1, 2]

    def test_one_hanging_receiver_does_not_hold_up_another(self, make_scheme: HttpSchemes) -> None:
        """Deliveries share no lock while they wait."""
        with receiver(hangs) as bad, receiver() as good, ThreadPoolExecutor(4) as pool:
            scheme = make_scheme(deadline_s=2)
            hanging = [pool.submit(scheme.deliver, a_notification(target=bad.url())) for _ in range(4)]
            bad.wait_for(4)
            started_s = time.monotonic()
            attempt = scheme.deliver(a_notification(target=good.url()))
            took_s = time.monotonic() - started_s
            reasons = {future.result().reason for future in hanging}

        assert attempt.ok
        assert took_s < 1.5
        assert reasons == {Reason.TIMEOUT}


class TestAddresses:
    def test_the_address_that_is_connected_to_is_checked(self, make_scheme: HttpSchemes) -> None:
        """A name that points at a forbidden address is refused for good when it is looked up."""
        with receiver() as listening:
            scheme = make_scheme(policy=TargetPolicy(), lookup=lambda _: (ip_address("127.0.0.1"),))
            attempt = scheme.deliver(a_notification(target=listening.url(host="inner.example")))

        assert (Reason.REFUSED, False) == (attempt.reason, attempt.retryable)
        assert "notifier.allow_networks" in attempt.detail
        assert listening.connections == 0

    @pytest.mark.parametrize("order", [1, -1])
    def test_every_address_of_a_name_is_checked(self, make_scheme: HttpSchemes, order: int) -> None:
        """One forbidden address among good ones is enough to refuse, wherever in the list it stands."""
        found = (ip_address("127.0.0.1"), ip_address("169.254.169.254"))[::order]
        with receiver() as listening:
            attempt = make_scheme(lookup=lambda _: found).deliver(
                a_notification(target=listening.url(host="a.example"))
            )

        assert attempt.reason is Reason.REFUSED
        assert listening.connections == 0

    def test_a_name_that_changes_its_mind_gains_nothing(self, make_scheme: HttpSchemes) -> None:
        """The name is looked up once, and what was checked is what is connected to."""
        given = [ip_address("127.0.0.1"), ip_address("169.254.169.254"), ip_address("169.254.169.254")]
        asked: list[str] = []

        def rebinding(name: str) -> tuple[IPAddress, ...]:
            asked.append(name)
            return (given.pop(0),)

        with receiver() as listening:
            scheme = make_scheme(lookup=rebinding, max_idle_connections=0)
            url = listening.url(host="rebinding.example")
            first, second = (scheme.deliver(a_notification(target=url)) for _ in range(2))
            ours = [one for one in listening.received if one.headers["host"] == f"rebinding.example:{listening.port}"]

        assert (Reason.OK, Reason.REFUSED) == (first.reason, second.reason)
        assert asked == ["rebinding.example"] * 2
        assert len(ours) == 1

    def test_a_dead_address_gives_way_to_the_next(self, make_scheme: HttpSchemes) -> None:
        """Of several addresses the first that answers is used."""
        found = (ip_address("127.0.0.2"), ip_address("127.0.0.1"))
        with receiver() as listening:
            attempt = make_scheme(lookup=lambda _: found).deliver(
                a_notification(target=listening.url(host="a.example"))
            )

        assert attempt.ok

    def test_who_is_reached_is_checked_and_not_only_who_was_asked_for(
        self, make_scheme: HttpSchemes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody else at the other end, as behind a rule of the kernel's, is sent nothing."""
        monkeypatch.setattr(TimedSocket, "getpeername", lambda _: ("169.254.169.254", 80))
        with receiver() as listening:
            attempt = make_scheme().deliver(a_notification(target=listening.url()))

        assert (Reason.REFUSED, False) == (attempt.reason, attempt.retryable)
        assert "169.254.169.254" in attempt.detail
        assert listening.received == []

    def test_an_address_that_leads_to_this_machine_is_not_a_way_around(self, make_scheme: HttpSchemes) -> None:
        """Where 0.0.0.0 is allowed and loopback is not, connecting to 0.0.0.0 is refused: it ends at 127.0.0.1."""
        policy = TargetPolicy(TargetRules(allow_networks=[ip_network("0.0.0.0/32")]))
        with receiver() as listening:
            attempt = make_scheme(policy=policy).deliver(a_notification(target=listening.url(host="0.0.0.0")))

        assert (Reason.REFUSED, False) == (attempt.reason, attempt.retryable)
        assert "127.0.0.1 is a loopback address" in attempt.detail
        assert listening.received == []

    def test_what_one_project_may_the_others_may_not(self, make_scheme: HttpSchemes) -> None:
        """A connection that was opened for a project which may be there is never used for one that may not."""
        own = TargetRules(allow_networks=[ip_network("127.0.0.1")])
        scheme = make_scheme(policy=TargetPolicy(projects={"p1": own}))
        with receiver() as listening:
            reasons = [
                scheme.deliver(a_notification(target=listening.url(), project_id=project_id)).reason
                for project_id in ("p1", "p2", "p1")
            ]
            ours = [one.connection for one in listening.received]

        assert [Reason.OK, Reason.REFUSED, Reason.OK] == reasons
        assert [1, 1] == ours

    def test_a_host_that_the_operator_allows_may_be_anywhere(self, make_scheme: HttpSchemes) -> None:
        """A name is allowed with its addresses, and no other name for the same address with it."""
        policy = TargetPolicy(TargetRules(allow_hosts=["*.scalers.example"]))
        scheme = make_scheme(policy=policy, lookup=lambda _: (ip_address("127.0.0.1"),))
        with receiver() as listening:
            reasons = [
                scheme.deliver(a_notification(target=listening.url(host=host))).reason
                for host in ("a.scalers.example", "scalers.example", "evil.example")
            ]

        assert [Reason.OK, Reason.REFUSED, Reason.REFUSED] == reasons

    def test_a_stored_target_is_checked_again_before_each_try(self, make_scheme: HttpSchemes) -> None:
        """What the operator has forbidden since the alarm was written is not sent any more."""
        with receiver() as listening:
            attempt = make_scheme(policy=TargetPolicy()).deliver(a_notification(target=listening.url()))

        assert (Reason.REFUSED, False) == (attempt.reason, attempt.retryable)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"), name="scaler.example")


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


class TestTls:
    @staticmethod
    def _here(_: str) -> tuple[IPAddress, ...]:
        return (ip_address("127.0.0.1"),)

    def test_a_certificate_that_the_operator_trusts_is_accepted_by_its_name(
        self, make_scheme: HttpSchemes, context: ssl.SSLContext, certificate: Path
    ) -> None:
        """The connection goes to the checked address, the certificate is held against the URL's name."""
        names: list[str | None] = []
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        with receiver(tls=context) as listening:
            scheme = make_scheme(ca_file=certificate, lookup=self._here)
            attempts = [
                scheme.deliver(a_notification(target=listening.url(SIGNED, host="scaler.example"))) for _ in range(2)
            ]
            first, second = listening.received

        assert [attempt.reason for attempt in attempts] == [Reason.OK, Reason.OK]
        assert f"POST {SIGNED} HTTP/1.1".encode() == first.line
        assert names == ["scaler.example"]
        assert first.connection == second.connection

    def test_a_certificate_that_nobody_vouches_for_is_final(
        self, make_scheme: HttpSchemes, context: ssl.SSLContext
    ) -> None:
        """A self-signed certificate is refused and not tried again."""
        with receiver(tls=context) as listening:
            attempt = make_scheme(lookup=self._here).deliver(
                a_notification(target=listening.url(host="scaler.example"))
            )

        assert (Reason.TLS, False) == (attempt.reason, attempt.retryable)
        assert "certificate" in attempt.detail
        assert listening.received == []

    @pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
    def test_a_certificate_for_another_name_is_final(
        self, make_scheme: HttpSchemes, context: ssl.SSLContext, certificate: Path, host: str
    ) -> None:
        """A trusted certificate of somebody else does not do."""
        with receiver(tls=context) as listening:
            scheme = make_scheme(ca_file=certificate, lookup=self._here)
            attempt = scheme.deliver(a_notification(target=listening.url(host=host)))

        assert (Reason.TLS, False) == (attempt.reason, attempt.retryable)
        assert listening.received == []

    @pytest.mark.parametrize("script", [hangs, drips(b"", forever=b"x"), drips(b"HTTP/1.1 200 OK\r\n", forever=b"x")])
    def test_a_slow_receiver_cannot_hold_its_thread(
        self, make_scheme: HttpSchemes, context: ssl.SSLContext, certificate: Path, script: Script
    ) -> None:
        """The deadline holds over TLS as well."""
        with receiver(script, tls=context) as listening:
            scheme = make_scheme(ca_file=certificate, lookup=self._here, deadline_s=0.5)
            started_s = time.monotonic()
            attempt = scheme.deliver(a_notification(target=listening.url(host="scaler.example")))

        assert (Reason.TIMEOUT, True) == (attempt.reason, attempt.retryable)
        assert time.monotonic() - started_s < 3

    @pytest.mark.parametrize("path", ["/", "/?aodh-alarm-ssl-verify=0", "/?aodh-alarm-ssl-verify=1"])
    def test_a_certificate_that_has_expired_is_final(self, make_scheme: HttpSchemes, tmp_path: Path, path: str) -> None:
        """Its authority is trusted, its date is past, and nothing in the URL makes up for that."""
        old = make_expired_certificate(tmp_path, name="scaler.example")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(old)
        with receiver(tls=context) as listening:
            scheme = make_scheme(ca_file=old, lookup=self._here)
            attempt = scheme.deliver(a_notification(target=listening.url(path, host="scaler.example")))

        assert (Reason.TLS, False) == (attempt.reason, attempt.retryable)
        assert "expired" in attempt.detail
        assert listening.received == []

    @pytest.mark.parametrize(
        ("excepted", "host", "is_taken"),
        [
            ({"unverified_hosts": ["scaler.example"]}, "scaler.example", True),
            ({"unverified_hosts": ["*.example"]}, "scaler.example", True),
            ({"unverified_hosts": ["scaler.example"]}, "other.example", False),
            ({"unverified_hosts": ["*"]}, "127.0.0.1", False),
            ({"unverified_networks": ["127.0.0.0/8"]}, "other.example", True),
            ({"unverified_networks": ["127.0.0.0/8"]}, "127.0.0.1", True),
            ({"unverified_networks": ["10.0.0.0/8"]}, "scaler.example", False),
        ],
    )
    def test_only_the_operator_can_leave_a_certificate_unchecked(
        self,
        make_scheme: HttpSchemes,
        context: ssl.SSLContext,
        excepted: dict[str, Any],
        host: str,
        is_taken: bool,
    ) -> None:
        """By the name in the URL or by the address at the other end; all others are checked as ever."""
        with receiver(tls=context) as listening:
            scheme = make_scheme(lookup=self._here, **excepted)
            attempt = scheme.deliver(a_notification(target=listening.url(host=host)))

        assert (Reason.OK if is_taken else Reason.TLS) is attempt.reason

    @pytest.mark.parametrize("shows", [True, False])
    def test_alarmd_shows_the_certificate_that_it_was_given(
        self, make_scheme: HttpSchemes, tmp_path: Path, certificate: Path, shows: bool
    ) -> None:
        """A receiver that asks for one takes the notification with it, and not without."""
        own = make_certificate(tmp_path, name="alarmd")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(own)
        shown: dict[str, Any] = {"client_cert_file": own} if shows else {}
        with receiver(tls=context) as listening:
            scheme = make_scheme(ca_file=certificate, lookup=self._here, **shown)
            attempt = scheme.deliver(a_notification(target=listening.url(host="scaler.example")))

        assert shows is attempt.ok
        assert shows is bool(listening.received)

    def test_a_handshake_that_never_ends_is_cut(self, make_scheme: HttpSchemes) -> None:
        """Somebody who accepts and says nothing is left at the deadline."""
        with receiver(hangs) as listening:
            started_s = time.monotonic()
            url = listening.url().replace("http:", "https:")
            attempt = make_scheme(deadline_s=0.5).deliver(a_notification(target=url))

        assert (Reason.TIMEOUT, True) == (attempt.reason, attempt.retryable)
        assert time.monotonic() - started_s < 3

    def test_a_receiver_without_tls_is_tried_again(self, make_scheme: HttpSchemes) -> None:
        """What comes back is no TLS: another try may find the receiver mended."""
        with receiver(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as listening:
            url = listening.url().replace("http:", "https:")
            attempt = make_scheme(deadline_s=1).deliver(a_notification(target=url))

        assert (Reason.TLS, True) == (attempt.reason, attempt.retryable)

    def test_files_that_are_no_certificates_are_refused_at_start(
        self, make_scheme: HttpSchemes, tmp_path: Path
    ) -> None:
        """A wrong path or file is named before anything is sent."""
        nonsense = tmp_path / "nonsense.pem"
        nonsense.write_text("nonsense")
        wrong: list[dict[str, Any]] = [
            {"ca_file": nonsense},
            {"ca_file": tmp_path / "nowhere"},
            {"client_cert_file": nonsense},
        ]
        for options in wrong:
            with pytest.raises(SettingsError, match=str(next(iter(options.values())))):
                make_scheme(**options)
