# SPDX-License-Identifier: Apache-2.0
"""Receivers of webhooks on loopback that behave as they are told, down to the byte."""

import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Thread
from typing import BinaryIO, TypeAlias

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came in."""

    #: The request line's bytes.
    line: bytes
    #: In lower case.
    headers: dict[str, str]
    body: bytes
    #: Tells one connection from another.
    connection: int


#: Answers one request; told about the end of the test, so that it can hang until then. An OSError closes the
#: connection.
Script: TypeAlias = Callable[[socket.socket, Event], None]


def answers(raw: bytes) -> Script:
    """Return a script that sends these bytes."""

    def script(connection: socket.socket, _: Event) -> None:
        connection.sendall(raw)

    return script


def takes(connection: socket.socket, _: Event) -> None:
    """Take the notification."""
    connection.sendall(OK)


def hangs(connection: socket.socket, end: Event) -> None:
    """Say nothing until the test is over."""
    del connection
    end.wait(60.0)


def drips(raw: bytes, *, forever: bytes, every_s: float = 0.05) -> Script:
    """Return a script that sends some bytes at once and then a byte now and then, without end."""

    def script(connection: socket.socket, end: Event) -> None:
        connection.sendall(raw)
        while not end.wait(every_s):
            connection.sendall(forever)

    return script


def resets(connection: socket.socket, _: Event) -> None:
    """Break the connection instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError


def answers_and_closes(raw: bytes) -> Script:
    """Return a script that sends these bytes and closes the connection."""

    def script(connection: socket.socket, _: Event) -> None:
        connection.sendall(raw)
        raise ConnectionAbortedError

    return script


class Receiver:
    """Listens on a free port of the loopback, a thread a connection, and keeps what came."""

    def __init__(self, script: Script = takes, *, tls: ssl.SSLContext | None = None, greeting: bytes = b"") -> None:
        self.script = script
        self._greeting = greeting
        self._tls = tls
        self._end = Event()
        self._changed = Condition()
        self._received: list[Received] = []
        self._connections = 0
        self._closed: set[int] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    @property
    def received(self) -> list[Received]:
        """Every request so far, in the order of arrival."""
        with self._changed:
            return list(self._received)

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return self._connections

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1") -> str:
        """Return the URL of a path on this receiver."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def wait_for(self, count: int, *, timeout_s: float = 10.0) -> list[Received]:
        """Return the requests as soon as there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._received) >= count, timeout_s), len(self._received)
            return list(self._received)

    def wait_for_close(self, connection: int, *, timeout_s: float = 10.0) -> None:
        """Return as soon as this receiver has closed a connection."""
        with self._changed:
            assert self._changed.wait_for(lambda: connection in self._closed, timeout_s), connection

    def close(self) -> None:
        """Let go of hanging scripts and stop listening."""
        self._end.set()
        # Closing alone would not wake the thread that waits for the next connection.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections += 1
            Thread(target=self._serve, args=(connection, self._connections), daemon=True).start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        # The other side may leave at any point: that is what half of the tests are about.
        with suppress(OSError), plain:
            plain.sendall(self._greeting)
            connection = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            with connection, connection.makefile("rb") as stream:
                while line := stream.readline():
                    headers = dict(self._headers(stream))
                    body = stream.read(int(headers.get("content-length", "0")))
                    with self._changed:
                        self._received.append(
                            Received(line=line.rstrip(b"\r\n"), headers=headers, body=body, connection=number)
                        )
                        self._changed.notify_all()
                    self.script(connection, self._end)
        with self._changed:
            self._closed.add(number)
            self._changed.notify_all()

    @staticmethod
    def _headers(stream: BinaryIO) -> Iterator[tuple[str, str]]:
        while line := stream.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            yield name.lower(), value.strip()


@contextmanager
def receiver(script: Script = takes, *, tls: ssl.SSLContext | None = None, greeting: bytes = b"") -> Iterator[Receiver]:
    """Run a receiver for as long as the context lasts; its greeting goes out before anything is read."""
    listening = Receiver(script, tls=tls, greeting=greeting)
    try:
        yield listening
    finally:
        listening.close()


def make_certificate(folder: Path, *, name: str = "localhost") -> Path:
    """Write a self-signed certificate for a name, with its key, into one PEM file; return its path."""
    key, certificate, both = folder / f"{name}.key", folder / f"{name}.crt", folder / f"{name}.pem"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", *kind, *subject, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


_AUTHORITY = """
[ca]
default_ca = own
[own]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


def make_expired_certificate(folder: Path, *, name: str = "localhost") -> Path:
    """Write a self-signed certificate that was good for a day in 2020, with its key, into one PEM file."""
    key, request, certificate, both = (folder / f"{name}-old.{end}" for end in ("key", "csr", "crt", "pem"))
    (folder / "index.txt").write_text("")
    (folder / "serial").write_text("01\n")
    (folder / "ca.cnf").write_text(_AUTHORITY.format(folder=folder))
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    ask = ["openssl", "req", "-new", *kind, *subject, "-keyout", str(key), "-out", str(request)]
    dates = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]
    files = ["-config", str(folder / "ca.cnf"), "-keyfile", str(key), "-in", str(request), "-out", str(certificate)]
    for command in (ask, ["openssl", "ca", "-batch", "-notext", "-selfsign", *dates, *files]):
        subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both
