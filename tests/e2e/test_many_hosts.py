# SPDX-License-Identifier: Apache-2.0
"""Past one machine: several daemons share a PostgreSQL and a Redis."""

from pathlib import Path

from tests.e2e.scene import Scene
from tests.support.daemon import daemon, wait_until
from tests.support.receivers import Receiver


def test_roles_on_different_hosts(tmp_path: Path, postgres_url: str, redis_url: str, webhooks: Receiver) -> None:
    """The API on one host, two evaluating hosts, a notifier: the loop is as quick, and survives the end of a host."""
    environ = {
        "ALARMD_STORE__URL": postgres_url,
        "ALARMD_LOG__ENGINE": "redis",
        "ALARMD_LOG__OPTIONS__URL": redis_url,
        "ALARMD_CLUSTER__DOORBELL": "redis",
        "ALARMD_CLUSTER__DOORBELL_URL": redis_url,
        "ALARMD_EVALUATOR__MEMBERSHIP_URL": f"{redis_url}?membership_timeout=3",
    }
    door = daemon(tmp_path / "door", environ=environ, options=["--roles", "api,notifier", "--migrate"])
    one = daemon(tmp_path / "one", environ=environ, options=["--roles", "evaluator"], await_ready=False)
    two = daemon(tmp_path / "two", environ=environ, options=["--roles", "evaluator,poller"], await_ready=False)
    with door as api, one as first, two as second:
        for each in (first, second):
            wait_until(lambda each=each: "is ready (state" in each.log, what="an evaluating host")  # type: ignore[misc]
        scene = Scene(api, webhooks)
        scene.create_alarm()
        scene.push(95.0)
        scene.await_webhook("alarm", timeout_s=5.0)

        assert first.stop() == 0
        scene.push(5.0)
        scene.await_webhook("ok", timeout_s=15.0)

        assert second.stop() == 0
