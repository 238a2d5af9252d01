# SPDX-License-Identifier: Apache-2.0
"""SIGHUP has the settings read again: what can be used counts from then on, and nothing else does anything."""

import os
import signal
import socket
from base64 import b64encode
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Event

import pytest
import requests

from tests.e2e.scene import Scene
from tests.support.daemon import Daemon, daemon, wait_until
from tests.support.receivers import Receiver, receiver, takes

_SECRET = "whsec_" + b64encode(bytes(32)).decode()
_ROLES = ("api", "poller", "evaluator", "notifier")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file that says as good as nothing."""
    path = tmp_path / "alarmd.toml"
    path.write_text("[evaluator]\nworkers = 1\n")
    return path


@pytest.fixture
def alarmd(tmp_path: Path, file: Path) -> Iterator[Daemon]:
    """A daemon with that file."""
    with daemon(tmp_path / "state", options=["--config", str(file)]) as running:
        yield running


def hang_up(alarmd: Daemon) -> None:
    os.kill(alarmd.process.pid, signal.SIGHUP)


def children(alarmd: Daemon) -> dict[str, list[int]]:
    return {role: alarmd.children(role) for role in _ROLES}


def is_replaced(alarmd: Daemon, before: dict[str, list[int]], **counts: int) -> bool:
    """Return whether there are new processes, in these numbers, and no old ones."""
    now = children(alarmd)
    return all(
        len(now[role]) == counts.get(role, len(before[role])) and not {*now[role]} & {*before[role]} for role in _ROLES
    )


def await_refusal(alarmd: Daemon) -> str:
    """Hang up and return the line that tells why the settings are not taken."""
    known = len(alarmd.log)
    hang_up(alarmd)
    return wait_until(
        lambda: next((line for line in alarmd.log[known:].splitlines() if "settings_refused" in line), None),
        what="the refusal",
    )


def test_new_settings_count(alarmd: Daemon, file: Path, webhooks: Receiver) -> None:
    """New processes have the new settings, in the new numbers, and the log tells which; alarms go on as before."""
    scene = Scene(alarmd, webhooks)
    scene.create_alarm()
    first = children(alarmd)
    file.write_text(
        "roles = ['api']\n[evaluator]\nworkers = 3\n[api]\nmax_samples_per_push = 1\n"
        f"[notifier]\nsecret = '{_SECRET}'\n"
    )
    hang_up(alarmd)
    wait_until(lambda: is_replaced(alarmd, first, evaluator=3), what="new processes, three evaluators among them")
    second = children(alarmd)
    scene.push(95.0)
    scene.await_webhook("alarm", timeout_s=10.0)
    two = [{"metric": "m", "resource_id": "r", "value": 1.0}] * 2

    with pytest.raises(AssertionError, match="413"):
        alarmd.request("POST", "/v3/samples", {"samples": two})
    assert "webhook-signature" in webhooks.received[0].headers
    assert '"evaluator.workers": "1 -> 3"' in alarmd.log
    assert '"notifier.secret": "********"' in alarmd.log
    assert _SECRET not in alarmd.log
    assert '"waiting": {"roles":' in alarmd.log
    file.write_text("")
    hang_up(alarmd)
    wait_until(lambda: is_replaced(alarmd, second, evaluator=1), what="one evaluator")
    wait_until(lambda: 'process="evaluator[2]"' not in alarmd.metrics, what="the numbers of those that are gone to go")
    assert 2 == alarmd.request("POST", "/v3/samples", {"samples": two})["accepted"]
    assert 0 == alarmd.stop()


def test_wrong_settings_change_nothing(alarmd: Daemon, file: Path, tmp_path: Path) -> None:
    """Whatever is wrong, the log names the file, the key and what to do, and every process goes on as it was."""
    before = children(alarmd)
    wrong = {
        "[evaluator\n": f"The settings file {file} is not valid TOML",
        "[evaluator]\ntick_s = 'often'\n": f"{file}: evaluator.tick_s: Input should be a valid number",
        "[evaluator]\ntikc_s = 1\n": "unknown key; did you mean evaluator.tick_s?",
        "[log.options]\nbusy = 1\n": "log.options.busy: unknown key",
        "[notifier.schemes.http]\nca_file = '/none.pem'\n": "/none.pem",
        "[api]\npolicy_file = 'none.yaml'\n": "none.yaml",
        "[notifier]\nsecret_file = 'none'\n": f"the file {tmp_path / 'none'} cannot be read",
    }

    for text, said in wrong.items():
        file.write_text(text)
        refusal = await_refusal(alarmd)

        assert said in refusal
        assert "alarmd config check" in refusal
    assert before == children(alarmd)
    assert "worker_died" not in alarmd.log


def test_a_file_that_is_gone_changes_nothing(alarmd: Daemon, file: Path) -> None:
    """A file that was deleted, or cannot be read, is told of; once it is back it counts."""
    before = children(alarmd)
    file.unlink()
    of_none = await_refusal(alarmd)
    file.mkdir()  # a file without permission could be read all the same where the tests run as root
    of_folder = await_refusal(alarmd)

    assert f"The settings file {file} cannot be read: No such file or directory." in of_none
    assert f"The settings file {file} cannot be read: Is a directory." in of_folder
    assert before == children(alarmd)
    file.rmdir()
    file.write_text("[evaluator]\nworkers = 2\n")
    hang_up(alarmd)
    wait_until(lambda: is_replaced(alarmd, before, evaluator=2), what="new processes")


def test_the_last_word_counts(alarmd: Daemon, file: Path) -> None:
    """Of several SIGHUPs in quick succession none is lost, and no process of a number is ever there twice."""
    before = children(alarmd)
    for workers in (4, 1, 3, 1, 2):
        file.write_text(f"[evaluator]\nworkers = {workers}\n")
        hang_up(alarmd)
    wait_until(lambda: is_replaced(alarmd, before, evaluator=2), what="new processes")
    wait_until(lambda: requests.get(f"{alarmd.url}/readyz", timeout=10).ok, what="all of them to be ready")
    running = [line for line in alarmd.log.splitlines() if '"worker_died"' in line]

    assert all('"exit_code": 0' in line for line in running)
    assert 2 == len(alarmd.children("evaluator"))
    assert 0 == alarmd.stop()


def test_hangup_while_it_starts(tmp_path: Path, file: Path) -> None:
    """A daemon that is told again and again while it starts becomes ready all the same, with what was said last."""
    with daemon(tmp_path / "state", options=["--config", str(file)], await_ready=False) as running:
        wait_until((tmp_path / "state/alarmd.lock").exists, what="the daemon to begin")
        file.write_text("[evaluator]\nworkers = 2\n")
        turns = count()

        def look() -> bool:
            hang_up(running)
            return next(turns) > 50

        wait_until(look, what="fifty turns")
        running.await_ready(deadline_s=60.0)
        wait_until(lambda: len(running.children("evaluator")) == 2, what="two evaluators")

        assert 0 == running.stop()


def test_hangup_while_it_stops(alarmd: Daemon) -> None:
    """A daemon that ends does so in order, whoever tells it to read its settings."""
    alarmd.process.send_signal(signal.SIGTERM)

    def look() -> bool:
        hang_up(alarmd)
        return alarmd.process.poll() is not None

    wait_until(look, what="the end", every_s=0.001)
    assert 0 == alarmd.process.returncode
    assert "Traceback" not in alarmd.log


def test_what_is_in_hand_is_finished(tmp_path: Path, file: Path) -> None:
    """A webhook that is under way when the settings are read again is sent once, and noted as delivered."""

    def takes_its_time(connection: socket.socket, end: Event) -> None:
        end.wait(1.0)
        takes(connection, end)

    with receiver(takes_its_time) as webhooks, daemon(tmp_path / "state", options=["--config", str(file)]) as alarmd:
        scene = Scene(alarmd, webhooks)
        scene.create_alarm()
        scene.push(95.0)
        scene.await_webhook("alarm")
        before = children(alarmd)
        hang_up(alarmd)
        wait_until(lambda: is_replaced(alarmd, before), what="new processes")
        delivery = alarmd.request("GET", "/v3/deliveries")["deliveries"][0]

        assert ("delivered", 1) == (delivery["state"], delivery["attempts"])
        assert 1 == len(webhooks.received)
