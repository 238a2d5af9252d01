# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, and files that cannot be written: those of SQLite and of the sample log."""

import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.faults.case import Case, Outcome
from tests.faults.outage import outages
from tests.faults.scene import SQLITE, Scene, Stage

_SIZE = "48m"


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small file system."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        # Processes that were just killed may still hold files on it.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def _filled(stage: Stage, scene: Scene) -> Iterator[None]:
    del stage
    filler = scene.alarmd.state_dir.parent / "filler"
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
        databases=(SQLITE,),
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
