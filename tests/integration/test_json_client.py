# SPDX-License-Identifier: Apache-2.0
"""Asking for JSON over a socket, of servers that behave as they should not."""

import socket
import ssl
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from alarmd.clock import SystemClock
from alarmd.evaluators.asking.asking import NoAnswer
from alarmd.evaluators.asking.json_client import JsonClient, Reply
from tests.support.receivers import (
    Receiver,
    Script,
    answers,
    answers_and_closes,
    drips,
    hangs,
    make_certificate,
    receiver,
    resets,
)

TIMEOUT_S = 0.4


def a_client(server: Receiver, **how: Any) -> JsonClient:
    how = {"timeout_s": TIMEOUT_S, "connections": 2, **how}
    return JsonClient(server.url("/base"), name="It", clock=SystemClock(), **how)


def said(body: str, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


def test_a_question_and_its_reply() -> None:
    """Path and headers as they were given; connections are used again."""
    with receiver(answers(said('{"a": [1, null]}', "404 Not Found"))) as server:
        client = a_client(server, headers={"Authorization": "Bearer secret"})
        replies = [client.ask("GET", "/path?x=1", headers={"X-More": "yes"}) for _ in range(3)]
        client.close()

        assert [Reply(status=404, body={"a": [1, None]})] * 3 == replies
        first = server.received[0]
        assert (b"GET /base/path?x=1 HTTP/1.1", "Bearer secret", "yes") == (
            first.line,
            first.headers["authorization"],
            first.headers["x-more"],
        )
        assert 1 == server.connections


def test_a_form_and_a_password() -> None:
    """Forms are encoded, and a password is shown as HTTP has it."""
    with receiver(answers(said("1"))) as server:
        a_client(server, auth=("alarmd", "pw")).ask("POST", "/q", form={"query": "a{b='c'} + 1"})
        request = server.received[0]

        assert b"query=a%7Bb%3D%27c%27%7D+%2B+1" == request.body
        assert "Basic YWxhcm1kOnB3" == request.headers["authorization"]


@pytest.mark.parametrize("body", ["", "no", "{", "[" * 100_000])
def test_what_is_no_json_is_nothing(body: str) -> None:
    """The status still tells something."""
    with receiver(answers(said(body))) as server:
        assert Reply(status=200, body=None) == a_client(server, timeout_s=5).ask("GET", "/")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (hangs, "did not answer within 0.4 s"),
        (drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", forever=b"1"), "did not answer within 0.4 s"),
        (resets, "does not answer"),
        (answers_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[1"), "does not answer"),
        (answers(b"what?\r\n\r\n"), "does not answer"),
        (drips(b"HTTP/1.1 200 OK\r\n\r\n", forever=b" " * 4_000_000, every_s=0.001), "more than 16 MiB"),
    ],
    ids=["hangs", "drips", "resets", "ends early", "no HTTP", "too much"],
)
def test_an_error_is_no_answer_and_comes_in_time(script: Script, words: str) -> None:
    """Whatever the server does, the question ends."""
    with receiver(script) as server, pytest.raises(NoAnswer, match=f"^It .*{words}") as raised:
        a_client(server, timeout_s=5 if "MiB" in words else TIMEOUT_S).ask("GET", "/?secret=1")

    assert "secret" not in raised.value.message


def test_a_server_that_is_not_there() -> None:
    """The reason is the machine's own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        client = JsonClient(
            f"http://127.0.0.1:{probe.getsockname()[1]}", name="It", timeout_s=5, connections=1, clock=SystemClock()
        )
        with pytest.raises(NoAnswer, match=r"^It does not answer: Connection refused"):
            client.ask("GET", "/")


def test_nobody_is_sent_elsewhere() -> None:
    """A redirect is an answer like any other: tokens stay where they belong."""

    def script(connection: socket.socket, _: Event) -> None:
        connection.sendall(said("", "302 Found", "Location: http://127.0.0.1:9/"))

    with receiver(script) as server:
        assert 302 == a_client(server).ask("GET", "/").status
        assert 1 == len(server.received)


def test_surroundings_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither do proxies."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with receiver(answers(said("1"))) as server:
        assert 1 == a_client(server).ask("GET", "/").body


def test_certificates_count(tmp_path: Path) -> None:
    """Of authorities that the operator names, or the system's."""
    certificate = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with receiver(answers(said("1")), tls=tls) as server:
        url = server.url("", host="localhost")
        how: dict[str, Any] = {"name": "It", "timeout_s": 5, "connections": 1, "clock": SystemClock()}

        assert 1 == JsonClient(url, verify=str(certificate), **how).ask("GET", "/").body
        with pytest.raises(NoAnswer, match="no certificate that counts here"):
            JsonClient(url, **how).ask("GET", "/")
