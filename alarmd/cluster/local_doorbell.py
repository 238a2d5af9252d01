# SPDX-License-Identifier: Apache-2.0
"""The doorbell of one host: every listener is a unix datagram socket in a directory, and a ring is one byte to each.

The name of a socket tells the bells it hears: ``alarms+samples.1f3a….sock``. Nobody has to be told who listens, and
a listener that died is noticed, and cleaned up, by the next one who rings.
"""

import os
import secrets
import select
import socket
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

import structlog

from alarmd.cluster.doorbell import Bell
from alarmd.errors import SettingsError

_log: Final = structlog.get_logger()

#: The longest path that a unix socket may have on every system (Linux takes 107 bytes, others 103).
_MAX_PATH_BYTES: Final = 103
#: More than the longest name of a socket in the directory.
_NAME_BYTES: Final = len("+".join(Bell)) + 32


class LocalDoorbell:
    """Rings among the processes of one host that share a directory."""

    def __init__(self, directory: Path) -> None:
        """Use the directory, making it where there is none."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._handle: int | None = None
        #: The directory as sockets are addressed by.
        self._short = directory
        if len(os.fsencode(directory)) + 1 + _NAME_BYTES > _MAX_PATH_BYTES:
            self._handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            self._short = Path(f"/proc/self/fd/{self._handle}")
            if not self._short.exists():
                os.close(self._handle)
                raise SettingsError(
                    f"{directory} is too long a path for unix sockets on this system, which take "
                    f"{_MAX_PATH_BYTES} bytes. Give alarmd a state directory with a shorter path.",
                )
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)

    def ring(self, bell: Bell) -> None:
        try:
            names = [path.name for path in self._directory.iterdir()]
        except OSError as error:
            _log.warning("ring_failed", bell=bell, reason=str(error))
            return
        for name in names:
            bells, _, rest = name.partition(".")
            if rest.endswith(".sock") and bell in bells.split("+"):
                self._knock(name)

    def listen(self, *bells: Bell) -> "LocalListener":
        name = f"{'+'.join(sorted(bells))}.{secrets.token_hex(6)}.sock"
        return LocalListener(self._short / name, self._directory / name)

    def close(self) -> None:
        self._sender.close()
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)

    def _knock(self, name: str) -> None:
        try:
            self._sender.sendto(b"!", str(self._short / name))
        except ConnectionRefusedError:
            # Nobody holds this socket any more: its process died without closing it.
            (self._directory / name).unlink(missing_ok=True)
            _log.info("dead_listener_removed", listener=name)
        except (BlockingIOError, FileNotFoundError):
            pass  # it has rings enough waiting, or it has just been closed
        except OSError as error:
            _log.warning("ring_failed", listener=name, reason=str(error))


class LocalListener:
    """One socket that hears its bells."""

    def __init__(self, address: Path, path: Path) -> None:
        """Bind the socket to an address that leads to the path."""
        self._path = path
        self._closed = False
        self._waiting = Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(str(address))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        #: What `close` pulls to get a waiting thread out of its wait.
        self._cord, self._pull = socket.socketpair()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._cord, select.POLLIN)

    def wait(self, timeout_s: float) -> bool:
        with self._waiting:
            if self._closed:
                return False
            self._poll.poll(max(timeout_s, 0.0) * 1000)
            return self._take_rings() and not self._closed

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._path.unlink(missing_ok=True)
        self._pull.close()
        # The waiting thread must be out before its descriptors may be closed.
        with self._waiting:
            self._socket.close()
            self._cord.close()

    def _take_rings(self) -> bool:
        """Take all rings that have come and return whether there were any."""
        rung = False
        with suppress(BlockingIOError):
            while self._socket.recv(16):
                rung = True
        return rung
