# SPDX-License-Identifier: Apache-2.0
"""Keeping the sample log within its limits: a job of every process that appends to it."""

from functools import partial

from alarmd.cache.log import SampleLog
from alarmd.clock import Clock
from alarmd.runtime import Runtime
from alarmd.telemetry import LOG_BYTES, LOG_ENTRIES
from alarmd.workers.pace import Pace


def trim_job(runtime: Runtime, log: SampleLog) -> Pace:
    """Return the job that trims the log and measures it."""
    return Pace(
        "log-trim",
        partial(_trim, log, runtime.clock),
        interval_s=runtime.settings.log.trim_interval_s,
        clock=runtime.clock,
    )


def _trim(log: SampleLog, clock: Clock) -> None:
    log.trim(now_s=clock.time_s())
    stats = log.stats()
    LOG_BYTES.set(stats.payload_bytes)
    LOG_ENTRIES.set(stats.entries)
