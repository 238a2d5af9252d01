# SPDX-License-Identifier: Apache-2.0
"""Whatever dies comes back, and the loop goes on."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.scene import Scene
from tests.support.daemon import Daemon, daemon, wait_until
from tests.support.receivers import Receiver


@pytest.mark.parametrize("role", ["api", "poller", "evaluator", "notifier"])
def test_killed_process_comes_back(alarmd: Daemon, webhooks: Receiver, role: str) -> None:
    """After `kill -9` of one process its successor goes on where it was: the next change is told, and nothing twice."""
    scene = Scene(alarmd, webhooks)
    scene.create_alarm()
    scene.push(95.0)
    scene.await_webhook("alarm")
    killed = alarmd.kill(role)
    alarmd.await_successor(role, of=killed)
    scene.push(5.0)
    scene.await_webhook("ok", timeout_s=10.0)

    assert len({received.headers["webhook-id"] for received in webhooks.received}) == 2
    assert f'alarmd_worker_restarts_total{{process="supervisor",role="{role}"}} 1.0' in alarmd.metrics


def test_requests_wait_for_the_api_to_come_back(alarmd: Daemon) -> None:
    """While the API's process is replaced its port stays open, so a new connection waits instead of being refused."""
    alarmd.kill("api")

    assert alarmd.request("GET", "/v2/alarms") == []


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    """A daemon whose parent was killed leaves nothing running, and its state directory can be used again."""
    with daemon(tmp_path / "state") as running:
        pids = [pid for role in ("api", "poller", "evaluator", "notifier") for pid in running.children(role)]
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        with daemon(tmp_path / "state") as second:
            assert second.request("GET", "/v2/alarms") == []
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="the orphans to end")


def test_hangup_replaces_every_process(tmp_path: Path) -> None:
    """SIGHUP has every process, also of roles with several, drain and come back anew; the daemon stays."""
    environ = {"ALARMD_EVALUATOR__WORKERS": "2", "ALARMD_NOTIFIER__WORKERS": "2"}
    counts = {"api": 2, "poller": 1, "evaluator": 2, "notifier": 2}
    with daemon(tmp_path / "state", environ=environ) as running:
        before = {role: running.children(role) for role in counts}
        os.kill(running.process.pid, signal.SIGHUP)

        def all_new() -> bool:
            after = {role: running.children(role) for role in counts}
            return all(len(after[role]) == counts[role] and not {*after[role]} & {*before[role]} for role in counts)

        assert {role: len(pids) for role, pids in before.items()} == counts
        wait_until(all_new, what="every process to be replaced")
        assert running.request("GET", "/v2/alarms") == []
        assert running.stop() == 0
