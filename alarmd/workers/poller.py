# SPDX-License-Identifier: Apache-2.0
"""The poller's process: a job a source, each with a thread of its own, so no source waits for another."""

from collections.abc import Sequence

from alarmd.settings import SourceSettings
from alarmd.workers.pace import Pace
from alarmd.workers.service import RoleService
from alarmd.workers.trim import trim_job


class PollerService(RoleService):
    """Polls every source at its interval."""

    role = "poller"
    name = "poller"

    def open(self) -> Sequence[Pace]:
        self._log = self.runtime.log()
        self.closing.callback(self._log.close)
        self._doorbell = self.runtime.doorbell()
        self.closing.callback(self._doorbell.close)
        jobs = [self._job(source) for source in self.runtime.settings.poller.sources]
        return [*jobs, trim_job(self.runtime, self._log)]

    def _job(self, source: SourceSettings) -> Pace:
        poller = self.runtime.settings.poller
        rounds = self.runtime.poll_round(source, log=self._log, doorbell=self._doorbell)
        self.closing.callback(rounds.close)
        return Pace(
            f"poll-{rounds.source}",
            rounds.run,
            interval_s=source.interval_s or poller.interval_s,
            jitter_s=poller.jitter_s,
            clock=self.clock,
        )
