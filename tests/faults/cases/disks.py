# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, and files that cannot be written: those of the databases and of the sample log."""

import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from tests.faults.case import Case, Outcome
from tests.faults.outage import outages
from tests.faults.scene import POSTGRESQL, SQLITE, Scene, Stage
from tests.support.daemon import wait_until
from tests.support.servers import PostgresServer

_SIZE, _SERVER_SIZE = "48m", "192m"


@contextmanager
def _small_disk(folder: Path, size: str = _SIZE) -> Iterator[Path]:
    """Mount a small file system."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        # Processes that were just killed may still hold files on it.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def _filled(stage: Stage, scene: Scene) -> Iterator[None]:
    del stage
    with _full_disk(scene.alarmd.state_dir.parent):
        yield


@contextmanager
def _full_disk(place: Path) -> Iterator[None]:
    """Take up every byte that is left."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2
    try:
        yield
    finally:
        filler.unlink()


def _full(stage: Stage) -> Outcome:
    lasts_s, times = (5.0, 1) if stage.short else (30.0, 5)
    with _small_disk(stage.folder) as place:
        return outages(stage, _filled, what="disk full", lasts_s=lasts_s, times=times, state_dir=place / "state")


def _full_server(stage: Stage) -> Outcome:
    """Fill the disk of a PostgreSQL of the case's own, until it cannot even write what it has to do."""
    lasts_s, times = (5.0, 1) if stage.short else (30.0, 5)
    # Its socket's name must not be long.
    with TemporaryDirectory(prefix="alarmd-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with _small_disk(Path(folder), _SERVER_SIZE) as place:
            server = PostgresServer(place)
            server.start()
            try:
                with server.database() as url:
                    outcome = outages(
                        stage,
                        partial(_filled_server, server),
                        what="PostgreSQL's disk full",
                        lasts_s=lasts_s,
                        times=times,
                        store=({"ALARMD_STORE__URL": url}, ["--migrate"]),
                    )
                said = (place / "server.out").read_text(encoding="utf-8", errors="replace")
            finally:
                server.crash()
    if "No space left on device" not in said:
        outcome.findings.complaints.append("PostgreSQL never missed any space: the case has shown nothing")
    return outcome


@contextmanager
def _filled_server(server: PostgresServer, stage: Stage, scene: Scene) -> Iterator[None]:
    del stage, scene
    with _full_disk(server.directory):
        yield
    # One that could not write its log has ended; whoever has made room for it starts it again.
    try:
        wait_until(lambda: _answers(server), deadline_s=2.0)
    except AssertionError:
        server.restart()


def _answers(server: PostgresServer) -> bool:
    try:
        psycopg.connect(host=str(server.directory), user="postgres", dbname="postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def _immutable(scene: Scene, names: Sequence[str]) -> Iterator[None]:
    files = [str(path) for name in names for path in scene.alarmd.state_dir.glob(f"{name}*")]
    assert files, f"there is no {names} in {scene.alarmd.state_dir}"
    subprocess.run(["chattr", "+i", *files], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True, capture_output=True)


@contextmanager
def _read_only(stage: Stage, scene: Scene) -> Iterator[None]:
    del stage
    with _immutable(scene, ["alarmd.db"]):
        yield


@contextmanager
def _read_only_log(stage: Stage, scene: Scene) -> Iterator[None]:
    del stage
    with _immutable(scene, ["samples"]):
        yield


def _reads(stage: Stage) -> Outcome:
    lasts_s, times = (4.0, 1) if stage.short else (30.0, 2)
    return outages(stage, _read_only, what="database read-only", lasts_s=lasts_s, times=times)


def _reads_log(stage: Stage) -> Outcome:
    lasts_s, times = (4.0, 1) if stage.short else (30.0, 2)
    return outages(stage, _read_only_log, what="log read-only", lasts_s=lasts_s, times=times)


@contextmanager
def _locked(stage: Stage, scene: Scene) -> Iterator[None]:
    del stage
    connection = sqlite3.connect(scene.alarmd.state_dir / "alarmd.db", timeout=30, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


def _backup(stage: Stage) -> Outcome:
    lasts_s, times = (4.0, 1) if stage.short else (30.0, 2)
    return outages(stage, _locked, what="database locked by somebody else", lasts_s=lasts_s, times=times)


CASES = (
    Case(
        name="disk-full",
        title="the disk of database and sample log is full",
        play=_full,
        lasts_s=190.0,
        databases=(SQLITE,),
        programs=("mount",),
        as_root=True,
    ),
    Case(
        name="postgres-disk-full",
        title="PostgreSQL's disk is full",
        play=_full_server,
        lasts_s=180.0,
        databases=(POSTGRESQL,),
        in_short=(),
        programs=("mount",),
        as_root=True,
    ),
    Case(
        name="read-only",
        title="the database cannot be written",
        play=_reads,
        databases=(SQLITE,),
        in_short=(),
        programs=("chattr",),
        as_root=True,
    ),
    Case(
        name="read-only-log",
        title="the sample log cannot be written",
        play=_reads_log,
        in_short=(),
        programs=("chattr",),
        as_root=True,
    ),
    Case(
        name="locked", title="somebody else holds the database locked", play=_backup, databases=(SQLITE,), in_short=()
    ),
)
