# SPDX-License-Identifier: Apache-2.0
"""The state directory: made, checked, and held by one daemon at a time."""

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from alarmd.clock import Clock
from alarmd.errors import AlarmdError

#: How often to look whether the processes of an earlier daemon have ended.
_LOOK_S = 0.1


class StateDirectoryError(AlarmdError):
    """The state directory cannot be used."""


class StateLock:
    """The right to use a state directory. The kernel takes it back when the last process that holds it has ended.

    The children of a daemon inherit it, so it is also held by those that outlive a killed parent and still drain.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path, *, clock: Clock, patience_s: float) -> "StateLock":
        """Make the directory if need be and take the lock.

        Waits as long as told for the children of a daemon that was killed, and for nobody else. Raises
        `StateDirectoryError`.
        """
        path = directory / "alarmd.lock"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateDirectoryError(
                f"The state directory {directory} cannot be written to: {error.strerror}. "
                "Choose another with --state-dir or state_dir, or change its owner.",
                path=str(directory),
            ) from error
        deadline_s = clock.monotonic_s() + patience_s
        while not _try(descriptor):
            owner = _owner(descriptor)
            if _is_alive(owner) or clock.monotonic_s() > deadline_s:
                os.close(descriptor)
                raise StateDirectoryError(
                    f"The state directory {directory} is in use by another alarmd (process {owner or 'unknown'}). "
                    "Stop it first, or choose another directory with --state-dir.",
                    path=str(directory),
                    pid=owner,
                )
            threading.Event().wait(_LOOK_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let go of the directory."""
        os.close(self._descriptor)


def instance_of(directory: Path) -> str:
    """Return the lasting name of whatever daemon uses this directory, unique in the world; drawn on first use.

    Of several processes that ask first, all get the same. Raises `OSError`.
    """
    path = directory / "instance"
    if not path.exists():
        name = uuid4().hex
        fresh = path.with_suffix(f".{name}")
        fresh.write_text(name, encoding="ascii")
        with suppress(FileExistsError):  # somebody else was quicker, and then that one's counts
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text(encoding="ascii")


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _is_alive(pid: int | None) -> bool:
    if pid is None:
        return False
    with suppress(ProcessLookupError):
        try:
            os.kill(pid, 0)
        except PermissionError:
            return True
        return True
    return False
