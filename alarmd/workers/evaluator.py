# SPDX-License-Identifier: Apache-2.0
"""The evaluator's process: a tick each second, and at once when samples or alarms come."""

from collections.abc import Sequence
from datetime import timedelta

from alarmd.cluster.doorbell import Bell
from alarmd.telemetry import TICK_SECONDS, TICKS
from alarmd.workers.heap import filling
from alarmd.workers.pace import Pace
from alarmd.workers.service import RoleService
from alarmd.workers.state_dir import instance_of

#: How often old history goes, how many rows a transaction takes, and how soon the next follows while there is more.
_PRUNE_S, _PRUNE_ROWS, _MORE_S = 60.0, 500, 0.2
#: How often it is looked for silences that cannot be read.
_LOOK_S = 60.0
#: How often it is looked whether held actions may go.
_RELEASE_S = 2.0
#: For how long it is remembered that an alarm was deleted. An evaluator that was away for longer starts anew anyway.
_TOMBSTONE_S = 86400.0


class EvaluatorService(RoleService):
    """Evaluates the alarms of its shards."""

    role = "evaluator"
    name = "evaluator"

    def open(self) -> Sequence[Pace]:
        runtime = self.runtime
        self._database = runtime.database()
        self.closing.callback(self._database.close)
        log = runtime.log()
        self.closing.callback(log.close)
        doorbell = runtime.doorbell()
        self.closing.callback(doorbell.close)
        membership = runtime.membership(worker=self.worker_id)
        self.closing.callback(membership.close)
        owner = f"{instance_of(runtime.settings.state_dir)}:{self.worker_id}"
        self._evaluation = runtime.evaluation(
            database=self._database,
            log=log,
            doorbell=doorbell,
            membership=membership,
            owner=owner,
            taking_over=filling,
        )
        self._release = runtime.release(database=self._database, doorbell=doorbell)
        self.closing.callback(self._evaluation.close)
        # Whatever comes while the log is replayed rings for the tick after it.
        listener = doorbell.listen(Bell.SAMPLES, Bell.ALARMS)
        self.closing.callback(listener.close)
        self._tick()
        tick = Pace(
            "tick",
            self._tick,
            interval_s=runtime.settings.evaluator.tick_s,
            listener=listener,
            clock=self.clock,
            rests=True,
        )
        if self.worker_id != 0:
            return [tick]
        unreadable = runtime.unreadable(database=self._database)
        return [
            tick,
            Pace("silences-look", unreadable.look, interval_s=_LOOK_S, clock=self.clock),
            Pace("held-actions", self._release_held, interval_s=_RELEASE_S, clock=self.clock),
            Pace("history-prune", self._prune, interval_s=_PRUNE_S, clock=self.clock),
        ]

    def _tick(self) -> float | None:
        """Run a tick; ask for the next one at once where this one had no room for all that changes."""
        outcome = "failed"
        with TICK_SECONDS.time():
            try:
                report = self._evaluation.tick()
                outcome = "ok"
            finally:
                TICKS.labels(outcome).inc()
        return 0.0 if report.left_over else None

    def _release_held(self) -> float | None:
        """Let go of held actions once nothing holds them; ask for the next turn soon while there are more."""
        return _MORE_S if self._release.run() else None

    def _prune(self) -> float | None:
        """Drop what is past its time; ask for the next turn soon while there is more."""
        now = self.clock.now()
        history_before = now - timedelta(seconds=self.runtime.settings.store.history_retention_s)
        silences_before = now - timedelta(seconds=self.runtime.settings.store.silence_retention_s)
        with self._database.write() as unit:
            gone = unit.history.prune(history_before, limit=_PRUNE_ROWS)
            gone += unit.alarms.prune_tombstones(now - timedelta(seconds=_TOMBSTONE_S), limit=_PRUNE_ROWS)
            gone += unit.silences.prune(silences_before, limit=_PRUNE_ROWS)
        return _MORE_S if gone >= _PRUNE_ROWS else None
