# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of its own in a directory, as safe as it comes: every commit is on the disk before it is answered."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT

from alarmd.clock import Clock
from benchmarks.process import Program, find_program

_REMEDY = "Debian and Ubuntu have it: `make setup NEEDS=servers`. Or measure with --database sqlite."
#: Who runs it when the benchmark runs as root, which PostgreSQL refuses.
_USER = "postgres"


@contextmanager
def postgres(directory: Path, *, clock: Clock) -> Iterator[str]:
    """Run a server for as long as the context lasts; give the URL of its database. The path must be short."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*"), key=lambda path: path.name.zfill(4), reverse=True)
    folders = [version / "bin" for version in versions]
    initdb, server, ready = (
        find_program(name, remedy=_REMEDY, folders=folders) for name in ("initdb", "postgres", "pg_isready")
    )
    user = _USER if os.geteuid() == 0 else None
    directory.mkdir()
    if user:
        shutil.chown(directory, user)
    data = directory / "data"
    layout = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", f"--pgdata={data}"]
    become = ["runuser", "-u", user, "--"] if user else []
    subprocess.run([*become, initdb, *layout], check=True, capture_output=True, cwd=directory)
    command: list[str | Path] = [
        server,
        "-D",
        data,
        "-c",
        "listen_addresses=",
        "-c",
        f"unix_socket_directories={directory}",
    ]
    asking: list[str | Path] = [ready, "--quiet", "--host", directory, "--username", "postgres"]
    # SIGINT ends it without waiting for whoever is still connected.
    with Program(command, output=directory / "postgres.log", clock=clock, user=user, stop_with=SIGINT) as program:
        program.wait_until(lambda: subprocess.run(asking, check=False).returncode == 0, what="PostgreSQL's start")
        yield f"postgresql+psycopg://postgres@/postgres?host={directory}"
