# SPDX-License-Identifier: Apache-2.0
"""Real servers for tests: PostgreSQL and Redis, started in a second, gone with the process that started them.

They keep their data in a temporary directory and write nothing through to the disk, so they are quick and forget all.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import redis
from psycopg import sql

from tests.support.daemon import wait_until

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 15.0

#: Who runs PostgreSQL when the tests run as root, which it refuses to run as.
POSTGRES_USER: Final = "postgres"


class ServerMissing(Exception):
    """A program that the tests need is not installed."""


def find_program(name: str, *, folders: Sequence[Path] = ()) -> Path:
    """Return where a program stands, looking into the folders first; raises `ServerMissing` with the remedy."""
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    found = shutil.which(name)
    if found is None:
        raise ServerMissing(f"{name} is not installed. Install what the tests need with: make setup")
    return Path(found)


class _Server:
    """One child process and its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    @property
    def _output(self) -> Path:
        return self.directory / "server.out"

    def _spawn(self, command: Sequence[str | Path], *, user: str | None) -> None:
        with self._output.open("ab") as output:
            # The server must not outlive a test run that was killed. Only `setpriv` can say so without a
            # `preexec_fn`; where there is none (macOS), a killed run leaves its servers behind.
            leash = ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []
            group = {"user": user, "group": user, "extra_groups": []} if user else {}
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                [*leash, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                start_new_session=True,  # a Ctrl-C in the terminal is for the tests, which end the server in order
                **group,
            )

    def _wait_until(self, answers: Callable[[], bool]) -> None:
        def look() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, "it has ended"
            return answers()

        try:
            wait_until(look, deadline_s=START_TIMEOUT_S, what="its answer", every_s=0.01)
        except AssertionError as error:
            said = self._output.read_text(errors="replace")[-4000:]
            raise RuntimeError(f"the server did not start: {error}\n{said}") from error

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class PostgresServer(_Server):
    """A PostgreSQL cluster of its own, reached by a unix socket in its directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        versions = sorted(Path("/usr/lib/postgresql").glob("*"), key=lambda path: path.name.zfill(4), reverse=True)
        folders = [version / "bin" for version in versions]
        self._initdb = find_program("initdb", folders=folders)
        self._postgres = find_program("postgres", folders=folders)
        self._user = POSTGRES_USER if os.geteuid() == 0 else None
        self._data = directory / "data"

    def start(self) -> None:
        """Start the server, laying out its files the first time; returns when it answers."""
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        if not self._data.exists():
            layout = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
            command = [str(self._initdb), *layout, "--pgdata", str(self._data)]
            become = ["runuser", "-u", self._user, "--"] if self._user else []
            subprocess.run([*become, *command], check=True, capture_output=True, cwd=self.directory)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "100",
            "shared_buffers": "32MB",
        }
        options = [argument for key, value in settings.items() for argument in ("-c", f"{key}={value}")]
        self._spawn([self._postgres, "-D", self._data, *options], user=self._user)
        self._wait_until(self._answers)

    def stop(self) -> None:
        """Shut the server down in order, cutting off whoever is connected."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End the server at once, as a power cut would; the next start recovers."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop and start the server; every connection breaks."""
        self.stop()
        self.start()

    def url(self, database: str) -> str:
        """Return the URL of a database for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.directory}"

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """Create a database from a template, give its URL, and drop it with everybody who is still connected."""
        name = f"alarmd_{secrets.token_hex(6)}"
        with self._connect() as connection:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield self.url(name)
        finally:
            with self._connect() as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.directory), user="postgres", dbname="postgres", autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True


class RedisServer(_Server):
    """A Redis server of its own on a free port of the loopback, without persistence."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._redis = find_program("redis-server")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server, empty; returns when it answers. It keeps its port over restarts."""
        folder = str(self.directory)
        settings = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "appendonly": "no", "dir": folder}
        options = [argument for key, value in settings.items() for argument in (f"--{key}", value)]
        self._spawn([self._redis, *options], user=None)
        self._wait_until(self._answers)

    def stop(self) -> None:
        """End the server; what it held is gone."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start the server; every connection breaks and everything in it is gone."""
        self.stop()
        self.start()

    def flush(self) -> None:
        """Forget everything, in every database."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def key_count(self) -> int:
        """Return how many keys its first database holds."""
        with redis.Redis.from_url(self.url) as client:
            return int(client.dbsize())

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server for as long as the context lasts."""
    with _directory() as directory:
        server = PostgresServer(directory)
        server.start()
        try:
            yield server
        finally:
            server.crash()


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a Redis server for as long as the context lasts."""
    with _directory() as directory:
        server = RedisServer(directory)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _directory() -> Iterator[Path]:
    """Make a directory with a short path (it holds a unix socket) that the user postgres may enter."""
    with tempfile.TemporaryDirectory(prefix="alarmd-", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)
