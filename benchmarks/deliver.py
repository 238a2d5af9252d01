# SPDX-License-Identifier: Apache-2.0
"""Deliveries: how many webhooks a notifier gets out in a second, and what one hanging receiver costs the others.

A real daemon that only notifies drains a full outbox. Then it is fed at a steady rate, first with all receivers well
and then with one of ten that takes connections and never answers.
"""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np
import requests

from alarmd.clock import Clock
from alarmd.cluster.doorbell import Bell
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.model.alarm import AlarmId
from alarmd.model.notification import Notification, event_id_of
from alarmd.store import schema
from alarmd.store.database import Database
from benchmarks.daemon import started
from benchmarks.postgres import postgres
from benchmarks.reaction import DatabaseName
from benchmarks.report import Bar, Report, Value, tell
from benchmarks.sink import Arrival, Sink, sink

_RECEIVERS, _PROJECTS = 10, 100
_BARS = (Bar(key="per_s", at_least=1_000.0), Bar(key="p99_change", at_most=0.2))
#: Notifications that the first connections are made for; they do not count.
_WARM_UP = 500
_PATIENCE_S = 120.0
#: How often the steady part feeds the outbox, and for how long the hanging receiver is left before it is measured.
_BEAT_S, _LEAD_S = 0.05, 3.0
_FLOOR_S, _THREADS = 2.0, 32
_NUMBERS = count()


def deliver(*, notifications: int, rate: float, duration_s: float, database: DatabaseName, clock: Clock) -> Report:
    """Measure deliveries: of so many that wait, and then at a rate for so long."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alarmd-bench-")))
        directory.chmod(0o755)  # PostgreSQL's user has to reach its own directory in it
        receivers = stack.enter_context(sink(_RECEIVERS))
        url = f"sqlite:///{directory}/alarmd.db"
        if database == "postgresql":
            url = stack.enter_context(postgres(directory / "pg", clock=clock))
        schema.upgrade(url)
        feed = _Feed(Database.connect(url), receivers, directory / "state", clock)
        stack.callback(feed.close)
        tell(f"starting a notifier with {database}")
        stack.enter_context(_notifier(directory, url, clock))
        feed.drain(_WARM_UP)
        tell(f"delivering {notifications:,} notifications")
        per_s = feed.drain(notifications)
        floor_per_s = _floor_per_s(receivers, clock)
        tell(f"delivering {rate:g} a second for {duration_s:g} s, then with a receiver that hangs")
        well_ms = feed.steady(rate, duration_s)
        receivers.hang(0)
        feed.steady(rate, _LEAD_S)
        hanging_ms = feed.steady(rate, duration_s)
    values: dict[str, Value] = {
        "database": database,
        "notifications": notifications,
        "receivers": _RECEIVERS,
        "per_s": per_s,
        "floor_per_s": floor_per_s,
        "ratio": per_s / floor_per_s,
        "rate": rate,
        **_percentiles("", well_ms),
        **_percentiles("hanging_", hanging_ms),
    }
    values["p99_change"] = _change(well_ms, hanging_ms)
    return Report(name="deliver", values=values, bars=_BARS)


class _Feed:
    """Puts notifications in the outbox and says what became of them."""

    def __init__(self, database: Database, receivers: Sink, state_dir: Path, clock: Clock) -> None:
        self._database = database
        self._receivers = receivers
        self._bell = LocalDoorbell(state_dir / "bells")
        self._clock = clock

    def close(self) -> None:
        """Let go of the database."""
        self._bell.close()
        self._database.close()

    def drain(self, notifications: int) -> float:
        """Have so many delivered that are all there at once; return how many were in a second."""
        self._receivers.arrivals()
        with self._database.write() as unit:
            unit.outbox.add([self._notification() for _ in range(notifications)])
        self._bell.ring(Bell.OUTBOX)
        deadline_s = self._clock.monotonic_s() + _PATIENCE_S
        while self._receivers.count() < notifications:
            if self._clock.monotonic_s() > deadline_s:
                raise click.ClickException(f"{self._receivers.count():,} of {notifications:,} have been delivered")
            time.sleep(_BEAT_S)
        arrivals = self._receivers.arrivals()
        # The first of them opens the clock: what lies before is the bell, which is measured elsewhere.
        return (len(arrivals) - 1) / (arrivals[-1].at_s - arrivals[0].at_s)

    def steady(self, rate: float, duration_s: float) -> list[float]:
        """Feed at a rate; return how long each that has arrived took from its commit, but for the first receiver's."""
        self._receivers.arrivals()
        committed_s: dict[str, float] = {}
        started_s = self._clock.monotonic_s()
        while (elapsed_s := self._clock.monotonic_s() - started_s) < duration_s:
            due = int(elapsed_s * rate) - len(committed_s)
            made = [self._notification() for _ in range(due)]
            with self._database.write() as unit:
                unit.outbox.add(made)
            self._bell.ring(Bell.OUTBOX)
            now_s = self._clock.monotonic_s()
            committed_s |= {one.event_id: now_s for one in made}
            time.sleep(_BEAT_S)
        time.sleep(1.0)
        return [self._took_ms(one, committed_s) for one in self._receivers.arrivals() if self._counts(one, committed_s)]

    @staticmethod
    def _counts(arrival: Arrival, committed_s: dict[str, float]) -> bool:
        return arrival.receiver != 0 and arrival.event_id in committed_s

    @staticmethod
    def _took_ms(arrival: Arrival, committed_s: dict[str, float]) -> float:
        # It may arrive before this process has noted that it is committed.
        return max(0.0, arrival.at_s - committed_s[arrival.event_id]) * 1000

    def _notification(self) -> Notification:
        number = next(_NUMBERS)
        now = self._clock.now()
        address = self._receivers.addresses[number % _RECEIVERS]
        alarm_id = AlarmId(f"alarm-{number}")
        return Notification(
            event_id=event_id_of(alarm_id, 1, 0),
            alarm_id=alarm_id,
            project_id=f"project-{number % _PROJECTS}",
            sequence=1,
            target=f"http://{address}/hook?token={number}",
            body=_BODY | {"alarm_id": alarm_id},
            created_at=now,
            next_attempt_at=now,
        )


