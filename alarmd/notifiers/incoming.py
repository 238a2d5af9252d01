# SPDX-License-Identifier: Apache-2.0
"""The bytes of one answer as they come in: without what is no answer yet, and with an eye on what comes behind it.

The standard library passes over `100 Continue` only, takes every other interim answer (RFC 9110, 15.2) for the final
one, and leaves unsaid whether more was there than the answer. Both would shift the answers of a connection by one:
somebody else's request would read what was meant for this one.
"""

from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Final

from alarmd.notifiers.sockets import TimedSocket, TimedTlsSocket

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: How many interim answers are passed over, and how much of them: receivers that take their time send one now and then.
_MAX_INTERIM: Final = 100
_MAX_INTERIM_BYTES: Final = 65_536
#: As the standard library; what is longer it refuses.
_MAX_LINE: Final = 65_536
_SWITCHING: Final = 101


def answer_on(sock: TimedSocket | TimedTlsSocket, method: str | None) -> tuple[HTTPResponse, "Incoming"]:
    """Return the final answer to a request, its head read, and what it is read from.

    Raises OSError and `http.client.HTTPException` for what is none, a switch of protocols among it.
    """
    incoming = Incoming(sock)
    answer = HTTPResponse(incoming, method=method)  # type: ignore[arg-type]  # of a socket it asks for `makefile` only
    try:
        incoming.pass_over_interim()
        answer.begin()
    except BaseException:
        answer.close()
        raise
    return answer, incoming


class Incoming(BufferedReader):
    """What a connection brings from now on, until it is closed, which leaves the connection open."""

    def __init__(self, sock: TimedSocket | TimedTlsSocket) -> None:
        self._source = _Source(sock)
        #: The first line that is no interim answer's.
        self._held = b""
        #: Once it is closed: whether there was more than has been read.
        self.has_more = False
        super().__init__(self._source)

    def makefile(self, _mode: str) -> "Incoming":
        """Return itself, which is what an answer asks a connection for."""
        return self

    def readline(self, size: int | None = -1, /) -> bytes:
        if self._held:
            line, self._held = self._held, b""
            return line
        return super().readline(size)

    def pass_over_interim(self) -> None:
        """Read up to the final answer, whose first line is the next to be read.

        Raises OSError for interim answers without an end, and when the other side would rather speak something else.
        """
        left = _MAX_INTERIM_BYTES
        for _ in range(_MAX_INTERIM + 1):
            line = self.readline(_MAX_LINE + 1)
            status = _status_of(line)
            if status == _SWITCHING:
                raise OSError("the receiver switches to a protocol that nobody asked for")
            if not 100 <= status < 200:
                self._held = line
                return
            left -= len(line)
            while left > 0 and line.strip(b"\r\n"):
                line = self.readline(left)
                left -= len(line)
            if left <= 0:
                break
        raise OSError("the receiver sends interim answers without an end")

    def close(self) -> None:
        if not self.closed:
            self._source.is_cut = True
            self.has_more = bool(self.peek())
        super().close()


class _Source(RawIOBase):
    """A connection, to be read from until it is cut."""

    def __init__(self, sock: TimedSocket | TimedTlsSocket) -> None:
        super().__init__()
        self._sock = sock
        self.is_cut = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        return 0 if self.is_cut else self._sock.recv_into(buffer)


def _status_of(line: bytes) -> int:
    """Return the status of a status line as the standard library reads it; 0 for what it complains about."""
    words = line.decode("latin-1").split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/"):
        return 0
    try:
        return int(words[1])
    except ValueError:
        return 0
