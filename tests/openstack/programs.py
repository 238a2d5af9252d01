# SPDX-License-Identifier: Apache-2.0
"""The programs in .venv-openstack: how tests run the clients and start the services that alarmd is set beside."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import requests

from tests.architecture.tree import ROOT
from tests.support.daemon import wait_until

#: Where deploy/make-openstack-venv.sh puts them.
VENV: Final = ROOT / ".venv-openstack"

STOP_TIMEOUT_S: Final = 10.0
COMMAND_TIMEOUT_S: Final = 120.0


def program(name: str) -> str:
    """Return the path of a program of the environment; fails with the remedy where there is none."""
    path = VENV / "bin" / name
    if not path.exists():
        pytest.fail(f"{path} is missing. Run the tests with: make test-openstack", pytrace=False)
    return str(path)


def environment(home: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that a program gets: nothing of the caller's that could lead it elsewhere."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "TZ", "TMPDIR") if key in os.environ}
    return {**kept, "HOME": str(home), "PYTHONWARNINGS": "ignore", **(variables or {})}


def run(
    command: Sequence[str], *, home: Path, variables: Mapping[str, str] | None = None, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a program of the environment to its end and return what it said."""
    return subprocess.run(
        [program(command[0]), *command[1:]],
        env=environment(home, variables),
        cwd=home,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


@contextmanager
def wsgi_server(
    application: str, *, home: Path, variables: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> Iterator[str]:
    """Serve a WSGI application of the environment with gunicorn on a free port and give its URL."""
    log = home / "gunicorn.log"
    # The server must not outlive a test run that was killed; only Linux can say so.
    leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    serve = [program("gunicorn"), "--bind", "127.0.0.1:0", "--worker-class", "gthread", "--threads", "4", *options]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*leash, *serve, application],
            env=environment(home, variables),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def answers() -> str:
        said = log.read_text(errors="replace")
        if process.poll() is not None:
            raise AssertionError(f"{application} did not start:\n{said[-8000:]}")
        found = re.search(r"Listening at: (http://\S+)", said)
        if not found:
            return ""
        try:
            requests.get(found[1], timeout=30)
        except requests.ConnectionError:
            return ""
        return found[1]

    try:
        yield wait_until(answers, deadline_s=60, what=f"{application} to answer")
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
