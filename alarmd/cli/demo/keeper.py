# SPDX-License-Identifier: Apache-2.0
"""The keeper: a process that keeps a libvirtd, and its machines, no longer than whoever started it.

It is the parent of libvirtd and, as Linux calls it, the subreaper of the machines. When its standard input ends, which
also happens when its own parent is killed, it ends them all and removes their folder. And it buries a machine that has
ended at once; libvirt waits for that, and not every container has an init process that is quick about it.

    python -m alarmd.cli.demo.keeper FOLDER COMMAND...
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_TERMINATE_TIMEOUT_S = 3.0


def machines_of(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and process id of each QEMU that runs in a private hypervisor's folder."""
    for file in (folder / "run").rglob("*.pid"):
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            program, *arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            # libvirtd has such files too, and a number may have passed on: only a QEMU that uses our folder is ours.
            if b"qemu-system" in program and any(str(folder).encode() in argument for argument in arguments):
                yield file.stem, pid


def keep(folder: Path, command: Sequence[str]) -> int:
    """Run a libvirtd until standard input ends; return its exit code when it ends before, and leaves no machines."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    with suppress(AttributeError, OSError):  # what only Linux has is a courtesy
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # the parent's own command
    (folder / "daemon.pid").write_text(str(daemon.pid))
    while True:
        ready, _, _ = select.select([sys.stdin, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _bury(daemon)
            if daemon.returncode is not None and not any(machines_of(folder)):
                return daemon.returncode
        if sys.stdin in ready and not os.read(sys.stdin.fileno(), 4096):
            break
    _end(folder, daemon)
    return 0


def _bury(daemon: subprocess.Popen[bytes]) -> None:
    """Take leave of every child that has ended."""
    daemon.poll()
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _end(folder: Path, daemon: subprocess.Popen[bytes]) -> None:
    _kill_machines(folder)
    daemon.terminate()
    try:
        daemon.wait(timeout=_TERMINATE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
    _kill_machines(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _kill_machines(folder: Path) -> None:
    for _, pid in machines_of(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), sys.argv[2:]))
