# SPDX-License-Identifier: Apache-2.0
"""The notifier's process: a round at once when the outbox fills, when a retry is due, and each second in any case."""

import os
import signal
from collections.abc import Sequence
from datetime import timedelta

import structlog

from alarmd.cluster.doorbell import Bell
from alarmd.notifiers.secret_book import SecretBook
from alarmd.settings import Settings
from alarmd.telemetry import OUTBOX_DEPTH, OUTBOX_HELD, OUTBOX_OLDEST_SECONDS
from alarmd.workers.pace import Pace
from alarmd.workers.service import RoleService
from alarmd.workers.state_dir import instance_of

logger = structlog.get_logger()

#: How often the outbox is looked at when nobody rings.
_LOOK_S = 1.0
#: How often the depth of the outbox is measured.
_MEASURE_S = 5.0
#: How often finished notifications go, how many rows a transaction takes, how soon the next follows.
_PRUNE_S, _PRUNE_ROWS, _MORE_S = 60.0, 500, 0.2


class NotifierService(RoleService):
    """Delivers what waits in the outbox."""

    role = "notifier"
    name = "notifier"

    def open(self) -> Sequence[Pace]:
        runtime = self.runtime
        self._database = runtime.database()
        self.closing.callback(self._database.close)
        doorbell = runtime.doorbell()
        self.closing.callback(doorbell.close)
        secrets = SecretBook()
        schemes = runtime.schemes(secrets=secrets)
        for scheme in schemes.values():
            self.closing.callback(scheme.close)
        # A name that lasts: whoever had it before is dead, so its claims need not run out first.
        owner = f"{instance_of(runtime.settings.state_dir)}:{self.worker_id}"
        with self._database.write() as unit:
            taken_back = unit.outbox.release_all(owner=owner)
        if taken_back:
            logger.info("claims_taken_back", count=taken_back)
        self._rounds = runtime.delivery_round(database=self._database, schemes=schemes, secrets=secrets, owner=owner)
        self.closing.callback(self._rounds.close)
        listener = doorbell.listen(Bell.OUTBOX)
        self.closing.callback(listener.close)
        deliver = Pace("deliver", self._deliver, interval_s=_LOOK_S, listener=listener, clock=self.clock)
        if self.worker_id != 0:
            return [deliver]
        _warn_of_exceptions(runtime.settings)
        return [
            deliver,
            Pace("outbox-measure", self._measure, interval_s=_MEASURE_S, clock=self.clock),
            Pace("outbox-prune", self._prune, interval_s=_PRUNE_S, clock=self.clock),
        ]

    def drain(self, timeout_s: float) -> None:
        if not self._rounds.drain(timeout_s):
            logger.warning("deliveries_cut_off")

    def _deliver(self) -> float | None:
        """Deliver what is due and say after how many seconds more will be."""
        try:
            self._rounds.run()
        except RuntimeError:
            # Only a new process has a new pump; the parent starts one as soon as this one has ended.
            logger.exception("notifier_broken")
            os.kill(os.getpid(), signal.SIGTERM)
            return None
        due = self._rounds.next_due()
        return None if due is None else max(0.0, (due - self.clock.now()).total_seconds())

    def _measure(self) -> None:
        with self._database.read() as unit:
            OUTBOX_DEPTH.set(unit.outbox.depth())
            OUTBOX_HELD.set(unit.outbox.held())
            oldest = unit.outbox.oldest()
        waits_s = 0.0 if oldest is None else (self.clock.now() - oldest).total_seconds()
        OUTBOX_OLDEST_SECONDS.set(max(0.0, waits_s))

    def _prune(self) -> float | None:
        """Drop what is past its time; ask for the next turn soon while there is more."""
        before = self.clock.now() - timedelta(seconds=self.runtime.settings.notifier.outbox_retention_s)
        with self._database.write() as unit:
            gone = unit.outbox.prune(before, limit=_PRUNE_ROWS)
            unit.secrets.remove_expired(before)
        return _MORE_S if gone >= _PRUNE_ROWS else None


def _warn_of_exceptions(settings: Settings) -> None:
    """Say whose certificates nobody checks: a thing to be known by whoever reads the log."""
    for name, options in settings.notifier.schemes.items():
        hosts, networks = options.get("unverified_hosts"), options.get("unverified_networks")
        if hosts or networks:
            logger.warning("certificates_unchecked", scheme=name, hosts=hosts, networks=networks)
