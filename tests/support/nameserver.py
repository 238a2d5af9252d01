# SPDX-License-Identifier: Apache-2.0
"""A name server on an address of the loopback that answers, refuses or keeps silent as it is told.

It speaks as much DNS as the system's resolver asks of it: questions for addresses, over UDP.
"""

import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event, Lock, Thread

#: Where nobody else listens but another one of these.
_ADDRESSES = [f"127.53.53.{number}" for number in range(1, 200)]

#: How soon it notices that it is to end.
_LOOK_S = 0.1
_TYPE_A, _CLASS_IN = 1, 1
_ANSWERED, _FAILED, _NO_SUCH_NAME = 0x8180, 0x8182, 0x8183


class NameServer:
    """Knows some names under `test`; a name that nobody has set does not exist."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        #: Where it listens, on the port that resolvers know.
        self.address = _bind(self._socket)
        self._socket.settimeout(_LOOK_S)
        self._end = Event()
        self._lock = Lock()
        self._names: dict[str, Callable[[], Sequence[str] | None]] = {}
        #: "" to answer; "fails", "unknown" or "hangs" for every name.
        self.trouble = ""
        #: How many questions met trouble.
        self.troubled = 0
        self._thread = Thread(target=self._serve, name="nameserver", daemon=True)
        self._thread.start()

    def set(self, name: str, *addresses: str) -> None:
        """Give a name its addresses."""
        self.ask(name, lambda: addresses)

    def ask(self, name: str, answer: Callable[[], Sequence[str]]) -> None:
        """Have a name's addresses asked for anew with every question."""
        with self._lock:
            self._names[name] = answer

    def close(self) -> None:
        """Stop answering."""
        self._end.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._end.is_set():
            with suppress(TimeoutError):
                question, peer = self._socket.recvfrom(512)
                answer = self._answer(question)
                if answer is not None:
                    self._socket.sendto(answer, peer)

    def _answer(self, packet: bytes) -> bytes | None:
        name, end = _name_of(packet)
        question = packet[12 : end + 4]
        (kind,) = struct.unpack_from("!H", packet, end)
        if self.trouble:
            self.troubled += 1
            if self.trouble == "hangs":
                return None
            return _packet(packet, _FAILED if self.trouble == "fails" else _NO_SUCH_NAME, question, [])
        with self._lock:
            answer = self._names.get(name)
        if answer is None:
            return _packet(packet, _NO_SUCH_NAME, question, [])
        # Asked twice, for IPv4 and IPv6, by everybody who wants to connect; only the former counts.
        addresses = (answer() or ()) if kind == _TYPE_A else ()
        return _packet(packet, _ANSWERED, question, addresses)


def _packet(asked: bytes, flags: int, question: bytes, addresses: Sequence[str]) -> bytes:
    head = asked[:2] + struct.pack("!5H", flags, 1, len(addresses), 0, 0)
    records = [
        # A pointer to the name in the question; no time to live, so that nobody keeps it.
        struct.pack("!HHHIH", 0xC00C, _TYPE_A, _CLASS_IN, 0, 4) + IPv4Address(address).packed
        for address in addresses
    ]
    return head + question + b"".join(records)


def _name_of(packet: bytes) -> tuple[str, int]:
    """Return the name that is asked for, in lower case, and where it ends."""
    labels, at = [], 12
    while length := packet[at]:
        labels.append(packet[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def _bind(server: socket.socket) -> str:
    for address in _ADDRESSES:
        with suppress(OSError):
            server.bind((address, 53))
            return address
    server.close()
    raise OSError("port 53 is taken, or only root may have it")


def asked_by(folder: Path, server: NameServer) -> list[str]:
    """Return a command that gives the one after it a world of its own, in which this is the only name server."""
    resolv, switch = folder / "resolv.conf", folder / "nsswitch.conf"
    resolv.write_text(f"nameserver {server.address}\noptions timeout:1 attempts:1\n", encoding="ascii")
    switch.write_text("passwd: files\ngroup: files\nhosts: files dns\n", encoding="ascii")
    mount = " && ".join(f'mount --bind "{own}" "$(readlink -f /etc/{own.name})"' for own in (resolv, switch))
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mount} && exec "$@"', "sh"]


@contextmanager
def name_server() -> Iterator[NameServer]:
    """Run a name server for as long as the context lasts; needs root, for the port."""
    server = NameServer()
    try:
        yield server
    finally:
        server.close()
