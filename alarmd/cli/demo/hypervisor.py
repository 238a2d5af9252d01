# SPDX-License-Identifier: Apache-2.0
"""A private hypervisor: a libvirtd of its own, with everything it keeps in one folder that goes with it.

As root, libvirt's folders are fixed when it is built. So the daemon runs in a mount namespace of its own, where
private folders lie over the machine's: it sees no machine of anybody else and nobody's settings are touched. Its QEMU
processes run as root without a security driver, because libvirt otherwise probes QEMU anew at every start wherever
root may open ``/dev/kvm`` and its own user may not. As an ordinary user it is a session daemon with private XDG
folders.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

import structlog

from alarmd.cli.demo.keeper import machines_of
from alarmd.clock import Clock, SystemClock
from alarmd.errors import Unavailable

_log = structlog.get_logger()

_INSTALL = (
    "Install libvirt and QEMU (Debian, Ubuntu: apt-get install libvirt-daemon libvirt-daemon-system "
    "libvirt-daemon-driver-qemu qemu-system-x86 libvirt-dev pkg-config gcc) and then: pip install 'alarmd[libvirt]'"
)

#: Names of sockets end at 107 bytes, and libvirt's need the rest.
_LONGEST_PARENT = 40

_EMULATOR = "/usr/bin/qemu-system-x86_64"

#: libvirt's folders of a privileged daemon, and ours that lie over them.
_OVERLAID = {
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "run": "/run/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
}

_QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
remember_owner = 0
stdio_handler = "file"
"""


class HypervisorUnavailable(Unavailable):
    """Virtual machines cannot be had on this machine."""


