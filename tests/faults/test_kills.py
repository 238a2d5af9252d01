# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of every role, twenty times in a row: nothing is lost, nothing is told twice, nobody goes blind."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.journal import Journal, journal
from tests.faults.killer import KILLS, ROLES, Killer
from tests.faults.load import MACHINES, Load, Watch, watch_everything
from tests.faults.oracle import check_deliveries, check_history, check_webhooks
from tests.support.daemon import Daemon, wait_until

#: `pytest --log-cli-level=info` shows what each campaign has measured.
_logger = logging.getLogger(__name__)


@pytest.mark.slow
def test_nothing_is_lost_whatever_dies(alarmd: Daemon, tmp_path: Path, seed: int) -> None:
    """Each change of a load ends in one transition and each of its webhooks, and no alarm loses sight of its data."""
    with journal(tmp_path / "webhooks.jsonl", seed=seed) as kept:
        watches = watch_everything(alarmd, kept.url)
        load = Load(alarmd, watches, kept, seed=seed)
        killer = Killer(alarmd, load, kept, seed=seed)
        with _explained(alarmd, killer, seed=seed):
            with load.running():
                _run(load, killer)
                _check(alarmd, watches, load, kept)

            assert len(killer.killed) == KILLS
            wait_until(lambda: _restarts(alarmd) == killer.kills, what=f"restarts to be counted: {killer.kills}")
            assert alarmd.stop() == 0
            assert "Traceback" not in alarmd.log
    _logger.info("seed %d: %s", seed, _figures(watches, load, killer, kept))


def _run(load: Load, killer: Killer) -> None:
    load.await_told()
    load.start_flipping()
    killer.run()
    load.stop_flipping()
    killer.await_successors()
    load.await_told()


def _check(alarmd: Daemon, watches: list[Watch], load: Load, kept: Journal) -> None:
    deliveries = wait_until(lambda: _settled(alarmd), what="every delivery to end")
    entries = kept.entries
    for watch in watches:
        states = load.states(watch)
        check_history(alarmd, watch, states)
        check_deliveries(deliveries, watch, states)
        check_webhooks(entries, watch, states)

    assert {watch.alarm_id for watch in watches} == {each["alarm_id"] for each in deliveries}
    assert {each["event_id"] for each in deliveries} == {entry.webhook_id for entry in entries}


def _settled(alarmd: Daemon) -> list[dict[str, object]] | None:
    deliveries: list[dict[str, object]] = alarmd.request("GET", "/v3/deliveries?limit=10000")["deliveries"]
    return None if any(each["state"] == "pending" for each in deliveries) else deliveries


def _restarts(alarmd: Daemon) -> dict[str, int]:
    counted = {}
    for role in ROLES:
        series = f'alarmd_worker_restarts_total{{process="supervisor",role="{role}"}} '
        counted[role] = next(
            (int(float(line.removeprefix(series))) for line in alarmd.metrics.splitlines() if line.startswith(series)),
            0,
        )
    return counted


def _figures(watches: list[Watch], load: Load, killer: Killer, kept: Journal) -> dict[str, object]:
    """Return what the campaign has measured."""
    entries = kept.entries
    reactions = [s for watch in watches if watch.resource_id in MACHINES for s in load.reactions_s(watch)]
    different = len({entry.webhook_id for entry in entries})
    return {
        "kills": dict(killer.kills),
        "transitions": sum(len(load.states(watch)) for watch in watches),
        "webhooks": different,
        "repeated_webhooks": len(entries) - different,
        "repeated_pushes": load.repeated_pushes,
        "worst_reaction_s": round(max(reactions), 2),
        "median_reaction_s": round(sorted(reactions)[len(reactions) // 2], 2),
    }


@contextmanager
def _explained(alarmd: Daemon, killer: Killer, *, seed: int) -> Iterator[None]:
    """Add to a failure what is needed to understand it and to see it again."""
    try:
        yield
    except BaseException as error:
        error.add_note("\n".join([f"To draw the same kills again: FAULTS_SEED={seed}. Killed:", *killer.deeds]))
        error.add_note(f"Log, webhooks and state are in {alarmd.state_dir.parent}. The log ends:")
        lines = [line for line in alarmd.log.splitlines() if "alarm_transitioned" not in line]
        error.add_note("\n".join(lines[-40:]))
        raise
