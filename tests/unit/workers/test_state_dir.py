# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alarmd.clock import SystemClock
from alarmd.workers.state_dir import StateDirectoryError, StateLock, instance_of
from tests.support.threads import run_together


def take(directory: Path, *, patience_s: float = 0.0) -> StateLock:
    return StateLock.take(directory, clock=SystemClock(), patience_s=patience_s)


def test_directory_is_made(tmp_path: Path) -> None:
    """A state directory that is not there is made, for its owner alone."""
    directory = tmp_path / "a" / "b"
    take(directory).release()

    assert 0o700 == directory.stat().st_mode & 0o777


def test_second_daemon_is_told_who_holds_it(tmp_path: Path) -> None:
    """While one daemon holds the directory, another is refused at once, however patient it is."""
    lock = take(tmp_path)
    with pytest.raises(StateDirectoryError, match=rf"in use by another alarmd \(process {os.getpid()}\)"):
        take(tmp_path, patience_s=60.0)
    lock.release()
    take(tmp_path).release()


def test_orphans_are_waited_for(tmp_path: Path) -> None:
    """When the daemon is dead and only its children still hold the directory, their end is waited for."""
    script = (
        "import os, sys, time; from pathlib import Path; from alarmd.clock import SystemClock;"
        "from alarmd.workers.state_dir import StateLock;"
        "StateLock.take(Path(sys.argv[1]), clock=SystemClock(), patience_s=0);"
        "parent = os.getpid();"
        "os.fork() and os._exit(0);"
        "sys.stdin.read()"  # the child lives until the test closes this pipe
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE) as daemon:
        daemon.wait(10)
        with pytest.raises(StateDirectoryError, match="in use"):
            take(tmp_path, patience_s=0.0)
        assert daemon.stdin is not None
        daemon.stdin.close()
        take(tmp_path, patience_s=10.0).release()


def test_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """A directory that cannot be made is refused with the remedy."""
    (tmp_path / "file").touch()

    with pytest.raises(StateDirectoryError, match="Choose another with --state-dir"):
        take(tmp_path / "file" / "state")


def test_instance_lasts(tmp_path: Path) -> None:
    """The name of the directory's daemon is drawn once and stays."""
    (tmp_path / "other").mkdir()

    assert instance_of(tmp_path) == instance_of(tmp_path)
    assert instance_of(tmp_path) != instance_of(tmp_path / "other")


def test_instance_is_the_same_for_all_who_ask_first(tmp_path: Path) -> None:
    """Whoever asks for the name at one moment gets the same, and nothing else is left behind."""
    told: list[str] = []
    run_together(*[lambda: told.append(instance_of(tmp_path))] * 8)

    assert [instance_of(tmp_path)] * 8 == told
    assert ["instance"] == [path.name for path in tmp_path.iterdir()]
