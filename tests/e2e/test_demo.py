# SPDX-License-Identifier: Apache-2.0
"""The demo, as a newcomer runs it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.daemon import wait_until

DEMO = [sys.executable, "-m", "alarmd", "demo"]
DEADLINE_S = 120

pytestmark = [pytest.mark.libvirt, pytest.mark.alone]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder with a short name, as users have it; pytest's own are too long for libvirt's sockets."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        yield Path(name)


def left_over(folder: Path) -> list[str]:
    """Return what a demo whose temporary files are in a folder has left running."""
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in argument for argument in process.info["cmdline"] or ())
    ]


@pytest.mark.parametrize("source", ["libvirt", "host"])
def test_the_demo_scales_out_and_in(source: str, folder: Path) -> None:
    """A busy machine ends in a webhook and one machine more, an idle group in one less, and nothing is left behind."""
    done = subprocess.run(
        [*DEMO, "--json", "--source", source],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**os.environ, "TMPDIR": str(folder)},
        check=False,
    )
    if "busy already" in done.stderr:
        pytest.skip("this machine's own load leaves the demo on it nothing to show")
    ending = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}

    assert 0 == done.returncode, done.stderr
    reaction = ending.pop("reaction_s")
    assert {"ok": True, "source": source, "scaled_out": 1, "scaled_in": 1, "webhooks": 2} == ending
    assert {"sample_to_webhook", "load_to_webhook"} == reaction.keys()
    assert 0 < reaction["sample_to_webhook"] < reaction["load_to_webhook"] < 30
    assert [] == list(folder.iterdir())
    assert [] == left_over(folder)


def test_a_demo_that_is_stopped_cleans_up(folder: Path) -> None:
    """Whoever has seen enough may stop it at any moment."""
    process = subprocess.Popen(
        DEMO,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "is ready" in line:
            break
    process.send_signal(signal.SIGTERM)
    with process.stdout:
        process.stdout.read()
    status = process.wait(30)

    assert 0 != status
    assert wait_until(lambda: not left_over(folder), what="everything to end")
    assert [] == list(folder.iterdir())
