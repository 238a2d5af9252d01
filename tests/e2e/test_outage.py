# SPDX-License-Identifier: Apache-2.0
"""What the daemon does while its database is away."""

import subprocess
import sys
from pathlib import Path

import requests

from tests.e2e.scene import Scene
from tests.support.daemon import DEADLINE_S, daemon, start, wait_until
from tests.support.receivers import Receiver
from tests.support.servers import PostgresServer


def test_schema_of_a_server_is_the_operators_to_upgrade(tmp_path: Path, postgres_url: str) -> None:
    """On PostgreSQL a missing schema is refused with the command that creates it; after that the daemon starts."""
    log = tmp_path / "log"
    environ = {"ALARMD_STORE__URL": postgres_url}
    refused = start(["--state-dir", str(tmp_path / "state"), "--listen", "127.0.0.1:0"], environ=environ, log=log)

    assert refused.wait(DEADLINE_S) == 1
    assert "alarmd db upgrade" in log.read_text()
    upgrade = [sys.executable, "-m", "alarmd", "db", "upgrade"]
    subprocess.run(upgrade, env=environ, cwd=tmp_path, check=True, capture_output=True)
    with daemon(tmp_path / "state", environ=environ) as running:
        assert running.request("GET", "/v2/alarms") == []


def test_loop_goes_on_after_the_database_was_away(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str, webhooks: Receiver
) -> None:
    """While the database is away the daemon says so and stays; what happened meanwhile is told when it is back."""
    with daemon(tmp_path / "state", environ={"ALARMD_STORE__URL": postgres_url}, options=["--migrate"]) as running:
        scene = Scene(running, webhooks)
        scene.create_alarm()
        postgres_server.crash()
        try:
            readiness = requests.get(f"{running.url}/readyz", timeout=20)
            scene.push(95.0)
            wait_until(lambda: '"job_failed"' in running.log, what="the evaluator to complain")
        finally:
            postgres_server.restart()
        scene.await_webhook("alarm", timeout_s=10.0)

        assert readiness.status_code == 503
        assert readiness.json()["checks"]["database"] != "ok"
        assert running.stop() == 0
        assert '"worker_died"' not in running.log