class Hypervisor:
    """A private libvirtd; a context manager that leaves no process, socket or file behind, even when it is killed.

    Used by one thread. `uri` is for every process of this machine that may open the socket: root's alone for root,
    the user's for a user.
    """

    def __init__(
        self, *, clock: Clock | None = None, accelerator: str | None = None, start_timeout_s: float = 30.0
    ) -> None:
        """Take what is needed; starts nothing.

        Args:
            clock: Tells the time.
            accelerator: libvirt's domain type, ``kvm`` or ``qemu`` (software emulation); by default what can be had.
            start_timeout_s: How long libvirtd may take to start.
        """
        self._clock = clock or SystemClock()
        self._accelerator = accelerator
        self._start_timeout_s = start_timeout_s
        self._pause = Event()
        self._privileged = os.geteuid() == 0
        self._keepers: list[subprocess.Popen[bytes]] = []
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        """Where everything of this hypervisor lies. Short, since sockets have short names."""
        if self._folder is None:
            raise HypervisorUnavailable("The private hypervisor has not been started: call start() first.")
        return self._folder

    @property
    def uri(self) -> str:
        """What libvirt's clients connect to."""
        driver = "system" if self._privileged else "session"
        return f"qemu+unix:///{driver}?socket={self._socket}"

    @property
    def accelerator(self) -> str:
        """The domain type for libvirt: ``kvm`` where this user may have it, else ``qemu``: software emulation."""
        if self._accelerator is not None:
            return self._accelerator
        return "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and _kvm_runs_boot_sectors() else "qemu"

    @property
    def privileged(self) -> bool:
        """Whether it runs as root, and so can give machines network interfaces that the host sees."""
        return self._privileged

    @property
    def _socket(self) -> Path:
        return self.folder / ("sock" if self._privileged else "run/libvirt") / "libvirt-sock"

    def start(self) -> None:
        """Start the daemon and wait until it answers.

        Raises `HypervisorUnavailable`, with the remedy, when libvirt or QEMU are missing or will not start; nothing
        is left behind then.
        """
        _require("libvirtd", _EMULATOR, "unshare" if self._privileged else "env")
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="alarmd-hv-", dir=_parent_folder()))
            self._lay_out()
        try:
            self.start_daemon()
        except BaseException:
            self.close()
            raise
        _log.info("hypervisor_started", uri=self.uri, accelerator=self.accelerator)

    def start_daemon(self) -> None:
        """Start libvirtd over the folders that are there, e.g. after `kill_daemon`; it finds the running machines."""
        (self.folder / "daemon.pid").unlink(missing_ok=True)
        with (self.folder / "libvirtd.log").open("ab") as log:
            keeper = subprocess.Popen(  # noqa: S603  # the command is ours throughout
                [sys.executable, "-m", "alarmd.cli.demo.keeper", str(self.folder), *self._command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._keepers.append(keeper)
        self._await_answer(keeper)

    def kill_daemon(self) -> None:
        """Kill libvirtd as a crash would; the machines go on running."""
        pid = self.daemon_pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            while self.daemon_pid is not None:
                self._pause.wait(0.01)

    @property
    def daemon_pid(self) -> int | None:
        """The process id of libvirtd, None when it does not run."""
        with suppress(OSError, ValueError):
            pid = int((self.folder / "daemon.pid").read_text())
            os.kill(pid, 0)  # fails when its keeper has buried it
            return pid
        return None

    def pid_of(self, name: str) -> int:
        """Return the process id of a running machine's QEMU; raises `HypervisorUnavailable` when there is none."""
        for machine, pid in machines_of(self.folder):
            if machine == name:
                return pid
        raise HypervisorUnavailable(f"No running machine is called {name!r}.")

    def close(self) -> None:
        """Stop the machines, stopped ones too, then the daemon, and remove the folder."""
        if self._folder is None:
            return
        for keeper in self._keepers:
            if keeper.stdin is not None:
                keeper.stdin.close()
        for keeper in self._keepers:
            keeper.wait()
        self._keepers.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lay_out(self) -> None:
        for name in (*_OVERLAID, "sock"):
            (self.folder / name).mkdir(mode=0o700)
        conf = self.folder / "etc" if self._privileged else self.folder / "etc" / "libvirt"
        conf.mkdir(exist_ok=True)
        qemu_conf = _QEMU_CONF if self._privileged else 'security_driver = "none"\nstdio_handler = "file"\n'
        (conf / "qemu.conf").write_text(qemu_conf)
        socket_conf = f'unix_sock_dir = "{self.folder}/sock"\n' if self._privileged else ""
        (conf / "libvirtd.conf").write_text(f'{socket_conf}auth_unix_ro = "none"\nauth_unix_rw = "none"\n')

    def _command(self) -> list[str]:
        folder = self.folder
        pid_file = ["--pid-file", str(folder / "libvirtd.pid")]
        if not self._privileged:
            return [
                "env",
                f"XDG_CONFIG_HOME={folder}/etc",
                f"XDG_CACHE_HOME={folder}/cache",
                f"XDG_DATA_HOME={folder}/lib",
                f"XDG_RUNTIME_DIR={folder}/run",
                *(_libvirtd(), "--config", str(folder / "etc/libvirt/libvirtd.conf"), *pid_file),
            ]
        overlay = "; ".join(
            f"mkdir -p {place}; mount --bind {folder}/{name} {place}" for name, place in _OVERLAID.items()
        )
        # libvirt looks at every emulator it finds, which takes seconds each; it is to find the one that is used.
        others = f'for q in /usr/bin/qemu-system-*; do [ "$q" = {_EMULATOR} ] || mount --bind /dev/null "$q"; done'
        run = 'exec "$@" --config /etc/libvirt/libvirtd.conf'
        unshare = ["unshare", "--mount", "--propagation", "private"]
        return [*unshare, "sh", "-ec", f"{overlay}; {others}; {run}", "sh", _libvirtd(), *pid_file]

    def _await_answer(self, keeper: subprocess.Popen[bytes]) -> None:
        """Wait for the daemon, and for its first look at QEMU, which takes seconds and would delay who comes first."""
        libvirt = import_libvirt()
        deadline_s = self._clock.monotonic_s() + self._start_timeout_s
        while True:
            with suppress(libvirt.libvirtError):
                connection = libvirt.open(self.uri)
                connection.getCapabilities()
                connection.close()
                return
            with suppress(subprocess.TimeoutExpired):
                code = keeper.wait(timeout=0.05)
                raise HypervisorUnavailable(
                    f"A private libvirtd ended at once with code {code}: {self._last_words()}. "
                    "Root needs CAP_SYS_ADMIN for it, to mount over libvirt's own folders; an ordinary user does not."
                )
            if self._clock.monotonic_s() > deadline_s:
                raise HypervisorUnavailable(
                    f"A private libvirtd did not answer on {self._socket} within {self._start_timeout_s:g} s: "
                    f"{self._last_words()}"
                )

    def _last_words(self) -> str:
        lines = (self.folder / "libvirtd.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _kvm_runs_boot_sectors() -> bool:
    """Return whether KVM has the processor run 16-bit code here, rather than emulate it.

    Where it emulates (old processors, some nested clouds), QEMU's own emulation boots our machines ten times faster.
    """
    with suppress(OSError):
        return Path("/sys/module/kvm_intel/parameters/unrestricted_guest").read_text().strip() == "Y"
    return Path("/sys/module/kvm_amd").exists()


def import_libvirt() -> Any:
    """Return libvirt's module, its habit of printing every error to standard error turned off.

    Raises `HypervisorUnavailable` with the remedy when it is not installed.
    """
    try:
        import libvirt  # noqa: PLC0415  # an extra; only who asks for machines needs it
    except ImportError as error:
        raise HypervisorUnavailable(f"libvirt's Python library is missing ({error}). {_INSTALL}") from error
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    return libvirt


def _libvirtd() -> str:
    return shutil.which("libvirtd", path=_PATH) or "libvirtd"


def _parent_folder() -> str:
    """Return where temporary folders go, unless the names of sockets in there would be too long for the kernel."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _LONGEST_PARENT else "/tmp"  # noqa: S108  # the folder itself is made by mkdtemp


def _require(*programs: str) -> None:
    import_libvirt()
    missing = [program for program in programs if shutil.which(program, path=_PATH) is None]
    if missing:
        raise HypervisorUnavailable(f"Not found: {', '.join(missing)}. {_INSTALL}")


#: libvirtd lives in a folder that an ordinary user's search path may lack.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
