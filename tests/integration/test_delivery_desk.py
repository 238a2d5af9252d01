# SPDX-License-Identifier: Apache-2.0
"""Whatever one delivery waits for, it is not at the desk, so that the others go on."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from threading import Event

import pytest

from alarmd.clock import SystemClock
from alarmd.notifiers.http import HttpOptions, HttpScheme
from alarmd.notifiers.resolver import Lookup, Resolver
from alarmd.notifiers.scheme import Attempt, Reason
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.notifiers.targets import IPAddress
from tests.support.notifications import a_notification
from tests.support.receivers import hangs, make_certificate, receiver

#: How long what hangs is waited for; longer than any other delivery may take.
LONG_S = 1.5
NAME = "scaler.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"), name=NAME)


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def other_url() -> Iterator[str]:
    """Return the URL of a receiver that answers."""
    with receiver() as listening:
        yield listening.url()


def a_scheme(lookup: Lookup, certificate: Path) -> HttpScheme:
    return HttpScheme(
        options=HttpOptions(deadline_s=LONG_S, connect_timeout_s=LONG_S, ca_file=certificate),
        clock=SystemClock(),
        policy=TargetPolicy(allow_loopback=True),
        signer=Signer(),
        resolver=Resolver(lookup),
    )


def attempts_beside(hanging: str, other: str, scheme: HttpScheme, waits: Event) -> tuple[list[Attempt], bool, Attempt]:
    """Return attempts that were made while one hung, whether it still hung after them, and how it ended."""
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(scheme.deliver, a_notification(target=hanging))
        assert waits.wait(LONG_S)
        made = [scheme.deliver(a_notification(target=other)) for _ in range(5)]
        still_hung = not hung.done()
        return made, still_hung, hung.result(10 * LONG_S)


@pytest.mark.parametrize("is_tls", [False, True])
def test_others_go_out_while_a_receiver_does_not_answer(
    other_url: str, certificate: Path, context: ssl.SSLContext, is_tls: bool
) -> None:
    """A receiver that says nothing keeps no other delivery from working, over TLS or not."""
    asked = Event()

    def hang(connection: socket.socket, end: Event) -> None:
        asked.set()
        hangs(connection, end)

    with receiver(hang, tls=context if is_tls else None) as listening:
        scheme = a_scheme(lambda _: (ip_address("127.0.0.1"),), certificate)
        made, still_hung, ended = attempts_beside(listening.url(host=NAME), other_url, scheme, asked)
        scheme.close()

    assert ([Reason.OK] * 5, True) == ([one.reason for one in made], still_hung)
    assert ended.reason is Reason.TIMEOUT


def test_others_go_out_while_no_tls_comes_about(other_url: str, certificate: Path) -> None:
    """A receiver that takes connections and shakes no hands keeps no other delivery from working."""
    connecting = Event()

    def here(_: str) -> tuple[IPAddress, ...]:
        connecting.set()
        return (ip_address("127.0.0.1"),)

    with receiver(hangs) as listening:
        scheme = a_scheme(here, certificate)
        hanging = listening.url(host=NAME).replace("http://", "https://")
        made, still_hung, ended = attempts_beside(hanging, other_url, scheme, connecting)
        scheme.close()

    assert ([Reason.OK] * 5, True) == ([one.reason for one in made], still_hung)
    assert not ended.ok


def test_others_go_out_while_a_name_is_looked_up(other_url: str, certificate: Path) -> None:
    """A name server that is silent keeps no other delivery from working."""
    asked, end = Event(), Event()

    def silent(_: str) -> tuple[IPAddress, ...]:
        asked.set()
        end.wait(10 * LONG_S)
        raise OSError(-3, "Temporary failure in name resolution")

    scheme = a_scheme(silent, certificate)
    made, still_hung, ended = attempts_beside(f"http://{NAME}/hook", other_url, scheme, asked)
    end.set()
    scheme.close()

    assert ([Reason.OK] * 5, True) == ([one.reason for one in made], still_hung)
    assert ended.reason is Reason.TIMEOUT
