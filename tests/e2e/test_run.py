# SPDX-License-Identifier: Apache-2.0
"""The daemon from outside: the loop, the end in order, and what it says when it cannot start."""

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.e2e.scene import Scene
from tests.support.daemon import DEADLINE_S, Daemon, daemon, start, wait_until
from tests.support.receivers import Receiver


def test_pushed_sample_ends_in_a_webhook(alarmd: Daemon, webhooks: Receiver) -> None:
    """A sample above the threshold reaches the receiver as a webhook within two seconds, and one below it too."""
    scene = Scene(alarmd, webhooks)
    scene.create_alarm()
    scene.push(95.0)
    rise = scene.await_webhook("alarm")
    scene.push(5.0)
    fall = scene.await_webhook("ok")

    assert [("insufficient data", "alarm"), ("alarm", "ok")] == [
        (body["previous"], body["current"]) for body in (rise, fall)
    ]


def test_no_option_is_needed(tmp_path: Path) -> None:
    """Without any option state goes to `./alarmd-state`, every role runs, and this machine is polled."""
    # The default port may be taken on the machine that runs the tests.
    log = tmp_path / "log"
    process = start([], environ={"ALARMD_API__LISTEN": "127.0.0.1:0"}, log=log, cwd=tmp_path)
    running = Daemon(process, state_dir=tmp_path / "alarmd-state", log=log)
    try:
        running.await_ready()
        series = wait_until(lambda: running.request("GET", "/v3/series")["series"], what="series of the host")

        assert series
        assert (tmp_path / "alarmd-state" / "alarmd.db").exists()
    finally:
        running.kill_all()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_order(tmp_path: Path, number: int) -> None:
    """SIGTERM and SIGINT end every process; the status is 0 and nothing is left behind."""
    with daemon(tmp_path / "state") as running:
        pids = [pid for role in ("api", "poller", "evaluator", "notifier") for pid in running.children(role)]

        assert len(pids) == 5  # two of them answer requests
        assert running.stop(number=number) == 0
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_interrupt_of_the_whole_group_ends_it_in_order(tmp_path: Path) -> None:
    """Ctrl-C at a terminal reaches every process at once, and still they drain."""
    with daemon(tmp_path / "state") as running:
        os.killpg(running.process.pid, signal.SIGINT)

        assert running.process.wait(DEADLINE_S) == 0
        assert '"event": "worker_stopped"' in running.log


def test_restart_keeps_alarms_and_samples(tmp_path: Path, webhooks: Receiver) -> None:
    """After a restart the alarm is in the state it was in, and goes on from there without a word."""
    with daemon(tmp_path / "state") as running:
        scene = Scene(running, webhooks)
        scene.create_alarm()
        scene.push(95.0)
        scene.await_webhook("alarm")

        assert running.stop() == 0
    with daemon(tmp_path / "state") as running:
        alarm = running.request("GET", f"/v2/alarms/{scene.alarm_id}")

        assert alarm["state"] == "alarm"
        assert len(running.request("GET", "/v3/series")["series"]) == 1


def test_second_daemon_is_refused(alarmd: Daemon, tmp_path: Path) -> None:
    """A second daemon on the same state directory ends at once and says who holds it."""
    log = tmp_path / "second.log"
    second = start(["--state-dir", str(alarmd.state_dir), "--listen", "127.0.0.1:0"], log=log)

    assert second.wait(DEADLINE_S) == 1
    assert f"in use by another alarmd (process {alarmd.process.pid})" in log.read_text()


def test_metrics_tell_of_every_process(alarmd: Daemon) -> None:
    """One page shows the metrics of all processes, each series with its process."""

    def look() -> str | None:
        text = alarmd.metrics
        return text if 'alarmd_ticks_total{outcome="ok",process="evaluator[0]"}' in text else None

    text = wait_until(look, what="the evaluator's metrics")

    assert 'process="api[0]"' in text
    assert 'process="poller[0]"' in text
    assert 'process="notifier[0]"' in text


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is taken is named, with the remedy, before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        log = tmp_path / "log"
        process = start(["--state-dir", str(tmp_path / "state"), "--listen", f"127.0.0.1:{port}"], log=log)

        assert process.wait(DEADLINE_S) == 1
    assert f"Error: Port {port} on 127.0.0.1 is in use" in log.read_text()
    assert "--listen" in log.read_text()


@pytest.mark.parametrize(
    ("environ", "status", "message"),
    [
        ({"ALARMD_STORE__URL": "postgresql+psycopg://nobody@127.0.0.1:9/none"}, 1, "127.0.0.1"),
        ({"ALARMD_STORE__URL": "mysql://x/y"}, 1, "cannot use a mysql database"),
        ({"ALARMD_API__LISTEN": "0.0.0.0:0"}, 1, 'set api.auth to "tokens"'),
        ({"ALARMD_EVALUATOR__TICKS": "1"}, 1, "ALARMD_EVALUATOR__TICKS: unknown key; did you mean"),
        ({"ALARMD_EVALUATOR__TICK_S": "soon"}, 1, "ALARMD_EVALUATOR__TICK_S: Input should be a valid number"),
        ({"ALARMD_POLLER__SOURCES": '[{"type": "libvrt"}]'}, 1, "Did you mean 'libvirt'?"),
        ({"ALARMD_NOTIFIER__SECRET": "short"}, 1, "Standard Webhooks secret"),
        ({"ALARMD_STATE_DIR": "/proc/alarmd"}, 1, "cannot be written to"),
    ],
)
def test_wrong_settings_are_explained(tmp_path: Path, environ: dict[str, str], status: int, message: str) -> None:
    """What cannot work is refused at once, with the place, the cause and the remedy, and without a traceback."""
    log = tmp_path / "log"
    defaults = {"ALARMD_STATE_DIR": str(tmp_path / "state"), "ALARMD_API__LISTEN": "127.0.0.1:0"}
    process = start([], environ={**defaults, **environ}, log=log)

    assert process.wait(DEADLINE_S) == status
    assert message in log.read_text()
    assert "Traceback" not in log.read_text()


def test_wrong_option_is_a_usage_error(tmp_path: Path) -> None:
    """An option that does not exist ends the command with status 2."""
    log = tmp_path / "log"

    assert start(["--no-such-option"], log=log).wait(DEADLINE_S) == 2