_BODY: dict[str, Any] = {
    "alarm_name": "cpu high",
    "severity": "low",
    "previous": "ok",
    "current": "alarm",
    "reason": "Transition to alarm due to 1 samples outside threshold, most recent: 97.0",
    "reason_data": {"type": "threshold", "disposition": "outside", "count": 1, "most_recent": 97.0},
}


@contextmanager
def _notifier(directory: Path, url: str, clock: Clock) -> Iterator[None]:
    settings = {"STORE__URL": url}
    with started(directory, listen="127.0.0.1:0", settings=settings, clock=clock, roles="notifier"):
        yield


def _floor_per_s(receivers: Sink, clock: Clock) -> float:
    """Return how many webhooks `requests` alone posts in a second, as often side by side as a notifier does."""
    end_s = clock.monotonic_s() + _FLOOR_S

    def post(number: int) -> int:
        sent = 0
        with requests.Session() as session:
            session.trust_env = False
            url = f"http://{receivers.addresses[number % _RECEIVERS]}/hook"
            while clock.monotonic_s() < end_s:
                session.post(url, json=_BODY, timeout=10)
                sent += 1
        return sent

    with ThreadPoolExecutor(_THREADS) as pool:
        return sum(pool.map(post, range(_THREADS))) / _FLOOR_S


def _percentiles(prefix: str, took_ms: list[float]) -> dict[str, Value]:
    if not took_ms:
        return {f"{prefix}p50_ms": None, f"{prefix}p99_ms": None}
    p50_ms, p99_ms = (float(value) for value in np.percentile(took_ms, (50, 99)))
    return {f"{prefix}p50_ms": p50_ms, f"{prefix}p99_ms": p99_ms}


def _change(well_ms: list[float], hanging_ms: list[float]) -> float | None:
    if not well_ms or not hanging_ms:
        return None
    return float(np.percentile(hanging_ms, 99) / np.percentile(well_ms, 99) - 1)
